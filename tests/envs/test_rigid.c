// Rigid chains against MuJoCo, on the Ant's seven bodies and three profiles, and against themselves at every width.
#include "tests/check.h"
#include "tests/envs/robots.h"

#include "envs/ant/model.h"
#include "envs/mjcf/presets.h"
#include "envs/mujoco/rigid.h"
#include "kernels/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JOINTS 8
#define DOFS   14

// The profiles of envs/ant/ant.c: light, mjcf, bullet.
static const hb_ant_physics profiles[] = {
    {.density = 5, .armature = 1, .damping = 1, .root = 1, .gear_hip = 60, .gear_ankle = 60, .friction = 1.2},
    {.density = 5, .armature = 1, .damping = 1, .gear_hip = 150, .gear_ankle = 150, .friction = 1.2},
    {.density = 1000, .gear_hip = 250, .gear_ankle = 177, .friction = 1.2},
};

typedef struct {
    double position[15], speed[14], warm[14], control[8];
} snapshot;

static mjModel *model_of(int morphology, int profile, bool newton) {
    char message[500] = "";
    hb_ant_physics physics = profiles[profile];
    physics.pgs_iterations = newton ? 0 : 8;
    mjModel *model = hb_ant_model(&hb_ant_morphologies[morphology], &physics, message, sizeof message);
    if (!model) fail_msg("%s", message);
    if (newton) {
        model->opt.iterations = 100;
        model->opt.tolerance = 1e-14;
    }
    return model;
}

static hb_rigid_model rigid_of(const mjModel *model, int sweeps) {
    char message[500];
    hb_rigid_model rigid;
    if (hb_mujoco_rigid(model, 4, 2, &rigid, message, sizeof message) != 0) fail_msg("%s", message);
    rigid.sweeps = sweeps;
    return rigid;
}

static void start(const mjModel *model, mjData *data) {
    mj_resetData(model, data);
    data->qpos[2] = 0.75;
    for (int k = 0; k < 4; k++) {
        data->qpos[7 + 2 * k] = uniform(-0.1, 0.1);
        data->qpos[8 + 2 * k] = hb_ant_ankle_sign[k] * (M_PI / 6 + uniform(0, 0.2));
    }
}

// A gait: every motor a sine, clipped. It is evolved for distance, so that states of learnt lives are among those compared.
typedef struct {
    double frequency, phase[JOINTS], amplitude[JOINTS], offset[JOINTS];
} gait;

static gait learnt;

static double stride(const gait *g, int t, int j) {
    return fmax(-1, fmin(1, g->offset[j] + g->amplitude[j] * sin(g->frequency * t + g->phase[j])));
}

