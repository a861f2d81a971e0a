// The handles for other languages: evolutions that are asked and told, lives in somebody else's environments, environments for somebody
// else's networks. Ways to call that must not matter do not: threads, lanes, widths, and where CUDA runs on the CPU, the device.
#include "tests/check.h"

#include "envs/env.h"
#include "host/hebbes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { P = 6, OBSERVED = 3, ACTIONS = 2, STEPS = 7 };

#ifdef HB_CUDA_ON_CPU
enum { WAYS = 5 };
#else
enum { WAYS = 3 };
#endif

static hb_evolution *open_outside(const char *device, const char *more) {
    const char *const sets[] = {"env.name=outside",
                                "env.observation_size=3",
                                "env.action_size=2",
                                "policy.hidden=5",
                                "search.population=6",
                                "run.generations=3",
                                device,
                                more};
    hb_evolution *evolution = NULL;
    hb_error error = {""};
    check_ok(hb_evolution_open(NULL, sets, 8, NULL, &evolution, &error), error);
    return evolution;
}

// What life `lane` sees in step t.
static void look(float *observation, int t) {
    for (int k = 0; k < P * OBSERVED; k++) observation[k] = sinf((float)(7 * k + 3 * t));
}

// A generation: returns are sums of actions. One life at a time, or all; life 2 ends early.
static void live(hb_evolution *evolution, hb_lives *lives, bool together, double *returns) {
    hb_error error = {""};
    const int64_t all[P] = {0, 1, 2, 3, 4, 5};
    float observation[P * OBSERVED], action[P * ACTIONS];
    check_ok(hb_lives_begin(lives, P, all, all, NULL, &error), error);
    memset(returns, 0, P * sizeof *returns);
    for (int t = 0; t < STEPS; t++) {
        look(observation, t);
        for (int life = 0; life < (together ? 1 : P); life++) {
            uint8_t alive[P];
            for (int k = 0; k < P; k++) alive[k] = (together || k == life) && (k != 2 || t < 4);
            check_ok(hb_lives_step(lives, observation, NULL, alive, action, &error), error);
            for (int k = 0; k < P * ACTIONS; k++) {
                if (!alive[k / ACTIONS]) assert_true(action[k] == 0.0f);
                returns[k / ACTIONS] += (double)action[k];
            }
        }
    }
    hb_progress progress;
    check_ok(hb_evolution_tell(evolution, returns, P, &progress, &error), error);
}

static void ways_to_live_agree(void **state) {
    (void)state;
    double expected[P] = {0};
    char digest[2][33];
    for (int way = 0; way < WAYS; way++) {
        hb_evolution *evolution = open_outside(way < 3 ? "run.device=cpu" : "run.device=cuda",
                                               way == 2 ? "run.threads=3" : "run.threads=1");
        hb_lives *lives = NULL;
        hb_error error = {""};
        hb_evolution_about about = {.over = false};
        check_ok(hb_lives_open(evolution, P, &lives, &error), error);
        for (int g = 0; !about.over; g++) {
            double returns[P];
            live(evolution, lives, way != 1 && way != 4, returns);
            if (way == 0 && g == 0) memcpy(expected, returns, sizeof returns);
            if (g == 0) assert_memory_equal(returns, expected, sizeof returns);
            hb_evolution_describe(evolution, &about);
            assert_int_equal(about.generation, g + 1);
        }
        assert_int_equal(about.generation, 3);
        check_ok(hb_evolution_digest(evolution, digest[way > 0], &error), error);
        if (way > 0) assert_string_equal(digest[1], digest[0]);
        hb_lives_close(lives);
        check_ok(hb_evolution_close(evolution, &error), error);
    }
}

static void refused(hb_status status, const hb_error *error, const char *says) {
    assert_int_equal(status, HB_BAD_INPUT);
    if (!strstr(error->message, says)) fail_msg("expected '%s', found '%s'", says, error->message);
}

