#include "host/train/queue.h"

#include <stdlib.h>

// Gives every part its room in `number`.
static void place_parts(hb_queue *queue) {
    int64_t at = 0;
    for (int32_t v = 0; v < queue->n_parts; v++) {
        queue->part[v].next = queue->part[v].end = at;
        for (int64_t k = 0; k < queue->n; k++) at += queue->variation[k] == v;
    }
}

// Takes a chunk of episodes from the counter: a quarter of what would be this rank's share of the rest, so that the first ones are few and
// large, and the last ones, for which the others wait, are small. False if none is left.
static bool fetch(hb_queue *queue) {
    enum { SHARE = 4 };
    if (queue->all_taken) return false;
    const int64_t share = (queue->n - queue->seen) / (SHARE * hb_ranks_size(queue->ranks));
    const int64_t chunk = share > queue->least ? share : queue->least;
    const int64_t first = queue->ranks ? queue->ranks->link->take(chunk, queue->stop, queue->ranks->patience) : 0;
    const int64_t end = queue->ranks && first < queue->n - chunk ? first + chunk : queue->n;
    queue->seen = end;
    queue->all_taken = end >= queue->n;
    for (int64_t k = first; k < end; k++) queue->number[queue->part[queue->variation[k]].end++] = k;
    return first < end;
}

hb_status hb_queue_open(hb_queue *queue, const hb_ranks *ranks, const atomic_bool *stop, int64_t n, int64_t least,
                        bool by_variation, hb_episode_function *episode, const void *context, hb_error *error) {
    *queue = (hb_queue){
        .ranks = ranks, .stop = stop, .n = n, .least = least, .n_parts = 1, .mutex = PTHREAD_MUTEX_INITIALIZER};
    queue->number = calloc((size_t)n + 1, sizeof *queue->number);
    queue->variation = calloc((size_t)n + 1, sizeof *queue->variation);
    for (int64_t k = 0; queue->variation && by_variation && k < n; k++) {
        hb_episode one;
        episode(context, k, &one);
        queue->variation[k] = one.variation;
        if (one.variation >= queue->n_parts) queue->n_parts = one.variation + 1;
    }
    queue->part = calloc((size_t)queue->n_parts, sizeof *queue->part);
    if (!queue->number || !queue->variation || !queue->part) {
        hb_queue_close(queue);
        return hb_fail(error, HB_FAILED, "out of memory for %lld lives", (long long)n);
    }
    place_parts(queue);
    return HB_OK;
}

void hb_queue_close(hb_queue *queue) {
    free(queue->number);
    free(queue->variation);
    free(queue->part);
    *queue = (hb_queue){.number = NULL};
}

int64_t hb_queue_take(hb_queue *queue, int32_t part) {
    pthread_mutex_lock(&queue->mutex);
    while (queue->part[part].next == queue->part[part].end && fetch(queue)) {
    }
    const bool any = queue->part[part].next < queue->part[part].end;
    const int64_t number = any ? queue->number[queue->part[part].next++] : -1;
    pthread_mutex_unlock(&queue->mutex);
    return number;
}

// The part with most episodes that are here, or -1.
static int32_t largest(const hb_queue *queue) {
    int32_t best = -1;
    int64_t most = 0;
    for (int32_t v = 0; v < queue->n_parts; v++) {
        const int64_t left = queue->part[v].end - queue->part[v].next;
        if (left > most) {
            most = left;
            best = v;
        }
    }
    return best;
}

int32_t hb_queue_choose(hb_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    int32_t best = largest(queue);
    while (best < 0 && fetch(queue)) best = largest(queue);
    pthread_mutex_unlock(&queue->mutex);
    return best;
}

void hb_queue_drain(hb_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    if (queue->ranks && !queue->all_taken) queue->ranks->link->take(queue->n, queue->stop, queue->ranks->patience);
    queue->all_taken = true;
    pthread_mutex_unlock(&queue->mutex);
}
