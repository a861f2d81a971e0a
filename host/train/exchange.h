// What ranks tell each other: results of lives after a rollout; before a training, that they compute the same and where the search stands.
#ifndef HB_EXCHANGE_H
#define HB_EXCHANGE_H

#include "host/ranks/ranks.h"
#include "host/train/rollout.h"

typedef struct {
    hb_status status; // of this rank's part
    double seconds;   // that its lives took
    hb_rollout_times *times;
} hb_exchange_own;

// Collective: results[k], zero where another rank lived episode k, become those of all ranks, bit for bit; times become sums over ranks,
// and name the rank that waited longest for the others. Returns the gravest status of all ranks, or HB_INTERRUPTED where one does not
// answer after a stop. 40 bytes a life are exchanged.
hb_status hb_exchange_results(hb_ranks *ranks, int64_t n, hb_episode_result *results, hb_exchange_own own,
                              hb_error *error);

#endif
