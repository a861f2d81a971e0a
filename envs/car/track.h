// Tracks of CarRacing: a loop of short straight pieces around the origin. Lengths in world units, angles in rad.
#ifndef HB_CAR_TRACK_H
#define HB_CAR_TRACK_H

#include "envs/env.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_CAR_CHECKPOINTS 12
#define HB_CAR_MAX_TILES   2500 // the walk takes no more steps

// One point of the middle line; beta is the direction across it (driving is along (-sin beta, cos beta)).
typedef struct {
    double alpha, beta, x, y;
} hb_car_point;

typedef struct {
    int32_t n;
    hb_car_point point[HB_CAR_MAX_TILES];
    bool border[HB_CAR_MAX_TILES]; // tile i, from point i - 1 to i, has a kerb
} hb_car_track;

// The track through checkpoints c = 0..11 at angle 2 pi c / 12 + noise[c] and radius radius[c], of which the first and the
// last are put at fixed places. False where the walk does not close to a loop. Source: Gym 0.17.2, CarRacing-v0,
// _create_track.
bool hb_car_track_build(hb_car_track *track, const double noise[HB_CAR_CHECKPOINTS],
                        const double radius[HB_CAR_CHECKPOINTS]);

// Marks the kerbs of a track whose points stand: where four pieces in a row turn sharply the same way.
void hb_car_track_mark(hb_car_track *track);

// Draws checkpoints until a track closes: noise ~ U(0, 2 pi / 12), radius ~ U(50, 150), both for every c in turn. Seven
// in a hundred attempts fail; returns the number of tries.
int32_t hb_car_track_draw(hb_car_track *track, hb_env_random *random);

// The corners of tile i, or of its kerb, in the order in which they are drawn.
void hb_car_tile(const hb_car_track *track, int32_t i, double corner[4][2]);
void hb_car_kerb(const hb_car_track *track, int32_t i, double corner[4][2]);

#ifdef __cplusplus
}
#endif

#endif
