// Initial weights
#include "tests/kernels/ops.h"

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
            const hb_memory mean = uploaded(&list[k], numbers, (size_t)net.genome_size);
            free(numbers);
            hb_group_create(list[k].device, &net, 1, &group, NULL);
            const hb_birth birth = {{.mean = mean, .noise = noise_id}, weights_id};
            hb_group_expand(group, 1, &only, &birth, NULL, NULL);
            hb_group_weights(group, 0, 0, w, NULL);
            double sum = 0, squares = 0, largest = 0;
            int zeros = 0;
            for (int e = 0; e < 5000; e++) {
                sum += (double)w[e];
                squares += (double)w[e] * (double)w[e];
                largest = larger(largest, fabs((double)w[e]));
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
                for (int e = 0; e < 5000; e++) assert_true((double)w[e] == s);
            }
            const uint64_t bits = hash(1, w, 5000);
            if (k == 0) first = bits;
            assert_true(bits == first);
            hb_group_destroy(group);
            hb_device_free(list[k].device, mean);
        }
    }
    close_all(list, n);
}

// The published scales (docs/equations.md, "Initial weights").
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

int ops_expand(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initialisers),
        cmocka_unit_test(initialiser_scales),
    };
    return cmocka_run_group_tests_name("ops_expand", tests, NULL, NULL);
}
