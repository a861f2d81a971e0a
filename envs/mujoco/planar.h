// A MuJoCo model that moves in a plane: MuJoCo compiles the MJCF, kernels/planar.h computes.
#ifndef HB_MUJOCO_PLANAR_H
#define HB_MUJOCO_PLANAR_H

#include "kernels/planar.h"

#include <mujoco/mujoco.h>

// Reads a model of a root on slides along x and z and a hinge about y, and equal chains of hinges about y: all its constants. Sweeps and
// tolerance are the caller's. Returns 0, or -1 with a message that names what lanes cannot do.
int hb_mujoco_planar(const mjModel *model, int32_t chains, int32_t links, hb_planar_model *out, char *message,
                     size_t size);

#endif
