#include "envs/ant/model.h"

#include <stdarg.h>
#include <stdio.h>

const hb_ant_morphology hb_ant_morphologies[] = {
    {"default", {0.4, 0.4, 0.4, 0.4}},
    {"palm_damage_left", {0.1, 0.4, 0.4, 0.4}},
    {"palm_damage_right", {0.4, 0.1, 0.4, 0.4}},
    {"palm_long_back", {0.4, 0.4, 0.6, 0.6}},
    {"palm_long_front", {0.6, 0.6, 0.4, 0.4}},
    {"najarro_damage_left", {0.1, 0.4, 0.4, 0.4}},
    {"najarro_damage_right", {0.4, 0.4, 0.4, 0.1}},
    {NULL, {0}},
};

const int hb_ant_leg[4][2] = {{1, 1}, {-1, 1}, {-1, -1}, {1, -1}};
const int hb_ant_ankle_sign[4] = {1, -1, -1, 1};

// ---------------------------------------------------------------------------------------------------
// Writing MJCF

typedef struct {
    char *data;
    size_t size, length;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *out, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(out->data + out->length, out->size - out->length, format, args);
    va_end(args);
    out->length += (size_t)n;
    if (out->length >= out->size) out->length = out->size - 1;
}

// One leg k = 1..4: the upper leg turns about z at the hip, the foot about the horizontal axis across the leg. The
// welded first capsule ("aux") is a geom of the torso: the same rigid body with one body less in the tree.
static void add_leg(text *out, int k, double foot) {
    const int sx = hb_ant_leg[k - 1][0], sy = hb_ant_leg[k - 1][1];
    const double x = 0.2 * sx, y = 0.2 * sy;
    const int least = hb_ant_ankle_sign[k - 1] > 0 ? 30 : -100;
    add(out,
        "<geom name='aux%d' type='capsule' size='0.08' fromto='0 0 0 %g %g 0'/>"
        "<body name='upper%d' pos='%g %g 0'>"
        "<joint name='hip%d' type='hinge' axis='0 0 1' range='-40 40'/>"
        "<geom name='upper%d' type='capsule' size='0.08' fromto='0 0 0 %g %g 0'/>"
        "<body name='foot%d' pos='%g %g 0'>"
        "<joint name='ankle%d' type='hinge' axis='%d 1 0' range='%d %d'/>"
        "<geom name='foot%d' type='capsule' size='0.08' fromto='0 0 0 %g %g 0'/>"
        "</body></body>\n",
        k, x, y, k, x, y, k, k, x, y, k, x, y, k, sx * sy > 0 ? -1 : 1, least, least + 70, k, foot * sx, foot * sy);
}

// Robot geoms do not collide among themselves: each is paired with the floor and with nothing else, which
// saves the broad phase. A pair carries the larger of both geoms' frictions, as MuJoCo would take it.
static void add_pairs(text *out, double friction) {
    static const char *const parts[] = {"aux", "upper", "foot"};
    add(out,
        "<contact><pair geom1='floor' geom2='torso' condim='3' margin='0.01' friction='%g %g 0.1 0.1 "
        "0.1'/>\n",
        friction, friction);
    for (int k = 1; k <= 4; k++)
        for (int p = 0; p < 3; p++)
            add(out, "<pair geom1='floor' geom2='%s%d' condim='3' margin='0.01' friction='%g %g 0.1 0.1 0.1'/>\n",
                parts[p], k, friction, friction);
    add(out, "</contact>\n");
}

static void write_mjcf(text *out, const hb_ant_morphology *body, const hb_ant_physics *physics) {
    add(out,
        "<mujoco model='ant'><compiler angle='degree' inertiafromgeom='true' autolimits='true'/>"
        "<size memory='512K'/>\n" // scratch of one simulation; about 15 KB are used
        "<default><joint armature='%g' damping='%g'/>"
        "<geom contype='0' conaffinity='0' density='%g'/>"
        "<motor ctrllimited='true' ctrlrange='-1 1'/></default>\n"
        "<worldbody><geom name='floor' type='plane' size='0 0 1'/>\n"
        "<body name='torso' pos='0 0 0.75'><joint name='root' type='free' armature='%g' damping='%g'/>"
        "<geom name='torso' type='sphere' size='0.25'/>\n",
        physics->armature, physics->damping, physics->density, physics->root * physics->armature,
        physics->root * physics->damping);
    for (int k = 1; k <= 4; k++) add_leg(out, k, body->foot[k - 1]);
    add(out, "</body></worldbody>\n");
    add_pairs(out, physics->friction);
    add(out, "<actuator>\n");
    for (int k = 1; k <= 4; k++)
        add(out,
            "<motor name='hip%d' joint='hip%d' gear='%g'/><motor name='ankle%d' joint='ankle%d' "
            "gear='%g'/>\n",
            k, k, physics->gear_hip, k, k, physics->gear_ankle);
    add(out, "</actuator></mujoco>\n");
}

// ---------------------------------------------------------------------------------------------------
// Compiling

// The control step of 0.0165 s is 4 substeps of the integrator "Euler" with implicit damping. Disabled are
// only stages without a physical effect here: islands (one robot is one island), mid-phase, sensors (none);
// and the automatic reset, which would hide a divergence.
static void set_options(mjModel *model, const hb_ant_physics *physics) {
    model->opt.timestep = 0.004125;
    model->opt.gravity[2] = -9.8;
    model->opt.integrator = mjINT_EULER;
    model->opt.cone = mjCONE_PYRAMIDAL;
    model->opt.jacobian = mjJAC_DENSE;
    model->opt.disableflags |= mjDSBL_ISLAND | mjDSBL_MIDPHASE | mjDSBL_SENSOR | mjDSBL_AUTORESET;
    if (physics->pgs_iterations > 0) {
        model->opt.solver = mjSOL_PGS;
        model->opt.iterations = physics->pgs_iterations;
    }
}

mjModel *hb_ant_model(const hb_ant_morphology *morphology, const hb_ant_physics *physics, char *message,
                      size_t size) {
    char buffer[16384];
    text out = {buffer, sizeof buffer, 0};
    write_mjcf(&out, morphology, physics);
    mjSpec *spec = mj_parseXMLString(buffer, NULL, message, (int)size);
    if (!spec) return NULL;
    mjModel *model = mj_compile(spec, NULL);
    if (model)
        set_options(model, physics);
    else
        snprintf(message, size, "%s", mjs_getError(spec));
    mj_deleteSpec(spec);
    return model;
}

mjModel *hb_ant_model_file(const char *path, const hb_ant_physics *physics, char *message, size_t size) {
    char why[512] = "";
    mjModel *model = mj_loadXML(path, NULL, why, sizeof why);
    if (!model) {
        snprintf(message, size, "env.model: cannot read '%s': %s", path, why);
        return NULL;
    }
    set_options(model, physics);
    return model;
}
