#ifndef HB_ENV_OUTSIDE_H
#define HB_ENV_OUTSIDE_H

#include "envs/env.h"

extern const hb_env_table hb_env_outside;

#endif
