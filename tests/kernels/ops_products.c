// Matrix products of a library, equal to the fused operations up to rounding
#include "tests/kernels/ops.h"

static void forward_by_products(const opened *d, hb_products *products) {
    enum { COUNT = 5 };
    const hb_net_def def = {.inputs = 28, .outputs = 8, .n_hidden = 2, .hidden = {33, 64}, .last = HB_LINEAR};
    hb_error error = {""};
    hb_net net;
    assert_int_equal(hb_net_init(&net, &def, NULL), HB_OK);
    const size_t n = (size_t)net.genome_size;
    float *zero = floats(COUNT * n), observation[COUNT * 28], fused[COUNT * 8], action[COUNT * 8];
    const hb_memory mean = uploaded(d, zero, n), weights = uploaded(d, zero, COUNT * n);
    hb_birth birth[COUNT];
    int32_t lane[COUNT];
    for (int32_t k = 0; k < COUNT; k++) {
        lane[k] = k;
        birth[k] = (hb_birth){{.mean = mean, .sigma = 0.2f, .noise = noise_id}, weights_id};
        birth[k].genome.noise.individual = (uint32_t)k;
        const hb_memory one = uploaded(d, zero, n);
        float *host = floats(n);
        check_ok(hb_device_sample(d->device, &birth[k].genome, one, 0, n, &error), error);
        download(d, host, one, n);
        check_ok(hb_device_upload(d->device, hb_memory_at(weights, (size_t)k * n), host, n, &error), error);
        hb_device_free(d->device, one);
        free(host);
    }
    for (int k = 0; k < COUNT * 28; k++) observation[k] = hb_noise_normal(weights_id, (uint64_t)k);
    hb_group *group;
    check_ok(hb_group_create(d->device, &net, COUNT, &group, &error), error);
    check_ok(hb_group_expand(group, COUNT, lane, birth, NULL, &error), error);
    check_ok(hb_group_step(group, COUNT, lane, observation, NULL, fused, &error), error);
    check_ok(hb_group_wait(group, &error), error);
    check_ok(hb_table_of(d->device)->products->forward(products, &net, COUNT, weights, observation, action, &error),
             error);
    for (int k = 0; k < COUNT * 8; k++) check_close(action[k], fused[k], 1e-5);
    hb_group_destroy(group);
    hb_device_free(d->device, mean);
    hb_device_free(d->device, weights);
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
    const hb_memory matrix = uploaded(d, noise, TERMS * N), there = uploaded(d, g, N);
    check_ok(hb_device_gradient(d->device, there, z, TERMS, noise_id, false, 0, N, &error), error);
    download(d, expected, there, N);
    check_ok(hb_table_of(d->device)->products->gradient(products, there, z, matrix, TERMS, N, &error), error);
    memset(z, 0, sizeof z); // it was waited for
    download(d, g, there, N);
    for (int i = 0; i < N; i++) check_close(g[i], expected[i], 1e-5);
    hb_device_free(d->device, matrix);
    hb_device_free(d->device, there);
}

static void products_of_a_library(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    bool compared = false;
    for (int k = 0; k < n; k++) {
        const hb_products_table *table = hb_table_of(list[k].device)->products;
        hb_products *products;
        hb_error why;
        if (!table) continue;
        compared = true;
        if (table->open(list[k].device, &products, &why) != HB_OK) {
            print_error("the device has no library of products: %s\n", why.message);
            fail();
        }
        forward_by_products(&list[k], products);
        gradient_by_products(&list[k], products);
        table->close(products);
    }
    close_all(list, n);
#ifdef HB_CUDA_ON_CPU
    assert_true(compared); // the stand-in for cuBLAS is always there
#else
    if (!compared) skip();
#endif
}

int ops_products(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_a_library),
    };
    return cmocka_run_group_tests_name("ops_products", tests, NULL, NULL);
}
