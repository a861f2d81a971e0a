#include "envs/ant/ant.h"
#include "envs/ant/lanes.h"
#include "envs/mujoco/camera.h"
#include "envs/mujoco/log.h"
#include "envs/mujoco/rigid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_JOINTS   HB_ANT_JOINTS
#define N_CAPSULES 12
#define MAX_BODIES 8

// Where the parts that the observation needs are in a model.
typedef struct {
    int torso;
    int capsule[N_CAPSULES]; // geoms
    int joint[N_JOINTS];     // hip1, ankle1, ..., ankle4
    int position[N_JOINTS];  // of the joint in qpos
    int velocity[N_JOINTS];  // of the joint in qvel
    int foot_of_geom[64];    // leg 0..3 of a foot geom, else -1
    int floor;
} parts;

typedef enum { MUJOCO, LANES } engine;

typedef struct {
    int n_bodies;
    engine engine;
    mjModel *model[MAX_BODIES];
    parts parts[MAX_BODIES];
    hb_rigid_model rigid[MAX_BODIES]; // engine lanes
    hb_ant_rules rules;
} ant_world;

// One life by either engine, or several in lanes.
typedef struct {
    const ant_world *world;
    hb_ant_lanes *lanes;      // engine lanes
    mjData *data[MAX_BODIES]; // of the variations that were lived here; engine lanes: drawn
    int variation;
    hb_ant_life life;
    float contact[4];                     // of the last step
    hb_mujoco_camera *camera[MAX_BODIES]; // opened for the first picture
} ant_body;

// ---------------------------------------------------------------------------------------------------
// World

static const char *const profiles[] = {"light", "mjcf", "bullet", NULL};
static const char *const positions[] = {"parts", "torso", NULL};
static const char *const first_observations[] = {"after_burn_in", "reset", NULL};
static const char *const solvers[] = {"pgs", "newton", NULL};
static const char *const engines[] = {"mujoco", "lanes", NULL};

