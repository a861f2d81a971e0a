#include "envs/mjcf/mjcf.h"

#include "envs/mjcf/changes.h"
#include "envs/mjcf/lanes.h"
#include "envs/mjcf/presets.h"
#include "envs/mjcf/program.h"
#include "envs/mujoco/camera.h"
#include "envs/mujoco/log.h"
#include "envs/mujoco/planar.h"
#include "envs/mujoco/rigid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    mjModel *model[HB_MJCF_VARIATIONS];
    char *names[HB_MJCF_VARIATIONS + 1];
    int n;                   // variations
    hb_mjcf_program program; // the same numbers in all of them
    hb_env_field fields[3];  // qpos, qvel
    hb_action_range *range;  // (nu)
    int32_t frame_skip, max_steps;
    bool end, in_lanes;
    // Where it is lived in lanes:
    hb_planar_model planar[HB_MJCF_VARIATIONS];
    hb_rigid_model rigid[HB_MJCF_VARIATIONS];
    hb_mjcf_rules rules;
} mjcf_world;

typedef struct {
    const mjcf_world *world;
    hb_mjcf_lanes *lanes; // or NULL: by MuJoCo
    int variation;
    mjData *data[HB_MJCF_VARIATIONS]; // made when the variation is first lived
    hb_mujoco_camera *camera[HB_MJCF_VARIATIONS];
    double reward;                // of the last step
    double stands[HB_MJCF_TERMS]; // of forward terms
    int32_t steps;
} mjcf_body;

// ---------------------------------------------------------------------------------------------------
// Options

static const char *const presets[] = {"none",       "Ant-v5",      "HalfCheetah-v5",      "Hopper-v5", "Walker2d-v5",
                                      "Swimmer-v5", "Humanoid-v5", "InvertedPendulum-v5", NULL};

static const char *const engines[] = {"mujoco", "lanes", NULL};

enum { DEFAULT_SWEEPS = 20 };

