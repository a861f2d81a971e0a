// Evaluation of a checkpoint (docs/equations.md, "Evaluation").
#include "host/base/files.h"
#include "host/base/locale.h"
#include "host/base/stop.h"
#include "host/run/checkpoint.h"
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
    const hb_words *trained; // the variations that the run was trained on
    const char *changed;
} receiver;

static void eval_episode(const void *context, int64_t k, hb_episode *episode) {
    const evaluation *e = context;
    const hb_search *search = &e->trainer->search;
    if (e->sample) {
        hb_search_eval_genome(search, k, &episode->birth.genome);
        episode->birth.genome.noise = hb_trainer_reseeded(e->trainer, episode->birth.genome.noise);
    } else {
        hb_search_mean_genome(search, &episode->birth.genome);
    }
    episode->birth.weights = hb_trainer_eval_noise(e->trainer, HB_STREAM_WEIGHTS, k, e->variation);
    episode->reset = hb_trainer_eval_noise(e->trainer, HB_STREAM_RESET, k, e->variation);
    episode->variation = e->variation;
}

// Writes each rollout and returns their summary.
static hb_evaluation summarise(const hb_trainer *trainer, const hb_episode_result *results, int64_t n,
                               hb_eval_life *lives) {
    hb_evaluation row = {.rollouts = n, .life = lives};
    double sum = 0, squares = 0, steps = 0, backward = 0;
    for (int64_t k = 0; k < n; k++) {
        const double fitness = hb_trainer_fitness(trainer, &results[k]);
        lives[k] = (hb_eval_life){fitness, results[k].reward, results[k].steps, results[k].diverged};
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
    row.backward_share = !trainer->world.shape.progress ? (double)NAN : steps > 0 ? backward / steps : 0;
    return row;
}

static bool is_among(const hb_words *words, const char *name) {
    for (int32_t k = 0; k < words->n; k++)
        if (strcmp(words->item[k], name) == 0) return true;
    return false;
}

static hb_status evaluate_variation(hb_trainer *trainer, const char *name, bool sample, const receiver *to,
                                    hb_error *error) {
    const int64_t n = trainer->settings->eval.rollouts;
    hb_episode_result *results = calloc((size_t)n, sizeof *results);
    hb_eval_life *lives = calloc((size_t)n, sizeof *lives);
    const evaluation e = {trainer, sample, hb_world_variation(&trainer->world, name)};
    hb_rollout_times times = {.physics = 0};
    hb_status status =
        results && lives ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for %lld rollouts", (long long)n);
    if (status == HB_OK)
        status = hb_rollout_run(trainer->rollout, n, eval_episode, &e, results, NULL, &times, hb_stop_flag(to->stop),
                                error);
    if (status == HB_OK) {
        hb_evaluation summary = summarise(trainer, results, n, lives);
        summary.variation = name;
        summary.protocol = sample ? "sample" : "mean";
        summary.held_out = !is_among(to->trained, name);
        summary.changed = to->changed;
        to->row(to->context, &summary);
    }
    free(results);
    free(lives);
    return status == HB_INTERRUPTED ? hb_fail(error, status, "stopped on request in an evaluation") : status;
}

static hb_status evaluate_all(hb_trainer *trainer, const receiver *to, hb_error *error) {
    const hb_settings *s = trainer->settings;
    hb_status status = hb_trainer_ready(trainer, error);
    if (status == HB_OK) status = hb_search_prepare(&trainer->search, s->eval.rollouts, HB_EPISODE_EVAL, error);
    for (int sample = 0; sample < 2; sample++) {
        if (s->eval.protocol == (sample ? HB_PROTOCOL_MEAN : HB_PROTOCOL_SAMPLE)) continue;
        for (int32_t v = 0; v < s->env.variations.n && status == HB_OK; v++)
            status = evaluate_variation(trainer, s->env.variations.item[v], sample, to, error);
        for (int32_t v = 0; v < s->env.held_out.n && status == HB_OK; v++)
            status = evaluate_variation(trainer, s->env.held_out.item[v], sample, to, error);
    }
    return status;
}

static hb_status evaluate(const hb_config *config, const char *folder, const receiver *to, hb_error *error) {
    hb_trainer trainer;
    hb_status status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) return status;
    status = hb_run_load_chosen(&trainer, folder, error);
    if (status == HB_OK && config->settings.eval.sigma > 0) trainer.search.sigma = config->settings.eval.sigma;
    if (status == HB_OK) status = hb_trainer_use_eval_init(&trainer, error);
    if (status == HB_OK) status = hb_trainer_use_eval_engine(&trainer, error);
    if (status == HB_OK) status = evaluate_all(&trainer, to, error);
    hb_trainer_close(&trainer);
    return status;
}

hb_status hb_evaluate_as(const hb_config *config, const char *folder,
                         void (*row)(void *context, const hb_evaluation *evaluation), void *context,
                         const hb_stop *stop, hb_error *error) {
    const receiver to = {row, context, stop, &config->settings.env.variations, ""};
    return evaluate(config, folder, &to, error);
}

hb_status hb_evaluate(const char *folder, const char *const *sets, int n_sets,
                      void (*row)(void *context, const hb_evaluation *evaluation), void *context, const hb_stop *stop,
                      hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    char path[HB_PATH], changed[HB_DIFFERENCE];
    hb_path(path, folder, "config.yaml");
    hb_config *saved = NULL, *config = NULL;
    hb_status status = hb_config_open_run(path, sets, n_sets, &config, error);
    if (status == HB_OK) status = hb_config_open_moved(path, config, &saved, error);
    if (status == HB_OK) status = hb_config_elsewhere(config, saved->identity, changed, error);
    if (status == HB_OK) {
        memcpy(config->identity, saved->identity, sizeof config->identity); // the checkpoint is of the saved one
        const receiver to = {row, context, stop, &saved->settings.env.variations, changed};
        status = evaluate(config, folder, &to, error);
    }
    hb_config_close(saved);
    hb_config_close(config);
    return status;
}