// What a life's motors do in its env step t: nothing during the burn-in, then noise of some strength, or a gait.
static void command(int life, int t, double *control) {
    static const double amplitude[] = {1, 0.3, 0};
    for (int j = 0; j < JOINTS; j++)
        control[j] = t < 40          ? 0
                     : life % 5 == 4 ? fmax(-1, fmin(1, stride(&learnt, t, j) + 0.1 * uniform(-1, 1)))
                     : life % 5 == 3 ? sin(0.15 * t + 1.7 * j + life)
                                     : amplitude[life % 5] * uniform(-1, 1);
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

// States of lives under MuJoCo's PGS, one in ten substeps.
static int collect(const mjModel *model, int lives, int steps, snapshot *out, int most) {
    mjData *data = mj_makeData(model);
    int n = 0;
    for (int life = 0; life < lives; life++) {
        start(model, data);
        for (int t = 0; t < steps; t++) {
            command(life, t, data->ctrl);
            for (int k = 0; k < 4; k++) {
                if (uniform(0, 1) < 0.1 && n < most) take(data, &out[n++]);
                mj_step(model, data);
            }
        }
    }
    mj_deleteData(data);
    return n;
}

// ---------------------------------------------------------------------------------------------------
// Lanes of one width, filled from snapshots and read back

typedef struct {
    const hb_rigid_code *code;
    hb_rigid_layout at;
    void *state, *scratch;
} lanes;

static lanes open_lanes(const hb_rigid_code *code) {
    lanes l = {.code = code, .at = hb_rigid_layout_of(code->chains, code->links)};
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

static int motor[JOINTS] = {0, 1, 2, 3, 4, 5, 6, 7}; // of each joint; Gymnasium's Ant has another order

static void fill(const lanes *l, int lane, const snapshot *s) {
    for (int k = 0; k < 15; k++) set(l, l->at.position + k, lane, s->position[k]);
    for (int k = 0; k < 14; k++) set(l, l->at.speed + k, lane, s->speed[k]);
    for (int k = 0; k < 14; k++) set(l, l->at.warm + k, lane, s->warm[k]);
    for (int k = 0; k < 8; k++) set(l, l->at.control + k, lane, s->control[motor[k]]);
    for (int k = l->at.touch; k < l->at.arrays; k++) set(l, k, lane, 0);
}

static void read_back(const lanes *l, int lane, snapshot *s) {
    for (int k = 0; k < 15; k++) s->position[k] = get(l, l->at.position + k, lane);
    for (int k = 0; k < 14; k++) s->speed[k] = get(l, l->at.speed + k, lane);
    for (int k = 0; k < 14; k++) s->warm[k] = get(l, l->at.warm + k, lane);
}

// One substep of each snapshot.
static void step_all(const hb_rigid_code *code, const hb_rigid_model *rigid, const snapshot *in, snapshot *out,
                     int n) {
    lanes l = open_lanes(code);
    for (int first = 0; first < n; first += code->width) {
        for (int k = 0; k < code->width; k++) fill(&l, k, &in[first + k < n ? first + k : 0]);
        code->step(rigid, l.state, l.scratch, 1);
        for (int k = 0; k < code->width && first + k < n; k++) read_back(&l, k, &out[first + k]);
    }
    close_lanes(&l);
}

// ---------------------------------------------------------------------------------------------------
// Learning to walk: (1, 15) evolution of a gait in lanes

enum { LEARNERS = 16, WALK = 300 };

// Metres along x that each gait walks within WALK control steps, after the burn-in; the root must stay above 0.2 m.
static void walk(const hb_rigid_model *rigid, const snapshot *begin, const gait *gaits, double *distance) {
    const hb_rigid_code *code = hb_rigid_code_4x2(0);
    lanes l = open_lanes(code);
    for (int first = 0; first < LEARNERS; first += code->width) {
        bool down[LEARNERS] = {false};
        for (int k = 0; k < code->width; k++) fill(&l, k, begin);
        for (int t = 0; t < 40 + WALK; t++) {
            for (int k = 0; k < code->width; k++)
                for (int j = 0; j < JOINTS; j++)
                    set(&l, l.at.control + j, k, t < 40 ? 0 : stride(&gaits[first + k], t, j));
            code->step(rigid, l.state, l.scratch, 4);
            for (int k = 0; k < code->width; k++) down[k] |= !(get(&l, l.at.position + 2, k) > 0.2);
        }
        for (int k = 0; k < code->width; k++) distance[first + k] = down[k] ? -1 : get(&l, l.at.position, k);
    }
    close_lanes(&l);
}

static void vary(const gait *parent, gait *child) {
    *child = *parent;
    child->frequency = fmax(0.05, fmin(0.6, child->frequency + uniform(-0.04, 0.04)));
    for (int j = 0; j < JOINTS; j++) {
        child->phase[j] += uniform(-0.5, 0.5);
        child->amplitude[j] += uniform(-0.2, 0.2);
        child->offset[j] += uniform(-0.1, 0.1);
    }
}

// Returns how far the learnt gait walks, m.
static double learn(const mjModel *model, const hb_rigid_model *rigid) {
    snapshot begin;
    gait gaits[LEARNERS];
    double distance[LEARNERS], best = 0;
    mjData *data = mj_makeData(model);
    counter = 1u << 20;
    start(model, data);
    take(data, &begin);
    mj_deleteData(data);
    learnt = (gait){.frequency = 0.2};
    for (int j = 0; j < JOINTS; j++) learnt.phase[j] = 1.7 * j, learnt.amplitude[j] = 0.6;
    for (int generation = 0; generation < 60; generation++) {
        for (int k = 0; k < LEARNERS; k++) vary(&learnt, &gaits[k]);
        gaits[0] = learnt;
        walk(rigid, &begin, gaits, distance);
        for (int k = 0; k < LEARNERS; k++)
            if (distance[k] > best) best = distance[k], learnt = gaits[k];
    }
    counter = 0;
    return best;
}

// ---------------------------------------------------------------------------------------------------
// Differences

static double norm(const double *a, const double *b, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++) sum += (a[k] - (b ? b[k] : 0)) * (a[k] - (b ? b[k] : 0));
    return sqrt(sum);
}

typedef struct {
    double mean, most99, largest;
} spread;

static spread spread_of(double *e, int n) {
    spread s = {0};
    for (int i = 0; i < n; i++)
        if (isnan(e[i])) return (spread){e[i], e[i], e[i]}; // sorting would hide it
    qsort(e, (size_t)n, sizeof *e, by_size);
    for (int k = 0; k < n; k++) s.mean += e[k] / n;
    s.most99 = e[n * 99 / 100];
    s.largest = e[n - 1];
    return s;
}

enum { MOST = 6000 };

static snapshot states[MOST], exact[MOST], theirs[MOST], ours[MOST];
static double scale[MOST], errors[MOST];

// MuJoCo's own step of each state: what its solver finds, relative to the larger of its accelerations with and without constraints.
static void step_mujoco(const mjModel *model, const snapshot *in, snapshot *out, double *size, int n) {
    mjData *data = mj_makeData(model);
    for (int i = 0; i < n; i++) {
        mj_resetData(model, data);
        put(&in[i], data);
        mj_step(model, data);
        take(data, &out[i]);
        if (size) size[i] = larger(norm(data->qacc, NULL, DOFS), norm(data->qacc_smooth, NULL, DOFS));
    }
    mj_deleteData(data);
}

static spread compare(const snapshot *a, const snapshot *b, int n) {
    for (int i = 0; i < n; i++) errors[i] = norm(a[i].warm, b[i].warm, DOFS) / scale[i];
    return spread_of(errors, n);
}

// How many states of a body and profile, and the sweeps that envs/ant/ant.c takes by default.
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { STATES = 260 };
#else
enum { STATES = 5200 };
#endif
static const int default_sweeps[] = {10, 12, 20};

// In float64 and converged, MuJoCo's Newton solver finds the same accelerations, and the next state is the same. In float32, the
// default sweeps are nearer to it than MuJoCo's own PGS with 8 iterations.
static void solves_mujocos_problem(void **state) {
    (void)state;
    for (int profile = 0; profile < 3; profile++)
        for (int body = 0; hb_ant_morphologies[body].name; body++) {
            mjModel *pgs = model_of(body, profile, false), *newton = model_of(body, profile, true);
            hb_rigid_model rigid = rigid_of(pgs, 100000);
            rigid.sweeps = default_sweeps[profile];
            const double walked = learn(pgs, &rigid);
            rigid.sweeps = 100000;
            rigid.tolerance = 1e-15;
            const int n = collect(pgs, 30, 540, states, STATES);
            step_mujoco(newton, states, exact, scale, n);
            step_mujoco(pgs, states, theirs, NULL, n);
            step_all(&hb_rigid_4x2_double, &rigid, states, ours, n);
            const spread proof = compare(ours, exact, n);
            double next = 0;
            for (int i = 0; i < n; i++) {
                next = larger(next, norm(ours[i].position, exact[i].position, 15));
                next =
                    larger(next, norm(ours[i].speed, exact[i].speed, 14) / fmax(1, norm(exact[i].speed, NULL, 14)));
            }
            const spread pgs8 = compare(theirs, exact, n);
            rigid.sweeps = default_sweeps[profile];
            step_all(hb_rigid_code_4x2(0), &rigid, states, ours, n);
            const spread lanes32 = compare(ours, exact, n);
            print_message("profile %d, %s, %d states, learnt gait %.1f m: float64 to %.1e, next state %.1e; mean and "
                          "99 %%: float32 %.1e %.1e, "
                          "MuJoCo's PGS %.1e %.1e\n",
                          profile, hb_ant_morphologies[body].name, n, walked, proof.largest, next, lanes32.mean,
                          lanes32.most99, pgs8.mean, pgs8.most99);
            assert_true(n == STATES && walked > 1.5);
            assert_true(proof.largest <= 1e-11 && next <= 1e-11);
            // The few states of a sanitized build are all of one life, and no statistics.
            if (STATES == 5200) assert_true(lanes32.mean <= pgs8.mean && lanes32.most99 <= pgs8.most99);
            mj_deleteModel(pgs);
            mj_deleteModel(newton);
        }
}

// ---------------------------------------------------------------------------------------------------
// Gymnasium's Ant: its legs hang on bodies that are fixed to the torso, it meets the floor by masks, Runge-Kutta moves it

enum { OWNERS = 14, FORCES = 6 * OWNERS, FEWER = STATES / 4 };

typedef struct {
    double forces[FORCES], seen[3];
} contact_forces;

static contact_forces their_forces[FEWER], our_forces[FEWER];

static mjModel *gymnasiums_ant(int integrator) {
    char message[500] = "";
    const hb_mjcf_preset *preset = hb_mjcf_presets;
    while (strcmp(preset->name, "Ant-v5") != 0) preset++;
    mjSpec *spec = mj_parseXMLString(preset->model, NULL, message, sizeof message);
    mjModel *model = spec ? mj_compile(spec, NULL) : NULL;
    if (!model) fail_msg("%s", message);
    mj_deleteSpec(spec);
    model->opt.integrator = integrator;
    model->opt.solver = mjSOL_NEWTON;
    model->opt.iterations = 200;
    model->opt.ls_iterations = 200;
    model->opt.tolerance = 1e-15;
    return model;
}

static void step_mujocos_ant(const mjModel *model, int n) {
    mjData *data = mj_makeData(model);
    for (int i = 0; i < n; i++) {
        mj_resetData(model, data);
        put(&states[i], data);
        mj_forward(model, data);
        scale[i] = larger(1, larger(norm(data->qacc, NULL, DOFS), norm(data->qacc_smooth, NULL, DOFS)));
        put(&states[i], data);
        mj_step(model, data);
        mj_rnePostConstraint(model, data);
        take(data, &exact[i]);
        memcpy(their_forces[i].forces, data->cfrc_ext, sizeof their_forces[i].forces);
        memcpy(their_forces[i].seen, data->xpos + 3, sizeof their_forces[i].seen);
    }
    mj_deleteData(data);
}

static void step_our_ant(const hb_rigid_code *code, const hb_rigid_model *rigid, int n) {
    lanes l = open_lanes(code), f = l;
    f.state = room((size_t)(FORCES + 3) * 16 * sizeof(double));
    for (int first = 0; first < n; first += code->width) {
        for (int k = 0; k < code->width; k++) fill(&l, k, &states[first + k < n ? first + k : 0]);
        code->step(rigid, l.state, l.scratch, 1);
        code->forces(rigid, l.scratch, f.state, (char *)f.state + FORCES * code->width * code->bytes);
        for (int k = 0; k < code->width && first + k < n; k++) {
            read_back(&l, k, &ours[first + k]);
            for (int i = 0; i < FORCES; i++) our_forces[first + k].forces[i] = get(&f, i, k);
            for (int i = 0; i < 3; i++) our_forces[first + k].seen[i] = get(&f, FORCES + i, k);
        }
    }
    free(f.state);
    close_lanes(&l);
}

// The mean and the largest error: of the accelerations over the step, and of forces and of where the root was.
static void compare_ants(const mjModel *model, int n, double mean[2], double most[2]) {
    const double h = model->opt.timestep;
    memset(mean, 0, 2 * sizeof *mean);
    memset(most, 0, 2 * sizeof *most);
    for (int i = 0; i < n; i++) {
        double force = 0, error = 0;
        for (int k = 0; k < FORCES; k++) {
            force += their_forces[i].forces[k] * their_forces[i].forces[k];
            error += pow(their_forces[i].forces[k] - our_forces[i].forces[k], 2);
        }
        const double e[2] = {norm(ours[i].speed, exact[i].speed, DOFS) / h / scale[i] +
                                 norm(ours[i].position, exact[i].position, 15) / h / h / scale[i],
                             sqrt(error) / larger(1, sqrt(force)) +
                                 norm(their_forces[i].seen, our_forces[i].seen, 3)};
        for (int k = 0; k < 2; k++) {
            if (isnan(e[k])) fail_msg("state %d is no number", i);
            mean[k] += e[k] / n;
            most[k] = larger(most[k], e[k]);
        }
    }
}

static void solves_the_problem_of_gymnasiums_ant(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) { // the last on a slippery floor
        mjModel *model = gymnasiums_ant(kind == 0 ? mjINT_EULER : mjINT_RK4);
        for (int g = 0; kind == 2 && g < model->ngeom; g++) model->geom_friction[3 * g] = 0.1;
        hb_rigid_model rigid = rigid_of(model, 100000);
        assert_int_equal(rigid.owners, OWNERS);
        for (int j = 0; j < JOINTS; j++) motor[j] = rigid.motor[j / 2][j % 2];
        assert_true(motor[0] == 2 && motor[7] == 1); // hip_4, ankle_4, then the others
        rigid.tolerance = 1e-15;
        counter = 0;
        int touching = 0;
        const int n = collect(model, 20, 300, states, FEWER);
        double mean[2], most[2], mean32[2], most32[2];
        step_mujocos_ant(model, n);
        for (int i = 0; i < n; i++)
            touching += their_forces[i].forces[6 * 1 + 5] != 0 || their_forces[i].forces[6 * 4 + 5] != 0;
        step_our_ant(&hb_rigid_4x2_double, &rigid, n);
        compare_ants(model, n, mean, most);
        rigid.sweeps = 12;
        step_our_ant(hb_rigid_code_4x2(0), &rigid, n);
        compare_ants(model, n, mean32, most32);
        print_message(
            "Ant-v5, %s, %d states, %d on torso or first foot: float64 to %.1e, forces to %.1e; float32 mean %.1e, "
            "forces %.1e\n",
            kind == 0 ? "Euler" : "RK4", n, touching, most[0], most[1], mean32[0], mean32[1]);
        assert_true(n == FEWER && touching > n / 20);
        assert_true(most[0] < 1e-11 && most[1] < 1e-10);
        assert_true(mean32[0] < 1e-2 && mean32[1] < (kind == 2 ? 0.1 : 1e-2));
        for (int j = 0; j < JOINTS; j++) motor[j] = j;
        mj_deleteModel(model);
    }
}

