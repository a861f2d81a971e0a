// Lives whose environments another program steps: a group of lanes, and every call one step of those that are alive.
#include "host/door/evolution.h"
#include "host/policy/policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct hb_lives {
    hb_evolution *evolution;
    hb_group *group;
    int32_t lanes;
    size_t words;                // of an observation
    float *observation, *action; // (lanes, words), (lanes, A): the device's host memory
    float *reward;               // (lanes): the same; NULL where the network takes none
    int32_t *lane;               // (lanes): those of a call
    bool *named;                 // (lanes): in a call under way
    bool *counted;               // (lanes): an individual's life, whose observations are part of the search's state
    bool *born;                  // (lanes): since the evolution was told last
    bool *newborn;               // (lanes): and it has not made a step yet
    int64_t generation;          // of these births
    hb_birth *birth;             // (lanes)
    double *squares;             // (lanes)
};

// ---------------------------------------------------------------------------------------------------
// Open, close

void hb_lives_close(hb_lives *lives) {
    if (!lives) return;
    hb_device *device = lives->evolution->trainer->machine.device;
    if (lives->group) hb_group_destroy(lives->group);
    if (lives->observation) hb_device_host_free(device, lives->observation);
    if (lives->action) hb_device_host_free(device, lives->action);
    if (lives->reward) hb_device_host_free(device, lives->reward);
    free(lives->lane);
    free(lives->born);
    free(lives->newborn);
    free(lives->counted);
    free(lives->named);
    free(lives->birth);
    free(lives->squares);
    free(lives);
}

static hb_status make_room(hb_lives *lives, hb_error *error) {
    const hb_trainer *trainer = lives->evolution->trainer;
    hb_device *device = trainer->machine.device;
    const size_t n = (size_t)lives->lanes;
    lives->lane = calloc(n, sizeof *lives->lane);
    lives->born = calloc(n, sizeof *lives->born);
    lives->newborn = calloc(n, sizeof *lives->newborn);
    lives->counted = calloc(n, sizeof *lives->counted);
    lives->named = calloc(n, sizeof *lives->named);
    lives->birth = calloc(n, sizeof *lives->birth);
    lives->squares = calloc(n, sizeof *lives->squares);
    if (!lives->lane || !lives->born || !lives->newborn || !lives->counted || !lives->named || !lives->birth ||
        !lives->squares)
        return hb_fail(error, HB_FAILED, "out of memory for %zu lives", n);
    hb_status status = hb_device_host_alloc(device, n * lives->words, &lives->observation, error);
    if (status == HB_OK)
        status = hb_device_host_alloc(device, n * (size_t)trainer->world.shape.action_size, &lives->action, error);
    if (status == HB_OK && hb_net_takes_reward(&trainer->net))
        status = hb_device_host_alloc(device, n, &lives->reward, error);
    return status == HB_OK ? hb_group_create(device, &trainer->net, lives->lanes, &lives->group, error) : status;
}

