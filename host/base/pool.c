#include "host/base/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct {
    hb_pool *pool;
    int32_t worker;
    pthread_t thread;
} member;

struct hb_pool {
    int32_t n_threads, n_started;
    pthread_mutex_t mutex;
    pthread_cond_t begin, end;
    void (*work)(void *context, int32_t worker);
    void *context;
    uint64_t turn;   // counts calls of hb_pool_run
    int32_t running; // members still at work
    bool closing;
    member *members;
};

static void *serve(void *argument) {
    member *self = argument;
    hb_pool *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->turn == seen && !pool->closing) pthread_cond_wait(&pool->begin, &pool->mutex);
        if (pool->closing) break;
        seen = pool->turn;
        pthread_mutex_unlock(&pool->mutex);
        pool->work(pool->context, self->worker);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->running == 0) pthread_cond_signal(&pool->end);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

void hb_pool_close(hb_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->mutex);
    for (int32_t k = 0; k < pool->n_started; k++) pthread_join(pool->members[k].thread, NULL);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->members);
    free(pool);
}

hb_status hb_pool_open(int32_t n_threads, hb_pool **out, hb_error *error) {
    hb_pool *pool = calloc(1, sizeof *pool);
    member *members = calloc((size_t)n_threads, sizeof *members);
    if (!pool || !members) {
        free(pool);
        free(members);
        return hb_fail(error, HB_FAILED, "out of memory starting %d threads", n_threads);
    }
    *pool = (hb_pool){.n_threads = n_threads, .members = members};
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    for (int32_t k = 0; k < n_threads - 1; k++) {
        members[k] = (member){.pool = pool, .worker = k + 1};
        if (pthread_create(&members[k].thread, NULL, serve, &members[k]) != 0) {
            hb_pool_close(pool);
            return hb_fail(error, HB_FAILED, "cannot start thread %d of %d; lower run.threads", k + 2, n_threads);
        }
        pool->n_started++;
    }
    *out = pool;
    return HB_OK;
}

int32_t hb_pool_threads(const hb_pool *pool) {
    return pool->n_threads;
}

void hb_pool_run(hb_pool *pool, void (*work)(void *context, int32_t worker), void *context) {
    pthread_mutex_lock(&pool->mutex);
    pool->work = work;
    pool->context = context;
    pool->running = pool->n_threads - 1;
    pool->turn++;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->mutex);
    work(context, 0);
    pthread_mutex_lock(&pool->mutex);
    while (pool->running > 0) pthread_cond_wait(&pool->end, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

typedef struct {
    size_t n, grain, n_workers;
    void (*work)(void *context, size_t begin, size_t end);
    void *context;
} split;

static void run_part(void *context, int32_t worker) {
    const split *s = context;
    const size_t grains = (s->n + s->grain - 1) / s->grain;
    const size_t begin = grains * (size_t)worker / s->n_workers * s->grain;
    const size_t end = grains * ((size_t)worker + 1) / s->n_workers * s->grain;
    if (begin < s->n && begin < end) s->work(s->context, begin, end < s->n ? end : s->n);
}

void hb_pool_split(hb_pool *pool, size_t n, size_t grain, void (*work)(void *context, size_t begin, size_t end),
                   void *context) {
    split s = {n, grain, (size_t)pool->n_threads, work, context};
    hb_pool_run(pool, run_part, &s);
}
