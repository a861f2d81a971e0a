// Rigid robots on the CPU, compiled once per instruction set and once in float64 (rigid_step.h).
#include "kernels/cpu/build.h"
#include "kernels/rigid_step.h"

static void step(const hb_rigid_model *model, void *state, void *scratch, int32_t steps) {
    rigid_step(model, state, scratch, steps);
}

static void look(const hb_rigid_model *model, void *state, void *scratch) {
    rigid_look(model, state, scratch);
}

static void forces(const hb_rigid_model *model, const void *scratch, void *out, void *seen) {
    rigid_forces(model, scratch, out, seen);
}

const hb_rigid_code HB_OF_BUILD(hb_rigid_4x2) = {.variant = HB_STRING(HB_CPU_BUILD),
                                                 .chains = CHAINS,
                                                 .links = LINKS,
                                                 .width = HB_WIDTH,
                                                 .bytes = sizeof(number),
                                                 .scratch = sizeof(rigid_work),
                                                 .step = step,
                                                 .look = look,
                                                 .forces = forces};