static const hb_env_option options[] = {
    {"engine", HB_OPTION_CHOICE, "mujoco", 0, 0, engines,
     "what computes the physics: mujoco, or lanes, for HalfCheetah, Walker2d, Ant and their like: the same problem "
     "for many robots at once",
     NULL},
    {"sweeps", HB_OPTION_INT, "0", 0, 1000, NULL, "lanes: sweeps of the contact solver; 0: 20", NULL},
    {"preset", HB_OPTION_CHOICE, "none", 0, 0, presets,
     "one of Gymnasium's tasks; every option below that is set replaces its part", NULL},
    {"model", HB_OPTION_FILE, "", 0, 0, NULL, "an MJCF file", NULL},
    {"frame_skip", HB_OPTION_INT, "0", 0, 10000, NULL, "simulation steps of a policy step; 0: the preset's, or 1",
     NULL},
    {"observe", HB_OPTION_TEXT, "", 0, 0, NULL,
     "such as 'qpos[2:], clip(qvel, 10), sensor NAME, reward'; default: the preset's, or 'qpos, qvel'", NULL},
    {"reward", HB_OPTION_TEXT, "", 0, 0, NULL,
     "such as 'forward 1 of qpos[0]; alive 1; control 0.1; contact 5e-4 clip 1 most 10'", NULL},
    {"alive", HB_OPTION_TEXT, "", 0, 0, NULL,
     "such as 'finite; qpos[2] 0.2 1': where a life goes on; 'always': everywhere", NULL},
    {"end", HB_OPTION_BOOL, "true", 0, 0, NULL, "a life that is not alive ends; false: it only earns less", NULL},
    {"reset", HB_OPTION_TEXT, "", 0, 0, NULL,
     "noise on the start, such as 'qpos uniform 0.1; qvel normal 0.1'; 'exact': none", NULL},
    {"changes", HB_OPTION_TEXT, "", 0, 0, NULL,
     "variations, such as 'ice: friction 0.5; weak: gear[2] 0, mass[BODY] 2; short: length[GEOM] 0.5'", NULL},
    {"max_steps", HB_OPTION_INT, "1000", 1, 1e9, NULL, "policy steps of an episode", NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

// The text that is set, or the preset's, or nothing where `nothing` is set.
static const char *text_of(const hb_env_settings *settings, const char *name, const char *preset,
                           const char *nothing) {
    const char *text = hb_env_setting(settings, name);
    return !*text ? preset : nothing && strcmp(text, nothing) == 0 ? "" : text;
}

static const hb_mjcf_preset *preset_of(const hb_env_settings *settings) {
    static const hb_mjcf_preset none = {"none", NULL, 1, "qpos, qvel", "", "", ""};
    const char *name = hb_env_setting(settings, "preset");
    for (const hb_mjcf_preset *p = hb_mjcf_presets; p->name; p++)
        if (strcmp(p->name, name) == 0) return p;
    return &none;
}

// ---------------------------------------------------------------------------------------------------
// World

static void mjcf_world_destroy(void *handle) {
    mjcf_world *world = handle;
    if (!world) return;
    for (int k = 0; k < HB_MJCF_VARIATIONS; k++)
        if (world->model[k]) mj_deleteModel(world->model[k]);
    hb_mjcf_variations_free(world->names);
    free(world->range);
    free(world);
}

// A message of MuJoCo's has several lines.
static void one_line(char *text) {
    for (; *text; text++)
        if (*text == '\n') *text = ' ';
}

static mjModel *compile(const char *file, const char *text, const char *changes, int k, const char *name,
                        char *message, size_t size) {
    char why[400] = "";
    mjSpec *spec = *file ? mj_parseXML(file, NULL, why, sizeof why) : mj_parseXMLString(text, NULL, why, sizeof why);
    one_line(why);
    if (!spec) return snprintf(message, size, "env.model: cannot read '%s': %s", file, why), NULL;
    mjModel *model = NULL;
    if (hb_mjcf_change(changes, k, spec, message, size) == 0) {
        model = mj_compile(spec, NULL);
        if (!model) {
            snprintf(why, sizeof why, "%s", mjs_getError(spec));
            one_line(why);
            snprintf(message, size, "env.model: cannot build '%s'%s%s: %s", *file ? file : "the preset's model",
                     k ? " with the changes of " : "", k ? name : "", why);
        }
    }
    mj_deleteSpec(spec);
    return model;
}

static int compile_all(mjcf_world *world, const hb_env_settings *settings, const hb_mjcf_preset *preset,
                       char *message, size_t size) {
    const char *file = hb_env_setting(settings, "model"), *changes = hb_env_setting(settings, "changes");
    if (!*file && !preset->model) return snprintf(message, size, "expected env.preset or env.model"), -1;
    world->n = hb_mjcf_variations(changes, world->names, message, size);
    for (int k = 0; k < world->n; k++) {
        world->model[k] = compile(file, preset->model, changes, k, world->names[k], message, size);
        if (!world->model[k]) return -1;
    }
    return world->n < 1 ? -1 : 0;
}

static int read_program(mjcf_world *world, const hb_env_settings *settings, const hb_mjcf_preset *preset,
                        char *message, size_t size) {
    const mjModel *model = world->model[0];
    if (model->nu < 1 || model->nu > HB_ENV_MOST_NUMBERS)
        return snprintf(message, size, "env.model: expected 1 to %d actuators, found %d", HB_ENV_MOST_NUMBERS,
                        (int)model->nu),
               -1;
    if (!(model->opt.timestep > 0))
        return snprintf(message, size, "env.model: expected a timestep above 0, found %g", model->opt.timestep), -1;
    const char *reward = text_of(settings, "reward", preset->reward, NULL);
    if (hb_mjcf_read(model, text_of(settings, "observe", preset->observe, NULL), reward,
                     text_of(settings, "alive", preset->alive, "always"),
                     text_of(settings, "reset", preset->reset, "exact"), &world->program, message, size) != 0)
        return -1;
    if (world->program.size < 1 || world->program.size > HB_ENV_MOST_NUMBERS)
        return snprintf(message, size, "env.observe: expected 1 to %d numbers, found %d", HB_ENV_MOST_NUMBERS,
                        world->program.size),
               -1;
    world->fields[0] = (hb_env_field){"qpos", (int32_t)model->nq};
    world->fields[1] = (hb_env_field){"qvel", (int32_t)model->nv};
    world->range = malloc((size_t)model->nu * sizeof *world->range);
    if (!world->range) return snprintf(message, size, "out of memory for a world"), -1;
    for (int j = 0; j < (int)model->nu; j++)
        world->range[j] = model->actuator_ctrllimited[j] ? HB_ACTION_CLIPPED : HB_ACTION_ANY;
    return 0;
}

// Variation k as a robot that moves in a plane or freely; which, the first one decides.
static int read_robot(mjcf_world *world, int k, int sweeps, char *message, size_t size) {
    const bool freely = world->model[0]->jnt_type[0] == mjJNT_FREE;
    const int result = freely ? hb_mujoco_rigid(world->model[k], 4, 2, &world->rigid[k], message, size)
                              : hb_mujoco_planar(world->model[k], 2, 3, &world->planar[k], message, size);
    world->rigid[k].sweeps = world->planar[k].sweeps = sweeps;
    world->rules.rigid = freely ? world->rigid : NULL;
    world->rules.planar = freely ? NULL : world->planar;
    return result;
}

// Lanes compute robots of a few shapes, and of their numbers those that most texts ask for.
static int read_robots(mjcf_world *world, const hb_env_settings *settings, char *message, size_t size) {
    const int sweeps = atoi(hb_env_setting(settings, "sweeps"));
    world->rules = (hb_mjcf_rules){.model = (const mjModel *const *)world->model,
                                   .program = &world->program,
                                   .frame_skip = world->frame_skip,
                                   .end = world->end};
    for (int k = 0; k < world->n; k++)
        if (read_robot(world, k, sweeps ? sweeps : DEFAULT_SWEEPS, message, size) != 0) return -1;
    const char *more = hb_mjcf_reads_more(&world->program, world->rules.rigid != NULL);
    if (more)
        return snprintf(message, size,
                        "env.engine: 'lanes' cannot compute %s, which observe, reward or alive ask for; "
                        "env.engine=mujoco can",
                        more),
               -1;
    return 0;
}

static int mjcf_world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    hb_mujoco_log();
    mjcf_world *world = calloc(1, sizeof *world);
    if (!world) return snprintf(message, size, "out of memory for a world"), -1;
    const hb_mjcf_preset *preset = preset_of(settings);
    world->frame_skip = atoi(hb_env_setting(settings, "frame_skip"));
    if (world->frame_skip == 0) world->frame_skip = preset->frame_skip;
    world->max_steps = atoi(hb_env_setting(settings, "max_steps"));
    world->end = strcmp(hb_env_setting(settings, "end"), "true") == 0;
    world->in_lanes = strcmp(hb_env_setting(settings, "engine"), "lanes") == 0;
    if (compile_all(world, settings, preset, message, size) != 0 ||
        read_program(world, settings, preset, message, size) != 0 ||
        (world->in_lanes && read_robots(world, settings, message, size) != 0))
        return mjcf_world_destroy(world), -1;
    *out = world;
    return 0;
}

static void mjcf_shape(const void *handle, hb_env_shape *shape) {
    const mjcf_world *world = handle;
    *shape = (hb_env_shape){.observation_size = world->program.size,
                            .action_size = (int32_t)world->model[0]->nu,
                            .action_range = world->range,
                            .max_steps = world->max_steps,
                            .step_seconds = world->model[0]->opt.timestep * world->frame_skip,
                            .fields = world->fields,
                            .variations = (const char *const *)world->names,
                            .width = world->in_lanes ? hb_mjcf_lanes_width() : 1};
}

// ---------------------------------------------------------------------------------------------------
// Body

static void mjcf_body_destroy(void *handle) {
    mjcf_body *body = handle;
    hb_mjcf_lanes_close(body->lanes);
    for (int k = 0; k < body->world->n; k++) {
        hb_mujoco_camera_close(body->camera[k]);
        if (body->data[k]) mj_deleteData(body->data[k]);
    }
    free(body);
}

static int mjcf_body_create(const void *handle, int32_t width, void **out, char *message, size_t size) {
    const mjcf_world *world = handle;
    if (width != 1 && !world->in_lanes)
        return snprintf(message, size, "env.engine=mujoco steps one life at a time, not %d", (int)width), -1;
    mjcf_body *body = calloc(1, sizeof *body);
    if (!body) return snprintf(message, size, "out of memory for a body"), -1;
    body->world = world;
    if (world->in_lanes) body->lanes = hb_mjcf_lanes_open(&world->rules, width);
    if (world->in_lanes && !body->lanes) {
        free(body);
        return snprintf(message, size,
                        "out of memory for robots in lanes, or this processor has no code for %d lives at a time",
                        (int)width),
               -1;
    }
    *out = body;
    return 0;
}

// MuJoCo starts a simulation anew that leaves the numbers, and leaves out contacts for which the model has no memory; it counts both.
static bool diverged(const mjData *data) {
    return data->warning[mjWARN_BADQPOS].number || data->warning[mjWARN_BADQVEL].number ||
           data->warning[mjWARN_BADQACC].number || data->warning[mjWARN_CONTACTFULL].number ||
           data->warning[mjWARN_CNSTRFULL].number;
}

static void make_data(void *handle) {
    mjcf_body *body = handle;
    body->data[body->variation] = mj_makeData(body->world->model[body->variation]);
}

static void forward(void *handle) {
    mjcf_body *body = handle;
    mj_forward(body->world->model[body->variation], body->data[body->variation]);
}

static void simulate(void *handle) {
    mjcf_body *body = handle;
    const mjModel *model = body->world->model[body->variation];
    mjData *data = body->data[body->variation];
    for (int k = 0; k < body->world->frame_skip; k++) mj_step(model, data);
    if (body->world->program.needs_forces) mj_rnePostConstraint(model, data);
}

// False where MuJoCo met an error: the data are made anew for the next life.
static bool survives(mjcf_body *body, void (*work)(void *context)) {
    if (hb_mujoco_try(work, body)) return true;
    mj_deleteData(body->data[body->variation]);
    body->data[body->variation] = NULL;
    return false;
}

static bool begin(mjcf_body *body, void *observation) {
    const hb_mjcf_program *program = &body->world->program;
    const mjModel *model = body->world->model[body->variation];
    if (!survives(body, forward)) return false;
    const mjData *data = body->data[body->variation];
    body->reward = 0;
    hb_mjcf_positions(program, model, data, body->stands);
    if (observation) hb_mjcf_observe(program, model, data, 0, observation);
    return !diverged(data);
}

static hb_env_outcome mujoco_reset(mjcf_body *body, hb_env_random *random, void *observation) {
    const int variation = body->variation;
    const mjModel *model = body->world->model[variation];
    if (!body->data[variation] && !hb_mujoco_try(make_data, body)) body->data[variation] = NULL;
    mjData *data = body->data[variation];
    if (!data) return HB_ENV_DIVERGED;
    mj_resetData(model, data);
    hb_mjcf_disturb(&body->world->program, model, data, random);
    return begin(body, observation) ? HB_ENV_RUNNING : HB_ENV_DIVERGED;
}

// One life in lanes: its first step is its start.
static hb_env_outcome lanes_reset(mjcf_body *body, hb_env_random *random, void *observation) {
    hb_env_outcome outcome = HB_ENV_STARTING;
    hb_env_step step;
    hb_mjcf_lanes_reset(body->lanes, 0, body->variation, random);
    hb_mjcf_lanes_step(body->lanes, NULL, observation, &step, &outcome);
    return outcome;
}

static hb_env_outcome mjcf_reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                                 hb_env_step *out) {
    mjcf_body *body = handle;
    *out = (hb_env_step){.fitness = 0};
    body->variation = variation;
    body->steps = 0;
    return body->lanes ? lanes_reset(body, random, observation) : mujoco_reset(body, random, observation);
}

