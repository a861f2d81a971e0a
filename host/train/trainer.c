#include "host/train/trainer.h"
#include "host/base/clock.h"
#include "host/policy/policy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Open, close

static bool wants_batches(const hb_trainer *trainer) {
    const hb_rollout_mode mode = trainer->settings->run.rollout;
    if (mode != HB_ROLLOUT_AUTO) return mode == HB_ROLLOUT_BATCHED;
    return hb_device_group_size(trainer->machine.device, &trainer->net) > 1;
}

static hb_status open_world(hb_trainer *trainer, hb_error *error) {
    const hb_status status = hb_world_open(trainer->config, NULL, &trainer->world, error);
    if (status != HB_OK) return status;
    trainer->n_variations = trainer->settings->env.variations.n;
    for (int32_t v = 0; v < trainer->n_variations; v++)
        trainer->variation[v] = hb_world_variation(&trainer->world, trainer->settings->env.variations.item[v]);
    return HB_OK;
}

// Lanes of a group: as many as the settings say, or as suit the device; never more than there are lives.
static int32_t group_lanes(const hb_trainer *trainer) {
    const int32_t suits = hb_device_group_size(trainer->machine.device, &trainer->net);
    const int64_t lanes = trainer->settings->run.group > 0 ? trainer->settings->run.group : suits > 1 ? suits : 64;
    const int64_t all = trainer->settings->search.population * trainer->n_variations;
    const int64_t lives = (all + hb_ranks_size(trainer->ranks) - 1) / hb_ranks_size(trainer->ranks); // of this rank
    return (int32_t)(lanes < lives ? lanes : lives);
}

static hb_status check_rollout(const hb_trainer *trainer, hb_error *error) {
    const hb_device_table *table = hb_table_of(trainer->machine.device);
    if (table->host_parallel || wants_batches(trainer)) return HB_OK;
    return hb_config_complain(trainer->config, "run.rollout", error, "device '%s' serves batches only, found '%s'",
                              table->name, hb_config_value(trainer->config, "run.rollout"));
}

hb_status hb_trainer_room(hb_trainer *trainer, hb_error *error) {
    const size_t population = (size_t)trainer->settings->search.population;
    if (!trainer->results)
        trainer->results = calloc(population * (size_t)trainer->n_variations, sizeof *trainer->results);
    if (!trainer->fitness) trainer->fitness = calloc(population, sizeof *trainer->fitness);
    if (trainer->results && trainer->fitness) return HB_OK;
    return hb_fail(error, HB_FAILED, "out of memory for %zu individuals", population);
}

hb_status hb_trainer_ready(hb_trainer *trainer, hb_error *error) {
    if (trainer->rollout) return HB_OK;
    const hb_status status = hb_trainer_room(trainer, error);
    if (status != HB_OK) return status;
    const hb_rollout_def def = {.machine = &trainer->machine,
                                .net = &trainer->net,
                                .world = &trainer->world,
                                .standard = trainer->search.standard,
                                .ranks = trainer->ranks,
                                .batched = wants_batches(trainer),
                                .group = group_lanes(trainer),
                                .width = (int32_t)trainer->settings->run.width,
                                .slow = trainer->note,
                                .slow_context = trainer->note_context,
                                .patience_s = trainer->settings->run.patience};
    return hb_rollout_open(&def, &trainer->rollout, error);
}

hb_status hb_trainer_open(const hb_config *config, hb_trainer *trainer, hb_error *error) {
    return hb_trainer_open_rank(config, NULL, trainer, error);
}

hb_status hb_trainer_open_rank(const hb_config *config, hb_ranks *ranks, hb_trainer *trainer, hb_error *error) {
    *trainer = (hb_trainer){.config = config, .settings = &config->settings, .ranks = ranks, .best_mean = -HUGE_VAL};
    const hb_place place = ranks ? (hb_place){ranks->sharers, ranks->place, ranks->places} : (hb_place){0};
    hb_status status = hb_machine_open(&trainer->machine, &trainer->settings->machine, place, error);
    if (status == HB_OK) status = open_world(trainer, error);
    if (status == HB_OK)
        status = hb_policy_build(&trainer->settings->policy, &trainer->world.shape, &trainer->net, error);
    if (status == HB_OK)
        status = hb_search_create(&trainer->search, &trainer->machine, ranks, &trainer->settings->search,
                                  (uint32_t)trainer->settings->run.seed, &trainer->net, error);
    if (status == HB_OK) status = check_rollout(trainer, error);
    if (status != HB_OK) hb_trainer_close(trainer);
    return status;
}

