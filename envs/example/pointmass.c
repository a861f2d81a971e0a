// The smallest environment: a point of 1 kg on a line, pushed towards 0. An example of an environment that
// lives outside the program: it includes nothing but the contract.
//
//     cc -shared -fPIC -I. envs/example/pointmass.c -o pointmass.so
//     ./dev hebbes train configs/pointmass.yaml
#include "envs/env.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double control_step = 0.05; // s
static const int episode_steps = 100;

typedef struct {
    double drag; // N s/m
} world;

typedef struct {
    const world *world;
    double position, speed; // m, m/s
    int step;
} body;

static const hb_env_option options[] = {
    {"drag", HB_OPTION_REAL, "0.1", 0, 10, NULL, "N s/m, against the speed", NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

static int world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    world *w = malloc(sizeof *w);
    if (!w) return snprintf(message, size, "out of memory"), -1;
    w->drag = strtod(hb_env_setting(settings, "drag"), NULL);
    *out = w;
    return 0;
}

static void shape(const void *w, hb_env_shape *out) {
    (void)w; // the same in every world
    *out = (hb_env_shape){.observation_size = 2,
                          .action_size = 1,
                          .max_steps = episode_steps,
                          .step_seconds = control_step,
                          .width = 1};
}

static int body_create(const void *w, int32_t width, void **out, char *message, size_t size) {
    (void)width; // 1, as the shape says
    body *b = calloc(1, sizeof *b);
    if (!b) return snprintf(message, size, "out of memory"), -1;
    b->world = w;
    *out = b;
    return 0;
}

static void observe(const body *b, float *observation) {
    observation[0] = (float)b->position;
    observation[1] = (float)b->speed;
}

// Variation 0 starts on the left, variation 1 on the right.
static hb_env_outcome reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                            hb_env_step *out) {
    body *b = handle;
    const double distance = 1.0 + hb_env_uniform(random);
    b->position = variation == 0 ? -distance : distance;
    b->speed = 0;
    b->step = 0;
    *out = (hb_env_step){.fitness = 0};
    observe(b, observation);
    return HB_ENV_RUNNING;
}

static hb_env_outcome step(void *handle, const float *action, void *observation, hb_env_step *out) {
    body *b = handle;
    *out = (hb_env_step){.substeps = 1};
    if (!isfinite(action[0])) return HB_ENV_DIVERGED;
    b->speed += control_step * ((double)action[0] - b->world->drag * b->speed);
    b->position += control_step * b->speed;
    out->fitness = out->reward = -b->position * b->position * control_step;
    observe(b, observation);
    return ++b->step < episode_steps ? HB_ENV_RUNNING : HB_ENV_DONE;
}

static void snapshot(const void *handle, double *state) {
    const body *b = handle;
    state[0] = b->position;
    state[1] = b->speed;
}

static const char *const variations[] = {"left", "right", NULL};
static const hb_env_field fields[] = {{"state", 2}, {NULL, 0}};
static const hb_env_table table = {.abi = HB_ENV_ABI,
                                   .name = "pointmass",
                                   .summary = "a point on a line, pushed towards 0",
                                   .variations = variations,
                                   .options = options,
                                   .fields = fields,
                                   .world_create = world_create,
                                   .world_destroy = free,
                                   .shape = shape,
                                   .body_create = body_create,
                                   .body_destroy = free,
                                   .reset = reset,
                                   .step = step,
                                   .snapshot = snapshot};

const hb_env_table *hb_env_export(void);
const hb_env_table *hb_env_export(void) {
    return &table;
}
