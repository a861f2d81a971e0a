#include "host/train/rollout.h"
#include "host/policy/policy.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// One lane of the device and the body that it moves.
typedef struct {
    void *body;
    int64_t life;
    bool fresh; // the lane is not expanded yet
    hb_lane lane;
    hb_life_result result;
} slot;

// Lanes that the device serves together. The living ones are rows 0..n of the observations and actions: row r is
// lane order[r], the life of slots[order[r]]. As lives end for good, the rows close up.
typedef struct {
    hb_group *group;
    int32_t n_slots, n;
    slot *slots;                 // (n_slots)
    int32_t *order;              // (n_slots)
    float *observation, *action; // (n_slots, size), host memory of the device
    bool *ended;                 // (n_slots), by row: nothing lives there any more
    bool served;                 // the device has steps of these rows under way
    // Lives to expand, of rows first.. of whoever serves them.
    int32_t *fresh;        // (n_slots): lanes
    hb_lane *fresh_life;   // (n_slots)
    double *fresh_squares; // (n_slots)
    int32_t n_fresh;
} batch;

// Resident: a batch of one lane for each thread. Batched: two that take turns.
struct hb_rollout {
    hb_rollout_def def;
    int32_t n_threads, n_batches;
    batch *batches;
    hb_rollout_times *times; // (n_threads)
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

static void close_batch(hb_rollout *rollout, batch *b) {
    const hb_device_table *table = rollout->def.machine->table;
    hb_device *device = rollout->def.machine->device;
    for (int32_t k = 0; b->slots && k < b->n_slots; k++)
        if (b->slots[k].body) rollout->def.env->body_destroy(b->slots[k].body);
    table->group_destroy(b->group);
    table->host_free(device, b->observation);
    table->host_free(device, b->action);
    free(b->slots);
    free(b->order);
    free(b->ended);
    free(b->fresh);
    free(b->fresh_life);
    free(b->fresh_squares);
}

void hb_rollout_close(hb_rollout *rollout) {
    if (!rollout) return;
    for (int32_t k = 0; rollout->batches && k < rollout->n_batches; k++) close_batch(rollout, &rollout->batches[k]);
    pthread_barrier_destroy(&rollout->barrier);
    free(rollout->batches);
    free(rollout->times);
    free(rollout);
}

static hb_status open_batch(hb_rollout *rollout, batch *b, int32_t n_slots, hb_error *error) {
    const hb_rollout_def *def = &rollout->def;
    const hb_device_table *table = def->machine->table;
    hb_device *device = def->machine->device;
    const size_t n = (size_t)n_slots;
    b->n_slots = n_slots;
    b->slots = calloc(n, sizeof *b->slots);
    b->order = calloc(n, sizeof *b->order);
    b->ended = calloc(n, sizeof *b->ended);
    b->fresh = calloc(n, sizeof *b->fresh);
    b->fresh_life = calloc(n, sizeof *b->fresh_life);
    b->fresh_squares = calloc(n, sizeof *b->fresh_squares);
    if (!b->slots || !b->order || !b->ended || !b->fresh || !b->fresh_life || !b->fresh_squares)
        return hb_fail(error, HB_FAILED, "out of memory for %zu lanes", n);
    hb_status status = table->host_alloc(device, n * hb_net_observation_words(def->net), &b->observation, error);
    if (status == HB_OK) status = table->host_alloc(device, n * (size_t)def->env->action_size, &b->action, error);
    if (status == HB_OK) status = table->group_create(device, def->net, n_slots, &b->group, error);
    for (size_t k = 0; k < n && status == HB_OK; k++) {
        char message[512] = "";
        if (def->env->body_create(def->world, &b->slots[k].body, message, sizeof message) != 0)
            status = hb_fail(error, HB_FAILED, "environment '%s': %s", def->env->name, message);
    }
    return status;
}

static hb_status open_parts(hb_rollout *rollout, hb_error *error) {
    const int32_t lanes = rollout->def.group;
    const bool batched = rollout->def.batched;
    rollout->n_batches = batched ? 2 : rollout->n_threads;
    rollout->batches = calloc((size_t)rollout->n_batches, sizeof *rollout->batches);
    rollout->times = calloc((size_t)rollout->n_threads, sizeof *rollout->times);
    if (!rollout->batches || !rollout->times) return hb_fail(error, HB_FAILED, "out of memory opening the rollout");
    hb_status status = HB_OK;
    for (int32_t k = 0; k < rollout->n_batches && status == HB_OK; k++)
        status = open_batch(rollout, &rollout->batches[k], batched ? (lanes + 1 - k) / 2 : 1, error);
    return status;
}

hb_status hb_rollout_open(const hb_rollout_def *def, hb_rollout **out, hb_error *error) {
    hb_rollout *rollout = calloc(1, sizeof *rollout);
    if (!rollout) return hb_fail(error, HB_FAILED, "out of memory opening the rollout");
    rollout->def = *def;
    rollout->n_threads = hb_pool_threads(def->machine->pool);
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
    int32_t lanes = 0;
    for (int32_t k = 0; k < rollout->n_batches; k++) lanes += rollout->batches[k].n_slots;
    return lanes;
}

// ---------------------------------------------------------------------------------------------------
// One life, in row `row` of a batch

static float *observation_of(const hb_rollout *rollout, const batch *b, int32_t row) {
    return b->observation + (size_t)row * hb_net_observation_words(rollout->def.net);
}

static float *action_of(const hb_rollout *rollout, const batch *b, int32_t row) {
    return b->action + (size_t)row * (size_t)rollout->def.env->action_size;
}

// x - x is 0 for every finite x and NaN for every other: one sum tells. Bytes are finite.
static bool finite_observation(const hb_rollout *rollout, const batch *b, int32_t row) {
    if (rollout->def.env->picture_shape[0] > 0) return true;
    const float *x = observation_of(rollout, b, row);
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

// Takes the next life into the row and resets its environment; false when none is left.
static bool begin_life(run *r, batch *b, int32_t row, hb_rollout_times *times) {
    hb_rollout *rollout = r->rollout;
    slot *s = &b->slots[b->order[row]];
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
            rollout->def.env->reset(s->body, life.variation, &random.base, observation_of(rollout, b, row), &spent);
        times->physics += spent.physics;
        times->env += hb_now() - begun - spent.physics;
        if (outcome == HB_ENV_RUNNING && finite_observation(rollout, b, row)) return true;
        s->result.diverged = true; // it ends before it began; take another
        r->results[number] = s->result;
    }
}

// One environment step of the row; false when its life has ended.
static bool step_life(run *r, batch *b, int32_t row, hb_rollout_times *times) {
    hb_rollout *rollout = r->rollout;
    slot *s = &b->slots[b->order[row]];
    const double begun = hb_now();
    hb_env_step step;
    hb_policy_bound(rollout->def.env, action_of(rollout, b, row));
    const hb_env_outcome outcome =
        rollout->def.env->step(s->body, action_of(rollout, b, row), observation_of(rollout, b, row), &step);
    times->env += hb_now() - begun - step.physics;
    times->physics += step.physics;
    const bool known = outcome == HB_ENV_RUNNING || outcome == HB_ENV_DONE;
    const bool diverged =
        !known || !isfinite(step.fitness) || (outcome == HB_ENV_RUNNING && !finite_observation(rollout, b, row));
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

// ---------------------------------------------------------------------------------------------------
// The device: rows [first, end) of a batch

static bool succeeded(run *r, hb_status status, const hb_error *error) {
    if (status != HB_OK) fail(r, status, error);
    return status == HB_OK;
}

// Queues the expansion of the lives among the rows that are fresh.
static bool queue_expansion(run *r, batch *b, int32_t first, int32_t end, int32_t *n_fresh) {
    int32_t n = 0;
    for (int32_t row = first; row < end; row++) {
        const slot *s = &b->slots[b->order[row]];
        if (!s->fresh) continue;
        b->fresh[first + n] = b->order[row];
        b->fresh_life[first + n] = s->lane;
        n++;
    }
    *n_fresh = n;
    hb_error error;
    return n == 0 ||
           succeeded(r,
                     r->rollout->def.machine->table->group_expand(
                         b->group, n, b->fresh + first, b->fresh_life + first, b->fresh_squares + first, &error),
                     &error);
}

// What the device found while expanding goes to the lives.
static void take_expansion(batch *b, int32_t first, int32_t n_fresh) {
    for (int32_t k = first; k < first + n_fresh; k++) {
        slot *s = &b->slots[b->fresh[k]];
        s->fresh = false;
        s->result.sum_of_squares = b->fresh_squares[k];
    }
}

static bool queue_step(run *r, batch *b, int32_t first, int32_t end) {
    hb_error error;
    return first >= end ||
           succeeded(r,
                     r->rollout->def.machine->table->group_step(b->group, end - first, b->order + first,
                                                                observation_of(r->rollout, b, first),
                                                                action_of(r->rollout, b, first), &error),
                     &error);
}

// Expands and steps the rows, to the end of the work: on a device with host_parallel.
static bool serve_rows(run *r, batch *b, int32_t first, int32_t end, hb_rollout_times *times) {
    const double begun = hb_now();
    int32_t n_fresh;
    if (!queue_expansion(r, b, first, end, &n_fresh)) return false;
    take_expansion(b, first, n_fresh);
    const double expanded = hb_now();
    const bool ok = queue_step(r, b, first, end);
    times->expand += expanded - begun;
    times->policy += hb_now() - expanded;
    return ok;
}

// ---------------------------------------------------------------------------------------------------
// Resident

static void resident_worker(void *context, int32_t w) {
    run *r = context;
    batch *b = &r->rollout->batches[w];
    hb_rollout_times *times = &r->rollout->times[w];
    b->order[0] = 0;
    while (begin_life(r, b, 0, times)) {
        do {
            if (halted(r) || !serve_rows(r, b, 0, 1, times)) return;
        } while (step_life(r, b, 0, times));
    }
}

// ---------------------------------------------------------------------------------------------------
// Batched. Two batches take turns: while the device serves one, all threads step the environments of the other, each a
// share of its rows. A device that is served by one thread works on its own meanwhile; on one with host_parallel the
// threads serve their shares themselves.

static void share(const hb_rollout *rollout, int32_t n, int32_t w, int32_t *first, int32_t *end) {
    *first = (int32_t)((int64_t)n * w / rollout->n_threads);
    *end = (int32_t)((int64_t)n * (w + 1) / rollout->n_threads);
}

// Closes the rows where nothing lives any more.
static void compact(const hb_rollout *rollout, batch *b) {
    const size_t size = hb_net_observation_words(rollout->def.net);
    int32_t n = 0;
    for (int32_t row = 0; row < b->n; row++) {
        if (b->ended[row]) continue;
        if (n < row) {
            b->order[n] = b->order[row];
            memcpy(observation_of(rollout, b, n), observation_of(rollout, b, row), size * sizeof(float));
        }
        n++;
    }
    b->n = n;
    memset(b->ended, 0, (size_t)n * sizeof *b->ended);
}

// Queues a turn of the batch, then waits for the other one's: what one thread does for all.
static void serve_in_turn(run *r, batch *b, batch *other, hb_rollout_times *times) {
    const hb_device_table *table = r->rollout->def.machine->table;
    const double begun = hb_now();
    if (!queue_expansion(r, b, 0, b->n, &b->n_fresh) || !queue_step(r, b, 0, b->n)) return;
    hb_error error;
    if (other->served && succeeded(r, table->group_wait(other->group, &error), &error))
        take_expansion(other, 0, other->n_fresh);
    times->policy += hb_now() - begun;
}

static void step_rows(run *r, batch *b, int32_t first, int32_t end, hb_rollout_times *times) {
    for (int32_t row = first; row < end && !halted(r); row++)
        if (!step_life(r, b, row, times)) b->ended[row] = !begin_life(r, b, row, times);
}

static void begin_batches(run *r, int32_t w) {
    for (int32_t k = 0; k < 2; k++) {
        batch *b = &r->rollout->batches[k];
        int32_t first, end;
        share(r->rollout, b->n_slots, w, &first, &end);
        for (int32_t row = first; row < end; row++) {
            b->order[row] = row;
            b->ended[row] = !begin_life(r, b, row, &r->rollout->times[w]);
        }
    }
}

static void batched_worker(void *context, int32_t w) {
    run *r = context;
    hb_rollout *rollout = r->rollout;
    const bool by_share = rollout->def.machine->table->host_parallel;
    hb_rollout_times *times = &rollout->times[w];
    int32_t first, end;
    begin_batches(r, w);
    for (int32_t turn = 0;; turn = 1 - turn) {
        batch *b = &rollout->batches[turn], *other = &rollout->batches[1 - turn];
        // One thread decides for all whether to go on.
        if (pthread_barrier_wait(&rollout->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            compact(rollout, b);
            if (!other->served) compact(rollout, other); // the first turn
            r->finished = halted(r) || (b->n == 0 && other->n == 0);
        }
        pthread_barrier_wait(&rollout->barrier);
        if (r->finished) return;
        share(rollout, b->n, w, &first, &end);
        if (by_share)
            serve_rows(r, b, first, end, times);
        else if (w == 0)
            serve_in_turn(r, b, other, times);
        if (pthread_barrier_wait(&rollout->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) b->served = true;
        share(rollout, other->n, w, &first, &end);
        if (other->served) step_rows(r, other, first, end, times);
    }
}

// Nothing is under way on the device when this returns, whatever happened.
static void end_batches(hb_rollout *rollout) {
    for (int32_t k = 0; k < rollout->n_batches; k++)
        rollout->def.machine->table->group_wait(rollout->batches[k].group, NULL);
}

static void start_batches(hb_rollout *rollout) {
    for (int32_t k = 0; k < rollout->n_batches; k++) {
        rollout->batches[k].n = rollout->batches[k].n_slots;
        rollout->batches[k].served = false;
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
    for (int32_t w = 0; w < rollout->n_threads; w++) rollout->times[w] = (hb_rollout_times){.env = 0};
    start_batches(rollout);
    hb_pool_run(rollout->def.machine->pool, rollout->def.batched ? batched_worker : resident_worker, &r);
    end_batches(rollout);
    for (int32_t w = 0; w < rollout->n_threads; w++) {
        const hb_rollout_times *t = &rollout->times[w];
        times->physics += t->physics;
        times->env += t->env;
        times->policy += t->policy;
        times->expand += t->expand;
    }
    pthread_mutex_destroy(&r.mutex);
    if (atomic_load(&r.failed) != HB_OK) return (hb_status)atomic_load(&r.failed);
    return stop && atomic_load(stop) ? hb_fail(error, HB_INTERRUPTED, "stopped on request") : HB_OK;
}
