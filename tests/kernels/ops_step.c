// The fused step: an oracle in double precision restarts from the device's own weights at every step
#include "tests/kernels/ops.h"

// The interpreter takes a second for what a card does in a microsecond.
#ifdef HB_CUDA_ON_CPU
#define FEW 1
#else
#define FEW (getenv("HB_QUICK") != NULL)
#endif

enum { STEPS = 5, MORE_STEPS = 8, LANES = 3, WIDEST = 512 };

// An exact value and a bound on what float32 may make of it.
typedef struct {
    double value, error;
} bounded;

// What one step put into and out of each layer, as the next updates take it.
typedef struct {
    bounded input[4][WIDEST], output[4][WIDEST];
} moment;

typedef struct {
    hb_net net;
    hb_memory mean;                                              // (D)
    float *genome;                                               // (D)
    float *w[HB_MAX_LAYERS];                                     // (I, O), now
    float *birth[HB_MAX_LAYERS];                                 // (I, O), at birth
    bounded *trace[HB_MAX_LAYERS], *trace_before[HB_MAX_LAYERS]; // the last update
    int32_t steps;                                               // since birth, or since weights were put
    moment moment[MORE_STEPS];
    bounded gate; // the last layer's last output
} oracle;

static double half_if(const hb_net *net, double value) {
    // The definition rounds to float first, which decides ties; one product and one sum are exact enough in double.
    return net->half_planes ? nearest_half((double)(float)value) : value;
}

static double coefficient(const hb_rule *rule, const float *h, int which) {
    const double eta = rule->eta >= 0 ? (double)h[rule->eta] : 1.0;
    const int at = which == 0 ? rule->a : which == 1 ? rule->b : rule->c;
    if (which < 3) return at >= 0 ? eta * (double)h[at] : 0.0;
    return (rule->d_in >= 0 ? eta * (double)h[rule->d_in] : 0.0) + (rule->d_out >= 0 ? (double)h[rule->d_out] : 0.0);
}

static double activation(hb_activation f, double x) {
    return f == HB_TANH ? tanh(x) : x;
}

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

// What an update learns from: the mean over the last steps of one number.
static bounded average(const oracle *o, int32_t l, int32_t at, bool is_output) {
    const int32_t most = o->net.plasticity.average > 1 ? o->net.plasticity.average : 1;
    const int32_t n = o->steps < most ? o->steps : most;
    bounded mean = {0, 0};
    for (int32_t k = 1; k <= n; k++) {
        const moment *m = &o->moment[o->steps - k];
        const bounded x = is_output ? m->output[l][at] : m->input[l][at];
        mean.value += x.value / n;
        mean.error += x.error / n + 2 * n * unit * fabs(x.value) / n;
    }
    return mean;
}

// w after an update, before normalising: the formula of docs/equations.md, "Plasticity".
static bounded update(const oracle *o, int32_t l, size_t e, bounded m) {
    const hb_net *net = &o->net;
    const hb_rule *rule = net->rule;
    const hb_plasticity *p = &net->plasticity;
    const int32_t outputs = net->layer[l].outputs;
    const bounded pre = average(o, l, (int32_t)e / outputs, false), post = average(o, l, (int32_t)e % outputs, true);
    const double y = rule->squares_post ? post.value * post.value : post.value;
    const double y_error = rule->squares_post ? 2 * fabs(post.value) * post.error : post.error;
    const float *h = o->genome + net->layer[l].genome_offset + (int64_t)e * rule->n_coefficients;
    const double w = (double)o->w[l][e], pull = (double)p->decay * (double)o->birth[l][e];
    const bool apart = p->modulator != HB_MODULATE_NONE || p->trace > 0; // what stands in d would be modulated
    const double a = half_if(net, coefficient(rule, h, 0)), b = half_if(net, coefficient(rule, h, 1)),
                 c = half_if(net, coefficient(rule, h, 2)),
                 d = half_if(net, coefficient(rule, h, 3) + (apart ? 0 : pull));
    bounded change = {a * pre.value * y + b * pre.value + c * y + d, 0};
    const double size = fabs(a * pre.value * y) + fabs(b * pre.value) + fabs(c * y) + fabs(d);
    change.error = fabs(a * y + b) * pre.error + fabs(a * pre.value + c) * y_error + 4 * unit * size;
    if (p->trace > 0) {
        bounded *trace = &o->trace[l][e];
        change.value += (double)p->trace * trace->value;
        change.error += (double)p->trace * trace->error + unit * fabs(change.value);
        *trace = change;
    }
    const double kept = 1 - (double)p->decay - (double)p->oja * post.value * post.value;
    const double value = kept * w + m.value * change.value + (apart ? half_if(net, pull) : 0);
    const double rounding = fabs(w) * (2 + (double)p->oja) + fabs(m.value) * size + fabs(change.value) + fabs(pull);
    return (bounded){value, 2 * fabs(m.value) * change.error + fabs(change.value) * m.error +
                                2 * (double)p->oja * fabs(w * post.value) * post.error + HALF_ULPS * unit * rounding};
}

