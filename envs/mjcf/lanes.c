#include "envs/mjcf/lanes.h"

#include "envs/mujoco/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LANES = 16, MOST_NUMBERS = 64 };

static const float most_number = 1e10F; // mjMAXVAL: beyond it MuJoCo calls a simulation diverged

typedef enum { IDLE, STARTING, LIVING, HELD } mode;

typedef struct {
    mode mode, before;            // before it was held
    double x;                     // m, the root's; the state holds what came since the last step
    double reward;                // of the last step
    double stands[HB_MJCF_TERMS]; // of forward terms
    float numbers[MOST_NUMBERS];  // while it starts or is held: what its lane will hold
} resident;

struct hb_mjcf_lanes {
    const hb_mjcf_rules *rules;
    int32_t variation; // of the lives in the lanes
    const hb_planar_code *code;
    hb_planar_layout at;
    int32_t width, joints; // lanes in use; code->width may be larger
    float *state;          // (at.arrays, code->width)
    void *scratch;
    mjData *data; // what the program reads
    resident lane[MOST_LANES];
};

static void put(hb_mjcf_lanes *lanes, int array, int lane, double value) {
    lanes->state[array * lanes->code->width + lane] = (float)value;
}

static float get(const hb_mjcf_lanes *lanes, int array, int lane) {
    return lanes->state[array * lanes->code->width + lane];
}

// At rest, high above the floor, joints in the middle: nothing touches and nothing is at a limit.
static void park(hb_mjcf_lanes *lanes, int lane) {
    const hb_planar_model *model = &lanes->rules->planar[lanes->variation];
    for (int k = 0; k < lanes->at.arrays; k++) put(lanes, k, lane, 0);
    put(lanes, lanes->at.position + 1, lane, 100);
    for (int j = 0; j < lanes->joints; j++) {
        const __typeof__(&model->numbers.link[0][0]) link = &model->numbers.link[j / model->links][j % model->links];
        put(lanes, lanes->at.position + 3 + j, lane, 0.5 * (link->lower + link->upper));
    }
}

static void keep(hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->at.arrays; k++) lanes->lane[lane].numbers[k] = get(lanes, k, lane);
}

static void give_back(hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->at.arrays; k++)
        lanes->state[k * lanes->code->width + lane] = lanes->lane[lane].numbers[k];
}

// ---------------------------------------------------------------------------------------------------
// Open, close

int32_t hb_mjcf_lanes_width(void) {
    return hb_planar_code_2x3(0)->width;
}

static void make_data(void *handle) {
    hb_mjcf_lanes *lanes = handle;
    lanes->data = mj_makeData(lanes->rules->model[0]);
}

hb_mjcf_lanes *hb_mjcf_lanes_open(const hb_mjcf_rules *rules, int32_t width) {
    const hb_planar_code *code = width > 1 ? hb_planar_code_2x3(width) : NULL;
    if (!code) code = hb_planar_code_2x3(0);
    hb_mjcf_lanes *lanes = width <= code->width ? calloc(1, sizeof *lanes) : NULL;
    if (!lanes) return NULL;
    lanes->rules = rules;
    lanes->code = code;
    lanes->at = hb_planar_layout_of(code->chains, code->links);
    lanes->width = width;
    lanes->joints = code->chains * code->links;
    const size_t bytes = (size_t)(lanes->at.arrays * code->width) * sizeof(float);
    lanes->state = aligned_alloc(64, (bytes + 63) / 64 * 64);
    lanes->scratch = aligned_alloc(64, (code->scratch + 63) / 64 * 64);
    if (!hb_mujoco_try(make_data, lanes) || !lanes->data || !lanes->state || !lanes->scratch) {
        hb_mjcf_lanes_close(lanes);
        return NULL;
    }
    memset(lanes->scratch, 0, code->scratch);
    for (int k = 0; k < code->width; k++) park(lanes, k);
    return lanes;
}

void hb_mjcf_lanes_close(hb_mjcf_lanes *lanes) {
    if (!lanes) return;
    if (lanes->data) mj_deleteData(lanes->data);
    free(lanes->state);
    free(lanes->scratch);
    free(lanes);
}

// ---------------------------------------------------------------------------------------------------
// Episodes

const mjData *hb_mjcf_lanes_data(hb_mjcf_lanes *lanes, int32_t lane) {
    const int dofs = 3 + lanes->joints;
    mjData *data = lanes->data;
    for (int k = 0; k < dofs; k++) {
        data->qpos[k] = (double)get(lanes, lanes->at.position + k, lane);
        data->qvel[k] = (double)get(lanes, lanes->at.speed + k, lane);
    }
    data->qpos[0] = lanes->lane[lane].x;
    for (int j = 0; j < lanes->joints; j++) data->ctrl[j] = (double)get(lanes, lanes->at.control + j, lane);
    return data;
}

void hb_mjcf_lanes_reset(hb_mjcf_lanes *lanes, int32_t lane, int32_t variation, hb_env_random *random) {
    const mjModel *model = lanes->rules->model[variation];
    resident *r = &lanes->lane[lane];
    lanes->variation = variation;
    mj_resetData(model, lanes->data);
    hb_mjcf_disturb(lanes->rules->program, model, lanes->data, random);
    *r = (resident){.mode = STARTING, .x = lanes->data->qpos[0]};
    for (int k = 0; k < lanes->at.arrays; k++) put(lanes, k, lane, 0);
    for (int k = 0; k < 3 + lanes->joints; k++) {
        if (k > 0) put(lanes, lanes->at.position + k, lane, lanes->data->qpos[k]);
        put(lanes, lanes->at.speed + k, lane, lanes->data->qvel[k]);
    }
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
    for (int lane = 0; lane < lanes->width; lane++) {
        if (lanes->lane[lane].mode != LIVING) continue;
        for (int j = 0; j < lanes->joints; j++) {
            const float a = action[lane * lanes->joints + j];
            if (!isfinite(a)) wrong |= 1u << lane;
            put(lanes, lanes->at.control + j, lane, isfinite(a) ? hb_mjcf_command(model, j, a) : 0);
        }
    }
    return wrong;
}

// Moves all lanes by a policy step. Returns the seconds of the physics.
static double move(hb_mjcf_lanes *lanes) {
    memset(lanes->state, 0, (size_t)lanes->code->width * sizeof(float)); // x
    const double start = hb_mujoco_seconds();
    lanes->code->step(&lanes->rules->planar[lanes->variation], lanes->state, lanes->scratch,
                      lanes->rules->frame_skip);
    const double seconds = hb_mujoco_seconds() - start;
    for (int lane = 0; lane < lanes->width; lane++)
        if (lanes->lane[lane].mode == LIVING) lanes->lane[lane].x += (double)get(lanes, lanes->at.position, lane);
    return seconds;
}

static bool is_finite(const hb_mjcf_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->at.control; k++)
        if (!(fabsf(get(lanes, k, lane)) <= most_number)) return false;
    return true;
}

static hb_env_outcome begin(hb_mjcf_lanes *lanes, int lane, float *observation) {
    resident *r = &lanes->lane[lane];
    give_back(lanes, lane);
    r->mode = LIVING;
    const mjData *data = hb_mjcf_lanes_data(lanes, lane);
    const mjModel *model = lanes->rules->model[lanes->variation];
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
    for (int lane = 0; lane < lanes->code->width; lane++) {
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
            r->mode = IDLE;
            park(lanes, lane);
        }
    }
}
