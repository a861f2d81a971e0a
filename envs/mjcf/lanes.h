// Robots of an MJCF model, several at a time: the engine `lanes`. They move in a plane (kernels/planar.h) or freely (kernels/rigid.h).
#ifndef HB_MJCF_LANES_H
#define HB_MJCF_LANES_H

#include "envs/env.h"
#include "envs/mjcf/program.h"
#include "kernels/planar.h"
#include "kernels/rigid.h"

// What all lives of a world share; it must outlive the lanes.
typedef struct {
    const mjModel *const *model;   // of each variation: alike but for their numbers
    const hb_planar_model *planar; // the same models; NULL: they move freely
    const hb_rigid_model *rigid;   // the same models; NULL: they move in a plane
    const hb_mjcf_program *program;
    int32_t frame_skip;
    bool end; // a life that is not alive ends
} hb_mjcf_rules;

typedef struct hb_mjcf_lanes hb_mjcf_lanes;

// How many lives are stepped best at a time on this processor.
int32_t hb_mjcf_lanes_width(void);

// `width` lanes, all idle. NULL where this processor has no code for so many, or memory is out. The caller closes them.
hb_mjcf_lanes *hb_mjcf_lanes_open(const hb_mjcf_rules *rules, int32_t width);
void hb_mjcf_lanes_close(hb_mjcf_lanes *lanes); // accepts NULL

// reset_lane, step_lanes and hold_lane of envs/env.h.
void hb_mjcf_lanes_reset(hb_mjcf_lanes *lanes, int32_t lane, int32_t variation, hb_env_random *random);
void hb_mjcf_lanes_step(hb_mjcf_lanes *lanes, const float *action, float *observation, hb_env_step *out,
                        hb_env_outcome *outcome);
void hb_mjcf_lanes_hold(hb_mjcf_lanes *lanes, int32_t lane, bool hold);

// The positions, speeds and commands of the life in a lane, also when it has ended or is held, as MuJoCo's data. Of one that moves freely and lives, also
// contact forces (cfrc_ext) and where its root was when they were computed (xpos). Other numbers are not the life's. Valid until the next call.
const mjData *hb_mjcf_lanes_data(hb_mjcf_lanes *lanes, int32_t lane);

#endif
