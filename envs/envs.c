#include "envs/ant/ant.h"
#include "envs/car/car.h"
#include "envs/classic/classic.h"
#include "envs/env.h"
#include "envs/mjcf/mjcf.h"
#include "envs/outside/outside.h"
#include "envs/reversal/reversal.h"

#include <stddef.h>

const hb_env_table *const hb_envs[] = {&hb_env_ant,      &hb_env_car, &hb_env_classic, &hb_env_mjcf, &hb_env_outside,
                                       &hb_env_reversal, NULL};
