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

// Needs actuator `motor` to be a plain torque on hinge `joint`.
void hb_mujoco_need_torque(const hb_mujoco_reader *r, int joint, int motor);

// Stiffness, damping, the impedance's two ends and its inverse width from solref (time constant, damping ratio) and solimp, as MuJoCo's
// engine reads them at timestep `step`, s.
void hb_mujoco_softness(const hb_mujoco_reader *r, const mjtNum *solref, const mjtNum *solimp, double step,
                        double out[5]);

#endif