static void calls_out_of_order(void **state) {
    (void)state;
    hb_evolution *evolution = open_outside("run.device=cpu", "run.threads=1");
    hb_lives *lives = NULL;
    hb_error error = {""};
    const double returns[P] = {0};
    const int64_t lane[2] = {0, 1}, mixed[2] = {-1, 0}, mean[2] = {-1, -1}, far[2] = {0, P};
    float observation[P * OBSERVED] = {0}, action[P * ACTIONS], w[64];
    check_ok(hb_lives_open(evolution, P, &lives, &error), error);
    refused(hb_evolution_tell(evolution, returns, P, NULL, &error), &error, "not asked for yet");
    refused(hb_lives_step(lives, observation, NULL, NULL, action, &error), &error, "lane 0 has no life");
    refused(hb_lives_begin(lives, 2, lane, mixed, NULL, &error), &error, "found both");
    refused(hb_lives_begin(lives, 2, lane, far, NULL, &error), &error, "found 6");
    refused(hb_evolution_genomes(evolution, 5, 2, w, &error), &error, "found 5 to 6");
    check_ok(hb_lives_begin(lives, 2, lane, mean, NULL, &error), error);
    refused(hb_evolution_tell(evolution, returns, P, NULL, &error), &error,
            "not asked for yet"); // the mean is nobody
    check_ok(hb_lives_weights(lives, 1, 0, w, &error), error);
    refused(hb_lives_weights(lives, 1, 2, w, &error), &error, "layer in [0, 2)");
    refused(hb_lives_weights(lives, 2, 0, w, &error), &error, "lane 2 has no life");
    observation[1] = INFINITY;
    const uint8_t alive[P] = {1, 1};
    refused(hb_lives_step(lives, observation, NULL, alive, action, &error), &error, "found inf at (0, 1)");
    refused(hb_evolution_live(evolution, NULL, &error), &error, "another program steps it");
    hb_lives_close(lives);
    check_ok(hb_evolution_close(evolution, &error), error);
    const char *const missing[] = {"env.name=outside", "env.observation_size=5000"};
    assert_int_equal(hb_evolution_open(NULL, missing, 2, NULL, &evolution, &error), HB_BAD_INPUT);
    assert_int_equal(hb_evolution_load("/nowhere", NULL, 0, &evolution, &error), HB_BAD_INPUT);
}

// ---------------------------------------------------------------------------------------------------
// Vectors of environments

enum { N = 5, SEEN = 28, COMMANDS = 8 };

typedef struct {
    float observation[N * SEEN];
    double fitness[N], reward[N];
    uint8_t terminated[N], truncated[N];
} outcome;

static void walk(const char *const *sets, int n_sets, outcome *out) {
    hb_vec *vec = NULL;
    hb_error error = {""};
    const uint64_t seeds[N] = {1, 2, 3, 4, 5}, more[N] = {9, 9, 9, 9, 9};
    const uint8_t again[N] = {0, 1, 0, 1, 0};
    float action[N * COMMANDS];
    check_ok(hb_vec_open(NULL, sets, n_sets, N, &vec, &error), error);
    check_ok(hb_vec_reset(vec, NULL, seeds, 0, out->observation, &error), error);
    for (int t = 0; t < 12; t++) {
        if (t == 5) check_ok(hb_vec_reset(vec, again, more, 0, out->observation, &error), error);
        for (int k = 0; k < N * COMMANDS; k++) action[k] = sinf((float)(5 * k + t));
        check_ok(hb_vec_step(vec, action, out->observation, out->fitness, out->reward, out->terminated,
                             out->truncated, &error),
                 error);
    }
    hb_vec_close(vec);
}

static void widths_agree(void **state) {
    (void)state;
    const char *const sets[][4] = {{"env.name=ant", "env.burn_in=3", "run.threads=1", "run.width=1"},
                                   {"env.name=ant", "env.burn_in=3", "run.threads=1", "run.width=0"},
                                   {"env.name=ant", "env.burn_in=3", "run.threads=3", "run.width=0"}};
    static outcome first, other;
    walk(sets[0], 4, &first);
    for (int k = 1; k < 3; k++) {
        walk(sets[k], 4, &other);
        assert_memory_equal(&first, &other, sizeof first);
    }
}

