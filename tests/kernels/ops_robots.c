// Robots of every device and build against the code of one robot at a time: states in and after falls, on the floor and at the
// joints' stops, of a robot that is like the Ant but no two of whose legs are equal. That the arithmetic is MuJoCo's problem is
// shown elsewhere (tests/envs/test_rigid.c).
#include "tests/kernels/ops.h"

#include <math.h>

enum { ROBOTS = 150, JOINTS = 8, SPHERES = 9, LOST = 77 }; // more than a block of CUDA's

static uint32_t drawn;

static double uniform(double low, double high) {
    return low + (high - low) * hb_philox(drawn++, 3, 0, 0, 1, 1).word[0] * (1.0 / 4294967296.0);
}

static void put3(double *to, double x, double y, double z) {
    to[0] = x, to[1] = y, to[2] = z;
}

// A link on a hinge about `axis` (a unit vector) whose frame is its parent's at angle 0: R(q) = a a' + cos q (1 - a a') + sin q [a].
static void make_link(hb_rigid_numbers *c, int k, int l, const double axis[3], double length, double angle) {
    const double x = axis[0], y = axis[1], z = axis[2], cross[9] = {0, -z, y, z, 0, -x, -y, x, 0};
    const double mass = uniform(0.4, 0.9), side = mass * length * length / 12;
    put3(c->link[k][l].position, l == 0 ? 0.2 * cos(angle) : length * cos(angle),
         l == 0 ? 0.2 * sin(angle) : length * sin(angle), 0);
    put3(c->link[k][l].axis, x, y, z);
    for (int i = 0; i < 9; i++) {
        c->link[k][l].rotation[i] = axis[i / 3] * axis[i % 3];
        c->link[k][l].cosine[i] = (i % 4 == 0) - axis[i / 3] * axis[i % 3];
        c->link[k][l].sine[i] = cross[i];
    }
    c->link[k][l].mass = mass;
    put3(c->link[k][l].com, length / 2 * cos(angle), length / 2 * sin(angle), 0);
    put3(c->link[k][l].inertia, side, side, 1.1 * side);
    c->link[k][l].gear = 30;
    c->link[k][l].lower = l == 0 ? -0.7 : -0.5;
    c->link[k][l].upper = l == 0 ? 0.7 : 1.2;
    c->link[k][l].inverse_mass = uniform(0.5, 1.5);
    c->link[k][l].marks = k + 1;
    put3(c->link[k][l].moment, uniform(-1, 1), uniform(-1, 1), uniform(-1, 1));
}

static hb_rigid_model make_robot(bool damped) {
    hb_rigid_model model = {.chains = 4, .links = 2, .spheres = SPHERES, .damped = damped, .sweeps = 10};
    hb_rigid_numbers *c = &model.numbers;
    c->step = 0.004125, c->gravity = 9.81;
    for (int i = 0; i < 2; i++) c->root_armature[i] = c->root_damping[i] = damped;
    c->root.mass = 6;
    put3(c->root.com, 0.01, -0.02, 0.005);
    put3(c->root.inertia, 0.16, 0.18, 0.2);
    put3(c->root.moment, 0.1, 0.2, 0.3);
    for (int k = 0; k < 4; k++) {
        const double angle = M_PI / 4 * (2 * k + 1), across[3] = {-sin(angle), cos(angle), 0}, up[3] = {0, 0, 1};
        make_link(c, k, 0, up, 0.28, angle);
        make_link(c, k, 1, across, 0.56, angle);
        for (int l = 0; l < 2; l++) c->link[k][l].armature = c->link[k][l].damping = damped;
    }
    for (int s = 0; s < SPHERES; s++) {
        const int k = (s - 1) / 2, body = s == 0 ? 0 : s;
        model.sphere_body[s] = body;
        model.sphere_turns[s] = s % 2;
        const double far = s == 0 ? 0 : s % 2 ? 0.28 : 0.56, angle = M_PI / 4 * (2 * k + 1);
        put3(c->sphere[s].centre, far * cos(angle), far * sin(angle), 0);
        put3(c->sphere[s].axis, 1, 0, 0);
        c->sphere[s].radius = s == 0 ? 0.25 : 0.08;
        c->sphere[s].inverse_mass = uniform(0.1, 0.3);
    }
    c->contact.stiffness = 2500, c->contact.damping = 100, c->contact.inverse_width = 1000;
    c->limit.stiffness = 2500, c->limit.damping = 100, c->limit.inverse_width = 1000;
    for (int i = 0; i < 2; i++) c->contact.impedance[i] = c->limit.impedance[i] = i == 0 ? 0.9 : 0.95;
    c->friction = 1.2, c->margin = 0.01;
    hb_rigid_round(&model);
    return model;
}

