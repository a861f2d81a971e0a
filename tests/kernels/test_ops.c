// Every operation of ops.h on every device and build, against naive loops in double precision; and the bits
// of all builds against each other.
#include "tests/kernels/devices.h"

#ifdef HB_CUDA_ON_CPU
#include "tests/cuda_on_cpu/ptx.h"
#endif

#include <stdlib.h>
#include <string.h>

enum { STEPS = 5, LANES = 3 };

static const hb_noise noise_id = {.seed = 5, .stream = HB_STREAM_SEARCH, .generation = 2, .individual = 1};
static const hb_noise weights_id = {.seed = 5, .stream = HB_STREAM_WEIGHTS, .generation = 2, .individual = 9};

// ---------------------------------------------------------------------------------------------------
// Sample, gradient, SGD, Adam

static const size_t sizes[] = {1, 31, 32, 33, 63, 64, 65, 1000};

static void sample_is_mean_plus_noise(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    for (int k = 0; k < n; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const size_t size = sizes[s];
            float *mean = floats(size + 16), *h = floats(size + 16); // 16 numbers of guard
            for (size_t d = 0; d < size + 16; d++) mean[d] = (float)d, h[d] = -7.0f;
            float *there = uploaded(&list[k], mean, size + 16), *result = uploaded(&list[k], h, size + 16);
            const hb_genome genome = {.mean = there, .sigma = -0.25f, .noise = noise_id};
            check_ok(list[k].table->sample(list[k].device, &genome, result, 0, size, NULL), (hb_error){"sample"});
            download(&list[k], h, result, size + 16);
            list[k].table->free(list[k].device, there);
            list[k].table->free(list[k].device, result);
            for (size_t d = 0; d < size; d++)
                assert_true(h[d] == fmaf(-0.25f, hb_noise_normal(noise_id, d), mean[d]));
            for (size_t d = size; d < size + 16; d++) assert_true(h[d] == -7.0f);
            free(mean);
            free(h);
        }
    close_all(list, n);
}

// Shared rules, against the definition; every device expands a life from the same numbers.
static void shared_rules(void **state) {
    (void)state;
    enum { RULES = 7, C = 5 };
    opened list[8];
    const int n = open_all(list);
    hb_net net;
    const hb_net_def def = {.inputs = 6, .outputs = 11, .last = HB_TANH, .rule = "ABCD_lr", .init = "coevolve"};
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    const size_t size = (size_t)net.genome_size, synapses = (size_t)net.n_weights, numbers = RULES * C + synapses;
    assert_int_equal(size, 6 * 11 * 6);
    uint32_t map[3][66];
    for (uint32_t i = 0; i < 66; i++) map[0][i] = i * 5 % RULES, map[1][i] = i * i % RULES, map[2][i] = i * 3 % RULES;
    for (int how = 0; how < 4; how++) { // one map, two maps, three maps, noise per synapse
        uint64_t first = 0;
        for (int k = 0; k < n; k++) {
            hb_error error = {""};
            float *mean = floats(numbers), *h = floats(size);
            for (size_t e = 0; e < numbers; e++) mean[e] = (float)e;
            float *there = uploaded(&list[k], mean, numbers), *result = uploaded(&list[k], h, size);
            float map_bits[3 * 66];
            memcpy(map_bits, map, sizeof map_bits);
            float *maps = uploaded(&list[k], map_bits, 3 * synapses);
            const hb_genome genome = {.mean = there,
                                      .sigma = 0.25f,
                                      .noise = noise_id,
                                      .sharing = {.rule = (const uint32_t *)maps,
                                                  .n_maps = how < 3 ? how + 1 : 1,
                                                  .n_synapses = (int64_t)synapses,
                                                  .n_numbers = (int64_t)numbers,
                                                  .n_rules = RULES,
                                                  .n_coefficients = C,
                                                  .noise_per_synapse = how == 3}};
            check_ok(list[k].table->sample(list[k].device, &genome, result, 0, 64, &error), error);
            check_ok(list[k].table->sample(list[k].device, &genome, result, 64, size, &error), error);
            download(&list[k], h, result, size);
            double squares = 0;
            for (size_t d = 0; d < size; d++) {
                const size_t i = d / C, c = d % C;
                const size_t e = i < synapses ? map[0][i] * C + c : RULES * C + d - synapses * C;
                float expected = fmaf(0.25f, hb_noise_normal(noise_id, how == 3 ? d : e), mean[e]);
                for (int r = 1; r < genome.sharing.n_maps && i < synapses; r++) {
                    const size_t other = map[r][i] * C + c;
                    expected += fmaf(0.25f, hb_noise_normal(noise_id, other), mean[other]);
                }
                assert_true(h[d] == expected);
                if (i < synapses) squares += (double)h[d] * (double)h[d];
            }
            hb_group *group;
            float w[66];
            double sum[3];
            check_ok(list[k].table->group_create(list[k].device, &net, 3, &group, &error), error);
            const hb_lane life = {genome, weights_id};
            const hb_lane lives[3] = {life, life, life};
            const int32_t lanes[3] = {2, 0, 1};
            check_ok(list[k].table->group_expand(group, 3, lanes, lives, sum, &error), error);
            check_ok(list[k].table->group_wait(group, &error), error);
            check_close(sum[2], squares, 1e-5 * squares);
            check_ok(list[k].table->group_weights(group, 1, 0, w, &error), error);
            for (size_t i = 0; i < synapses; i++) assert_true(w[i] == h[synapses * C + i]);
            const uint64_t bits = hash(hash(1, h, size), (const float *)sum, 6);
            if (k == 0) first = bits;
            assert_true(bits == first);
            list[k].table->group_destroy(group);
            float *const all[] = {there, result, maps};
            for (int a = 0; a < 3; a++) list[k].table->free(list[k].device, all[a]);
            free(mean);
            free(h);
        }
    }
    close_all(list, n);
}

static void gradient_is_weighted_noise(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    const float z[7] = {1.5f, -2.0f, 0.25f, 0.0f, 1e-3f, -1.0f, 3.0f};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int32_t terms = 1; terms <= 7; terms += 3) {
            const size_t size = sizes[s];
            uint64_t first = 0;
            for (int k = 0; k < n; k++) {
                float *g = floats(size + 16);
                for (size_t d = 0; d < size + 16; d++) g[d] = -7.0f;
                // In two ranges, as threads would.
                const size_t half = size / 2 / 64 * 64;
                float *there = uploaded(&list[k], g, size + 16);
                list[k].table->gradient(list[k].device, there, z, terms, noise_id, 0, half, NULL);
                list[k].table->gradient(list[k].device, there, z, terms, noise_id, half, size, NULL);
                download(&list[k], g, there, size + 16);
                list[k].table->free(list[k].device, there);
                for (size_t d = 0; d < size; d++) {
                    double sum = 0;
                    for (int32_t t = 0; t < terms; t++) {
                        hb_noise id = noise_id;
                        id.individual = (uint32_t)t;
                        sum += (double)z[t] * (double)hb_noise_normal(id, d);
                    }
                    check_close(g[d], sum, 4e-6); // 7 roundings of sums below 16
                }
                for (size_t d = size; d < size + 16; d++) assert_true(g[d] == -7.0f);
                const uint64_t bits = hash(1, g, size);
                if (k == 0) first = bits;
                assert_true(bits == first);
                free(g);
            }
        }
    close_all(list, n);
}

