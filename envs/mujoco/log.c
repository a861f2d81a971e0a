#include "envs/mujoco/log.h"

#include <mujoco/mujoco.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Thread_local jmp_buf *after_error; // NULL: nobody goes on

// MuJoCo's own handler writes a file. What can go wrong in a simulation is read from data->warning instead; an internal error must not
// return to MuJoCo, which would go on with what it does not have.
static void tell_errors(const mjLogMessage *log) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (log->level != mjLOG_ERROR) return;
    if (!after_error || !atomic_flag_test_and_set(&told))
        fprintf(stderr, "hebbes: MuJoCo: %.*s\n", (int)strcspn(log->subject, "\n"), log->subject);
    if (after_error) longjmp(*after_error, 1);
}

void hb_mujoco_log(void) {
    mju_setLogHandler(tell_errors);
}

bool hb_mujoco_try(void (*work)(void *context), void *context) {
    jmp_buf here;
    if (setjmp(here) != 0) {
        after_error = NULL;
        return false;
    }
    after_error = &here;
    work(context);
    after_error = NULL;
    return true;
}
