// Gymnasium's classic control tasks (gymnasium/envs/classic_control, 1.4): CartPole-v1, Acrobot-v1, MountainCar-v0,
// MountainCarContinuous-v0, Pendulum-v1. Observations, rewards and ends are theirs. A task with discrete actions has an output for each, and the
// largest is taken (the first of equals); one with a continuous action takes [-1, 1] to its range, and what is beyond for the ends. Resets draw the
// same distributions.
#ifndef HB_CLASSIC_H
#define HB_CLASSIC_H

#include "envs/env.h"

extern const hb_env_table hb_env_classic;

enum { HB_CLASSIC_STATE = 4 };

// For tests: puts a body, after a reset, into that state (HB_CLASSIC_STATE, the first few of it).
void hb_classic_put(void *body, const double *state);

#endif
