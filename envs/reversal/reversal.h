// Reversal learning: a task that no network solves without learning from rewards within its life. In each trial one of several cues is shown, and the
// network goes left (its output is below 0) or right. Each cue has a right side, drawn at the start of a life; once or several times in a life all of them turn
// over. A right choice earns 1, a wrong one -1. Nothing but the reward tells which it was.
#ifndef HB_REVERSAL_H
#define HB_REVERSAL_H

#include "envs/env.h"

extern const hb_env_table hb_env_reversal;

#endif
