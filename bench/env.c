// An environment's step on one core under random actions, the best of several lives. Limit: its physics alone.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/train/rollout.h"

#include <stdlib.h>

typedef struct {
    double step, physics, substep; // seconds, of the fastest life
    int64_t lives;
} timing;

// One life; a fresh action every step, each command -1 or +1.
static void live(const hb_env_table *env, void *body, uint32_t life, float *observation, float *action,
                 timing *best) {
    hb_random resets, actions;
    hb_random_start(&resets, (hb_noise){.seed = 1, .stream = HB_STREAM_RESET, .individual = life});
    hb_random_start(&actions, (hb_noise){.seed = 1, .stream = HB_STREAM_SEARCH, .individual = life});
    hb_env_step step;
    hb_env_outcome outcome = env->reset(body, 0, &resets.base, observation, &step);
    double physics = 0;
    int64_t steps = 0, substeps = 0;
    const double begun = hb_now();
    while (outcome == HB_ENV_RUNNING) {
        for (int32_t k = 0; k < env->action_size; k++)
            action[k] = actions.base.next(&actions.base) >> 31 ? 1.0f : -1.0f;
        outcome = env->step(body, action, observation, &step);
        physics += step.physics;
        substeps += step.substeps;
        steps++;
    }
    const double seconds = (hb_now() - begun) / (double)(steps ? steps : 1);
    best->lives++;
    if (steps < 20 || seconds >= best->step) return;
    best->step = seconds;
    best->physics = physics / (double)steps;
    best->substep = physics / (double)(substeps ? substeps : 1);
}

static hb_status bench_world(const hb_env_table *env, const void *world, const hb_bench *bench, hb_error *error) {
    char message[512];
    void *body = NULL;
    if (env->body_create(world, &body, message, sizeof message) != 0)
        return hb_fail(error, HB_FAILED, "environment '%s': %s", env->name, message);
    float *observation = calloc((size_t)env->observation_size, sizeof *observation);
    float *action = calloc((size_t)env->action_size, sizeof *action);
    timing best = {.step = 1e300};
    const double begun = hb_now();
    for (uint32_t life = 0; observation && action && (life < 20 || hb_now() - begun < 1.0); life++)
        live(env, body, life, observation, action, &best);
    free(observation);
    free(action);
    env->body_destroy(body);
    char name[96];
    snprintf(name, sizeof name, "env.%s.step", env->name);
    hb_bench_print(bench, name, 1e6 * best.step, "us", 1e6 * best.physics, "physics alone", best.lives);
    snprintf(name, sizeof name, "env.%s.substep", env->name);
    hb_bench_print(bench, name, 1e6 * best.substep, "us", -1, "", best.lives);
    return HB_OK;
}

hb_status hb_bench_env(const hb_bench *bench, hb_error *error) {
    hb_config *config;
    hb_status status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status != HB_OK) return status;
    const hb_env_settings settings = hb_config_env_settings(config);
    const hb_env_table *env = config->env;
    char message[512];
    void *world = NULL;
    if (env->world_create(&settings, &world, message, sizeof message) != 0)
        status = hb_fail(error, HB_BAD_INPUT, "environment '%s': %s", env->name, message);
    if (status == HB_OK) {
        status = bench_world(env, world, bench, error);
        env->world_destroy(world);
    }
    hb_config_close(config);
    return status;
}
