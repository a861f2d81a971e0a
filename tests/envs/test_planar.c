// Robots that move in a plane, against MuJoCo on Gymnasium's HalfCheetah and Walker2d, and against themselves at every width.
#include "tests/check.h"
#include "tests/envs/robots.h"

#include "envs/mjcf/presets.h"
#include "envs/mujoco/log.h"
#include "envs/mujoco/planar.h"
#include "kernels/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JOINTS = 6, DOFS = 9 };

typedef struct {
    double position[DOFS], speed[DOFS], warm[DOFS], control[JOINTS];
} snapshot;

static const char *const robots[] = {"HalfCheetah-v5", "Walker2d-v5"};
// As it is; with MuJoCo's other integrator; with springs that pull elsewhere, damping and armature of the root, a friction of each part.
enum { PLAIN, OTHER_INTEGRATOR, CHANGED, KINDS };
static const char *const kinds[] = {"", ", the other integrator", ", changed"};

static mjModel *model_of(int robot, int kind) {
    const hb_mjcf_preset *preset = hb_mjcf_presets;
    char message[500] = "";
    while (strcmp(preset->name, robots[robot]) != 0) preset++;
    mjSpec *spec = mj_parseXMLString(preset->model, NULL, message, sizeof message);
    mjModel *model = spec ? mj_compile(spec, NULL) : NULL;
    if (!model) fail_msg("%s", message);
    mj_deleteSpec(spec);
    if (kind == OTHER_INTEGRATOR)
        model->opt.integrator = model->opt.integrator == mjINT_EULER ? mjINT_RK4 : mjINT_EULER;
    for (int j = 0; kind == CHANGED && j < model->njnt; j++) {
        model->dof_armature[j] = 0.02 + 0.01 * j;
        model->dof_damping[j] = 0.3 + 0.1 * j; // of the root as well
        if (j >= 3) model->qpos_spring[j] = 0.1 * j - 0.5, model->jnt_stiffness[j] = 3 * j;
    }
    for (int g = 1; kind == CHANGED && g < model->ngeom; g++) model->geom_friction[3 * g] = 0.2 + 0.3 * g;
    mjData *data = mj_makeData(model);
    if (kind == CHANGED) mj_setConst(model, data);
    mj_deleteData(data);
    return model;
}

static mjModel *converging(const mjModel *model) {
    mjModel *newton = mj_copyModel(NULL, model);
    newton->opt.solver = mjSOL_NEWTON;
    newton->opt.iterations = 200;
    newton->opt.ls_iterations = 200;
    newton->opt.tolerance = 1e-15;
    return newton;
}

static hb_planar_model planar_of(const mjModel *model, int sweeps, double tolerance) {
    char message[500];
    hb_planar_model planar;
    if (hb_mujoco_planar(model, 2, 3, &planar, message, sizeof message) != 0) fail_msg("%s", message);
    planar.sweeps = sweeps;
    planar.tolerance = tolerance;
    return planar;
}

static void take(const mjData *data, snapshot *s) {
    memcpy(s->position, data->qpos, sizeof s->position);
    memcpy(s->speed, data->qvel, sizeof s->speed);
    memcpy(s->warm, data->qacc_warmstart, sizeof s->warm);
    memcpy(s->control, data->ctrl, sizeof s->control);
}

static void put(const snapshot *s, mjData *data) {
    memcpy(data->qpos, s->position, sizeof s->position);
    memcpy(data->qvel, s->speed, sizeof s->speed);
    memcpy(data->qacc_warmstart, s->warm, sizeof s->warm);
    memcpy(data->ctrl, s->control, sizeof s->control);
}

static void start(const mjModel *model, mjData *data) {
    mj_resetData(model, data);
    for (int k = 1; k < DOFS; k++) {
        data->qpos[k] += uniform(-0.1, 0.1);
        data->qvel[k] = uniform(-0.5, 0.5);
    }
}

// What a life's motors do in its policy step t: noise, waves, or nothing.
static void command(int life, int t, double *control) {
    for (int j = 0; j < JOINTS; j++)
        control[j] = life % 3 == 0 ? uniform(-1, 1) : life % 3 == 1 ? sin(0.3 * t + 1.7 * j + life) : 0;
}

