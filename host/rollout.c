#include "host/rollout.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// One lane of the device and the body that it moves.
typedef struct {
    void *body;
    int64_t life;
    hb_lane lane;
    bool fresh; // the lane is not expanded yet
    hb_life_result result;
} slot;

// What a thread has to itself.
typedef struct {
    hb_rollout_times times;
    hb_group *group; // resident: a lane of its own
} worker_state;

struct hb_rollout {
    hb_rollout_def def;
    int32_t n_threads, n_slots;
    hb_group *group; // batched: all lanes
    slot *slots;
    worker_state *workers;
    float *observation, *action; // (n_slots, size)
    uint8_t *active;
    pthread_barrier_t barrier;
};

// A call of hb_rollout_run.
typedef struct {
    hb_rollout *rollout;
    int64_t n;
    void (*life)(const void *context, int64_t k, hb_life *life);
    const void *context;
    hb_life_result *results;
    const atomic_bool *stop;
    atomic_llong next;
    atomic_int failed; // a status
    pthread_mutex_t mutex;
    hb_error *error;
    bool finished; // batched: written by one thread between two barriers
} run;

double hb_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t next_word(hb_env_random *base) {
    hb_random *random = (hb_random *)base;
    return hb_noise_word(random->noise, random->next++);
}

void hb_random_start(hb_random *random, hb_noise noise) {
    *random = (hb_random){.base.next = next_word, .noise = noise};
}

// ---------------------------------------------------------------------------------------------------
// Open, close

void hb_rollout_close(hb_rollout *rollout) {
    if (!rollout) return;
    const hb_device_table *table = rollout->def.machine->table;
    for (int32_t k = 0; rollout->slots && k < rollout->n_slots; k++)
        if (rollout->slots[k].body) rollout->def.env->body_destroy(rollout->slots[k].body);
    for (int32_t w = 0; rollout->workers && w < rollout->n_threads; w++)
        table->group_destroy(rollout->workers[w].group);
    table->group_destroy(rollout->group);
    pthread_barrier_destroy(&rollout->barrier);
    free(rollout->slots);
    free(rollout->workers);
    free(rollout->observation);
    free(rollout->action);
    free(rollout->active);
    free(rollout);
}

static hb_status open_parts(hb_rollout *rollout, hb_error *error) {
    const hb_rollout_def *def = &rollout->def;
    const size_t n = (size_t)rollout->n_slots;
    rollout->slots = calloc(n, sizeof *rollout->slots);
    rollout->workers = calloc((size_t)rollout->n_threads, sizeof *rollout->workers);
    rollout->observation = calloc(n * (size_t)def->env->observation_size, sizeof *rollout->observation);
    rollout->action = calloc(n * (size_t)def->env->action_size, sizeof *rollout->action);
    rollout->active = calloc(n, sizeof *rollout->active);
    if (!rollout->slots || !rollout->workers || !rollout->observation || !rollout->action || !rollout->active)
        return hb_fail(error, HB_FAILED, "out of memory for %zu lanes", n);
    for (size_t k = 0; k < n; k++) {
        char message[512] = "";
        if (def->env->body_create(def->world, &rollout->slots[k].body, message, sizeof message) != 0)
            return hb_fail(error, HB_FAILED, "environment '%s': %s", def->env->name, message);
    }
    const hb_device_table *table = def->machine->table;
    hb_device *device = def->machine->device;
    if (def->batched) return table->group_create(device, def->net, rollout->n_slots, &rollout->group, error);
    hb_status status = HB_OK;
    for (int32_t w = 0; w < rollout->n_threads && status == HB_OK; w++)
        status = table->group_create(device, def->net, 1, &rollout->workers[w].group, error);
    return status;
}

hb_status hb_rollout_open(const hb_rollout_def *def, hb_rollout **out, hb_error *error) {
    hb_rollout *rollout = calloc(1, sizeof *rollout);
    if (!rollout) return hb_fail(error, HB_FAILED, "out of memory opening the rollout");
    rollout->def = *def;
    rollout->n_threads = hb_pool_threads(def->machine->pool);
    rollout->n_slots = def->batched ? def->group : rollout->n_threads;
    pthread_barrier_init(&rollout->barrier, NULL, (unsigned)rollout->n_threads);
    const hb_status status = open_parts(rollout, error);
    if (status != HB_OK) {
        hb_rollout_close(rollout);
        return status;
    }
    *out = rollout;
    return HB_OK;
}

