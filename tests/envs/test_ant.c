// The Ant: masses, heights, fitness units, symmetry, endings. White-box: ant.c is part of this test.
#include "tests/envs/options.h"

#include "envs/ant/ant.c"

// ---------------------------------------------------------------------------------------------------
// A world with some options changed

// The engine is MuJoCo: test_lanes.c has the other.
static const char *choose(void *context, const char *name) {
    static const choice by_mujoco[] = {{"engine", "mujoco"}, {NULL, NULL}};
    return value_of(&hb_env_ant, strcmp(name, "engine") == 0 ? by_mujoco : context, name);
}

static const ant_world *open_world(choice *choices) {
    const hb_env_settings settings = {choose, choices, &hb_env_ant};
    char message[512] = "";
    void *world = NULL;
    if (hb_env_ant.world_create(&settings, &world, message, sizeof message) != 0) fail_msg("%s", message);
    return world;
}

static ant_body *open_body(const ant_world *world) {
    char message[512] = "";
    void *body = NULL;
    assert_int_equal(hb_env_ant.body_create(world, 1, &body, message, sizeof message), 0);
    return body;
}

static void close_all(const ant_world *world, ant_body *body) {
    hb_env_ant.body_destroy(body);
    hb_env_ant.world_destroy((void *)(uintptr_t)world);
}

typedef struct {
    hb_env_random base;
    uint64_t state;
} lcg;

static uint32_t lcg_next(hb_env_random *base) {
    lcg *g = (lcg *)base;
    g->state = g->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g->state >> 32);
}

static int variation_of(const char *name) {
    return word_index(variations, name);
}

// ---------------------------------------------------------------------------------------------------
// Bodies

static double mass_of(const mjModel *model, const char *body) {
    return model->body_mass[mj_name2id(model, mjOBJ_BODY, body)];
}

// ant.md section 1: masses at density 1000 as PyBullet has them; at density 5 a 200th.
static void masses(void **state) {
    (void)state;
    const struct {
        const char *variation;
        double total;
    } known[] = {{"default", 182.18},           {"najarro_damage_right", 173.65}, {"palm_damage_left", 173.65},
                 {"palm_damage_right", 173.65}, {"palm_long_back", 193.55},       {"palm_long_front", 193.55}};
    const char *const profile_names[] = {"bullet", "light", "mjcf"};
    for (int p = 0; p < 3; p++) {
        const ant_world *world = open_world((choice[]){{"profile", profile_names[p]}, {NULL, NULL}});
        const double scale = p == 0 ? 1 : 1.0 / 200;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            const mjModel *model = world->model[variation_of(known[k].variation)];
            double total = 0;
            for (int b = 0; b < (int)model->nbody; b++) total += model->body_mass[b];
            check_close(total, known[k].total * scale, 0.02 * scale);
        }
        const mjModel *model = world->model[0];
        check_close(mass_of(model, "torso"), (65.45 + 4 * 7.83) * scale,
                    0.03 * scale); // with the welded capsules
        check_close(mass_of(model, "upper1"), 7.83 * scale, 0.01 * scale);
        check_close(mass_of(model, "foot1"), 13.52 * scale, 0.01 * scale);
        check_close(mass_of(world->model[1], "foot1"), 4.99 * scale, 0.01 * scale);
        check_close(mass_of(world->model[variation_of("palm_long_back")], "foot3"), 19.20 * scale, 0.01 * scale);
        check_close(mass_of(world->model[variation_of("palm_damage_right")], "foot2"), 4.99 * scale, 0.01 * scale);
        check_close(mass_of(world->model[variation_of("najarro_damage_right")], "foot4"), 4.99 * scale, 0.01 * scale);
        close_all(world, NULL);
    }
}

// After the burn-in the robot stands on its feet near the ankle limits, alive: ant.md section 5 has 0.42 m
// for the default body, 0.38 to 0.40 damaged, 0.49 to 0.50 with long legs. Single starts differ by their
// random angles; the bounds are for means of 50 (standard error 2 mm).
static void heights_after_burn_in(void **state) {
    (void)state;
    const struct {
        const char *variation;
        double least, most;
    } known[] = {
        {"default", 0.41, 0.43},           {"najarro_damage_left", 0.37, 0.41}, {"najarro_damage_right", 0.37, 0.41},
        {"palm_damage_right", 0.37, 0.41}, {"palm_long_back", 0.48, 0.51},      {"palm_long_front", 0.48, 0.51}};
    const ant_world *world = open_world((choice[]){{"profile", "light"}, {NULL, NULL}});
    ant_body *body = open_body(world);
    lcg random = {{lcg_next}, 1};
    float observation[HB_ANT_OBSERVED];
    hb_env_step step;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        double sum = 0;
        for (int r = 0; r < 50; r++) {
            assert_int_equal(
                hb_env_ant.reset(body, variation_of(known[k].variation), &random.base, observation, &step),
                HB_ENV_RUNNING);
            const double z = body->data[body->variation]->qpos[2];
            assert_true(z > hb_ant_alive_height);
            check_close(observation[0], z - hb_ant_start_height, 1e-6);
            sum += z / 50;
        }
        print_message("%-22s z after burn-in %.3f m\n", known[k].variation, sum);
        assert_true(sum > known[k].least && sum < known[k].most);
    }
    close_all(world, body);
}