void hb_trainer_close(hb_trainer *trainer) {
    hb_rollout_close(trainer->rollout);
    if (trainer->search.machine) hb_search_destroy(&trainer->search);
    hb_world_close(&trainer->world);
    hb_machine_close(&trainer->machine);
    free(trainer->results);
    free(trainer->fitness);
    *trainer = (hb_trainer){.config = NULL};
}

hb_status hb_trainer_use_eval_init(hb_trainer *trainer, hb_error *error) {
    const int32_t chosen = trainer->settings->eval.init; // 0: as in training
    if (chosen == 0 || !trainer->net.rule) return HB_OK;
    const hb_initialiser *init = &hb_initialisers[chosen - 1];
    if ((init->draw == HB_DRAW_GENOME) != (trainer->net.init->draw == HB_DRAW_GENOME))
        return hb_config_complain(trainer->config, "eval.init", error, "'%s' does not fit a run trained with '%s'",
                                  init->name, trainer->net.init->name);
    trainer->net.init = init;
    hb_rollout_close(trainer->rollout); // its groups hold a copy of the old network
    trainer->rollout = NULL;
    return HB_OK;
}

hb_status hb_trainer_use_eval_engine(hb_trainer *trainer, hb_error *error) {
    const char *engine = trainer->settings->eval.engine;
    const char *const *engines = hb_world_engines(trainer->config->env);
    if (!engines || strcmp(engine, "same") == 0) return HB_OK;
    char words[128] = "";
    for (; *engines && strcmp(*engines, engine) != 0; engines++)
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s, ", *engines);
    if (!*engines && hb_config_is_default(trainer->config, "eval.engine")) return HB_OK; // it has others
    if (!*engines)
        return hb_config_complain(trainer->config, "eval.engine", error, "expected %sor same, found '%s'", words,
                                  engine);
    hb_rollout_close(trainer->rollout); // its bodies live in the old world
    trainer->rollout = NULL;
    const hb_env_shape before = trainer->world.shape;
    hb_world_close(&trainer->world);
    const hb_status status = hb_world_open(trainer->config, engine, &trainer->world, error);
    const hb_env_shape *after = &trainer->world.shape;
    if (status != HB_OK || (hb_env_observation_bytes(&before) == hb_env_observation_bytes(after) &&
                            before.action_size == after->action_size))
        return status;
    return hb_config_complain(trainer->config, "eval.engine", error, "'%s' has other sizes than the run's", engine);
}

// ---------------------------------------------------------------------------------------------------
// A generation

double hb_trainer_fitness(const hb_trainer *trainer, const hb_episode_result *result) {
    const bool clipped = trainer->settings->search.clip_negative && result->fitness < 0;
    const double penalty = trainer->settings->search.l2 * result->sum_of_squares / (double)trainer->net.n_penalised;
    return (clipped ? 0 : result->fitness) - penalty;
}

void hb_trainer_episode(const hb_trainer *trainer, int64_t k, hb_episode *episode) {
    const int64_t individual = k / trainer->n_variations;
    const int32_t v = trainer->variation[k % trainer->n_variations];
    const hb_search *search = &trainer->search;
    search->method->genome(search, individual, &episode->birth.genome);
    episode->birth.weights = hb_search_life_noise(search, HB_STREAM_WEIGHTS, individual, (uint32_t)v);
    episode->reset = hb_search_life_noise(search, HB_STREAM_RESET, individual, (uint32_t)v);
    episode->variation = v;
}

hb_noise hb_trainer_reseeded(const hb_trainer *trainer, hb_noise noise) {
    noise.generation += (uint32_t)trainer->settings->eval.seed * 0x9E3779B9u;
    return noise;
}

hb_noise hb_trainer_eval_noise(const hb_trainer *trainer, uint32_t stream, int64_t k, int32_t variation) {
    return hb_trainer_reseeded(trainer,
                               hb_search_noise(&trainer->search, stream, k, HB_EPISODE_EVAL + (uint32_t)variation));
}

static void training_episode(const void *context, int64_t k, hb_episode *episode) {
    hb_trainer_episode(context, k, episode);
}

// What lives of variation v that did not diverge earned at least; infinite where all diverged.
static double least_of_whole(const hb_trainer *trainer, int32_t v) {
    double least = HUGE_VAL;
    for (int64_t s = 0; s < trainer->settings->search.population; s++) {
        const hb_episode_result *result = &trainer->results[s * trainer->n_variations + v];
        if (!result->diverged) least = fmin(least, result->fitness);
    }
    return least;
}

