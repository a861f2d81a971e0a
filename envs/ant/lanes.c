#include "envs/ant/lanes.h"
#include "envs/ant/observe.h"
#include "envs/mujoco/log.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_LANES = 16, MOST_NUMBERS = 64 };

typedef enum { IDLE, BURNING, LIVING, HELD } mode;

typedef struct {
    mode mode;
    int burned;     // env steps of the burn-in
    double x, y;    // m, the torso; the state holds what came since the last step
    double mean[2]; // m, what progress follows
    hb_ant_life life;
    // The state of the reset, where it is seen first or lived on from: what is observed, the lane's numbers, its mean position.
    float first[HB_ANT_OBSERVED], held[MOST_NUMBERS];
    double held_mean[2];
    // Of a lane that is held: its mode before, its numbers, its contacts. The numbers also of a life that has ended.
    mode before;
    float numbers[MOST_NUMBERS], contacts[4];
} resident;

struct hb_ant_lanes {
    const hb_rigid_model *models, *model; // of all variations; of the lives in the lanes
    const hb_ant_rules *rules;
    const hb_rigid_code *code;
    hb_ant_observe *observe;
    hb_rigid_layout at;
    int32_t width; // lanes in use; code->width may be larger
    float *state;  // (at.arrays, code->width)
    void *scratch;
    resident lane[MOST_LANES];
    float contact[4 * MOST_LANES], target[2 * MOST_LANES]; // (4, code->width), (2, code->width)
    float seen[MOST_LANES * HB_ANT_OBSERVED];              // (code->width, 28)
    uint8_t finite[MOST_LANES];
};

// ---------------------------------------------------------------------------------------------------
// Models

static void add(double sum[3], const double point[3]) {
    for (int i = 0; i < 3; i++) sum[i] += point[i];
}

void hb_ant_mark_parts(hb_rigid_model *model, const double aux[4][3], const double upper[4][3],
                       const double foot[4][3]) {
    hb_rigid_numbers *n = &model->numbers;
    for (int k = 0; k < 4; k++) {
        add(n->root.moment, aux[k]);
        add(n->root.moment, n->link[k][0].position); // the hip's anchor
        n->link[k][0].marks = 2;
        add(n->link[k][0].moment, upper[k]);
        add(n->link[k][0].moment, n->link[k][1].position); // the ankle's
        n->link[k][1].marks = 1;
        add(n->link[k][1].moment, foot[k]);
    }
    hb_rigid_round(model);
}

// ---------------------------------------------------------------------------------------------------
// Open, close

int32_t hb_ant_lanes_width(void) {
    return hb_rigid_code_4x2(0)->width;
}

static hb_ant_observe *observer_of(const char *variant) {
    static const hb_ant_observer *const all[] = {
#ifdef __x86_64__
        &hb_ant_observer_avx512, &hb_ant_observer_avx2,
#endif
        &hb_ant_observer_generic};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (strcmp(all[k]->variant, variant) == 0) return all[k]->observe;
    return NULL;
}

static void put(hb_ant_lanes *lanes, int array, int lane, double value) {
    lanes->state[array * lanes->code->width + lane] = (float)value;
}

static double get(const hb_ant_lanes *lanes, int array, int lane) {
    return (double)lanes->state[array * lanes->code->width + lane];
}

// A lane's numbers, to `numbers` and back.
static void keep(const hb_ant_lanes *lanes, int lane, float *numbers) {
    for (int k = 0; k < lanes->at.arrays; k++) numbers[k] = lanes->state[k * lanes->code->width + lane];
}

static void give_back(hb_ant_lanes *lanes, int lane, const float *numbers) {
    for (int k = 0; k < lanes->at.arrays; k++) lanes->state[k * lanes->code->width + lane] = numbers[k];
}

// At rest, high above the floor, joints in the middle: nothing touches and nothing is at a limit.
static void park(hb_ant_lanes *lanes, int lane) {
    for (int k = 0; k < lanes->at.arrays; k++) put(lanes, k, lane, 0);
    put(lanes, lanes->at.position + 2, lane, 10);
    put(lanes, lanes->at.position + 3, lane, 1);
    for (int j = 0; j < HB_ANT_JOINTS; j++) {
        const __typeof__(&lanes->model->numbers.link[0][0]) link = &lanes->model->numbers.link[j / 2][j % 2];
        put(lanes, lanes->at.position + 7 + j, lane, 0.5 * (link->lower + link->upper));
    }
}

