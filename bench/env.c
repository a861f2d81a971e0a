// An environment's step on one core under random actions: of the fastest of several lives, or of several groups of lives where a
// body steps more than one. An environment with engines is measured with each. Limit: its physics alone.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/train/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LIVES = 64, FEWEST_STEPS = 20 };

// One body of `width` lives, with room for what it reads and writes.
typedef struct {
    const hb_world *world;
    void *body, *observation;
    float *action;
    int32_t width;
    hb_random actions;
    hb_env_step step[MOST_LIVES];
    hb_env_outcome outcome[MOST_LIVES];
} group;

typedef struct {
    double step, physics, substep; // seconds of a step of one life, in the fastest group
    int64_t groups;
} timing;

static void begin(group *g, uint32_t number) {
    for (int32_t k = 0; k < g->width; k++) {
        hb_random resets;
        const uint32_t life = number * (uint32_t)g->width + (uint32_t)k;
        hb_random_start(&resets, (hb_noise){.seed = 1, .stream = HB_STREAM_RESET, .individual = life});
        g->outcome[k] = HB_ENV_STARTING;
        if (g->width > 1)
            g->world->env->reset_lane(g->body, k, 0, &resets.base);
        else
            g->outcome[0] = g->world->env->reset(g->body, 0, &resets.base, g->observation, g->step);
    }
    hb_random_start(&g->actions, (hb_noise){.seed = 1, .stream = HB_STREAM_SEARCH, .individual = number});
}

// A fresh action for every life, each command -1 or +1.
static void step(group *g) {
    uint32_t bits = 0;
    for (int32_t k = 0; k < g->width * g->world->shape.action_size; k++) {
        bits = k % 32 == 0 ? g->actions.base.next(&g->actions.base) : bits >> 1;
        g->action[k] = bits & 1u ? 1.0f : -1.0f;
    }
    if (g->width > 1)
        g->world->env->step_lanes(g->body, g->action, g->observation, g->step, g->outcome);
    else
        g->outcome[0] = g->world->env->step(g->body, g->action, g->observation, g->step);
}

static bool all(const group *g, hb_env_outcome outcome) {
    for (int32_t k = 0; k < g->width; k++)
        if (g->outcome[k] != outcome) return false;
    return true;
}

// Lives until the first of the group ends.
static void live(group *g, uint32_t number, timing *best) {
    double physics = 0;
    int64_t steps = 0, substeps = 0;
    begin(g, number);
    while (all(g, HB_ENV_STARTING)) step(g);
    const double begun = hb_now();
    while (all(g, HB_ENV_RUNNING) && steps < g->world->shape.max_steps) {
        step(g);
        for (int32_t k = 0; k < g->width; k++) {
            physics += g->step[k].physics;
            substeps += g->step[k].substeps;
        }
        steps += g->width;
    }
    const double seconds = (hb_now() - begun) / (double)(steps ? steps : 1);
    best->groups++;
    if (steps < FEWEST_STEPS || seconds >= best->step) return;
    best->step = seconds;
    best->physics = physics / (double)steps;
    best->substep = physics / (double)(substeps ? substeps : 1);
}

static hb_status bench_world(const hb_world *world, const hb_config *config, const char *name, const hb_bench *bench,
                             hb_error *error) {
    const hb_env_shape *shape = &world->shape;
    group g = {.world = world, .width = hb_world_width(world, config->settings.run.width)};
    const hb_status status = hb_world_body(world, g.width, &g.body, error);
    if (status != HB_OK) return status;
    g.observation = calloc((size_t)g.width, hb_env_observation_bytes(shape));
    g.action = calloc((size_t)g.width * (size_t)shape->action_size, sizeof *g.action);
    timing best = {.step = 1e300};
    const double begun = hb_now();
    for (uint32_t k = 0; g.observation && g.action && (k < 20 || hb_now() - begun < 1.0); k++) live(&g, k, &best);
    free(g.observation);
    free(g.action);
    world->env->body_destroy(g.body);
    hb_bench_print(bench, name, 1e6 * best.step, "us", 1e6 * best.physics, "physics alone", best.groups);
    char substep[128];
    snprintf(substep, sizeof substep, "%s.substep", name);
    hb_bench_print(bench, substep, 1e6 * best.substep, "us", -1, "", best.groups);
    return HB_OK;
}

static bool is_asked_for(const hb_config *config, const char *engine) {
    const hb_env_settings settings = hb_config_env_settings(config);
    return strcmp(hb_env_setting(&settings, "engine"), engine) == 0;
}

static hb_status bench_engine(const hb_config *config, const char *engine, const hb_bench *bench, hb_error *error) {
    hb_world world;
    char name[96];
    hb_status status = hb_world_open(config, engine, &world, error);
    if (status == HB_BAD_INPUT && engine && !is_asked_for(config, engine)) { // one that cannot compute this model
        fprintf(stderr, "%s\n", error->message);
        return HB_OK;
    }
    if (status != HB_OK) return status;
    snprintf(name, sizeof name, "env.%s.%s", config->env->name, engine ? engine : "step");
    status = bench_world(&world, config, name, bench, error);
    hb_world_close(&world);
    return status;
}

hb_status hb_bench_env(const hb_bench *bench, hb_error *error) {
    hb_config *config;
    hb_status status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status != HB_OK) return status;
    const char *const *engine = hb_world_engines(config->env);
    if (!engine) status = bench_engine(config, NULL, bench, error);
    for (; engine && *engine && status == HB_OK; engine++) status = bench_engine(config, *engine, bench, error);
    hb_config_close(config);
    return status;
}