// The masses that PyBullet shows of the papers' bodies, at density 1000 and at 5 (spec of the Ant, "Model geometry").
static void weighs_what_bullet_weighs(void **state) {
    (void)state;
    static const double legs[] = {173.65, 193.55};
    for (int profile = 0; profile < 3; profile++)
        for (int body = 0; hb_ant_morphologies[body].name; body++) {
            mjModel *model = model_of(body, profile, false);
            const hb_rigid_model rigid = rigid_of(model, 1);
            const char *name = hb_ant_morphologies[body].name;
            double mass = rigid.numbers.root.mass;
            for (int k = 0; k < 8; k++) mass += rigid.numbers.link[k / 2][k % 2].mass;
            const double kg = strstr(name, "damage") ? legs[0] : strstr(name, "long") ? legs[1] : 182.18;
            check_close(mass * 1000 / profiles[profile].density, kg, 0.01);
            mj_deleteModel(model);
        }
}

// Left and right are alike: mirrored states under mirrored commands have mirrored accelerations, and x and y have no influence.
static void mirror(const snapshot *from, snapshot *to) {
    static const double position[7] = {1, -1, 1, 1, -1, 1, -1}, speed[6] = {1, -1, 1, -1, 1, -1};
    for (int k = 0; k < 7; k++) to->position[k] = position[k] * from->position[k];
    for (int k = 0; k < 6; k++) to->speed[k] = speed[k] * from->speed[k], to->warm[k] = speed[k] * from->warm[k];
    for (int k = 0; k < 4; k++)
        for (int l = 0; l < 2; l++) {
            const int j = 2 * k + l, m = 2 * (3 - k) + l, sign = l ? 1 : -1;
            to->position[7 + m] = sign * from->position[7 + j];
            to->speed[6 + m] = sign * from->speed[6 + j];
            to->warm[6 + m] = sign * from->warm[6 + j];
            to->control[m] = sign * from->control[j];
        }
}

