// A vector of environments, stepped together: bodies of one life, or of several in lanes, spread over threads.
#include "host/base/locale.h"
#include "host/config/config.h"
#include "host/policy/policy.h"
#include "host/train/outcome.h"
#include "host/train/rollout.h"
#include "host/train/world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hb_vec {
    hb_config *config;
    hb_world world;
    hb_pool *pool;
    int64_t n;
    int32_t width; // lives of a body
    int64_t n_bodies;
    void **body;         // (n_bodies)
    int32_t *variation;  // (n_bodies), of the lives in it; -1: none yet
    size_t bytes;        // of an observation
    char *observation;   // (n_bodies width), what each sees now
    float *action;       // (n_bodies width, A)
    hb_env_step *step;   // (n_bodies width)
    hb_env_outcome *now; // (n_bodies width): RUNNING, or how the life ended; STARTING in a reset
    int32_t *steps;      // (n_bodies width): policy steps of the life
    bool *chosen;        // (n_bodies width): in a reset under way
    uint64_t *seed;      // (n_bodies width): of its reset
};

// ---------------------------------------------------------------------------------------------------
// Open, close

void hb_vec_close(hb_vec *vec) {
    if (!vec) return;
    for (int64_t b = 0; vec->body && b < vec->n_bodies; b++)
        if (vec->body[b]) vec->world.env->body_destroy(vec->body[b]);
    hb_world_close(&vec->world);
    hb_pool_close(vec->pool);
    hb_config_close(vec->config);
    void *const all[] = {vec->body, vec->variation, vec->observation, vec->action, vec->step,
                         vec->now,  vec->steps,     vec->chosen,      vec->seed};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    free(vec);
}

static hb_status make_room(hb_vec *vec, hb_error *error) {
    const size_t lanes = (size_t)(vec->n_bodies * vec->width), actions = (size_t)vec->world.shape.action_size;
    vec->body = calloc((size_t)vec->n_bodies, sizeof *vec->body);
    vec->variation = malloc((size_t)vec->n_bodies * sizeof *vec->variation);
    vec->observation = calloc(lanes, vec->bytes);
    vec->action = calloc(lanes * actions, sizeof *vec->action);
    vec->step = calloc(lanes, sizeof *vec->step);
    vec->now = calloc(lanes, sizeof *vec->now);
    vec->steps = calloc(lanes, sizeof *vec->steps);
    vec->chosen = calloc(lanes, sizeof *vec->chosen);
    vec->seed = calloc(lanes, sizeof *vec->seed);
    if (!vec->body || !vec->variation || !vec->observation || !vec->action || !vec->step || !vec->now ||
        !vec->steps || !vec->chosen || !vec->seed)
        return hb_fail(error, HB_FAILED, "out of memory for %lld environments", (long long)vec->n);
    for (size_t k = 0; k < lanes; k++) vec->now[k] = HB_ENV_DONE;
    hb_status status = HB_OK;
    for (int64_t b = 0; b < vec->n_bodies && status == HB_OK; b++) {
        vec->variation[b] = -1;
        status = hb_world_body(&vec->world, vec->width, &vec->body[b], error);
    }
    return status;
}

static hb_status open_world(hb_vec *vec, hb_error *error) {
    const hb_status status = hb_world_open(vec->config, NULL, &vec->world, error);
    if (status != HB_OK) return status;
    const int64_t threads = vec->config->settings.machine.threads;
    vec->width = vec->world.env->hold_lane ? hb_world_width(&vec->world, vec->config->settings.run.width) : 1;
    vec->n_bodies = (vec->n + vec->width - 1) / vec->width;
    vec->bytes = hb_env_observation_bytes(&vec->world.shape);
    return hb_pool_open((int32_t)(threads > 0 ? threads : hb_usable_cores()), &vec->pool, error);
}

