// An environment whose returns are known: variation "plus" returns 4 x 3, "minus" 2 x -5, "broken" becomes NaN in its
// second step after 7, "stillborn" cannot be reset, "slow" returns from its second step after 3 s, "costly" costs 1 for each of 9 steps, but
// becomes NaN at once where the action is positive. For tests, as a shared object.
#include "envs/env.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    int32_t variation;
    int step;
} body;

static int world_create(const hb_env_settings *settings, void **world, char *message, size_t size) {
    (void)settings, (void)message, (void)size;
    *world = malloc(1);
    return *world ? 0 : -1;
}

static void shape(const void *world, hb_env_shape *out) {
    (void)world;
    *out = (hb_env_shape){.observation_size = 1, .action_size = 1, .progress = true, .max_steps = 9, .width = 1};
}

static int body_create(const void *world, int32_t width, void **out, char *message, size_t size) {
    (void)world, (void)width, (void)message, (void)size;
    *out = calloc(1, sizeof(body));
    return *out ? 0 : -1;
}

static hb_env_outcome reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                            hb_env_step *out) {
    (void)random;
    *(body *)handle = (body){.variation = variation};
    *out = (hb_env_step){.fitness = 0};
    *(float *)observation = 1.0f;
    return variation == 3 ? HB_ENV_DIVERGED : HB_ENV_RUNNING;
}

static hb_env_outcome step(void *handle, const float *action, void *observation, hb_env_step *out) {
    static const double fitness[] = {3, -5, 7, 0, 3, -1};
    static const int steps[] = {4, 2, 9, 0, 4, 9};
    body *b = handle;
    b->step++;
    *out = (hb_env_step){.fitness = fitness[b->variation], .reward = 1};
    if (b->variation == 5 && b->step == 1 && *action > 0) out->fitness = NAN;
    if (b->variation == 2 && b->step == 2) out->fitness = NAN;
    if (b->variation == 4 && b->step == 2) nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
    *(float *)observation = 1.0f;
    return b->step < steps[b->variation] ? HB_ENV_RUNNING : HB_ENV_DONE;
}

static const char *const variations[] = {"plus", "minus", "broken", "stillborn", "slow", "costly", NULL};
static const hb_env_table table = {.abi = HB_ENV_ABI,
                                   .name = "known",
                                   .summary = "known returns",
                                   .variations = variations,
                                   .world_create = world_create,
                                   .world_destroy = free,
                                   .shape = shape,
                                   .body_create = body_create,
                                   .body_destroy = free,
                                   .reset = reset,
                                   .step = step};

const hb_env_table *hb_env_export(void);
const hb_env_table *hb_env_export(void) {
    return &table;
}
