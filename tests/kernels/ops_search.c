// Sample, gradient, SGD, Adam
#include "tests/kernels/ops.h"

static const size_t sizes[] = {1, 31, 32, 33, 63, 64, 65, 1000};

static void sample_is_mean_plus_noise(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    for (int k = 0; k < 2 * n; k++) // with one deviation for all, then with spreads
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            const size_t size = sizes[s];
            const opened *d0 = &list[k / 2];
            float *mean = floats(size + 16), *h = floats(size + 16), *spread = floats(size); // 16 numbers of guard
            for (size_t d = 0; d < size + 16; d++) mean[d] = (float)d, h[d] = -7.0f;
            for (size_t d = 0; d < size; d++) spread[d] = k % 2 ? 0.1f * (float)(d % 7 + 1) : 1.0f;
            const hb_memory there = uploaded(d0, mean, size + 16), result = uploaded(d0, h, size + 16);
            const hb_memory spreads = uploaded(d0, spread, size);
            const hb_genome genome = {
                .mean = there, .spread = k % 2 ? spreads : (hb_memory){NULL}, .sigma = -0.25f, .noise = noise_id};
            check_ok(hb_device_sample(d0->device, &genome, result, 0, size, NULL), (hb_error){"sample"});
            download(d0, h, result, size + 16);
            hb_device_free(d0->device, there);
            hb_device_free(d0->device, spreads);
            hb_device_free(d0->device, result);
            for (size_t d = 0; d < size; d++)
                assert_true(h[d] == fmaf(-0.25f * spread[d], hb_noise_normal(noise_id, d), mean[d]));
            free(spread);
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
    for (int how = 0; how < 6;
         how++) { // one to three maps, noise per synapse, two maps and a base, their product and a base
        uint64_t first = 0;
        for (int k = 0; k < n; k++) {
            hb_error error = {""};
            float *mean = floats(numbers), *h = floats(size);
            for (size_t e = 0; e < numbers; e++) mean[e] = (float)e;
            const hb_memory there = uploaded(&list[k], mean, numbers), result = uploaded(&list[k], h, size);
            const hb_memory maps = uploaded(&list[k], map, 3 * synapses);
            float *own = floats(synapses * C);
            for (size_t d = 0; d < synapses * C; d++) own[d] = 0.37f * (float)d;
            const hb_memory base = uploaded(&list[k], own, synapses * C);
            const hb_genome genome = {.mean = there,
                                      .sigma = 0.25f,
                                      .noise = noise_id,
                                      .sharing = {.rule = maps,
                                                  .base = how >= 4 ? base : (hb_memory){NULL},
                                                  .n_maps = how < 3    ? how + 1
                                                            : how >= 4 ? 2
                                                                       : 1,
                                                  .n_synapses = (int64_t)synapses,
                                                  .n_numbers = (int64_t)numbers,
                                                  .n_rules = RULES,
                                                  .n_coefficients = C,
                                                  .noise_per_synapse = how == 3,
                                                  .product = how == 5}};
            check_ok(hb_device_sample(list[k].device, &genome, result, 0, 64, &error), error);
            check_ok(hb_device_sample(list[k].device, &genome, result, 64, size, &error), error);
            download(&list[k], h, result, size);
            double squares = 0;
            for (size_t d = 0; d < size; d++) {
                const size_t i = d / C, c = d % C;
                const size_t e = i < synapses ? map[0][i] * C + c : RULES * C + d - synapses * C;
                float expected = fmaf(0.25f, hb_noise_normal(noise_id, how == 3 ? d : e), mean[e]);
                for (int r = 1; r < genome.sharing.n_maps && i < synapses; r++) {
                    const size_t other = map[r][i] * C + c;
                    const float part = fmaf(0.25f, hb_noise_normal(noise_id, other), mean[other]);
                    expected = how == 5 ? expected * part : expected + part;
                }
                if (how >= 4 && i < synapses) expected += own[d];
                assert_true(h[d] == expected);
                if (i < synapses) squares += (double)h[d] * (double)h[d];
            }
            hb_group *group;
            float w[66];
            double sum[3];
            check_ok(hb_group_create(list[k].device, &net, 3, &group, &error), error);
            const hb_birth birth = {genome, weights_id};
            const hb_birth births[3] = {birth, birth, birth};
            const int32_t lanes[3] = {2, 0, 1};
            check_ok(hb_group_expand(group, 3, lanes, births, sum, &error), error);
            check_ok(hb_group_wait(group, &error), error);
            check_close(sum[2], squares, 1e-5 * squares);
            check_ok(hb_group_weights(group, 1, 0, w, &error), error);
            for (size_t i = 0; i < synapses; i++) assert_true(w[i] == h[synapses * C + i]);
            const uint64_t bits = hash(hash(1, h, size), (const float *)sum, 6);
            if (k == 0) first = bits;
            assert_true(bits == first);
            hb_group_destroy(group);
            const hb_memory all[] = {there, result, maps, base};
            for (int a = 0; a < 4; a++) hb_device_free(list[k].device, all[a]);
            free(own);
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
        for (int32_t how = 0; how < 6; how++) { // 1, 4, 7 terms: of the noise, then of its squares
            const int32_t terms = 1 + how / 2 * 3;
            const bool squares = how % 2;
            const size_t size = sizes[s];
            uint64_t first = 0;
            for (int k = 0; k < n; k++) {
                float *g = floats(size + 16);
                for (size_t d = 0; d < size + 16; d++) g[d] = -7.0f;
                // In two ranges, as threads would.
                const size_t half = size / 2 / 64 * 64;
                const hb_memory there = uploaded(&list[k], g, size + 16);
                hb_device_gradient(list[k].device, there, z, terms, noise_id, squares, 0, half, NULL);
                hb_device_gradient(list[k].device, there, z, terms, noise_id, squares, half, size, NULL);
                download(&list[k], g, there, size + 16);
                hb_device_free(list[k].device, there);
                for (size_t d = 0; d < size; d++) {
                    double sum = 0;
                    for (int32_t t = 0; t < terms; t++) {
                        hb_noise id = noise_id;
                        id.individual = (uint32_t)t;
                        const double eps = (double)hb_noise_normal(id, d);
                        sum += (double)z[t] * (squares ? eps * eps : eps);
                    }
                    check_close(g[d], sum, squares ? 3e-5 : 4e-6); // 7 roundings of sums below 16, or below 100
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
        const hb_memory mean_there = uploaded(&list[k], mean, N), m_there = uploaded(&list[k], m, N);
        const hb_memory v_there = uploaded(&list[k], v, N), g_there = uploaded(&list[k], mean, N);
        for (int t = 1; t <= 20; t++) {
            const hb_adam p = {.rate = 0.05f,
                               .scale = 0.5f,
                               .beta1 = 0.9f,
                               .beta2 = 0.999f,
                               .epsilon = 1e-8f,
                               .correction1 = (float)(1 / (1 - pow(0.9, t))),
                               .correction2 = (float)(1 / (1 - pow(0.999, t)))};
            for (int d = 0; d < N; d++) g[d] = hb_noise_normal(noise_id, (uint64_t)(t * N + d));
            hb_device_upload(list[k].device, g_there, g, N, NULL);
            hb_device_adam(list[k].device, mean_there, m_there, v_there, g_there, p, 0, 64, NULL);
            hb_device_adam(list[k].device, mean_there, m_there, v_there, g_there, p, 64, N, NULL);
            download(&list[k], mean, mean_there, N);
            for (int d = 0; d < N; d++) {
                const double gradient = 0.5 * (double)g[d];
                m_d[d] = 0.9 * m_d[d] + 0.1 * gradient;
                v_d[d] = 0.999 * v_d[d] + 0.001 * gradient * gradient;
                mean_d[d] += 0.05 * (m_d[d] / (1 - pow(0.9, t))) / (sqrt(v_d[d] / (1 - pow(0.999, t))) + 1e-8);
                check_close(mean[d], mean_d[d], 2e-5 * (1 + fabs(mean_d[d])));
            }
        }
        hb_device_sgd(list[k].device, mean_there, g_there, 0.125f, 0, 64, NULL);
        hb_device_sgd(list[k].device, mean_there, g_there, 0.125f, 64, N, NULL);
        download(&list[k], mean, mean_there, N);
        download(&list[k], m, m_there, N);
        download(&list[k], v, v_there, N);
        const hb_memory all[] = {mean_there, m_there, v_there, g_there};
        for (int a = 0; a < 4; a++) hb_device_free(list[k].device, all[a]);
        for (int d = 0; d < N; d++) check_close(mean[d], mean_d[d] + 0.125 * (double)g[d], 2e-5 * (1 + d));
        const uint64_t bits = hash(hash(hash(1, mean, N), m, N), v, N);
        if (k == 0) first = bits;
        assert_true(bits == first);
    }
    close_all(list, n);
}

int ops_search(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_is_mean_plus_noise),
        cmocka_unit_test(shared_rules),
        cmocka_unit_test(gradient_is_weighted_noise),
        cmocka_unit_test(sgd_and_adam),
    };
    return cmocka_run_group_tests_name("ops_search", tests, NULL, NULL);
}