static const hb_env_option options[] = {
    {"engine", HB_OPTION_CHOICE, "lanes", 0, 0, engines,
     "what computes the physics: mujoco, or lanes, the same problem for many robots at once, some 20 times faster",
     "mujoco"},
    {"sweeps", HB_OPTION_INT, "0", 0, 10000, NULL,
     "lanes: sweeps of the contact solver; 0: 10 for light, 12 for mjcf, 20 for bullet", NULL},
    {"profile", HB_OPTION_CHOICE, "bullet", 0, 0, profiles,
     "masses and motors: light (gear 60), mjcf (the XML's gear 150), bullet (182 kg, 250 N m)", NULL},
    {"position", HB_OPTION_CHOICE, "parts", 0, 0, positions,
     "what progress follows: parts (mean of 22 parts, as PyBullet), torso", NULL},
    {"first_observation", HB_OPTION_CHOICE, "after_burn_in", 0, 0, first_observations,
     "what the policy sees first: after_burn_in, or reset as NR's code", NULL},
    {"burn_in", HB_OPTION_INT, "40", 0, 1000, NULL, "env steps without action before the policy's first", NULL},
    {"early_stop", HB_OPTION_BOOL, "true", 0, 0, NULL,
     "end a life that falls or makes no progress for 31 steps after the 201st", NULL},
    {"friction", HB_OPTION_REAL, "1.2", 0, 100, NULL, "sliding friction of floor and robot; the XML's is 1.5", NULL},
    {"solver", HB_OPTION_CHOICE, "pgs", 0, 0, solvers,
     "mujoco: contact solver, pgs (8 iterations) or newton (to convergence, a sixth slower)", NULL},
    {"model", HB_OPTION_FILE, "", 0, 0, NULL,
     "an MJCF file in place of every built-in body, its masses, motors and friction included", NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

// In `light` the free joint takes the XML's default armature and damping (1 kg, 1 kg m^2; 1 N s/m, 1 N m s/rad) like
// every other joint. Without them 60 N m act on a torso of 0.05 kg m^2 and turn it over within a few steps: then
// neither kind of network learns (docs/ant.md has the curves). The XML itself sets both to 0, so `mjcf` does.
static const hb_ant_physics profile_physics[] = {
    {.density = 5, .armature = 1, .damping = 1, .root = 1, .gear_hip = 60, .gear_ankle = 60},
    {.density = 5, .armature = 1, .damping = 1, .gear_hip = 150, .gear_ankle = 150},
    {.density = 1000, .armature = 0, .damping = 0, .gear_hip = 250, .gear_ankle = 177},
};

// Lanes: the fewest sweeps that are nearer to the solution than MuJoCo's PGS with 8, and that give evolved gaits the returns that
// MuJoCo gives them (docs/ant.md).
static const int profile_sweeps[] = {10, 12, 20};

static int word_index(const char *const *words, const char *word) {
    for (int k = 0; words[k]; k++)
        if (strcmp(words[k], word) == 0) return k;
    return 0;
}

// The id of a named part, of leg 1..4, or of the whole robot (0). A missing name is reported in message.
static int find(const mjModel *model, int type, const char *part, int leg, char *message, size_t size) {
    char name[32];
    if (leg)
        snprintf(name, sizeof name, "%s%d", part, leg);
    else
        snprintf(name, sizeof name, "%s", part);
    const int id = mj_name2id(model, type, name);
    if (id < 0) snprintf(message, size, "env.model: the body has no '%s'", name);
    return id;
}

static int find_parts(const mjModel *model, parts *p, char *message, size_t size) {
    message[0] = '\0';
    p->torso = find(model, mjOBJ_GEOM, "torso", 0, message, size);
    p->floor = find(model, mjOBJ_GEOM, "floor", 0, message, size);
    for (int g = 0; g < 64; g++) p->foot_of_geom[g] = -1;
    for (int k = 0; k < 4 && !message[0]; k++) {
        p->capsule[3 * k] = find(model, mjOBJ_GEOM, "aux", k + 1, message, size);
        p->capsule[3 * k + 1] = find(model, mjOBJ_GEOM, "upper", k + 1, message, size);
        p->capsule[3 * k + 2] = find(model, mjOBJ_GEOM, "foot", k + 1, message, size);
        p->joint[2 * k] = find(model, mjOBJ_JOINT, "hip", k + 1, message, size);
        p->joint[2 * k + 1] = find(model, mjOBJ_JOINT, "ankle", k + 1, message, size);
        if (message[0]) break;
        if (p->capsule[3 * k + 2] >= 64) return snprintf(message, size, "env.model: more than 64 geoms"), -1;
        p->foot_of_geom[p->capsule[3 * k + 2]] = k;
        for (int j = 2 * k; j < 2 * k + 2; j++) {
            p->position[j] = model->jnt_qposadr[p->joint[j]];
            p->velocity[j] = model->jnt_dofadr[p->joint[j]];
        }
    }
    if (!message[0] && (model->nq != 15 || model->nv != 14 || model->nu != N_JOINTS))
        snprintf(message, size, "env.model: expected 15 positions, 14 speeds, 8 motors, found %d, %d, %d",
                 (int)model->nq, (int)model->nv, (int)model->nu);
    for (int j = 0; j < N_JOINTS && !message[0]; j++) {
        const int id = p->joint[j];
        const mjtNum *range = model->jnt_range + 2 * id;
        if (model->jnt_type[id] != mjJNT_HINGE || !model->jnt_limited[id] || !(range[0] < range[1]))
            snprintf(message, size, "env.model: joint %d (hip1, ankle1, ...) must be a limited hinge", j + 1);
        else if (model->actuator_trntype[j] != mjTRN_JOINT || model->actuator_trnid[2 * j] != id)
            snprintf(message, size, "env.model: motor %d must drive joint %d of hip1, ankle1, ..., ankle4", j + 1,
                     j + 1);
    }
    if (!message[0] && (model->jnt_type[0] != mjJNT_FREE || model->jnt_qposadr[0] != 0))
        snprintf(message, size, "env.model: the first joint must be the torso's free joint");
    return message[0] ? -1 : 0;
}

static void ant_world_destroy(void *handle) {
    ant_world *world = handle;
    if (!world) return;
    for (int k = 0; k < world->n_bodies; k++) mj_deleteModel(world->model[k]);
    free(world);
}

// The robot of variation k as rigid chains, with the parts that progress follows.
static int read_rigid(ant_world *world, int k, int sweeps, char *message, size_t size) {
    const mjModel *model = world->model[k];
    const parts *p = &world->parts[k];
    if (hb_mujoco_rigid(model, 4, 2, &world->rigid[k], message, size) != 0) return -1;
    for (int j = 0; j < N_JOINTS; j++) {
        const mjtNum *range = model->actuator_ctrlrange + 2 * j;
        if (world->rigid[k].motor[j / 2][j % 2] != j || range[0] != -1 || range[1] != 1)
            return snprintf(
                       message, size,
                       "env.engine: 'lanes' needs motors in the order of their joints, with commands from -1 to 1; "
                       "env.engine=mujoco does not"),
                   -1;
    }
    double centre[3][4][3];
    for (int leg = 0; leg < 4; leg++)
        for (int part = 0; part < 3; part++) {
            const int geom = p->capsule[3 * leg + part], body = part == 0 ? 1 : 1 + 2 * leg + part;
            if (model->geom_bodyid[geom] != body || p->position[2 * leg] != 7 + 2 * leg)
                return snprintf(message, size,
                                "env.engine: 'lanes' needs the built-in order of legs; env.engine=mujoco does not"),
                       -1;
            memcpy(centre[part][leg], model->geom_pos + 3 * geom, sizeof centre[part][leg]);
        }
    const mjtNum *torso = model->geom_pos + 3 * p->torso;
    if (model->geom_bodyid[p->torso] != 1 || torso[0] != 0 || torso[1] != 0 || torso[2] != 0)
        return snprintf(message, size,
                        "env.engine: 'lanes' needs the torso at its body's origin; env.engine=mujoco does not"),
               -1;
    world->rigid[k].sweeps = sweeps;
    hb_ant_mark_parts(&world->rigid[k], centre[0], centre[1], centre[2]);
    return 0;
}

static void read_rules(const hb_env_settings *settings, hb_ant_rules *rules) {
    rules->burn_in = atoi(hb_env_setting(settings, "burn_in"));
    rules->early_stop = strcmp(hb_env_setting(settings, "early_stop"), "true") == 0;
    rules->reset_observation = strcmp(hb_env_setting(settings, "first_observation"), "reset") == 0;
    rules->torso_position = strcmp(hb_env_setting(settings, "position"), "torso") == 0;
}

static int ant_world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    hb_mujoco_log();
    ant_world *world = calloc(1, sizeof *world);
    if (!world) return snprintf(message, size, "out of memory creating the ant's world"), -1;
    read_rules(settings, &world->rules);
    world->engine = (engine)word_index(engines, hb_env_setting(settings, "engine"));
    const int profile = word_index(profiles, hb_env_setting(settings, "profile"));
    hb_ant_physics physics = profile_physics[profile];
    physics.friction = strtod(hb_env_setting(settings, "friction"), NULL);
    physics.pgs_iterations = strcmp(hb_env_setting(settings, "solver"), "pgs") == 0 ? 8 : 0;
    const char *file = hb_env_setting(settings, "model");
    const int sweeps = atoi(hb_env_setting(settings, "sweeps"));
    int status = 0;
    for (int k = 0; hb_ant_morphologies[k].name && status == 0; k++) {
        mjModel *model = *file ? hb_ant_model_file(file, &physics, message, size)
                               : hb_ant_model(&hb_ant_morphologies[k], &physics, message, size);
        if (!model) return ant_world_destroy(world), -1;
        world->model[world->n_bodies++] = model;
        status = find_parts(model, &world->parts[k], message, size);
        if (status == 0 && world->engine == LANES)
            status = read_rigid(world, k, sweeps ? sweeps : profile_sweeps[profile], message, size);
    }
    if (status != 0) return ant_world_destroy(world), -1;
    *out = world;
    return 0;
}

static void ant_body_destroy(void *handle) {
    ant_body *body = handle;
    if (!body) return;
    for (int k = 0; k < body->world->n_bodies; k++) {
        hb_mujoco_camera_close(body->camera[k]);
        if (body->data[k]) mj_deleteData(body->data[k]);
    }
    hb_ant_lanes_close(body->lanes);
    free(body);
}

static int ant_body_create(const void *handle, int32_t width, void **out, char *message, size_t size) {
    const ant_world *world = handle;
    if (width != 1 && world->engine == MUJOCO)
        return snprintf(message, size, "env.engine=mujoco steps one life at a time, not %d", (int)width), -1;
    ant_body *body = calloc(1, sizeof *body);
    if (!body) return snprintf(message, size, "out of memory creating an ant"), -1;
    body->world = world;
    if (world->engine == LANES) body->lanes = hb_ant_lanes_open(world->rigid, &world->rules, width);
    if (world->engine == LANES && !body->lanes) {
        free(body);
        return snprintf(message, size,
                        "out of memory for ants in lanes, or this processor has no code for %d lives at a time",
                        (int)width),
               -1;
    }
    *out = body;
    return 0;
}

// The data of the variation, made when it is first lived.
static mjData *data_of(ant_body *body, int variation) {
    if (!body->data[variation]) body->data[variation] = mj_makeData(body->world->model[variation]);
    return body->data[variation];
}

// ---------------------------------------------------------------------------------------------------
// Observation and fitness

// Position that progress follows: the mean over torso, capsules, hip and ankle anchors and the floor at (0,
// 0), 22 parts, as PyBullet counts them; or the torso's.
static void mean_position(const ant_world *world, const parts *p, const mjData *data, double xy[2]) {
    const mjtNum *torso = data->geom_xpos + 3 * p->torso;
    for (int axis = 0; axis < 2; axis++) {
        double sum = torso[axis];
        for (int k = 0; k < N_CAPSULES; k++) sum += data->geom_xpos[3 * p->capsule[k] + axis];
        for (int k = 0; k < N_JOINTS; k++) sum += data->xanchor[3 * p->joint[k] + axis];
        xy[axis] = world->rules.torso_position ? torso[axis] : sum / 22.0;
    }
}

static void observe(ant_body *body, float *observation) {
    const ant_world *world = body->world;
    const parts *p = &world->parts[body->variation];
    const mjModel *model = world->model[body->variation];
    const mjData *data = body->data[body->variation];
    const double w = data->qpos[3], x = data->qpos[4], y = data->qpos[5], z = data->qpos[6];
    const double roll = atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y));
    const double pitch = asin(hb_ant_clip(2 * (w * y - z * x), 1.0));
    const double yaw = atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
    double mean[2];
    mean_position(world, p, data, mean);
    const double target = atan2(-mean[1], hb_ant_target_x - mean[0]);
    const double c = cos(yaw), s = sin(yaw);
    const mjtNum *v = data->qvel;
    double o[HB_ANT_OBSERVED] = {data->qpos[2] - hb_ant_start_height,
                                 sin(target - yaw),
                                 cos(target - yaw),
                                 0.3 * (c * v[0] + s * v[1]),
                                 0.3 * (c * v[1] - s * v[0]),
                                 0.3 * v[2],
                                 roll,
                                 pitch};
    for (int j = 0; j < N_JOINTS; j++) {
        const mjtNum *range = model->jnt_range + 2 * p->joint[j];
        o[8 + 2 * j] = (data->qpos[p->position[j]] - 0.5 * (range[0] + range[1])) / (0.5 * (range[1] - range[0]));
        o[9 + 2 * j] = 0.1 * data->qvel[p->velocity[j]];
    }
    for (int k = 0; k < 4; k++) o[24 + k] = (double)body->contact[k];
    for (int k = 0; k < HB_ANT_OBSERVED; k++) observation[k] = (float)hb_ant_clip(o[k], 5.0);
}