void hb_mjcf_put(void *handle, const double *qpos, const double *qvel) {
    mjcf_body *body = handle;
    const mjModel *model = body->world->model[body->variation];
    mjData *data = body->data[body->variation];
    mj_resetData(model, data);
    memcpy(data->qpos, qpos, (size_t)model->nq * sizeof *qpos);
    memcpy(data->qvel, qvel, (size_t)model->nv * sizeof *qvel);
    begin(body, NULL);
}

void hb_mjcf_sizes(const void *world, int32_t *nq, int32_t *nv) {
    *nq = (int32_t)((const mjcf_world *)world)->model[0]->nq;
    *nv = (int32_t)((const mjcf_world *)world)->model[0]->nv;
}

static bool command(const mjModel *model, mjData *data, const float *action) {
    for (int j = 0; j < (int)model->nu; j++) {
        if (!isfinite(action[j])) return false;
        data->ctrl[j] = hb_mjcf_command(model, j, action[j]);
    }
    return true;
}

static hb_env_outcome mujoco_step(mjcf_body *body, const float *action, void *observation, hb_env_step *out) {
    const mjcf_world *world = body->world;
    const hb_mjcf_program *program = &world->program;
    const mjModel *model = world->model[body->variation];
    mjData *data = body->data[body->variation];
    *out = (hb_env_step){.substeps = world->frame_skip};
    if (!command(model, data, action)) return HB_ENV_DIVERGED;
    const double start = hb_mujoco_seconds();
    const bool survived = survives(body, simulate);
    out->physics = hb_mujoco_seconds() - start;
    if (!survived || diverged(data)) return HB_ENV_DIVERGED;
    const bool alive = hb_mjcf_alive(program, model, data);
    const double dt = model->opt.timestep * world->frame_skip;
    body->reward = hb_mjcf_rewarded(program, model, data, body->stands, dt, alive);
    out->fitness = out->reward = body->reward;
    hb_mjcf_observe(program, model, data, body->reward, observation);
    return alive || !world->end ? HB_ENV_RUNNING : HB_ENV_DONE;
}