// The weights that an update makes of o->w, which becomes what the device has; compared with that.
static void check_update(oracle *o, hb_group *group, int32_t lane, bool updates, bounded m, double *worst) {
    const hb_net *net = &o->net;
    for (int32_t l = 0; l < net->n_layers; l++) {
        const size_t outputs = (size_t)net->layer[l].outputs, size = (size_t)net->layer[l].inputs * outputs;
        bounded *next = calloc(size, sizeof *next);
        assert_non_null(next);
        memcpy(o->trace_before[l], o->trace[l], size * sizeof(bounded));
        bounded largest = {0, 0};
        for (size_t e = 0; e < size; e++) {
            next[e] = updates ? update(o, l, e, m) : (bounded){(double)o->w[l][e], 0};
            if (fabs(next[e].value) > largest.value) largest = (bounded){fabs(next[e].value), next[e].error};
        }
        const bool divide = net->normalise && updates && largest.value > 0;
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
        free(got);
        free(next);
    }
}

// Disturbs lane 1: its last actions become what the next update takes as the last layer's output.
static void put_output(oracle *o, hb_group *group) {
    const int32_t last = o->net.n_layers - 1;
    float put[WIDEST];
    for (int32_t j = 0; j < hb_net_actions(&o->net); j++) {
        put[j] = 0.25f * hb_noise_normal(weights_id, (uint64_t)j);
        o->moment[o->steps - 1].output[last][j] = (bounded){(double)put[j], 0};
    }
    check_ok(hb_group_put_output(group, 1, put, NULL), (hb_error){"put output"});
}

// Its weights become others, a column of 0 among them. What the last update added to the traces is dropped with it.
static void put_weights(oracle *o, hb_group *group) {
    float *all = floats((size_t)o->net.n_weights);
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const hb_layer *layer = &o->net.layer[l];
        const size_t outputs = (size_t)layer->outputs, size = (size_t)layer->inputs * outputs;
        for (size_t e = 0; e < size; e++) o->w[l][e] = e % outputs ? 0.75f * o->w[l][e] : 0.0f;
        memcpy(all + layer->weight_offset, o->w[l], size * sizeof *all);
        memcpy(o->trace[l], o->trace_before[l], size * sizeof(bounded));
    }
    check_ok(hb_group_put_weights(group, 1, all, NULL), (hb_error){"put weights"});
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const size_t size = (size_t)o->net.layer[l].inputs * (size_t)o->net.layer[l].outputs;
        check_ok(hb_group_weights(group, 1, l, all, NULL), (hb_error){"weights"});
        assert_memory_equal(all, o->w[l], size * sizeof *all);
    }
    if (o->net.rule) o->steps = 0;
    free(all);
}

// One step in double precision from the weights o->w: the action is compared; what went in and out is kept.
static void check_forward(oracle *o, const float *x, float reward, const float *action) {
    const hb_net *net = &o->net;
    moment *now = &o->moment[o->steps];
    const int32_t own = hb_net_inputs(net);
    for (int32_t i = 0; i < own; i++) now->input[0][i] = (bounded){(double)x[i], 0};
    if (net->sees_reward) now->input[0][own] = (bounded){(double)reward, 0};
    for (int32_t l = 0; l < net->n_layers; l++) {
        const hb_layer *layer = &net->layer[l];
        if (net->bias) now->input[l][layer->inputs - 1] = (bounded){1, 0};
        for (int32_t j = 0; j < layer->outputs; j++) now->output[l][j] = forward(o, l, j, now->input[l]);
        if (l + 1 < net->n_layers)
            memcpy(now->input[l + 1], now->output[l], (size_t)layer->outputs * sizeof(bounded));
    }
    const bounded *output = now->output[net->n_layers - 1];
    for (int32_t j = 0; j < hb_net_actions(net); j++)
        check_close(action[j], output[j].value, output[j].error + 4 * unit * fabs(output[j].value));
    o->gate = output[net->layer[net->n_layers - 1].outputs - 1];
}

