// A watch over the environment's calls: an environment whose step or reset does not return hangs a run for ever, and nothing in the
// process can end it. A thread of its own looks at every worker once a second and says which life it is.
#ifndef HB_WATCH_H
#define HB_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// What a worker of a rollout tells the watch: two relaxed stores a call.
typedef struct {
    _Alignas(64) atomic_llong calls; // of the environment, so far
    atomic_llong life;               // number of the life that the call under way is for; -1: none
} hb_watched;

// The worker calls the environment for a life; the call has returned.
static inline void hb_watch_enter(hb_watched *worker, int64_t life) {
    atomic_store_explicit(&worker->calls, atomic_load_explicit(&worker->calls, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&worker->life, life, memory_order_relaxed);
}

static inline void hb_watch_leave(hb_watched *worker) {
    atomic_store_explicit(&worker->life, -1, memory_order_relaxed);
}

typedef struct hb_watch hb_watch;

// Watches n workers, an array that outlives the watch, and calls slow(context, life) once for each call that has lasted `patience_s`
// seconds, on the watch's own thread. NULL without patience (0), or where no thread can be had: a run goes on unwatched.
hb_watch *hb_watch_open(hb_watched *workers, int32_t n, int64_t patience_s, void (*slow)(void *context, int64_t life),
                        void *context);
void hb_watch_close(hb_watch *watch); // accepts NULL; no call of slow is under way on return

#endif
