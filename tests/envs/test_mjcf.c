// Models of a file: what texts mean, against numbers that follow from a model of two blocks; what they refuse; variations; ends.
// Gymnasium's tasks are compared with Gymnasium in test_gymnasium_tasks.py.
#include "tests/envs/options.h"

#include "envs/mjcf/mjcf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// A sled of 2 kg on a rail without friction, pushed by its motor, and a free block of 3 kg high above.
static const char xml[] =
    "<mujoco><option timestep='0.01' gravity='0 0 0'/><worldbody>"
    "<body name='sled' pos='0 0 1'><joint name='rail' type='slide' axis='1 0 0'/>"
    "<geom name='sled' type='capsule' fromto='0 0 0 0.4 0 0' size='0.1' mass='2' contype='0' conaffinity='0'/></body>"
    "<body name='block' pos='5 0 9'><freejoint/><geom type='box' size='0.1 0.1 0.1' mass='3'/></body>"
    "</worldbody><actuator><motor name='push' joint='rail' gear='10' ctrllimited='true' ctrlrange='-1 3'/></actuator>"
    "<sensor><framepos name='where' objtype='body' objname='block'/></sensor></mujoco>";

static char model_file[] = "/tmp/hb_mjcf_XXXXXX.xml";

static int write_model(void **state) {
    (void)state;
    const int file = mkstemps(model_file, 4);
    const bool ok = file >= 0 && write(file, xml, sizeof xml - 1) == (ssize_t)(sizeof xml - 1);
    return close(file) == 0 && ok ? 0 : -1;
}

static int remove_model(void **state) {
    (void)state;
    return remove(model_file);
}

static const char *choose(void *context, const char *name) {
    return value_of(&hb_env_mjcf, context, name);
}

static int create(choice *choices, void **world, char message[512]) {
    return hb_env_mjcf.world_create(&(hb_env_settings){choose, choices, &hb_env_mjcf}, world, message, 512);
}

static uint32_t next_of_noise = 1;

static uint32_t next_word(hb_env_random *random) {
    (void)random;
    return next_of_noise = next_of_noise * 1664525u + 1013904223u;
}

static hb_env_random noise = {next_word};

typedef struct {
    void *world, *body;
    hb_env_shape shape;
    float seen[128];
    hb_env_step step;
} life;

static life begin(choice *choices, int32_t variation) {
    life l = {.world = NULL};
    char message[512] = "";
    if (create(choices, &l.world, message) != 0) fail_msg("%s", message);
    hb_env_mjcf.shape(l.world, &l.shape);
    assert_true(l.shape.observation_size <= 128);
    assert_int_equal(hb_env_mjcf.body_create(l.world, 1, &l.body, message, sizeof message), 0);
    assert_int_equal(hb_env_mjcf.reset(l.body, variation, &noise, l.seen, &l.step), HB_ENV_RUNNING);
    return l;
}

static hb_env_outcome act(life *l, float action) {
    return hb_env_mjcf.step(l->body, &action, l->seen, &l->step);
}

static void end(life *l) {
    hb_env_mjcf.body_destroy(l->body);
    hb_env_mjcf.world_destroy(l->world);
}

static void near(double found, double expected) {
    if (!(fabs(found - expected) < 1e-6)) fail_msg("expected %.9g, found %.9g", expected, found);
}

