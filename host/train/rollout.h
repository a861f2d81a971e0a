// Rollouts: many individuals live through episodes of an environment.
//
// There are two ways, with the same results bit for bit. Resident, on devices with host_parallel: a thread keeps one life to its end,
// or as many as a body of the environment steps together; the weights stay in its cache and memory is O(threads). Batched: two groups of lanes on the device take turns; while the device serves one, all threads
// step the environments of the other. When a life ends, its lane takes the next one.
#ifndef HB_ROLLOUT_H
#define HB_ROLLOUT_H

#include "envs/env.h"
#include "host/base/machine.h"
#include "host/ranks/ranks.h"
#include "host/search/standard.h"
#include "host/train/world.h"

#include <stdatomic.h>

typedef struct hb_rollout hb_rollout;

// An episode to live: the individual's birth, the environment's random numbers, and the variation.
typedef struct {
    hb_birth birth;
    hb_noise reset;
    int32_t variation; // index into the environment's variations
} hb_episode;

typedef struct {
    double fitness;        // sum over the policy steps
    double reward;         // the environment's own, for logs
    double sum_of_squares; // of the penalised part of the genome
    int32_t steps, backward_steps;
    bool diverged;
} hb_episode_result;

// Seconds of all threads together, of all ranks.
typedef struct {
    double physics, env, policy, expand;
    int32_t waiting; // the rank that waited longest for the others' lives
    double waited;   // for this share of the rollout
} hb_rollout_times;

typedef struct {
    const hb_machine *machine;
    const hb_net *net;
    const hb_world *world;
    const hb_standard *standard; // nullable: how networks see observations
    hb_ranks *ranks;             // NULL: this process lives all lives
    bool batched;
    int32_t group; // batched: lanes, in both batches together
    int32_t width; // resident: lives of a body, at most the shape's; 0: as many
    // A line about a life whose environment has not returned for patience_s seconds (0: never), from a thread of its own. Nullable.
    void (*slow)(void *context, const char *line);
    void *slow_context;
    int64_t patience_s;
} hb_rollout_def;

// Describes episode k.
typedef void hb_episode_function(const void *context, int64_t k, hb_episode *out);

// Allocates bodies, lanes and buffers for `def`, whose pointers must outlive the rollout. The caller closes it.
hb_status hb_rollout_open(const hb_rollout_def *def, hb_rollout **rollout, hb_error *error);
void hb_rollout_close(hb_rollout *rollout); // accepts NULL

// How many lives run at the same time.
int32_t hb_rollout_lanes(const hb_rollout *rollout);

// Runs n episodes: episode(context, k, &out) describes number k; it may be called more than once for a k, and from several threads
// at the same time.
// results[k] receives its result; *times is added to. When *stop becomes true, or something fails, threads abandon their lives
// before the next step, and HB_INTERRUPTED or the failure is returned; results are then incomplete. In every case the device
// is idle on return, and the rollout can be run again. stop is nullable. With ranks, the call is collective: each lives what it takes from
// their counter, and all receive all results; one that is asked to stop stops all.
// seen (hb_standard_words, nullable): the observations of all lives are added, those of all ranks; of a rollout that succeeds.
hb_status hb_rollout_run(hb_rollout *rollout, int64_t n, hb_episode_function *episode, const void *context,
                         hb_episode_result *results, int64_t *seen, hb_rollout_times *times, const atomic_bool *stop,
                         hb_error *error);

// A stream of words for an environment, from a sequence of noise.
typedef struct {
    hb_env_random base;
    hb_noise noise;
    uint64_t next;
} hb_random;

void hb_random_start(hb_random *random, hb_noise noise);

#endif
