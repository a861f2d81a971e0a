// What Ants in lanes see (envs/ant/ant.h), compiled once per instruction set beside the physics.
#ifndef HB_ANT_OBSERVE_H
#define HB_ANT_OBSERVE_H

#include "envs/ant/episode.h"
#include "kernels/rigid.h"

// All arrays are (numbers, width). state: of rigid.h. contact (4): the feet's, of the step before. target (2): the vector from the
// mean position to the target, m. observation (width, 28). finite (width): whether all positions and speeds are below 1e10.
typedef void hb_ant_observe(const hb_rigid_model *model, const float *state, const float *contact,
                            const float *target, float *observation, uint8_t *finite);

typedef struct {
    const char *variant; // of the instruction set, as hb_rigid_code names it
    hb_ant_observe *observe;
} hb_ant_observer;

extern const hb_ant_observer hb_ant_observer_generic, hb_ant_observer_avx2, hb_ant_observer_avx512;

#endif