hb_status hb_vec_open(const char *path, const char *const *sets, int n_sets, int64_t n, hb_vec **out,
                      hb_error *error) {
    enum { MOST = 1 << 20 };
    HB_NUMBERS_WITH_POINTS;
    if (n < 1 || n > MOST)
        return hb_fail(error, HB_BAD_INPUT, "environments: expected 1 to %d of them, found %lld", MOST, (long long)n);
    hb_vec *vec = calloc(1, sizeof *vec);
    if (!vec) return hb_fail(error, HB_FAILED, "out of memory for environments");
    vec->n = n;
    hb_status status = hb_config_open(path, sets, n_sets, &vec->config, error);
    if (status == HB_OK) status = open_world(vec, error);
    if (status == HB_OK) status = make_room(vec, error);
    if (status != HB_OK) {
        hb_vec_close(vec);
        return status;
    }
    *out = vec;
    return HB_OK;
}

void hb_vec_describe(const hb_vec *vec, hb_vec_about *about) {
    const hb_env_shape *shape = &vec->world.shape;
    *about = (hb_vec_about){.n = vec->n,
                            .observation_size = shape->observation_size,
                            .action_size = shape->action_size,
                            .max_steps = shape->max_steps,
                            .width = vec->width,
                            .threads = hb_pool_threads(vec->pool),
                            .step_seconds = shape->step_seconds};
    for (int k = 0; k < 3; k++) about->picture[k] = shape->picture[k];
}

bool hb_vec_bounds(const hb_vec *vec, int64_t k, double *least, double *most) {
    static const double bounds[][2] = {{-HUGE_VAL, HUGE_VAL}, {-1, 1}, {0, 1}, {-1, 1}};
    const hb_env_shape *shape = &vec->world.shape;
    if (k < 0 || k >= shape->action_size) return false;
    const hb_action_range range = shape->action_range ? shape->action_range[k] : HB_ACTION_ANY;
    *least = bounds[range][0];
    *most = bounds[range][1];
    return true;
}

const char *hb_vec_variation(const hb_vec *vec, int k) {
    const char *const *names = vec->world.variations;
    for (int j = 0; j < k; j++)
        if (!names[j]) return NULL;
    return k < 0 ? NULL : names[k];
}

// ---------------------------------------------------------------------------------------------------
// Reset

static void start_random(hb_random *random, uint64_t seed) {
    hb_random_start(
        random, (hb_noise){.seed = (uint32_t)seed, .stream = HB_STREAM_RESET, .generation = (uint32_t)(seed >> 32)});
}

static char *seen(const hb_vec *vec, int64_t lane) {
    return vec->observation + (size_t)lane * vec->bytes;
}

static void reset_one(hb_vec *vec, int64_t b) {
    hb_random random;
    start_random(&random, vec->seed[b]);
    const hb_env_outcome outcome =
        vec->world.env->reset(vec->body[b], vec->variation[b], &random.base, seen(vec, b), &vec->step[b]);
    vec->now[b] = hb_reset_outcome(&vec->world.shape, outcome, seen(vec, b));
    vec->steps[b] = 0;
}

// The lives that go on stand still while the others start.
static void reset_lanes(hb_vec *vec, int64_t b) {
    const hb_env_table *env = vec->world.env;
    const int64_t first = b * vec->width;
    const size_t actions = (size_t)vec->world.shape.action_size;
    int32_t starting = 0;
    for (int32_t k = 0; k < vec->width; k++) {
        const int64_t lane = first + k;
        if (!vec->chosen[lane]) {
            env->hold_lane(vec->body[b], k, true);
            continue;
        }
        hb_random random;
        start_random(&random, vec->seed[lane]);
        env->reset_lane(vec->body[b], k, vec->variation[b], &random.base);
        vec->now[lane] = HB_ENV_STARTING;
        vec->steps[lane] = 0;
        starting++;
    }
    while (starting > 0) {
        for (int32_t k = 0; k < vec->width; k++) // a lane that has started waits for the others
            if (vec->chosen[first + k] && vec->now[first + k] != HB_ENV_STARTING)
                env->hold_lane(vec->body[b], k, true);
        env->step_lanes(vec->body[b], vec->action + (size_t)first * actions, seen(vec, first), vec->step + first,
                        vec->now + first);
        starting = 0;
        for (int32_t k = 0; k < vec->width; k++)
            starting += vec->chosen[first + k] && vec->now[first + k] == HB_ENV_STARTING;
    }
    for (int32_t k = 0; k < vec->width; k++) {
        const int64_t lane = first + k;
        if (vec->chosen[lane] || vec->now[lane] == HB_ENV_RUNNING) // a life that the host has ended stays held
            env->hold_lane(vec->body[b], k, false);
        if (vec->chosen[lane]) vec->now[lane] = hb_reset_outcome(&vec->world.shape, vec->now[lane], seen(vec, lane));
    }
}

