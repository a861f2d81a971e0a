#include "envs/mjcf/lanes.h"

#include "envs/mujoco/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LANES = 16, MOST_NUMBERS = 64, MOST_DOFS = 15 };

static const float most_number = 1e10F; // mjMAXVAL: beyond it MuJoCo calls a simulation diverged

typedef enum { IDLE, STARTING, LIVING, HELD } mode;

typedef struct {
    mode mode, before;            // before it was held
    double at[2];                 // m, x and y of the root; the state holds what came since the last step
    double reward;                // of the last step
    double stands[HB_MJCF_TERMS]; // of forward terms
    float numbers[MOST_NUMBERS];  // while its lane is parked: what it will hold, or held when the life ended
    double position[MOST_DOFS], speed[MOST_DOFS]; // while it starts: as they were drawn
} resident;

struct hb_mjcf_lanes {
    const hb_mjcf_rules *rules;
    int32_t variation; // of the lives in the lanes
    const hb_planar_code *planar;
    const hb_rigid_code *rigid;               // one of the two
    int32_t code_width, width;                // lanes of the code, and in use
    int32_t positions, speeds, joints;        // of a robot
    int32_t position, speed, control, arrays; // where they are in the state; accelerations end where control begins
    int32_t slides;       // so many positions have no influence: x, or x and y; the next but these is z
    int32_t owners;       // contact forces are those of so many bodies
    float *state;         // (arrays, code_width)
    float *forces, *seen; // (owners, 6, code_width), (3, code_width)
    void *scratch;
    mjData *data; // what the program reads
    resident lane[MOST_LANES];
    int motor[MOST_DOFS]; // which command turns a joint
};

static void put(hb_mjcf_lanes *lanes, int array, int lane, double value) {
    lanes->state[array * lanes->code_width + lane] = (float)value;
}

static float get(const hb_mjcf_lanes *lanes, int array, int lane) {
    return lanes->state[array * lanes->code_width + lane];
}

// The middle of joint j's range.
static double middle(const hb_mjcf_lanes *lanes, int j) {
    const hb_mjcf_rules *rules = lanes->rules;
    if (lanes->planar) {
        const hb_planar_model *m = &rules->planar[lanes->variation];
        const __typeof__(m->numbers.link[0][0]) *link = &m->numbers.link[j / m->links][j % m->links];
        return 0.5 * (link->lower + link->upper);
    }
    const hb_rigid_model *m = &rules->rigid[lanes->variation];
    const __typeof__(m->numbers.link[0][0]) *link = &m->numbers.link[j / m->links][j % m->links];
    return 0.5 * (link->lower + link->upper);
}

// At rest, high above the floor, joints in the middle: nothing touches and nothing is at a limit.
static void park(hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->arrays; k++) put(lanes, k, lane, 0);
    put(lanes, lanes->position + lanes->slides, lane, 100);
    if (lanes->rigid) put(lanes, lanes->position + 3, lane, 1);
    for (int j = 0; j < lanes->joints; j++)
        put(lanes, lanes->position + lanes->positions - lanes->joints + j, lane, middle(lanes, j));
}

static void keep(hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->arrays; k++) lanes->lane[lane].numbers[k] = get(lanes, k, lane);
}

static void give_back(hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->arrays; k++) lanes->state[k * lanes->code_width + lane] = lanes->lane[lane].numbers[k];
}

// ---------------------------------------------------------------------------------------------------
// Open, close

int32_t hb_mjcf_lanes_width(void) {
    return hb_planar_code_2x3(0)->width; // the other's is the same: it is the processor's
}

static void make_data(void *handle) {
    hb_mjcf_lanes *lanes = handle;
    lanes->data = mj_makeData(lanes->rules->model[0]);
}

static void take_planar(hb_mjcf_lanes *lanes, const hb_planar_code *code) {
    const hb_planar_layout at = hb_planar_layout_of(code->chains, code->links);
    lanes->planar = code;
    lanes->code_width = code->width;
    lanes->joints = code->chains * code->links;
    lanes->positions = lanes->speeds = 3 + lanes->joints;
    lanes->slides = 1;
    lanes->position = at.position, lanes->speed = at.speed, lanes->control = at.control, lanes->arrays = at.arrays;
}