// ---------------------------------------------------------------------------------------------------
// Fitness

// Moving the whole robot by +1 m in x is (21/22)/0.0165 units: the floor is the 22nd part.
static void translation_in_units(void **state) {
    (void)state;
    for (int torso = 0; torso < 2; torso++) {
        const ant_world *world = open_world((choice[]){{"position", torso ? "torso" : "parts"}, {NULL, NULL}});
        ant_body *body = open_body(world);
        lcg random = {{lcg_next}, 1};
        float observation[HB_ANT_OBSERVED];
        hb_env_step step;
        hb_env_ant.reset(body, 0, &random.base, observation, &step);
        const double before = distance_to_target(body);
        body->data[0]->qpos[0] += 1.0;
        mj_kinematics(world->model[0], body->data[0]);
        mj_comPos(world->model[0], body->data[0]);
        const double progress = (before - distance_to_target(body)) / hb_ant_control_step;
        check_close(progress, (torso ? 1.0 : 21.0 / 22.0) / 0.0165, 1e-6);
        if (!torso) check_close(progress, 57.85, 0.005);
        close_all(world, body);
    }
}

// Bang-bang random actions go nowhere: ant.md's acceptance check.
static void random_actions_go_nowhere(void **state) {
    (void)state;
    const ant_world *world = open_world((choice[]){{"early_stop", "false"}, {NULL, NULL}});
    ant_body *body = open_body(world);
    lcg random = {{lcg_next}, 7};
    enum { LIVES = 40 };
    double sum = 0, largest = 0;
    int within = 0;
    for (int life = 0; life < LIVES; life++) {
        float observation[HB_ANT_OBSERVED], action[N_JOINTS];
        hb_env_step step;
        hb_env_outcome outcome = hb_env_ant.reset(body, 0, &random.base, observation, &step);
        double total = 0;
        const double start = distance_to_target(body);
        int steps = 0;
        while (outcome == HB_ENV_RUNNING) {
            for (int j = 0; j < N_JOINTS; j++) action[j] = lcg_next(&random.base) >> 31 ? 1.0f : -1.0f;
            outcome = hb_env_ant.step(body, action, observation, &step);
            for (int k = 0; k < HB_ANT_OBSERVED; k++) assert_true(observation[k] >= -5.0f && observation[k] <= 5.0f);
            total += step.fitness;
            steps++;
        }
        assert_int_equal(outcome, HB_ENV_DONE);
        assert_int_equal(steps, 960);
        check_close(total, (start - distance_to_target(body)) / 0.0165, 1e-6); // steps add up to the way gone
        sum += total / LIVES;
        within += fabs(total) < 300;
        largest = larger(largest, fabs(total));
    }
    print_message("random lives: mean %.1f, largest %.1f, %d of %d within 300\n", sum, largest, within, LIVES);
    assert_true(within >= LIVES * 9 / 10 && largest < 700);
    check_close(sum, 0, 60); // a life's sd is about 120, so this is 3 standard errors
    close_all(world, body);
}

// ---------------------------------------------------------------------------------------------------
// Symmetry: reflecting y exchanges legs 1 and 4, 2 and 3; hips turn the other way, ankles the same way

static const int mirrored_leg[4] = {3, 2, 1, 0};

static void mirror_joints(const double *from, double *to) {
    for (int k = 0; k < 4; k++) {
        to[2 * mirrored_leg[k]] = -from[2 * k];
        to[2 * mirrored_leg[k] + 1] = from[2 * k + 1];
    }
}

