// A library's general products of matrices in memory (cuBLAS on the card) beside the fused operations that do the same:
// a step of static networks, one batched product a layer, and the search's gradient from a stored matrix of noise.
// Limit: the fused operation, timed in the same run. The device must be one that has such a library.
#include "bench/bench.h"

#include <stdlib.h>

typedef struct {
    const hb_machine *machine;
    hb_products *products;
    hb_net net;
    int32_t lanes, pairs, n;
    hb_group *group;
    hb_birth *birth;
    int32_t *lane;
    float *observation, *action, *z;   // host
    hb_memory mean, weights, noise, g; // device
    hb_status status;
    hb_error *error;
} products;

static const hb_products_table *table_of(const products *p) {
    return hb_table_of(p->machine->device)->products;
}

static void step_fused(void *context) {
    products *p = context;
    if (p->status == HB_OK)
        p->status = hb_group_step(p->group, p->lanes, p->lane, p->observation, NULL, p->action, p->error);
    if (p->status == HB_OK) p->status = hb_group_wait(p->group, p->error);
}

static void step_by_products(void *context) {
    products *p = context;
    if (p->status == HB_OK)
        p->status =
            table_of(p)->forward(p->products, &p->net, p->lanes, p->weights, p->observation, p->action, p->error);
}

static void gradient_fused(void *context) {
    products *p = context;
    const hb_noise noise = {.seed = 1, .stream = HB_STREAM_SEARCH};
    if (p->status == HB_OK)
        p->status =
            hb_device_gradient(p->machine->device, p->g, p->z, p->pairs, noise, false, 0, (size_t)p->n, p->error);
}

static void gradient_by_products(void *context) {
    products *p = context;
    if (p->status == HB_OK)
        p->status = table_of(p)->gradient(p->products, p->g, p->z, p->noise, p->pairs, p->n, p->error);
}

static hb_genome standard_normal(const products *p, int32_t k) {
    return (hb_genome){
        .mean = p->mean, .sigma = 1, .noise = {.seed = 1, .stream = HB_STREAM_SEARCH, .individual = (uint32_t)k}};
}

// rows sequences of `size` normals, one after the other: each is drawn where sequences may begin, then put in its place.
static hb_status fill(products *p, hb_memory matrix, int32_t rows, size_t size) {
    const hb_machine *machine = p->machine;
    hb_memory row = {NULL};
    float *host = malloc(size * sizeof *host);
    hb_status status =
        host ? hb_device_alloc(machine->device, size, &row, p->error) : hb_fail(p->error, HB_FAILED, "out of memory");
    for (int32_t k = 0; k < rows && status == HB_OK; k++) {
        const hb_genome genome = standard_normal(p, k);
        status = hb_device_sample(machine->device, &genome, row, 0, size, p->error);
        if (status == HB_OK) status = hb_device_download(machine->device, host, row, size, p->error);
        if (status == HB_OK)
            status = hb_device_upload(machine->device, hb_memory_at(matrix, (size_t)k * size), host, size, p->error);
    }
    hb_device_free(machine->device, row);
    free(host);
    return status;
}

static hb_status prepare(products *p, hb_error *error) {
    hb_device *device = p->machine->device;
    const size_t lanes = (size_t)p->lanes, n = (size_t)p->n, weights = (size_t)p->net.genome_size;
    const size_t outputs = (size_t)p->net.layer[p->net.n_layers - 1].outputs;
    p->birth = calloc(lanes, sizeof *p->birth);
    p->lane = calloc(lanes, sizeof *p->lane);
    p->z = calloc((size_t)p->pairs, sizeof *p->z);
    if (!p->birth || !p->lane || !p->z) return hb_fail(error, HB_FAILED, "out of memory");
    for (int32_t k = 0; k < p->pairs; k++) p->z[k] = (float)(k % 7) - 3.0f;
    hb_status status = hb_device_host_alloc(device, lanes * (size_t)p->net.layer[0].inputs, &p->observation, error);
    if (status == HB_OK) status = hb_device_host_alloc(device, lanes * outputs, &p->action, error);
    if (status == HB_OK) status = hb_device_alloc(device, n, &p->mean, error);
    if (status == HB_OK) status = hb_device_alloc(device, n, &p->g, error);
    if (status == HB_OK) status = hb_device_alloc(device, lanes * weights, &p->weights, error);
    if (status == HB_OK) status = hb_device_alloc(device, (size_t)p->pairs * n, &p->noise, error);
    if (status == HB_OK) status = fill(p, p->weights, p->lanes, weights);
    if (status == HB_OK) status = fill(p, p->noise, p->pairs, n);
    if (status == HB_OK) status = hb_group_create(device, &p->net, p->lanes, &p->group, error);
    for (int32_t k = 0; k < p->lanes; k++) {
        p->lane[k] = k;
        p->birth[k] = (hb_birth){standard_normal(p, k), {.seed = 1, .stream = HB_STREAM_WEIGHTS}};
    }
    if (status == HB_OK) status = hb_group_expand(p->group, p->lanes, p->lane, p->birth, NULL, error);
    return status == HB_OK ? hb_group_wait(p->group, error) : status;
}

