#include "envs/mujoco/planar.h"

#include "envs/mujoco/reader.h"

#include <math.h>
#include <string.h>

typedef struct {
    hb_mujoco_reader base;
    hb_planar_model *out;
} reader;

static void need(const reader *r, bool met, const char *feature) {
    hb_mujoco_need(&r->base, met, feature);
}

static const mjtNum upright[] = {1, 0, 0, 0};

// ---------------------------------------------------------------------------------------------------
// Bodies

static void check_contents(const reader *r, int joints) {
    const mjModel *m = r->base.model;
    need(r, m->nbody == 2 + joints && m->njnt == 3 + joints && m->nq == 3 + joints && m->nv == 3 + joints,
         "this tree of bodies: it knows a root that slides along x and z and turns about y, and two chains of three "
         "hinges");
    need(r, m->nu == joints, "motors other than one for each hinge");
    need(r, hb_mujoco_zero(m->jnt_margin, m->njnt), "margins in joints");
}

// A body's mass, centre of mass from its joint, inertia about it.
static void read_body(const reader *r, int body, int joint, double *mass, double com[2], double *inertia) {
    const mjModel *m = r->base.model;
    const mjtNum *principal = m->body_inertia + 3 * body;
    mjtNum axes[9];
    mju_quat2Mat(axes, m->body_iquat + 4 * body);
    *mass = m->body_mass[body];
    *inertia = 0;
    for (int k = 0; k < 3; k++) *inertia += axes[3 + k] * principal[k] * axes[3 + k];
    for (int i = 0; i < 2; i++) com[i] = m->body_ipos[3 * body + 2 * i] - m->jnt_pos[3 * joint + 2 * i];
}

static void read_root(const reader *r) {
    static const mjtNum axes[3][3] = {{1, 0, 0}, {0, 0, 1}, {0, 1, 0}};
    const mjModel *m = r->base.model;
    hb_planar_numbers *n = &r->out->numbers;
    need(r, m->body_parentid[1] == 0 && m->body_jntnum[1] == 3, "this tree of bodies");
    for (int j = 0; j < 3 && !r->base.message[0]; j++) {
        need(r,
             m->jnt_type[j] == (j < 2 ? mjJNT_SLIDE : mjJNT_HINGE) && hb_mujoco_same(m->jnt_axis + 3 * j, axes[j], 3),
             "a root but on slides along x and z and a hinge about y");
        need(r, !m->jnt_limited[j] && m->jnt_stiffness[j] == 0, "limits and springs of the root");
        n->armature[j] = m->dof_armature[j];
        n->damping[j] = m->dof_damping[j];
    }
    need(r, hb_mujoco_zero(m->jnt_pos + 6, 3), "a joint away from the root's origin");
    need(r, m->qpos0[0] == 0 && m->qpos0[2] == 0 && hb_mujoco_same(m->body_quat + 4, upright, 4),
         "a root that does not start upright over the origin");
    n->height = m->body_pos[5] - m->qpos0[1];
    read_body(r, 1, 2, &n->root.mass, n->root.com, &n->root.inertia);
}

static void read_link(const reader *r, int chain, int link) {
    const mjModel *m = r->base.model;
    const int number = r->out->links * chain + link, body = 2 + number, joint = 3 + number;
    const int before = link ? joint - 1 : 2; // the parent's
    need(r,
         m->body_parentid[body] == (link ? body - 1 : 1) && m->body_jntnum[body] == 1 &&
             m->body_jntadr[body] == joint,
         "this tree of bodies");
    need(r, m->jnt_type[joint] == mjJNT_HINGE && m->jnt_dofadr[joint] == joint, "joints other than hinges");
    if (r->base.message[0]) return;
    const mjtNum *quat = m->body_quat + 4 * body, *axis = m->jnt_axis + 3 * joint;
    need(r, quat[1] == 0 && quat[3] == 0 && axis[0] == 0 && axis[2] == 0, "hinges about another axis than y");
    need(r, m->qpos0[joint] == 0, "a joint whose reference angle is not 0");
    need(r, m->jnt_limited[joint] && m->jnt_range[2 * joint] < m->jnt_range[2 * joint + 1], "a joint without limits");
    const int motor = hb_mujoco_motor_of(&r->base, joint);
    r->out->motor[chain][link] = motor;
    __typeof__(&r->out->numbers.link[0][0]) l = &r->out->numbers.link[chain][link];
    const mjtNum *own = m->jnt_pos + 3 * joint, *parents = m->jnt_pos + 3 * before, *at = m->body_pos + 3 * body;
    l->angle = 2 * atan2(quat[2], quat[0]);
    const double sine = sin(l->angle), cosine = cos(l->angle);
    l->position[0] = at[0] + (cosine * own[0] + sine * own[2]) - parents[0];
    l->position[1] = at[2] + (cosine * own[2] - sine * own[0]) - parents[2];
    l->sign = axis[1] > 0 ? 1 : -1;
    read_body(r, body, joint, &l->mass, l->com, &l->inertia);
    l->armature = m->dof_armature[joint];
    l->damping = m->dof_damping[joint];
    l->stiffness = m->jnt_stiffness[joint];
    l->rest = m->qpos_spring[joint];
    l->gear = m->actuator_gear[6 * motor];
    l->lower = m->jnt_range[2 * joint];
    l->upper = m->jnt_range[2 * joint + 1];
    l->inverse_mass = m->dof_invweight0[joint];
}

