// A fixed set of threads that run one function together.
#ifndef HB_POOL_H
#define HB_POOL_H

#include "kernels/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct hb_pool hb_pool;

// Starts n_threads - 1 threads; the caller of hb_pool_run is worker 0. The caller closes *pool.
hb_status hb_pool_open(int32_t n_threads, hb_pool **pool, hb_error *error);
void hb_pool_close(hb_pool *pool);
int32_t hb_pool_threads(const hb_pool *pool);

// Runs work(context, worker) once for every worker 0..n_threads-1 and returns when all have ended.
void hb_pool_run(hb_pool *pool, void (*work)(void *context, int32_t worker), void *context);

// Splits [0, n) into one contiguous range per worker, boundaries being multiples of `grain`, and runs
// work(context, begin, end) on each that is not empty.
void hb_pool_split(hb_pool *pool, size_t n, size_t grain, void (*work)(void *context, size_t begin, size_t end),
                   void *context);

#endif