static void what_is_seen(void **state) {
    (void)state;
    choice choices[] = {{"model", model_file},
                        {"observe", "qpos[rail], xpos[block], xpos[block:3][0] , clip(qvel[:1], 0.5), sensor where, "
                                    "state[8:9], cinert[sled][9], clip(reward, 1.5), qvel[rail:1], ctrl[push]"},
                        {"reward", "alive 2"},
                        {"frame_skip", "4"},
                        {NULL, NULL}};
    life l = begin(choices, 0);
    assert_int_equal(l.shape.observation_size, 1 + 3 + 1 + 1 + 3 + 1 + 1 + 1 + 1 + 1);
    assert_int_equal(l.shape.action_size, 1);
    near(l.shape.step_seconds, 0.04);
    near((double)l.seen[1], 5);
    near((double)l.seen[3], 9);
    near((double)l.seen[4], 5);
    near((double)l.seen[8], 9);
    near((double)l.seen[10], 2);
    near((double)l.seen[11], 0);
    // Full command is the upper end of the range, 3: 30 N on 2 kg for 0.04 s, semi-implicit: v = 0.6, x = 15 h^2 (1 + 2 + 3 + 4).
    assert_int_equal(act(&l, 1), HB_ENV_RUNNING);
    near((double)l.seen[0], 15e-4 * 10);
    near((double)l.seen[5], 0.5);
    near((double)l.seen[9], 0.6);
    near((double)l.seen[11], 1.5);
    near((double)l.seen[12], 0.6);
    near((double)l.seen[13], 3);
    near(l.step.fitness, 2);
    end(&l);
}

static void what_is_earned(void **state) {
    (void)state;
    choice choices[] = {
        {"model", model_file}, {"reward", "forward 2 of qpos[0]; forward 5 of mass; control 0.5"}, {NULL, NULL}};
    life l = begin(choices, 0);
    assert_int_equal(l.shape.observation_size, 8 + 7);
    // One step of 0.01 s under command 1, the middle of the range: 10 N on 2 kg: v = 0.05 m/s. The centre of all masses moves with 2/5 of it, and
    // is known after a step where it was before (mj_step; Gymnasium's is, too).
    assert_int_equal(act(&l, 0), HB_ENV_RUNNING);
    near(l.step.reward, 2 * 0.05 - 0.5);
    // Numbers beyond the range are its ends: 30 N.
    assert_int_equal(act(&l, 7), HB_ENV_RUNNING);
    near(l.step.reward, 2 * 0.2 + 5 * 0.05 * 2 / 5 - 0.5 * 9);
    assert_int_equal(act(&l, NAN), HB_ENV_DIVERGED);
    end(&l);
}

static void where_lives_end(void **state) {
    (void)state;
    choice choices[] = {{"model", model_file},
                        {"reward", "alive 1"},
                        {"alive", "finite; qpos[0] -inf 0.004"},
                        {"end", "true"},
                        {NULL, NULL}};
    for (int ends = 0; ends < 2; ends++) {
        choices[3].value = ends ? "true" : "false";
        life l = begin(choices, 0);
        const double earned[] = {1, 1, 0}; // x = 0.0005 n (n + 1) / 2 under 10 N
        for (int t = 0; t < 2; t++) assert_int_equal(act(&l, 0), HB_ENV_RUNNING);
        near(l.step.fitness, earned[1]);
        assert_int_equal(act(&l, 0), HB_ENV_RUNNING);                      // 0.003
        assert_int_equal(act(&l, 0), ends ? HB_ENV_DONE : HB_ENV_RUNNING); // 0.005
        near(l.step.fitness, earned[2]);
        end(&l);
    }
    choice wild[] = {{"model", model_file},
                     {"reward", "alive 1"},
                     {"changes", "wild: gear[push] 9e8"},
                     {"frame_skip", "10000"},
                     {NULL, NULL}};
    life l = begin(wild, 1);
    hb_env_outcome outcome = HB_ENV_RUNNING;
    for (int t = 0; t < 100 && outcome == HB_ENV_RUNNING; t++) outcome = act(&l, 1);
    assert_int_equal(outcome, HB_ENV_DIVERGED);
    end(&l);
}

