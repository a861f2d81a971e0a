#include "host/train/trainer.h"
#include "host/policy/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int32_t hb_variation_index(const hb_env_table *env, const char *name) {
    for (int32_t k = 0; env->variations[k]; k++)
        if (strcmp(env->variations[k], name) == 0) return k;
    return -1;
}

// ---------------------------------------------------------------------------------------------------
// Open, close

static bool wants_batches(const hb_trainer *trainer) {
    const char *rollout = trainer->settings->rollout;
    if (strcmp(rollout, "auto") != 0) return strcmp(rollout, "batched") == 0;
    return trainer->machine.table->group_size(trainer->machine.device, &trainer->net) > 1;
}

static hb_status open_world(hb_trainer *trainer, hb_error *error) {
    const hb_env_table *env = trainer->config->env;
    const hb_env_settings settings = hb_config_env_settings(trainer->config);
    char message[512];
    message[0] = '\0';
    if (env->world_create(&settings, &trainer->world, message, sizeof message) != 0)
        return hb_fail(error, HB_BAD_INPUT, "environment '%s': %s", env->name, message);
    trainer->n_variations = trainer->settings->variations.n;
    for (int32_t v = 0; v < trainer->n_variations; v++)
        trainer->variation[v] = hb_variation_index(env, trainer->settings->variations.item[v]);
    return HB_OK;
}

// Lanes of a group: what the settings say, else what the device likes; never more than there are lives.
static int32_t group_lanes(const hb_trainer *trainer) {
    const int32_t liked = trainer->machine.table->group_size(trainer->machine.device, &trainer->net);
    const int64_t lanes = trainer->settings->group > 0 ? trainer->settings->group : liked > 1 ? liked : 64;
    const int64_t lives = trainer->settings->population * trainer->n_variations;
    return (int32_t)(lanes < lives ? lanes : lives);
}

static hb_status open_rollout(hb_trainer *trainer, hb_error *error) {
    if (!trainer->machine.table->host_parallel && !wants_batches(trainer))
        return hb_config_complain(trainer->config, "run.rollout", error,
                                  "device '%s' serves batches only, found '%s'", trainer->machine.table->name,
                                  trainer->settings->rollout);
    const hb_rollout_def def = {.machine = &trainer->machine,
                                .net = &trainer->net,
                                .env = trainer->config->env,
                                .world = trainer->world,
                                .batched = wants_batches(trainer),
                                .group = group_lanes(trainer)};
    return hb_rollout_open(&def, &trainer->rollout, error);
}

static hb_status open_lives(hb_trainer *trainer, hb_error *error) {
    const size_t population = (size_t)trainer->settings->population;
    trainer->results = calloc(population * (size_t)trainer->n_variations, sizeof *trainer->results);
    trainer->fitness = calloc(population, sizeof *trainer->fitness);
    if (!trainer->results || !trainer->fitness)
        return hb_fail(error, HB_FAILED, "out of memory for %zu individuals", population);
    return open_rollout(trainer, error);
}

hb_status hb_trainer_open(const hb_config *config, hb_trainer *trainer, hb_error *error) {
    *trainer = (hb_trainer){.config = config, .settings = &config->settings, .best_mean = -HUGE_VAL};
    hb_status status = hb_machine_open(&trainer->machine, trainer->settings, error);
    if (status == HB_OK) status = open_world(trainer, error);
    if (status == HB_OK) status = hb_policy_build(trainer->settings, config->env, &trainer->net, error);
    if (status == HB_OK)
        status = hb_search_create(&trainer->search, &trainer->machine, trainer->settings, &trainer->net, error);
    if (status == HB_OK) status = open_lives(trainer, error);
    if (status != HB_OK) hb_trainer_close(trainer);
    return status;
}

void hb_trainer_close(hb_trainer *trainer) {
    hb_rollout_close(trainer->rollout);
    if (trainer->search.machine) hb_search_destroy(&trainer->search);
    if (trainer->world) trainer->config->env->world_destroy(trainer->world);
    hb_machine_close(&trainer->machine);
    free(trainer->results);
    free(trainer->fitness);
    *trainer = (hb_trainer){.config = NULL};
}