// Which feet touch the floor now; the next observation shows it. Contact forces act from the margin of 0.01 m
// on and a standing foot floats in it, so every detected contact counts.
static void update_contacts(ant_body *body) {
    const parts *p = &body->world->parts[body->variation];
    const mjData *data = body->data[body->variation];
    memset(body->contact, 0, sizeof body->contact);
    for (int k = 0; k < data->ncon; k++) {
        const mjContact *contact = &data->contact[k];
        const int *geom = contact->geom;
        const int other = geom[0] == p->floor ? geom[1] : geom[1] == p->floor ? geom[0] : -1;
        if (other >= 0 && other < 64 && p->foot_of_geom[other] >= 0) body->contact[p->foot_of_geom[other]] = 1.0f;
    }
}

static int diverged(const mjData *data) {
    return data->warning[mjWARN_BADQPOS].number || data->warning[mjWARN_BADQVEL].number ||
           data->warning[mjWARN_BADQACC].number || !isfinite(data->qpos[0]) || !isfinite(data->qpos[2]);
}

static double distance_to_target(const ant_body *body) {
    double mean[2];
    mean_position(body->world, &body->world->parts[body->variation], body->data[body->variation], mean);
    return hb_ant_distance(mean);
}

// ---------------------------------------------------------------------------------------------------
// Episodes