int32_t hb_rollout_lanes(const hb_rollout *rollout) {
    return rollout->n_slots;
}

// ---------------------------------------------------------------------------------------------------
// One life

static float *observation_of(const hb_rollout *rollout, int32_t k) {
    return rollout->observation + (size_t)k * (size_t)rollout->def.env->observation_size;
}

static float *action_of(const hb_rollout *rollout, int32_t k) {
    return rollout->action + (size_t)k * (size_t)rollout->def.env->action_size;
}

// x - x is 0 for every finite x and NaN for every other: one sum tells.
static bool finite_observation(const hb_rollout *rollout, int32_t k) {
    const float *x = observation_of(rollout, k);
    float sum = 0.0f;
    for (int32_t i = 0; i < rollout->def.env->observation_size; i++) sum += x[i] - x[i];
    return sum == 0.0f;
}

static void fail(run *r, hb_status status, const hb_error *error) {
    pthread_mutex_lock(&r->mutex);
    if (atomic_load(&r->failed) == HB_OK) {
        atomic_store(&r->failed, (int)status);
        if (r->error) *r->error = *error;
    }
    pthread_mutex_unlock(&r->mutex);
}

static bool halted(const run *r) {
    return atomic_load_explicit(&r->failed, memory_order_relaxed) != HB_OK ||
           (r->stop && atomic_load_explicit(r->stop, memory_order_relaxed));
}

// Takes the next life into slot k and resets its environment; false when none is left.
static bool begin_life(run *r, int32_t k, hb_rollout_times *times) {
    hb_rollout *rollout = r->rollout;
    slot *s = &rollout->slots[k];
    for (;;) {
        const int64_t number = atomic_fetch_add(&r->next, 1);
        if (number >= r->n || halted(r)) return false;
        hb_life life;
        r->life(r->context, number, &life);
        *s = (slot){.body = s->body, .life = number, .lane = life.lane, .fresh = true};
        const double begun = hb_now();
        hb_random random;
        hb_random_start(&random, life.reset);
        hb_env_step spent;
        const hb_env_outcome outcome =
            rollout->def.env->reset(s->body, life.variation, &random.base, observation_of(rollout, k), &spent);
        times->physics += spent.physics;
        times->env += hb_now() - begun - spent.physics;
        if (outcome == HB_ENV_RUNNING && finite_observation(rollout, k)) return true;
        s->result.diverged = true; // it ends before it began; take another
        r->results[number] = s->result;
    }
}

// Gives a life just begun its weights and planes, in that lane of the group.
static bool expand_life(run *r, int32_t k, hb_group *group, int32_t lane, hb_rollout_times *times) {
    slot *s = &r->rollout->slots[k];
    const double begun = hb_now();
    hb_error error;
    const hb_status status =
        r->rollout->def.machine->table->group_expand(group, lane, 1, &s->lane, &s->result.sum_of_squares, &error);
    times->expand += hb_now() - begun;
    s->fresh = false;
    if (status != HB_OK) fail(r, status, &error);
    return status == HB_OK;
}

// One environment step of slot k; false when its life has ended.
static bool step_life(run *r, int32_t k, hb_rollout_times *times) {
    hb_rollout *rollout = r->rollout;
    slot *s = &rollout->slots[k];
    const double begun = hb_now();
    hb_env_step step;
    const hb_env_outcome outcome =
        rollout->def.env->step(s->body, action_of(rollout, k), observation_of(rollout, k), &step);
    times->env += hb_now() - begun - step.physics;
    times->physics += step.physics;
    const bool known = outcome == HB_ENV_RUNNING || outcome == HB_ENV_DONE;
    const bool diverged =
        !known || !isfinite(step.fitness) || (outcome == HB_ENV_RUNNING && !finite_observation(rollout, k));
    s->result.steps++;
    if (!diverged) {
        s->result.fitness += step.fitness;
        s->result.reward += step.reward;
        s->result.backward_steps += step.fitness < 0;
        if (outcome == HB_ENV_RUNNING) return true;
    }
    s->result.diverged = diverged;
    r->results[s->life] = s->result;
    return false;
}

