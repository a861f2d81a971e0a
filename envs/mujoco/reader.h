// What the readers of models for lanes (rigid.h, planar.h) ask of a MuJoCo model.
#ifndef HB_MUJOCO_READER_H
#define HB_MUJOCO_READER_H

#include <mujoco/mujoco.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const mjModel *model;
    char *message; // "" as long as nothing is missing
    size_t size;
} hb_mujoco_reader;

// Names a feature of the model that lanes lack, unless it is met or one is named already.
void hb_mujoco_need(const hb_mujoco_reader *r, bool met, const char *feature);

bool hb_mujoco_same(const mjtNum *a, const mjtNum *b, int n);
bool hb_mujoco_zero(const mjtNum *values, int n);

// Needs mjOption as lanes compute it, but for the integrator: pyramids, vertical gravity, no medium, no flags that change physics.
void hb_mujoco_need_options(const hb_mujoco_reader *r);

// Needs what the model consists of to be what lanes compute: nothing but bodies, joints, linear springs and dampers, geoms and motors.
void hb_mujoco_need_plain_parts(const hb_mujoco_reader *r);

// The actuator that turns hinge `joint`: needs it to be the only one, with limited commands and a plain torque. 0 where something is missing.
int hb_mujoco_motor_of(const hb_mujoco_reader *r, int joint);

// Whether MuJoCo looks for contacts of two geoms: by their masks, not within a body, not of a body and its parent; bodies that are fixed
// to each other are one.
bool hb_mujoco_meet(const mjModel *model, int a, int b);

// Needs a geom to be the plane z = 0.
void hb_mujoco_need_floor(const hb_mujoco_reader *r, int geom);

// Needs two geoms that meet by their masks to do so with condim 3, no gap, one softness, so that nothing is mixed, and a friction of at least
// 0.1: the regularisation of a pyramid goes with its square, and below that the sweeps end far from the solution (tests/envs/test_rigid.c).
void hb_mujoco_need_alike(const hb_mujoco_reader *r, int floor, int geom);

// Stiffness, damping, the impedance's two ends and its inverse width from solref (time constant, damping ratio) and solimp, as MuJoCo's
// engine reads them at timestep `step`, s.
void hb_mujoco_softness(const hb_mujoco_reader *r, const mjtNum *solref, const mjtNum *solimp, double step,
                        double out[5]);

// The softness of the limits of all joints from number `first` on, which needs to be one.
void hb_mujoco_limits(const hb_mujoco_reader *r, int first, double step, double out[5]);

#endif