static void take_rigid(hb_mjcf_lanes *lanes, const hb_rigid_code *code) {
    const hb_rigid_layout at = hb_rigid_layout_of(code->chains, code->links);
    lanes->rigid = code;
    lanes->code_width = code->width;
    lanes->joints = code->chains * code->links;
    lanes->positions = 7 + lanes->joints;
    lanes->speeds = 6 + lanes->joints;
    lanes->slides = 2;
    lanes->owners = lanes->rules->rigid[0].owners;
    lanes->position = at.position, lanes->speed = at.speed, lanes->control = at.control, lanes->arrays = at.arrays;
}

static bool make_room(hb_mjcf_lanes *lanes) {
    const size_t line = (size_t)lanes->code_width * sizeof(float);
    const size_t scratch = lanes->planar ? lanes->planar->scratch : lanes->rigid ? lanes->rigid->scratch : 0;
    lanes->state = aligned_alloc(64, ((size_t)lanes->arrays * line + 63) / 64 * 64);
    lanes->forces = aligned_alloc(64, ((size_t)(6 * lanes->owners + 3) * line + 63) / 64 * 64);
    lanes->scratch = aligned_alloc(64, (scratch + 63) / 64 * 64);
    if (!hb_mujoco_try(make_data, lanes) || !lanes->data || !lanes->state || !lanes->forces || !lanes->scratch)
        return false;
    memset(lanes->scratch, 0, scratch);
    memset(lanes->forces, 0, (size_t)(6 * lanes->owners + 3) * line);
    lanes->seen = lanes->forces + 6 * lanes->owners * lanes->code_width;
    return true;
}

hb_mjcf_lanes *hb_mjcf_lanes_open(const hb_mjcf_rules *rules, int32_t width) {
    hb_mjcf_lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes) return NULL;
    lanes->rules = rules;
    lanes->width = width;
    const int32_t widths[] = {width > 1 ? width : 0, 0}; // as wide as is asked for, or the widest
    for (int k = 0; k < 2 && !lanes->code_width; k++) {
        const hb_planar_code *planar = rules->planar ? hb_planar_code_2x3(widths[k]) : NULL;
        const hb_rigid_code *rigid = rules->rigid ? hb_rigid_code_4x2(widths[k]) : NULL;
        if (planar) take_planar(lanes, planar);
        if (rigid) take_rigid(lanes, rigid);
    }
    if (width > lanes->code_width || lanes->code_width > MOST_LANES || lanes->arrays > MOST_NUMBERS ||
        !make_room(lanes)) {
        hb_mjcf_lanes_close(lanes);
        return NULL;
    }
    for (int j = 0; j < lanes->joints; j++)
        lanes->motor[j] = rules->planar ? rules->planar[0].motor[j / 3][j % 3] : rules->rigid[0].motor[j / 2][j % 2];
    for (int k = 0; k < lanes->code_width; k++) park(lanes, k);
    return lanes;
}

void hb_mjcf_lanes_close(hb_mjcf_lanes *lanes) {
    if (!lanes) return;
    if (lanes->data) mj_deleteData(lanes->data);
    free(lanes->state);
    free(lanes->forces);
    free(lanes->scratch);
    free(lanes);
}

// ---------------------------------------------------------------------------------------------------
// Episodes

// A number of the life in a lane, which may be parked.
static double number_of(const hb_mjcf_lanes *lanes, int array, int lane) {
    const resident *r = &lanes->lane[lane];
    return (double)(r->mode == LIVING ? get(lanes, array, lane) : r->numbers[array]);
}

