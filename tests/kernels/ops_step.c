// The fused step: an oracle in double precision restarts from the device's own weights at every step
#include "tests/kernels/ops.h"

enum { STEPS = 5, LANES = 3 };

typedef struct {
    hb_net net;
    hb_memory mean;          // (D)
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
static void put_output(oracle *o, hb_group *group) {
    const int32_t outputs = o->net.layer[o->net.n_layers - 1].outputs;
    for (int32_t j = 0; j < outputs; j++) o->put[j] = 0.25f * hb_noise_normal(weights_id, (uint64_t)j);
    o->has_put = true;
    check_ok(hb_group_put_output(group, 1, o->put, NULL), (hb_error){"put output"});
}

// Its weights become others, a column of 0 among them.
static void put_weights(oracle *o, hb_group *group) {
    float *all = floats((size_t)o->net.n_weights);
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const hb_layer *layer = &o->net.layer[l];
        const size_t outputs = (size_t)layer->outputs, size = (size_t)layer->inputs * outputs;
        for (size_t e = 0; e < size; e++) o->w[l][e] = e % outputs ? 0.75f * o->w[l][e] : 0.0f;
        memcpy(all + layer->weight_offset, o->w[l], size * sizeof *all);
    }
    check_ok(hb_group_put_weights(group, 1, all, NULL), (hb_error){"put weights"});
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const size_t size = (size_t)o->net.layer[l].inputs * (size_t)o->net.layer[l].outputs;
        check_ok(hb_group_weights(group, 1, l, all, NULL), (hb_error){"weights"});
        assert_memory_equal(all, o->w[l], size * sizeof *all);
    }
    free(all);
}

