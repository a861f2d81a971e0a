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
    int moving = 0;
    for (int b = 1; b < m->nbody; b++) moving += m->body_weldid[b] == b;
    need(r, moving == 1 + joints && m->njnt == 1 + joints, "this tree of bodies");
    need(r, m->nq == 7 + joints && m->nv == 6 + joints, "joints other than a free root and hinges");
    need(r, m->nu == joints, "motors other than one for each hinge");
    need(r, hb_mujoco_zero(m->jnt_stiffness, m->njnt) && hb_mujoco_zero(m->jnt_margin + 1, m->njnt - 1),
         "springs and margins in joints");
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

// The pose of a body that hangs on others without a joint, in the frame of the one with a joint: as it is where its parent is that one.
static void pose_of(const mjModel *m, int body, int holder, mjtNum position[3], mjtNum quat[4]) {
    mju_copy3(position, m->body_pos + 3 * body);
    mju_copy4(quat, m->body_quat + 4 * body);
    for (int b = m->body_parentid[body]; b != holder; b = m->body_parentid[b]) {
        mjtNum turned[3], product[4];
        mju_rotVecQuat(turned, position, m->body_quat + 4 * b);
        mju_mulQuat(product, m->body_quat + 4 * b, quat);
        mju_add3(position, turned, m->body_pos + 3 * b);
        mju_copy4(quat, product);
    }
}

// A point of a body in the frame of the one with a joint that it hangs on, and the rotation between the two.
static void point_of(const mjModel *m, int body, const mjtNum own[3], mjtNum point[3], mjtNum quat[4]) {
    static const mjtNum nothing[] = {1, 0, 0, 0};
    const int holder = m->body_weldid[body];
    mju_copy3(point, own);
    mju_copy4(quat, nothing);
    if (holder == body) return;
    mjtNum position[3];
    pose_of(m, body, holder, position, quat);
    mju_rotVecQuat(point, own, quat);
    mju_addTo3(point, position);
}

// Adds a body that is fixed to the root.
static void add_to_root(const reader *r, int body) {
    const mjModel *m = r->base.model;
    __typeof__(&r->out->numbers.root) root = &r->out->numbers.root;
    mjtNum com[3], quat[4], frame[4], axes[9];
    point_of(m, body, m->body_ipos + 3 * body, com, quat);
    mju_mulQuat(frame, quat, m->body_iquat + 4 * body);
    mju_quat2Mat(axes, frame);
    double inertia[6];
    symmetric(axes, m->body_inertia + 3 * body, m->body_mass[body], com, inertia);
    for (int k = 0; k < 6; k++) root->inertia[k] += inertia[k];
    const double mass = root->mass + m->body_mass[body];
    for (int i = 0; i < 3 && mass > 0; i++)
        root->com[i] = (root->mass * root->com[i] + m->body_mass[body] * com[i]) / mass;
    root->mass = mass;
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
    for (int b = 2; b < m->nbody; b++) {
        const int holder = m->body_weldid[b];
        need(r, holder != 0, "bodies that do not move");
        need(r, holder == b || holder == 1, "links of several bodies");
        if (holder == 1) add_to_root(r, b);
    }
}

static void read_link(const reader *r, int chain, int link) {
    const mjModel *m = r->base.model;
    const int number = r->out->links * chain + link, joint = 1 + number, body = m->jnt_bodyid[joint];
    const int holder = m->body_weldid[m->body_parentid[body]]; // what the joint turns against
    need(r, holder == (link ? m->jnt_bodyid[joint - 1] : 1) && m->body_jntnum[body] == 1, "this tree of bodies");
    if (r->base.message[0]) return;
    const int dof = m->jnt_dofadr[joint];
    need(r, m->jnt_type[joint] == mjJNT_HINGE && dof == 6 + number, "joints other than hinges");
    need(r, hb_mujoco_zero(m->jnt_pos + 3 * joint, 3), "a joint away from its body's origin");
    need(r, m->qpos0[7 + number] == 0, "a joint whose reference angle is not 0");
    need(r, m->jnt_limited[joint] && m->jnt_range[2 * joint] < m->jnt_range[2 * joint + 1], "a joint without limits");
    const int motor = hb_mujoco_motor_of(&r->base, joint);
    r->out->motor[chain][link] = motor;
    mjtNum q[9], frame[9];
    mjtNum position[3], quat[4];
    pose_of(m, body, holder, position, quat);
    mju_quat2Mat(q, quat);
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
    memcpy(l->position, position, sizeof l->position);
    l->mass = m->body_mass[body];
    memcpy(l->com, m->body_ipos + 3 * body, sizeof l->com);
    symmetric(frame, m->body_inertia + 3 * body, 0, l->com, l->inertia);
    l->armature = m->dof_armature[dof];
    l->damping = m->dof_damping[dof];
    l->gear = m->actuator_gear[6 * motor];
    l->lower = m->jnt_range[2 * joint];
    l->upper = m->jnt_range[2 * joint + 1];
    l->inverse_mass = m->dof_invweight0[dof];
}

// ---------------------------------------------------------------------------------------------------
// Constraints