hb_ant_lanes *hb_ant_lanes_open(const hb_rigid_model *models, const hb_ant_rules *rules, int32_t width) {
    const hb_rigid_code *code = width > 1 ? hb_rigid_code_4x2(width) : NULL;
    if (!code) code = hb_rigid_code_4x2(0);
    hb_ant_lanes *lanes = width <= code->width ? calloc(1, sizeof *lanes) : NULL;
    if (!lanes) return NULL;
    lanes->models = lanes->model = models;
    lanes->rules = rules;
    lanes->code = code;
    lanes->observe = observer_of(code->variant);
    lanes->at = hb_rigid_layout_of(code->chains, code->links);
    lanes->width = width;
    const size_t bytes = (size_t)(lanes->at.arrays * code->width) * sizeof(float);
    lanes->state = aligned_alloc(64, (bytes + 63) / 64 * 64);
    lanes->scratch = aligned_alloc(64, (code->scratch + 63) / 64 * 64);
    if (!lanes->state || !lanes->scratch) {
        hb_ant_lanes_close(lanes);
        return NULL;
    }
    memset(lanes->scratch, 0, code->scratch);
    for (int k = 0; k < code->width; k++) park(lanes, k);
    return lanes;
}

void hb_ant_lanes_close(hb_ant_lanes *lanes) {
    if (!lanes) return;
    free(lanes->state);
    free(lanes->scratch);
    free(lanes);
}

// ---------------------------------------------------------------------------------------------------
// Episodes

void hb_ant_lanes_reset(hb_ant_lanes *lanes, int32_t lane, int32_t variation, hb_env_random *random) {
    double joint[HB_ANT_JOINTS];
    lanes->model = &lanes->models[variation];
    park(lanes, lane);
    hb_ant_start(random, joint);
    put(lanes, lanes->at.position + 2, lane, hb_ant_start_height);
    for (int j = 0; j < HB_ANT_JOINTS; j++) put(lanes, lanes->at.position + 7 + j, lane, joint[j]);
    for (int k = 0; k < 4; k++) lanes->contact[k * lanes->code->width + lane] = 0;
    lanes->lane[lane] = (resident){.mode = BURNING};
}

void hb_ant_lanes_hold(hb_ant_lanes *lanes, int32_t lane, bool hold) {
    resident *r = &lanes->lane[lane];
    const int width = lanes->code->width;
    if (hold ? r->mode == IDLE || r->mode == HELD : r->mode != HELD) return;
    if (hold) {
        keep(lanes, lane, r->numbers);
        for (int k = 0; k < 4; k++) r->contacts[k] = lanes->contact[k * width + lane];
        r->before = r->mode;
        r->mode = HELD;
        park(lanes, lane);
    } else {
        give_back(lanes, lane, r->numbers);
        for (int k = 0; k < 4; k++) lanes->contact[k * width + lane] = r->contacts[k];
        r->mode = r->before;
    }
}

// Where progress stands: the mean of 22 parts, one of which is the floor at (0, 0), or the torso.
static void locate(hb_ant_lanes *lanes, int lane) {
    resident *r = &lanes->lane[lane];
    const double torso[2] = {r->x, r->y};
    for (int k = 0; k < 2; k++) {
        const double parts = (21.0 * torso[k] + get(lanes, lanes->at.moment + k, lane)) / 22.0;
        r->mean[k] = lanes->rules->torso_position ? torso[k] : parts;
    }
    lanes->target[lane] = (float)(hb_ant_target_x - r->mean[0]);
    lanes->target[lanes->code->width + lane] = (float)-r->mean[1];
}

// What all lanes see, with the contacts of the step before.
static void look(hb_ant_lanes *lanes) {
    lanes->code->look(lanes->model, lanes->state, lanes->scratch);
    for (int k = 0; k < lanes->code->width; k++) locate(lanes, k);
    lanes->observe(lanes->model, lanes->state, lanes->contact, lanes->target, lanes->seen, lanes->finite);
}

static void take_contacts(hb_ant_lanes *lanes) {
    const int width = lanes->code->width;
    for (int k = 0; k < 4; k++) // the foot is the second link of its leg
        memcpy(lanes->contact + k * width, lanes->state + (lanes->at.touch + 2 + 2 * k) * width,
               (size_t)width * sizeof(float));
}

// Sets every lane's command; returns which lanes' actions are not finite as bits.
static uint32_t command(hb_ant_lanes *lanes, const float *action) {
    uint32_t wrong = 0;
    for (int lane = 0; lane < lanes->width; lane++)
        for (int j = 0; j < HB_ANT_JOINTS; j++) {
            const bool lives = lanes->lane[lane].mode == LIVING;
            const float a = lives ? action[lane * HB_ANT_JOINTS + j] : 0.0f;
            if (!isfinite(a)) wrong |= 1u << lane;
            put(lanes, lanes->at.control + j, lane, isfinite(a) ? hb_ant_clip((double)a, 1.0) : 0);
        }
    return wrong;
}

static bool is_busy(const resident *r) {
    return r->mode == BURNING || r->mode == LIVING;
}

static bool is_fresh(const resident *r) {
    return r->mode == BURNING && r->burned == 0;
}

// Keeps the state of lanes whose episode begins, where the policy sees it, or lives on from it because there is no burn-in.
static void hold(hb_ant_lanes *lanes) {
    bool fresh = false;
    for (int lane = 0; lane < lanes->width; lane++) fresh |= is_fresh(&lanes->lane[lane]);
    if (!fresh || (!lanes->rules->reset_observation && lanes->rules->burn_in > 0)) return;
    look(lanes);
    for (int lane = 0; lane < lanes->width; lane++) {
        resident *r = &lanes->lane[lane];
        if (!is_fresh(r)) continue;
        memcpy(r->first, lanes->seen + lane * HB_ANT_OBSERVED, sizeof r->first);
        memcpy(r->held_mean, r->mean, sizeof r->mean);
        keep(lanes, lane, r->held);
    }
}

