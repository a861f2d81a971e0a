// How the trainer reads what an environment returns: the same for rollouts and for single lives.
#ifndef HB_OUTCOME_H
#define HB_OUTCOME_H

#include "envs/env.h"

// The outcome of a reset: RUNNING, or DIVERGED for any other outcome or a first observation that is not finite.
hb_env_outcome hb_reset_outcome(const hb_env_shape *shape, hb_env_outcome outcome, const void *observation);

// The outcome of a step: DIVERGED for an unknown outcome, a fitness that is not finite, or, while the episode runs, an
// observation that is not finite. Fitness and reward of a diverged step are set to 0. DONE once `steps` policy steps, this one
// among them, are as many as an episode may have.
hb_env_outcome hb_step_outcome(const hb_env_shape *shape, hb_env_outcome outcome, const void *observation,
                               int32_t steps, hb_env_step *step);

#endif