static void what_changes(void **state) {
    (void)state;
    choice choices[] = {{"model", model_file},
                        {"reward", "forward 1 of qpos[0]"},
                        {"observe", "cinert[sled][9], qvel[0], qvel[3]"},
                        {"changes", "weak: gear[0] 1 , mass 2; named:gear[push] 4; falls: gravity 10; short : "
                                    "length[sled] 0.5; heavy: mass[sled] 3, mass[block] 9;"},
                        {NULL, NULL}};
    const double mass[] = {2, 4, 2, 2, 2, 6}, gear[] = {10, 1, 4, 10, 10, 10}, falls[] = {0, 0, 0, -0.1, 0, 0};
    for (int32_t k = 0; k < 6; k++) {
        life l = begin(choices, k);
        assert_string_equal(l.shape.variations[k],
                            ((const char *[]){"default", "weak", "named", "falls", "short", "heavy"})[k]);
        assert_null(l.shape.variations[6]);
        assert_int_equal(act(&l, 1), HB_ENV_RUNNING);
        near((double)l.seen[0], mass[k]);
        near((double)l.seen[1], 0.01 * 3 * gear[k] / mass[k]);
        near((double)l.seen[2], falls[k]);
        end(&l);
    }
}

// Masses that bodies are given, or all together; friction of pairs; forces that only an end asks for. A block of 1 kg on a floor, pulled by 4 N.
static void what_changes_otherwise(void **state) {
    (void)state;
    static const char given[] = "<mujoco><option timestep='0.01' gravity='0 0 -10'/>%s<worldbody><geom name='floor' "
                                "type='plane' size='9 9 1'/>"
                                "<body name='block' pos='0 0 0.1'><joint name='x' type='slide' axis='1 0 0'/><joint "
                                "name='z' type='slide' axis='0 0 1'/>"
                                "%s<geom name='block' type='box' size='0.1 0.1 0.1'/></body></worldbody>"
                                "<contact><pair geom1='floor' geom2='block' friction='1 "
                                "1'/></contact><actuator><motor joint='x' gear='4'/></actuator></mujoco>";
    static const char *const parts[][2] = {{"<compiler settotalmass='1'/>", ""},
                                           {"", "<inertial pos='0 0 0' mass='1' diaginertia='1 1 1'/>"}};
    char name[] = "/tmp/hb_mjcf_XXXXXX.xml", text[1024];
    assert_true(close(mkstemps(name, 4)) == 0);
    for (int k = 0; k < 2; k++) {
        FILE *file = fopen(name, "w");
        assert_non_null(file);
        fprintf(file, given, parts[k][0], parts[k][1]);
        fclose(file);
        snprintf(text, sizeof text, "ice: friction 0; heavy: mass 3");
        choice choices[] = {{"model", name},
                            {"reward", "alive 1"},
                            {"observe", "cinert[block][9], qvel[0], qpos[0]"},
                            {"changes", text},
                            {"alive", "cfrc_ext[block] -25 25"},
                            {"frame_skip", "20"},
                            {NULL, NULL}};
        for (int32_t v = 0; v < 3; v++) {
            life l = begin(choices, v);
            const hb_env_outcome outcome = act(&l, 1);
            near((double)l.seen[0], v == 2 ? 3 : 1);
            // It slides on ice: 4 m/s^2 for 0.2 s, less MuJoCo's least friction, 1e-5; elsewhere it creeps at most. The floor carries 10 N, or 30.
            if (v == 1) near((double)l.seen[1], 0.8 - 2e-5);
            if (v == 0) assert_true((double)l.seen[1] < 0.1);
            assert_int_equal(outcome, v == 2 ? HB_ENV_DONE : HB_ENV_RUNNING);
            end(&l);
        }
    }
    remove(name);
}

