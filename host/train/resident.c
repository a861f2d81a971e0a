// Resident rollouts: a thread keeps a life to its end, in a batch of one lane.
#include "host/train/lives.h"

void hb_resident_worker(void *context, int32_t w) {
    hb_rollout_call *call = context;
    hb_batch *b = &call->rollout->batches[w];
    hb_worker *worker = &call->rollout->workers[w];
    b->lane[0] = 0;
    while (hb_life_begin_in(call, b, 0, worker)) {
        do {
            if (hb_call_halted(call) || !hb_batch_serve(call, b, 0, 1, worker)) return;
        } while (hb_life_step_in(call, b, 0, worker));
    }
}