static void knows_no_left_and_no_place(void **state) {
    (void)state;
    enum { N = 260 };
    static snapshot mirrored[N];
    for (int profile = 0; profile < 3; profile++) {
        mjModel *model = model_of(0, profile, false);
        hb_rigid_model rigid = rigid_of(model, 100000);
        rigid.tolerance = 1e-15;
        assert_int_equal(collect(model, 5, 540, states, N), N);
        for (int i = 0; i < N; i++) mirror(&states[i], &mirrored[i]);
        step_all(&hb_rigid_4x2_double, &rigid, states, ours, N);
        step_all(&hb_rigid_4x2_double, &rigid, mirrored, theirs, N);
        double worst = 0;
        for (int i = 0; i < N; i++) {
            mirror(&ours[i], &exact[i]);
            worst =
                larger(worst, norm(exact[i].warm, theirs[i].warm, DOFS) / fmax(1, norm(ours[i].warm, NULL, DOFS)));
        }
        print_message("profile %d: mirrored accelerations to %.1e\n", profile, worst);
        assert_true(worst < 1e-11);
        rigid.sweeps = default_sweeps[profile];
        step_all(hb_rigid_code_4x2(0), &rigid, states, ours, N);
        for (int i = 0; i < N; i++) states[i].position[0] += 64, states[i].position[1] -= 3;
        step_all(hb_rigid_code_4x2(0), &rigid, states, theirs, N);
        for (int i = 0; i < N; i++) {
            assert_memory_equal(ours[i].speed, theirs[i].speed, sizeof ours[i].speed);
            assert_memory_equal(&ours[i].position[2], &theirs[i].position[2], 13 * sizeof(double));
        }
        mj_deleteModel(model);
    }
}