static void sgd_and_adam(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    enum { N = 65 };
    uint64_t first = 0;
    for (int k = 0; k < n; k++) {
        float mean[N], m[N], v[N], g[N];
        double mean_d[N], m_d[N], v_d[N];
        for (int d = 0; d < N; d++) {
            mean[d] = (float)d, m[d] = v[d] = 0;
            mean_d[d] = d, m_d[d] = v_d[d] = 0;
        }
        float *mean_there = uploaded(&list[k], mean, N), *m_there = uploaded(&list[k], m, N);
        float *v_there = uploaded(&list[k], v, N), *g_there = uploaded(&list[k], mean, N);
        for (int t = 1; t <= 20; t++) {
            const hb_adam p = {.rate = 0.05f,
                               .scale = 0.5f,
                               .beta1 = 0.9f,
                               .beta2 = 0.999f,
                               .epsilon = 1e-8f,
                               .correction1 = (float)(1 / (1 - pow(0.9, t))),
                               .correction2 = (float)(1 / (1 - pow(0.999, t)))};
            for (int d = 0; d < N; d++) g[d] = hb_noise_normal(noise_id, (uint64_t)(t * N + d));
            list[k].table->upload(list[k].device, g_there, g, N, NULL);
            list[k].table->adam(list[k].device, mean_there, m_there, v_there, g_there, p, 0, 64, NULL);
            list[k].table->adam(list[k].device, mean_there, m_there, v_there, g_there, p, 64, N, NULL);
            download(&list[k], mean, mean_there, N);
            for (int d = 0; d < N; d++) {
                const double gradient = 0.5 * (double)g[d];
                m_d[d] = 0.9 * m_d[d] + 0.1 * gradient;
                v_d[d] = 0.999 * v_d[d] + 0.001 * gradient * gradient;
                mean_d[d] += 0.05 * (m_d[d] / (1 - pow(0.9, t))) / (sqrt(v_d[d] / (1 - pow(0.999, t))) + 1e-8);
                check_close(mean[d], mean_d[d], 2e-5 * (1 + fabs(mean_d[d])));
            }
        }
        list[k].table->sgd(list[k].device, mean_there, g_there, 0.125f, 0, 64, NULL);
        list[k].table->sgd(list[k].device, mean_there, g_there, 0.125f, 64, N, NULL);
        download(&list[k], mean, mean_there, N);
        download(&list[k], m, m_there, N);
        download(&list[k], v, v_there, N);
        float *const all[] = {mean_there, m_there, v_there, g_there};
        for (int a = 0; a < 4; a++) list[k].table->free(list[k].device, all[a]);
        for (int d = 0; d < N; d++) check_close(mean[d], mean_d[d] + 0.125 * (double)g[d], 2e-5 * (1 + d));
        const uint64_t bits = hash(hash(hash(1, mean, N), m, N), v, N);
        if (k == 0) first = bits;
        assert_true(bits == first);
    }
    close_all(list, n);
}

// ---------------------------------------------------------------------------------------------------
// Lanes: the double-precision oracle restarts from the device's own weights at every step

typedef struct {
    hb_net net;
    float *mean;             // (D), the device's
    float *genome;           // (D)
    float *w[HB_MAX_LAYERS]; // (I, O), now
    bool has_put;            // the last output has been replaced, by
    float put[64];
} oracle;

static double plane(const hb_net *net, const float *h, int which) {
    const hb_rule *rule = net->rule;
    const double eta = rule->eta >= 0 ? (double)h[rule->eta] : 1.0;
    const int at = which == 0 ? rule->a : which == 1 ? rule->b : rule->c;
    double value = at >= 0 ? eta * (double)h[at] : 0.0;
    if (which == 3)
        value =
            (rule->d_in >= 0 ? eta * (double)h[rule->d_in] : 0.0) + (rule->d_out >= 0 ? (double)h[rule->d_out] : 0.0);
    // The definition rounds to float first, which decides ties; one product and one sum are exact enough in double.
    return net->half_planes ? nearest_half((double)(float)value) : value;
}

static double activation(hb_activation f, double x) {
    return f == HB_TANH ? tanh(x) : x;
}

// An exact value and a bound on what float32 may make of it.
typedef struct {
    double value, error;
} bounded;

enum { HALF_ULPS = 8 };             // of one product-sum chain per weight, and of tanh
static const double unit = 0x1p-24; // half an ulp of a number near 1

// y_j = f(sum_i w_ij x_i) with the error that (I + 2) roundings and the inputs' own errors can cause.
static bounded forward(const oracle *o, int32_t l, int32_t j, const bounded *x) {
    const hb_layer *layer = &o->net.layer[l];
    double sum = 0, magnitude = 0, error = 0;
    for (int32_t i = 0; i < layer->inputs; i++) {
        const double w = (double)o->w[l][i * layer->outputs + j];
        sum += w * x[i].value;
        magnitude += fabs(w * x[i].value);
        error += fabs(w) * x[i].error;
    }
    error += (layer->inputs + 2) * unit * magnitude; // tanh contracts: its slope is at most 1
    return (bounded){activation(layer->activation, sum), error + HALF_ULPS * unit};
}

// w + dw of one synapse, before normalising.
static bounded update(const oracle *o, int32_t l, size_t e, bounded pre, bounded post) {
    const hb_rule *rule = o->net.rule;
    const double w = (double)o->w[l][e];
    if (!rule) return (bounded){w, 0};
    const float *h = o->genome + o->net.layer[l].genome_offset + (int64_t)e * rule->n_coefficients;
    const double a = plane(&o->net, h, 0), b = plane(&o->net, h, 1), c = plane(&o->net, h, 2),
                 d = plane(&o->net, h, 3);
    const double size =
        fabs(w) + fabs(a * pre.value * post.value) + fabs(b * pre.value) + fabs(c * post.value) + fabs(d);
    const double error = fabs(a * post.value + b) * pre.error + fabs(a * pre.value + c) * post.error;
    return (bounded){w + a * pre.value * post.value + b * pre.value + c * post.value + d,
                     2 * error + HALF_ULPS * unit * size};
}

