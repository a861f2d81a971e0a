#include "host/train/meet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// ---------------------------------------------------------------------------------------------------
// The same computation

enum { LIFE = 50, TEXT = 192 };

// A digest of a short life under random actions.
static hb_status physics_of(const hb_trainer *trainer, uint64_t *digest, hb_error *error) {
    const hb_world *world = &trainer->world;
    const size_t actions = (size_t)world->shape.action_size, bytes = hb_env_observation_bytes(&world->shape);
    void *body = NULL;
    hb_status status = hb_world_body(world, 1, &body, error);
    if (status != HB_OK) return status;
    float *action = calloc(actions, sizeof *action);
    void *observation = calloc(1, bytes + sizeof(float));
    XXH3_state_t *hash = XXH3_createState();
    if (action && observation && hash) {
        hb_random random;
        hb_env_step step;
        XXH3_64bits_reset(hash);
        hb_random_start(&random, (hb_noise){.seed = 1});
        hb_env_outcome outcome = world->env->reset(body, trainer->variation[0], &random.base, observation, &step);
        for (int t = 0; t < LIFE && outcome == HB_ENV_RUNNING; t++) {
            for (size_t k = 0; k < actions; k++)
                action[k] = 0.5f + (hb_uniform(random.base.next(&random.base)) - 0.5f) * 0.9f;
            outcome = world->env->step(body, action, observation, &step);
            XXH3_64bits_update(hash, observation, bytes);
            XXH3_64bits_update(hash, &step.fitness, sizeof step.fitness);
        }
        *digest = XXH3_64bits_digest(hash);
    } else {
        status = hb_fail(error, HB_FAILED, "out of memory for a life");
    }
    XXH3_freeState(hash);
    free(observation);
    free(action);
    world->env->body_destroy(body);
    return status;
}

// What must agree, one line: the first words say which part it is that differs.
static hb_status describe(const hb_trainer *trainer, char out[3][TEXT], hb_error *error) {
    const hb_settings *s = trainer->settings;
    uint64_t physics = 0;
    const hb_status status = physics_of(trainer, &physics, error);
    snprintf(out[0], TEXT, "version %s", HB_VERSION);
    snprintf(out[1], TEXT, "configuration %016llx to generation %lld, search.stop_mean %.17g",
             (unsigned long long)XXH3_64bits(trainer->config->identity, strlen(trainer->config->identity)),
             (long long)s->run.generations, s->search.stop_mean);
    snprintf(out[2], TEXT, "physics %016llx", (unsigned long long)physics);
    return status;
}

hb_status hb_meet(hb_trainer *trainer, hb_error *error) {
    const hb_ranks *ranks = trainer->ranks;
    if (!ranks) return HB_OK;
    char own[3][TEXT];
    hb_status status = describe(trainer, own, error);
    for (int k = 0; k < 3 && status == HB_OK; k++) {
        char *all = hb_ranks_gather(ranks, own[k], TEXT);
        if (!all) return hb_fail(error, HB_FAILED, "out of memory for %d ranks", ranks->seat.size);
        for (int32_t r = 1; r < ranks->seat.size && status == HB_OK; r++)
            if (strcmp(all, all + (size_t)r * TEXT) != 0)
                status = hb_fail(error, HB_BAD_INPUT, "rank 0 on %s has %s, rank %d on %s has %s; %s", ranks->host[0],
                                 all, r, ranks->host[r], all + (size_t)r * TEXT,
                                 k < 2 ? "start all with one command"
                                       : "constrain the job to one kind of processor, or use env.engine=lanes");
        free(all);
    }
    return status;
}

// ---------------------------------------------------------------------------------------------------
// The same state

enum { PART = 1 << 20 }; // numbers

static hb_status share_array(const hb_trainer *trainer, const hb_search_array *array, float *part, hb_error *error) {
    hb_device *device = trainer->machine.device;
    hb_status status = HB_OK;
    for (size_t at = 0; at < array->n && status == HB_OK; at += PART) {
        const size_t n = array->n - at < PART ? array->n - at : PART;
        const hb_memory there = hb_memory_at(array->data, at);
        status = hb_device_download(device, part, there, n, error);
        trainer->ranks->link->share(part, n * sizeof *part);
        if (status == HB_OK) status = hb_device_upload(device, there, part, n, error);
    }
    return status;
}

hb_status hb_meet_share(hb_trainer *trainer, hb_error *error) {
    if (!trainer->ranks) return HB_OK;
    hb_search *search = &trainer->search;
    struct {
        int64_t generation;
        double lr, sigma, best_mean;
    } state = {search->generation, search->lr, search->sigma, trainer->best_mean};
    float *part = malloc(PART * sizeof *part);
    if (!part) return hb_fail(error, HB_FAILED, "out of memory sharing the search");
    trainer->ranks->link->share(&state, sizeof state);
    hb_status status = HB_OK;
    for (int32_t k = 0; k < search->n_arrays && status == HB_OK; k++)
        if (!search->array[k].is_spread) status = share_array(trainer, &search->array[k], part, error);
    free(part);
    search->generation = state.generation;
    search->lr = state.lr;
    search->sigma = state.sigma;
    trainer->best_mean = state.best_mean;
    return status;
}
