// The Ant of AntBulletEnv-v0 on MuJoCo: six bodies, three physics profiles.
//
// Observation (28), clipped to [-5, 5]: height above the start; sin, cos of the angle to the target; 0.3
// velocity in the heading frame (3); roll, pitch; per joint (position - middle) / half range and 0.1 speed
// (16); foot contacts of the step before (4). Action (8): motor commands, clipped to [-1, 1], hip1, ankle1,
// ..., ankle4. Fitness: the sum of progress towards (1000, 0) over the policy steps, in units of 0.0165 m. An
// episode is 40 steps of burn-in without action, then at most 960 policy steps of 0.0165 s; from the 202nd on
// it ends after 31 steps in a row without progress, or when the torso is at or below 0.26 m.
#ifndef HB_ANT_H
#define HB_ANT_H

#include "envs/env.h"

extern const hb_env_table hb_env_ant;

#endif