// Disturbs lane 1: its last output becomes what the oracle takes from now on as the last layer's.
static void put_output(oracle *o, const opened *d, hb_group *group) {
    const int32_t outputs = o->net.layer[o->net.n_layers - 1].outputs;
    for (int32_t j = 0; j < outputs; j++) o->put[j] = 0.25f * hb_noise_normal(weights_id, (uint64_t)j);
    o->has_put = true;
    check_ok(d->table->group_put_output(group, 1, o->put, NULL), (hb_error){"put output"});
}

// Its weights become others, a column of 0 among them.
static void put_weights(oracle *o, const opened *d, hb_group *group) {
    float *all = floats((size_t)o->net.n_weights);
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const hb_layer *layer = &o->net.layer[l];
        const size_t outputs = (size_t)layer->outputs, size = (size_t)layer->inputs * outputs;
        for (size_t e = 0; e < size; e++) o->w[l][e] = e % outputs ? 0.75f * o->w[l][e] : 0.0f;
        memcpy(all + layer->weight_offset, o->w[l], size * sizeof *all);
    }
    check_ok(d->table->group_put_weights(group, 1, all, NULL), (hb_error){"put weights"});
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const size_t size = (size_t)o->net.layer[l].inputs * (size_t)o->net.layer[l].outputs;
        check_ok(d->table->group_weights(group, 1, l, all, NULL), (hb_error){"weights"});
        assert_memory_equal(all, o->w[l], size * sizeof *all);
    }
    free(all);
}

// One step in double precision from the weights o->w: the action is compared; then each layer's next weights.
static void check_step(oracle *o, const hb_device_table *table, hb_group *group, int32_t lane, const float *x,
                       const float *action, double *worst) {
    const hb_net *net = &o->net;
    bounded input[HB_MAX_WIDTH], output[HB_MAX_WIDTH];
    for (int32_t i = 0; i < net->layer[0].inputs; i++) input[i] = (bounded){(double)x[i], 0};
    for (int32_t l = 0; l < net->n_layers; l++) {
        const hb_layer *layer = &net->layer[l];
        const size_t outputs = (size_t)layer->outputs, size = (size_t)layer->inputs * outputs;
        for (int32_t j = 0; j < layer->outputs; j++) output[j] = forward(o, l, j, input);
        if (l == net->n_layers - 1)
            for (int32_t j = 0; j < layer->outputs; j++) {
                check_close(action[j], output[j].value, output[j].error + 4 * unit * fabs(output[j].value));
                if (o->has_put) output[j] = (bounded){(double)o->put[j], 0};
            }
        bounded *next = calloc(size, sizeof *next);
        assert_non_null(next);
        bounded largest = {0, 0};
        for (size_t e = 0; e < size; e++) {
            next[e] = update(o, l, e, input[e / outputs], output[e % outputs]);
            if (fabs(next[e].value) > largest.value) largest = (bounded){fabs(next[e].value), next[e].error};
        }
        const bool divide = net->normalise && net->rule && largest.value > 0;
        float *got = floats(size);
        check_ok(table->group_weights(group, lane, l, got, NULL), (hb_error){"weights"});
        for (size_t e = 0; e < size; e++) {
            const double by = divide ? largest.value : 1.0;
            const double relative = divide ? largest.error / largest.value + 4 * unit : 0;
            const double expected = next[e].value / by;
            const double tolerance = next[e].error / by + fabs(expected) * relative + 1e-30;
            *worst = fmax(*worst, fabs((double)got[e] - expected) / tolerance);
            check_close(got[e], expected, tolerance);
        }
        memcpy(o->w[l], got, size * sizeof *got);
        memcpy(input, output, sizeof input);
        free(got);
        free(next);
    }
    o->has_put = false;
}

// Lives STEPS steps of lane 1 between two others, one of which never starts; returns the hash of all it saw.
static uint64_t live(const opened *d, const hb_net_def *def, double *worst) {
    hb_error error = {""};
    oracle *o = calloc(1, sizeof *o);
    assert_non_null(o);
    check_ok(hb_net_init(&o->net, def, &error), error);
    const hb_net *net = &o->net;
    const size_t size = (size_t)net->genome_size;
    o->genome = floats(size);
    for (size_t k = 0; k < size; k++) o->genome[k] = 0.3f * hb_noise_normal(weights_id, k);
    o->mean = uploaded(d, o->genome, size);
    const hb_genome genome = {.mean = o->mean, .sigma = 0.1f, .noise = noise_id};
    float *sampled = uploaded(d, o->genome, size);
    check_ok(d->table->sample(d->device, &genome, sampled, 0, size, &error), error);
    download(d, o->genome, sampled, size);
    d->table->free(d->device, sampled);
    hb_group *group;
    check_ok(d->table->group_create(d->device, net, LANES, &group, &error), error);
    const hb_lane lanes[2] = {{{.mean = o->mean, .sigma = -0.1f, .noise = noise_id}, weights_id},
                              {genome, weights_id}};
    double squares[2], expected = 0;
    const int32_t both[2] = {0, 1}, swapped[2] = {1, 0};
    check_ok(d->table->group_expand(group, 2, both, lanes, squares, &error), error);
    check_ok(d->table->group_wait(group, &error), error);
    for (int64_t k = 0; k < net->n_penalised; k++) expected += (double)o->genome[k] * (double)o->genome[k];
    check_close(squares[1], expected, 1e-5 * expected);
    uint64_t bits = 1;
    for (int32_t l = 0; l < net->n_layers; l++) {
        o->w[l] = floats((size_t)net->layer[l].inputs * (size_t)net->layer[l].outputs);
        d->table->group_weights(group, 1, l, o->w[l], NULL);
    }
    const size_t inputs = (size_t)def->inputs, outputs = (size_t)def->outputs;
    float *x = floats(2 * inputs), *action = floats(2 * outputs + 16);
    for (int t = 0; t < STEPS; t++) {
        for (size_t i = 0; i < 2 * inputs; i++)
            x[i] = t == 3 ? (i % 2 ? 5.0f : -5.0f) : hb_noise_normal(noise_id, (uint64_t)t * 2 * inputs + i);
        for (size_t j = 0; j < 2 * outputs + 16; j++) action[j] = -7.0f;
        // Lane 0 rests once, and the rows change places once: lane 1 must not notice.
        const int32_t count = t == 2 ? 1 : 2, row = t == 2 || t == 4 ? 0 : 1;
        check_ok(d->table->group_step(group, count, row ? both : swapped, x, action, &error), error);
        check_ok(d->table->group_wait(group, &error), error);
        for (size_t j = (size_t)count * outputs; j < 2 * outputs + 16; j++) assert_true(action[j] == -7.0f);
        if (t == 1 || t == 3) put_output(o, d, group); // before and after its count of steps starts anew
        check_step(o, d->table, group, 1, x + (size_t)row * inputs, action + (size_t)row * outputs, worst);
        if (t == 2) put_weights(o, d, group);
        bits = hash(bits, action, 2 * outputs);
        for (int32_t l = 0; l < net->n_layers; l++)
            bits = hash(bits, o->w[l], (size_t)net->layer[l].inputs * (size_t)net->layer[l].outputs);
    }
    // The lane that never started is as it was made.
    float *untouched = floats((size_t)def->inputs * (size_t)net->layer[0].outputs);
    d->table->group_weights(group, 2, 0, untouched, NULL);
    for (int64_t e = 0; e < (int64_t)def->inputs * net->layer[0].outputs; e++) assert_true(untouched[e] == 0.0f);
    free(untouched);
    for (int32_t l = 0; l < net->n_layers; l++) free(o->w[l]);
    d->table->group_destroy(group);
    d->table->free(d->device, o->mean);
    free(o->genome);
    free(o);
    free(x);
    free(action);
    return bits;
}