// One control step. The position stage runs at its end, not at the start of the next one, so that kinematics
// and contacts belong to the state that is observed, at no extra cost.
static void control(const mjModel *model, mjData *data) {
    for (int k = 0; k < HB_ANT_SUBSTEPS; k++) {
        mj_step2(model, data);
        mj_step1(model, data);
    }
}

static hb_env_outcome mujoco_reset(ant_body *body, int variation, hb_env_random *random, void *observation,
                                   hb_env_step *out) {
    const double start = hb_mujoco_seconds();
    const ant_world *world = body->world;
    const mjModel *model = world->model[variation];
    mjData *data = data_of(body, variation);
    double joint[N_JOINTS];
    *out = (hb_env_step){.fitness = 0};
    if (!data) return HB_ENV_DIVERGED;
    mj_resetData(model, data);
    hb_ant_start(random, joint);
    data->qpos[2] = hb_ant_start_height;
    for (int j = 0; j < N_JOINTS; j++) data->qpos[world->parts[variation].position[j]] = joint[j];
    mj_step1(model, data);
    memset(body->contact, 0, sizeof body->contact);
    if (world->rules.reset_observation) observe(body, observation);
    for (int k = 0; k < world->rules.burn_in; k++) {
        update_contacts(body);
        control(model, data);
    }
    out->substeps = HB_ANT_SUBSTEPS * world->rules.burn_in;
    out->physics = hb_mujoco_seconds() - start;
    if (diverged(data)) return HB_ENV_DIVERGED;
    if (!world->rules.reset_observation) observe(body, observation);
    update_contacts(body);
    body->life = (hb_ant_life){.distance = distance_to_target(body)};
    return HB_ENV_RUNNING;
}

