// Environments of two functions that a program brings along: their tables.
#include "envs/plugin.h"
#include "host/hebbes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VARIATIONS = 64, ALIGNMENT = 64 };

// Lives as long as the process, as the table in it does.
typedef struct {
    hb_env_table table; // first: world_create is given its address
    hb_functions functions;
    hb_action_range *range;                      // (action_size)
    const char *variations[MOST_VARIATIONS + 1]; // NULL-terminated
} environment;

typedef struct {
    const environment *of;
    void *state;
} functions_body;

static int functions_world_create(const hb_env_settings *settings, void **world, char *message, size_t size) {
    (void)message, (void)size;
    *world = (void *)(uintptr_t)settings->table;
    return 0;
}

static void functions_world_destroy(void *world) {
    (void)world;
}

static void functions_shape(const void *world, hb_env_shape *shape) {
    const environment *e = world;
    *shape = (hb_env_shape){.observation_size = (int32_t)e->functions.observation_size,
                            .action_size = (int32_t)e->functions.action_size,
                            .action_range = e->range,
                            .max_steps = (int32_t)e->functions.max_steps,
                            .step_seconds = e->functions.step_seconds,
                            .width = 1};
}

static int functions_body_create(const void *world, int32_t width, void **out, char *message, size_t size) {
    (void)width;
    const environment *e = world;
    functions_body *body = malloc(sizeof *body);
    const size_t bytes = ((size_t)e->functions.state_bytes / ALIGNMENT + 1) * ALIGNMENT;
    void *state = body ? aligned_alloc(ALIGNMENT, bytes) : NULL;
    if (!state) {
        free(body);
        return snprintf(message, size, "out of memory for a life"), -1;
    }
    *body = (functions_body){e, memset(state, 0, bytes)};
    *out = body;
    return 0;
}

static void functions_body_destroy(void *handle) {
    functions_body *body = handle;
    free(body->state);
    free(body);
}

static hb_env_outcome functions_reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                                      hb_env_step *out) {
    const functions_body *body = handle;
    const uint64_t high = random->next(random), seed = high << 32 | random->next(random);
    *out = (hb_env_step){.fitness = 0};
    memset(body->state, 0, (size_t)body->of->functions.state_bytes); // it may be another life's
    body->of->functions.reset(body->state, variation, seed, observation);
    return HB_ENV_RUNNING;
}

static hb_env_outcome functions_step(void *handle, const float *action, void *observation, hb_env_step *out) {
    const functions_body *body = handle;
    double reward = 0;
    const int32_t over = body->of->functions.step(body->state, action, observation, &reward);
    *out = (hb_env_step){.fitness = reward, .reward = reward, .substeps = 1};
    return over < 0 ? HB_ENV_DIVERGED : over > 0 ? HB_ENV_DONE : HB_ENV_RUNNING;
}

static const hb_env_table functions_table = {.abi = HB_ENV_ABI,
                                             .world_create = functions_world_create,
                                             .world_destroy = functions_world_destroy,
                                             .shape = functions_shape,
                                             .body_create = functions_body_create,
                                             .body_destroy = functions_body_destroy,
                                             .reset = functions_reset,
                                             .step = functions_step};

static hb_status check(const hb_functions *f, int n_variations, int range, hb_error *error) {
    const char *name = f->name ? f->name : "";
    if (!f->reset || !f->step)
        return hb_fail(error, HB_BAD_INPUT, "environment '%s': expected functions reset and step", name);
    if (f->observation_size < 1 || f->observation_size > HB_ENV_MOST_NUMBERS || f->action_size < 1 ||
        f->action_size > HB_ENV_MOST_NUMBERS)
        return hb_fail(
            error, HB_BAD_INPUT,
            "environment '%s': expected 1 to %d numbers of an observation and an action, found %lld and %lld", name,
            HB_ENV_MOST_NUMBERS, (long long)f->observation_size, (long long)f->action_size);
    if (f->max_steps < 1 || f->max_steps > 1000000000 || f->state_bytes < 0 || f->state_bytes > 1 << 30)
        return hb_fail(error, HB_BAD_INPUT,
                       "environment '%s': expected 1 to 1e9 steps and a state of 0 to %d bytes, found %lld and %lld",
                       name, 1 << 30, (long long)f->max_steps, (long long)f->state_bytes);
    if (range > HB_ACTION_UNIT)
        return hb_fail(error, HB_BAD_INPUT, "environment '%s': expected the range any, signed or unit, found '%s'",
                       name, f->range);
    if (n_variations > MOST_VARIATIONS)
        return hb_fail(error, HB_BAD_INPUT, "environment '%s': expected at most %d variations", name,
                       MOST_VARIATIONS);
    if (!(f->step_seconds >= 0 && f->step_seconds < 1e9))
        return hb_fail(error, HB_BAD_INPUT, "environment '%s': expected a step of 0 to 1e9 s, found %g", name,
                       f->step_seconds);
    return HB_OK;
}

static void forget(environment *e) {
    free((void *)(uintptr_t)e->table.name);
    free((void *)(uintptr_t)e->table.summary);
    for (int k = 0; k < MOST_VARIATIONS; k++) free((void *)(uintptr_t)e->variations[k]);
    free(e->range);
    free(e);
}

// A copy, the range and the names being known to be good.
static environment *copy(const hb_functions *f, const char *const *variations, int n_variations,
                         hb_action_range range) {
    environment *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->functions = *f;
    e->table = functions_table;
    e->table.name = strdup(f->name ? f->name : "");
    e->table.summary = strdup(f->summary ? f->summary : "an environment of this program");
    e->table.variations = e->variations;
    e->range = malloc((size_t)f->action_size * sizeof *e->range);
    bool room = e->table.name && e->table.summary && e->range;
    for (int k = 0; k < n_variations && room; k++) room = (e->variations[k] = strdup(variations[k])) != NULL;
    for (int64_t k = 0; room && k < f->action_size; k++) e->range[k] = range;
    if (room) return e;
    forget(e);
    return NULL;
}

hb_status hb_functions_add(const hb_functions *f, hb_error *error) {
    static const char *const ranges[] = {"any", "signed", "unit"}; // as hb_action_range
    static const char *const usual[] = {"default", NULL};
    const char *const *variations = f->variations && f->variations[0] ? f->variations : usual;
    int n_variations = 0, range = 0;
    while (n_variations <= MOST_VARIATIONS && variations[n_variations]) n_variations++;
    while (f->range && range <= HB_ACTION_UNIT && strcmp(ranges[range], f->range) != 0) range++;
    hb_status status = check(f, n_variations, range, error);
    if (status != HB_OK) return status;
    environment *e = copy(f, variations, n_variations, (hb_action_range)range);
    if (!e) return hb_fail(error, HB_FAILED, "out of memory for environment '%s'", f->name);
    status = hb_env_append(&e->table, error);
    if (status != HB_OK) forget(e);
    return status;
}

hb_status hb_env_add(const hb_env_table *table, hb_error *error) {
    return hb_env_append(table, error);
}
