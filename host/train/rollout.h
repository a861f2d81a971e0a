// Rollouts: lives of individuals in environments, thousands at a time.
//
// Two ways to the same bits. Resident: a thread takes a life and keeps it to its end, weights in its cache,
// memory O(threads). Batched: two groups of lanes live on the device and take turns: while the device serves
// one, all threads step the environments of the other. A lane whose life ends takes the next one.
#ifndef HB_ROLLOUT_H
#define HB_ROLLOUT_H

#include "envs/env.h"
#include "host/base/machine.h"

#include <stdatomic.h>

typedef struct hb_rollout hb_rollout;

// One life: an individual, its random numbers, and the variation it meets.
typedef struct {
    hb_lane lane;
    hb_noise reset;    // random numbers of the environment
    int32_t variation; // index into the environment's variations
} hb_life;

typedef struct {
    double fitness;        // sum over the policy steps
    double reward;         // the environment's own, for logs
    double sum_of_squares; // of the penalised genome
    int32_t steps, backward_steps;
    bool diverged;
} hb_life_result;

// Thread seconds, summed over threads.
typedef struct {
    double physics, env, policy, expand;
} hb_rollout_times;

typedef struct {
    hb_machine *machine;
    const hb_net *net;
    const hb_env_table *env;
    const void *world;
    bool batched;
    int32_t group; // lanes of both groups together when batched
} hb_rollout_def;

// Bodies, lanes and buffers for `def`, whose pointers must outlive it. The caller closes it.
hb_status hb_rollout_open(const hb_rollout_def *def, hb_rollout **rollout, hb_error *error);
void hb_rollout_close(hb_rollout *rollout);

// How many lives are under way at once.
int32_t hb_rollout_lanes(const hb_rollout *rollout);

// Lives n lives: life(context, k, &life) describes number k and may be called from any thread; results[k] receives
// its outcome. *times is added to. When *stop becomes true the lives under way are abandoned: HB_INTERRUPTED.
hb_status hb_rollout_run(hb_rollout *rollout, int64_t n, void (*life)(const void *context, int64_t k, hb_life *life),
                         const void *context, hb_life_result *results, hb_rollout_times *times,
                         const atomic_bool *stop, hb_error *error);

// A stream of words for an environment, from a noise sequence.
typedef struct {
    hb_env_random base;
    hb_noise noise;
    uint64_t next;
} hb_random;

void hb_random_start(hb_random *random, hb_noise noise);

// Seconds of the monotonic clock.
double hb_now(void);

#endif
