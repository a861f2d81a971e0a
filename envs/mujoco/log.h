// MuJoCo's messages, and a clock for the time that it takes.
#ifndef HB_MUJOCO_LOG_H
#define HB_MUJOCO_LOG_H

#include <time.h>

// From now on MuJoCo writes no log file into the working folder: its errors, which end it, become a line on standard error. Any thread.
void hb_mujoco_log(void);

// s
static inline double hb_mujoco_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