const mjData *hb_mjcf_lanes_data(hb_mjcf_lanes *lanes, int32_t lane) {
    const resident *r = &lanes->lane[lane];
    mjData *data = lanes->data;
    for (int k = 0; k < lanes->positions; k++)
        data->qpos[k] = k < lanes->slides ? r->at[k] : number_of(lanes, lanes->position + k, lane);
    for (int k = 0; k < lanes->speeds; k++) data->qvel[k] = number_of(lanes, lanes->speed + k, lane);
    for (int j = 0; j < lanes->joints; j++) data->ctrl[lanes->motor[j]] = number_of(lanes, lanes->control + j, lane);
    for (int k = 0; k < 6 * lanes->owners; k++)
        data->cfrc_ext[k] = (double)lanes->forces[k * lanes->code_width + lane];
    for (int k = 0; k < 3 && lanes->rigid; k++) data->xpos[3 + k] = (double)lanes->seen[k * lanes->code_width + lane];
    // It was seen from where the step began.
    for (int k = 0; k < lanes->slides && lanes->rigid; k++)
        data->xpos[3 + k] += r->at[k] - number_of(lanes, lanes->position + k, lane);
    return data;
}

void hb_mjcf_lanes_reset(hb_mjcf_lanes *lanes, int32_t lane, int32_t variation, hb_env_random *random) {
    const mjModel *model = lanes->rules->model[variation];
    resident *r = &lanes->lane[lane];
    lanes->variation = variation;
    mj_resetData(model, lanes->data);
    hb_mjcf_disturb(lanes->rules->program, model, lanes->data, random);
    *r = (resident){.mode = STARTING};
    memcpy(r->position, lanes->data->qpos, (size_t)lanes->positions * sizeof *r->position);
    memcpy(r->speed, lanes->data->qvel, (size_t)lanes->speeds * sizeof *r->speed);
    memcpy(r->at, r->position, (size_t)lanes->slides * sizeof *r->at);
    if (lanes->rigid) mju_normalize4(lanes->data->qpos + 3); // noise makes it longer or shorter
    for (int k = 0; k < lanes->arrays; k++) put(lanes, k, lane, 0);
    for (int k = lanes->slides; k < lanes->positions; k++)
        put(lanes, lanes->position + k, lane, lanes->data->qpos[k]);
    for (int k = 0; k < lanes->speeds; k++) put(lanes, lanes->speed + k, lane, lanes->data->qvel[k]);
    keep(lanes, lane);
    park(lanes, lane);
}

void hb_mjcf_lanes_hold(hb_mjcf_lanes *lanes, int32_t lane, bool hold) {
    resident *r = &lanes->lane[lane];
    if (hold ? r->mode == IDLE || r->mode == HELD : r->mode != HELD) return;
    if (hold) {
        r->before = r->mode;
        r->mode = HELD;
        if (r->before == LIVING) keep(lanes, lane);
        park(lanes, lane);
    } else {
        r->mode = r->before;
        if (r->mode == LIVING) give_back(lanes, lane);
    }
}

// Sets every living lane's command; returns which lanes' actions are not finite as bits.
static uint32_t command(hb_mjcf_lanes *lanes, const float *action) {
    const mjModel *model = lanes->rules->model[lanes->variation];
    uint32_t wrong = 0;
    for (int j = 0; j < lanes->joints; j++) {
        const int motor = lanes->motor[j];
        for (int lane = 0; lane < lanes->width; lane++) {
            if (lanes->lane[lane].mode != LIVING) continue;
            const float a = action[lane * lanes->joints + motor];
            if (!isfinite(a)) wrong |= 1u << lane;
            put(lanes, lanes->control + j, lane, isfinite(a) ? hb_mjcf_command(model, motor, a) : 0);
        }
    }
    return wrong;
}