static const hb_net_def shapes[] = {
    {.inputs = 1, .outputs = 1, .n_hidden = 0, .last = HB_TANH},
    {.inputs = 33, .outputs = 31, .n_hidden = 0, .last = HB_LINEAR},
    {.inputs = 5, .outputs = 3, .n_hidden = 1, .hidden = {17}, .last = HB_LINEAR},
    {.inputs = 31, .outputs = 32, .n_hidden = 2, .hidden = {33, 1}, .last = HB_TANH},
    {.inputs = 28, .outputs = 8, .n_hidden = 2, .hidden = {128, 64}, .last = HB_TANH},
    {.inputs = 3, .outputs = 2, .n_hidden = 2, .hidden = {300, 130}, .last = HB_TANH},
};

static void steps_of_every_rule(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    double worst = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int32_t r = -1; r < hb_n_rules; r++)
            for (int how = 0; how < 3; how++) {
                if (getenv("HB_QUICK") && (s == 1 || s > 3 || (r >= 0 && r % 3))) continue;
                if (how == 2 && (s == 1 || s == 5 || r < 0 || r % 2)) continue;
                hb_net_def def = shapes[s];
                def.rule = r < 0 ? NULL : hb_rules[r].name;
                def.init = "xa_uni_big";
                def.normalise = how == 1;
                def.half_planes = how == 2;
                uint64_t first = 0;
                for (int k = 0; k < n; k++) {
                    const uint64_t bits = live(&list[k], &def, &worst);
                    if (k == 0) first = bits;
                    if (bits != first) print_error("shape %zu rule %d build %d differs\n", s, (int)r, k);
                    assert_true(bits == first);
                }
            }
    print_message("largest error: %.2f of the tolerance\n", worst);
    assert_true(worst > 0.001); // the oracle is not the code under test
    close_all(list, n);
}

// Groups work on their own time: calls without a wait between them, two groups at once, more lives than a chunk of them
// holds, lanes in any order, right behind a search step that nobody waited for. The CPU device, which does everything at
// once, says what must come out.
static void groups_work_on_their_own_time(void **state) {
    (void)state;
    enum { MANY = 70, CALLS = 5, BUFFERS = 4 };
    static const int buffer[CALLS] = {0, 1, 1, 2, 3}; // the third call is the second one again
    opened list[8];
    const int n = open_all(list);
    const hb_net_def def = {.inputs = 2, .outputs = 3, .last = HB_TANH, .rule = "A", .init = "coevolve"};
    hb_net net;
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    const size_t size = (size_t)net.genome_size;
    uint64_t last = 0;
    for (int k = n - 1; k >= 0; k--) { // the CPU first
        const hb_device_table *table = list[k].table;
        hb_error error = {""};
        float ones[12], mean_now[12] = {0};
        for (size_t d = 0; d < size; d++) ones[d] = 1.0f;
        float *mean = uploaded(&list[k], mean_now, size), *g = uploaded(&list[k], ones, size);
        check_ok(table->sgd(list[k].device, mean, g, 0.5f, 0, size, &error), error);
        hb_group *group[2];
        hb_lane life[MANY];
        double squares[2][MANY];
        int32_t lane[2][MANY];
        float x[2][2 * MANY], action[2][BUFFERS][3 * MANY];
        for (int a = 0; a < MANY; a++) {
            life[a] = (hb_lane){{.mean = mean, .sigma = 0.5f, .noise = noise_id}, weights_id};
            life[a].genome.noise.individual = (uint32_t)a;
            lane[0][a] = a, lane[1][a] = (a * 27 + 5) % MANY;
        }
        for (int t = 0; t < 2; t++)
            for (int a = 0; a < 2 * MANY; a++) x[t][a] = hb_noise_normal(weights_id, (uint64_t)(t * 2 * MANY + a));
        for (int b = 0; b < 2; b++)
            check_ok(table->group_create(list[k].device, &net, MANY, &group[b], &error), error);
        check_ok(table->group_expand(group[0], MANY, lane[1], life, squares[0], &error), error);
        for (int a = 0; a < MANY; a += MANY / 2)
            check_ok(table->group_expand(group[1], MANY / 2, lane[0] + a, life + a, squares[1] + a, &error), error);
        for (int t = 0; t < CALLS; t++)
            for (int b = 0; b < 2; b++)
                check_ok(table->group_step(group[b], t == 4 ? MANY - 3 : MANY, lane[(b + t) % 2], x[t == 4],
                                           action[b][buffer[t]], &error),
                         error);
        for (int b = 0; b < 2; b++) check_ok(table->group_wait(group[b], &error), error);
        uint64_t bits = 1;
        for (int b = 0; b < 2; b++) {
            bits = hash(bits, (const float *)squares[b], 2 * MANY);
            for (int t = 0; t < BUFFERS; t++) bits = hash(bits, action[b][t], (t == 3 ? MANY - 3 : MANY) * 3);
            table->group_destroy(group[b]);
        }
        table->free(list[k].device, mean);
        table->free(list[k].device, g);
        assert_true(k == n - 1 || bits == last);
        last = bits;
    }
    close_all(list, n);
}

static const int32_t only = 0; // lane

static void step_one(const opened *d, hb_group *group, const float *observation, float *action) {
    hb_error error;
    check_ok(d->table->group_step(group, 1, &only, observation, action, &error), error);
    check_ok(d->table->group_wait(group, &error), error);
}

