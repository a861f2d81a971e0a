// A trainer: a configuration with everything it describes: machine, world, network, search, and, once it is ready, a rollout.
// Training, evaluation, traces, plans and benchmarks all start from one.
#ifndef HB_TRAINER_H
#define HB_TRAINER_H

#include "host/base/files.h"
#include "host/base/machine.h"
#include "host/config/config.h"
#include "host/search/search.h"
#include "host/train/rollout.h"

typedef struct {
    const hb_config *config;
    const hb_settings *settings; // the config's
    hb_ranks *ranks;             // nullable: trains beside others
    hb_machine machine;
    hb_world world;
    hb_net net;
    hb_search search;
    hb_rollout *rollout; // NULL until it is ready
    int32_t n_variations;
    int32_t variation[HB_MAX_LIST]; // the trained ones, as indices of the environment's
    hb_episode_result *results;     // (population, n_variations), of the last generation; NULL until ready
    double *fitness;                // (population), penalty included; NULL until ready
    double best_mean;               // the largest population mean so far, -inf at first
    char loaded[HB_PATH];           // the checkpoint that it was loaded from, or ""
    // Nullable: receives lines for the user, from any thread. To be set before the trainer is ready.
    void (*note)(void *context, const char *line);
    void *note_context;
} hb_trainer;

// Statistics of one generation.
typedef struct {
    int64_t generation; // counted from 1
    double mean, sd, max;
    double reward; // the environment's own, mean over lives
    double variation_mean[HB_MAX_LIST], variation_max[HB_MAX_LIST];
    double lr, sigma;  // that it used
    int64_t env_steps; // environment steps with an action of the policy, of all lives (burn-in is not counted)
    int64_t diverged;  // lives
    int32_t waiting;   // the rank that waited longest for the others, and for which share of the rollout
    double waited;
    double seconds; // wall
    // Wall seconds by phase: thread seconds divided by threads, those of all ranks; other is what remains.
    double ask, physics, env, policy, expand, update, other;
} hb_generation;

// Opens machine, world, network and search; config must outlive the trainer. The caller closes it, on success only.
hb_status hb_trainer_open(const hb_config *config, hb_trainer *trainer, hb_error *error);

// The same for one rank of several, nullable: without run.threads the machine's cores are shared with the ranks beside it.
hb_status hb_trainer_open_rank(const hb_config *config, hb_ranks *ranks, hb_trainer *trainer, hb_error *error);
void hb_trainer_close(hb_trainer *trainer);

// Makes room for results, for lives that are lived elsewhere; and the fitness of every individual from its results, the mean over its
// variations with the penalty, and their statistics for the report, whose generation, lr and sigma are the search's.
hb_status hb_trainer_room(hb_trainer *trainer, hb_error *error);
hb_status hb_trainer_gather(hb_trainer *trainer, hb_generation *report, hb_error *error);

// Opens the rollout, with bodies and lanes, and makes room for results, unless that is done. Generations do it themselves.
hb_status hb_trainer_ready(hb_trainer *trainer, hb_error *error);

// Lives one generation and fills the report, except for its update; the search has not moved yet.
hb_status hb_trainer_rollout(hb_trainer *trainer, hb_generation *report, const atomic_bool *stop, hb_error *error);

// Episode k of the current generation: variation k % V of individual k / V.
void hb_trainer_episode(const hb_trainer *trainer, int64_t k, hb_episode *episode);

// Moves the search by the fitness of the last rollout, which must have succeeded, and completes the report.
hb_status hb_trainer_update(hb_trainer *trainer, hb_generation *report, hb_error *error);

// Uses the initial weights that eval.init names for all lives from now on; "same" changes nothing. Fails with HB_BAD_INPUT
// where that would change the genome's layout ("coevolve" against any other).
hb_status hb_trainer_use_eval_init(hb_trainer *trainer, hb_error *error);

// Lives are lived by the engine that eval.engine names from now on, where the environment has engines. Fails with HB_BAD_INPUT
// where it has no such engine.
hb_status hb_trainer_use_eval_engine(hb_trainer *trainer, hb_error *error);

// The noise of evaluation k of a variation (index of the environment's), which training never uses: each eval.seed has its own.
hb_noise hb_trainer_eval_noise(const hb_trainer *trainer, uint32_t stream, int64_t k, int32_t variation);

// Noise of the search as eval.seed moves it; 0 leaves it.
hb_noise hb_trainer_reseeded(const hb_trainer *trainer, hb_noise noise);

// The fitness of a life: its return (0 if negative and search.clip_negative) minus l2 mean(h^2) over the penalised part of the
// genome.
double hb_trainer_fitness(const hb_trainer *trainer, const hb_episode_result *result);

#endif