// Robots that fall from various heights and have been driven for various times; one of them is not a number.
static float *lived(const hb_rigid_model *model, const hb_rigid_code *one) {
    const hb_rigid_layout at = hb_rigid_layout_of(4, 2);
    float *all = floats((size_t)at.arrays * ROBOTS), state[128] __attribute__((aligned(64)));
    void *scratch = aligned_alloc(64, (one->scratch + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int r = 0; r < ROBOTS; r++) {
        memset(state, 0, sizeof state);
        state[at.position + 2] = (float)uniform(0.26, 0.5);
        state[at.position + 3] = 1.0f;
        for (int j = 0; j < JOINTS; j++) state[at.position + 7 + j] = (float)uniform(-0.3, 0.3);
        for (int t = 0; t < r % 75; t++) {
            for (int j = 0; j < JOINTS; j++) state[at.control + j] = (float)uniform(-1, 1);
            one->step(model, state, scratch, 4);
        }
        if (r == LOST) state[at.speed + 7] = NAN;
        for (int a = 0; a < at.arrays; a++) all[a * ROBOTS + r] = state[a];
    }
    free(scratch);
    return all;
}

static float *stepped(const hb_rigid_model *model, const hb_rigid_code *one, const float *before, int steps) {
    const int arrays = hb_rigid_layout_of(4, 2).arrays;
    float *after = floats((size_t)arrays * ROBOTS), state[128] __attribute__((aligned(64)));
    void *scratch = aligned_alloc(64, (one->scratch + 63) / 64 * 64);
    assert_non_null(scratch);
    for (int r = 0; r < ROBOTS; r++) {
        for (int a = 0; a < arrays; a++) state[a] = before[a * ROBOTS + r];
        one->step(model, state, scratch, steps);
        one->look(model, state, scratch);
        for (int a = 0; a < arrays; a++) after[a * ROBOTS + r] = state[a];
    }
    free(scratch);
    return after;
}

// Numbers that are not one differ in their bits from machine to machine.
static int differences(const float *a, const float *b, size_t n) {
    int count = 0;
    for (size_t k = 0; k < n; k++) count += hb_bits(a[k]) != hb_bits(b[k]) && !(isnan(a[k]) && isnan(b[k]));
    return count;
}

static void check_robots(bool damped, bool runge_kutta) {
    enum { STEPS = 6, MIDDLE = 61 };
    const hb_rigid_code *one = hb_rigid_code_4x2(1);
    const size_t n = (size_t)hb_rigid_layout_of(4, 2).arrays * ROBOTS;
    hb_rigid_model model = make_robot(damped);
    model.runge_kutta = runge_kutta;
    float *before = lived(&model, one), *expected = stepped(&model, one, before, STEPS), *got = floats(n);
    int touching = 0;
    for (int r = 0; r < 9 * ROBOTS; r++) touching += expected[hb_rigid_layout_of(4, 2).touch * ROBOTS + r] != 0;
    assert_true(touching > ROBOTS / 2); // the floor is met
    assert_true(isnan(expected[LOST]) && !isnan(expected[LOST + 1]));
    opened list[8];
    const int devices = open_all(list);
    for (int d = 0; d < devices; d++) {
        hb_error error;
        hb_memory state = uploaded(&list[d], before, n);
        hb_rigid_model passing = model; // may change as soon as the call returns
        check_ok(hb_device_robots_step(list[d].device, &passing, state, ROBOTS, MIDDLE, ROBOTS, STEPS, &error),
                 error);
        memset(&passing, 0xff, sizeof passing);
        download(&list[d], got, state, n);
        for (size_t k = 0; k < n; k++) // those before MIDDLE are as they were
            if (k % ROBOTS < MIDDLE) assert_int_equal(hb_bits(got[k]), hb_bits(before[k]));
        check_ok(hb_device_robots_step(list[d].device, &model, state, ROBOTS, 0, MIDDLE, STEPS, &error), error);
        check_ok(hb_device_robots_step(list[d].device, &model, state, ROBOTS, 5, 5, STEPS, &error), error);
        download(&list[d], got, state, n);
        assert_int_equal(differences(got, expected, n), 0);
        passing = model;
        passing.chains = 3;
        assert_int_equal(hb_device_robots_step(list[d].device, &passing, state, ROBOTS, 0, 1, 1, &error),
                         HB_BAD_INPUT);
        assert_non_null(strstr(error.message, "a robot of 3 chains of 2 links, expected 4 of 2"));
        hb_device_free(list[d].device, state);
    }
    close_all(list, devices);
    free(before);
    free(expected);
    free(got);
}

static void robots_with_damped_joints(void **unused) {
    (void)unused;
    check_robots(true, false);
}

static void robots_without_damping(void **unused) {
    (void)unused;
    check_robots(false, false);
    check_robots(true, true);
}

int ops_robots(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(robots_with_damped_joints),
                                       cmocka_unit_test(robots_without_damping)};
    return cmocka_run_group_tests_name("robots", tests, NULL, NULL);
}
