// MuJoCo's messages, and a clock for the time that it takes.
#ifndef HB_MUJOCO_LOG_H
#define HB_MUJOCO_LOG_H

#include <stdbool.h>
#include <time.h>

// From now on MuJoCo writes no log file into the working folder. Its errors, after which it cannot go on, become a line on standard error, or
// end hb_mujoco_try. Any thread.
void hb_mujoco_log(void);

// work(context), of calls of MuJoCo's C functions alone. False where one of them met an error, such as a stack that is too small; the first one of
// the process becomes a line on standard error. What work was changing is fit to be deleted only.
bool hb_mujoco_try(void (*work)(void *context), void *context);

// s
static inline double hb_mujoco_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
