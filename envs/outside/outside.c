// An environment that another program steps: this one knows its sizes. Its lives are lived through hb_lives (host/hebbes.h), from Python for
// example (docs/python.md); it has no bodies of its own.
#include "envs/outside/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t observation_size, picture[3], action_size, max_steps;
    hb_action_range range[HB_ENV_MOST_NUMBERS];
} world;

static const char *const ranges[] = {"any", "signed", "unit", NULL}; // as hb_action_range

static const hb_env_option options[] = {
    {"observation_size", HB_OPTION_INT, "1", 1, HB_ENV_MOST_NUMBERS, NULL, "numbers of an observation", NULL},
    {"picture", HB_OPTION_TEXT, "", 0, 0, NULL,
     "an observation is a picture of so many channels, rows and columns, such as 3,84,84, instead", NULL},
    {"action_size", HB_OPTION_INT, "1", 1, HB_ENV_MOST_NUMBERS, NULL, "numbers of an action", NULL},
    {"range", HB_OPTION_CHOICE, "any", 0, 0, ranges, "of an action's numbers: any, signed [-1, 1], unit [0, 1]",
     NULL},
    {"max_steps", HB_OPTION_INT, "1000", 1, 1e9, NULL, "policy steps of an episode, for plans", NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

static int32_t number(const hb_env_settings *settings, const char *name) {
    return (int32_t)strtol(hb_env_setting(settings, name), NULL, 10);
}

// "C,H,W", or nothing.
static bool read_picture(const char *text, world *w) {
    char behind;
    if (!text || !*text) return true;
    if (sscanf(text, "%d,%d,%d%c", &w->picture[0], &w->picture[1], &w->picture[2], &behind) != 3) return false;
    for (int k = 0; k < 3; k++)
        if (w->picture[k] < 1 || w->picture[k] > 256) return false;
    w->observation_size = w->picture[0] * w->picture[1] * w->picture[2];
    return true;
}

static int outside_world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    world *w = calloc(1, sizeof *w);
    if (!w) return snprintf(message, size, "out of memory"), -1;
    const char *range = hb_env_setting(settings, "range");
    hb_action_range found = HB_ACTION_ANY;
    while (range && ranges[found + 1] && strcmp(ranges[found], range) != 0) found++;
    w->observation_size = number(settings, "observation_size");
    if (!read_picture(hb_env_setting(settings, "picture"), w)) {
        free(w);
        return snprintf(message, size,
                        "picture: expected channels, rows and columns, 1 to 256 each, such as 3,84,84"),
               -1;
    }
    w->action_size = number(settings, "action_size");
    w->max_steps = number(settings, "max_steps");
    for (int32_t k = 0; k < w->action_size; k++) w->range[k] = found;
    *out = w;
    return 0;
}

static void outside_shape(const void *handle, hb_env_shape *shape) {
    const world *w = handle;
    *shape = (hb_env_shape){.observation_size = w->observation_size,
                            .picture = {w->picture[0], w->picture[1], w->picture[2]},
                            .action_size = w->action_size,
                            .action_range = w->range,
                            .max_steps = w->max_steps,
                            .width = 1};
}

static int outside_body_create(const void *handle, int32_t width, void **body, char *message, size_t size) {
    (void)handle, (void)width, (void)body;
    return snprintf(message, size, "another program steps it: use hebbes from there (docs/python.md)"), -1;
}

// Never called: there are no bodies.
static hb_env_outcome outside_reset(void *body, int32_t variation, hb_env_random *random, void *observation,
                                    hb_env_step *out) {
    (void)body, (void)variation, (void)random, (void)observation, (void)out;
    return HB_ENV_DIVERGED;
}

static hb_env_outcome outside_step(void *body, const float *action, void *observation, hb_env_step *out) {
    (void)body, (void)action, (void)observation, (void)out;
    return HB_ENV_DIVERGED;
}

static const char *const variations[] = {"default", NULL};

const hb_env_table hb_env_outside = {.abi = HB_ENV_ABI,
                                     .name = "outside",
                                     .summary =
                                         "an environment that another program steps, such as Gymnasium's from Python",
                                     .variations = variations,
                                     .options = options,
                                     .world_create = outside_world_create,
                                     .world_destroy = free,
                                     .shape = outside_shape,
                                     .body_create = outside_body_create,
                                     .body_destroy = free,
                                     .reset = outside_reset,
                                     .step = outside_step};