// ---------------------------------------------------------------------------------------------------
// The same bits at every width

enum { ROBOTS = 48, STEPS = 120 };

static snapshot begun[ROBOTS], ended[2][ROBOTS];

// All robots, robot order[i] in place i.
static void live(const hb_rigid_code *code, const hb_rigid_model *rigid, const int *order, snapshot *out) {
    lanes l = open_lanes(code);
    for (int first = 0; first < ROBOTS; first += code->width) {
        for (int k = 0; k < code->width; k++) fill(&l, k, &begun[order[first + k]]);
        for (int t = 0; t < STEPS; t++) {
            for (int k = 0; k < code->width; k++)
                for (int j = 0; j < JOINTS; j++) set(&l, l.at.control + j, k, command_of(order[first + k], t, j));
            code->step(rigid, l.state, l.scratch, 4);
        }
        for (int k = 0; k < code->width; k++) read_back(&l, k, &out[order[first + k]]);
    }
    close_lanes(&l);
}

static void begin_robots(const mjModel *model) {
    mjData *data = mj_makeData(model);
    counter = 0;
    for (int k = 0; k < ROBOTS; k++) {
        start(model, data);
        take(data, &begun[k]);
    }
    mj_deleteData(data);
}

static uint64_t hash_of(const snapshot *s) {
    uint64_t hash = 1469598103934665603u;
    for (int i = 0; i < ROBOTS; i++) {
        for (int k = 0; k < 15; k++) hash = (hash ^ hb_bits((float)s[i].position[k])) * 1099511628211u;
        for (int k = 0; k < 14; k++) hash = (hash ^ hb_bits((float)s[i].speed[k])) * 1099511628211u;
    }
    return hash;
}