hb_status hb_trainer_use_eval_init(hb_trainer *trainer, hb_error *error) {
    const char *name = trainer->settings->eval_init;
    if (strcmp(name, "same") == 0 || !trainer->net.rule) return HB_OK;
    const hb_initialiser *init = hb_initialiser_find(name);
    if ((init->draw == HB_DRAW_GENOME) != (trainer->net.init->draw == HB_DRAW_GENOME))
        return hb_config_complain(trainer->config, "eval.init", error, "'%s' does not fit a run trained with '%s'",
                                  name, trainer->net.init->name);
    trainer->net.init = init;
    hb_rollout_close(trainer->rollout); // its groups hold the network as it was
    trainer->rollout = NULL;
    return open_rollout(trainer, error);
}

// ---------------------------------------------------------------------------------------------------
// A generation

double hb_trainer_fitness(const hb_trainer *trainer, const hb_life_result *result) {
    const bool clipped = trainer->settings->clip_negative && result->fitness < 0;
    const double penalty = trainer->settings->l2 * result->sum_of_squares / (double)trainer->net.n_penalised;
    return (clipped ? 0 : result->fitness) - penalty;
}

void hb_trainer_life(const hb_trainer *trainer, int64_t k, hb_life *life) {
    const int64_t individual = k / trainer->n_variations;
    const int32_t v = trainer->variation[k % trainer->n_variations];
    const hb_search *search = &trainer->search;
    search->method->genome(search, individual, &life->lane.genome);
    life->lane.weights = hb_search_noise(search, HB_STREAM_WEIGHTS, individual, (uint32_t)v);
    life->reset = hb_search_noise(search, HB_STREAM_RESET, individual, (uint32_t)v);
    life->variation = v;
}

static void training_life(const void *context, int64_t k, hb_life *life) {
    hb_trainer_life(context, k, life);
}

// Fitness of every individual, the mean over its variations; and what the report says of them.
static hb_status gather(hb_trainer *trainer, hb_generation *report, hb_error *error) {
    const int64_t population = trainer->settings->population;
    const int32_t n_variations = trainer->n_variations;
    for (int32_t v = 0; v < n_variations; v++) report->variation_max[v] = -HUGE_VAL;
    double sum = 0, squares = 0;
    report->max = -HUGE_VAL;
    for (int64_t s = 0; s < population; s++) {
        const hb_life_result *results = trainer->results + s * n_variations;
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
            return hb_fail(
                error, HB_FAILED,
                "generation %lld: the fitness of individual %lld is not finite: its numbers overflow; lower "
                "search.lr or search.sigma",
                (long long)report->generation, (long long)s);
        sum += trainer->fitness[s];
        report->max = fmax(report->max, trainer->fitness[s]);
    }
    report->mean = sum / (double)population;
    for (int64_t s = 0; s < population; s++)
        squares += (trainer->fitness[s] - report->mean) * (trainer->fitness[s] - report->mean);
    report->sd = sqrt(squares / (double)(population - 1));
    return HB_OK;
}

hb_status hb_trainer_live(hb_trainer *trainer, hb_generation *report, const atomic_bool *stop, hb_error *error) {
    const double begun = hb_now();
    *report = (hb_generation){
        .generation = trainer->search.generation + 1, .lr = trainer->search.lr, .sigma = trainer->search.sigma};
    hb_rollout_times times = {.physics = 0};
    const int64_t lives = trainer->settings->population * trainer->n_variations;
    hb_status status = hb_search_prepare(&trainer->search, trainer->settings->population, 0, error);
    if (status != HB_OK) return status;
    report->ask = hb_now() - begun;
    status = hb_rollout_run(trainer->rollout, lives, training_life, trainer, trainer->results, &times, stop, error);
    if (status == HB_OK) status = gather(trainer, report, error);
    if (status != HB_OK) return status;
    const double threads = hb_pool_threads(trainer->machine.pool);
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