static bool step_device(run *r, hb_group *group, int32_t lane, int32_t first, int32_t count, const uint8_t *active,
                        hb_rollout_times *times) {
    hb_rollout *rollout = r->rollout;
    const double begun = hb_now();
    hb_error error;
    const hb_status status = rollout->def.machine->table->group_step(
        group, lane, count, active, observation_of(rollout, first), action_of(rollout, first), &error);
    times->policy += hb_now() - begun;
    if (status != HB_OK) fail(r, status, &error);
    return status == HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Resident

static void resident_worker(void *context, int32_t w) {
    run *r = context;
    worker_state *worker = &r->rollout->workers[w];
    while (begin_life(r, w, &worker->times)) {
        if (!expand_life(r, w, worker->group, 0, &worker->times)) return;
        do {
            if (halted(r) || !step_device(r, worker->group, 0, w, 1, NULL, &worker->times)) return;
        } while (step_life(r, w, &worker->times));
    }
}

// ---------------------------------------------------------------------------------------------------
// Batched. Each thread looks after the environments of a range of slots; between two rounds the device expands the
// lanes of lives just begun and steps the group: by the same ranges, or, on a device that is served by one thread,
// all at once by thread 0.

static void serve_device(run *r, int32_t first, int32_t end, hb_rollout_times *times) {
    hb_rollout *rollout = r->rollout;
    for (int32_t k = first; k < end; k++)
        if (rollout->active[k] && rollout->slots[k].fresh && !expand_life(r, k, rollout->group, k, times)) return;
    if (first < end) step_device(r, rollout->group, first, first, end - first, rollout->active + first, times);
}

static void batched_worker(void *context, int32_t w) {
    run *r = context;
    hb_rollout *rollout = r->rollout;
    const bool by_range = rollout->def.machine->table->host_parallel;
    const int32_t first = (int32_t)((int64_t)rollout->n_slots * w / rollout->n_threads);
    const int32_t end = (int32_t)((int64_t)rollout->n_slots * (w + 1) / rollout->n_threads);
    hb_rollout_times *times = &rollout->workers[w].times;
    for (int32_t k = first; k < end; k++) rollout->active[k] = begin_life(r, k, times);
    for (;;) {
        // One thread decides for all whether to go on.
        if (pthread_barrier_wait(&rollout->barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            r->finished = halted(r) || !memchr(rollout->active, 1, (size_t)rollout->n_slots);
        pthread_barrier_wait(&rollout->barrier);
        if (r->finished) return;
        if (by_range)
            serve_device(r, first, end, times);
        else if (w == 0)
            serve_device(r, 0, rollout->n_slots, times);
        pthread_barrier_wait(&rollout->barrier);
        for (int32_t k = first; k < end && !halted(r); k++)
            if (rollout->active[k] && !step_life(r, k, times)) rollout->active[k] = begin_life(r, k, times);
    }
}

hb_status hb_rollout_run(hb_rollout *rollout, int64_t n, void (*life)(const void *context, int64_t k, hb_life *life),
                         const void *context, hb_life_result *results, hb_rollout_times *times,
                         const atomic_bool *stop, hb_error *error) {
    run r = {.rollout = rollout,
             .n = n,
             .life = life,
             .context = context,
             .results = results,
             .stop = stop,
             .mutex = PTHREAD_MUTEX_INITIALIZER,
             .error = error};
    for (int32_t w = 0; w < rollout->n_threads; w++) rollout->workers[w].times = (hb_rollout_times){.env = 0};
    hb_pool_run(rollout->def.machine->pool, rollout->def.batched ? batched_worker : resident_worker, &r);
    for (int32_t w = 0; w < rollout->n_threads; w++) {
        const hb_rollout_times *t = &rollout->workers[w].times;
        times->physics += t->physics;
        times->env += t->env;
        times->policy += t->policy;
        times->expand += t->expand;
    }
    pthread_mutex_destroy(&r.mutex);
    if (atomic_load(&r.failed) != HB_OK) return (hb_status)atomic_load(&r.failed);
    return stop && atomic_load(stop) ? hb_fail(error, HB_INTERRUPTED, "stopped on request") : HB_OK;
}
