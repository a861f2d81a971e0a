#include "host/analysis/life.h"
#include "host/policy/policy.h"
#include "host/run/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static hb_status choose(hb_one_life *life, const hb_life_def *def, hb_error *error) {
    hb_trainer *trainer = &life->trainer;
    const hb_env_table *env = life->config->env;
    const char *name = def->variation ? def->variation : trainer->settings->variations.item[0];
    life->variation = hb_variation_index(env, name);
    if (life->variation < 0)
        return hb_fail(error, HB_BAD_INPUT, "--variation: environment '%s' has no '%s'", env->name, name);
    if (def->individual >= trainer->settings->population)
        return hb_fail(error, HB_BAD_INPUT, "--individual: expected mean or 0 to %lld, found %lld",
                       (long long)trainer->settings->population - 1, (long long)def->individual);
    life->individual = def->individual;
    const hb_status status = hb_search_prepare(&trainer->search, def->individual < 0 ? 1 : def->individual + 1,
                                               def->individual < 0 ? HB_EPISODE_EVAL : 0, error);
    if (status != HB_OK) return status;
    if (def->individual < 0)
        hb_search_mean_genome(&trainer->search, &life->lane.genome);
    else
        trainer->search.method->genome(&trainer->search, def->individual, &life->lane.genome);
    return HB_OK;
}

// Birth 0 of an individual is the one that it will have in training.
static void draw(hb_one_life *life, int64_t birth) {
    const bool training = life->individual >= 0 && birth == 0;
    const hb_search *search = &life->trainer.search;
    const int64_t k = training ? life->individual : birth;
    const uint32_t episode = (training ? 0 : HB_EPISODE_EVAL) + (uint32_t)life->variation;
    life->lane.weights = hb_search_noise(search, HB_STREAM_WEIGHTS, k, episode);
    life->reset = hb_search_noise(search, HB_STREAM_RESET, k, episode);
}

static hb_status make_room(hb_one_life *life, hb_error *error) {
    const hb_env_table *env = life->config->env;
    const hb_machine *machine = &life->trainer.machine;
    char message[512];
    if (env->body_create(life->trainer.world, &life->body, message, sizeof message) != 0)
        return hb_fail(error, HB_FAILED, "environment '%s': %s", env->name, message);
    life->observation = calloc(hb_net_observation_words(&life->trainer.net), sizeof(float));
    life->output = calloc((size_t)env->action_size, sizeof(float));
    life->action = calloc((size_t)env->action_size, sizeof(float));
    if (!life->observation || !life->output || !life->action)
        return hb_fail(error, HB_FAILED, "out of memory opening a life");
    return machine->table->group_create(machine->device, &life->trainer.net, 1, &life->group, error);
}

hb_status hb_life_open(const char *source, const char *const *sets, int n_sets, const hb_life_def *def,
                       hb_one_life *life, hb_error *error) {
    *life = (hb_one_life){.config = NULL};
    struct stat about;
    const bool is_run = stat(source, &about) == 0 && S_ISDIR(about.st_mode);
    hb_config *config = NULL;
    hb_status status = is_run ? hb_run_config(source, sets, n_sets, &config, error)
                              : hb_config_open(source, sets, n_sets, &config, error);
    if (status != HB_OK) return status;
    status = hb_trainer_open(config, &life->trainer, error);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    life->config = config;
    if (is_run)
        status = hb_run_load(&life->trainer, source, life->trainer.settings->eval_checkpoint, NULL, NULL, error);
    if (status == HB_OK) status = hb_trainer_use_eval_init(&life->trainer, error);
    if (status == HB_OK) status = choose(life, def, error);
    return status == HB_OK ? make_room(life, error) : status;
}

void hb_life_close(hb_one_life *life) {
    if (!life->config) return;
    life->trainer.machine.table->group_destroy(life->group);
    if (life->body) life->config->env->body_destroy(life->body);
    free(life->observation);
    free(life->output);
    free(life->action);
    hb_trainer_close(&life->trainer);
    hb_config_close(life->config);
}

static bool is_finite(const hb_one_life *life) {
    const hb_env_table *env = life->config->env;
    for (int32_t i = 0; env->picture_shape[0] == 0 && i < env->observation_size; i++)
        if (!isfinite(life->observation[i])) return false;
    return true;
}

hb_status hb_life_begin(hb_one_life *life, int64_t birth, hb_error *error) {
    const int32_t lane = 0;
    draw(life, birth);
    hb_status status =
        life->trainer.machine.table->group_expand(life->group, 1, &lane, &life->lane, &life->sum_of_squares, error);
    hb_random random;
    hb_random_start(&random, life->reset);
    life->outcome =
        life->config->env->reset(life->body, life->variation, &random.base, life->observation, &life->step);
    if (!is_finite(life)) life->outcome = HB_ENV_DIVERGED;
    if (status != HB_OK || life->outcome == HB_ENV_RUNNING) return status;
    status = life->trainer.machine.table->group_wait(life->group, error);
    life->sum_of_squares = 0; // it ends before it begins, and pays no penalty
    return status;
}

hb_status hb_life_think(hb_one_life *life, hb_error *error) {
    const hb_device_table *table = life->trainer.machine.table;
    const int32_t lane = 0;
    const hb_status status = table->group_step(life->group, 1, &lane, life->observation, life->output, error);
    return status == HB_OK ? table->group_wait(life->group, error) : status;
}

void hb_life_act(hb_one_life *life) {
    const hb_env_table *env = life->config->env;
    memcpy(life->action, life->output, (size_t)env->action_size * sizeof *life->action);
    hb_policy_bound(env, life->action);
    life->outcome = env->step(life->body, life->action, life->observation, &life->step);
    if (isfinite(life->step.fitness) && (life->outcome == HB_ENV_DONE || is_finite(life))) return;
    life->outcome = HB_ENV_DIVERGED;
    life->step.fitness = life->step.reward = 0;
}

hb_status hb_life_step(hb_one_life *life, hb_error *error) {
    const hb_status status = hb_life_think(life, error);
    if (status == HB_OK) hb_life_act(life);
    return status;
}

hb_status hb_life_weights(const hb_one_life *life, float *w, hb_error *error) {
    const hb_net *net = &life->trainer.net;
    hb_status status = HB_OK;
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++)
        status =
            life->trainer.machine.table->group_weights(life->group, 0, l, w + net->layer[l].weight_offset, error);
    return status;
}