// States of lives under MuJoCo, one in ten steps. A robot that has fallen goes on.
static void collect(const mjModel *model, snapshot *out, int n) {
    mjData *data = mj_makeData(model);
    counter = 0;
    for (int life = 0, taken = 0; taken < n; life++) {
        start(model, data);
        for (int t = 0; t < 200 && taken < n; t++) {
            command(life, t, data->ctrl);
            for (int k = 0; k < 5; k++) {
                if (uniform(0, 1) < 0.1 && taken < n) take(data, &out[taken++]);
                mj_step(model, data);
            }
        }
    }
    mj_deleteData(data);
}

// ---------------------------------------------------------------------------------------------------
// Lanes of one width

typedef struct {
    const hb_planar_code *code;
    hb_planar_layout at;
    void *state, *scratch;
} lanes;

static lanes open_lanes(const hb_planar_code *code) {
    lanes l = {.code = code, .at = hb_planar_layout_of(code->chains, code->links)};
    l.state = room((size_t)(l.at.arrays * code->width * code->bytes));
    l.scratch = room(code->scratch);
    return l;
}

static void close_lanes(lanes *l) {
    free(l->state);
    free(l->scratch);
}

static void set(const lanes *l, int array, int lane, double value) {
    put_number(l->state, l->code->bytes, array * l->code->width + lane, value);
}

static double get(const lanes *l, int array, int lane) {
    return number_at(l->state, l->code->bytes, array * l->code->width + lane);
}

static void fill(const lanes *l, int lane, const snapshot *s) {
    for (int k = 0; k < DOFS; k++) {
        set(l, l->at.position + k, lane, s->position[k]);
        set(l, l->at.speed + k, lane, s->speed[k]);
        set(l, l->at.warm + k, lane, s->warm[k]);
    }
    for (int k = 0; k < JOINTS; k++) set(l, l->at.control + k, lane, s->control[k]);
}

static void read_back(const lanes *l, int lane, snapshot *s) {
    for (int k = 0; k < DOFS; k++) {
        s->position[k] = get(l, l->at.position + k, lane);
        s->speed[k] = get(l, l->at.speed + k, lane);
        s->warm[k] = get(l, l->at.warm + k, lane);
    }
}

static void step_all(const hb_planar_code *code, const hb_planar_model *planar, const snapshot *in, snapshot *out,
                     int n) {
    lanes l = open_lanes(code);
    for (int first = 0; first < n; first += code->width) {
        for (int k = 0; k < code->width; k++) fill(&l, k, &in[first + k < n ? first + k : 0]);
        code->step(planar, l.state, l.scratch, 1);
        for (int k = 0; k < code->width && first + k < n; k++) read_back(&l, k, &out[first + k]);
    }
    close_lanes(&l);
}

// ---------------------------------------------------------------------------------------------------
// Differences

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { STATES = 200 };
#else
enum { STATES = 4000 };
#endif

enum { SWEEPS = 20 }; // envs/mjcf/mjcf.c's default

static snapshot states[STATES], exact[STATES], theirs[STATES], ours[STATES];
static double scale[STATES], errors[STATES];
static int touching;

static double norm(const double *a, const double *b) {
    double sum = 0;
    for (int k = 0; k < DOFS; k++) sum += (a[k] - (b ? b[k] : 0)) * (a[k] - (b ? b[k] : 0));
    return sqrt(sum);
}

// MuJoCo's own step of each state. size: the larger of its accelerations with and without constraints.
static void step_mujoco(const mjModel *model, snapshot *out, double *size) {
    mjData *data = mj_makeData(model);
    touching = 0;
    for (int i = 0; i < STATES; i++) {
        mj_resetData(model, data);
        put(&states[i], data);
        mj_forward(model, data);
        touching += data->nefc > 0;
        if (size) size[i] = larger(1, larger(norm(data->qacc, NULL), norm(data->qacc_smooth, NULL)));
        put(&states[i], data);
        mj_step(model, data);
        take(data, &out[i]);
    }
    mj_deleteData(data);
}

// Of the mean accelerations over the step, relative to the largest; and of the positions, m and rad.
static void compare(const mjModel *model, const snapshot *a, double *mean, double *most99, double *most) {
    const double h = model->opt.timestep;
    *mean = 0;
    for (int i = 0; i < STATES; i++) {
        errors[i] = larger(norm(a[i].speed, exact[i].speed) / h / scale[i],
                           norm(a[i].position, exact[i].position) / h / h / scale[i]);
        if (isnan(errors[i])) fail_msg("state %d is no number", i);
        *mean += errors[i] / STATES;
    }
    qsort(errors, STATES, sizeof *errors, by_size);
    *most99 = errors[STATES * 99 / 100];
    *most = errors[STATES - 1];
}