static void environments_are_refused(void **state) {
    (void)state;
    hb_vec *vec = NULL;
    hb_error error = {""};
    const char *const sets[] = {"env.name=ant", "run.threads=1"}, *const outside[] = {"env.name=outside"};
    static outcome out;
    float action[N * COMMANDS] = {0};
    const uint64_t seeds[N] = {0};
    assert_int_equal(hb_vec_open(NULL, sets, 2, 0, &vec, &error), HB_BAD_INPUT);
    refused(hb_vec_open(NULL, outside, 1, N, &vec, &error), &error, "another program steps it");
    check_ok(hb_vec_open(NULL, sets, 2, N, &vec, &error), error);
    refused(hb_vec_step(vec, action, out.observation, out.fitness, out.reward, out.terminated, out.truncated, &error),
            &error, "was not reset yet");
    refused(hb_vec_reset(vec, NULL, seeds, 99, out.observation, &error), &error, "no variation has the number 99");
    check_ok(hb_vec_reset(vec, NULL, seeds, 1, out.observation, &error), error);
    action[9] = NAN;
    refused(hb_vec_step(vec, action, out.observation, out.fitness, out.reward, out.terminated, out.truncated, &error),
            &error, "at (1, 1)");
    double least, most;
    assert_true(hb_vec_bounds(vec, 7, &least, &most));
    assert_false(hb_vec_bounds(vec, 8, &least, &most));
    assert_string_equal(hb_vec_variation(vec, 0), "default");
    hb_vec_close(vec);
}

// ---------------------------------------------------------------------------------------------------
// Data

static void keys_as_data(void **state) {
    (void)state;
    hb_config *config = NULL;
    hb_error error = {""};
    hb_key_about about;
    int found = 0;
    check_ok(hb_config_open(NULL, NULL, 0, &config, &error), error);
    for (int k = 0; hb_config_key(config, k, &about); k++) {
        char name[256];
        snprintf(name, sizeof name, "%s.%s", about.section, about.name);
        assert_string_equal(hb_config_value(config, name), about.value);
        if (strcmp(name, "search.optimiser") == 0) {
            assert_string_equal(about.type, "word");
            assert_string_equal(hb_config_word(config, k, 1), "adam");
            assert_null(hb_config_word(config, k, 2));
        }
        found++;
    }
    assert_true(found > 50);
    assert_false(hb_config_key(config, -1, &about));
    hb_config_close(config);
    int rows = 0;
    for (const hb_layout_row *row = hb_layout(); row->record; row++) rows++;
    assert_true(rows > 40);
    assert_string_equal(hb_version(), HB_VERSION);
}

// An environment of two functions: counts down from its seed's low bits, and hands the action back as reward.
typedef struct {
    double left, variation;
} countdown;

static void countdown_reset(void *state, int32_t variation, uint64_t seed, float *observation) {
    countdown *c = state;
    *c = (countdown){(double)(seed % 5 + 3), variation};
    observation[0] = (float)c->left;
}

static int32_t countdown_step(void *state, const float *action, float *observation, double *reward) {
    countdown *c = state;
    c->left -= 1;
    observation[0] = (float)c->left;
    *reward = (double)action[0] + c->variation;
    return c->left <= 0;
}

static void environments_of_functions(void **state) {
    (void)state;
    static const char *const variations[] = {"plain", "rich", NULL};
    const hb_functions functions = {.name = "countdown",
                                    .variations = variations,
                                    .range = "signed",
                                    .observation_size = 1,
                                    .action_size = 1,
                                    .max_steps = 5,
                                    .state_bytes = sizeof(countdown),
                                    .reset = countdown_reset,
                                    .step = countdown_step};
    hb_error error = {""};
    check_ok(hb_functions_add(&functions, &error), error);
    const char *const sets[] = {"env.name=countdown"};
    enum { MANY = 50 };
    hb_vec *vec = NULL;
    check_ok(hb_vec_open(NULL, sets, 1, MANY, &vec, &error), error);
    uint64_t seed[MANY];
    for (uint64_t k = 0; k < MANY; k++) seed[k] = k;
    float observation[MANY], action[MANY], left[MANY];
    double fitness[MANY], reward[MANY], least, most;
    uint8_t terminated[MANY], truncated[MANY];
    check_ok(hb_vec_reset(vec, NULL, seed, 1, observation, &error), error);
    assert_string_equal(hb_vec_variation(vec, 1), "rich");
    assert_true(hb_vec_bounds(vec, 0, &least, &most) && least == -1 && most == 1);
    memcpy(left, observation, sizeof left);
    for (int k = 0; k < MANY; k++) action[k] = (float)k / MANY;
    for (int t = 1; t <= 6; t++) {
        check_ok(hb_vec_step(vec, action, observation, fitness, reward, terminated, truncated, &error), error);
        for (int k = 0; k < MANY; k++) {
            const float last = left[k] < 5 ? left[k] : 5; // step: of its own, or of max_steps
            assert_true((float)t > last || fitness[k] == (double)action[k] + 1);
            assert_true((float)t <= last || fitness[k] == 0);
            assert_int_equal(terminated[k], (float)t >= last && last < 5);
            assert_int_equal(truncated[k], (float)t >= last && last == 5);
        }
    }
    uint8_t picture[48 * 48 * 3];
    refused(hb_vec_picture(vec, 0, 48, 48, picture, &error), &error, "draws no pictures");
    hb_vec_close(vec);
}

