#include "envs/mujoco/log.h"

#include <mujoco/mujoco.h>
#include <stdio.h>

// MuJoCo's own handler writes a file. What can go wrong in a simulation is read from data->warning instead; an internal error of the library
// is fatal there and worth a line.
static void tell_errors(const mjLogMessage *log) {
    if (log->level == mjLOG_ERROR) fprintf(stderr, "hebbes: MuJoCo: %s\n", log->subject);
}

void hb_mujoco_log(void) {
    mju_setLogHandler(tell_errors);
}