// Without memory for its contacts MuJoCo meets an error, or leaves them out: the life has diverged, and the next one begins.
static void models_without_memory(void **state) {
    (void)state;
    char name[] = "/tmp/hb_mjcf_XXXXXX.xml";
    assert_true(close(mkstemps(name, 4)) == 0);
    for (int kilobytes = 60; kilobytes <= 240; kilobytes += 60) {
        FILE *file = fopen(name, "w");
        assert_non_null(file);
        fprintf(file, "<mujoco><size memory='%dK'/><worldbody><geom type='plane' size='9 9 1'/>", kilobytes);
        for (int k = 0; k < 30; k++)
            fprintf(file, "<body pos='%g 0 0.05'><freejoint name='j%d'/><geom type='box' size='0.1 0.1 0.1'/></body>",
                    k * 0.05, k);
        fprintf(file, "</worldbody><actuator><motor joint='j0'/></actuator></mujoco>");
        fclose(file);
        choice choices[] = {{"model", name}, {"reward", "alive 1"}, {"observe", "qpos[0]"}, {NULL, NULL}};
        void *world = NULL, *body = NULL;
        char message[512] = "";
        float seen;
        hb_env_step step;
        if (create(choices, &world, message) != 0) fail_msg("%s", message);
        assert_int_equal(hb_env_mjcf.body_create(world, 1, &body, message, sizeof message), 0);
        for (int k = 0; k < 3; k++)
            assert_int_equal(hb_env_mjcf.reset(body, 0, &noise, &seen, &step), HB_ENV_DIVERGED);
        hb_env_mjcf.body_destroy(body);
        hb_env_mjcf.world_destroy(world);
    }
    remove(name);
}

static void noise_of_resets(void **state) {
    (void)state;
    enum { N = 4000 };
    choice choices[] = {{"model", model_file},
                        {"reward", "alive 1"},
                        {"observe", "qpos[0], qvel[0]"},
                        {"reset", "qpos uniform 0.3; qvel normal 0.2"},
                        {NULL, NULL}};
    life l = begin(choices, 0);
    double sum[2] = {0}, squares[2] = {0}, most = 0;
    for (int k = 0; k < N; k++) {
        hb_env_mjcf.reset(l.body, 0, &noise, l.seen, &l.step);
        for (int i = 0; i < 2; i++) {
            sum[i] += (double)l.seen[i] / N;
            squares[i] += (double)l.seen[i] * (double)l.seen[i] / N;
        }
        most = fmax(most, fabs((double)l.seen[0]));
    }
    assert_true(most <= 0.3 && most > 0.299);
    assert_true(fabs(sum[0]) < 0.01 && fabs(sum[1]) < 0.01);
    assert_true(fabs(sqrt(squares[0]) - 0.3 / sqrt(3)) < 0.005 && fabs(sqrt(squares[1]) - 0.2) < 0.007);
    end(&l);
}

// ---------------------------------------------------------------------------------------------------
// Lanes

enum { LANES = 3, CHEETAH = 17, MOTORS = 6, LANE_STEPS = 60 };

static float waved(int lane, int t, int j) {
    return sinf(0.2F * (float)t + 1.3F * (float)j + (float)lane);
}

static hb_env_random *noise_of(int lane) {
    static hb_env_random own = {next_word};
    for (int k = 0; k < 7 * lane; k++) own.next(&own); // other words for each
    return &own;
}

static void alike(const char *what, int t, const float *a, const float *b, int n) {
    for (int k = 0; k < n; k++)
        if (!(fabsf(a[k] - b[k]) < 3e-3F * (1 + fabsf(a[k]))))
            fail_msg("%s, step %d, number %d: expected %g, found %g", what, t, k, (double)a[k], (double)b[k]);
}

