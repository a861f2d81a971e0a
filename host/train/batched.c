// Batched rollouts: two batches take turns. While the device serves one, all threads step the environments of the other, each a
// share of its rows. A device without host_parallel is called by one thread and works on its own meanwhile; on one with
// host_parallel each thread serves its share of one batch and then steps its share of the other.
#include "host/base/clock.h"
#include "host/train/lives.h"

#include <string.h>

static void share(const hb_rollout *rollout, int32_t n, int32_t w, int32_t *first, int32_t *end) {
    *first = (int32_t)((int64_t)n * w / rollout->n_threads);
    *end = (int32_t)((int64_t)n * (w + 1) / rollout->n_threads);
}

// Removes the rows that have no life any more.
static void compact(const hb_rollout *rollout, hb_batch *b) {
    const size_t size = hb_net_observation_words(rollout->def.net);
    int32_t n = 0;
    for (int32_t row = 0; row < b->n; row++) {
        if (b->ended[row]) continue;
        if (n < row) {
            b->lane[n] = b->lane[row];
            memcpy(hb_batch_observation(rollout, b, n), hb_batch_observation(rollout, b, row), size * sizeof(float));
        }
        n++;
    }
    b->n = n;
    memset(b->ended, 0, (size_t)n * sizeof *b->ended);
}

// Queues a turn of batch b, then waits for the other one's. One thread does this for all.
static void serve_in_turn(hb_rollout_call *call, hb_batch *b, hb_batch *other, hb_worker *worker) {
    const double begun = hb_now();
    if (!hb_batch_queue_expansion(call, b, 0, b->n, &b->n_fresh) || !hb_batch_queue_step(call, b, 0, b->n, worker))
        return;
    hb_error error;
    if (other->served && hb_call_check(call, hb_group_wait(other->group, &error), &error))
        hb_batch_take_expansion(other, 0, other->n_fresh);
    worker->times.policy += hb_now() - begun;
}

static void step_rows(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, hb_worker *worker) {
    for (int32_t row = first; row < end && !hb_call_halted(call); row++)
        if (!hb_life_step_in(call, b, row, worker)) b->ended[row] = !hb_life_begin_in(call, b, row, worker);
}

static void begin_batches(hb_rollout_call *call, int32_t w) {
    for (int32_t k = 0; k < 2; k++) {
        hb_batch *b = &call->rollout->batches[k];
        int32_t first, end;
        share(call->rollout, b->n_lanes, w, &first, &end);
        for (int32_t row = first; row < end; row++) {
            b->lane[row] = row;
            b->ended[row] = !hb_life_begin_in(call, b, row, &call->rollout->workers[w]);
        }
    }
}

void hb_batched_worker(void *context, int32_t w) {
    hb_rollout_call *call = context;
    hb_rollout *rollout = call->rollout;
    const bool by_share = hb_table_of(rollout->def.machine->device)->host_parallel;
    hb_worker *worker = &rollout->workers[w];
    int32_t first, end;
    begin_batches(call, w);
    for (int32_t turn = 0;; turn = 1 - turn) {
        hb_batch *b = &rollout->batches[turn], *other = &rollout->batches[1 - turn];
        // One thread decides for all whether to go on.
        if (pthread_barrier_wait(&rollout->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            compact(rollout, b);
            if (!other->served) compact(rollout, other); // the first turn
            call->finished = hb_call_halted(call) || (b->n == 0 && other->n == 0);
        }
        pthread_barrier_wait(&rollout->barrier);
        if (call->finished) return;
        share(rollout, b->n, w, &first, &end);
        if (by_share)
            hb_batch_serve(call, b, first, end, worker);
        else if (w == 0)
            serve_in_turn(call, b, other, worker);
        if (pthread_barrier_wait(&rollout->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) b->served = true;
        share(rollout, other->n, w, &first, &end);
        if (other->served) step_rows(call, other, first, end, worker);
    }
}
