// Networks with an LSTM cell
#include "tests/kernels/ops.h"

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
    const hb_memory mean = uploaded(d, g, size);
    const hb_birth birth = {{.mean = mean, .noise = noise_id}, weights_id};
    hb_group *group;
    check_ok(hb_group_create(d->device, net, 1, &group, &error), error);
    double *x = calloc((size_t)net->vision.n_pixels + 4096, sizeof *x), *y = calloc(8 * 4096, sizeof *y);
    double *features = calloc(4096, sizeof *features), *w = calloc(size, sizeof *w);
    double *h = calloc((size_t)units, sizeof *h), *c = calloc((size_t)units, sizeof *c),
           *z = calloc((size_t)gates, sizeof *z);
    assert_true(x && y && features && w && h && c && z);
    for (size_t e = 0; e < size; e++) w[e] = (double)g[e];
    uint64_t bits = 1;
    for (int life_number = 0; life_number < 2; life_number++) { // the second one starts without memory
        check_ok(hb_group_expand(group, 1, &only, &birth, NULL, &error), error);
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
                convolve_naively(&net->vision.layer[0], w + hb_net_vision_offset(net), x, y);
                convolve_naively(&net->vision.layer[1], w + hb_net_vision_offset(net) + net->vision.layer[1].offset,
                                 y, features);
                memcpy(x, features, (size_t)inputs * sizeof *x);
            }
            if (t == 3) // its own weights once more: what the cell remembers stays
                check_ok(hb_group_put_weights(group, 0, g, &error), error);
            check_ok(hb_group_step(group, 1, &only, observation, NULL, action, &error), error);
            check_ok(hb_group_wait(group, &error), error);
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
    hb_group_destroy(group);
    hb_device_free(d->device, mean);
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
        if (s == 0) assert_int_equal(net.genome_size, 89600); // as published
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

int ops_lstm(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lstm),
    };
    return cmocka_run_group_tests_name("ops_lstm", tests, NULL, NULL);
}