static bool updates_now(const oracle *o) {
    const int32_t every = o->net.plasticity.every > 1 ? o->net.plasticity.every : 1;
    return o->net.rule && o->steps > 0 && (o->steps - 1) % every == 0;
}

static void close_oracle(const opened *d, oracle *o) {
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        free(o->w[l]);
        free(o->birth[l]);
        free(o->trace[l]);
        free(o->trace_before[l]);
    }
    hb_device_free(d->device, o->mean);
    free(o->genome);
    free(o);
}

static oracle *open_oracle(const opened *d, const hb_net_def *def) {
    hb_error error = {""};
    oracle *o = calloc(1, sizeof *o);
    assert_non_null(o);
    check_ok(hb_net_init(&o->net, def, &error), error);
    const size_t size = (size_t)o->net.genome_size;
    o->genome = floats(size);
    for (size_t k = 0; k < size; k++) o->genome[k] = 0.3f * hb_noise_normal(weights_id, k);
    o->mean = uploaded(d, o->genome, size);
    const hb_genome genome = {.mean = o->mean, .sigma = 0.1f, .noise = noise_id};
    const hb_memory sampled = uploaded(d, o->genome, size);
    check_ok(hb_device_sample(d->device, &genome, sampled, 0, size, &error), error);
    download(d, o->genome, sampled, size);
    hb_device_free(d->device, sampled);
    for (int32_t l = 0; l < o->net.n_layers; l++) {
        const size_t n = (size_t)o->net.layer[l].inputs * (size_t)o->net.layer[l].outputs;
        o->w[l] = floats(n);
        o->birth[l] = floats(n);
        o->trace[l] = calloc(n, sizeof *o->trace[l]);
        o->trace_before[l] = calloc(n, sizeof *o->trace_before[l]);
        assert_true(o->trace[l] && o->trace_before[l]);
    }
    return o;
}

// Births in lanes 0 and 1, antithetic twins.
static void expand_twins(const oracle *o, hb_group *group, double squares[2]) {
    hb_error error = {""};
    const int32_t both[2] = {0, 1};
    hb_birth births[2] = {{{.mean = o->mean, .sigma = -0.1f, .noise = noise_id}, weights_id}};
    births[1] = births[0];
    births[1].genome.sigma = 0.1f;
    check_ok(hb_group_expand(group, 2, both, births, squares, &error), error);
    check_ok(hb_group_wait(group, &error), error);
}

// A group whose lanes 0 and 1 hold births; where lanes keep more than weights, others have lived in them before.
static hb_group *begin_lives(const opened *d, oracle *o) {
    hb_error error = {""};
    const hb_net *net = &o->net;
    hb_group *group;
    double squares[2], expected = 0;
    float x[WIDEST] = {0.7f}, action[WIDEST];
    const float reward[2] = {1.0f, -1.0f};
    const int32_t both[2] = {0, 1};
    check_ok(hb_group_create(d->device, net, LANES, &group, &error), error);
    expand_twins(o, group, squares);
    for (int t = 0; t < 3 && (net->gated || hb_net_history(net) > 2); t++) {
        check_ok(hb_group_step(group, 2, both, x, reward, action, &error), error);
        check_ok(hb_group_wait(group, &error), error);
    }
    expand_twins(o, group, squares);
    for (int64_t k = 0; k < net->n_penalised; k++) expected += (double)o->genome[k] * (double)o->genome[k];
    check_close(squares[1], expected, 1e-5 * expected);
    for (int32_t l = 0; l < net->n_layers; l++) {
        hb_group_weights(group, 1, l, o->w[l], NULL);
        hb_group_weights(group, 1, l, o->birth[l], NULL);
    }
    return group;
}