// In float64 and converged, MuJoCo's Newton solver finds the same next state. In float32, the default sweeps are about as near to it as
// MuJoCo's PGS with 12 iterations.
static void solves_mujocos_problem(void **state) {
    (void)state;
    for (int robot = 0; robot < 2; robot++)
        for (int kind = 0; kind < KINDS; kind++) {
            mjModel *model = model_of(robot, kind), *newton = converging(model);
            const hb_planar_model proof = planar_of(model, 100000, 1e-15), fast = planar_of(model, SWEEPS, 0);
            double mean, most99, most, mean32, most32, last, mean_pgs, most_pgs;
            collect(model, states, STATES);
            step_mujoco(newton, exact, scale);
            const int in_touch = touching;
            step_all(&hb_planar_2x3_double, &proof, states, ours, STATES);
            compare(model, ours, &mean, &most99, &most);
            step_all(hb_planar_code_2x3(0), &fast, states, ours, STATES);
            compare(model, ours, &mean32, &most32, &last);
            model->opt.solver = mjSOL_PGS;
            model->opt.iterations = 12;
            step_mujoco(model, theirs, NULL);
            compare(model, theirs, &mean_pgs, &most_pgs, &last);
            print_message("%s%s, %d states, %d with constraints: float64 %.1e, most %.1e; mean and 99 %%: float32 "
                          "%.1e %.1e, MuJoCo's PGS %.1e %.1e\n",
                          robots[robot], kinds[kind], STATES, in_touch, mean, most, mean32, most32, mean_pgs,
                          most_pgs);
            assert_true(in_touch > STATES / 3);
            assert_true(most < 3e-11);
            // The few states of a sanitized build are all of one life, and no statistics.
            if (STATES == 4000) assert_true(mean32 <= 1.5 * mean_pgs && most32 <= 1.5 * most_pgs);
            mj_deleteModel(model);
            mj_deleteModel(newton);
        }
}

// ---------------------------------------------------------------------------------------------------
// The same bits at every width

enum { ROBOTS = 48, STEPS = 100 };

static snapshot begun[ROBOTS], ended[2][ROBOTS];

// All robots, robot order[i] in place i.
static void live(const hb_planar_code *code, const hb_planar_model *planar, const int *order, snapshot *out) {
    lanes l = open_lanes(code);
    for (int first = 0; first < ROBOTS; first += code->width) {
        for (int k = 0; k < code->width; k++) fill(&l, k, &begun[order[first + k]]);
        for (int t = 0; t < STEPS; t++) {
            for (int k = 0; k < code->width; k++)
                for (int j = 0; j < JOINTS; j++) set(&l, l.at.control + j, k, command_of(order[first + k], t, j));
            code->step(planar, l.state, l.scratch, 5);
        }
        for (int k = 0; k < code->width; k++) read_back(&l, k, &out[order[first + k]]);
    }
    close_lanes(&l);
}

static uint64_t hash_of(const snapshot *s) {
    uint64_t hash = 1469598103934665603u;
    for (int i = 0; i < ROBOTS; i++)
        if (i != 5) // not a number: its bits are the compiler's
            for (int k = 0; k < DOFS; k++) {
                hash = (hash ^ hb_bits((float)s[i].position[k])) * 1099511628211u;
                hash = (hash ^ hb_bits((float)s[i].speed[k])) * 1099511628211u;
            }
    return hash;
}

