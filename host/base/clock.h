// The clock that durations are measured with.
#ifndef HB_CLOCK_H
#define HB_CLOCK_H

#include <time.h>

// Seconds of the monotonic clock, from an arbitrary start.
static inline double hb_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