// Widths 16, 8 and 1; robots in another order, beside other neighbours; and on every compiler the same.
static void gives_the_same_bits(void **state) {
    (void)state;
    static const uint64_t known[] = {0xabbe18d1a0dcdfdf, 0x9672958c8a6d5a9c, 0x25b3fc5ee7da8773, 0xb37ed1457fe943e1};
    for (int kind = 0; kind < 4; kind++) { // the last by Runge-Kutta
        const int profile = kind % 3;
        mjModel *model = model_of(0, profile, false);
        hb_rigid_model rigid = rigid_of(model, default_sweeps[profile]);
        rigid.runge_kutta = kind == 3;
        int straight[ROBOTS], mixed[ROBOTS];
        for (int k = 0; k < ROBOTS; k++) {
            straight[k] = k;
            mixed[k] = k * 29 % ROBOTS;
        }
        begin_robots(model);
        live(hb_rigid_code_4x2(1), &rigid, straight, ended[0]);
        const uint64_t hash = hash_of(ended[0]);
        print_message("kind %d: %016llx\n", kind, (unsigned long long)hash);
        assert_true(hash == known[kind]);
        for (int width = 1; width <= 16; width *= 2) {
            const hb_rigid_code *code = hb_rigid_code_4x2(width);
            if (!code) continue;
            live(code, &rigid, straight, ended[1]);
            assert_memory_equal(ended[0], ended[1], sizeof ended[0]);
            live(code, &rigid, mixed, ended[1]);
            assert_memory_equal(ended[0], ended[1], sizeof ended[0]);
        }
        mj_deleteModel(model);
    }
}

