#include "envs/classic/classic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

// A step's reward, and whether the episode is over.
typedef struct {
    double reward;
    bool over;
} earned;

typedef struct {
    const char *name;
    int32_t observation_size, action_size, max_steps;
    bool continuous;
    double step_seconds;
    void (*reset)(double *state, hb_env_random *random);
    earned (*step)(double *state, int32_t choice, float command);
    void (*observe)(const double *state, float *observation);
} task;

typedef struct {
    const task *task;
    hb_action_range range[3];
} classic_world;

typedef struct {
    const classic_world *world;
    double state[HB_CLASSIC_STATE];
} classic_body;

static double clip(double x, double least, double most) {
    return x < least ? least : x > most ? most : x;
}

static void draw(double *state, int n, double most, hb_env_random *random) {
    for (int k = 0; k < n; k++) state[k] = most * (2 * hb_env_uniform(random) - 1);
}

// ---------------------------------------------------------------------------------------------------
// Cart pole: x, speed, angle, its speed; m, m/s, rad, rad/s. Barto, Sutton, Anderson 1983; Florian 2007.

static void cart_pole_reset(double *state, hb_env_random *random) {
    draw(state, 4, 0.05, random);
}

static earned cart_pole_step(double *state, int32_t choice, float command) {
    static const double gravity = 9.8, pole = 0.1, total = 0.1 + 1.0, length = 0.5, tau = 0.02;
    (void)command;
    const double force = choice == 1 ? 10.0 : -10.0, cosine = cos(state[2]), sine = sin(state[2]);
    const double moment = pole * length;
    const double push = (force + moment * (state[3] * state[3]) * sine) / total;
    const double turn = (gravity * sine - cosine * push) / (length * (4.0 / 3.0 - pole * (cosine * cosine) / total));
    const double pull = push - moment * turn * cosine / total;
    state[0] += tau * state[1];
    state[1] += tau * pull;
    state[2] += tau * state[3];
    state[3] += tau * turn;
    return (earned){1, fabs(state[0]) > 2.4 || fabs(state[2]) > 12 * 2 * PI / 360};
}

static void see_state_of_4(const double *state, float *observation) {
    for (int k = 0; k < 4; k++) observation[k] = (float)state[k];
}

// ---------------------------------------------------------------------------------------------------
// Acrobot: angles of both links, their speeds; rad, rad/s. Sutton and Barto; links of 1 m and 1 kg.

static void acrobot_reset(double *state, hb_env_random *random) {
    draw(state, 4, 0.1, random);
    for (int k = 0; k < 4; k++) state[k] = (double)(float)state[k];
}

static void acrobot_derivative(const double *s, double torque, double *ds) {
    static const double m1 = 1, m2 = 1, l1 = 1, lc1 = 0.5, lc2 = 0.5, i1 = 1, i2 = 1, g = 9.8;
    const double d1 = m1 * (lc1 * lc1) + m2 * (l1 * l1 + lc2 * lc2 + 2 * l1 * lc2 * cos(s[1])) + i1 + i2;
    const double d2 = m2 * (lc2 * lc2 + l1 * lc2 * cos(s[1])) + i2;
    const double phi2 = m2 * lc2 * g * cos(s[0] + s[1] - PI / 2.0);
    const double phi1 = -m2 * l1 * lc2 * (s[3] * s[3]) * sin(s[1]) - 2 * m2 * l1 * lc2 * s[3] * s[2] * sin(s[1]) +
                        (m1 * lc1 + m2 * l1) * g * cos(s[0] - PI / 2) + phi2;
    ds[3] = (torque + d2 / d1 * phi1 - m2 * l1 * lc2 * (s[2] * s[2]) * sin(s[1]) - phi2) /
            (m2 * (lc2 * lc2) + i2 - d2 * d2 / d1);
    ds[2] = -(d2 * ds[3] + phi1) / d1;
    ds[0] = s[2];
    ds[1] = s[3];
}