// One sphere of a geom, `along` its axis.
static void add_sphere(const reader *r, int geom, double along) {
    const mjModel *m = r->base.model;
    const int k = r->out->spheres, body = m->geom_bodyid[geom], holder = m->body_weldid[body];
    need(r, k < HB_RIGID_SPHERES, "that many contact points");
    if (r->base.message[0]) return;
    mjtNum axes[9], own[3], point[3], weld[4], quat[4];
    mju_quat2Mat(axes, m->geom_quat + 4 * geom);
    for (int i = 0; i < 3; i++) own[i] = m->geom_pos[3 * geom + i] + along * axes[3 * i + 2];
    point_of(m, body, own, point, weld);
    if (holder != body) {
        mju_mulQuat(quat, weld, m->geom_quat + 4 * geom);
        mju_quat2Mat(axes, quat);
    }
    __typeof__(&r->out->numbers.sphere[0]) s = &r->out->numbers.sphere[k];
    const bool capsule = m->geom_type[geom] == mjGEOM_CAPSULE;
    for (int i = 0; i < 3; i++) {
        s->axis[i] = capsule ? axes[3 * i + 2] : i == 1; // MuJoCo takes the world's y for a sphere
        s->centre[i] = point[i];
    }
    s->radius = m->geom_size[3 * geom];
    s->inverse_mass = m->body_invweight0[2 * body];
    r->out->sphere_body[k] = holder == 1 ? 0 : m->body_jntadr[holder]; // joint 1 + n is that of link n
    r->out->sphere_owner[k] = body;
    r->out->sphere_turns[k] = capsule;
    r->out->spheres++;
}

// How a geom and the floor touch.
typedef struct {
    int floor, geom;
    const mjtNum *solref, *solimp;
    double friction, margin;
} touching;

static void read_touching(const reader *r, const touching *t) {
    const mjModel *m = r->base.model;
    hb_rigid_numbers *n = &r->out->numbers;
    const double friction = mju_max(t->friction, mjMINMU); // as MuJoCo's contacts have it
    hb_mujoco_need_floor(&r->base, t->floor);
    double softness[5];
    hb_mujoco_softness(&r->base, t->solref, t->solimp, n->step, softness);
    need(r,
         r->out->spheres == 0 || (hb_mujoco_same(softness, &n->contact.stiffness, 5) && friction == n->friction &&
                                  t->margin == n->margin),
         "contacts of different friction, margin or softness");
    memcpy(&n->contact, softness, sizeof softness);
    n->friction = friction;
    n->margin = t->margin;
    need(r, m->geom_bodyid[t->geom] > 0, "contacts of the floor with what does not move");
    const int type = m->geom_type[t->geom];
    need(r, type == mjGEOM_SPHERE || type == mjGEOM_CAPSULE, "contacts of shapes other than spheres and capsules");
    if (r->base.message[0]) return;
    if (type == mjGEOM_SPHERE) add_sphere(r, t->geom, 0);
    for (int side = 1; type == mjGEOM_CAPSULE && side >= -1; side -= 2)
        add_sphere(r, t->geom, side * m->geom_size[3 * t->geom + 1]);
}

static void read_pair(const reader *r, int pair) {
    const mjModel *m = r->base.model;
    const int first = m->pair_geom1[pair], second = m->pair_geom2[pair];
    const bool turned = m->geom_type[first] != mjGEOM_PLANE;
    const mjtNum *friction = m->pair_friction + 5 * pair;
    need(r, m->pair_dim[pair] == 3 && m->pair_gap[pair] == 0, "contacts with condim other than 3, or with a gap");
    need(r, hb_mujoco_zero(m->pair_solreffriction + mjNREF * pair, mjNREF), "a solref of friction alone");
    need(r, friction[0] == friction[1], "friction that depends on direction");
    const touching t = {.floor = turned ? second : first,
                        .geom = turned ? first : second,
                        .solref = m->pair_solref + mjNREF * pair,
                        .solimp = m->pair_solimp + mjNIMP * pair,
                        .friction = friction[0],
                        .margin = m->pair_margin[pair]};
    read_touching(r, &t);
}

static void read_masked(const reader *r, int floor, int geom) {
    const mjModel *m = r->base.model;
    hb_mujoco_need_alike(&r->base, floor, geom);
    const touching t = {.floor = floor,
                        .geom = geom,
                        .solref = m->geom_solref + mjNREF * geom,
                        .solimp = m->geom_solimp + mjNIMP * geom,
                        .friction = mju_max(m->geom_friction[3 * floor], m->geom_friction[3 * geom]),
                        .margin = m->geom_margin[floor] + m->geom_margin[geom]};
    read_touching(r, &t);
}

static void read_contacts(const reader *r) {
    const mjModel *m = r->base.model;
    need(r, m->nexclude == 0, "exclusions of contacts");
    for (int k = 0; k < m->npair && !r->base.message[0]; k++) read_pair(r, k);
    for (int a = 0; a < m->ngeom; a++)
        for (int b = a + 1; b < m->ngeom && !r->base.message[0]; b++) {
            if (!hb_mujoco_meet(m, a, b)) continue;
            need(r, m->npair == 0, "collisions beside those of listed pairs");
            const bool first = m->geom_bodyid[a] == 0;
            need(r, first || m->geom_bodyid[b] == 0, "collisions between the robot's own parts");
            if (!r->base.message[0]) read_masked(r, first ? a : b, first ? b : a);
        }
    need(r, r->out->spheres > 0, "a robot that nothing supports");
    r->out->owners = m->nbody;
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
    hb_mujoco_need_plain_parts(&r.base);
    out->runge_kutta = model->opt.integrator == mjINT_RK4;
    need(&r, out->runge_kutta || model->opt.integrator == mjINT_EULER, "an integrator other than Euler and RK4");
    check_contents(&r, chains * links);
    if (message[0]) return -1;
    read_root(&r);
    for (int k = 0; k < chains; k++)
        for (int l = 0; l < links && !message[0]; l++) read_link(&r, k, l);
    hb_mujoco_limits(&r.base, 1, out->numbers.step, (double *)&out->numbers.limit);
    if (!message[0]) read_contacts(&r);
    for (int k = 0; k < model->nv; k++) out->damped |= model->dof_damping[k] != 0;
    hb_rigid_round(out);
    return message[0] ? -1 : 0;
}
