// CarRacing from pixels on Box2D, drawn by a rasteriser of our own; five variations.
//
// Observation: a picture (3, 84, 84) of bytes, red, green, blue: the 96 x 96 frame of Gym reduced by areas. Action (3): steer
// in [-1, 1] (positive: right), gas and brake in [0, 1]. Reward: 1000 / N for each of the track's N tiles that a wheel
// visits first, -0.1 a step, -100 in place of it for leaving the field. An episode is at most 1000 steps of 0.02 s; it ends
// when all tiles are visited, off the field, and after `early_stop` steps in a row without reward.
// Sources: Gym 0.17.2 CarRacing-v0 (`render=v0`), Gymnasium car_racing.py (`render=later`).
#ifndef HB_CAR_H
#define HB_CAR_H

#include "envs/car/track.h"
#include "envs/car/world.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const hb_env_table hb_env_car;

// Starts an episode of variation k on the given track; the table's reset draws a track and calls this.
hb_env_outcome hb_car_reset_on(void *body, int32_t variation, const hb_car_track *track, uint8_t *observation,
                               hb_env_step *out);

// The Box2D world inside a body, for comparisons with other programs.
hb_car_world *hb_car_world_of(void *body);

#ifdef __cplusplus
}
#endif

#endif