// The first observation is MuJoCo's to the bit; the first steps are those of MuJoCo, before what contacts make of a rounding is seen.
static void lanes_begin_as_mujoco_does(void **state) {
    (void)state;
    static const char *const presets[] = {"HalfCheetah-v5", "Walker2d-v5", "Ant-v5"};
    for (int p = 0; p < 3; p++) {
        choice theirs[] = {{"preset", presets[p]}, {NULL, NULL}};
        choice ours[] = {{"preset", presets[p]}, {"engine", "lanes"}, {"sweeps", "300"}, {NULL, NULL}};
        next_of_noise = 5;
        life a = begin(theirs, 0);
        next_of_noise = 5;
        life b = begin(ours, 0);
        assert_memory_equal(a.seen, b.seen, (size_t)a.shape.observation_size * sizeof *a.seen);
        double states[2][29];
        for (int t = 0; t < 8; t++) {
            float action[8];
            for (int j = 0; j < 8; j++) action[j] = waved(0, t, j);
            const hb_env_outcome goes_on = hb_env_mjcf.step(a.body, action, a.seen, &a.step);
            assert_int_equal(hb_env_mjcf.step(b.body, action, b.seen, &b.step), goes_on);
            alike(presets[p], t, a.seen, b.seen, a.shape.observation_size);
            assert_true(fabs(a.step.reward - b.step.reward) < 3e-3 * (1 + fabs(a.step.reward)));
            assert_int_equal(goes_on, HB_ENV_RUNNING);
        }
        hb_env_mjcf.snapshot(a.body, states[0]);
        hb_env_mjcf.snapshot(b.body, states[1]);
        const int n = p < 2 ? 18 : 29;
        for (int k = 0; k < n; k++) assert_true(fabs(states[0][k] - states[1][k]) < 3e-3 * (1 + fabs(states[0][k])));
        end(&a);
        end(&b);
    }
}

// Lives that begin at other times, are held for a while and have neighbours see what they see alone.
static void lanes_live_as_one_lives(void **state) {
    (void)state;
    choice choices[] = {{"preset", "HalfCheetah-v5"}, {"engine", "lanes"}, {NULL, NULL}};
    void *world, *body;
    char message[512] = "";
    static float alone[LANES][LANE_STEPS + 1][CHEETAH], seen[LANES][CHEETAH], action[LANES][MOTORS];
    static double earned[LANES][LANE_STEPS + 1];
    if (create(choices, &world, message) != 0) fail_msg("%s", message);
    for (int lane = 0; lane < LANES; lane++) {
        hb_env_step out;
        assert_int_equal(hb_env_mjcf.body_create(world, 1, &body, message, sizeof message), 0);
        next_of_noise = 1;
        assert_int_equal(hb_env_mjcf.reset(body, 0, noise_of(lane), alone[lane][0], &out), HB_ENV_RUNNING);
        for (int t = 0; t < LANE_STEPS; t++) {
            for (int j = 0; j < MOTORS; j++) action[0][j] = waved(lane, t, j);
            assert_int_equal(hb_env_mjcf.step(body, action[0], alone[lane][t + 1], &out), HB_ENV_RUNNING);
            earned[lane][t + 1] = out.fitness;
        }
        hb_env_mjcf.body_destroy(body);
    }
    hb_env_shape shape;
    hb_env_mjcf.shape(world, &shape);
    assert_int_equal(hb_env_mjcf.body_create(world, LANES, &body, message, sizeof message), 0);
    int t[LANES] = {-1, -1, -1};
    for (int call = 0; call < 100; call++) {
        hb_env_step out[16];
        hb_env_outcome outcome[16];
        for (int lane = 0; lane < LANES; lane++) {
            if (call == 4 * lane) {
                next_of_noise = 1;
                hb_env_mjcf.reset_lane(body, lane, 0, noise_of(lane));
            }
            if (call >= 10 && call <= 15) hb_env_mjcf.hold_lane(body, lane, call < 15 && lane == 1);
            for (int j = 0; j < MOTORS; j++) action[lane][j] = waved(lane, t[lane], j);
        }
        hb_env_mjcf.step_lanes(body, &action[0][0], seen, out, outcome);
        for (int lane = 0; lane < LANES; lane++) {
            if (call < 4 * lane || (lane == 1 && call >= 10 && call < 15) || t[lane] == LANE_STEPS) continue;
            assert_int_equal(outcome[lane], HB_ENV_RUNNING);
            t[lane]++;
            assert_memory_equal(seen[lane], alone[lane][t[lane]], sizeof seen[lane]);
            assert_true(t[lane] == 0 || out[lane].fitness == earned[lane][t[lane]]);
        }
    }
    for (int lane = 0; lane < LANES; lane++) assert_int_equal(t[lane], LANE_STEPS);
    action[1][3] = NAN; // one command that is not a number ends its own life alone
    hb_env_step out[16];
    hb_env_outcome outcome[16];
    hb_env_mjcf.step_lanes(body, &action[0][0], seen, out, outcome);
    assert_int_equal(outcome[0], HB_ENV_RUNNING);
    assert_int_equal(outcome[1], HB_ENV_DIVERGED);
    assert_int_equal(outcome[2], HB_ENV_RUNNING);
    hb_env_mjcf.body_destroy(body);
    hb_env_mjcf.world_destroy(world);
}

