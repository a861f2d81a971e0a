#include "host/train/outcome.h"

#include <math.h>
#include <stdbool.h>

// x - x is 0 for finite x and NaN otherwise, so one sum checks all. Bytes of pictures are finite.
static bool is_finite(const hb_env_shape *shape, const float *observation) {
    if (shape->picture[0] > 0) return true;
    float sum = 0.0f;
    for (int32_t i = 0; i < shape->observation_size; i++) sum += observation[i] - observation[i];
    return sum == 0.0f;
}

hb_env_outcome hb_reset_outcome(const hb_env_shape *shape, hb_env_outcome outcome, const void *observation) {
    return outcome == HB_ENV_RUNNING && is_finite(shape, observation) ? HB_ENV_RUNNING : HB_ENV_DIVERGED;
}

hb_env_outcome hb_step_outcome(const hb_env_shape *shape, hb_env_outcome outcome, const void *observation,
                               int32_t steps, hb_env_step *step) {
    const bool running = outcome == HB_ENV_RUNNING && is_finite(shape, observation);
    if (isfinite((float)step->fitness) && (running || outcome == HB_ENV_DONE))
        return steps < shape->max_steps ? outcome : HB_ENV_DONE;
    step->fitness = step->reward = 0;
    return HB_ENV_DIVERGED;
}
