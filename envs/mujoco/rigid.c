#include "envs/mujoco/rigid.h"

#include "envs/mujoco/reader.h"

#include <string.h>

typedef struct {
    hb_mujoco_reader base;
    hb_rigid_model *out;
} reader;

static void need(const reader *r, bool met, const char *feature) {
    hb_mujoco_need(&r->base, met, feature);
}

static bool all_equal(const mjtNum *values, int n, int stride) {
    for (int k = 1; k < n; k++)
        if (values[k * stride] != values[0]) return false;
    return true;
}

// ---------------------------------------------------------------------------------------------------
// What the whole model may be

static void check_contents(const reader *r, int joints) {
    const mjModel *m = r->base.model;
    need(r, m->nbody == 2 + joints && m->njnt == 1 + joints, "this tree of bodies");
    need(r, m->nq == 7 + joints && m->nv == 6 + joints, "joints other than a free root and hinges");
    need(r, m->nu == joints && m->na == 0, "motors other than one for each hinge");
    need(r, m->neq == 0 && m->ntendon == 0 && m->nflex == 0, "equality constraints, tendons and flexes");
    need(r, m->nmocap == 0 && m->ngravcomp == 0, "mocap bodies and gravity compensation");
    need(r, hb_mujoco_zero(m->dof_frictionloss, m->nv), "friction in joints");
    need(r, hb_mujoco_zero(m->jnt_stiffness, m->njnt) && hb_mujoco_zero(m->jnt_margin, m->njnt),
         "springs and margins in joints");
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
    const mjModel *m = r->base.model;
    hb_rigid_numbers *n = &r->out->numbers;
    need(r, m->body_parentid[1] == 0 && m->body_jntnum[1] == 1 && m->jnt_type[0] == mjJNT_FREE,
         "a root without a free joint");
    need(r, all_equal(m->dof_armature, 3, 1) && all_equal(m->dof_armature + 3, 3, 1),
         "an armature that depends on direction");
    need(r, all_equal(m->dof_damping, 3, 1) && all_equal(m->dof_damping + 3, 3, 1),
         "a damping that depends on direction");
    static const mjtNum upright[] = {1, 0, 0, 0};
    need(r, m->qpos0[0] == 0 && m->qpos0[1] == 0 && hb_mujoco_same(m->qpos0 + 3, upright, 4),
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
    const mjModel *m = r->base.model;
    const int number = r->out->links * chain + link, body = 2 + number, joint = m->body_jntadr[body];
    need(r, m->body_parentid[body] == (link ? body - 1 : 1) && m->body_jntnum[body] == 1, "this tree of bodies");
    if (r->base.message[0]) return;
    const int dof = m->jnt_dofadr[joint];
    need(r, m->jnt_type[joint] == mjJNT_HINGE && dof == 6 + number, "joints other than hinges");
    need(r, hb_mujoco_zero(m->jnt_pos + 3 * joint, 3), "a joint away from its body's origin");
    need(r, m->qpos0[7 + number] == 0, "a joint whose reference angle is not 0");
    need(r, m->jnt_limited[joint] && m->jnt_range[2 * joint] < m->jnt_range[2 * joint + 1], "a joint without limits");
    const mjtNum *range = m->actuator_ctrlrange + 2 * number;
    need(r, m->actuator_ctrllimited[number] && range[0] == -1 && range[1] == 1,
         "motors whose commands are not limited to -1 to 1");
    hb_mujoco_need_torque(&r->base, joint, number);
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

static void read_limits(const reader *r) {
    const mjModel *m = r->base.model;
    hb_rigid_numbers *n = &r->out->numbers;
    for (int j = 1; j < m->njnt; j++) {
        double softness[5];
        hb_mujoco_softness(&r->base, m->jnt_solref + mjNREF * j, m->jnt_solimp + mjNIMP * j, n->step, softness);
        need(r, j == 1 || hb_mujoco_same(softness, &n->limit.stiffness, 5), "joint limits of different softness");
        memcpy(&n->limit, softness, sizeof softness);
    }
}

// One sphere of a geom, `along` its axis.
static void add_sphere(const reader *r, int geom, double along) {
    const mjModel *m = r->base.model;
    const int k = r->out->spheres;
    need(r, k < HB_RIGID_SPHERES, "that many contact points");
    if (r->base.message[0]) return;
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
    const mjModel *m = r->base.model;
    hb_rigid_numbers *n = &r->out->numbers;
    const int first = m->pair_geom1[pair], second = m->pair_geom2[pair];
    const int floor = m->geom_type[first] == mjGEOM_PLANE ? first : second, geom = floor == first ? second : first;
    static const mjtNum upright[] = {1, 0, 0, 0};
    need(r, m->geom_type[floor] == mjGEOM_PLANE && m->geom_bodyid[floor] == 0, "contacts but with the floor");
    need(r, m->geom_pos[3 * floor + 2] == 0 && hb_mujoco_same(m->geom_quat + 4 * floor, upright, 4),
         "a floor other than z = 0");
    need(r, m->pair_dim[pair] == 3 && m->pair_gap[pair] == 0, "contacts with condim other than 3, or with a gap");
    need(r, hb_mujoco_zero(m->pair_solreffriction + mjNREF * pair, mjNREF), "a solref of friction alone");
    double softness[5];
    hb_mujoco_softness(&r->base, m->pair_solref + mjNREF * pair, m->pair_solimp + mjNIMP * pair, n->step, softness);
    const mjtNum *friction = m->pair_friction + 5 * pair;
    need(r, friction[0] == friction[1], "friction that depends on direction");
    need(r,
         pair == 0 || (hb_mujoco_same(softness, &n->contact.stiffness, 5) && friction[0] == n->friction &&
                       m->pair_margin[pair] == n->margin),
         "contacts of different friction, margin or softness");
    memcpy(&n->contact, softness, sizeof softness);
    n->friction = friction[0];
    n->margin = m->pair_margin[pair];
    need(r, m->geom_bodyid[geom] > 0, "contacts of the floor with what does not move");
    const int type = m->geom_type[geom];
    if (r->base.message[0]) return;
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
    const reader r = {{model, message, size}, out};
    out->numbers.step = model->opt.timestep;
    out->numbers.gravity = -model->opt.gravity[2];
    hb_mujoco_need_options(&r.base);
    need(&r, model->opt.integrator == mjINT_EULER, "an integrator other than Euler");
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