static void what_lanes_refuse(void **state) {
    (void)state;
    static const struct {
        const char *preset, *name, *value, *says;
    } cases[] = {
        {"Hopper-v5", "sweeps", "0", "cannot compute this tree of bodies"},
        {"Swimmer-v5", "sweeps", "0", "cannot compute a medium with density"},
        {"Humanoid-v5", "observe", "qpos", "cannot compute equality constraints, tendons and flexes"},
        {"InvertedPendulum-v5", "sweeps", "0", "cannot compute this tree of bodies"},
        {"Ant-v5", "observe", "qpos, cinert", "cannot compute cinert, which observe, reward or alive ask for"},
        {"Ant-v5", "observe", "xpos[1:3]", "cannot compute xpos"},
        {"Ant-v5", "reward", "forward 1 of mass", "cannot compute the centre of mass"},
        {"HalfCheetah-v5", "observe", "cfrc_ext", "cannot compute cfrc_ext"},
        {"HalfCheetah-v5", "observe", "qpos, xpos[torso]", "cannot compute xpos"},
        {"HalfCheetah-v5", "alive", "cvel[torso][0] 0 1", "cannot compute cvel"},
        {"HalfCheetah-v5", "reward", "forward 1 of mass", "cannot compute the centre of mass"},
        {"HalfCheetah-v5", "model", model_file, "cannot compute this tree of bodies"},
        {"HalfCheetah-v5", "changes", "moon: gravity 1.6; ice: friction 0.1", NULL},
        {"Ant-v5", "changes", "short: mass[aux_1] 2, friction 0.7", NULL},
        {"Walker2d-v5", "observe", "clip(qpos, 3), ctrl, state, reward", NULL},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        choice choices[] = {
            {"preset", cases[k].preset}, {cases[k].name, cases[k].value}, {"engine", "lanes"}, {NULL, NULL}};
        void *world = NULL;
        char message[512] = "";
        const int result = create(choices, &world, message);
        if (result == 0) hb_env_mjcf.world_destroy(world);
        if (!cases[k].says ? result != 0 : result == 0 || !strstr(message, cases[k].says))
            fail_msg("%s, %s: expected '%s', found '%s'", cases[k].preset, cases[k].value, cases[k].says, message);
    }
}

typedef struct {
    const char *name, *value, *says;
} refused;