static void mirror_state(const mjData *from, mjData *to) {
    const double sign_q[7] = {1, -1, 1, 1, -1, 1, -1};
    const double sign_v[6] = {1, -1, 1, -1, 1, -1};
    for (int k = 0; k < 7; k++) to->qpos[k] = sign_q[k] * from->qpos[k];
    for (int k = 0; k < 6; k++) to->qvel[k] = sign_v[k] * from->qvel[k];
    mirror_joints(from->qpos + 7, to->qpos + 7);
    mirror_joints(from->qvel + 6, to->qvel + 6);
}

// Newton's solution does not depend on the order of contacts, so only rounding tells the twins apart: each
// step restarts from the mirrored state.
static void mirrored_motion(void **state) {
    (void)state;
    const ant_world *world = open_world((choice[]){{"solver", "newton"}, {NULL, NULL}});
    ant_body *a = open_body(world), *b = open_body(world);
    lcg random = {{lcg_next}, 3};
    float observation[HB_ANT_OBSERVED];
    hb_env_step step;
    hb_env_ant.reset(a, 0, &random.base, observation, &step);
    hb_env_ant.reset(b, 0, &random.base, observation, &step);
    const mjModel *model = world->model[0];
    mjData *expected = mj_makeData(model);
    double worst = 0;
    for (int t = 0; t < 300; t++) {
        mj_resetData(model, b->data[0]);
        mirror_state(a->data[0], b->data[0]);
        mj_step1(model, b->data[0]);
        double action[N_JOINTS], reflected[N_JOINTS];
        for (int j = 0; j < N_JOINTS; j++) action[j] = 2 * hb_env_uniform(&random.base) - 1;
        mirror_joints(action, reflected);
        memcpy(a->data[0]->ctrl, action, sizeof action);
        memcpy(b->data[0]->ctrl, reflected, sizeof reflected);
        mju_zero(a->data[0]->qacc_warmstart, model->nv); // the twin has none
        control(model, a->data[0]);
        control(model, b->data[0]);
        mirror_state(a->data[0], expected);
        for (int k = 0; k < 15; k++) worst = larger(worst, fabs(expected->qpos[k] - b->data[0]->qpos[k]));
        for (int k = 0; k < 14; k++) worst = larger(worst, 0.01 * fabs(expected->qvel[k] - b->data[0]->qvel[k]));
    }
    print_message("largest difference of mirrored steps: %.2g m or rad\n", worst);
    assert_true(worst < 1e-5);
    mj_deleteData(expected);
    hb_env_ant.body_destroy(b);
    close_all(world, a);
}

// ---------------------------------------------------------------------------------------------------
// Observation

// Velocity, roll, pitch and heading from the rotation matrix instead of the quaternion.
static void observation_by_matrix(void **state) {
    (void)state;
    const ant_world *world = open_world((choice[]){{"early_stop", "false"}, {NULL, NULL}});
    ant_body *body = open_body(world);
    lcg random = {{lcg_next}, 5};
    float observation[HB_ANT_OBSERVED], action[N_JOINTS];
    hb_env_step step;
    hb_env_ant.reset(body, 0, &random.base, observation, &step);
    float last_contact[4] = {0};
    for (int t = 0; t < 400; t++) {
        memcpy(last_contact, body->contact, sizeof last_contact);
        for (int j = 0; j < N_JOINTS; j++) action[j] = lcg_next(&random.base) >> 31 ? 1.0f : -1.0f;
        hb_env_ant.step(body, action, observation, &step);
        const mjData *data = body->data[0];
        mjtNum r[9];
        mju_quat2Mat(r, data->qpos + 3);
        const double yaw = atan2(r[3], r[0]), flat = hypot(r[0], r[3]);
        check_close(observation[0], data->qpos[2] - 0.75, 1e-6);
        check_close(hypot((double)observation[1], (double)observation[2]), 1, 1e-6);
        check_close(atan2((double)observation[1], (double)observation[2]), remainder(-yaw, 2 * M_PI), 2e-2);
        check_close(observation[3], fmax(-5, fmin(5, 0.3 * (r[0] * data->qvel[0] + r[3] * data->qvel[1]) / flat)),
                    1e-5);
        check_close(observation[4], fmax(-5, fmin(5, 0.3 * (r[0] * data->qvel[1] - r[3] * data->qvel[0]) / flat)),
                    1e-5);
        check_close(observation[6], atan2(r[7], r[8]), 1e-5);
        check_close(observation[7], asin(fmax(-1, fmin(1, -r[6]))), 1e-5);
        for (int k = 0; k < 4; k++) assert_true(observation[24 + k] == last_contact[k]); // one step old
        // hip 1: middle 0, half range 40 degrees; ankle 1: middle 65, half range 35
        const double deg = M_PI / 180;
        check_close(observation[8], fmax(-5, fmin(5, data->qpos[7] / (40 * deg))), 1e-5);
        check_close(observation[10], fmax(-5, fmin(5, (data->qpos[8] - 65 * deg) / (35 * deg))), 1e-5);
        check_close(observation[14], fmax(-5, fmin(5, (data->qpos[10] + 65 * deg) / (35 * deg))), 1e-5);
        check_close(observation[11], fmax(-5, fmin(5, 0.1 * data->qvel[7])), 1e-6);
    }
    close_all(world, body);
}

