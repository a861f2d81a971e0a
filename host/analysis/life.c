#include "host/analysis/life.h"
#include "host/policy/policy.h"
#include "host/run/run.h"
#include "host/train/outcome.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static hb_status choose(hb_life *life, const hb_life_def *def, hb_error *error) {
    hb_trainer *trainer = &life->trainer;
    const hb_env_table *env = life->config->env;
    const char *name = def->variation ? def->variation : trainer->settings->env.variations.item[0];
    life->variation = hb_world_variation(&trainer->world, name);
    if (life->variation < 0)
        return hb_fail(error, HB_BAD_INPUT, "--variation: environment '%s' has no '%s'", env->name, name);
    if (def->individual >= trainer->settings->search.population)
        return hb_fail(error, HB_BAD_INPUT, "--individual: expected mean or 0 to %lld, found %lld",
                       (long long)trainer->settings->search.population - 1, (long long)def->individual);
    life->individual = def->individual;
    const hb_status status = hb_search_prepare(&trainer->search, def->individual < 0 ? 1 : def->individual + 1,
                                               def->individual < 0 ? HB_EPISODE_EVAL : 0, error);
    if (status != HB_OK) return status;
    if (def->individual < 0)
        hb_search_mean_genome(&trainer->search, &life->birth.genome);
    else
        trainer->search.method->genome(&trainer->search, def->individual, &life->birth.genome);
    return HB_OK;
}

// Birth 0 of an individual is its birth in training.
static void draw(hb_life *life, int64_t number) {
    const bool training = life->individual >= 0 && number == 0;
    const hb_search *search = &life->trainer.search;
    const int32_t v = life->variation;
    if (training) {
        life->birth.weights = hb_search_life_noise(search, HB_STREAM_WEIGHTS, life->individual, (uint32_t)v);
        life->reset = hb_search_life_noise(search, HB_STREAM_RESET, life->individual, (uint32_t)v);
    } else {
        life->birth.weights = hb_trainer_eval_noise(&life->trainer, HB_STREAM_WEIGHTS, number, v);
        life->reset = hb_trainer_eval_noise(&life->trainer, HB_STREAM_RESET, number, v);
    }
}

static hb_status make_room(hb_life *life, hb_error *error) {
    const hb_machine *machine = &life->trainer.machine;
    const size_t actions = (size_t)life->trainer.world.shape.action_size;
    const hb_status status = hb_world_body(&life->trainer.world, 1, &life->body, error);
    if (status != HB_OK) return status;
    life->observation = calloc(hb_net_observation_words(&life->trainer.net), sizeof(float));
    life->seen = calloc(hb_net_observation_words(&life->trainer.net), sizeof(float));
    life->output = calloc(actions, sizeof(float));
    life->action = calloc(actions, sizeof(float));
    if (!life->observation || !life->seen || !life->output || !life->action)
        return hb_fail(error, HB_FAILED, "out of memory opening a life");
    return hb_group_create(machine->device, &life->trainer.net, 1, &life->group, error);
}

hb_status hb_life_open(const char *source, const char *const *sets, int n_sets, const hb_life_def *def, hb_life *life,
                       hb_error *error) {
    *life = (hb_life){.config = NULL};
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
    if (is_run) status = hb_run_load_chosen(&life->trainer, source, error);
    if (status == HB_OK) status = hb_trainer_use_eval_init(&life->trainer, error);
    if (status == HB_OK) status = choose(life, def, error);
    return status == HB_OK ? make_room(life, error) : status;
}

void hb_life_close(hb_life *life) {
    if (!life->config) return;
    hb_group_destroy(life->group);
    if (life->body) life->config->env->body_destroy(life->body);
    free(life->observation);
    free(life->seen);
    free(life->output);
    free(life->action);
    hb_trainer_close(&life->trainer);
    hb_config_close(life->config);
}

hb_status hb_life_begin(hb_life *life, int64_t number, hb_error *error) {
    const int32_t lane = 0;
    draw(life, number);
    hb_status status = hb_group_expand(life->group, 1, &lane, &life->birth, &life->sum_of_squares, error);
    hb_random random;
    hb_random_start(&random, life->reset);
    const hb_env_table *env = life->config->env;
    life->outcome = env->reset(life->body, life->variation, &random.base, life->observation, &life->step);
    life->steps = 0;
    life->outcome = hb_reset_outcome(&life->trainer.world.shape, life->outcome, life->observation);
    if (status != HB_OK || life->outcome == HB_ENV_RUNNING) return status;
    status = hb_group_wait(life->group, error);
    life->sum_of_squares = 0; // the reset failed: no step, no penalty
    return status;
}