// ---------------------------------------------------------------------------------------------------
// Initial weights

static void initialisers(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    for (int32_t i = 0; i < hb_n_initialisers; i++) {
        const hb_initialiser *init = &hb_initialisers[i];
        const hb_net_def def = {.inputs = 50, .outputs = 100, .last = HB_TANH, .rule = "ABCD_lr", .init = init->name};
        uint64_t first = 0;
        for (int k = 0; k < n; k++) {
            hb_net net;
            hb_group *group;
            float w[50 * 100];
            assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
            assert_int_equal(net.genome_size, 25000 + (init->draw == HB_DRAW_GENOME ? 5000 : 0));
            float *numbers = floats((size_t)net.genome_size);
            for (int64_t d = 0; d < net.genome_size; d++) numbers[d] = (float)d;
            float *mean = uploaded(&list[k], numbers, (size_t)net.genome_size);
            free(numbers);
            list[k].table->group_create(list[k].device, &net, 1, &group, NULL);
            const hb_lane lane = {{.mean = mean, .noise = noise_id}, weights_id};
            list[k].table->group_expand(group, 1, &only, &lane, NULL, NULL);
            list[k].table->group_weights(group, 0, 0, w, NULL);
            double sum = 0, squares = 0, largest = 0;
            int zeros = 0;
            for (int e = 0; e < 5000; e++) {
                sum += (double)w[e];
                squares += (double)w[e] * (double)w[e];
                largest = fmax(largest, fabs((double)w[e]));
                zeros += w[e] == 0.0f;
                // Element e is number e of the sequence, scaled as ops.h says.
                const float s = hb_initialiser_scale(init, 50, 100);
                const float n_e = hb_noise_normal(weights_id, (uint64_t)e);
                const float u_e = hb_uniform(hb_noise_word(weights_id, (uint64_t)e));
                if (init->draw == HB_DRAW_GENOME) assert_true(w[e] == (float)(25000 + e));
                if (init->draw == HB_DRAW_UNIFORM) assert_true(w[e] == fmaf(u_e, 2 * s, -s));
                if (init->draw == HB_DRAW_NORMAL) assert_true(w[e] == s * n_e);
                if (init->draw == HB_DRAW_SPARSE) assert_true(w[e] == 0.0f || w[e] == s * n_e);
            }
            const double s = (double)hb_initialiser_scale(init, 50, 100);
            if (init->draw == HB_DRAW_UNIFORM) {
                assert_true(largest <= s && largest > 0.99 * s);
                check_close(squares / 5000, s * s / 3, 0.05 * s * s / 3);
                check_close(sum / 5000, 0, 5 * s / sqrt(3 * 5000));
            } else if (init->draw == HB_DRAW_NORMAL) {
                check_close(sqrt(squares / 5000), s, 5 * s / sqrt(2 * 5000));
            } else if (init->draw == HB_DRAW_SPARSE) {
                assert_int_equal(zeros, 50 * 80);
                check_close(sqrt(squares / 1000), s, 5 * s / sqrt(2 * 1000));
                for (int row = 0; row < 50; row++) {
                    int of_row = 0;
                    for (int j = 0; j < 100; j++) of_row += w[row * 100 + j] == 0.0f;
                    assert_int_equal(of_row, 80);
                }
            } else if (init->draw == HB_DRAW_CONSTANT) {
                assert_true(squares == 5000 * s * s);
            }
            const uint64_t bits = hash(1, w, 5000);
            if (k == 0) first = bits;
            assert_true(bits == first);
            list[k].table->group_destroy(group);
            list[k].table->free(list[k].device, mean);
        }
    }
    close_all(list, n);
}