// Lives some steps of lane 1 between two others, one of which never starts; returns the hash of all it saw.
static uint64_t live(const opened *d, const hb_net_def *def, int steps, double *worst) {
    hb_error error = {""};
    oracle *o = open_oracle(d, def);
    const hb_net *net = &o->net;
    hb_group *group = begin_lives(d, o);
    const bool by_reward = net->plasticity.modulator == HB_MODULATE_REWARD;
    const int32_t both[2] = {0, 1}, swapped[2] = {1, 0};
    uint64_t bits = 1;
    const size_t inputs = (size_t)def->inputs, outputs = (size_t)def->outputs;
    float *x = floats(2 * inputs), *action = floats(2 * outputs + 16), reward[2];
    for (int t = 0; t < steps; t++) {
        for (size_t i = 0; i < 2 * inputs; i++)
            x[i] = t == 3 ? (i % 2 ? 5.0f : -5.0f) : hb_noise_normal(noise_id, (uint64_t)t * 2 * inputs + i);
        for (size_t j = 0; j < 2 * outputs + 16; j++) action[j] = -7.0f;
        for (int k = 0; k < 2; k++) reward[k] = hb_noise_normal(weights_id, (uint64_t)(2 * t + k));
        // Lane 0 rests once, and the rows change places once: lane 1 must not notice.
        const int32_t count = t == 2 ? 1 : 2, row = t == 2 || t == 4 ? 0 : 1;
        check_ok(hb_group_step(group, count, row ? both : swapped, x, hb_net_takes_reward(net) ? reward : NULL,
                               action, &error),
                 error);
        check_ok(hb_group_wait(group, &error), error);
        for (size_t j = (size_t)count * outputs; j < 2 * outputs + 16; j++) assert_true(action[j] == -7.0f);
        // An update by reward is seen once the step that brings the reward is done; others at once.
        if (by_reward) check_update(o, group, 1, updates_now(o), (bounded){(double)reward[row], 0}, worst);
        check_forward(o, x + (size_t)row * inputs, reward[row], action + (size_t)row * outputs);
        o->steps++;
        if (t == 1 || t == 3) put_output(o, group); // before and after its count of steps starts anew
        const bool gates = net->plasticity.modulator == HB_MODULATE_OUTPUT;
        check_update(o, group, 1, updates_now(o) && !by_reward, gates ? o->gate : (bounded){1, 0}, worst);
        if (t == 2) put_weights(o, group);
        bits = hash(bits, action, 2 * outputs);
        for (int32_t l = 0; l < net->n_layers; l++)
            bits = hash(bits, o->w[l], (size_t)net->layer[l].inputs * (size_t)net->layer[l].outputs);
    }
    // The lane that never started is as it was made.
    const size_t first = (size_t)net->layer[0].inputs * (size_t)net->layer[0].outputs;
    float *untouched = floats(first);
    hb_group_weights(group, 2, 0, untouched, NULL);
    for (size_t e = 0; e < first; e++) assert_true(untouched[e] == 0.0f);
    free(untouched);
    hb_group_destroy(group);
    close_oracle(d, o);
    free(x);
    free(action);
    return bits;
}

// The same on all devices and builds: equal bits.
static void live_everywhere(const opened *list, int n, const hb_net_def *def, int steps, const char *what,
                            double *worst) {
    uint64_t first = 0;
    for (int k = 0; k < n; k++) {
        const uint64_t bits = live(&list[k], def, steps, worst);
        if (k == 0) first = bits;
        if (bits != first) print_error("%s: build %d differs\n", what, k);
        assert_true(bits == first);
    }
}

static const hb_net_def shapes[] = {
    {.inputs = 1, .outputs = 1, .n_hidden = 0, .last = HB_TANH},
    {.inputs = 33, .outputs = 31, .n_hidden = 0, .last = HB_LINEAR},
    {.inputs = 5, .outputs = 3, .n_hidden = 1, .hidden = {17}, .last = HB_LINEAR},
    {.inputs = 31, .outputs = 32, .n_hidden = 2, .hidden = {33, 1}, .last = HB_TANH},
    {.inputs = 28, .outputs = 8, .n_hidden = 2, .hidden = {128, 64}, .last = HB_TANH},
    {.inputs = 3, .outputs = 2, .n_hidden = 2, .hidden = {300, 130}, .last = HB_TANH},
    {.inputs = 7, .outputs = 8, .n_hidden = 1, .hidden = {16}, .last = HB_TANH}, // no room left behind a layer
};