static hb_env_outcome mjcf_step(void *handle, const float *action, void *observation, hb_env_step *out) {
    mjcf_body *body = handle;
    hb_env_outcome outcome = HB_ENV_DIVERGED;
    body->steps++;
    if (!body->lanes) return mujoco_step(body, action, observation, out);
    hb_mjcf_lanes_step(body->lanes, action, observation, out, &outcome);
    return outcome;
}

static void mjcf_reset_lane(void *handle, int32_t lane, int32_t variation, hb_env_random *random) {
    mjcf_body *body = handle;
    hb_mjcf_lanes_reset(body->lanes, lane, variation, random);
}

static void mjcf_step_lanes(void *handle, const float *action, void *observation, hb_env_step *out,
                            hb_env_outcome *outcome) {
    mjcf_body *body = handle;
    hb_mjcf_lanes_step(body->lanes, action, observation, out, outcome);
}

static void mjcf_hold_lane(void *handle, int32_t lane, bool hold) {
    mjcf_body *body = handle;
    hb_mjcf_lanes_hold(body->lanes, lane, hold);
}

// What MuJoCo knows of the life, or what lanes computed.
static const mjData *data_of(const mjcf_body *body) {
    return body->lanes ? hb_mjcf_lanes_data(body->lanes, 0) : body->data[body->variation];
}