// A robot at rest stands on all its feet; one in the air touches nothing; one foot lifted is the one that is missing.
static void contacts_of_feet(void **state) {
    (void)state;
    const ant_world *world = open_world(NULL);
    ant_body *body = open_body(world);
    lcg random = {{lcg_next}, 1};
    float observation[HB_ANT_OBSERVED];
    const float rest[N_JOINTS] = {0};
    hb_env_step step;
    hb_env_ant.reset(body, 0, &random.base, observation, &step);
    for (int t = 0; t < 200; t++) hb_env_ant.step(body, rest, observation, &step);
    for (int k = 0; k < 4; k++) assert_true(observation[24 + k] == 1.0f);
    mjData *data = body->data[0];
    const double height = data->qpos[2];
    for (int lifted = -1; lifted < 4; lifted++) {
        double angles[8];
        memcpy(angles, data->qpos + 7, sizeof angles);
        if (lifted < 0) data->qpos[2] = 3.0;
        if (lifted >= 0) data->qpos[8 + 2 * lifted] = 0.0; // the foot level with the hip
        mj_forward(world->model[0], data);
        update_contacts(body);
        for (int k = 0; k < 4; k++) assert_true(body->contact[k] == (lifted >= 0 && k != lifted ? 1.0f : 0.0f));
        memcpy(data->qpos + 7, angles, sizeof angles);
        data->qpos[2] = height;
    }
    close_all(world, body);
}

// ---------------------------------------------------------------------------------------------------
// Physics

// Our order of stages is mj_step's: the same states to the bit.
static void control_is_mj_step(void **state) {
    (void)state;
    const ant_world *world = open_world(NULL);
    const mjModel *model = world->model[0];
    mjData *a = mj_makeData(model), *b = mj_makeData(model);
    mj_step1(model, a);
    lcg random = {{lcg_next}, 11};
    for (int t = 0; t < 200; t++) {
        for (int j = 0; j < N_JOINTS; j++) a->ctrl[j] = b->ctrl[j] = 2 * hb_env_uniform(&random.base) - 1;
        control(model, a);
        for (int k = 0; k < HB_ANT_SUBSTEPS; k++) mj_step(model, b);
        assert_memory_equal(a->qpos, b->qpos, 15 * sizeof(mjtNum));
        assert_memory_equal(a->qvel, b->qvel, 14 * sizeof(mjtNum));
    }
    mj_deleteData(a);
    mj_deleteData(b);
    close_all(world, NULL);
}

// The default solver against the converged one, from the same states: mean relative error of the acceleration.
static void default_solver_is_converged_enough(void **state) {
    (void)state;
    const ant_world *fast = open_world((choice[]){{"profile", "light"}, {NULL, NULL}}),
                    *exact = open_world((choice[]){{"profile", "light"}, {"solver", "newton"}, {NULL, NULL}});
    ant_body *body = open_body(fast);
    mjData *reference = mj_makeData(exact->model[0]);
    lcg random = {{lcg_next}, 13};
    float observation[HB_ANT_OBSERVED], action[N_JOINTS];
    hb_env_step step;
    double sum = 0;
    int n = 0;
    while (n < 1500) {
        hb_env_outcome outcome = hb_env_ant.reset(body, 0, &random.base, observation, &step);
        for (int t = 0; t < 300 && outcome == HB_ENV_RUNNING; t++) {
            for (int j = 0; j < N_JOINTS; j++) action[j] = lcg_next(&random.base) >> 31 ? 1.0f : -1.0f;
            mjData *data = body->data[0];
            mj_copyState(fast->model[0], data, reference, mjSTATE_INTEGRATION);
            mj_forward(fast->model[0], data);
            mj_forward(exact->model[0], reference);
            double difference = 0, size = 0;
            for (int k = 0; k < 14; k++) {
                difference += pow(data->qacc[k] - reference->qacc[k], 2);
                size += pow(reference->qacc[k], 2);
            }
            sum += sqrt(difference / size);
            n++;
            outcome = hb_env_ant.step(body, action, observation, &step);
        }
    }
    print_message("acceleration, pgs against newton: mean relative difference %.2g\n", sum / n);
    assert_true(sum / n < 2e-3);
    mj_deleteData(reference);
    close_all(exact, NULL);
    close_all(fast, body);
}