// Moves all lanes by a policy step. Returns the seconds of the physics.
static double move(hb_mjcf_lanes *lanes) {
    const hb_mjcf_rules *rules = lanes->rules;
    memset(lanes->state, 0, (size_t)(lanes->slides * lanes->code_width) * sizeof(float)); // x, or x and y
    const double start = hb_mujoco_seconds();
    if (lanes->planar) {
        lanes->planar->step(&rules->planar[lanes->variation], lanes->state, lanes->scratch, rules->frame_skip);
    } else {
        lanes->rigid->step(&rules->rigid[lanes->variation], lanes->state, lanes->scratch, rules->frame_skip);
        lanes->rigid->forces(&rules->rigid[lanes->variation], lanes->scratch, lanes->forces, lanes->seen);
    }
    const double seconds = hb_mujoco_seconds() - start;
    for (int lane = 0; lane < lanes->width; lane++)
        for (int k = 0; k < lanes->slides && lanes->lane[lane].mode == LIVING; k++)
            lanes->lane[lane].at[k] += (double)get(lanes, lanes->position + k, lane);
    return seconds;
}

static bool is_finite(const hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->control; k++) // positions, speeds, accelerations
        if (!(fabsf(get(lanes, k, lane)) <= most_number)) return false;
    return true;
}

// The first observation is MuJoCo's to the bit.
static hb_env_outcome begin(hb_mjcf_lanes *lanes, int lane, float *observation) {
    resident *r = &lanes->lane[lane];
    const mjModel *model = lanes->rules->model[lanes->variation];
    mjData *data = lanes->data;
    give_back(lanes, lane);
    r->mode = LIVING;
    memcpy(data->qpos, r->position, (size_t)lanes->positions * sizeof *r->position);
    memcpy(data->qvel, r->speed, (size_t)lanes->speeds * sizeof *r->speed);
    if (lanes->rigid) mju_copy3(data->xpos + 3, r->position);
    mju_zero(data->cfrc_ext, 6 * (int)model->nbody);
    mju_zero(data->ctrl, (int)model->nu);
    hb_mjcf_positions(lanes->rules->program, model, data, r->stands);
    hb_mjcf_observe(lanes->rules->program, model, data, 0, observation);
    return HB_ENV_RUNNING;
}

static hb_env_outcome end_step(hb_mjcf_lanes *lanes, int lane, float *observation, hb_env_step *out) {
    const hb_mjcf_rules *rules = lanes->rules;
    const mjModel *model = rules->model[lanes->variation];
    resident *r = &lanes->lane[lane];
    if (!is_finite(lanes, lane)) return HB_ENV_DIVERGED;
    const mjData *data = hb_mjcf_lanes_data(lanes, lane);
    const bool alive = hb_mjcf_alive(rules->program, model, data);
    r->reward =
        hb_mjcf_rewarded(rules->program, model, data, r->stands, model->opt.timestep * rules->frame_skip, alive);
    out->fitness = out->reward = r->reward;
    hb_mjcf_observe(rules->program, model, data, r->reward, observation);
    return alive || !rules->end ? HB_ENV_RUNNING : HB_ENV_DONE;
}

void hb_mjcf_lanes_step(hb_mjcf_lanes *lanes, const float *action, float *observation, hb_env_step *out,
                        hb_env_outcome *outcome) {
    const uint32_t wrong = command(lanes, action);
    int32_t living = 0;
    for (int lane = 0; lane < lanes->width; lane++) living += lanes->lane[lane].mode == LIVING;
    const double physics = living ? move(lanes) / living : 0;
    for (int lane = lanes->width; lane < lanes->code_width; lane++) park(lanes, lane);
    for (int lane = 0; lane < lanes->width; lane++) {
        resident *r = &lanes->lane[lane];
        float *row = observation + lane * lanes->rules->program->size;
        if (r->mode == IDLE || r->mode == HELD) {
            park(lanes, lane);
        } else if (r->mode == STARTING) {
            out[lane] = (hb_env_step){.fitness = 0};
            outcome[lane] = begin(lanes, lane, row);
        } else {
            out[lane] = (hb_env_step){.physics = physics, .substeps = lanes->rules->frame_skip};
            outcome[lane] = wrong >> lane & 1u ? HB_ENV_DIVERGED : end_step(lanes, lane, row, &out[lane]);
            if (outcome[lane] == HB_ENV_RUNNING) continue;
            keep(lanes, lane);
            r->mode = IDLE;
            park(lanes, lane);
        }
    }
}