// The scales that learning.md section 3 gives.
static void initialiser_scales(void **state) {
    (void)state;
    const struct {
        const char *name;
        double scale;
    } known[] = {{"uni", 0.1},
                 {"uni_big", 1},
                 {"normal", 0.024},
                 {"normal_wide", 0.1},
                 {"xa_uni", 0.3 * sqrt(6.0 / (28 + 128))},
                 {"xa_uni_big", sqrt(6.0 / (28 + 128))},
                 {"ka_uni", sqrt(0.6 / 28)},
                 {"default", 1 / sqrt(28)},
                 {"sparse", 0.01},
                 {"ones", 1},
                 {"zeros", 0}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        check_close(hb_initialiser_scale(hb_initialiser_find(known[k].name), 28, 128), known[k].scale,
                    1e-6 * known[k].scale);
}

// Weights that are all 0 stay so under normalisation; a NaN poisons its layer's scale and so is seen.
static void normalising_extremes(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    const hb_net_def def = {
        .inputs = 3, .outputs = 2, .last = HB_TANH, .rule = "A", .init = "zeros", .normalise = true};
    for (int k = 0; k < n; k++) {
        hb_net net;
        hb_group *group;
        float w[6], action[2], numbers[6] = {0};
        const float zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
        hb_net_init(&net, &def, NULL);
        float *mean = uploaded(&list[k], numbers, 6);
        list[k].table->group_create(list[k].device, &net, 1, &group, NULL);
        const hb_lane lane = {{.mean = mean, .noise = noise_id}, weights_id};
        list[k].table->group_expand(group, 1, &only, &lane, NULL, NULL);
        for (int t = 0; t < 3; t++) step_one(&list[k], group, zero, action);
        list[k].table->group_weights(group, 0, 0, w, NULL);
        for (int e = 0; e < 6; e++) assert_true(w[e] == 0.0f);
        assert_true(action[0] == 0.0f);
        numbers[0] = NAN;
        list[k].table->upload(list[k].device, mean, numbers, 6, NULL);
        list[k].table->group_expand(group, 1, &only, &lane, NULL, NULL);
        for (int t = 0; t < 3; t++) step_one(&list[k], group, one, action);
        assert_true(isnan(action[0]) && isnan(action[1]));
        list[k].table->group_destroy(group);
        list[k].table->free(list[k].device, mean);
    }
    close_all(list, n);
}

// ---------------------------------------------------------------------------------------------------
// Vision

// Convolution k of the definition, in double precision: x (channels, H, W) to y (maps, rows, columns).
static void look_naively(const hb_convolution *c, const double *w, const double *x, double *y) {
    for (int32_t o = 0; o < c->maps; o++)
        for (int32_t r = 0; r < c->rows; r++)
            for (int32_t s = 0; s < c->columns; s++) {
                double most = -INFINITY;
                for (int32_t p = 0; p < 4; p++) {
                    double z = 0;
                    for (int32_t k = 0; k < c->channels; k++)
                        for (int32_t a = 0; a < c->kernel; a++)
                            for (int32_t b = 0; b < c->kernel; b++)
                                z += w[((o * c->channels + k) * c->kernel + a) * c->kernel + b] *
                                     x[(k * c->height + (2 * r + p / 2) * c->stride + a) * c->width +
                                       (2 * s + p % 2) * c->stride + b];
                    most = z > most ? z : most;
                }
                y[(o * c->rows + r) * c->columns + s] = tanh(most);
            }
}

// Two lanes of a network with vision and one linear layer, on one device: actions of two steps against the definition.
// Returns a hash of all actions.
static uint64_t look_and_act(const opened *d, const hb_net_def *def, const hb_net *net) {
    hb_error error = {""};
    const size_t size = (size_t)net->genome_size, words = hb_net_observation_words(net);
    float *numbers = floats(size), action[2 * 3];
    for (size_t e = 0; e < size; e++) numbers[e] = 0.25f * hb_noise_normal(noise_id, e);
    float *mean = uploaded(d, numbers, size), *observation = floats(2 * words);
    hb_lane life = {{.mean = mean, .noise = noise_id}, weights_id};
    const hb_lane lives[2] = {life, life};
    const int32_t lanes[2] = {1, 0};
    hb_group *group;
    check_ok(d->table->group_create(d->device, net, 2, &group, &error), error);
    check_ok(d->table->group_expand(group, 2, lanes, lives, NULL, &error), error);
    uint64_t bits = 1;
    for (uint32_t t = 0; t < 2; t++) {
        uint8_t *bytes[2] = {(uint8_t *)observation, (uint8_t *)(observation + words)};
        for (int32_t p = 0; p < net->vision.n_pixels; p++)
            for (uint32_t k = 0; k < 2; k++)
                bytes[k][p] = (uint8_t)(hb_noise_word(weights_id, (uint64_t)p + t) >> (8 * k));
        check_ok(d->table->group_step(group, 2, lanes, observation, action, &error), error);
        check_ok(d->table->group_wait(group, &error), error);
        bits = hash(bits, action, 6);
        double *w = calloc((size_t)net->vision.n_weights, sizeof *w),
               *x = calloc((size_t)net->vision.n_pixels, sizeof *x);
        double *y = calloc((size_t)net->vision.n_pixels * 8, sizeof *y), *features = calloc(4096, sizeof *features);
        assert_true(w && x && y && features);
        for (int64_t e = 0; e < net->vision.n_weights; e++) {
            const hb_convolution *c = &net->vision.layer[e >= net->vision.layer[1].offset];
            const double bound = 1 / sqrt(c->channels * c->kernel * c->kernel);
            hb_noise fixed = {.seed = weights_id.seed, .stream = HB_STREAM_VISION};
            w[e] = def->fixed_vision ? bound * (2.0 * hb_uniform(hb_noise_word(fixed, (uint64_t)e)) - 1)
                                     : (double)numbers[hb_net_vision_offset(net) + e];
        }
        for (uint32_t k = 0; k < 2; k++) {
            for (int32_t p = 0; p < net->vision.n_pixels; p++) x[p] = bytes[k][p] / 255.0;
            look_naively(&net->vision.layer[0], w, x, y);
            look_naively(&net->vision.layer[1], w + net->vision.layer[1].offset, y, features);
            for (int32_t j = 0; j < 3; j++) {
                double sum = 0;
                for (int32_t i = 0; i < net->layer[0].inputs; i++) sum += (double)numbers[i * 3 + j] * features[i];
                check_close(action[k * 3 + (uint32_t)j], sum, 2e-5);
            }
        }
        free(w), free(x), free(y), free(features);
    }
    d->table->group_destroy(group);
    d->table->free(d->device, mean);
    free(numbers);
    free(observation);
    return bits;
}

static void vision(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    const int32_t pictures[][3] = {{3, 16, 16}, {1, 17, 23}, {4, 31, 19}, {3, 84, 84}};
    const int n_pictures = getenv("HB_QUICK") ? 3 : 4; // the last is the Car's
    for (int p = 0; p < n_pictures; p++)
        for (int fixed = 0; fixed < 2; fixed++) {
            hb_net_def def = {.outputs = 3, .last = HB_LINEAR, .fixed_vision = fixed};
            memcpy(def.picture, pictures[p], sizeof def.picture);
            hb_net net;
            hb_error error = {""};
            check_ok(hb_net_init(&net, &def, &error), error);
            assert_int_equal(net.genome_size, net.n_weights + (fixed ? 0 : net.vision.n_weights));
            if (p == 3) assert_true(net.layer[0].inputs == 648 && net.vision.n_weights == 1362);
            uint64_t first = 0;
            for (int k = 0; k < n; k++) {
                const uint64_t bits = look_and_act(&list[k], &def, &net);
                if (k == 0) first = bits;
                assert_true(bits == first);
            }
        }
    close_all(list, n);
}

// Behind the coefficients stand evolved initial weights, behind these the vision's.
static void vision_behind_evolved_weights(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    const hb_net_def def = {
        .picture = {3, 20, 20}, .outputs = 3, .last = HB_LINEAR, .rule = "AD", .init = "coevolve", .normalise = true};
    hb_net net;
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    const size_t size = (size_t)net.genome_size;
    assert_int_equal(net.genome_size, 3 * net.n_weights + 1362);
    float *numbers = floats(size), observation[300] = {0.7f}, action[3], *w = floats((size_t)net.n_weights);
    for (size_t e = 0; e < size; e++) numbers[e] = 0.5f * hb_noise_normal(noise_id, e);
    uint64_t first = 0;
    for (int k = 0; k < n; k++) {
        hb_group *group;
        float *mean = uploaded(&list[k], numbers, size);
        const hb_lane life = {{.mean = mean, .noise = noise_id}, weights_id};
        list[k].table->group_create(list[k].device, &net, 1, &group, NULL);
        list[k].table->group_expand(group, 1, &only, &life, NULL, NULL);
        list[k].table->group_weights(group, 0, 0, w, NULL);
        for (int64_t e = 0; e < net.n_weights; e++) assert_true(w[e] == numbers[2 * net.n_weights + e]);
        uint64_t bits = 1;
        for (int t = 0; t < 4; t++) {
            step_one(&list[k], group, observation, action);
            bits = hash(bits, action, 3);
        }
        list[k].table->group_weights(group, 0, 0, w, NULL);
        bits = hash(bits, w, (size_t)net.n_weights);
        if (k == 0) first = bits;
        assert_true(bits == first);
        list[k].table->group_destroy(group);
        list[k].table->free(list[k].device, mean);
    }
    free(numbers);
    free(w);
    close_all(list, n);
}

// ---------------------------------------------------------------------------------------------------
// LSTM

// The interpreter takes a second for what a card does in a microsecond.
#ifdef HB_CUDA_ON_CPU
#define FEW 1
#else
#define FEW (getenv("HB_QUICK") != NULL)
#endif

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

// 200 steps of a network with an LSTM cell against double precision; returns a hash of all actions.
static uint64_t remember(const opened *d, const hb_net *net, int inputs, int units, int width, int outputs) {
    hb_error error = {""};
    const size_t size = (size_t)net->genome_size, words = hb_net_observation_words(net);
    const int gates = 4 * units, steps = FEW ? 10 : 200;
    float *g = floats(size), *observation = floats(words), *action = floats((size_t)outputs);
    for (size_t e = 0; e < size; e++) g[e] = 0.3f * hb_noise_normal(noise_id, e);
    float *mean = uploaded(d, g, size);
    const hb_lane life = {{.mean = mean, .noise = noise_id}, weights_id};
    hb_group *group;
    check_ok(d->table->group_create(d->device, net, 1, &group, &error), error);
    double *x = calloc((size_t)net->vision.n_pixels + 4096, sizeof *x), *y = calloc(8 * 4096, sizeof *y);
    double *features = calloc(4096, sizeof *features), *w = calloc(size, sizeof *w);
    double *h = calloc((size_t)units, sizeof *h), *c = calloc((size_t)units, sizeof *c),
           *z = calloc((size_t)gates, sizeof *z);
    assert_true(x && y && features && w && h && c && z);
    for (size_t e = 0; e < size; e++) w[e] = (double)g[e];
    uint64_t bits = 1;
    for (int life_number = 0; life_number < 2; life_number++) { // the second one starts without memory
        check_ok(d->table->group_expand(group, 1, &only, &life, NULL, &error), error);
        memset(h, 0, (size_t)units * sizeof *h);
        memset(c, 0, (size_t)units * sizeof *c);
        for (int t = 0; t < (life_number ? 3 : steps); t++) {
            uint8_t *bytes = (uint8_t *)observation;
            for (int i = 0; i < (net->vision.n_weights ? net->vision.n_pixels : inputs); i++) {
                const uint64_t at = (uint64_t)t * 5000 + (uint64_t)i;
                if (net->vision.n_weights)
                    x[i] = (bytes[i] = (uint8_t)(hb_noise_word(weights_id, at) >> 24)) / 255.0;
                else
                    x[i] = (double)(observation[i] = hb_noise_normal(weights_id, at));
            }
            if (net->vision.n_weights) {
                look_naively(&net->vision.layer[0], w + hb_net_vision_offset(net), x, y);
                look_naively(&net->vision.layer[1], w + hb_net_vision_offset(net) + net->vision.layer[1].offset, y,
                             features);
                memcpy(x, features, (size_t)inputs * sizeof *x);
            }
            if (t == 3) // its own weights once more: what the cell remembers stays
                check_ok(d->table->group_put_weights(group, 0, g, &error), error);
            check_ok(d->table->group_step(group, 1, &only, observation, action, &error), error);
            check_ok(d->table->group_wait(group, &error), error);
            bits = hash(bits, action, (size_t)outputs);
            // Rows of w: both biases, W_ih, W_hh.
            for (int r = 0; r < gates; r++) {
                z[r] = w[r] + w[gates + r];
                for (int i = 0; i < inputs; i++) z[r] += w[(2 + i) * gates + r] * x[i];
                for (int j = 0; j < units; j++) z[r] += w[(2 + inputs + j) * gates + r] * h[j];
            }
            for (int j = 0; j < units; j++) {
                c[j] = logistic(z[units + j]) * c[j] + logistic(z[j]) * tanh(z[2 * units + j]);
                h[j] = logistic(z[3 * units + j]) * tanh(c[j]);
            }
            const double *dense = w + (2 + inputs + units) * gates, *last = dense + units * width;
            double hidden[64];
            for (int k = 0; k < width; k++) {
                double sum = 0;
                for (int j = 0; j < units; j++) sum += dense[j * width + k] * h[j];
                hidden[k] = tanh(sum);
            }
            for (int k = 0; k < outputs; k++) {
                double sum = 0;
                for (int j = 0; j < width; j++) sum += last[j * outputs + k] * hidden[j];
                check_close(action[k], sum, 2e-4);
            }
        }
    }
    double *const all[] = {x, y, features, w, h, c, z};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    d->table->group_destroy(group);
    d->table->free(d->device, mean);
    free(g), free(observation), free(action);
    return bits;
}

static void lstm(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    const struct {
        int inputs, units, width, outputs;
        int32_t picture[3];
        bool fixed;
    } shape[] = {{28, 128, 64, 8, {0}, false},
                 {3, 5, 7, 2, {0}, false},
                 {1, 33, 1, 1, {0}, false},
                 {8, 9, 6, 3, {3, 16, 16}, false},
                 {648, 128, 64, 3, {3, 84, 84}, false}};
    for (int s = 0; s < (FEW ? 4 : 5); s++) {
        hb_net_def def = {.inputs = shape[s].inputs,
                          .outputs = shape[s].outputs,
                          .n_hidden = 2,
                          .hidden = {shape[s].units, shape[s].width},
                          .last = HB_LINEAR,
                          .lstm = true};
        memcpy(def.picture, shape[s].picture, sizeof def.picture);
        hb_net net;
        hb_error error = {""};
        check_ok(hb_net_init(&net, &def, &error), error);
        assert_int_equal(hb_net_inputs(&net), shape[s].inputs);
        if (s == 0) assert_int_equal(net.genome_size, 89600); // learning.md section 1
        if (s == 4) assert_int_equal(net.genome_size, 408082);
        uint64_t first = 0;
        for (int k = 0; k < n; k++) {
            const uint64_t bits =
                remember(&list[k], &net, shape[s].inputs, shape[s].units, shape[s].width, shape[s].outputs);
            if (k == 0) first = bits;
            assert_true(bits == first);
        }
    }
    hb_net net;
    assert_int_equal(hb_net_init(&net, &(hb_net_def){.inputs = 3, .outputs = 1, .lstm = true}, NULL), HB_BAD_INPUT);
    close_all(list, n);
}

// ---------------------------------------------------------------------------------------------------
// The same by a library's products of matrices in memory: equal to rounding.

static void forward_by_products(const opened *d, hb_products *products) {
    enum { COUNT = 5 };
    const hb_net_def def = {.inputs = 28, .outputs = 8, .n_hidden = 2, .hidden = {33, 64}, .last = HB_LINEAR};
    hb_error error = {""};
    hb_net net;
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    const size_t n = (size_t)net.genome_size;
    float *zero = floats(COUNT * n), observation[COUNT * 28], fused[COUNT * 8], action[COUNT * 8];
    float *mean = uploaded(d, zero, n), *weights = uploaded(d, zero, COUNT * n);
    hb_lane life[COUNT];
    int32_t lane[COUNT];
    for (int32_t k = 0; k < COUNT; k++) {
        lane[k] = k;
        life[k] = (hb_lane){{.mean = mean, .sigma = 0.2f, .noise = noise_id}, weights_id};
        life[k].genome.noise.individual = (uint32_t)k;
        float *one = uploaded(d, zero, n), *host = floats(n);
        check_ok(d->table->sample(d->device, &life[k].genome, one, 0, n, &error), error);
        download(d, host, one, n);
        check_ok(d->table->upload(d->device, weights + (size_t)k * n, host, n, &error), error);
        d->table->free(d->device, one);
        free(host);
    }
    for (int k = 0; k < COUNT * 28; k++) observation[k] = hb_noise_normal(weights_id, (uint64_t)k);
    hb_group *group;
    check_ok(d->table->group_create(d->device, &net, COUNT, &group, &error), error);
    check_ok(d->table->group_expand(group, COUNT, lane, life, NULL, &error), error);
    check_ok(d->table->group_step(group, COUNT, lane, observation, fused, &error), error);
    check_ok(d->table->group_wait(group, &error), error);
    check_ok(d->table->products->forward(products, &net, COUNT, weights, observation, action, &error), error);
    for (int k = 0; k < COUNT * 8; k++) check_close(action[k], fused[k], 1e-5);
    d->table->group_destroy(group);
    d->table->free(d->device, mean);
    d->table->free(d->device, weights);
    free(zero);
}

static void gradient_by_products(const opened *d, hb_products *products) {
    enum { TERMS = 6, N = 100 };
    float z[TERMS] = {1.5f, -2.0f, 0.25f, 0.0f, 1e-3f, -1.0f};
    hb_error error = {""};
    float noise[TERMS * N], g[N], expected[N];
    for (uint32_t k = 0; k < TERMS; k++) {
        hb_noise id = noise_id;
        id.individual = k;
        for (uint32_t i = 0; i < N; i++) noise[k * N + i] = hb_noise_normal(id, i);
    }
    memset(g, 0, sizeof g);
    float *matrix = uploaded(d, noise, TERMS * N), *there = uploaded(d, g, N);
    check_ok(d->table->gradient(d->device, there, z, TERMS, noise_id, 0, N, &error), error);
    download(d, expected, there, N);
    check_ok(d->table->products->gradient(products, there, z, matrix, TERMS, N, &error), error);
    memset(z, 0, sizeof z); // it was waited for
    download(d, g, there, N);
    for (int i = 0; i < N; i++) check_close(g[i], expected[i], 1e-5);
    d->table->free(d->device, matrix);
    d->table->free(d->device, there);
}

static void products_of_a_library(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    for (int k = 0; k < n; k++) {
        const hb_products_table *table = list[k].table->products;
        hb_products *products;
        hb_error why;
        if (!table) continue;
        if (table->open(list[k].device, &products, &why) != HB_OK) {
            print_message("[  SKIPPED ] %s\n", why.message);
            continue;
        }
        forward_by_products(&list[k], products);
        gradient_by_products(&list[k], products);
        table->close(products);
    }
    close_all(list, n);
}

#ifdef HB_CUDA_ON_CPU
// What the fused step of an Ant asks of global memory, in bytes and in sectors of 32 bytes per request of a warp,
// against what it must: every weight and plane read once, every weight written once, at 32 bytes a sector.
static void count_step(const opened *d, bool half) {
    const hb_net_def def = {.inputs = 28,
                            .outputs = 8,
                            .n_hidden = 2,
                            .hidden = {128, 64},
                            .last = HB_TANH,
                            .rule = "ABCD_lr",
                            .half_planes = half,
                            .init = "uni"};
    hb_net net;
    hb_group *group;
    float observation[28] = {0.5f}, action[8];
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    float *numbers = floats((size_t)net.genome_size);
    float *mean = uploaded(d, numbers, (size_t)net.genome_size);
    const hb_lane lane = {{.mean = mean, .sigma = 0.1f, .noise = noise_id}, weights_id};
    assert_string_equal(d->table->name, "cuda");
    d->table->group_create(d->device, &net, 1, &group, NULL);
    d->table->group_expand(group, 1, &only, &lane, NULL, NULL);
    step_one(d, group, observation, action); // the first step updates nothing
    ptx_counters = (ptx_counts){0};
    ptx_count_sectors = true;
    step_one(d, group, observation, action);
    ptx_count_sectors = false;
    const double compulsory = (half ? 16.0 : 24.0) * (double)net.n_weights;
    const double bytes = (double)(ptx_counters.bytes_loaded + ptx_counters.bytes_stored);
    const double sectors = 32.0 * (double)ptx_counters.sectors;
    print_message(
        "step.ant%s on CUDA: compulsory %.0f bytes, asked %.3f of them, in sectors %.3f; %llu instructions\n",
        half ? ".half" : "", compulsory, bytes / compulsory, sectors / compulsory,
        (unsigned long long)ptx_counters.instructions);
    assert_true(bytes <= 1.1 * compulsory);
    assert_true(sectors <= 1.1 * compulsory);
    assert_true(bytes >= compulsory && sectors >= compulsory); // or the counters are wrong
    d->table->group_destroy(group);
    d->table->free(d->device, mean);
    free(numbers);
}

static void step_moves_its_compulsory_bytes(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    count_step(&list[0], false);
    count_step(&list[0], true);
    close_all(list, n);
}
#endif

// test_ops [ORDER]: the order of threads and blocks where CUDA runs on the CPU, see ptx.h.
int main(int argc, char **argv) {
#ifdef HB_CUDA_ON_CPU
    ptx_order = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
#else
    (void)argc, (void)argv;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_is_mean_plus_noise),
        cmocka_unit_test(shared_rules),
        cmocka_unit_test(gradient_is_weighted_noise),
        cmocka_unit_test(sgd_and_adam),
        cmocka_unit_test(steps_of_every_rule),
        cmocka_unit_test(groups_work_on_their_own_time),
        cmocka_unit_test(initialisers),
        cmocka_unit_test(initialiser_scales),
        cmocka_unit_test(normalising_extremes),
        cmocka_unit_test(vision),
        cmocka_unit_test(vision_behind_evolved_weights),
        cmocka_unit_test(lstm),
        cmocka_unit_test(products_of_a_library),
#ifdef HB_CUDA_ON_CPU
        cmocka_unit_test(step_moves_its_compulsory_bytes),
#endif
    };
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
