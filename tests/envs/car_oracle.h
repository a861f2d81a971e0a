// CarRacing's physics as Gym builds it, for comparison with ours: every tile of the road a static body with a sensor, and
// a listener that hears who touches it.
#ifndef HB_TESTS_CAR_ORACLE_H
#define HB_TESTS_CAR_ORACLE_H

#include "envs/car/world.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct car_oracle car_oracle;

car_oracle *car_oracle_create(const hb_car_track *track);
void car_oracle_destroy(car_oracle *oracle);
void car_oracle_step(car_oracle *oracle, double steer, double gas, double brake, const hb_car_push *push);
hb_car_pose car_oracle_pose(const car_oracle *oracle, int part); // 0: the hull, 1 to 4: wheels
double car_oracle_omega(const car_oracle *oracle, int wheel);
double car_oracle_phase(const car_oracle *oracle, int wheel);
int car_oracle_visited(const car_oracle *oracle, int tile);
int car_oracle_plain(const car_oracle *oracle, int tile);
// Mass, middle (x, y) and inertia about the origin of the hull.
void car_oracle_hull(const car_oracle *oracle, double out[4]);

#ifdef __cplusplus
}
#endif

#endif