static hb_env_outcome mujoco_step(ant_body *body, const float *action, void *observation, hb_env_step *out) {
    const ant_world *world = body->world;
    mjData *data = body->data[body->variation];
    *out = (hb_env_step){.substeps = HB_ANT_SUBSTEPS};
    for (int j = 0; j < N_JOINTS; j++) {
        if (!isfinite(action[j])) return HB_ENV_DIVERGED;
        data->ctrl[j] = hb_ant_clip((double)action[j], 1.0);
    }
    const double start = hb_mujoco_seconds();
    control(world->model[body->variation], data);
    out->physics = hb_mujoco_seconds() - start;
    if (diverged(data)) return HB_ENV_DIVERGED;
    observe(body, observation);
    update_contacts(body);
    return hb_ant_count(&world->rules, &body->life, data->ctrl, observation, data->qpos[2], distance_to_target(body),
                        out);
}

// One life in lanes: its burn-in at once.
static hb_env_outcome lanes_reset(ant_body *body, int variation, hb_env_random *random, void *observation,
                                  hb_env_step *out) {
    static const float rest[N_JOINTS] = {0};
    hb_env_outcome outcome = HB_ENV_STARTING;
    hb_env_step step;
    *out = (hb_env_step){.fitness = 0};
    hb_ant_lanes_reset(body->lanes, 0, variation, random);
    while (outcome == HB_ENV_STARTING) {
        hb_ant_lanes_step(body->lanes, rest, observation, &step, &outcome);
        out->physics += step.physics;
        out->substeps += step.substeps;
    }
    return outcome;
}

static hb_env_outcome ant_reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                                hb_env_step *out) {
    ant_body *body = handle;
    body->variation = variation;
    return body->lanes ? lanes_reset(body, variation, random, observation, out)
                       : mujoco_reset(body, variation, random, observation, out);
}

static hb_env_outcome ant_step(void *handle, const float *action, void *observation, hb_env_step *out) {
    ant_body *body = handle;
    hb_env_outcome outcome = HB_ENV_DIVERGED; // of a life that has ended
    if (!body->lanes) return mujoco_step(body, action, observation, out);
    hb_ant_lanes_step(body->lanes, action, observation, out, &outcome);
    return outcome;
}

