#include "envs/mujoco/reader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void hb_mujoco_need(const hb_mujoco_reader *r, bool met, const char *feature) {
    if (!met && !r->message[0])
        snprintf(r->message, r->size, "env.engine: 'lanes' cannot compute %s; env.engine=mujoco can", feature);
}

bool hb_mujoco_same(const mjtNum *a, const mjtNum *b, int n) {
    for (int k = 0; k < n; k++)
        if (a[k] != b[k]) return false;
    return true;
}

bool hb_mujoco_zero(const mjtNum *values, int n) {
    for (int k = 0; k < n; k++)
        if (values[k] != 0) return false;
    return true;
}

void hb_mujoco_need_options(const hb_mujoco_reader *r) {
    const mjOption *opt = &r->model->opt;
    const int harmless = mjDSBL_ISLAND | mjDSBL_MIDPHASE | mjDSBL_SENSOR | mjDSBL_AUTORESET | mjDSBL_FILTERPARENT |
                         mjDSBL_NATIVECCD | mjDSBL_MULTICCD;
    hb_mujoco_need(r, opt->cone == mjCONE_PYRAMIDAL, "elliptic friction cones");
    hb_mujoco_need(r, opt->impratio == 1, "an impratio other than 1");
    hb_mujoco_need(r, opt->noslip_iterations == 0, "noslip iterations");
    hb_mujoco_need(r, opt->gravity[0] == 0 && opt->gravity[1] == 0, "gravity that is not vertical");
    hb_mujoco_need(r, opt->density == 0 && opt->viscosity == 0, "a medium with density or viscosity");
    hb_mujoco_need(r, (opt->disableflags & ~harmless) == 0 && (opt->enableflags & ~mjENBL_ENERGY) == 0,
                   "option flags that change the physics");
    hb_mujoco_need(r, opt->disableactuator == 0, "groups of actuators that are disabled");
}

void hb_mujoco_need_plain_parts(const hb_mujoco_reader *r) {
    const mjModel *m = r->model;
    const int joints = (int)m->njnt, dofs = (int)m->nv;
    hb_mujoco_need(r, m->neq == 0 && m->ntendon == 0 && m->nflex == 0, "equality constraints, tendons and flexes");
    hb_mujoco_need(r, m->nmocap == 0 && m->ngravcomp == 0, "mocap bodies and gravity compensation");
    hb_mujoco_need(r, m->na == 0 && m->nhistory == 0, "actuators with a state or a delay");
    hb_mujoco_need(r, m->nplastic == 0, "plastic springs");
    hb_mujoco_need(r, !m->flg_surfacevel && !m->flg_adhesion, "surfaces that move or stick");
    hb_mujoco_need(r, hb_mujoco_zero(m->dof_frictionloss, dofs), "friction in joints");
    hb_mujoco_need(r,
                   hb_mujoco_zero(m->jnt_stiffnesspoly, mjNPOLY * joints) &&
                       hb_mujoco_zero(m->dof_dampingpoly, mjNPOLY * dofs),
                   "springs and dampers that are not linear");
    for (int k = 0; k < dofs; k++) hb_mujoco_need(r, m->dof_damping[k] >= 0, "negative damping");
}

int hb_mujoco_motor_of(const hb_mujoco_reader *r, int joint) {
    const mjModel *m = r->model;
    int motor = 0, motors = 0;
    for (int k = 0; k < m->nu; k++)
        if ((m->actuator_trntype[k] == mjTRN_JOINT || m->actuator_trntype[k] == mjTRN_JOINTINPARENT) &&
            m->actuator_trnid[2 * k] == joint)
            motor = k, motors++;
    hb_mujoco_need(r, motors == 1, "motors other than one for each hinge");
    if (r->message[0]) return 0;
    hb_mujoco_need(r, m->actuator_ctrllimited[motor], "motors whose commands are not limited");
    hb_mujoco_need(r, !m->jnt_actfrclimited[joint], "a joint that limits its motor's force");
    hb_mujoco_need(r,
                   m->actuator_gaintype[motor] == mjGAIN_FIXED && m->actuator_gainprm[mjNGAIN * motor] == 1 &&
                       m->actuator_biastype[motor] == mjBIAS_NONE && !m->actuator_forcelimited[motor] &&
                       m->actuator_damping[motor] == 0 && m->actuator_armature[motor] == 0 &&
                       hb_mujoco_zero(m->actuator_dampingpoly + mjNPOLY * motor, mjNPOLY),
                   "motors that are not plain torques");
    return motor;
}

