// Planar robots on the CPU, compiled once per instruction set and once in float64 (planar_step.h).
#include "kernels/cpu/build.h"
#include "kernels/planar_step.h"

static void step(const hb_planar_model *model, void *state, void *scratch, int32_t steps) {
    planar_step(model, state, scratch, steps);
}

const hb_planar_code HB_OF_BUILD(hb_planar_2x3) = {.variant = HB_STRING(HB_CPU_BUILD),
                                                   .chains = CHAINS,
                                                   .links = LINKS,
                                                   .width = HB_WIDTH,
                                                   .bytes = sizeof(number),
                                                   .scratch = sizeof(planar_work),
                                                   .step = step};
