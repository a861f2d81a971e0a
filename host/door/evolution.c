#include "host/door/evolution.h"
#include "host/base/locale.h"
#include "host/base/stop.h"
#include "host/run/checkpoint.h"
#include "host/run/run.h"
#include "kernels/update.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Open, close

static hb_status make_room(hb_evolution *evolution, hb_error *error) {
    const size_t population = (size_t)evolution->trainer->settings->search.population;
    evolution->squares = malloc(population * sizeof *evolution->squares);
    if (!evolution->squares) return hb_fail(error, HB_FAILED, "out of memory for %zu individuals", population);
    for (size_t s = 0; s < population; s++) evolution->squares[s] = NAN;
    return hb_trainer_room(evolution->trainer, error);
}

static hb_status finish_opening(hb_evolution *evolution, hb_status status, hb_evolution **out, hb_error *error) {
    if (status == HB_OK) status = make_room(evolution, error);
    if (status != HB_OK) {
        (void)hb_evolution_close(evolution, NULL);
        return status;
    }
    *out = evolution;
    return HB_OK;
}

hb_status hb_evolution_open(const char *path, const char *const *sets, int n_sets, const hb_hooks *hooks,
                            hb_evolution **out, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_evolution *evolution = calloc(1, sizeof *evolution);
    if (!evolution) return hb_fail(error, HB_FAILED, "out of memory");
    if (hooks) evolution->hooks = *hooks;
    hb_status status = hb_config_open(path, sets, n_sets, &evolution->config, error);
    if (status == HB_OK && evolution->hooks.ranks)
        status = hb_fail(error, HB_BAD_INPUT, "an evolution that is asked and told belongs to one process");
    if (status == HB_OK) status = hb_session_open(evolution->config, &evolution->hooks, &evolution->session, error);
    if (status == HB_OK) evolution->trainer = hb_session_trainer(evolution->session);
    return finish_opening(evolution, status, out, error);
}

hb_status hb_evolution_load(const char *folder, const char *const *sets, int n_sets, hb_evolution **out,
                            hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_evolution *evolution = calloc(1, sizeof *evolution);
    if (!evolution) return hb_fail(error, HB_FAILED, "out of memory");
    hb_status status = hb_run_config(folder, sets, n_sets, &evolution->config, error);
    if (status == HB_OK) status = hb_trainer_open(evolution->config, &evolution->loaded, error);
    if (status == HB_OK) evolution->trainer = &evolution->loaded;
    if (status == HB_OK) status = hb_run_load_chosen(evolution->trainer, folder, error);
    if (status == HB_OK) status = hb_trainer_use_eval_init(evolution->trainer, error);
    return finish_opening(evolution, status, out, error);
}

hb_status hb_evolution_close(hb_evolution *evolution, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    if (!evolution) return HB_OK;
    hb_status status = HB_OK;
    if (evolution->session)
        status = hb_session_close(evolution->session, error);
    else if (evolution->trainer)
        hb_trainer_close(evolution->trainer);
    hb_config_close(evolution->config);
    free(evolution->squares);
    free(evolution);
    return status;
}

void hb_evolution_describe(const hb_evolution *evolution, hb_evolution_about *about) {
    const hb_trainer *trainer = evolution->trainer;
    const hb_env_shape *shape = &trainer->world.shape;
    const hb_evolution_about all = {.population = trainer->settings->search.population,
                                    .generation = trainer->search.generation,
                                    .generations = trainer->settings->run.generations,
                                    .seed = trainer->settings->run.seed,
                                    .genome_size = trainer->net.genome_size,
                                    .observation_size = shape->observation_size,
                                    .action_size = shape->action_size,
                                    .layers = trainer->net.n_layers,
                                    .variations = trainer->n_variations,
                                    .threads = hb_pool_threads(trainer->machine.pool),
                                    .lr = trainer->search.lr,
                                    .sigma = trainer->search.sigma,
                                    .best_mean = trainer->best_mean,
                                    .picture = shape->picture[0] > 0,
                                    .plastic = trainer->net.rule != NULL,
                                    .over = !evolution->session || hb_session_is_over(evolution->session)};
    *about = all;
}

bool hb_evolution_layer(const hb_evolution *evolution, int layer, int64_t *inputs, int64_t *outputs) {
    const hb_net *net = &evolution->trainer->net;
    if (layer < 0 || layer >= net->n_layers) return false;
    *inputs = net->layer[layer].inputs;
    *outputs = net->layer[layer].outputs;
    return true;
}

const char *hb_evolution_value(const hb_evolution *evolution, const char *key) {
    return hb_config_value(evolution->config, key);
}

// ---------------------------------------------------------------------------------------------------
// Ask

hb_status hb_evolution_prepare(hb_evolution *evolution, hb_prepared what, hb_error *error) {
    if (evolution->prepared == what) return HB_OK;
    const bool mean = what == HB_PREPARED_MEAN;
    const hb_status status =
        hb_search_prepare(&evolution->trainer->search, mean ? 1 : evolution->trainer->settings->search.population,
                          mean ? HB_EPISODE_EVAL : 0, error);
    evolution->prepared = status == HB_OK ? what : HB_PREPARED_NONE;
    return status;
}

