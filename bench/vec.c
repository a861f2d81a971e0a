// A step of 256 environments through the door's vector (hb_vec, Python's make_vec), a thread, by environment. Limit: the same bodies stepped with
// nothing between, in turn with it, from the same seeds under the same actions.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/train/rollout.h"

#include <stdlib.h>

enum { ENVIRONMENTS = 256, MOST_WIDTH = 64, STEPS = 200 };

typedef struct {
    hb_vec *vec;
    const hb_world *world;
    int32_t width, n_bodies;
    void *body[ENVIRONMENTS];
    float *action;     // (256, A)
    void *observation; // (256, O)
    double vec_seconds, bodies_seconds;
    hb_random random;
} vec_bench;

static void random_actions(vec_bench *b) {
    for (int32_t k = 0; k < ENVIRONMENTS * b->world->shape.action_size; k++)
        b->action[k] = (float)(2 * hb_env_uniform(&b->random.base) - 1);
}

static void reset_body(vec_bench *b, int32_t number) {
    hb_env_step step[MOST_WIDTH];
    hb_env_outcome outcome[MOST_WIDTH];
    hb_random random[MOST_WIDTH];
    for (int32_t k = 0; k < b->width; k++) {
        hb_random_start(&random[k], (hb_noise){.seed = (uint32_t)(number * b->width + k), .stream = HB_STREAM_RESET});
        if (b->width == 1)
            b->world->env->reset(b->body[number], 0, &random[0].base, b->observation, step);
        else
            b->world->env->reset_lane(b->body[number], k, 0, &random[k].base);
        outcome[k] = HB_ENV_STARTING;
    }
    while (b->width > 1 && outcome[0] == HB_ENV_STARTING)
        b->world->env->step_lanes(b->body[number], b->action, b->observation, step, outcome);
}

static void step_bodies(const vec_bench *b) {
    hb_env_step step[MOST_WIDTH];
    hb_env_outcome outcome[MOST_WIDTH];
    const size_t actions = (size_t)b->world->shape.action_size, bytes = hb_env_observation_bytes(&b->world->shape);
    for (size_t k = 0, lane = 0; k < (size_t)b->n_bodies; k++, lane += (size_t)b->width) {
        const float *action = b->action + lane * actions;
        void *seen = (char *)b->observation + lane * bytes;
        if (b->width == 1)
            b->world->env->step(b->body[k], action, seen, step);
        else
            b->world->env->step_lanes(b->body[k], action, seen, step, outcome);
    }
}

// Steps until an environment's episode is over: then the two would not do the same work any more.
static hb_status live(vec_bench *b, int64_t *steps, hb_error *error) {
    static double fitness[ENVIRONMENTS], reward[ENVIRONMENTS];
    static uint8_t terminated[ENVIRONMENTS], truncated[ENVIRONMENTS];
    bool over = false;
    for (; *steps < STEPS && !over; ++*steps) {
        random_actions(b);
        const double begun = hb_now();
        const hb_status status =
            hb_vec_step(b->vec, b->action, b->observation, fitness, reward, terminated, truncated, error);
        if (status != HB_OK) return status;
        const double between = hb_now();
        step_bodies(b);
        b->vec_seconds += between - begun;
        b->bodies_seconds += hb_now() - between;
        for (int32_t k = 0; k < ENVIRONMENTS; k++) over = over || terminated[k] || truncated[k];
    }
    return HB_OK;
}

static hb_status bench_bodies(vec_bench *b, const char *name, const hb_bench *bench, hb_error *error) {
    uint64_t seed[ENVIRONMENTS];
    for (uint64_t k = 0; k < ENVIRONMENTS; k++) seed[k] = k;
    hb_status status = hb_vec_reset(b->vec, NULL, seed, 0, b->observation, error);
    for (int32_t k = 0; k < b->n_bodies && status == HB_OK; k++) {
        status = hb_world_body(b->world, b->width, &b->body[k], error);
        if (status == HB_OK) reset_body(b, k);
    }
    int64_t steps = 0;
    if (status == HB_OK) status = live(b, &steps, error);
    if (status == HB_OK)
        hb_bench_print(bench, name, 1e6 * b->vec_seconds / (double)(steps * ENVIRONMENTS), "us",
                       1e6 * b->bodies_seconds / (double)(steps * ENVIRONMENTS),
                       "the same bodies, with nothing between", steps);
    for (int32_t k = 0; k < b->n_bodies; k++)
        if (b->body[k]) b->world->env->body_destroy(b->body[k]);
    return status;
}

static hb_status bench_engine(const hb_config *config, const hb_bench *bench, const char *engine, hb_error *error) {
    char name[96], setting[96];
    const char *sets[66] = {"run.threads=1"};
    int n = 1;
    for (int k = 0; k < bench->n_sets; k++) sets[n++] = bench->sets[k];
    snprintf(name, sizeof name, "vec.%s.%s", config->env->name, engine ? engine : "step");
    if (engine) {
        snprintf(setting, sizeof setting, "env.engine=%s", engine);
        sets[n++] = setting;
    }
    hb_world world;
    hb_status status = hb_world_open(config, engine, &world, error);
    if (status != HB_OK) return status;
    vec_bench b = {.world = &world};
    b.width = world.env->hold_lane ? hb_world_width(&world, config->settings.run.width) : 1;
    b.n_bodies = (ENVIRONMENTS + b.width - 1) / b.width; // as the vector does
    b.action = calloc((size_t)(ENVIRONMENTS + MOST_WIDTH) * (size_t)world.shape.action_size, sizeof *b.action);
    b.observation = calloc(ENVIRONMENTS + MOST_WIDTH, hb_env_observation_bytes(&world.shape));
    hb_random_start(&b.random, (hb_noise){.seed = 1, .stream = HB_STREAM_SEARCH});
    if (!b.action || !b.observation)
        status = hb_fail(error, HB_FAILED, "out of memory for %d environments", ENVIRONMENTS);
    if (status == HB_OK) status = hb_vec_open(bench->path, sets, n, ENVIRONMENTS, &b.vec, error);
    if (status == HB_OK) status = bench_bodies(&b, name, bench, error);
    hb_vec_close(b.vec);
    free(b.action);
    free(b.observation);
    hb_world_close(&world);
    return status;
}

hb_status hb_bench_vec(const hb_bench *bench, hb_error *error) {
    hb_config *config;
    hb_status status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status != HB_OK) return status;
    const char *const *engine = hb_world_engines(config->env);
    if (!engine) status = bench_engine(config, bench, NULL, error);
    for (; engine && *engine && status == HB_OK; engine++) status = bench_engine(config, bench, *engine, error);
    hb_config_close(config);
    return status;
}