hb_status hb_lives_open(hb_evolution *evolution, int64_t lanes, hb_lives **out, hb_error *error) {
    enum { MOST = 1 << 20 };
    if (lanes < 1 || lanes > MOST)
        return hb_fail(error, HB_BAD_INPUT, "lives: expected 1 to %d of them, found %lld", MOST, (long long)lanes);
    hb_lives *lives = calloc(1, sizeof *lives);
    if (!lives) return hb_fail(error, HB_FAILED, "out of memory for lives");
    lives->evolution = evolution;
    lives->lanes = (int32_t)lanes;
    lives->words = hb_net_observation_words(&evolution->trainer->net);
    const hb_status status = make_room(lives, error);
    if (status != HB_OK) {
        hb_lives_close(lives);
        return status;
    }
    *out = lives;
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Begin

static hb_status check_birth(const hb_lives *lives, int64_t lane, int64_t individual, int64_t number,
                             hb_error *error) {
    const int64_t population = lives->evolution->trainer->settings->search.population;
    if (lane < 0 || lane >= lives->lanes)
        return hb_fail(error, HB_BAD_INPUT, "begin: expected a lane in [0, %d), found %lld", lives->lanes,
                       (long long)lane);
    if (lives->named[lane])
        return hb_fail(error, HB_BAD_INPUT, "begin: expected each lane once, found %lld twice", (long long)lane);
    if (individual < -1 || individual >= population)
        return hb_fail(error, HB_BAD_INPUT,
                       "begin: expected an individual in [0, %lld), or -1 for the mean, found %lld",
                       (long long)population, (long long)individual);
    if (number < 0 || number >= HB_EPISODE_EVAL)
        return hb_fail(error, HB_BAD_INPUT, "begin: expected the number of a birth in [0, %u), found %lld",
                       HB_EPISODE_EVAL, (long long)number);
    return HB_OK;
}

// Lists the lanes of a call, and says whose lives they are.
static hb_status list_births(hb_lives *lives, int64_t n, const int64_t *lane, const int64_t *individual,
                             const int64_t *number, bool *mean, hb_error *error) {
    hb_status status = HB_OK;
    if (n < 0 || n > lives->lanes)
        return hb_fail(error, HB_BAD_INPUT, "begin: expected at most %d lives, found %lld", lives->lanes,
                       (long long)n);
    *mean = n > 0 && individual[0] < 0;
    memset(lives->named, 0, (size_t)lives->lanes * sizeof *lives->named);
    for (int64_t k = 0; k < n && status == HB_OK; k++) {
        status = check_birth(lives, lane[k], individual[k], number ? number[k] : 0, error);
        if (status == HB_OK && *mean != (individual[k] < 0))
            status = hb_fail(error, HB_BAD_INPUT, "begin: expected individuals or the mean, found both in one call");
        if (status != HB_OK) break;
        lives->named[lane[k]] = true;
        lives->lane[k] = (int32_t)lane[k];
    }
    return status;
}

static hb_birth birth_of(const hb_trainer *trainer, int64_t individual, int64_t number) {
    const hb_search *search = &trainer->search;
    hb_birth birth;
    if (individual < 0) {
        hb_search_mean_genome(search, &birth.genome);
        birth.weights = hb_trainer_eval_noise(trainer, HB_STREAM_WEIGHTS, number, trainer->variation[0]);
    } else {
        const uint32_t episode = (uint32_t)(trainer->variation[0] + number);
        search->method->genome(search, individual, &birth.genome);
        birth.weights = hb_search_life_noise(search, HB_STREAM_WEIGHTS, individual, episode);
    }
    return birth;
}

static hb_status expand_part(const void *context, size_t begin, size_t end, hb_error *error) {
    const hb_lives *lives = context;
    const hb_status status = hb_group_expand(lives->group, (int32_t)(end - begin), lives->lane + begin,
                                             lives->birth + begin, lives->squares + begin, error);
    return status == HB_OK ? hb_group_wait(lives->group, error) : status;
}

static hb_status expand(hb_lives *lives, int64_t n, const int64_t *individual, hb_error *error) {
    hb_evolution *evolution = lives->evolution;
    const hb_status status = hb_machine_split(&evolution->trainer->machine, (size_t)n, 1, expand_part, lives, error);
    for (int64_t k = 0; k < n && status == HB_OK; k++) {
        if (individual[k] >= 0) evolution->squares[individual[k]] = lives->squares[k];
        evolution->asked = evolution->asked || individual[k] >= 0;
        lives->born[lives->lane[k]] = lives->newborn[lives->lane[k]] = true;
        lives->counted[lives->lane[k]] = individual[k] >= 0;
    }
    return status;
}

// Births of an earlier generation are of other genomes.
static void forget_old(hb_lives *lives) {
    const int64_t generation = lives->evolution->trainer->search.generation;
    if (lives->generation == generation) return;
    memset(lives->born, 0, (size_t)lives->lanes * sizeof *lives->born);
    lives->generation = generation;
}

hb_status hb_lives_begin(hb_lives *lives, int64_t n, const int64_t *lane, const int64_t *individual,
                         const int64_t *number, hb_error *error) {
    bool mean = false;
    hb_status status = list_births(lives, n, lane, individual, number, &mean, error);
    if (status != HB_OK || n == 0) return status;
    status = hb_evolution_prepare(lives->evolution, mean ? HB_PREPARED_MEAN : HB_PREPARED_POPULATION, error);
    if (status != HB_OK) return status;
    forget_old(lives);
    for (int64_t k = 0; k < n; k++)
        lives->birth[k] = birth_of(lives->evolution->trainer, individual[k], number ? number[k] : 0);
    return expand(lives, n, individual, error);
}

// ---------------------------------------------------------------------------------------------------
// Step

typedef struct {
    hb_lives *lives;
    const char *observation;
    size_t bytes; // of one
} stepping;

// Before any life has moved.
static hb_status check_finite(const stepping *s, int32_t n, hb_error *error) {
    const hb_env_shape *shape = &s->lives->evolution->trainer->world.shape;
    for (int32_t row = 0; row < n && shape->picture[0] == 0; row++) {
        const float *seen = (const float *)(const void *)(s->observation + (size_t)s->lives->lane[row] * s->bytes);
        for (int32_t k = 0; k < shape->observation_size; k++)
            if (!isfinite(seen[k]))
                return hb_fail(error, HB_BAD_INPUT, "step: expected finite observations, found %g at (%d, %d)",
                               (double)seen[k], s->lives->lane[row], k);
    }
    return HB_OK;
}

// On one thread: whose lives they are decides what is counted.
static void look(const stepping *s, int32_t n) {
    hb_lives *lives = s->lives;
    const hb_standard *standard = lives->evolution->trainer->search.standard;
    for (int32_t row = 0; row < n; row++) {
        float *seen = lives->observation + (size_t)row * lives->words;
        memcpy(seen, s->observation + (size_t)lives->lane[row] * s->bytes, s->bytes);
        if (standard) hb_standardise(standard, lives->counted[lives->lane[row]] ? standard->seen : NULL, seen);
    }
}

// Rows [begin, end) of the call's lanes: steps and bounds them.
static hb_status step_part(const void *context, size_t begin, size_t end, hb_error *error) {
    const stepping *s = context;
    hb_lives *lives = s->lives;
    const hb_env_shape *shape = &lives->evolution->trainer->world.shape;
    const size_t actions = (size_t)shape->action_size;
    if (begin == end) return HB_OK;
    hb_status status = hb_group_step(
        lives->group, (int32_t)(end - begin), lives->lane + begin, lives->observation + begin * lives->words,
        lives->reward ? lives->reward + begin : NULL, lives->action + begin * actions, error);
    if (status == HB_OK) status = hb_group_wait(lives->group, error);
    for (size_t row = begin; row < end; row++) hb_policy_bound(shape, lives->action + row * actions);
    return status;
}

// Rewards of the call's lanes, by row; 0 of those that make their first step.
static hb_status take_rewards(hb_lives *lives, const float *reward, int32_t n, hb_error *error) {
    if (!lives->reward) return HB_OK;
    for (int32_t row = 0; row < n; row++) {
        const int32_t lane = lives->lane[row];
        lives->reward[row] = 0;
        if (lives->newborn[lane]) continue;
        if (!reward)
            return hb_fail(error, HB_BAD_INPUT,
                           "step: the network takes rewards; give that of each life's last step");
        lives->reward[row] = reward[lane];
        if (!isfinite(reward[lane]))
            return hb_fail(error, HB_BAD_INPUT, "step: expected finite rewards, found %g at %d", (double)reward[lane],
                           lane);
    }
    return HB_OK;
}

hb_status hb_lives_step(hb_lives *lives, const void *observation, const float *reward, const uint8_t *alive,
                        float *action, hb_error *error) {
    const hb_trainer *trainer = lives->evolution->trainer;
    const size_t actions = (size_t)trainer->world.shape.action_size;
    const stepping s = {lives, observation, hb_env_observation_bytes(&trainer->world.shape)};
    int32_t n = 0;
    forget_old(lives);
    for (int32_t lane = 0; lane < lives->lanes; lane++) {
        if (alive && !alive[lane]) continue;
        if (!lives->born[lane])
            return hb_fail(error, HB_BAD_INPUT, "step: lane %d has no life of this generation; begin it first", lane);
        lives->lane[n++] = lane;
    }
    hb_status status = check_finite(&s, n, error);
    if (status == HB_OK) status = take_rewards(lives, reward, n, error);
    if (status == HB_OK) look(&s, n);
    if (status == HB_OK) status = hb_machine_split(&trainer->machine, (size_t)n, 1, step_part, &s, error);
    if (status != HB_OK) return status;
    for (int32_t row = 0; row < n; row++) lives->newborn[lives->lane[row]] = false;
    if (n < lives->lanes) memset(action, 0, (size_t)lives->lanes * actions * sizeof *action);
    for (int32_t row = 0; row < n; row++)
        memcpy(action + (size_t)lives->lane[row] * actions, lives->action + (size_t)row * actions,
               actions * sizeof *action);
    return HB_OK;
}

// A lane that is there and has a life of this generation.
static hb_status check_lane(hb_lives *lives, int64_t lane, hb_error *error) {
    forget_old(lives);
    if (lane < 0 || lane >= lives->lanes)
        return hb_fail(error, HB_BAD_INPUT, "weights: expected a lane in [0, %d), found %lld", lives->lanes,
                       (long long)lane);
    if (lives->born[lane]) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "weights: lane %lld has no life of this generation; begin it first",
                   (long long)lane);
}

hb_status hb_lives_weights(hb_lives *lives, int64_t lane, int64_t layer, float *w, hb_error *error) {
    const int32_t layers = lives->evolution->trainer->net.n_layers;
    const hb_status status = check_lane(lives, lane, error);
    if (status != HB_OK) return status;
    if (layer < 0 || layer >= layers)
        return hb_fail(error, HB_BAD_INPUT, "weights: expected a layer in [0, %d), found %lld", layers,
                       (long long)layer);
    return hb_group_weights(lives->group, (int32_t)lane, (int32_t)layer, w, error);
}

hb_status hb_lives_put_weights(hb_lives *lives, int64_t lane, const float *w, hb_error *error) {
    const hb_net *net = &lives->evolution->trainer->net;
    const hb_status status = check_lane(lives, lane, error);
    if (status != HB_OK) return status;
    if (!net->planes) return hb_fail(error, HB_BAD_INPUT, "weights: expected a network that learns");
    for (size_t k = 0; k < (size_t)net->n_weights; k++)
        if (!isfinite(w[k]))
            return hb_fail(error, HB_BAD_INPUT, "weights: expected finite ones, found %g at %zu", (double)w[k], k);
    return hb_group_put_weights(lives->group, (int32_t)lane, w, error);
}
