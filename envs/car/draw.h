// What CarRacing's camera sees, drawn in Gym's order and colours.
#ifndef HB_CAR_DRAW_H
#define HB_CAR_DRAW_H

#include "envs/car/raster.h"
#include "envs/car/track.h"
#include "envs/car/world.h"

// The road's quads in world coordinates, made once a track.
typedef struct {
    int32_t n;
    double tile[HB_CAR_MAX_TILES][4][2], kerb[HB_CAR_MAX_TILES][4][2];
    bool has_kerb[HB_CAR_MAX_TILES];
} hb_car_road;

typedef struct {
    const hb_car_road *road;
    const hb_car_world *world; // its touched tiles are drawn plain
    const hb_car_state *state;
    double time;         // s, since the start: the camera comes nearer during the first one
    bool turns_with_car; // always (later), or only below 0.5 units/s, and else with the velocity (v0)
    bool shows_score;    // Gym's "%04i" of the reward so far, as digits of 3 x 5 pixels of 96 x 96
    double reward;
} hb_car_scene;

void hb_car_road_make(hb_car_road *road, const hb_car_track *track);

// Paints the whole canvas, which shows a window of 1000 x 800 whatever its size.
void hb_car_draw(const hb_car_scene *scene, hb_canvas *canvas);

// Colours of v0 and of later: a palette each.
extern const uint8_t hb_car_palette_v0[HB_PALETTE][3], hb_car_palette_later[HB_PALETTE][3];

#endif