// A robot whose numbers are not finite stays so, and its neighbours do not notice.
static void keeps_to_its_lane(void **state) {
    (void)state;
    mjModel *model = model_of(0, 0, false);
    const hb_rigid_model rigid = rigid_of(model, 12);
    const hb_rigid_code *code = hb_rigid_code_4x2(0);
    int order[ROBOTS];
    for (int k = 0; k < ROBOTS; k++) order[k] = k;
    begin_robots(model);
    live(code, &rigid, order, ended[0]);
    begun[3].speed[7] = NAN;
    begun[5].position[2] = INFINITY;
    live(code, &rigid, order, ended[1]);
    for (int k = 0; k < ROBOTS; k++) {
        if (k == 3 || k == 5)
            assert_false(isfinite(ended[1][k].speed[0] + ended[1][k].position[2]));
        else
            assert_memory_equal(&ended[0][k], &ended[1][k], sizeof ended[0][k]);
    }
    mj_deleteModel(model);
}

// ---------------------------------------------------------------------------------------------------
// Refusals

static void refuse(mjModel *model, const char *feature) {
    char message[500];
    hb_rigid_model rigid;
    assert_int_equal(hb_mujoco_rigid(model, 4, 2, &rigid, message, sizeof message), -1);
    if (!strstr(message, feature) || !strstr(message, "env.engine=mujoco"))
        fail_msg("'%s' does not name %s", message, feature);
    mj_deleteModel(model);
}

