// Rigid robots on a device: one env step of the Ant's default body, four steps and a look, of 4,096 robots at once, by one call.
// Limit on the CPU: the same code on groups of lanes one after the other, without copies.
#include "bench/bench.h"
#include "envs/ant/model.h"
#include "envs/mujoco/rigid.h"
#include "host/base/machine.h"

#include <stdlib.h>
#include <string.h>

enum { ROBOTS = 4096, BLOCKS = 32, STEPS = 4, SETTLE = 40 };

typedef struct {
    hb_rigid_model model;
    hb_rigid_layout at;
    hb_device *device;
    hb_memory state;
    const hb_rigid_code *code;
    float *block; // BLOCKS groups of code->width robots
    void *scratch;
} robots;

static size_t block_floats(const robots *r) {
    return (size_t)(r->at.arrays * r->code->width + 15) / 16 * 16;
}

static void step_device(void *context) {
    robots *r = context;
    hb_device_robots_step(r->device, &r->model, r->state, ROBOTS, 0, ROBOTS, STEPS, NULL);
}

static void step_block(void *context) {
    robots *r = context;
    for (size_t b = 0; b < BLOCKS; b++) {
        r->code->step(&r->model, r->block + b * block_floats(r), r->scratch, STEPS);
        r->code->look(&r->model, r->block + b * block_floats(r), r->scratch);
    }
}

// The profile `light` (envs/ant/ant.c).
static hb_status make_model(robots *r, hb_error *error) {
    const hb_ant_physics light = {
        .density = 5, .armature = 1, .damping = 1, .root = 1, .gear_hip = 60, .gear_ankle = 60, .friction = 1.2};
    char message[256] = "";
    mjModel *model = hb_ant_model(&hb_ant_morphologies[0], &light, message, sizeof message);
    if (!model) return hb_fail(error, HB_FAILED, "%s", message);
    const int failed = hb_mujoco_rigid(model, 4, 2, &r->model, message, sizeof message);
    mj_deleteModel(model);
    if (failed) return hb_fail(error, HB_FAILED, "%s", message);
    r->model.sweeps = 10;
    r->at = hb_rigid_layout_of(4, 2);
    return HB_OK;
}

// Starts robot `number` at place k of arrays of `width`: upright above the floor, with constant random commands.
static void start(const robots *r, float *state, size_t width, size_t k, uint32_t number) {
    const hb_philox_block word = hb_philox(number, 0, 0, 0, 1, 1);
    state[(size_t)(r->at.position + 2) * width + k] = 0.75f;
    state[(size_t)(r->at.position + 3) * width + k] = 1.0f;
    for (int32_t j = 0; j < 8; j++) {
        const int32_t leg = j / 2;
        if (j % 2) state[(size_t)(r->at.position + 7 + j) * width + k] = (float)hb_ant_ankle_sign[leg] * 0.6f;
        state[(size_t)(r->at.control + j) * width + k] = word.word[0] >> j & 1u ? 0.3f : -0.3f;
    }
}

static hb_status fill(robots *r, hb_error *error) {
    const size_t n = (size_t)r->at.arrays * ROBOTS, width = (size_t)r->code->width;
    float *host = calloc(n, sizeof *host);
    r->block = aligned_alloc(64, BLOCKS * block_floats(r) * sizeof(float));
    r->scratch = aligned_alloc(64, (r->code->scratch + 63) / 64 * 64);
    if (!host || !r->block || !r->scratch) {
        free(host);
        return hb_fail(error, HB_FAILED, "out of memory");
    }
    memset(r->block, 0, BLOCKS * block_floats(r) * sizeof(float));
    for (uint32_t k = 0; k < ROBOTS; k++) start(r, host, ROBOTS, k, k);
    for (uint32_t k = 0; k < BLOCKS * width; k++)
        start(r, r->block + k / width * block_floats(r), width, k % width, k);
    hb_status status = hb_device_alloc(r->device, n, &r->state, error);
    if (status == HB_OK) status = hb_device_upload(r->device, r->state, host, n, error);
    free(host);
    if (status != HB_OK) return status;
    for (size_t b = 0; b < BLOCKS; b++)
        r->code->step(&r->model, r->block + b * block_floats(r), r->scratch, STEPS * SETTLE);
    return hb_device_robots_step(r->device, &r->model, r->state, ROBOTS, 0, ROBOTS, STEPS * SETTLE, error);
}

static void measure(robots *r, const hb_bench *bench) {
    const bool cpu = hb_table_of(r->device)->host_parallel;
    int64_t repeats;
    const double alone = cpu ? hb_bench_fastest(step_block, r, 0.3, &repeats) / (BLOCKS * r->code->width) : -1e-6;
    const double seconds = hb_bench_fastest(step_device, r, 1.0, &repeats) / ROBOTS;
    hb_bench_print(bench, "robots.ant.step", 1e6 * seconds, "us", 1e6 * alone, "the arithmetic alone, one thread",
                   repeats);
}

hb_status hb_bench_robots(const hb_bench *bench, hb_error *error) {
    hb_config *config;
    hb_machine machine;
    hb_status status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status != HB_OK) return status;
    status = hb_machine_open(&machine, &config->settings.machine, (hb_place){0}, error);
    hb_config_close(config);
    if (status != HB_OK) return status;
    robots r = {.device = machine.device, .code = hb_rigid_code_4x2(0)};
    status = make_model(&r, error);
    if (status == HB_OK) status = fill(&r, error);
    if (status == HB_OK) measure(&r, bench);
    free(r.block);
    free(r.scratch);
    hb_device_free(machine.device, r.state);
    hb_machine_close(&machine);
    return status;
}