// Widths 16, 8 and 1; robots in another order, beside other neighbours, one of which is not a number; on every compiler the same.
static void gives_the_same_bits(void **state) {
    (void)state;
    static const uint64_t known[2][KINDS] = {{0x4a23477d2690b5d9, 0xce4a1befcd35a232, 0x95582a93d315b0c2},
                                             {0x8f48c68654d1801d, 0x1e8158e337ad11e8, 0xe5d1250240b2f57d}};
    int straight[ROBOTS], mixed[ROBOTS];
    for (int k = 0; k < ROBOTS; k++) {
        straight[k] = k;
        mixed[k] = k * 29 % ROBOTS;
    }
    for (int robot = 0; robot < 2; robot++)
        for (int kind = 0; kind < KINDS; kind++) {
            mjModel *model = model_of(robot, kind);
            const hb_planar_model planar = planar_of(model, SWEEPS, 0);
            mjData *data = mj_makeData(model);
            counter = 0;
            for (int k = 0; k < ROBOTS; k++) {
                start(model, data);
                take(data, &begun[k]);
            }
            begun[5].speed[4] = NAN;
            live(hb_planar_code_2x3(1), &planar, straight, ended[0]);
            const uint64_t hash = hash_of(ended[0]);
            print_message("%s%s: %016llx\n", robots[robot], kinds[kind], (unsigned long long)hash);
            for (int k = 0; k < ROBOTS; k++) assert_true(isfinite(ended[0][k].position[1]) == (k != 5));
            assert_true(hash == known[robot][kind]);
            for (int width = 1; width <= 16; width *= 2) {
                const hb_planar_code *code = hb_planar_code_2x3(width);
                if (!code) continue;
                live(code, &planar, straight, ended[1]);
                for (int k = 0; k < ROBOTS; k++)
                    if (k != 5) assert_memory_equal(&ended[0][k], &ended[1][k], sizeof ended[0][k]);
                live(code, &planar, mixed, ended[1]);
                for (int k = 0; k < ROBOTS; k++)
                    if (k != 5) assert_memory_equal(&ended[0][k], &ended[1][k], sizeof ended[0][k]);
            }
            mj_deleteData(data);
            mj_deleteModel(model);
        }
}

// ---------------------------------------------------------------------------------------------------
// Refusals

static void refuse(mjModel *model, const char *feature) {
    char message[500];
    hb_planar_model planar;
    assert_int_equal(hb_mujoco_planar(model, 2, 3, &planar, message, sizeof message), -1);
    if (!strstr(message, feature) || !strstr(message, "env.engine=mujoco"))
        fail_msg("'%s' does not name %s", message, feature);
    mj_deleteModel(model);
}

static void names_what_it_cannot_do(void **state) {
    (void)state;
    mjModel *m;
#define REFUSE(change, feature)                                                                                      \
    m = model_of(0, PLAIN);                                                                                          \
    change;                                                                                                          \
    refuse(m, feature)
    REFUSE(m->opt.integrator = mjINT_IMPLICIT, "integrator");
    REFUSE(m->opt.disableactuator = 1, "disabled");
    REFUSE(m->nplastic = 1, "plastic");
    REFUSE(m->flg_surfacevel = 1, "move or stick");
    REFUSE(m->jnt_stiffnesspoly[1] = 50, "not linear");
    REFUSE(m->jnt_stiffness[0] = 1, "springs of the root");
    REFUSE(m->jnt_axis[3 * 2 + 1] = -1, "a hinge about y");
    REFUSE(m->jnt_axis[3 * 4] = 0.1, "another axis than y");
    REFUSE(m->jnt_margin[4] = 0.1, "margins");
    REFUSE(m->jnt_limited[5] = 0, "without limits");
    REFUSE(m->body_quat[4 * 3 + 1] = 0.1, "another axis than y");
    REFUSE(m->actuator_trnid[0] = 4, "one for each hinge");
    REFUSE(m->geom_margin[3] = 0.01, "margin");
    REFUSE(m->geom_gap[3] = 0.01, "gap");
    REFUSE(m->geom_friction[0] = m->geom_friction[3 * 4] = 0.05, "friction below 0.1");
    REFUSE(m->geom_condim[3] = 4, "condim");
    REFUSE(m->geom_priority[4] = 1, "priority");
    REFUSE(m->geom_solref[mjNREF * 5] = 0.03, "softness");
    REFUSE(m->geom_conaffinity[8] = 1, "own parts");
    REFUSE(m->geom_type[3] = mjGEOM_BOX, "shapes");
    REFUSE(m->geom_pos[2] = 0.1, "z = 0");
#undef REFUSE
    // Widths of 0 are no softness: the mean of both ends everywhere.
    m = model_of(0, PLAIN);
    for (int g = 0; g < m->ngeom; g++) m->geom_solimp[mjNIMP * g + 2] = 0;
    const hb_planar_model planar = planar_of(m, 1, 0);
    check_close(planar.numbers.contact.impedance[0], 0.5 * (mjMINIMP + 0.8), 1e-12);
    check_close(planar.numbers.contact.impedance[1], 0.5 * (mjMINIMP + 0.8), 1e-12);
    mj_deleteModel(m);
}

int main(void) {
    hb_mujoco_log();
    const struct CMUnitTest tests[] = {cmocka_unit_test(solves_mujocos_problem),
                                       cmocka_unit_test(gives_the_same_bits),
                                       cmocka_unit_test(names_what_it_cannot_do)};
    return cmocka_run_group_tests_name("planar", tests, NULL, NULL);
}
