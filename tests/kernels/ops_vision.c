// Convolutions before the first layer
#include "tests/kernels/ops.h"

// Two lanes of a network with vision and one linear layer, on one device: actions of two steps against the definition.
// Returns a hash of all actions.
static uint64_t act_on_pictures(const opened *d, const hb_net_def *def, const hb_net *net) {
    hb_error error = {""};
    const size_t size = (size_t)net->genome_size, words = hb_net_observation_words(net);
    float *numbers = floats(size), action[2 * 3];
    for (size_t e = 0; e < size; e++) numbers[e] = 0.25f * hb_noise_normal(noise_id, e);
    const hb_memory mean = uploaded(d, numbers, size);
    float *observation = floats(2 * words);
    hb_birth birth = {{.mean = mean, .noise = noise_id}, weights_id};
    const hb_birth births[2] = {birth, birth};
    const int32_t lanes[2] = {1, 0};
    hb_group *group;
    check_ok(hb_group_create(d->device, net, 2, &group, &error), error);
    check_ok(hb_group_expand(group, 2, lanes, births, NULL, &error), error);
    uint64_t bits = 1;
    for (uint32_t t = 0; t < 2; t++) {
        uint8_t *bytes[2] = {(uint8_t *)observation, (uint8_t *)(observation + words)};
        for (int32_t p = 0; p < net->vision.n_pixels; p++)
            for (uint32_t k = 0; k < 2; k++)
                bytes[k][p] = (uint8_t)(hb_noise_word(weights_id, (uint64_t)p + t) >> (8 * k));
        check_ok(hb_group_step(group, 2, lanes, observation, NULL, action, &error), error);
        check_ok(hb_group_wait(group, &error), error);
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
            convolve_naively(&net->vision.layer[0], w, x, y);
            convolve_naively(&net->vision.layer[1], w + net->vision.layer[1].offset, y, features);
            for (int32_t j = 0; j < 3; j++) {
                double sum = 0;
                for (int32_t i = 0; i < net->layer[0].inputs; i++) sum += (double)numbers[i * 3 + j] * features[i];
                check_close(action[k * 3 + (uint32_t)j], sum, 2e-5);
            }
        }
        free(w), free(x), free(y), free(features);
    }
    hb_group_destroy(group);
    hb_device_free(d->device, mean);
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
                const uint64_t bits = act_on_pictures(&list[k], &def, &net);
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
        const hb_memory mean = uploaded(&list[k], numbers, size);
        const hb_birth birth = {{.mean = mean, .noise = noise_id}, weights_id};
        hb_group_create(list[k].device, &net, 1, &group, NULL);
        hb_group_expand(group, 1, &only, &birth, NULL, NULL);
        hb_group_weights(group, 0, 0, w, NULL);
        for (int64_t e = 0; e < net.n_weights; e++) assert_true(w[e] == numbers[2 * net.n_weights + e]);
        uint64_t bits = 1;
        for (int t = 0; t < 4; t++) {
            step_one(group, observation, action);
            bits = hash(bits, action, 3);
        }
        hb_group_weights(group, 0, 0, w, NULL);
        bits = hash(bits, w, (size_t)net.n_weights);
        if (k == 0) first = bits;
        assert_true(bits == first);
        hb_group_destroy(group);
        hb_device_free(list[k].device, mean);
    }
    free(numbers);
    free(w);
    close_all(list, n);
}

int ops_vision(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vision),
        cmocka_unit_test(vision_behind_evolved_weights),
    };
    return cmocka_run_group_tests_name("ops_vision", tests, NULL, NULL);
}
