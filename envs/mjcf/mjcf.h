// Any MuJoCo model: from an MJCF file and a few lines of text, or one of Gymnasium's tasks (presets.c). docs/mjcf.md.
//
// Action: one number per actuator, [-1, 1] mapped to its control range; numbers beyond are taken for the ends. A policy step is
// frame_skip simulation steps, then mj_rnePostConstraint where contact forces are asked for, as in Gymnasium. Fitness is the reward.
#ifndef HB_MJCF_H
#define HB_MJCF_H

#include "envs/env.h"

extern const hb_env_table hb_env_mjcf;

// For tests: puts a body of one life by MuJoCo, after a reset, into that state (qpos (nq), qvel (nv)), as Gymnasium's set_state does after mj_resetData.
void hb_mjcf_put(void *body, const double *qpos, const double *qvel);

// The sizes of that state.
void hb_mjcf_sizes(const void *world, int32_t *nq, int32_t *nv);

#endif