static void environments_that_are_not_added(void **state) {
    (void)state;
    const hb_functions good = {.name = "good",
                               .observation_size = 1,
                               .action_size = 1,
                               .max_steps = 5,
                               .reset = countdown_reset,
                               .step = countdown_step};
    hb_error error = {""};
    hb_functions bad = good;
    bad.step = NULL;
    refused(hb_functions_add(&bad, &error), &error, "expected functions reset and step");
    bad = good;
    bad.name = NULL;
    refused(hb_functions_add(&bad, &error), &error, "no proper name");
    bad = good;
    bad.name = "outside";
    refused(hb_functions_add(&bad, &error), &error, "of this build has that name");
    bad = good;
    bad.state_bytes = -1;
    refused(hb_functions_add(&bad, &error), &error, "found 5 and -1");
    bad = good;
    bad.range = "Signed";
    refused(hb_functions_add(&bad, &error), &error, "found 'Signed'");
    const hb_env_table of_another_version = {.abi = HB_ENV_ABI - 1},
                       empty = {.abi = HB_ENV_ABI, .name = "empty", .summary = "nothing"};
    refused(hb_env_add(&of_another_version, &error), &error, "another version");
    refused(hb_env_add(&empty, &error), &error, "functions are missing");
    refused(hb_env_add(NULL, &error), &error, "another version");
    const char *const sets[] = {"env.name=empty"};
    hb_config *config = NULL;
    refused(hb_config_open(NULL, sets, 1, &config, &error), &error, "found 'empty'");
}

static void weights_that_are_put(void **state) {
    (void)state;
    hb_evolution *evolution = open_outside("run.device=cpu", "run.threads=1");
    hb_lives *lives = NULL;
    hb_error error = {""};
    const int64_t lane[1] = {2}, who[1] = {-1};
    check_ok(hb_lives_open(evolution, P, &lives, &error), error);
    float w[3 * 5 + 5 * 2], back[5 * 2], observation[P * OBSERVED], action[P * ACTIONS];
    for (int k = 0; k < 25; k++) w[k] = 0.25f;
    refused(hb_lives_put_weights(lives, 2, w, &error), &error, "has no life");
    check_ok(hb_lives_begin(lives, 1, lane, who, NULL, &error), error);
    check_ok(hb_lives_put_weights(lives, 2, w, &error), error);
    check_ok(hb_lives_weights(lives, 2, 1, back, &error), error);
    assert_memory_equal(back, w, sizeof back);
    look(observation, 0);
    const uint8_t alive[P] = {0, 0, 1};
    check_ok(hb_lives_step(lives, observation, NULL, alive, action, &error), error);
    double hidden = 0;
    for (int k = 0; k < OBSERVED; k++) hidden += 0.25 * (double)observation[2 * OBSERVED + k];
    assert_true(fabs((double)action[2 * ACTIONS] - tanh(5 * 0.25 * tanh(hidden))) < 1e-6);
    w[24] = NAN;
    refused(hb_lives_put_weights(lives, 2, w, &error), &error, "found nan at 24");
    refused(hb_lives_put_weights(lives, P, w, &error), &error, "expected a lane in [0, 6)");
    hb_lives_close(lives);
    check_ok(hb_evolution_close(evolution, &error), error);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ways_to_live_agree),
                                       cmocka_unit_test(calls_out_of_order),
                                       cmocka_unit_test(widths_agree),
                                       cmocka_unit_test(environments_are_refused),
                                       cmocka_unit_test(keys_as_data),
                                       cmocka_unit_test(environments_of_functions),
                                       cmocka_unit_test(environments_that_are_not_added),
                                       cmocka_unit_test(weights_that_are_put)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