// One step in double precision from the weights o->w: the action is compared; then each layer's next weights.
static void check_step(oracle *o, hb_group *group, int32_t lane, const float *x, const float *action, double *worst) {
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
        check_ok(hb_group_weights(group, lane, l, got, NULL), (hb_error){"weights"});
        for (size_t e = 0; e < size; e++) {
            const double by = divide ? largest.value : 1.0;
            const double relative = divide ? largest.error / largest.value + 4 * unit : 0;
            const double expected = next[e].value / by;
            const double tolerance = next[e].error / by + fabs(expected) * relative + 1e-30;
            *worst = larger(*worst, fabs((double)got[e] - expected) / tolerance);
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
    const hb_memory sampled = uploaded(d, o->genome, size);
    check_ok(hb_device_sample(d->device, &genome, sampled, 0, size, &error), error);
    download(d, o->genome, sampled, size);
    hb_device_free(d->device, sampled);
    hb_group *group;
    check_ok(hb_group_create(d->device, net, LANES, &group, &error), error);
    const hb_birth births[2] = {{{.mean = o->mean, .sigma = -0.1f, .noise = noise_id}, weights_id},
                                {genome, weights_id}};
    double squares[2], expected = 0;
    const int32_t both[2] = {0, 1}, swapped[2] = {1, 0};
    check_ok(hb_group_expand(group, 2, both, births, squares, &error), error);
    check_ok(hb_group_wait(group, &error), error);
    for (int64_t k = 0; k < net->n_penalised; k++) expected += (double)o->genome[k] * (double)o->genome[k];
    check_close(squares[1], expected, 1e-5 * expected);
    uint64_t bits = 1;
    for (int32_t l = 0; l < net->n_layers; l++) {
        o->w[l] = floats((size_t)net->layer[l].inputs * (size_t)net->layer[l].outputs);
        hb_group_weights(group, 1, l, o->w[l], NULL);
    }
    const size_t inputs = (size_t)def->inputs, outputs = (size_t)def->outputs;
    float *x = floats(2 * inputs), *action = floats(2 * outputs + 16);
    for (int t = 0; t < STEPS; t++) {
        for (size_t i = 0; i < 2 * inputs; i++)
            x[i] = t == 3 ? (i % 2 ? 5.0f : -5.0f) : hb_noise_normal(noise_id, (uint64_t)t * 2 * inputs + i);
        for (size_t j = 0; j < 2 * outputs + 16; j++) action[j] = -7.0f;
        // Lane 0 rests once, and the rows change places once: lane 1 must not notice.
        const int32_t count = t == 2 ? 1 : 2, row = t == 2 || t == 4 ? 0 : 1;
        check_ok(hb_group_step(group, count, row ? both : swapped, x, action, &error), error);
        check_ok(hb_group_wait(group, &error), error);
        for (size_t j = (size_t)count * outputs; j < 2 * outputs + 16; j++) assert_true(action[j] == -7.0f);
        if (t == 1 || t == 3) put_output(o, group); // before and after its count of steps starts anew
        check_step(o, group, 1, x + (size_t)row * inputs, action + (size_t)row * outputs, worst);
        if (t == 2) put_weights(o, group);
        bits = hash(bits, action, 2 * outputs);
        for (int32_t l = 0; l < net->n_layers; l++)
            bits = hash(bits, o->w[l], (size_t)net->layer[l].inputs * (size_t)net->layer[l].outputs);
    }
    // The lane that never started is as it was made.
    float *untouched = floats((size_t)def->inputs * (size_t)net->layer[0].outputs);
    hb_group_weights(group, 2, 0, untouched, NULL);
    for (int64_t e = 0; e < (int64_t)def->inputs * net->layer[0].outputs; e++) assert_true(untouched[e] == 0.0f);
    free(untouched);
    for (int32_t l = 0; l < net->n_layers; l++) free(o->w[l]);
    hb_group_destroy(group);
    hb_device_free(d->device, o->mean);
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

// Groups are asynchronous: calls without a wait between them, two groups at once, more lives than a chunk of them holds, lanes in
// any order, right behind a search step that was not waited for. The CPU device, which is synchronous, gives the expected bits.
static void groups_are_asynchronous(void **state) {
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
        hb_error error = {""};
        float ones[12], mean_now[12] = {0};
        for (size_t d = 0; d < size; d++) ones[d] = 1.0f;
        const hb_memory mean = uploaded(&list[k], mean_now, size), g = uploaded(&list[k], ones, size);
        check_ok(hb_device_sgd(list[k].device, mean, g, 0.5f, 0, size, &error), error);
        hb_group *group[2];
        hb_birth birth[MANY];
        double squares[2][MANY];
        int32_t lane[2][MANY];
        float x[2][2 * MANY], action[2][BUFFERS][3 * MANY];
        for (int a = 0; a < MANY; a++) {
            birth[a] = (hb_birth){{.mean = mean, .sigma = 0.5f, .noise = noise_id}, weights_id};
            birth[a].genome.noise.individual = (uint32_t)a;
            lane[0][a] = a, lane[1][a] = (a * 27 + 5) % MANY;
        }
        for (int t = 0; t < 2; t++)
            for (int a = 0; a < 2 * MANY; a++) x[t][a] = hb_noise_normal(weights_id, (uint64_t)(t * 2 * MANY + a));
        for (int b = 0; b < 2; b++) check_ok(hb_group_create(list[k].device, &net, MANY, &group[b], &error), error);
        check_ok(hb_group_expand(group[0], MANY, lane[1], birth, squares[0], &error), error);
        for (int a = 0; a < MANY; a += MANY / 2)
            check_ok(hb_group_expand(group[1], MANY / 2, lane[0] + a, birth + a, squares[1] + a, &error), error);
        for (int t = 0; t < CALLS; t++)
            for (int b = 0; b < 2; b++)
                check_ok(hb_group_step(group[b], t == 4 ? MANY - 3 : MANY, lane[(b + t) % 2], x[t == 4],
                                       action[b][buffer[t]], &error),
                         error);
        for (int b = 0; b < 2; b++) check_ok(hb_group_wait(group[b], &error), error);
        uint64_t bits = 1;
        for (int b = 0; b < 2; b++) {
            bits = hash(bits, (const float *)squares[b], 2 * MANY);
            for (int t = 0; t < BUFFERS; t++) bits = hash(bits, action[b][t], (t == 3 ? MANY - 3 : MANY) * 3);
            hb_group_destroy(group[b]);
        }
        hb_device_free(list[k].device, mean);
        hb_device_free(list[k].device, g);
        assert_true(k == n - 1 || bits == last);
        last = bits;
    }
    close_all(list, n);
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
        const hb_memory mean = uploaded(&list[k], numbers, 6);
        hb_group_create(list[k].device, &net, 1, &group, NULL);
        const hb_birth birth = {{.mean = mean, .noise = noise_id}, weights_id};
        hb_group_expand(group, 1, &only, &birth, NULL, NULL);
        for (int t = 0; t < 3; t++) step_one(group, zero, action);
        hb_group_weights(group, 0, 0, w, NULL);
        for (int e = 0; e < 6; e++) assert_true(w[e] == 0.0f);
        assert_true(action[0] == 0.0f);
        numbers[0] = NAN;
        hb_device_upload(list[k].device, mean, numbers, 6, NULL);
        hb_group_expand(group, 1, &only, &birth, NULL, NULL);
        for (int t = 0; t < 3; t++) step_one(group, one, action);
        assert_true(isnan(action[0]) && isnan(action[1]));
        hb_group_destroy(group);
        hb_device_free(list[k].device, mean);
    }
    close_all(list, n);
}

int ops_step(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_of_every_rule),
        cmocka_unit_test(groups_are_asynchronous),
        cmocka_unit_test(normalising_extremes),
    };
    return cmocka_run_group_tests_name("ops_step", tests, NULL, NULL);
}