static void names_what_it_cannot_do(void **state) {
    (void)state;
    mjModel *m;
#define REFUSE(change, feature)                                                                                      \
    m = model_of(0, 0, false);                                                                                       \
    change;                                                                                                          \
    refuse(m, feature)
    REFUSE(m->opt.integrator = mjINT_IMPLICIT, "integrator");
    REFUSE(m->opt.cone = mjCONE_ELLIPTIC, "elliptic");
    REFUSE(m->opt.impratio = 2, "impratio");
    REFUSE(m->opt.gravity[0] = 1, "gravity");
    REFUSE(m->opt.viscosity = 1, "viscosity");
    REFUSE(m->opt.disableflags |= mjDSBL_WARMSTART, "flags");
    REFUSE(m->opt.noslip_iterations = 1, "noslip");
    REFUSE(m->opt.disableactuator = 1, "disabled");
    REFUSE(m->nplastic = 1, "plastic");
    REFUSE(m->flg_adhesion = 1, "stick");
    REFUSE(m->nhistory = 1, "delay");
    REFUSE(m->dof_dampingpoly[3] = 1, "not linear");
    REFUSE(m->dof_damping[6] = -0.1, "negative damping");
    REFUSE(m->actuator_damping[2] = 1, "torques");
    REFUSE(m->actuator_armature[3] = 1, "torques");
    REFUSE(m->dof_frictionloss[7] = 1, "friction in joints");
    REFUSE(m->jnt_stiffness[3] = 1, "springs");
    REFUSE(m->geom_contype[4] = m->geom_conaffinity[9] = 1, "collisions");
    REFUSE(m->dof_armature[1] = 2, "armature");
    REFUSE(m->dof_damping[4] = 2, "damping");
    REFUSE(m->jnt_pos[3 * 2] = 0.1, "away from its body's origin");
    REFUSE(m->qpos0[9] = 0.1, "reference angle");
    REFUSE(m->jnt_limited[2] = 0, "limits");
    REFUSE(m->actuator_trnid[0] = 3, "one for each hinge");
    REFUSE(m->actuator_gainprm[0] = 3, "torques");
    REFUSE(m->jnt_solref[mjNREF * 2] = -100, "solref");
    REFUSE(m->pair_solimp[mjNIMP * 2 + 4] = 3, "solimp");
    REFUSE(m->pair_friction[5 * 3] = m->pair_friction[5 * 3 + 1] = 0.5, "different friction");
    REFUSE(m->pair_dim[2] = 6, "condim");
    REFUSE(m->geom_pos[2] = 0.1, "z = 0");
    REFUSE(m->geom_type[3] = mjGEOM_BOX, "shapes");
    REFUSE(m->actuator_ctrllimited[2] = 0, "commands are not limited");
    REFUSE(m->jnt_actfrclimited[4] = 1, "motor's force");
    REFUSE(m->geom_bodyid[4] = 0, "does not move");
    REFUSE(m->qpos0[1] = 0.5, "upright over the origin");
    REFUSE(m->npair = 0, "nothing supports");
#undef REFUSE
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solves_mujocos_problem),    cmocka_unit_test(solves_the_problem_of_gymnasiums_ant),
        cmocka_unit_test(weighs_what_bullet_weighs), cmocka_unit_test(knows_no_left_and_no_place),
        cmocka_unit_test(gives_the_same_bits),       cmocka_unit_test(keeps_to_its_lane),
        cmocka_unit_test(names_what_it_cannot_do),
    };
    return cmocka_run_group_tests_name("rigid", tests, NULL, NULL);
}
