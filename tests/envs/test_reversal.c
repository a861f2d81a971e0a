// Reversal learning: what a choice earns, how often sides turn over, and that nothing but the reward tells.
#include "tests/envs/options.h"

#include "envs/reversal/reversal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIVES = 400 };

static uint32_t word_state = 1;

static uint32_t next_word(hb_env_random *random) {
    (void)random;
    word_state ^= word_state << 13, word_state ^= word_state >> 17, word_state ^= word_state << 5;
    return word_state;
}

static hb_env_random noise = {next_word};

static const char *choose(void *context, const char *name) {
    return value_of(&hb_env_reversal, context, name);
}

static void open_both(choice *choices, void **world, void **body) {
    char message[512];
    assert_int_equal(
        hb_env_reversal.world_create(&(hb_env_settings){choose, choices, &hb_env_reversal}, world, message, 512), 0);
    assert_int_equal(hb_env_reversal.body_create(*world, 1, body, message, 512), 0);
}

static void close_both(void *world, void *body) {
    hb_env_reversal.body_destroy(body);
    hb_env_reversal.world_destroy(world);
}

// One who knows the sides earns all, one who takes the other sides loses all; the sides turn over as often as they should, near where they should,
// and all together; cues are even.
static void sides_and_rewards(void **state) {
    (void)state;
    for (int reversals = 0; reversals <= 3; reversals++) {
        char turns[8];
        snprintf(turns, sizeof turns, "%d", reversals);
        choice choices[] = {{"cues", "3"}, {"trials", "120"}, {"reversals", turns}, {NULL, NULL}};
        void *world, *body;
        open_both(choices, &world, &body);
        hb_env_shape shape;
        hb_env_reversal.shape(world, &shape);
        assert_true(shape.observation_size == 3 && shape.action_size == 1 && shape.max_steps == 120);
        int seen[3] = {0}, right[3] = {0}, left_at_first = 0;
        for (int life = 0; life < LIVES; life++) {
            float observation[3];
            hb_env_step step;
            double known[3] = {0}, earned = 0, before[3];
            int turned = 0, last_turn = 0;
            const double sign = life % 2 ? -1 : 1;
            assert_int_equal(hb_env_reversal.reset(body, 0, &noise, observation, &step), HB_ENV_RUNNING);
            for (int t = 0; t < 120; t++) {
                hb_env_reversal.snapshot(body, before);
                const int cue = (int)before[1];
                assert_true((int)before[0] == t && fabs(before[2]) == 1);
                for (int k = 0; k < 3; k++) assert_true(observation[k] == (k == cue ? 1.0f : 0.0f));
                if (known[cue] != 0 && known[cue] != before[2]) { // all have turned since
                    turned++;
                    assert_true(t - last_turn > 10);
                    last_turn = t;
                    for (int k = 0; k < 3; k++) known[k] = -known[k];
                }
                if (t == 0) left_at_first += before[2] < 0;
                known[cue] = before[2];
                seen[cue]++, right[cue] += before[2] > 0;
                const float action = (float)(0.3 * sign * before[2]);
                const hb_env_outcome outcome = hb_env_reversal.step(body, &action, observation, &step);
                assert_int_equal(outcome, t == 119 ? HB_ENV_DONE : HB_ENV_RUNNING);
                assert_true(step.fitness == step.reward && step.fitness == sign);
                earned += step.fitness;
            }
            assert_true(earned == sign * 120);
            assert_int_equal(turned, reversals);
        }
        for (int k = 0; k < 3; k++) {
            assert_true(abs(seen[k] - 40 * LIVES) < 3 * LIVES);
            if (reversals == 1) assert_true(abs(right[k] - seen[k] / 2) < seen[k] / 20); // half of each life
        }
        assert_true(abs(left_at_first - LIVES / 2) < LIVES / 8);
        close_both(world, body);
    }
}

static void bad_actions(void **state) {
    (void)state;
    void *world, *body;
    open_both(NULL, &world, &body);
    float observation[4];
    hb_env_step step;
    hb_env_reversal.reset(body, 0, &noise, observation, &step);
    const float nan = NAN, zero = 0;
    double before[3];
    hb_env_reversal.snapshot(body, before);
    assert_int_equal(hb_env_reversal.step(body, &zero, observation, &step), HB_ENV_RUNNING); // 0 is right
    assert_true(step.fitness == before[2]);
    assert_int_equal(hb_env_reversal.step(body, &nan, observation, &step), HB_ENV_DIVERGED);
    assert_true(step.fitness == 0);
    close_both(world, body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sides_and_rewards),
        cmocka_unit_test(bad_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