static void reset_bodies(void *context, size_t begin, size_t end) {
    hb_vec *vec = context;
    for (int64_t b = (int64_t)begin; b < (int64_t)end; b++) {
        bool any = false;
        for (int32_t k = 0; k < vec->width; k++) any = any || vec->chosen[b * vec->width + k];
        if (!any) continue;
        if (vec->width > 1)
            reset_lanes(vec, b);
        else
            reset_one(vec, b);
    }
}

// A body's lives are of one variation.
static hb_status choose_variation(hb_vec *vec, int64_t variation, hb_error *error) {
    const char *name = hb_vec_variation(vec, (int)variation);
    if (!name) return hb_fail(error, HB_BAD_INPUT, "reset: no variation has the number %lld", (long long)variation);
    for (int64_t b = 0; b < vec->n_bodies; b++) {
        bool any = false, others = false;
        for (int64_t lane = b * vec->width; lane < (b + 1) * vec->width; lane++) {
            any = any || vec->chosen[lane];
            others = others || (!vec->chosen[lane] && vec->now[lane] == HB_ENV_RUNNING);
        }
        if (any && others && vec->variation[b] != variation)
            return hb_fail(error, HB_BAD_INPUT,
                           "reset: environments %lld to %lld are computed together and must be of one variation; "
                           "reset all of them, or set run.width=1",
                           (long long)(b * vec->width), (long long)((b + 1) * vec->width - 1));
    }
    for (int64_t b = 0; b < vec->n_bodies; b++)
        for (int64_t lane = b * vec->width; lane < (b + 1) * vec->width; lane++)
            if (vec->chosen[lane]) vec->variation[b] = (int32_t)variation;
    return HB_OK;
}

