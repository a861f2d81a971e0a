// The Ant's engine `lanes` beside its engine `mujoco`, and a body of lanes beside bodies of one life.
#include "tests/envs/options.h"

#include "envs/ant/ant.h"
#include "envs/ant/episode.h"
#include "kernels/rigid.h"
#include "kernels/scalar.h"

#include <stdlib.h>
#include <string.h>

#define OBSERVED HB_ANT_OBSERVED
#define JOINTS   HB_ANT_JOINTS

static const char *choose(void *context, const char *name) {
    return value_of(&hb_env_ant, context, name);
}

static void *open_world(choice *choices) {
    char message[512] = "";
    void *world = NULL;
    if (hb_env_ant.world_create(&(hb_env_settings){choose, choices, &hb_env_ant}, &world, message, sizeof message) !=
        0)
        fail_msg("%s", message);
    return world;
}

static void *open_body(const void *world, int32_t width) {
    char message[512] = "";
    void *body = NULL;
    if (hb_env_ant.body_create(world, width, &body, message, sizeof message) != 0) fail_msg("%s", message);
    return body;
}

// Numbered words: the same for a life wherever it is lived.
typedef struct {
    hb_env_random base;
    uint32_t life, next;
} words;

static uint32_t next_word(hb_env_random *base) {
    words *w = (words *)base;
    return hb_philox(w->next++, w->life, 0, 0, 5, 5).word[0];
}

static void reset_of(words *w, int life) {
    *w = (words){{next_word}, (uint32_t)life, 0};
}

static void action_of(int life, int t, double strength, float *action) {
    for (int j = 0; j < JOINTS; j++)
        action[j] = (float)(strength * (hb_philox((uint32_t)t, (uint32_t)life, (uint32_t)j, 1, 5, 5).word[0] *
                                            (1.0 / 2147483648.0) -
                                        1.0));
}

// ---------------------------------------------------------------------------------------------------
// A body of lanes lives the lives of single bodies, bit for bit

enum { LIVES = 40, STEPS = 260 };

typedef struct {
    double fitness, reward;
    float observation[OBSERVED]; // the last
    int steps, outcome;
} account;

// Life 7 acts with a NaN in its 30th step.
static void act(int life, int t, float *action) {
    action_of(life, t, 1.0, action);
    if (life == 7 && t == 30) action[3] = NAN;
}

static void count(account *a, const float *observation, const hb_env_step *step, hb_env_outcome outcome) {
    a->steps++;
    a->outcome = (int)outcome;
    a->fitness += step->fitness;
    a->reward += step->reward;
    if (outcome != HB_ENV_DIVERGED) memcpy(a->observation, observation, sizeof a->observation);
}

static void live_alone(const void *world, account *accounts) {
    void *body = open_body(world, 1);
    float action[JOINTS], observation[OBSERVED];
    for (int life = 0; life < LIVES; life++) {
        words random;
        hb_env_step step;
        account *a = &accounts[life];
        *a = (account){.steps = 0};
        reset_of(&random, life);
        a->outcome = (int)hb_env_ant.reset(body, 0, &random.base, a->observation, &step);
        while (a->outcome == HB_ENV_RUNNING && a->steps < STEPS) {
            act(life, a->steps, action);
            const hb_env_outcome outcome = hb_env_ant.step(body, action, observation, &step);
            count(a, observation, &step, outcome);
        }
    }
    hb_env_ant.body_destroy(body);
}

// Lanes take the next life as they become free. One after the other is held for a step, the others go on.
static void live_together(const void *world, int width, account *accounts) {
    void *body = open_body(world, width);
    float action[16 * JOINTS] = {0}, observation[16 * OBSERVED];
    hb_env_step step[16];
    hb_env_outcome outcome[16];
    int life[16], next = 0, busy = 0, turn = 0;
    for (int k = 0; k < width; k++) life[k] = -1;
    do {
        for (int k = 0; k < width; k++) {
            account *a = life[k] < 0 ? NULL : &accounts[life[k]];
            if (a && (a->outcome == HB_ENV_RUNNING || a->outcome == HB_ENV_STARTING) && a->steps < STEPS) continue;
            busy -= life[k] >= 0;
            life[k] = next < LIVES ? next++ : -1;
            if (life[k] < 0) continue;
            busy++;
            words random;
            reset_of(&random, life[k]);
            accounts[life[k]] = (account){.outcome = HB_ENV_STARTING};
            hb_env_ant.reset_lane(body, k, 0, &random.base);
        }
        for (int k = 0; k < width; k++)
            if (life[k] >= 0) act(life[k], accounts[life[k]].steps, action + k * JOINTS);
        const int held = turn++ % (2 * width); // none in half of the steps
        if (held < width) hb_env_ant.hold_lane(body, held, true);
        hb_env_ant.step_lanes(body, action, observation, step, outcome);
        if (held < width) hb_env_ant.hold_lane(body, held, false);
        for (int k = 0; k < width; k++) {
            if (life[k] < 0 || k == held) continue;
            account *a = &accounts[life[k]];
            if (a->outcome != HB_ENV_STARTING) {
                count(a, observation + k * OBSERVED, &step[k], outcome[k]);
            } else {
                a->outcome = (int)outcome[k];
                if (outcome[k] == HB_ENV_RUNNING)
                    memcpy(a->observation, observation + k * OBSERVED, sizeof a->observation);
            }
        }
    } while (busy > 0);
    hb_env_ant.body_destroy(body);
}