bool hb_mujoco_meet(const mjModel *m, int a, int b) {
    const int first = m->body_weldid[m->geom_bodyid[a]], second = m->body_weldid[m->geom_bodyid[b]];
    const bool filtered =
        !(m->opt.disableflags & mjDSBL_FILTERPARENT) && first > 0 && second > 0 &&
        (m->body_weldid[m->body_parentid[first]] == second || m->body_weldid[m->body_parentid[second]] == first);
    return first != second && !filtered &&
           ((m->geom_contype[a] & m->geom_conaffinity[b]) || (m->geom_contype[b] & m->geom_conaffinity[a]));
}

void hb_mujoco_need_floor(const hb_mujoco_reader *r, int geom) {
    static const mjtNum upright[] = {1, 0, 0, 0};
    const mjModel *m = r->model;
    hb_mujoco_need(r, m->geom_type[geom] == mjGEOM_PLANE && m->geom_bodyid[geom] == 0, "contacts but with the floor");
    hb_mujoco_need(r, m->geom_pos[3 * geom + 2] == 0 && hb_mujoco_same(m->geom_quat + 4 * geom, upright, 4),
                   "a floor other than z = 0");
}

void hb_mujoco_need_alike(const hb_mujoco_reader *r, int floor, int geom) {
    const mjModel *m = r->model;
    hb_mujoco_need(r,
                   (m->geom_condim[floor] > m->geom_condim[geom] ? m->geom_condim[floor] : m->geom_condim[geom]) == 3,
                   "contacts with condim other than 3");
    hb_mujoco_need(r, mju_max(m->geom_friction[3 * floor], m->geom_friction[3 * geom]) >= 0.1,
                   "a friction below 0.1, which its sweeps do not solve");
    hb_mujoco_need(r, m->geom_gap[floor] == 0 && m->geom_gap[geom] == 0, "contacts with a gap");
    hb_mujoco_need(r,
                   m->geom_priority[floor] == m->geom_priority[geom] &&
                       hb_mujoco_same(m->geom_solref + mjNREF * floor, m->geom_solref + mjNREF * geom, mjNREF) &&
                       hb_mujoco_same(m->geom_solimp + mjNIMP * floor, m->geom_solimp + mjNIMP * geom, mjNIMP),
                   "contacts of geoms of different priority or softness");
}

void hb_mujoco_softness(const hb_mujoco_reader *r, const mjtNum *solref, const mjtNum *solimp, double step,
                        double out[5]) {
    hb_mujoco_need(r, solref[0] > 0 && solref[1] > 0, "a solref that is not a time constant and a damping ratio");
    hb_mujoco_need(r, solimp[3] == 0.5 && solimp[4] == 2, "a solimp whose midpoint and power are not 0.5 and 2");
    const double time = fmax(solref[0], 2 * step);
    const double d0 = fmin(fmax(solimp[0], mjMINIMP), mjMAXIMP), d1 = fmin(fmax(solimp[1], mjMINIMP), mjMAXIMP);
    out[0] = 1 / (d1 * d1 * time * time * solref[1] * solref[1]);
    out[1] = 2 / (d1 * time);
    out[2] = d0;
    out[3] = d1;
    out[4] = solimp[2] > mjMINVAL ? 1 / solimp[2] : 0;
    if (out[4] == 0) out[2] = out[3] = 0.5 * (d0 + d1); // no width: the mean everywhere
}

void hb_mujoco_limits(const hb_mujoco_reader *r, int first, double step, double out[5]) {
    const mjModel *m = r->model;
    for (int j = first; j < m->njnt; j++) {
        double softness[5];
        hb_mujoco_softness(r, m->jnt_solref + mjNREF * j, m->jnt_solimp + mjNIMP * j, step, softness);
        hb_mujoco_need(r, j == first || hb_mujoco_same(softness, out, 5), "joint limits of different softness");
        memcpy(out, softness, sizeof softness);
    }
}
