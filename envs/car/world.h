// The car of CarRacing on Box2D: a hull on four wheels, and the tiles of a road that notice who touches them. C outside,
// Box2D (C++) inside. Source: Gym 0.17.2, car_dynamics.py and car_racing.py.
//
// In Gym tiles are sensors, which no force acts on. Here they are no Box2D fixtures: what touches a tile is found by Box2D's own
// test of two polygons, at the moment when Box2D would make it, before it solves. The results are the same to the bit, and Box2D
// is spared about forty contacts per step and three hundred fixtures per reset.
#ifndef HB_CAR_WORLD_H
#define HB_CAR_WORLD_H

#include "envs/car/track.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HB_CAR_WHEELS     4
#define HB_CAR_HULL_PARTS 4
#define HB_CAR_SIZE       0.02 // world units of a unit of the car's drawing

typedef struct hb_car_world hb_car_world;

// A body's pose and speeds.
typedef struct {
    float x, y, angle, vx, vy, spin; // spin: rad/s
} hb_car_pose;

typedef struct {
    hb_car_pose pose;
    float joint;              // rad, against the hull
    double gas, brake, steer; // commands: 0..1, 0..1, rad
    double omega, phase;      // rad/s, rad: of the rolling wheel
    bool on_road;
} hb_car_wheel;

typedef struct {
    hb_car_pose hull;
    hb_car_wheel wheel[HB_CAR_WHEELS]; // front left, front right, rear left, rear right
} hb_car_state;

// The constants that differ between variations. slip: units/s added to the wheels' sideways slip; force: on the hull, along x.
typedef struct {
    double friction, slip, force;
} hb_car_push;

// A world without a car. NULL where memory is short; the caller destroys it.
hb_car_world *hb_car_world_create(void);
void hb_car_world_destroy(hb_car_world *world);

// Puts a new car at the start of the track, and the track's tiles, which nobody has touched yet.
void hb_car_world_place(hb_car_world *world, const hb_car_track *track);

// Sets all bodies as `state` says, with joints that have no memory; for comparisons.
void hb_car_world_set(hb_car_world *world, const hb_car_state *state);

// Sets the commands of the wheels: steer in [-1, 1] (positive: to the right), gas and brake in [0, 1].
void hb_car_world_control(hb_car_world *world, double steer, double gas, double brake);

// One step of 0.02 s: the wheels' forces, who touches what, then Box2D with 180 and 60 iterations. Seconds in Box2D's step
// are added to *physics. Returns the number of tiles that a wheel touched for the first time.
int32_t hb_car_world_step(hb_car_world *world, const hb_car_push *push, double *physics);

void hb_car_world_state(const hb_car_world *world, hb_car_state *state);

// Does a wheel stand on tile 0?
bool hb_car_world_at_start(const hb_car_world *world);

// Tile i: has a wheel visited it; has anything touched it (then it is drawn plain).
bool hb_car_world_visited(const hb_car_world *world, int32_t tile);
bool hb_car_world_plain(const hb_car_world *world, int32_t tile);

// Corners of part k of the hull, in the car's frame; returns how many (at most 8).
int32_t hb_car_hull_part(int32_t k, double corner[8][2]);

#ifdef __cplusplus
}
#endif

#endif
