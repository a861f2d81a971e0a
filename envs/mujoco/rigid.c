#include "envs/mujoco/rigid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const mjModel *model;
    hb_rigid_model *out;
    char *message;
    size_t size;
} reader;

// Names a feature that the chains lack, unless one is named already.
static void need(const reader *r, bool met, const char *feature) {
    if (!met && !r->message[0])
        snprintf(r->message, r->size, "env.engine: 'lanes' cannot compute %s; env.engine=mujoco can", feature);
}

static bool all_equal(const mjtNum *values, int n, int stride) {
    for (int k = 1; k < n; k++)
        if (values[k * stride] != values[0]) return false;
    return true;
}

static bool same(const mjtNum *a, const mjtNum *b, int n) {
    for (int k = 0; k < n; k++)
        if (a[k] != b[k]) return false;
    return true;
}

static bool all_zero(const mjtNum *values, int n) {
    for (int k = 0; k < n; k++)
        if (values[k] != 0) return false;
    return true;
}

// ---------------------------------------------------------------------------------------------------
// What the whole model may be

static void check_options(const reader *r) {
    const mjOption *opt = &r->model->opt;
    const int harmless = mjDSBL_ISLAND | mjDSBL_MIDPHASE | mjDSBL_SENSOR | mjDSBL_AUTORESET | mjDSBL_FILTERPARENT;
    need(r, opt->integrator == mjINT_EULER, "an integrator other than Euler");
    need(r, opt->cone == mjCONE_PYRAMIDAL, "elliptic friction cones");
    need(r, opt->impratio == 1, "an impratio other than 1");
    need(r, opt->gravity[0] == 0 && opt->gravity[1] == 0, "gravity that is not vertical");
    need(r, opt->density == 0 && opt->viscosity == 0, "a medium with density or viscosity");
    need(r, (opt->disableflags & ~harmless) == 0 && opt->enableflags == 0, "option flags that change the physics");
}

static void check_contents(const reader *r, int joints) {
    const mjModel *m = r->model;
    need(r, m->nbody == 2 + joints && m->njnt == 1 + joints, "this tree of bodies");
    need(r, m->nq == 7 + joints && m->nv == 6 + joints, "joints other than a free root and hinges");
    need(r, m->nu == joints && m->na == 0, "motors other than one for each hinge");
    need(r, m->neq == 0 && m->ntendon == 0 && m->nflex == 0, "equality constraints, tendons and flexes");
    need(r, m->nmocap == 0 && m->ngravcomp == 0, "mocap bodies and gravity compensation");
    need(r, all_zero(m->dof_frictionloss, m->nv), "friction in joints");
    need(r, all_zero(m->jnt_stiffness, m->njnt) && all_zero(m->jnt_margin, m->njnt), "springs and margins in joints");
    for (int g = 0; g < m->ngeom; g++)
        need(r, m->geom_contype[g] == 0 && m->geom_conaffinity[g] == 0,
             "collisions but those of listed pairs with the floor");
}

// ---------------------------------------------------------------------------------------------------
// Bodies

// Symmetric matrix axes diag(d) axes', plus mass (c'c 1 - c c').
static void symmetric(const mjtNum axes[9], const mjtNum d[3], double mass, const mjtNum c[3], double out[6]) {
    static const int row[] = {0, 1, 2, 0, 0, 1}, column[] = {0, 1, 2, 1, 2, 2};
    for (int k = 0; k < 6; k++) {
        const int i = row[k], j = column[k];
        out[k] = mass * ((i == j ? mju_dot3(c, c) : 0) - c[i] * c[j]);
        for (int a = 0; a < 3; a++) out[k] += axes[3 * i + a] * d[a] * axes[3 * j + a];
    }
}

static void read_root(const reader *r) {
    const mjModel *m = r->model;
    hb_rigid_numbers *n = &r->out->numbers;
    need(r, m->body_parentid[1] == 0 && m->body_jntnum[1] == 1 && m->jnt_type[0] == mjJNT_FREE,
         "a root without a free joint");
    need(r, all_equal(m->dof_armature, 3, 1) && all_equal(m->dof_armature + 3, 3, 1),
         "an armature that depends on direction");
    need(r, all_equal(m->dof_damping, 3, 1) && all_equal(m->dof_damping + 3, 3, 1),
         "a damping that depends on direction");
    static const mjtNum upright[] = {1, 0, 0, 0};
    need(r, m->qpos0[0] == 0 && m->qpos0[1] == 0 && same(m->qpos0 + 3, upright, 4),
         "a root that does not start upright over the origin");
    for (int k = 0; k < 2; k++) {
        n->root_armature[k] = m->dof_armature[3 * k];
        n->root_damping[k] = m->dof_damping[3 * k];
    }
    mjtNum axes[9];
    mju_quat2Mat(axes, m->body_iquat + 4);
    n->root.mass = m->body_mass[1];
    memcpy(n->root.com, m->body_ipos + 3, sizeof n->root.com);
    symmetric(axes, m->body_inertia + 3, n->root.mass, n->root.com, n->root.inertia);
}

