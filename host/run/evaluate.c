// Evaluation of a checkpoint (docs/equations.md, "Evaluation").
#include "host/base/locale.h"
#include "host/base/stop.h"
#include "host/run/folder.h"
#include "host/run/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const hb_trainer *trainer;
    bool sample;       // individuals around the mean, or the mean itself
    int32_t variation; // index of the environment's
} evaluation;

// Where rows go.
typedef struct {
    void (*row)(void *context, const hb_evaluation *evaluation);
    void *context;
    const hb_stop *stop;
} receiver;

// Rollout k: initial weights and reset from random numbers that training never uses.
static void eval_episode(const void *context, int64_t k, hb_episode *episode) {
    const evaluation *e = context;
    const hb_search *search = &e->trainer->search;
    const uint32_t part = HB_EPISODE_EVAL + (uint32_t)e->variation; // of the random numbers
    if (e->sample)
        hb_search_eval_genome(search, k, &episode->birth.genome);
    else
        hb_search_mean_genome(search, &episode->birth.genome);
    episode->birth.weights = hb_search_noise(search, HB_STREAM_WEIGHTS, k, part);
    episode->reset = hb_search_noise(search, HB_STREAM_RESET, k, part);
    episode->variation = e->variation;
}

static hb_evaluation summarise(const hb_trainer *trainer, const hb_episode_result *results, int64_t n) {
    hb_evaluation row = {.rollouts = n};
    double sum = 0, squares = 0, steps = 0, backward = 0;
    for (int64_t k = 0; k < n; k++) {
        const double fitness = hb_trainer_fitness(trainer, &results[k]);
        sum += fitness;
        squares += fitness * fitness;
        steps += results[k].steps;
        backward += results[k].backward_steps;
        row.diverged += results[k].diverged;
    }
    row.mean = sum / (double)n;
    row.sd = sqrt(fmax(0.0, squares / (double)n - row.mean * row.mean));
    row.standard_error = row.sd / sqrt((double)n);
    row.steps = steps / (double)n;
    row.backward_share = steps > 0 ? backward / steps : 0;
    return row;
}

static hb_status evaluate_variation(hb_trainer *trainer, const char *name, bool held_out, bool sample,
                                    const receiver *to, hb_error *error) {
    const int64_t n = trainer->settings->eval.rollouts;
    hb_episode_result *results = calloc((size_t)n, sizeof *results);
    if (!results) return hb_fail(error, HB_FAILED, "out of memory for %lld rollouts", (long long)n);
    const evaluation e = {trainer, sample, hb_variation_index(trainer->config->env, name)};
    hb_rollout_times times = {.physics = 0};
    const hb_status status =
        hb_rollout_run(trainer->rollout, n, eval_episode, &e, results, &times, hb_stop_flag(to->stop), error);
    if (status == HB_OK) {
        hb_evaluation summary = summarise(trainer, results, n);
        summary.variation = name;
        summary.protocol = sample ? "sample" : "mean";
        summary.held_out = held_out;
        to->row(to->context, &summary);
    }
    free(results);
    return status == HB_INTERRUPTED ? hb_fail(error, status, "stopped on request in an evaluation") : status;
}

static hb_status evaluate_all(hb_trainer *trainer, const receiver *to, hb_error *error) {
    const hb_settings *s = trainer->settings;
    hb_status status = hb_trainer_ready(trainer, error);
    if (status == HB_OK) status = hb_search_prepare(&trainer->search, s->eval.rollouts, HB_EPISODE_EVAL, error);
    for (int sample = 0; sample < 2; sample++) {
        if (s->eval.protocol == (sample ? HB_PROTOCOL_MEAN : HB_PROTOCOL_SAMPLE)) continue;
        for (int32_t v = 0; v < s->env.variations.n && status == HB_OK; v++)
            status = evaluate_variation(trainer, s->env.variations.item[v], false, sample, to, error);
        for (int32_t v = 0; v < s->env.held_out.n && status == HB_OK; v++)
            status = evaluate_variation(trainer, s->env.held_out.item[v], true, sample, to, error);
    }
    return status;
}

hb_status hb_evaluate_as(const hb_config *config, const char *folder,
                         void (*row)(void *context, const hb_evaluation *evaluation), void *context,
                         const hb_stop *stop, hb_error *error) {
    hb_trainer trainer;
    hb_status status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) return status;
    status = hb_run_load(&trainer, folder, trainer.settings->eval.checkpoint, NULL, NULL, error);
    const int64_t newest = hb_folder_newest(folder);
    if (status == HB_OK && trainer.settings->eval.checkpoint == HB_CHECKPOINT_LAST &&
        newest != trainer.search.generation)
        status =
            hb_fail(error, HB_BAD_INPUT, "%s: the checkpoint of generation %lld is torn or damaged; resume the run",
                    folder, (long long)newest);
    if (status == HB_OK) status = hb_trainer_use_eval_init(&trainer, error);
    if (status == HB_OK) status = hb_trainer_use_eval_engine(&trainer, error);
    if (status == HB_OK) status = evaluate_all(&trainer, &(receiver){row, context, stop}, error);
    hb_trainer_close(&trainer);
    return status;
}

hb_status hb_evaluate(const char *folder, const char *const *sets, int n_sets,
                      void (*row)(void *context, const hb_evaluation *evaluation), void *context, const hb_stop *stop,
                      hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_config *config = NULL;
    hb_status status = hb_run_config(folder, sets, n_sets, &config, error);
    if (status == HB_OK) status = hb_evaluate_as(config, folder, row, context, stop, error);
    hb_config_close(config);
    return status;
}
