#include "host/train/rollout.h"
#include "host/base/clock.h"
#include "host/train/exchange.h"
#include "host/train/lives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next_word(hb_env_random *base) {
    hb_random *random = (hb_random *)base;
    return hb_noise_word(random->noise, random->next++);
}

void hb_random_start(hb_random *random, hb_noise noise) {
    *random = (hb_random){.base.next = next_word, .noise = noise};
}

// ---------------------------------------------------------------------------------------------------
// Open, close

static void close_batch(hb_rollout *rollout, hb_batch *b) {
    hb_device *device = rollout->def.machine->device;
    for (int32_t k = 0; b->living && k < b->n_lanes; k++)
        if (b->living[k].body) rollout->def.world->env->body_destroy(b->living[k].body);
    if (b->body) rollout->def.world->env->body_destroy(b->body);
    hb_group_destroy(b->group);
    hb_device_host_free(device, b->observation);
    hb_device_host_free(device, b->action);
    hb_device_host_free(device, b->reward);
    free(b->step);
    free(b->outcome);
    free(b->living);
    free(b->lane);
    free(b->ended);
    free(b->fresh);
    free(b->fresh_birth);
    free(b->fresh_squares);
}

void hb_rollout_close(hb_rollout *rollout) {
    if (!rollout) return;
    for (int32_t k = 0; rollout->batches && k < rollout->n_batches; k++) close_batch(rollout, &rollout->batches[k]);
    pthread_barrier_destroy(&rollout->barrier);
    free(rollout->batches);
    free(rollout->workers);
    free(rollout->watched);
    free(rollout->seen);
    free(rollout);
}

static hb_status open_bodies(hb_rollout *rollout, hb_batch *b, hb_error *error) {
    hb_status status = HB_OK;
    if (rollout->width > 1) {
        b->step = calloc((size_t)b->n_lanes, sizeof *b->step);
        b->outcome = calloc((size_t)b->n_lanes, sizeof *b->outcome);
        if (!b->step || !b->outcome) return hb_fail(error, HB_FAILED, "out of memory for %d lanes", b->n_lanes);
        return hb_world_body(rollout->def.world, rollout->width, &b->body, error);
    }
    for (int32_t k = 0; k < b->n_lanes && status == HB_OK; k++)
        status = hb_world_body(rollout->def.world, 1, &b->living[k].body, error);
    return status;
}

static hb_status open_batch(hb_rollout *rollout, hb_batch *b, int32_t n_lanes, hb_error *error) {
    const hb_rollout_def *def = &rollout->def;
    hb_device *device = def->machine->device;
    const size_t n = (size_t)n_lanes;
    b->n_lanes = n_lanes;
    b->living = calloc(n, sizeof *b->living);
    b->lane = calloc(n, sizeof *b->lane);
    b->ended = calloc(n, sizeof *b->ended);
    b->fresh = calloc(n, sizeof *b->fresh);
    b->fresh_birth = calloc(n, sizeof *b->fresh_birth);
    b->fresh_squares = calloc(n, sizeof *b->fresh_squares);
    if (!b->living || !b->lane || !b->ended || !b->fresh || !b->fresh_birth || !b->fresh_squares)
        return hb_fail(error, HB_FAILED, "out of memory for %zu lanes", n);
    hb_status status = hb_device_host_alloc(device, n * hb_net_observation_words(def->net), &b->observation, error);
    if (status == HB_OK)
        status = hb_device_host_alloc(device, n * (size_t)def->world->shape.action_size, &b->action, error);
    if (status == HB_OK && hb_net_takes_reward(def->net)) status = hb_device_host_alloc(device, n, &b->reward, error);
    if (status == HB_OK) status = hb_group_create(device, def->net, n_lanes, &b->group, error);
    return status == HB_OK ? open_bodies(rollout, b, error) : status;
}

static hb_status open_batches(hb_rollout *rollout, hb_error *error) {
    const int32_t lanes = rollout->def.group;
    const bool batched = rollout->def.batched;
    rollout->n_batches = batched ? 2 : rollout->n_threads;
    rollout->batches = calloc((size_t)rollout->n_batches, sizeof *rollout->batches);
    rollout->workers = calloc((size_t)rollout->n_threads, sizeof *rollout->workers);
    rollout->watched = aligned_alloc(sizeof *rollout->watched, (size_t)rollout->n_threads * sizeof *rollout->watched);
    if (!rollout->batches || !rollout->workers || !rollout->watched)
        return hb_fail(error, HB_FAILED, "out of memory opening the rollout");
    if (rollout->def.standard) {
        rollout->seen =
            calloc((size_t)rollout->n_threads * hb_standard_words(rollout->def.standard), sizeof *rollout->seen);
        if (!rollout->seen) return hb_fail(error, HB_FAILED, "out of memory for observations");
    }
    hb_status status = HB_OK;
    for (int32_t k = 0; k < rollout->n_batches && status == HB_OK; k++)
        status = open_batch(rollout, &rollout->batches[k], batched ? (lanes + 1 - k) / 2 : rollout->width, error);
    return status;
}

hb_status hb_rollout_open(const hb_rollout_def *def, hb_rollout **out, hb_error *error) {
    hb_rollout *rollout = calloc(1, sizeof *rollout);
    if (!rollout) return hb_fail(error, HB_FAILED, "out of memory opening the rollout");
    rollout->def = *def;
    rollout->width = def->batched ? 1 : hb_world_width(def->world, def->width);
    rollout->n_threads = hb_pool_threads(def->machine->pool);
    pthread_barrier_init(&rollout->barrier, NULL, (unsigned)rollout->n_threads);
    const hb_status status = open_batches(rollout, error);
    if (status != HB_OK) {
        hb_rollout_close(rollout);
        return status;
    }
    *out = rollout;
    return HB_OK;
}