static void read_link(const reader *r, int chain, int link) {
    const mjModel *m = r->model;
    const int number = r->out->links * chain + link, body = 2 + number, joint = m->body_jntadr[body];
    need(r, m->body_parentid[body] == (link ? body - 1 : 1) && m->body_jntnum[body] == 1, "this tree of bodies");
    if (r->message[0]) return;
    const int dof = m->jnt_dofadr[joint];
    need(r, m->jnt_type[joint] == mjJNT_HINGE && dof == 6 + number, "joints other than hinges");
    need(r, all_zero(m->jnt_pos + 3 * joint, 3), "a joint away from its body's origin");
    need(r, m->qpos0[7 + number] == 0, "a joint whose reference angle is not 0");
    need(r, m->jnt_limited[joint] && m->jnt_range[2 * joint] < m->jnt_range[2 * joint + 1], "a joint without limits");
    need(r, m->actuator_trntype[number] == mjTRN_JOINT && m->actuator_trnid[2 * number] == joint,
         "motors in another order");
    const mjtNum *range = m->actuator_ctrlrange + 2 * number;
    need(r, m->actuator_ctrllimited[number] && range[0] == -1 && range[1] == 1,
         "motors whose commands are not limited to -1 to 1");
    need(r, !m->jnt_actfrclimited[joint], "a joint that limits its motor's force");
    need(r,
         m->actuator_gaintype[number] == mjGAIN_FIXED && m->actuator_gainprm[mjNGAIN * number] == 1 &&
             m->actuator_biastype[number] == mjBIAS_NONE && !m->actuator_forcelimited[number],
         "motors that are not plain torques");
    mjtNum q[9], frame[9];
    mju_quat2Mat(q, m->body_quat + 4 * body);
    mju_quat2Mat(frame, m->body_iquat + 4 * body);
    const mjtNum *a = m->jnt_axis + 3 * joint;
    const mjtNum outer[9] = {a[0] * a[0], a[0] * a[1], a[0] * a[2], a[1] * a[0], a[1] * a[1],
                             a[1] * a[2], a[2] * a[0], a[2] * a[1], a[2] * a[2]};
    const mjtNum skew[9] = {0, -a[2], a[1], a[2], 0, -a[0], -a[1], a[0], 0};
    mjtNum rest[9];
    for (int k = 0; k < 9; k++) rest[k] = (k % 4 == 0) - outer[k];
    __typeof__(&r->out->numbers.link[0][0]) l = &r->out->numbers.link[chain][link];
    mju_mulMatMat(l->rotation, q, outer, 3, 3, 3);
    mju_mulMatMat(l->sine, q, skew, 3, 3, 3);
    mju_mulMatMat(l->cosine, q, rest, 3, 3, 3);
    mju_mulMatVec(l->axis, q, a, 3, 3);
    memcpy(l->position, m->body_pos + 3 * body, sizeof l->position);
    l->mass = m->body_mass[body];
    memcpy(l->com, m->body_ipos + 3 * body, sizeof l->com);
    symmetric(frame, m->body_inertia + 3 * body, 0, l->com, l->inertia);
    l->armature = m->dof_armature[dof];
    l->damping = m->dof_damping[dof];
    l->gear = m->actuator_gear[6 * number];
    l->lower = m->jnt_range[2 * joint];
    l->upper = m->jnt_range[2 * joint + 1];
    l->inverse_mass = m->dof_invweight0[dof];
}

// ---------------------------------------------------------------------------------------------------
// Constraints

// Stiffness, damping and impedance from solref (time constant, damping ratio) and solimp, as MuJoCo's engine reads them.
static void read_softness(const reader *r, const mjtNum *solref, const mjtNum *solimp, double step, double out[5]) {
    need(r, solref[0] > 0 && solref[1] > 0, "a solref that is not a time constant and a damping ratio");
    need(r, solimp[3] == 0.5 && solimp[4] == 2, "a solimp whose midpoint and power are not 0.5 and 2");
    const double time = fmax(solref[0], 2 * step);
    const double d0 = fmin(fmax(solimp[0], mjMINIMP), mjMAXIMP), d1 = fmin(fmax(solimp[1], mjMINIMP), mjMAXIMP);
    out[0] = 1 / (d1 * d1 * time * time * solref[1] * solref[1]);
    out[1] = 2 / (d1 * time);
    out[2] = d0;
    out[3] = d1;
    out[4] = 1 / fmax(solimp[2], mjMINVAL);
}