static void what_is_refused(void **state) {
    (void)state;
    static const refused cases[] = {
        {"model", "", "expected env.preset or env.model"},
        {"model", "/nowhere/at/all.xml", "env.model: cannot read '/nowhere/at/all.xml'"},
        {"model", "/dev/null", "env.model: cannot read '/dev/null'"},
        {"reward", "", "env.reward: expected what a step earns"},
        {"reward", "backward 1", "expected forward, alive, control or contact, found 'backward 1'"},
        {"reward", "forward x", "expected a number, found 'x'"},
        {"reward", "forward 1 of qpos", "forward: expected one number, found 8"},
        {"reward", "alive 1, control 1", "expected ';', found ', control 1'"},
        {"reward", "alive nan", "expected a number"},
        {"reward", "control inf", "control: expected a weight within 1e9"},
        {"reward", "contact 1 clip -1", "clip: expected more than 0, found -1"},
        {"reward", "contact 1 most 0", "most: expected more than 0, found 0"},
        {"observe", "qpos[4", "expected ']', found 'the end'"},
        {"observe", "qpos[4:4]", "qpos has rows 0 to 7 here, found [4:4]"},
        {"observe", "qpos[99999999999999999999]", "qpos has rows 0 to 7"},
        {"observe", "qpos[-1]", "rows count from 0, found '-1]'"},
        {"observe", "xpos[slid]", "the model has no body 'slid'"},
        {"observe", "xpos[sled][3]", "a number in a second bracket is of one row, 0 to 2"},
        {"observe", "xpos[0:2][1]", "a number in a second bracket is of one row"},
        {"observe", "sensor gyro", "the model has no sensor 'gyro'"},
        {"observe", "clip(qpos 3)", "expected ',', found '3)'"},
        {"observe", "clip(qpos, -3)", "clip: expected more than 0, found -3"},
        {"observe", "act", "the model has no act"},
        {"observe", "qpos[sled]", "the model has no joint 'sled'"},
        {"observe", "ctrl[pull]", "the model has no actuator 'pull'"},
        {"reward", " ", "env.reward: expected what a step earns"},
        {"observe", "qpos,", "expected one of state, qpos"},
        {"alive", "qpos[0] 2 1", "expected a range from less to more, found 2 to 1"},
        {"alive", "finite qpos[0] 1 2", "expected ';', found 'qpos[0] 1 2'"},
        {"reset", "qacc uniform 1", "expected qpos or qvel"},
        {"reset", "qpos cauchy 1", "expected uniform or normal"},
        {"reset", "qpos normal -1", "expected a size from 0 to 1e6, found -1"},
        {"changes", "ice", "expected NAME: change, change"},
        {"changes", "default: mass 1", "each name once, and not default"},
        {"changes", "a: mass 1; a: mass 2", "each name once"},
        {"changes", "a: mass", "gear[ACTUATOR] or length[GEOM], and a number, found 'mass'"},
        {"changes", "a: mass -1", "a number that fits"},
        {"changes", "a: mass[slid] 2", "mass: expected a body's name, found 'slid'"},
        {"changes", "a: friction[slid] 2", "friction: expected a geom's name, found 'slid'"},
        {"changes", "a: gear[7] 1", "an actuator's name or number, found '7'"},
        {"changes", "a: gear 1", "expected friction"},
        {"changes", "a: length[block] 1", "a geom with fromto, found 'block'"},
        {"changes", "a: mass 1e99", "expected a number at the end"},
        {"changes", "a: mass 1 2", "expected a number at the end"},
        {"changes", "a:", NULL},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        choice choices[] = {
            {cases[k].name, cases[k].value}, {"model", model_file}, {"reward", "alive 1"}, {NULL, NULL}};
        void *world = NULL;
        char message[512] = "";
        const int result = create(choices, &world, message);
        if (!cases[k].says) {
            if (result != 0) fail_msg("%s", message);
            hb_env_mjcf.world_destroy(world);
        } else if (result == 0 || !strstr(message, cases[k].says) || strchr(message, '\n')) {
            fail_msg("%s '%s': expected '%s', found '%s'", cases[k].name, cases[k].value, cases[k].says, message);
        }
    }
    char parts[256] = "qpos";
    for (int k = 0; k < 20; k++) strcat(parts, ", qvel");
    choice many[] = {{"observe", parts}, {"model", model_file}, {"reward", "alive 1"}, {NULL, NULL}};
    void *world = NULL;
    char message[512] = "";
    assert_int_equal(create(many, &world, message), -1);
    assert_non_null(strstr(message, "at most 16 parts"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_seen),
                                       cmocka_unit_test(what_is_earned),
                                       cmocka_unit_test(where_lives_end),
                                       cmocka_unit_test(what_changes),
                                       cmocka_unit_test(what_changes_otherwise),
                                       cmocka_unit_test(models_without_memory),
                                       cmocka_unit_test(noise_of_resets),
                                       cmocka_unit_test(what_is_refused),
                                       cmocka_unit_test(lanes_begin_as_mujoco_does),
                                       cmocka_unit_test(lanes_live_as_one_lives),
                                       cmocka_unit_test(what_lanes_refuse)};
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
