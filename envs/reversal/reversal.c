#include "envs/reversal/reversal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CUES = 16, MOST_TRIALS = 1000 };

typedef struct {
    int32_t cues, trials, reversals;
} reversal_world;

typedef struct {
    const reversal_world *world;
    int32_t trial;
    double side[MOST_CUES];       // -1: left, 1: right
    uint8_t cue[MOST_TRIALS + 1]; // of each trial, and of the one that is never chosen in
    bool turns[MOST_TRIALS + 1];  // the sides turn over before this trial
} reversal_body;

static const hb_env_option options[] = {
    {"cues", HB_OPTION_INT, "4", 1, MOST_CUES, NULL, "cues, one input each", NULL},
    {"trials", HB_OPTION_INT, "200", 10, MOST_TRIALS, NULL, "choices of a life", NULL},
    {"reversals", HB_OPTION_INT, "1", 0, 9, NULL,
     "times in a life that all sides turn over: after equal parts of it, give or take a quarter of one", NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

static int32_t number(const hb_env_settings *settings, const char *name) {
    return (int32_t)strtol(hb_env_setting(settings, name), NULL, 10);
}

static int reversal_world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    reversal_world *world = calloc(1, sizeof *world);
    if (!world) return snprintf(message, size, "out of memory for a world"), -1;
    *world = (reversal_world){number(settings, "cues"), number(settings, "trials"), number(settings, "reversals")};
    if (world->trials < 4 * (world->reversals + 1)) {
        snprintf(message, size, "env.trials: expected at least %d with env.reversals=%d, found %d",
                 4 * (world->reversals + 1), world->reversals, world->trials);
        free(world);
        return -1;
    }
    *out = world;
    return 0;
}

static void reversal_shape(const void *handle, hb_env_shape *shape) {
    static const hb_action_range any[1] = {HB_ACTION_ANY};
    const reversal_world *world = handle;
    *shape = (hb_env_shape){.observation_size = world->cues,
                            .action_size = 1,
                            .action_range = any,
                            .max_steps = world->trials,
                            .width = 1};
}

static int reversal_body_create(const void *world, int32_t width, void **out, char *message, size_t size) {
    (void)width;
    reversal_body *body = calloc(1, sizeof *body);
    if (!body) return snprintf(message, size, "out of memory for a body"), -1;
    body->world = world;
    *out = body;
    return 0;
}

static void show(const reversal_body *body, float *observation) {
    for (int32_t k = 0; k < body->world->cues; k++) observation[k] = k == body->cue[body->trial] ? 1.0f : 0.0f;
}

static hb_env_outcome reversal_reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                                     hb_env_step *out) {
    reversal_body *body = handle;
    const reversal_world *world = body->world;
    (void)variation;
    *out = (hb_env_step){.fitness = 0};
    body->trial = 0;
    for (int32_t k = 0; k < world->cues; k++) body->side[k] = hb_env_uniform(random) < 0.5 ? -1 : 1;
    for (int32_t t = 0; t <= world->trials; t++) body->cue[t] = (uint8_t)(hb_env_uniform(random) * world->cues);
    memset(body->turns, 0, sizeof body->turns);
    const double part = (double)world->trials / (world->reversals + 1);
    for (int32_t k = 1; k <= world->reversals; k++)
        body->turns[(int32_t)((k + 0.5 * hb_env_uniform(random) - 0.25) * part)] = true;
    show(body, observation);
    return HB_ENV_RUNNING;
}

static hb_env_outcome reversal_step(void *handle, const float *action, void *observation, hb_env_step *out) {
    reversal_body *body = handle;
    *out = (hb_env_step){.substeps = 1};
    if (!isfinite(action[0])) return HB_ENV_DIVERGED;
    for (int32_t k = 0; body->turns[body->trial] && k < body->world->cues; k++) body->side[k] = -body->side[k];
    const double choice = action[0] < 0 ? -1 : 1;
    out->fitness = out->reward = choice * body->side[body->cue[body->trial]];
    body->trial++;
    show(body, observation);
    return body->trial == body->world->trials ? HB_ENV_DONE : HB_ENV_RUNNING;
}

// Before a step: the trial, its cue, its right side.
static void reversal_snapshot(const void *handle, double *state) {
    const reversal_body *body = handle;
    const double side = body->side[body->cue[body->trial]];
    state[0] = body->trial;
    state[1] = body->cue[body->trial];
    state[2] = body->turns[body->trial] ? -side : side;
}

static const char *const variations[] = {"default", NULL};
static const hb_env_field fields[] = {{"trial", 1}, {"cue", 1}, {"side", 1}, {NULL, 0}};

const hb_env_table hb_env_reversal = {.abi = HB_ENV_ABI,
                                      .name = "reversal",
                                      .summary =
                                          "cues whose right side turns over within a life; the reward alone tells",
                                      .variations = variations,
                                      .options = options,
                                      .fields = fields,
                                      .world_create = reversal_world_create,
                                      .world_destroy = free,
                                      .shape = reversal_shape,
                                      .body_create = reversal_body_create,
                                      .body_destroy = free,
                                      .reset = reversal_reset,
                                      .step = reversal_step,
                                      .snapshot = reversal_snapshot};
