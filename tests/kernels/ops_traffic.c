// The memory traffic of the fused step on CUDA, counted by the interpreter
#include "tests/cuda_on_cpu/ptx.h"
#include "tests/kernels/ops.h"

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
    const hb_memory mean = uploaded(d, numbers, (size_t)net.genome_size);
    const hb_birth birth = {{.mean = mean, .sigma = 0.1f, .noise = noise_id}, weights_id};
    assert_string_equal(hb_table_of(d->device)->name, "cuda");
    hb_group_create(d->device, &net, 1, &group, NULL);
    hb_group_expand(group, 1, &only, &birth, NULL, NULL);
    step_one(group, observation, action); // the first step updates nothing
    ptx_counters = (ptx_counts){0};
    ptx_count_sectors = true;
    step_one(group, observation, action);
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
    hb_group_destroy(group);
    hb_device_free(d->device, mean);
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

int ops_traffic(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_moves_its_compulsory_bytes),
    };
    return cmocka_run_group_tests_name("ops_traffic", tests, NULL, NULL);
}