hb_status hb_vec_reset(hb_vec *vec, const uint8_t *which, const uint64_t *seeds, int64_t variation, void *observation,
                       hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    memset(vec->chosen, 0, (size_t)(vec->n_bodies * vec->width) * sizeof *vec->chosen);
    for (int64_t k = 0; k < vec->n; k++) {
        vec->chosen[k] = !which || which[k];
        if (vec->chosen[k]) vec->seed[k] = seeds[k];
    }
    const hb_status status = choose_variation(vec, variation, error);
    if (status != HB_OK) return status;
    memset(vec->action, 0,
           (size_t)(vec->n_bodies * vec->width) * (size_t)vec->world.shape.action_size * sizeof(float));
    hb_pool_split(vec->pool, (size_t)vec->n_bodies, 1, reset_bodies, vec);
    memcpy(observation, vec->observation, (size_t)vec->n * vec->bytes);
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Picture

hb_status hb_vec_picture(hb_vec *vec, int64_t k, int32_t width, int32_t height, uint8_t *rgb, hb_error *error) {
    enum { SAMPLES = 4 }; // a side of a pixel
    const hb_env_table *env = vec->world.env;
    char message[512] = "";
    if (!env->picture) return hb_fail(error, HB_BAD_INPUT, "picture: environment '%s' draws no pictures", env->name);
    if (vec->width > 1)
        return hb_fail(error, HB_BAD_INPUT, "picture: %d environments are computed together; set run.width=1",
                       vec->width);
    if (k < 0 || k >= vec->n || width < 16 || width > 1920 || height < 16 || height > 1920)
        return hb_fail(error, HB_BAD_INPUT,
                       "picture: expected an environment in [0, %lld) and 16 to 1920 pixels, found %lld and %d x %d",
                       (long long)vec->n, (long long)k, width, height);
    if (vec->variation[k] < 0)
        return hb_fail(error, HB_BAD_INPUT, "picture: environment %lld was not reset yet", (long long)k);
    if (env->picture(vec->body[k], width, height, SAMPLES, rgb, message, sizeof message) == 0) return HB_OK;
    return hb_fail(error, HB_FAILED, "environment '%s': %s", env->name, message);
}

// ---------------------------------------------------------------------------------------------------
// Step

static void finish_lane(hb_vec *vec, int64_t lane, hb_env_outcome outcome) {
    vec->now[lane] =
        hb_step_outcome(&vec->world.shape, outcome, seen(vec, lane), ++vec->steps[lane], &vec->step[lane]);
}

static void step_bodies(void *context, size_t begin, size_t end) {
    hb_vec *vec = context;
    const hb_env_table *env = vec->world.env;
    const size_t actions = (size_t)vec->world.shape.action_size;
    for (int64_t b = (int64_t)begin; b < (int64_t)end; b++) {
        const int64_t first = b * vec->width;
        const float *action = vec->action + (size_t)first * actions;
        hb_env_outcome outcome[64]; // plugin.c: no body is wider
        bool running[64], any = false;
        for (int32_t k = 0; k < vec->width; k++) {
            running[k] = vec->now[first + k] == HB_ENV_RUNNING;
            any = any || running[k];
            if (!running[k]) vec->step[first + k] = (hb_env_step){.fitness = 0};
        }
        if (!any) continue;
        if (vec->width > 1)
            env->step_lanes(vec->body[b], action, seen(vec, first), vec->step + first, outcome);
        else
            outcome[0] = env->step(vec->body[b], action, seen(vec, first), &vec->step[first]);
        for (int32_t k = 0; k < vec->width; k++)
            if (running[k]) finish_lane(vec, first + k, outcome[k]);
        for (int32_t k = 0; vec->width > 1 && k < vec->width; k++) // the host has ended it
            if (running[k] && vec->now[first + k] != HB_ENV_RUNNING && outcome[k] == HB_ENV_RUNNING)
                env->hold_lane(vec->body[b], k, true);
    }
}

hb_status hb_vec_step(hb_vec *vec, const float *action, void *observation, double *fitness, double *reward,
                      uint8_t *terminated, uint8_t *truncated, hb_error *error) {
    const size_t actions = (size_t)vec->world.shape.action_size;
    for (size_t k = 0; k < (size_t)vec->n * actions; k++)
        if (!isfinite(action[k]))
            return hb_fail(error, HB_BAD_INPUT, "step: expected finite actions, found %g at (%zu, %zu)",
                           (double)action[k], k / actions, k % actions);
    for (int64_t k = 0; k < vec->n; k++)
        if (vec->variation[k / vec->width] < 0)
            return hb_fail(error, HB_BAD_INPUT, "step: environment %lld was not reset yet", (long long)k);
    memcpy(vec->action, action, (size_t)vec->n * actions * sizeof *action);
    hb_pool_split(vec->pool, (size_t)vec->n_bodies, 1, step_bodies, vec);
    memcpy(observation, vec->observation, (size_t)vec->n * vec->bytes);
    for (int64_t k = 0; k < vec->n; k++) {
        const bool over = vec->now[k] != HB_ENV_RUNNING, late = vec->steps[k] >= vec->world.shape.max_steps;
        fitness[k] = vec->step[k].fitness;
        reward[k] = vec->step[k].reward;
        truncated[k] = vec->now[k] == HB_ENV_DONE && late;
        terminated[k] = over && !truncated[k];
    }
    return HB_OK;
}
