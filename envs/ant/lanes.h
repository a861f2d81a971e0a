// Ants on rigid chains (kernels/rigid.h), several at a time: the engine `lanes`.
#ifndef HB_ANT_LANES_H
#define HB_ANT_LANES_H

#include "envs/ant/episode.h"
#include "kernels/rigid.h"

// Marks on a model the points whose mean position progress follows: 21 parts of the robot; the 22nd is the floor at (0, 0). Capsule
// centres in the frames of their bodies: aux (of the root), upper, foot of each leg.
void hb_ant_mark_parts(hb_rigid_model *model, const double aux[4][3], const double upper[4][3],
                       const double foot[4][3]);

typedef struct hb_ant_lanes hb_ant_lanes;

// How many lives are stepped best at a time on this processor.
int32_t hb_ant_lanes_width(void);

// `width` lanes, all idle, for lives on models[variation]; models and rules must outlive them. NULL where this processor has no
// code for so many, or memory is out. The caller closes them.
hb_ant_lanes *hb_ant_lanes_open(const hb_rigid_model *models, const hb_ant_rules *rules, int32_t width);
void hb_ant_lanes_close(hb_ant_lanes *lanes); // accepts NULL

// reset_lane, step_lanes and hold_lane of envs/env.h.
void hb_ant_lanes_reset(hb_ant_lanes *lanes, int32_t lane, int32_t variation, hb_env_random *random);
void hb_ant_lanes_step(hb_ant_lanes *lanes, const float *action, float *observation, hb_env_step *out,
                       hb_env_outcome *outcome);

void hb_ant_lanes_hold(hb_ant_lanes *lanes, int32_t lane, bool hold);

// The lane's 15 positions and 14 speeds, as MuJoCo orders them.
void hb_ant_lanes_state(const hb_ant_lanes *lanes, int32_t lane, double state[29]);

// The lane's episode under way; owned by the lanes.
const hb_ant_life *hb_ant_lanes_life(const hb_ant_lanes *lanes, int32_t lane);

#endif