static void read_limits(const reader *r) {
    const mjModel *m = r->model;
    hb_rigid_numbers *n = &r->out->numbers;
    for (int j = 1; j < m->njnt; j++) {
        double softness[5];
        read_softness(r, m->jnt_solref + mjNREF * j, m->jnt_solimp + mjNIMP * j, n->step, softness);
        need(r, j == 1 || same(softness, &n->limit.stiffness, 5), "joint limits of different softness");
        memcpy(&n->limit, softness, sizeof softness);
    }
}

// One sphere of a geom, `along` its axis.
static void add_sphere(const reader *r, int geom, double along) {
    const mjModel *m = r->model;
    const int k = r->out->spheres;
    need(r, k < HB_RIGID_SPHERES, "that many contact points");
    if (r->message[0]) return;
    mjtNum axes[9];
    mju_quat2Mat(axes, m->geom_quat + 4 * geom);
    __typeof__(&r->out->numbers.sphere[0]) s = &r->out->numbers.sphere[k];
    const bool capsule = m->geom_type[geom] == mjGEOM_CAPSULE;
    for (int i = 0; i < 3; i++) {
        s->axis[i] = capsule ? axes[3 * i + 2] : i == 1; // MuJoCo takes the world's y for a sphere
        s->centre[i] = m->geom_pos[3 * geom + i] + along * axes[3 * i + 2];
    }
    s->radius = m->geom_size[3 * geom];
    const int body = m->geom_bodyid[geom];
    s->inverse_mass = m->body_invweight0[2 * body];
    r->out->sphere_body[k] = body - 1;
    r->out->sphere_turns[k] = capsule;
    r->out->spheres++;
}

static void read_pair(const reader *r, int pair) {
    const mjModel *m = r->model;
    hb_rigid_numbers *n = &r->out->numbers;
    const int first = m->pair_geom1[pair], second = m->pair_geom2[pair];
    const int floor = m->geom_type[first] == mjGEOM_PLANE ? first : second, geom = floor == first ? second : first;
    static const mjtNum upright[] = {1, 0, 0, 0};
    need(r, m->geom_type[floor] == mjGEOM_PLANE && m->geom_bodyid[floor] == 0, "contacts but with the floor");
    need(r, m->geom_pos[3 * floor + 2] == 0 && same(m->geom_quat + 4 * floor, upright, 4),
         "a floor other than z = 0");
    need(r, m->pair_dim[pair] == 3 && m->pair_gap[pair] == 0, "contacts with condim other than 3, or with a gap");
    need(r, all_zero(m->pair_solreffriction + mjNREF * pair, mjNREF), "a solref of friction alone");
    double softness[5];
    read_softness(r, m->pair_solref + mjNREF * pair, m->pair_solimp + mjNIMP * pair, n->step, softness);
    const mjtNum *friction = m->pair_friction + 5 * pair;
    need(r, friction[0] == friction[1], "friction that depends on direction");
    need(r,
         pair == 0 || (same(softness, &n->contact.stiffness, 5) && friction[0] == n->friction &&
                       m->pair_margin[pair] == n->margin),
         "contacts of different friction, margin or softness");
    memcpy(&n->contact, softness, sizeof softness);
    n->friction = friction[0];
    n->margin = m->pair_margin[pair];
    need(r, m->geom_bodyid[geom] > 0, "contacts of the floor with what does not move");
    const int type = m->geom_type[geom];
    if (r->message[0]) return;
    need(r, type == mjGEOM_SPHERE || type == mjGEOM_CAPSULE, "contacts of shapes other than spheres and capsules");
    if (type == mjGEOM_SPHERE) add_sphere(r, geom, 0);
    for (int side = 1; type == mjGEOM_CAPSULE && side >= -1; side -= 2)
        add_sphere(r, geom, side * m->geom_size[3 * geom + 1]);
}

int hb_mujoco_rigid(const mjModel *model, int32_t chains, int32_t links, hb_rigid_model *out, char *message,
                    size_t size) {
    memset(out, 0, sizeof *out);
    out->chains = chains;
    out->links = links;
    message[0] = '\0';
    const reader r = {model, out, message, size};
    out->numbers.step = model->opt.timestep;
    out->numbers.gravity = -model->opt.gravity[2];
    check_options(&r);
    check_contents(&r, chains * links);
    if (message[0]) return -1;
    read_root(&r);
    for (int k = 0; k < chains; k++)
        for (int l = 0; l < links && !message[0]; l++) read_link(&r, k, l);
    read_limits(&r);
    need(&r, model->npair > 0, "a robot that nothing supports");
    for (int k = 0; k < model->npair && !message[0]; k++) read_pair(&r, k);
    for (int k = 0; k < model->nv; k++) out->damped |= model->dof_damping[k] != 0;
    hb_rigid_round(out);
    return message[0] ? -1 : 0;
}
