// What plans measure, some lives of the first generation and an update of the search, and what follows for several ranks.
#ifndef HB_PLAN_H
#define HB_PLAN_H

#include "host/hebbes.h"
#include "host/train/trainer.h"

typedef struct {
    int32_t lives, threads;
    double steps;                     // of a life, policy steps; training will change it
    double seconds;                   // of all of them
    double per_step;                  // s of a thread, of one life's step
    double physics, policy;           // shares of that
    double search, shortest, longest; // s a generation: the search, lives as short as these, lives to their last step
} hb_plan_timing;

// With ranks collective, and `search` is left at 0: a spread one has no whole to be timed.
hb_status hb_plan_time(hb_trainer *trainer, hb_plan_timing *timing, hb_error *error);

// A generation by R ranks of as many threads as were timed (scale.c says how).
typedef struct {
    double seconds;   // all
    double exchange;  // of it, messages
    double exchanged; // bytes that a rank gives
} hb_plan_scaled;

// Lives have `steps` steps.
hb_plan_scaled hb_plan_scale(const hb_trainer *trainer, const hb_plan_timing *timing, const hb_plan_network *network,
                             int64_t ranks, double steps);

#endif