// ---------------------------------------------------------------------------------------------------
// Constraints

// One sphere of a geom, `along` its axis.
static void add_sphere(const reader *r, int geom, double along, double friction) {
    const mjModel *m = r->base.model;
    const int k = r->out->spheres, body = m->geom_bodyid[geom];
    need(r, k < HB_PLANAR_SPHERES, "that many contact points");
    if (r->base.message[0]) return;
    mjtNum axes[9];
    mju_quat2Mat(axes, m->geom_quat + 4 * geom);
    need(r, along == 0 || fabs(axes[5]) < 1e-9, "capsules that do not lie in the plane of motion");
    __typeof__(&r->out->numbers.sphere[0]) s = &r->out->numbers.sphere[k];
    for (int i = 0; i < 2; i++)
        s->centre[i] = m->geom_pos[3 * geom + 2 * i] + along * axes[6 * i + 2] - m->jnt_pos[3 * (body + 1) + 2 * i];
    s->radius = m->geom_size[3 * geom];
    s->friction = friction;
    s->inverse_mass = m->body_invweight0[2 * body];
    r->out->sphere_body[k] = body - 1;
    r->out->spheres++;
}

static void read_contact(const reader *r, int floor, int geom) {
    const mjModel *m = r->base.model;
    hb_planar_numbers *n = &r->out->numbers;
    const int type = m->geom_type[geom];
    hb_mujoco_need_floor(&r->base, floor);
    hb_mujoco_need_alike(&r->base, floor, geom);
    need(r, type == mjGEOM_SPHERE || type == mjGEOM_CAPSULE, "contacts of shapes other than spheres and capsules");
    need(r, m->geom_margin[floor] == 0 && m->geom_margin[geom] == 0, "contacts with a margin");
    double softness[5];
    hb_mujoco_softness(&r->base, m->geom_solref + mjNREF * geom, m->geom_solimp + mjNIMP * geom, n->step, softness);
    need(r, r->out->spheres == 0 || hb_mujoco_same(softness, &n->contact.stiffness, 5),
         "contacts of different softness");
    if (r->base.message[0]) return;
    memcpy(&n->contact, softness, sizeof softness);
    const double friction = fmax(m->geom_friction[3 * floor], m->geom_friction[3 * geom]);
    if (type == mjGEOM_SPHERE) add_sphere(r, geom, 0, friction);
    for (int side = 1; type == mjGEOM_CAPSULE && side >= -1; side -= 2)
        add_sphere(r, geom, side * m->geom_size[3 * geom + 1], friction);
}

static void read_contacts(const reader *r) {
    const mjModel *m = r->base.model;
    need(r, m->npair == 0 && m->nexclude == 0, "listed pairs and exclusions of contacts");
    for (int a = 0; a < m->ngeom; a++)
        for (int b = a + 1; b < m->ngeom && !r->base.message[0]; b++) {
            if (!hb_mujoco_meet(m, a, b)) continue;
            const bool first = m->geom_bodyid[a] == 0;
            need(r, first || m->geom_bodyid[b] == 0, "collisions between the robot's own parts");
            if (!r->base.message[0]) read_contact(r, first ? a : b, first ? b : a);
        }
    need(r, r->out->spheres > 0, "a robot that nothing supports");
}

int hb_mujoco_planar(const mjModel *model, int32_t chains, int32_t links, hb_planar_model *out, char *message,
                     size_t size) {
    memset(out, 0, sizeof *out);
    out->chains = chains;
    out->links = links;
    message[0] = '\0';
    const reader r = {{model, message, size}, out};
    out->numbers.step = model->opt.timestep;
    out->numbers.gravity = -model->opt.gravity[2];
    out->runge_kutta = model->opt.integrator == mjINT_RK4;
    hb_mujoco_need_options(&r.base);
    hb_mujoco_need_plain_parts(&r.base);
    need(&r, out->runge_kutta || model->opt.integrator == mjINT_EULER, "an integrator other than Euler and RK4");
    check_contents(&r, chains * links);
    if (message[0]) return -1;
    read_root(&r);
    for (int k = 0; k < chains; k++)
        for (int l = 0; l < links && !message[0]; l++) read_link(&r, k, l);
    if (message[0]) return -1;
    hb_mujoco_limits(&r.base, 3, out->numbers.step, (double *)&out->numbers.limit);
    read_contacts(&r);
    for (int k = 0; k < model->nv; k++) out->damped |= model->dof_damping[k] != 0;
    hb_planar_round(out);
    return message[0] ? -1 : 0;
}
