// A trainer: everything a configuration stands for, opened: machine, world, network, search, rollout.
// Training, evaluation, traces, plans and benchmarks all start from one.
#ifndef HB_TRAINER_H
#define HB_TRAINER_H

#include "host/base/machine.h"
#include "host/config/config.h"
#include "host/search/search.h"
#include "host/train/rollout.h"

typedef struct {
    const hb_config *config;
    const hb_settings *settings; // the config's
    hb_machine machine;
    void *world;
    hb_net net;
    hb_search search;
    hb_rollout *rollout;
    int32_t n_variations;
    int32_t variation[HB_MAX_LIST]; // the trained ones, as indices of the environment's
    hb_life_result *results;        // (population, n_variations), of the last generation
    double *fitness;                // (population), penalty included
    double best_mean;               // of the generations before, -inf at first
} hb_trainer;

// What a generation was like.
typedef struct {
    int64_t generation; // counted from 1
    double mean, sd, max;
    double reward; // the environment's own, mean over lives
    double variation_mean[HB_MAX_LIST], variation_max[HB_MAX_LIST];
    double lr, sigma;  // that it used
    int64_t env_steps; // policy steps of all lives
    int64_t diverged;  // lives
    double seconds;    // wall
    // Wall seconds by phase: thread seconds divided by threads; other is what remains.
    double ask, physics, env, policy, expand, update, other;
} hb_generation;

// Opens all of it; config must outlive the trainer. The caller closes it.
hb_status hb_trainer_open(const hb_config *config, hb_trainer *trainer, hb_error *error);
void hb_trainer_close(hb_trainer *trainer);

// Lives one generation and fills report, but for its update; the search has not moved yet.
hb_status hb_trainer_live(hb_trainer *trainer, hb_generation *report, const atomic_bool *stop, hb_error *error);
// Life k of the generation under way: variation k % V of individual k / V.
void hb_trainer_life(const hb_trainer *trainer, int64_t k, hb_life *life);
// Moves the search by the fitness just gathered and completes the report.
hb_status hb_trainer_update(hb_trainer *trainer, hb_generation *report, hb_error *error);

// Lives from now on start from the weights that eval.init names; "same" changes nothing. The genome's layout
// must not change: HB_BAD_INPUT where "coevolve" meets another initialiser.
hb_status hb_trainer_use_eval_init(hb_trainer *trainer, hb_error *error);

// Index of a variation of the environment; -1 where it has none of that name.
int32_t hb_variation_index(const hb_env_table *env, const char *name);

// The fitness that a life counts for: its return (0 if negative and search.clip_negative) minus l2 mean(h^2)
// over the individual's penalised numbers.
double hb_trainer_fitness(const hb_trainer *trainer, const hb_life_result *result);

#endif