// A life that diverged is worth no more than the worst that did not: where steps cost, to stop early would be a gain.
static void hold_diverged_down(hb_trainer *trainer) {
    for (int32_t v = 0; v < trainer->n_variations; v++) {
        const double least = least_of_whole(trainer, v);
        for (int64_t s = 0; s < trainer->settings->search.population; s++) {
            hb_episode_result *result = &trainer->results[s * trainer->n_variations + v];
            if (result->diverged) result->fitness = fmin(result->fitness, least);
        }
    }
}

hb_status hb_trainer_gather(hb_trainer *trainer, hb_generation *report, hb_error *error) {
    const int64_t population = trainer->settings->search.population;
    const int32_t n_variations = trainer->n_variations;
    for (int32_t v = 0; v < n_variations; v++) report->variation_max[v] = -HUGE_VAL;
    double sum = 0, squares = 0;
    report->max = -HUGE_VAL;
    hold_diverged_down(trainer);
    for (int64_t s = 0; s < population; s++) {
        const hb_episode_result *results = trainer->results + s * n_variations;
        double total = 0;
        for (int32_t v = 0; v < n_variations; v++) {
            const double fitness = hb_trainer_fitness(trainer, &results[v]);
            total += fitness;
            report->variation_mean[v] += fitness / (double)population;
            report->variation_max[v] = fmax(report->variation_max[v], fitness);
            report->reward += results[v].reward / (double)(population * n_variations);
            report->env_steps += results[v].steps;
            report->diverged += results[v].diverged;
        }
        trainer->fitness[s] = total / n_variations;
        if (!isfinite(trainer->fitness[s]))
            return hb_fail(error, HB_FAILED,
                           "generation %lld: the fitness of individual %lld is not finite: its numbers overflow; "
                           "lower %s or search.sigma",
                           (long long)report->generation, (long long)s,
                           trainer->search.method->rates ? trainer->search.method->rates : "search.lr");
        sum += trainer->fitness[s];
        report->max = fmax(report->max, trainer->fitness[s]);
    }
    report->mean = sum / (double)population;
    for (int64_t s = 0; s < population; s++)
        squares += (trainer->fitness[s] - report->mean) * (trainer->fitness[s] - report->mean);
    report->sd = sqrt(squares / (double)(population - 1));
    return HB_OK;
}

hb_status hb_trainer_rollout(hb_trainer *trainer, hb_generation *report, const atomic_bool *stop, hb_error *error) {
    const double begun = hb_now();
    *report = (hb_generation){
        .generation = trainer->search.generation + 1, .lr = trainer->search.lr, .sigma = trainer->search.sigma};
    hb_rollout_times times = {.physics = 0};
    const int64_t lives = trainer->settings->search.population * trainer->n_variations;
    hb_status status = hb_trainer_ready(trainer, error);
    if (status == HB_OK) status = hb_search_prepare(&trainer->search, trainer->settings->search.population, 0, error);
    if (status != HB_OK) return status;
    if (trainer->search.standard)
        hb_standard_forget(trainer->search.standard); // of a generation that was begun before
    report->ask = hb_now() - begun;
    status = hb_rollout_run(trainer->rollout, lives, training_episode, trainer, trainer->results,
                            trainer->search.standard ? trainer->search.standard->seen : NULL, &times, stop, error);
    if (status == HB_OK) status = hb_trainer_gather(trainer, report, error);
    if (status != HB_OK) return status;
    const double threads = (double)hb_pool_threads(trainer->machine.pool) * hb_ranks_size(trainer->ranks);
    report->waiting = times.waiting;
    report->waited = times.waited;
    report->physics = times.physics / threads;
    report->env = times.env / threads;
    report->policy = times.policy / threads;
    report->expand = times.expand / threads;
    report->seconds = hb_now() - begun;
    return HB_OK;
}

hb_status hb_trainer_update(hb_trainer *trainer, hb_generation *report, hb_error *error) {
    const double begun = hb_now();
    const hb_status status = hb_search_tell(&trainer->search, trainer->fitness, error);
    if (status != HB_OK) return status;
    report->update = hb_now() - begun;
    report->seconds += report->update;
    report->other = report->seconds - report->physics - report->env - report->policy - report->expand -
                    report->update - report->ask;
    return HB_OK;
}