int32_t hb_rollout_lanes(const hb_rollout *rollout) {
    int32_t lanes = 0;
    for (int32_t k = 0; k < rollout->n_batches; k++) lanes += rollout->batches[k].n_lanes;
    return lanes;
}

// ---------------------------------------------------------------------------------------------------
// Run

static void begin(hb_rollout *rollout) {
    const size_t words = rollout->def.standard ? hb_standard_words(rollout->def.standard) : 0;
    if (words) memset(rollout->seen, 0, (size_t)rollout->n_threads * words * sizeof *rollout->seen);
    for (int32_t w = 0; w < rollout->n_threads; w++) {
        rollout->watched[w] = (hb_watched){.life = -1};
        rollout->workers[w] =
            (hb_worker){.watched = &rollout->watched[w], .seen = words ? rollout->seen + (size_t)w * words : NULL};
    }
    for (int32_t k = 0; k < rollout->n_batches; k++) {
        rollout->batches[k].n = rollout->batches[k].n_lanes;
        rollout->batches[k].served = false;
    }
}

// The device is idle when this returns, also after a failure.
static void end(hb_rollout *rollout, hb_rollout_times *times) {
    for (int32_t k = 0; k < rollout->n_batches; k++) hb_group_wait(rollout->batches[k].group, NULL);
    for (int32_t w = 0; w < rollout->n_threads; w++) {
        const hb_rollout_times *t = &rollout->workers[w].times;
        times->physics += t->physics;
        times->env += t->env;
        times->policy += t->policy;
        times->expand += t->expand;
    }
}

// Says which life's environment does not return.
static void tell_slow(void *context, int64_t life) {
    const hb_rollout_call *call = context;
    const hb_rollout_def *def = &call->rollout->def;
    char line[256];
    hb_episode episode;
    call->episode(call->context, life, &episode);
    snprintf(line, sizeof line,
             "life %lld of %lld%s: the environment '%s', variation '%s', has not returned from a call for %lld s; "
             "the run waits for it",
             (long long)life + 1, (long long)call->n,
             call->rollout->width > 1 ? ", or one beside it in its body" : "", def->world->env->name,
             def->world->variations[episode.variation], (long long)def->patience_s);
    def->slow(def->slow_context, line);
}

// Lives what this rank takes of the queue.
static hb_status live(hb_rollout_call *call, hb_rollout_times *times) {
    hb_rollout *rollout = call->rollout;
    begin(rollout);
    hb_watch *watch = hb_watch_open(rollout->watched, rollout->n_threads,
                                    rollout->def.slow ? rollout->def.patience_s : 0, tell_slow, call);
    hb_pool_run(rollout->def.machine->pool,
                rollout->def.batched ? hb_batched_worker
                : rollout->width > 1 ? hb_lanes_worker
                                     : hb_resident_worker,
                call);
    hb_watch_close(watch);
    end(rollout, times);
    if (hb_call_halted(call)) hb_queue_drain(&rollout->queue);
    if (atomic_load(&call->failed) != HB_OK) return (hb_status)atomic_load(&call->failed);
    return call->stop && atomic_load(call->stop) ? hb_fail(call->error, HB_INTERRUPTED, "stopped on request") : HB_OK;
}

// Adds what the threads of all ranks have seen. Integers: in any order.
static hb_status gather_seen(hb_rollout *rollout, int64_t *seen, hb_error *error) {
    const size_t words = hb_standard_words(rollout->def.standard);
    for (int32_t w = 1; w < rollout->n_threads; w++)
        for (size_t k = 0; k < words; k++) rollout->seen[k] += rollout->seen[(size_t)w * words + k];
    hb_ranks *ranks = rollout->def.ranks;
    const hb_status status = ranks ? hb_ranks_add(ranks, rollout->seen, words, error) : HB_OK;
    for (size_t k = 0; k < words && status == HB_OK; k++) seen[k] += rollout->seen[k];
    return status;
}

hb_status hb_rollout_run(hb_rollout *rollout, int64_t n, hb_episode_function *episode, const void *context,
                         hb_episode_result *results, int64_t *seen, hb_rollout_times *times, const atomic_bool *stop,
                         hb_error *error) {
    enum { LIVES = 4 }; // of a chunk, for each thread: few, since lives end early and the last chunk is waited for
    hb_ranks *ranks = rollout->def.ranks;
    hb_rollout_call call = {.rollout = rollout,
                            .n = n,
                            .episode = episode,
                            .context = context,
                            .results = results,
                            .stop = stop,
                            .mutex = PTHREAD_MUTEX_INITIALIZER,
                            .error = error};
    hb_status status = hb_queue_open(&rollout->queue, ranks, stop, n, LIVES * rollout->n_threads, rollout->width > 1,
                                     episode, context, error);
    if (status != HB_OK) return status;
    if (ranks) memset(results, 0, (size_t)n * sizeof *results);
    const double begun = hb_now();
    status = live(&call, times);
    if (ranks) {
        const hb_exchange_own own = {status, hb_now() - begun, times};
        status = hb_exchange_results(ranks, n, results, own, error);
    }
    if (status == HB_OK && seen && rollout->def.standard) status = gather_seen(rollout, seen, error);
    hb_queue_close(&rollout->queue);
    pthread_mutex_destroy(&call.mutex);
    return status;
}
