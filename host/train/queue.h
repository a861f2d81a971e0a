// The episodes of a call of hb_rollout_run, by variation, handed out one by one. Alone a rank has them all; beside others it takes chunks
// from the counter that they share.
#ifndef HB_QUEUE_H
#define HB_QUEUE_H

#include "host/ranks/ranks.h"
#include "host/train/rollout.h"

#include <pthread.h>

typedef struct {
    const hb_ranks *ranks;
    const atomic_bool *stop; // nullable
    int64_t n, least;
    int64_t seen;       // end of the last chunk
    bool all_taken;     // the counter is past the last episode
    int64_t *number;    // (n): room for every variation's episodes, one after the other
    int32_t *variation; // (n), of each episode
    struct {
        int64_t next, end; // into number: what this rank has and no lane has taken
    } * part;              // (n_parts), by variation
    int32_t n_parts;
    pthread_mutex_t mutex;
} hb_queue;

// Episodes 0 to n - 1 in parts by variation, or, without by_variation, all in part 0. ranks, stop: nullable; least: how many are taken from the
// counter at once, at least. The caller closes the queue.
hb_status hb_queue_open(hb_queue *queue, const hb_ranks *ranks, const atomic_bool *stop, int64_t n, int64_t least,
                        bool by_variation, hb_episode_function *episode, const void *context, hb_error *error);
void hb_queue_close(hb_queue *queue); // accepts one that is not open

// The next episode of a part, or -1. From any thread.
int64_t hb_queue_take(hb_queue *queue, int32_t part);

// The part with most episodes left, or -1 if none is left. From any thread.
int32_t hb_queue_choose(hb_queue *queue);

// No rank takes an episode any more.
void hb_queue_drain(hb_queue *queue);

#endif