// ---------------------------------------------------------------------------------------------------
// Endings and bad input

static void bad_actions_and_divergence(void **state) {
    (void)state;
    const ant_world *world = open_world(NULL);
    ant_body *body = open_body(world);
    lcg random = {{lcg_next}, 1};
    float observation[HB_ANT_OBSERVED];
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    hb_env_step step;
    for (int k = 0; k < 3; k++) {
        float action[N_JOINTS] = {0};
        assert_int_equal(hb_env_ant.reset(body, k, &random.base, observation, &step), HB_ENV_RUNNING);
        action[k] = bad[k];
        assert_int_equal(hb_env_ant.step(body, action, observation, &step), HB_ENV_DIVERGED);
        assert_true(step.fitness == 0);
    }
    const float rest[N_JOINTS] = {0};
    for (int k = 0; k < 2; k++) {
        hb_env_ant.reset(body, 0, &random.base, observation, &step);
        body->data[0]->qvel[3] = k ? NAN : 1e12;
        assert_int_equal(hb_env_ant.step(body, rest, observation, &step), HB_ENV_DIVERGED);
        assert_true(step.fitness == 0);
    }
    assert_int_equal(hb_env_ant.reset(body, 0, &random.base, observation, &step),
                     HB_ENV_RUNNING); // as if nothing was
    assert_int_equal(hb_env_ant.step(body, rest, observation, &step), HB_ENV_RUNNING);
    close_all(world, body);
}

// Height and progress are ignored for the first 201 policy steps; a robot on its back ends with the 202nd.
static void early_stop(void **state) {
    (void)state;
    const ant_world *world = open_world(NULL);
    ant_body *body = open_body(world);
    lcg random = {{lcg_next}, 1};
    float observation[HB_ANT_OBSERVED];
    const float rest[N_JOINTS] = {0};
    hb_env_step step;
    for (int dead = 0; dead < 2; dead++) {
        hb_env_ant.reset(body, 0, &random.base, observation, &step);
        hb_env_outcome outcome = HB_ENV_RUNNING;
        int steps = 0;
        while (outcome == HB_ENV_RUNNING) {
            // Either low from the start, or pushed backwards all the time.
            if (dead) body->data[0]->qpos[2] = 0.2, body->data[0]->qvel[2] = -5.0;
            if (!dead) body->data[0]->qvel[0] = -1.0;
            outcome = hb_env_ant.step(body, rest, observation, &step);
            steps++;
        }
        assert_int_equal(outcome, HB_ENV_DONE);
        assert_int_equal(steps, dead ? 202 : 201 + 31);
    }
    close_all(world, body);
}

static void bad_models(void **state) {
    (void)state;
    char message[512];
    void *world = NULL;
    choice missing[] = {{"model", "/nonexistent/body.xml"}, {NULL, NULL}};
    assert_int_equal(
        hb_env_ant.world_create(&(hb_env_settings){choose, missing, &hb_env_ant}, &world, message, sizeof message),
        -1);
    assert_non_null(strstr(message, "env.model: cannot read '/nonexistent/body.xml'"));
    const char *path = "test_ant_body.xml";
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("<mujoco><worldbody><body><freejoint/><geom name='torso' size='1'/></body></worldbody></mujoco>", file);
    fclose(file);
    choice other[] = {{"model", path}, {NULL, NULL}};
    assert_int_equal(
        hb_env_ant.world_create(&(hb_env_settings){choose, other, &hb_env_ant}, &world, message, sizeof message), -1);
    assert_non_null(strstr(message, "env.model: the body has no"));
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masses),
        cmocka_unit_test(heights_after_burn_in),
        cmocka_unit_test(translation_in_units),
        cmocka_unit_test(random_actions_go_nowhere),
        cmocka_unit_test(mirrored_motion),
        cmocka_unit_test(observation_by_matrix),
        cmocka_unit_test(contacts_of_feet),
        cmocka_unit_test(control_is_mj_step),
        cmocka_unit_test(default_solver_is_converged_enough),
        cmocka_unit_test(bad_actions_and_divergence),
        cmocka_unit_test(early_stop),
        cmocka_unit_test(bad_models),
    };
    return cmocka_run_group_tests_name("ant", tests, NULL, NULL);
}