static void lanes_are_single_lives(void **state) {
    (void)state;
    choice kinds[][4] = {{{"engine", "lanes"}, {NULL, NULL}},
                         {{"engine", "lanes"}, {"burn_in", "0"}, {NULL, NULL}},
                         {{"engine", "lanes"}, {"first_observation", "reset"}, {"profile", "bullet"}, {NULL, NULL}}};
    static account alone[LIVES], together[LIVES];
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        void *world = open_world(kinds[kind]);
        hb_env_shape shape;
        hb_env_ant.shape(world, &shape);
        live_alone(world, alone);
        assert_int_equal(alone[7].outcome, HB_ENV_DIVERGED);
        assert_int_equal(alone[7].steps, 31);
        assert_int_equal(shape.width, hb_rigid_code_4x2(0)->width);
        if (shape.width == 1) print_message("[  SKIPPED ] lanes beside each other: this processor has none\n");
        for (int width = 8; width <= shape.width; width *= 2) {
            live_together(world, width, together);
            for (int k = 0; k < LIVES; k++) {
                assert_int_equal(alone[k].steps, together[k].steps);
                assert_int_equal(alone[k].outcome, together[k].outcome);
                assert_true(alone[k].fitness == together[k].fitness && alone[k].reward == together[k].reward);
                assert_memory_equal(alone[k].observation, together[k].observation, sizeof alone[k].observation);
            }
        }
        hb_env_ant.world_destroy(world);
    }
}

// ---------------------------------------------------------------------------------------------------
// Beside MuJoCo

// The reset is the same, and without contact so is the flight: 60 N m for six control steps from 0.75 m above the floor.
static void begins_as_mujoco(void **state) {
    (void)state;
    void *world[2], *body[2];
    for (int e = 0; e < 2; e++) {
        world[e] = open_world((choice[]){{"engine", e ? "lanes" : "mujoco"}, {"burn_in", "0"}, {NULL, NULL}});
        body[e] = open_body(world[e], 1);
    }
    for (int life = 0; life < 7; life++) { // on every body
        float observation[2][OBSERVED], action[JOINTS];
        hb_env_step step[2];
        for (int t = -1; t < 6; t++) {
            action_of(life, t, 0.5, action);
            for (int e = 0; e < 2; e++) {
                words random;
                reset_of(&random, life);
                if (t < 0)
                    hb_env_ant.reset(body[e], life, &random.base, observation[e], &step[e]);
                else
                    hb_env_ant.step(body[e], action, observation[e], &step[e]);
            }
            for (int k = 0; k < OBSERVED; k++) check_close(observation[0][k], observation[1][k], t < 0 ? 3e-7 : 2e-5);
            if (t >= 0) check_close(step[0].fitness, step[1].fitness, 1e-4);
            if (t >= 0) check_close(step[0].reward, step[1].reward, 1e-4);
        }
    }
    for (int e = 0; e < 2; e++) {
        hb_env_ant.body_destroy(body[e]);
        hb_env_ant.world_destroy(world[e]);
    }
}

enum { HEIGHT, JOINT_SPEED, CONTACT, ATTITUDE, PROGRESS, N_MEANS };

// Means over a life under random actions.
static void live_for(void *body, int life, int variation, int steps, double *mean) {
    float observation[OBSERVED], action[JOINTS];
    double state[29];
    hb_env_step step;
    words random;
    reset_of(&random, life);
    assert_int_equal(hb_env_ant.reset(body, variation, &random.base, observation, &step), HB_ENV_RUNNING);
    memset(mean, 0, N_MEANS * sizeof *mean);
    for (int t = 0; t < steps; t++) {
        action_of(life, t, life % 2 ? 1.0 : 0.3, action);
        assert_int_equal(hb_env_ant.step(body, action, observation, &step), HB_ENV_RUNNING);
        hb_env_ant.snapshot(body, state);
        double square = 0;
        for (int j = 0; j < JOINTS; j++) square += state[21 + j] * state[21 + j];
        mean[HEIGHT] += state[2] / steps;
        mean[JOINT_SPEED] += sqrt(square) / steps;
        for (int k = 0; k < 4; k++) mean[CONTACT] += (double)observation[24 + k] / 4 / steps;
        mean[ATTITUDE] += (fabs((double)observation[6]) + fabs((double)observation[7])) / steps;
        mean[PROGRESS] += step.fitness / steps;
    }
}

