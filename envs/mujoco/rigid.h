// A MuJoCo model as rigid chains: MuJoCo compiles the MJCF, kernels/rigid.h computes.
#ifndef HB_MUJOCO_RIGID_H
#define HB_MUJOCO_RIGID_H

#include "kernels/rigid.h"

#include <mujoco/mujoco.h>

// Reads a model of a free root and equal chains of hinges: all its constants, none of its marks. Sweeps and tolerance are the
// caller's. Returns 0, or -1 with a message that names what the chains cannot do.
int hb_mujoco_rigid(const mjModel *model, int32_t chains, int32_t links, hb_rigid_model *out, char *message,
                    size_t size);

#endif