// Without burn-in the first observation is that of the reset: takes the step that the others made back.
static void unmove(hb_ant_lanes *lanes, int lane) {
    resident *r = &lanes->lane[lane];
    give_back(lanes, lane, r->held);
    memcpy(r->mean, r->held_mean, sizeof r->mean);
    memcpy(lanes->seen + lane * HB_ANT_OBSERVED, r->first, sizeof r->first);
    r->x = r->y = 0;
    lanes->finite[lane] = 1;
}

// Moves all lanes by one control step. Returns the seconds of the physics.
static double move(hb_ant_lanes *lanes) {
    const int width = lanes->code->width;
    memset(lanes->state, 0, 2 * (size_t)width * sizeof(float)); // x and y
    const double start = hb_mujoco_seconds();
    lanes->code->step(lanes->model, lanes->state, lanes->scratch, HB_ANT_SUBSTEPS);
    for (int lane = 0; lane < lanes->width; lane++) {
        if (!is_busy(&lanes->lane[lane])) continue;
        lanes->lane[lane].x += get(lanes, lanes->at.position, lane);
        lanes->lane[lane].y += get(lanes, lanes->at.position + 1, lane);
    }
    look(lanes);
    return hb_mujoco_seconds() - start;
}

static hb_env_outcome end_burn_in(hb_ant_lanes *lanes, int lane, float *observation) {
    resident *r = &lanes->lane[lane];
    if (lanes->rules->burn_in == 0) unmove(lanes, lane);
    if (!lanes->finite[lane]) return HB_ENV_DIVERGED;
    memcpy(observation, lanes->rules->reset_observation ? r->first : lanes->seen + lane * HB_ANT_OBSERVED,
           sizeof r->first);
    r->mode = LIVING;
    r->life = (hb_ant_life){.distance = hb_ant_distance(r->mean)};
    return HB_ENV_RUNNING;
}

static hb_env_outcome end_step(hb_ant_lanes *lanes, int lane, float *observation, hb_env_step *out) {
    resident *r = &lanes->lane[lane];
    if (!lanes->finite[lane]) return HB_ENV_DIVERGED;
    double control[HB_ANT_JOINTS];
    for (int j = 0; j < HB_ANT_JOINTS; j++) control[j] = get(lanes, lanes->at.control + j, lane);
    memcpy(observation, lanes->seen + lane * HB_ANT_OBSERVED, HB_ANT_OBSERVED * sizeof *observation);
    const double height = get(lanes, lanes->at.position + 2, lane);
    return hb_ant_count(lanes->rules, &r->life, control, observation, height, hb_ant_distance(r->mean), out);
}

void hb_ant_lanes_step(hb_ant_lanes *lanes, const float *action, float *observation, hb_env_step *out,
                       hb_env_outcome *outcome) {
    const uint32_t wrong = command(lanes, action);
    int32_t busy = 0;
    for (int lane = 0; lane < lanes->width; lane++) busy += is_busy(&lanes->lane[lane]);
    hold(lanes);
    const double physics = move(lanes) / (busy ? busy : 1);
    for (int lane = 0; lane < lanes->code->width; lane++) {
        resident *r = &lanes->lane[lane];
        if (!is_busy(r)) {
            park(lanes, lane);
            continue;
        }
        float *row = observation + lane * HB_ANT_OBSERVED;
        out[lane] = (hb_env_step){.physics = physics, .substeps = HB_ANT_SUBSTEPS};
        if (r->mode == BURNING)
            outcome[lane] = ++r->burned < lanes->rules->burn_in ? HB_ENV_STARTING : end_burn_in(lanes, lane, row);
        else
            outcome[lane] = wrong >> lane & 1u ? HB_ENV_DIVERGED : end_step(lanes, lane, row, &out[lane]);
        if (outcome[lane] != HB_ENV_DONE && outcome[lane] != HB_ENV_DIVERGED) continue;
        keep(lanes, lane, r->numbers);
        r->mode = IDLE;
        park(lanes, lane);
    }
    take_contacts(lanes);
}

const hb_ant_life *hb_ant_lanes_life(const hb_ant_lanes *lanes, int32_t lane) {
    return &lanes->lane[lane].life;
}

void hb_ant_lanes_state(const hb_ant_lanes *lanes, int32_t lane, double state[29]) {
    const resident *r = &lanes->lane[lane];
    const bool parked = r->mode == IDLE || r->mode == HELD;
    for (int k = 0; k < 29; k++)
        state[k] = parked ? (double)r->numbers[k] : get(lanes, k, lane); // positions, then speeds
    state[0] = r->x;
    state[1] = r->y;
}