// 256 lives of 500 steps: what the engines give on the average differs by less than two standard errors, with MuJoCo's solver that
// goes to convergence (its PGS with 8 iterations lets the `bullet` robot sink by 0.5 mm, 25 standard errors). Lives diverge
// within a second, as any two solvers' do, so only their statistics can be compared. The damaged `bullet` robot, whose joints the 20
// sweeps of its profile leave 1.9 % too fast (1,536 lives: 4 standard errors), is compared at 30.
static void lives_as_under_mujoco(void **state) {
    (void)state;
    static const char *const names[N_MEANS] = {"height, m", "joint speed, rad/s", "foot contact",
                                               "|roll| + |pitch|, rad", "progress"};
    static const struct {
        const char *profile, *sweeps;
        int body;
        double most; // standard errors: 3 where fifteen more numbers are looked at
    } cases[] = {{"light", "0", 0, 2}, {"bullet", "0", 0, 2},  {"mjcf", "0", 0, 2},
                 {"light", "0", 1, 3}, {"bullet", "30", 2, 3}, {"mjcf", "0", 5, 3}};
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    enum { N = 8 };
#else
    enum { N = 256 };
#endif
    static double mean[2][N][N_MEANS];
    for (size_t p = 0; p < sizeof cases / sizeof *cases; p++) {
        for (int e = 0; e < 2; e++) {
            void *world = open_world((choice[]){{"engine", e ? "lanes" : "mujoco"},
                                                {"solver", "newton"},
                                                {"profile", cases[p].profile},
                                                {"sweeps", cases[p].sweeps},
                                                {"early_stop", "false"},
                                                {NULL, NULL}});
            void *body = open_body(world, 1);
            for (int life = 0; life < N; life++)
                live_for(body, life, cases[p].body, N < 256 ? 50 : 500, mean[e][life]);
            hb_env_ant.body_destroy(body);
            hb_env_ant.world_destroy(world);
        }
        for (int k = 0; k < N_MEANS; k++) {
            double difference = 0, squares = 0, level[2] = {0};
            for (int i = 0; i < N; i++) {
                difference += (mean[1][i][k] - mean[0][i][k]) / N;
                for (int e = 0; e < 2; e++) level[e] += mean[e][i][k] / N;
            }
            for (int i = 0; i < N; i++) squares += pow(mean[1][i][k] - mean[0][i][k] - difference, 2);
            const double error = sqrt(squares / (N - 1) / N);
            print_message("%-6s body %d %-22s mujoco %9.5f, lanes %9.5f: %+.1f standard errors\n", cases[p].profile,
                          cases[p].body, names[k], level[0], level[1], difference / error);
            if (N == 256) assert_true(fabs(difference) < cases[p].most * error);
        }
    }
}

// Moving +1 m in x is (21/22)/0.0165 units, 1/0.0165 for the torso: what a life's fitness and its end say.
static void progress_is_displacement(void **state) {
    (void)state;
    for (int torso = 0; torso < 2; torso++) {
        void *world = open_world((choice[]){
            {"engine", "lanes"}, {"position", torso ? "torso" : "parts"}, {"early_stop", "false"}, {NULL, NULL}});
        void *body = open_body(world, 1);
        double begin[29], end[29], sum = 0;
        float observation[OBSERVED], action[JOINTS];
        hb_env_step step;
        words random;
        reset_of(&random, 1);
        hb_env_ant.reset(body, 0, &random.base, observation, &step);
        hb_env_ant.snapshot(body, begin);
        for (int t = 0; t < 900; t++) {
            action_of(1, t / 7, 1.0, action);
            hb_env_ant.step(body, action, observation, &step);
            sum += step.fitness;
        }
        hb_env_ant.snapshot(body, end);
        // Towards (1000, 0); the parts' mean may stand up to the legs' reach beside the torso.
        const double from = hypot(1000 - begin[0], begin[1]), to = hypot(1000 - end[0], end[1]);
        check_close(sum * 0.0165, (torso ? 1.0 : 21.0 / 22.0) * (from - to), torso ? 1e-6 : 0.1);
        hb_env_ant.body_destroy(body);
        hb_env_ant.world_destroy(world);
    }
}

static void refuses_what_it_cannot_do(void **state) {
    (void)state;
    char message[512] = "";
    void *body;
    void *world = open_world((choice[]){{"engine", "mujoco"}, {NULL, NULL}});
    assert_int_equal(hb_env_ant.body_create(world, 16, &body, message, sizeof message), -1);
    assert_non_null(strstr(message, "one life at a time"));
    hb_env_ant.world_destroy(world);
    world = open_world((choice[]){{"engine", "lanes"}, {NULL, NULL}});
    assert_int_equal(hb_env_ant.body_create(world, 64, &body, message, sizeof message), -1);
    assert_non_null(strstr(message, "64"));
    hb_env_ant.world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_are_single_lives),    cmocka_unit_test(begins_as_mujoco),
        cmocka_unit_test(lives_as_under_mujoco),     cmocka_unit_test(progress_is_displacement),
        cmocka_unit_test(refuses_what_it_cannot_do),
    };
    return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