static void steps_of_every_rule(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    double worst = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int32_t r = -1; r < hb_n_rules; r++)
            for (int how = 0; how < 3; how++) {
                if (getenv("HB_QUICK") && (s == 1 || s == 4 || s == 5 || (r >= 0 && r % 3))) continue;
                if (how == 2 && (s == 1 || s == 5 || r < 0 || r % 2)) continue;
                hb_net_def def = shapes[s];
                def.rule = r < 0 ? NULL : hb_rules[r].name;
                def.init = "xa_uni_big";
                def.normalise = how == 1;
                def.half_planes = how == 2;
                char what[64];
                snprintf(what, sizeof what, "shape %zu, rule %d, way %d", s, (int)r, how);
                live_everywhere(list, n, &def, STEPS, what, &worst);
            }
    print_message("largest error: %.2f of the tolerance\n", worst);
    assert_true(worst > 0.001); // the oracle is not the code under test
    close_all(list, n);
}

// How updates enter the weights: each way alone, and some together.
static const struct {
    const char *name;
    hb_net_def def; // without sizes
} ways[] = {
    {"average", {.rule = "ABCD", .plasticity = {.average = 3}}},
    {"every", {.rule = "ABCD", .plasticity = {.every = 2}}},
    {"every, normalised", {.rule = "AD_lr", .normalise = true, .plasticity = {.every = 3}}},
    {"average, every, normalised", {.rule = "ABCD_lr", .normalise = true, .plasticity = {.average = 4, .every = 2}}},
    {"decay in d", {.rule = "ABCD", .plasticity = {.decay = 0.125f}}},
    {"decay makes d", {.rule = "A", .half_planes = true, .plasticity = {.decay = 0.3f}}},
    {"decay, normalised", {.rule = "ABC_lr", .normalise = true, .plasticity = {.decay = 0.5f}}},
    {"Oja", {.rule = "A", .plasticity = {.oja = 0.2f}}},
    {"Oja, decay", {.rule = "ABCD", .normalise = true, .plasticity = {.oja = 0.1f, .decay = 0.1f}}},
    {"traces", {.rule = "ABCD", .plasticity = {.trace = 0.9f}}},
    {"traces of halves", {.rule = "ABCD_lr", .half_planes = true, .plasticity = {.trace = 0.5f}}},
    {"traces, decay", {.rule = "ABC", .plasticity = {.trace = 0.7f, .decay = 0.2f}}},
    {"reward", {.rule = "ABCD", .plasticity = {.modulator = HB_MODULATE_REWARD}}},
    {"reward, traces, every",
     {.rule = "ABCD", .normalise = true, .plasticity = {.modulator = HB_MODULATE_REWARD, .trace = 0.8f, .every = 2}}},
    {"output", {.rule = "ABCD_lr", .plasticity = {.modulator = HB_MODULATE_OUTPUT}}},
    {"output, decay, halves",
     {.rule = "AD", .half_planes = true, .plasticity = {.modulator = HB_MODULATE_OUTPUT, .decay = 0.25f}}},
    {"biases", {.rule = "ABCD", .bias = true}},
    {"biases and reward", {.rule = "A", .bias = true, .sees_reward = true}},
    {"a static net with both", {.bias = true, .sees_reward = true}},
    {"all of it",
     {.rule = "ABCD_lr_D_in_and_out",
      .normalise = true,
      .bias = true,
      .sees_reward = true,
      .plasticity =
          {.average = 2, .every = 2, .decay = 0.1f, .oja = 0.05f, .trace = 0.6f, .modulator = HB_MODULATE_OUTPUT}}},
};

static hb_net_def with_shape(hb_net_def def, size_t shape) {
    def.inputs = shapes[shape].inputs;
    def.outputs = shapes[shape].outputs;
    def.n_hidden = shapes[shape].n_hidden;
    memcpy(def.hidden, shapes[shape].hidden, sizeof def.hidden);
    def.last = shapes[shape].last;
    def.init = "xa_uni_big";
    return def;
}