// Runge and Kutta's fourth order, 0.2 s.
static void acrobot_move(double *state, double torque) {
    static const double dt = 0.2;
    double k1[4], k2[4], k3[4], k4[4], at[4];
    acrobot_derivative(state, torque, k1);
    for (int k = 0; k < 4; k++) at[k] = state[k] + dt / 2 * k1[k];
    acrobot_derivative(at, torque, k2);
    for (int k = 0; k < 4; k++) at[k] = state[k] + dt / 2 * k2[k];
    acrobot_derivative(at, torque, k3);
    for (int k = 0; k < 4; k++) at[k] = state[k] + dt * k3[k];
    acrobot_derivative(at, torque, k4);
    for (int k = 0; k < 4; k++) state[k] += dt / 6.0 * (k1[k] + 2 * k2[k] + 2 * k3[k] + k4[k]);
}

static double wrap(double angle) {
    while (angle > PI) angle -= 2 * PI;
    while (angle < -PI) angle += 2 * PI;
    return angle;
}

static earned acrobot_step(double *state, int32_t choice, float command) {
    (void)command;
    acrobot_move(state, choice - 1);
    state[0] = wrap(state[0]);
    state[1] = wrap(state[1]);
    state[2] = clip(state[2], -4 * PI, 4 * PI);
    state[3] = clip(state[3], -9 * PI, 9 * PI);
    const bool over = -cos(state[0]) - cos(state[1] + state[0]) > 1.0;
    return (earned){over ? 0 : -1, over};
}

static void acrobot_observe(const double *state, float *observation) {
    for (int k = 0; k < 2; k++) {
        observation[2 * k] = (float)cos(state[k]);
        observation[2 * k + 1] = (float)sin(state[k]);
        observation[4 + k] = (float)state[2 + k];
    }
}

// ---------------------------------------------------------------------------------------------------
// Mountain car: position, speed. Moore 1990.

static void mountain_car_reset(double *state, hb_env_random *random) {
    state[0] = -0.6 + 0.2 * hb_env_uniform(random);
    state[1] = 0;
}

static earned mountain_car_step(double *state, int32_t choice, float command) {
    (void)command;
    state[1] = clip(state[1] + ((choice - 1) * 0.001 + cos(3 * state[0]) * -0.0025), -0.07, 0.07);
    state[0] = clip(state[0] + state[1], -1.2, 0.6);
    if (state[0] == -1.2 && state[1] < 0) state[1] = 0;
    return (earned){-1, state[0] >= 0.5 && state[1] >= 0};
}

// In float, as theirs.
static void continuous_car_reset(double *state, hb_env_random *random) {
    mountain_car_reset(state, random);
    state[0] = (double)(float)state[0];
}

static earned continuous_car_step(double *state, int32_t choice, float command) {
    (void)choice;
    float x = (float)state[0], v = (float)state[1];
    const float force = command > 1 ? 1.0f : command < -1 ? -1.0f : command; // the command itself is paid for
    v += force * 0.0015f - (float)(0.0025 * cos((double)(3.0f * x)));
    v = v > 0.07f ? 0.07f : v < -0.07f ? -0.07f : v;
    x += v;
    x = x > 0.6f ? 0.6f : x < -1.2f ? -1.2f : x;
    if (x == -1.2f && v < 0) v = 0;
    const bool over = (double)x >= 0.45 && v >= 0;
    state[0] = (double)x;
    state[1] = (double)v;
    return (earned){(over ? 100.0 : 0.0) - (double)command * (double)command * 0.1, over};
}

static void see_state_of_2(const double *state, float *observation) {
    for (int k = 0; k < 2; k++) observation[k] = (float)state[k];
}

// ---------------------------------------------------------------------------------------------------
// Pendulum: angle from upright, its speed; rad, rad/s. 1 m, 1 kg, g = 10.

static void pendulum_reset(double *state, hb_env_random *random) {
    draw(state, 1, PI, random);
    draw(state + 1, 1, 1, random);
}

static earned pendulum_step(double *state, int32_t choice, float command) {
    (void)choice;
    const float torque = 2.0f * (command > 1 ? 1.0f : command < -1 ? -1.0f : command);
    double angle = fmod(state[0] + PI, 2 * PI);
    if (angle < 0) angle += 2 * PI;
    angle -= PI;
    const double cost = angle * angle + 0.1 * (state[1] * state[1]) + (double)(0.001f * (torque * torque));
    state[1] = clip(state[1] + (15.0 * sin(state[0]) + (double)(3.0f * torque)) * 0.05, -8, 8);
    state[0] += state[1] * 0.05;
    return (earned){-cost, false};
}