hb_status hb_life_think(hb_life *life, hb_error *error) {
    const int32_t lane = 0;
    const hb_standard *standard = life->trainer.search.standard;
    if (life->stop && hb_stop_requested(life->stop))
        return hb_fail(error, HB_INTERRUPTED, "stopped on request; nothing was written");
    memcpy(life->seen, life->observation, hb_net_observation_words(&life->trainer.net) * sizeof *life->seen);
    if (standard) hb_standardise(standard, NULL, life->seen);
    const float *reward = hb_net_takes_reward(&life->trainer.net) ? &life->earned : NULL;
    life->earned = life->steps > 0 ? (float)life->step.fitness : 0.0f;
    const hb_status status = hb_group_step(life->group, 1, &lane, life->seen, reward, life->output, error);
    return status == HB_OK ? hb_group_wait(life->group, error) : status;
}

void hb_life_act(hb_life *life) {
    const hb_env_shape *shape = &life->trainer.world.shape;
    memcpy(life->action, life->output, (size_t)shape->action_size * sizeof *life->action);
    hb_policy_bound(shape, life->action);
    life->outcome = life->config->env->step(life->body, life->action, life->observation, &life->step);
    life->outcome = hb_step_outcome(shape, life->outcome, life->observation, ++life->steps, &life->step);
}

hb_status hb_life_step(hb_life *life, hb_error *error) {
    const hb_status status = hb_life_think(life, error);
    if (status == HB_OK) hb_life_act(life);
    return status;
}

hb_status hb_life_weights(const hb_life *life, float *w, hb_error *error) {
    const hb_net *net = &life->trainer.net;
    hb_status status = HB_OK;
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++)
        status = hb_group_weights(life->group, 0, l, w + net->layer[l].weight_offset, error);
    return status;
}

float *hb_life_convolution(const hb_life *life, const float *genome, int32_t k) {
    const hb_net *net = &life->trainer.net;
    const hb_convolution *c = &net->vision.layer[k];
    const hb_noise fixed = {.seed = (uint32_t)life->trainer.settings->run.seed, .stream = HB_STREAM_VISION};
    const int64_t n = c->maps * (int64_t)hb_vision_fan_in(*c);
    float *w = malloc((size_t)n * sizeof *w);
    for (int64_t e = 0; w && e < n; e++)
        w[e] = net->vision.evolved ? genome[hb_net_vision_offset(net) + c->offset + e]
                                   : hb_vision_draw(hb_vision_fan_in(*c), fixed, c->offset + e);
    return w;
}

const char *hb_life_activation(const hb_layer *layer) {
    return layer->activation == HB_LSTM ? "lstm" : layer->activation == HB_TANH ? "tanh" : "linear";
}

static void say(hb_life_text *text, const char *name, const char *value) {
    text->name = name;
    snprintf(text->value, sizeof text->value, "%s", value);
}

static void say_number(hb_life_text *text, const char *name, double value) {
    text->name = name;
    snprintf(text->value, sizeof text->value, "%.9g", value);
}

int hb_life_plasticity(const hb_net *net, hb_life_text text[HB_LIFE_TEXTS]) {
    static const char *const truth[] = {"false", "true"};
    const hb_plasticity *p = &net->plasticity;
    int n = 0;
    say(&text[n++], "normalise", truth[net->normalise]);
    say(&text[n++], "bias", truth[net->bias]);
    say(&text[n++], "sees_reward", truth[net->sees_reward]);
    if (!net->rule) return n;
    say(&text[n++], "squares_post", truth[net->rule->squares_post]);
    say_number(&text[n++], "average", p->average);
    say_number(&text[n++], "every", p->every);
    say_number(&text[n++], "decay", (double)p->decay);
    say_number(&text[n++], "oja", (double)p->oja);
    say_number(&text[n++], "trace", (double)p->trace);
    say(&text[n++], "modulate", hb_modulator_words[p->modulator]);
    return n;
}