static void steps_of_every_plasticity(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    double worst = 0;
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            if (s == 1 || s == 4 || s == 5 || (s == 6 && !ways[way].def.bias) || (FEW && s != 2 && s != 6)) continue;
            const hb_net_def def = with_shape(ways[way].def, s);
            live_everywhere(list, n, &def, MORE_STEPS, ways[way].name, &worst);
        }
    // The last way, with all of it, for every rule.
    for (int32_t r = 0; r < hb_n_rules; r++) {
        hb_net_def def = with_shape(ways[sizeof ways / sizeof *ways - 1].def, 2);
        def.rule = hb_rules[r].name;
        live_everywhere(list, n, &def, MORE_STEPS, def.rule, &worst);
    }
    print_message("largest error: %.2f of the tolerance\n", worst);
    assert_true(worst > 0.001);
    close_all(list, n);
}

// Groups are asynchronous: calls without a wait between them, two groups at once, more lives than a chunk of them holds, lanes in
// any order, right behind a search step that was not waited for. The CPU device, which is synchronous, gives the expected bits.
static void groups_are_asynchronous(void **state) {
    (void)state;
    enum { MANY = 70, CALLS = 7, BUFFERS = 4 };
    // The third call is the second one again, the fourth is so with other rewards, the fifth is the fourth, the sixth so but for its buffer.
    static const int buffer[CALLS] = {0, 1, 1, 1, 1, 2, 3}, rewards[CALLS] = {0, 1, 1, 2, 2, 2, 2};
    opened list[8];
    const int n = open_all(list);
    const hb_net_def def = {
        .inputs = 2, .outputs = 3, .last = HB_TANH, .rule = "A", .init = "coevolve", .sees_reward = true};
    hb_net net;
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    const size_t size = (size_t)net.genome_size;
    assert_int_equal(size, 18); // (2 + 1) x 3 synapses: a rule and a first weight each
    uint64_t last = 0;
    for (int k = n - 1; k >= 0; k--) { // the CPU first
        hb_error error = {""};
        float ones[18], mean_now[18] = {0};
        for (size_t d = 0; d < size; d++) ones[d] = 1.0f;
        const hb_memory mean = uploaded(&list[k], mean_now, size), g = uploaded(&list[k], ones, size);
        check_ok(hb_device_sgd(list[k].device, mean, g, 0.5f, 0, size, &error), error);
        hb_group *group[2];
        hb_birth birth[MANY];
        double squares[2][MANY];
        int32_t lane[2][MANY];
        float x[2][2 * MANY], action[2][BUFFERS][3 * MANY], reward[3][MANY];
        for (int a = 0; a < MANY; a++) {
            birth[a] = (hb_birth){{.mean = mean, .sigma = 0.5f, .noise = noise_id}, weights_id};
            birth[a].genome.noise.individual = (uint32_t)a;
            lane[0][a] = a, lane[1][a] = (a * 27 + 5) % MANY;
        }
        for (int t = 0; t < 2; t++)
            for (int a = 0; a < 2 * MANY; a++) x[t][a] = hb_noise_normal(weights_id, (uint64_t)(t * 2 * MANY + a));
        for (int a = 0; a < 3 * MANY; a++) reward[a / MANY][a % MANY] = hb_noise_normal(noise_id, (uint64_t)a);
        for (int b = 0; b < 2; b++) check_ok(hb_group_create(list[k].device, &net, MANY, &group[b], &error), error);
        check_ok(hb_group_expand(group[0], MANY, lane[1], birth, squares[0], &error), error);
        for (int a = 0; a < MANY; a += MANY / 2)
            check_ok(hb_group_expand(group[1], MANY / 2, lane[0] + a, birth + a, squares[1] + a, &error), error);
        for (int t = 0; t < CALLS; t++)
            for (int b = 0; b < 2; b++)
                check_ok(hb_group_step(group[b], t == CALLS - 1 ? MANY - 3 : MANY, lane[(b + t) % 2],
                                       x[t == CALLS - 1], reward[rewards[t]], action[b][buffer[t]], &error),
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
        cmocka_unit_test(steps_of_every_plasticity),
        cmocka_unit_test(groups_are_asynchronous),
        cmocka_unit_test(normalising_extremes),
    };
    return cmocka_run_group_tests_name("ops_step", tests, NULL, NULL);
}