static void pendulum_observe(const double *state, float *observation) {
    observation[0] = (float)cos(state[0]);
    observation[1] = (float)sin(state[0]);
    observation[2] = (float)state[1];
}

// ---------------------------------------------------------------------------------------------------
// The table

static const task tasks[] = {
    {"CartPole-v1", 4, 2, 500, false, 0.02, cart_pole_reset, cart_pole_step, see_state_of_4},
    {"Acrobot-v1", 6, 3, 500, false, 0.2, acrobot_reset, acrobot_step, acrobot_observe},
    {"MountainCar-v0", 2, 3, 200, false, 0, mountain_car_reset, mountain_car_step, see_state_of_2},
    {"MountainCarContinuous-v0", 2, 1, 999, true, 0, continuous_car_reset, continuous_car_step, see_state_of_2},
    {"Pendulum-v1", 3, 1, 200, true, 0.05, pendulum_reset, pendulum_step, pendulum_observe},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

static const char *const names[] = {"CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0",
                                    "Pendulum-v1", NULL};

static const hb_env_option options[] = {
    {"task", HB_OPTION_CHOICE, "CartPole-v1", 0, 0, names, "one of Gymnasium's", NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

static int classic_world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    classic_world *world = calloc(1, sizeof *world);
    if (!world) return snprintf(message, size, "out of memory for a world"), -1;
    const char *name = hb_env_setting(settings, "task");
    world->task = tasks;
    for (int k = 0; k < TASKS; k++)
        if (strcmp(tasks[k].name, name) == 0) world->task = &tasks[k];
    for (int k = 0; k < 3; k++) world->range[k] = world->task->continuous ? HB_ACTION_CLIPPED : HB_ACTION_ANY;
    *out = world;
    return 0;
}

static void classic_shape(const void *handle, hb_env_shape *shape) {
    const classic_world *world = handle;
    const task *t = world->task;
    *shape = (hb_env_shape){.observation_size = t->observation_size,
                            .action_size = t->action_size,
                            .action_range = world->range,
                            .max_steps = t->max_steps,
                            .step_seconds = t->step_seconds,
                            .width = 1};
}

static int classic_body_create(const void *world, int32_t width, void **out, char *message, size_t size) {
    (void)width;
    classic_body *body = calloc(1, sizeof *body);
    if (!body) return snprintf(message, size, "out of memory for a body"), -1;
    body->world = world;
    *out = body;
    return 0;
}

static hb_env_outcome classic_reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                                    hb_env_step *out) {
    classic_body *body = handle;
    (void)variation;
    *out = (hb_env_step){.fitness = 0};
    body->world->task->reset(body->state, random);
    body->world->task->observe(body->state, observation);
    return HB_ENV_RUNNING;
}

static hb_env_outcome classic_step(void *handle, const float *action, void *observation, hb_env_step *out) {
    classic_body *body = handle;
    const task *t = body->world->task;
    int32_t choice = 0;
    *out = (hb_env_step){.substeps = 1};
    for (int32_t k = 0; k < t->action_size; k++) {
        if (!isfinite(action[k])) return HB_ENV_DIVERGED;
        if (action[k] > action[choice]) choice = k;
    }
    const earned e = t->step(body->state, choice, action[0]);
    out->fitness = out->reward = e.reward;
    t->observe(body->state, observation);
    return e.over ? HB_ENV_DONE : HB_ENV_RUNNING;
}

void hb_classic_put(void *handle, const double *state) {
    memcpy(((classic_body *)handle)->state, state, HB_CLASSIC_STATE * sizeof *state);
}

static const char *const variations[] = {"default", NULL};

const hb_env_table hb_env_classic = {.abi = HB_ENV_ABI,
                                     .name = "classic",
                                     .summary =
                                         "Gymnasium's classic control: CartPole, Acrobot, MountainCar, Pendulum",
                                     .variations = variations,
                                     .options = options,
                                     .world_create = classic_world_create,
                                     .world_destroy = free,
                                     .shape = classic_shape,
                                     .body_create = classic_body_create,
                                     .body_destroy = free,
                                     .reset = classic_reset,
                                     .step = classic_step};