static void ant_reset_lane(void *handle, int32_t lane, int32_t variation, hb_env_random *random) {
    ant_body *body = handle;
    body->variation = variation;
    hb_ant_lanes_reset(body->lanes, lane, variation, random);
}

static void ant_hold_lane(void *handle, int32_t lane, bool hold) {
    ant_body *body = handle;
    hb_ant_lanes_hold(body->lanes, lane, hold);
}

static void ant_step_lanes(void *handle, const float *action, void *observation, hb_env_step *out,
                           hb_env_outcome *outcome) {
    ant_body *body = handle;
    hb_ant_lanes_step(body->lanes, action, observation, out, outcome);
}

static const hb_env_field fields[] = {{"qpos", 15}, {"qvel", 14}, {NULL, 0}};

static void ant_snapshot(const void *handle, double *state) {
    const ant_body *body = handle;
    if (body->lanes) {
        hb_ant_lanes_state(body->lanes, 0, state);
        return;
    }
    const mjData *data = body->data[body->variation];
    memcpy(state, data->qpos, 15 * sizeof *state);
    memcpy(state + 15, data->qvel, 14 * sizeof *state);
}

static const char *const variations[] = {
    "default",         "palm_damage_left",    "palm_damage_right",    "palm_long_back",
    "palm_long_front", "najarro_damage_left", "najarro_damage_right", NULL};

static int ant_picture(void *handle, int32_t width, int32_t height, int32_t samples, uint8_t *rgb, char *message,
                       size_t size) {
    (void)samples; // OpenGL's own
    ant_body *body = handle;
    const int k = body->variation;
    const mjModel *model = body->world->model[k];
    const int torso = model->geom_bodyid[body->world->parts[k].torso];
    mjData *data = data_of(body, k);
    if (!data) return snprintf(message, size, "out of memory drawing an ant"), -1;
    if (body->lanes) { // MuJoCo draws what the lanes computed
        double state[29];
        hb_ant_lanes_state(body->lanes, 0, state);
        memcpy(data->qpos, state, 15 * sizeof *state);
        memcpy(data->qvel, state + 15, 14 * sizeof *state);
        mj_forward(model, data);
    }
    if (!body->camera[k]) body->camera[k] = hb_mujoco_camera_open(model, torso, 4, message, size);
    if (!body->camera[k]) return -1;
    const hb_ant_life *life = body->lanes ? hb_ant_lanes_life(body->lanes, 0) : &body->life;
    char caption[64];
    snprintf(caption, sizeof caption, "step %d  x %.1f m", life->policy_step, data->qpos[0]);
    return hb_mujoco_camera_take(body->camera[k], data, width, height, caption, rgb, message, size);
}

static const hb_action_range commands[N_JOINTS] = {HB_ACTION_CLIPPED, HB_ACTION_CLIPPED, HB_ACTION_CLIPPED,
                                                   HB_ACTION_CLIPPED, HB_ACTION_CLIPPED, HB_ACTION_CLIPPED,
                                                   HB_ACTION_CLIPPED, HB_ACTION_CLIPPED};

static void ant_shape(const void *world, hb_env_shape *shape) {
    const ant_world *w = world;
    *shape = (hb_env_shape){.observation_size = HB_ANT_OBSERVED,
                            .action_size = N_JOINTS,
                            .action_range = commands,
                            .progress = true,
                            .max_steps = hb_ant_episode_steps,
                            .step_seconds = hb_ant_control_step,
                            .width = w->engine == LANES ? hb_ant_lanes_width() : 1};
}

const hb_env_table hb_env_ant = {.abi = HB_ENV_ABI,
                                 .name = "ant",
                                 .summary = "quadruped of AntBulletEnv-v0 on MuJoCo: walk towards +x",
                                 .library = "MuJoCo",
                                 .library_version = mj_versionString,
                                 .variations = variations,
                                 .options = options,
                                 .fields = fields,
                                 .world_create = ant_world_create,
                                 .world_destroy = ant_world_destroy,
                                 .shape = ant_shape,
                                 .body_create = ant_body_create,
                                 .body_destroy = ant_body_destroy,
                                 .reset = ant_reset,
                                 .step = ant_step,
                                 .snapshot = ant_snapshot,
                                 .picture = ant_picture,
                                 .reset_lane = ant_reset_lane,
                                 .step_lanes = ant_step_lanes,
                                 .hold_lane = ant_hold_lane};
