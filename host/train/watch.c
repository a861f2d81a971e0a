#include "host/train/watch.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

// What the watch saw of a worker.
typedef struct {
    long long calls; // at the last look
    int64_t seconds; // for how many looks the same call has lasted
} seen;

struct hb_watch {
    hb_watched *workers;
    int32_t n;
    int64_t patience_s;
    void (*slow)(void *context, int64_t life);
    void *context;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t end;
    bool ending;
    seen seen[];
};

static void look_at(hb_watch *watch, int32_t w) {
    seen *s = &watch->seen[w];
    const long long life = atomic_load_explicit(&watch->workers[w].life, memory_order_relaxed),
                    calls = atomic_load_explicit(&watch->workers[w].calls, memory_order_relaxed);
    s->seconds = life >= 0 && calls == s->calls ? s->seconds + 1 : 0;
    s->calls = calls;
    if (s->seconds == watch->patience_s) watch->slow(watch->context, life);
}

static void *look(void *argument) {
    hb_watch *watch = argument;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&watch->mutex);
    while (!watch->ending) {
        next.tv_sec++;
        while (!watch->ending && pthread_cond_timedwait(&watch->end, &watch->mutex, &next) == 0) {
        }
        for (int32_t w = 0; w < watch->n && !watch->ending; w++) look_at(watch, w);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

static void release(hb_watch *watch) {
    pthread_cond_destroy(&watch->end);
    pthread_mutex_destroy(&watch->mutex);
    free(watch);
}

hb_watch *hb_watch_open(hb_watched *workers, int32_t n, int64_t patience_s, void (*slow)(void *context, int64_t life),
                        void *context) {
    hb_watch *watch = patience_s > 0 ? calloc(1, sizeof *watch + (size_t)n * sizeof *watch->seen) : NULL;
    if (!watch) return NULL;
    *watch = (hb_watch){.workers = workers, .n = n, .patience_s = patience_s, .slow = slow, .context = context};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->end, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watch->mutex, NULL);
    if (pthread_create(&watch->thread, NULL, look, watch) == 0) return watch;
    release(watch);
    return NULL;
}

void hb_watch_close(hb_watch *watch) {
    if (!watch) return;
    pthread_mutex_lock(&watch->mutex);
    watch->ending = true;
    pthread_cond_signal(&watch->end);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    release(watch);
}