// From which all of the first body's limbs are seen: by the way from body to body, and what is about the last one.
static double distance_of(const mjModel *model) {
    double size = 0;
    for (int k = 1; k < (int)model->nbody; k++) {
        double reach = 0;
        for (int b = k; b > 1; b = model->body_parentid[b]) reach += mju_norm3(model->body_pos + 3 * b);
        for (int g = 0; g < (int)model->ngeom; g++)
            if (model->geom_bodyid[g] == k && reach + model->geom_rbound[g] > size)
                size = reach + model->geom_rbound[g];
    }
    return 2.2 * (size > 0.02 ? size : 1);
}

static void mjcf_snapshot(const void *handle, double *state) {
    const mjcf_body *body = handle;
    const mjModel *model = body->world->model[body->variation];
    const mjData *data = data_of(body);
    memcpy(state, data->qpos, (size_t)model->nq * sizeof *state);
    memcpy(state + model->nq, data->qvel, (size_t)model->nv * sizeof *state);
}

// MuJoCo draws what the lanes computed.
static bool show_lanes(mjcf_body *body) {
    const mjModel *model = body->world->model[body->variation];
    if (!body->data[body->variation] && !hb_mujoco_try(make_data, body)) body->data[body->variation] = NULL;
    mjData *data = body->data[body->variation];
    if (!data) return false;
    memcpy(data->qpos, data_of(body)->qpos, (size_t)model->nq * sizeof *data->qpos);
    return survives(body, forward);
}

static int mjcf_picture(void *handle, int32_t width, int32_t height, int32_t samples, uint8_t *rgb, char *message,
                        size_t size) {
    (void)samples; // OpenGL's own
    mjcf_body *body = handle;
    const int k = body->variation;
    const mjModel *model = body->world->model[k];
    if (body->lanes ? !show_lanes(body) : !body->data[k])
        return snprintf(message, size, "out of memory drawing a model"), -1;
    if (!body->camera[k])
        body->camera[k] = hb_mujoco_camera_open(model, model->nbody > 1 ? 1 : 0, distance_of(model), message, size);
    if (!body->camera[k]) return -1;
    char caption[64];
    snprintf(caption, sizeof caption, "step %d", body->steps);
    return hb_mujoco_camera_take(body->camera[k], body->data[k], width, height, caption, rgb, message, size);
}

const hb_env_table hb_env_mjcf = {.abi = HB_ENV_ABI,
                                  .name = "mjcf",
                                  .summary = "any MuJoCo model, and Gymnasium's tasks",
                                  .library = "MuJoCo",
                                  .library_version = mj_versionString,
                                  .options = options,
                                  .world_create = mjcf_world_create,
                                  .world_destroy = mjcf_world_destroy,
                                  .shape = mjcf_shape,
                                  .body_create = mjcf_body_create,
                                  .body_destroy = mjcf_body_destroy,
                                  .reset = mjcf_reset,
                                  .step = mjcf_step,
                                  .snapshot = mjcf_snapshot,
                                  .picture = mjcf_picture,
                                  .reset_lane = mjcf_reset_lane,
                                  .step_lanes = mjcf_step_lanes,
                                  .hold_lane = mjcf_hold_lane};