static hb_status sample(hb_evolution *evolution, int64_t s, float *h, hb_error *error) {
    const hb_search *search = &evolution->trainer->search;
    const hb_net *net = &evolution->trainer->net;
    hb_genome genome;
    if (s < 0)
        hb_search_mean_genome(search, &genome);
    else
        search->method->genome(search, s, &genome);
    const hb_status status =
        hb_machine_sample(&evolution->trainer->machine, &genome, h, (size_t)net->genome_size, error);
    if (status == HB_OK && s >= 0) evolution->squares[s] = hb_sum_of_squares(h, (size_t)net->n_penalised);
    return status;
}

hb_status hb_evolution_genomes(hb_evolution *evolution, int64_t first, int64_t n, float *genomes, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    const int64_t population = evolution->trainer->settings->search.population;
    const bool mean = first == -1 && n == 1;
    if (!mean && (first < 0 || n < 0 || first > population - n))
        return hb_fail(error, HB_BAD_INPUT,
                       "genomes: expected individuals in [0, %lld), or -1 for the mean, found %lld to %lld",
                       (long long)population, (long long)first, (long long)(first + n - 1));
    hb_status status = hb_evolution_prepare(evolution, mean ? HB_PREPARED_MEAN : HB_PREPARED_POPULATION, error);
    for (int64_t k = 0; k < n && status == HB_OK; k++)
        status = sample(evolution, first + k, genomes + k * evolution->trainer->net.genome_size, error);
    evolution->asked = evolution->asked || !mean;
    return status;
}

hb_status hb_evolution_live(hb_evolution *evolution, double *fitness, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_trainer *trainer = evolution->trainer;
    hb_generation report;
    if (!evolution->session)
        return hb_fail(error, HB_BAD_INPUT, "live: this run is only looked at; open an evolution");
    const hb_status status = hb_trainer_rollout(trainer, &report, hb_stop_flag(evolution->hooks.stop), error);
    evolution->prepared = status == HB_OK ? HB_PREPARED_POPULATION : HB_PREPARED_NONE;
    if (status != HB_OK) return status;
    evolution->asked = evolution->lived = true;
    for (int64_t s = 0; fitness && s < trainer->settings->search.population; s++) fitness[s] = trainer->fitness[s];
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Tell

// Returns become results of lives, one for every variation; sums of squares that no life has given are computed.
static hb_status take_returns(hb_evolution *evolution, const double *returns, hb_error *error) {
    hb_trainer *trainer = evolution->trainer;
    const bool penalised = trainer->settings->search.l2 != 0;
    float *h = malloc((size_t)trainer->net.genome_size * sizeof *h);
    hb_status status = h ? hb_evolution_prepare(evolution, HB_PREPARED_POPULATION, error)
                         : hb_fail(error, HB_FAILED, "out of memory for a genome");
    for (int64_t s = 0; s < trainer->settings->search.population && status == HB_OK; s++) {
        if (penalised && isnan(evolution->squares[s])) status = sample(evolution, s, h, error);
        for (int32_t v = 0; v < trainer->n_variations; v++)
            trainer->results[s * trainer->n_variations + v] = (hb_episode_result){
                .fitness = returns[s], .reward = returns[s], .sum_of_squares = penalised ? evolution->squares[s] : 0};
    }
    free(h);
    return status;
}

static const double LARGEST = 1e100; // of a return: sums and squares of them stay finite

static hb_status check_tell(const hb_evolution *evolution, const double *returns, int64_t n, hb_error *error) {
    const int64_t population = evolution->trainer->settings->search.population;
    if (!evolution->session)
        return hb_fail(error, HB_BAD_INPUT, "tell: this run is only looked at; open an evolution");
    if (!evolution->asked)
        return hb_fail(error, HB_BAD_INPUT, "tell: generation %lld was not asked for yet",
                       (long long)evolution->trainer->search.generation + 1);
    if (!returns && !evolution->lived)
        return hb_fail(error, HB_BAD_INPUT, "tell: expected %lld returns, found none: no lives were lived here",
                       (long long)population);
    if (returns && n != population)
        return hb_fail(error, HB_BAD_INPUT, "tell: expected %lld returns, found %lld", (long long)population,
                       (long long)n);
    for (int64_t s = 0; returns && s < n; s++)
        if (!(fabs(returns[s]) < LARGEST))
            return hb_fail(error, HB_BAD_INPUT, "tell: expected returns below %g, found %g for individual %lld",
                           LARGEST, returns[s], (long long)s);
    return HB_OK;
}

hb_status hb_evolution_tell(hb_evolution *evolution, const double *returns, int64_t n, hb_progress *progress,
                            hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_trainer *trainer = evolution->trainer;
    hb_status status = check_tell(evolution, returns, n, error);
    if (status == HB_OK && returns) status = take_returns(evolution, returns, error);
    hb_generation report = {
        .generation = trainer->search.generation + 1, .lr = trainer->search.lr, .sigma = trainer->search.sigma};
    if (status == HB_OK) status = hb_trainer_gather(trainer, &report, error);
    if (status == HB_OK) status = hb_session_generation(evolution->session, &report, error);
    if (status != HB_OK) return status;
    evolution->asked = evolution->lived = false;
    evolution->prepared = HB_PREPARED_NONE;
    for (int64_t s = 0; s < trainer->settings->search.population; s++) evolution->squares[s] = NAN;
    if (progress) hb_session_describe(evolution->session, &report, progress);
    return HB_OK;
}

hb_status hb_evolution_save(hb_evolution *evolution, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    return evolution->session ? hb_session_save(evolution->session, error) : HB_OK;
}

hb_status hb_evolution_digest(const hb_evolution *evolution, char digest[33], hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    return hb_checkpoint_digest(evolution->trainer, digest, error);
}