static void clear(products *p) {
    hb_device *device = p->machine->device;
    hb_group_destroy(p->group);
    const hb_memory there[] = {p->mean, p->g, p->weights, p->noise};
    for (size_t k = 0; k < sizeof there / sizeof *there; k++) hb_device_free(device, there[k]);
    hb_device_host_free(device, p->observation);
    hb_device_host_free(device, p->action);
    free(p->birth);
    free(p->lane);
    free(p->z);
    table_of(p)->close(p->products);
}

static void compare(products *p, const hb_bench *bench) {
    char name[96];
    int64_t repeats;
    const double fused = hb_bench_fastest(step_fused, p, 0.5, &repeats);
    const double stored = hb_bench_fastest(step_by_products, p, 0.5, &repeats);
    snprintf(name, sizeof name, "products.static.%d", p->lanes);
    if (p->status != HB_OK) return;
    hb_bench_print(bench, name, 1e6 * stored, "us", 1e6 * fused, "the fused step", repeats);
    const double regenerated = hb_bench_fastest(gradient_fused, p, 0.5, &repeats);
    const double matrix = hb_bench_fastest(gradient_by_products, p, 0.5, &repeats);
    snprintf(name, sizeof name, "products.gradient.%dx%d", p->pairs, p->n);
    if (p->status != HB_OK) return;
    hb_bench_print(bench, name, 1e3 * matrix, "ms", 1e3 * regenerated, "the gradient from regenerated noise",
                   repeats);
}

static hb_status bench_config(const hb_config *config, products *p, const hb_bench *bench, hb_error *error) {
    const int64_t population = config->settings.search.population;
    p->lanes = (int32_t)population;
    p->pairs = (int32_t)(population / 2 > 0 ? population / 2 : 1);
    if (p->net.vision.n_weights)
        return hb_fail(error, HB_BAD_INPUT,
                       "bench products: expected observations that are numbers, environment '%s' has pictures",
                       config->env->name);
    if (!table_of(p))
        return hb_fail(error, HB_BAD_INPUT,
                       "bench products: the %s device has no library of products to compare with; --device cuda has "
                       "cuBLAS",
                       hb_table_of(p->machine->device)->name);
    hb_status status = table_of(p)->open(p->machine->device, &p->products, error);
    if (status != HB_OK) return status;
    status = prepare(p, error);
    if (status == HB_OK) compare(p, bench);
    if (status == HB_OK) status = p->status;
    clear(p);
    return status;
}

hb_status hb_bench_products(const hb_bench *bench, hb_error *error) {
    static const char *const no_rules[] = {"search.kind=normal", "policy.kind=static"};
    hb_config *config, *plain;
    hb_machine machine;
    hb_net genome;
    products p = {.machine = &machine, .error = error};
    hb_status status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status != HB_OK) return status;
    status = hb_bench_net(config, &genome, error);
    hb_config_close(config);
    if (status == HB_OK) status = hb_bench_config(bench, no_rules, 2, &plain, error);
    if (status != HB_OK) return status;
    p.n = (int32_t)genome.genome_size;
    status = hb_bench_net(plain, &p.net, error);
    if (status == HB_OK) status = hb_machine_open(&machine, &plain->settings.machine, (hb_place){0}, error);
    if (status == HB_OK) {
        status = bench_config(plain, &p, bench, error);
        hb_machine_close(&machine);
    }
    hb_config_close(plain);
    return status;
}
