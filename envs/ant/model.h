// The Ant's bodies as MJCF, written from their numbers.
#ifndef HB_ANT_MODEL_H
#define HB_ANT_MODEL_H

#include <mujoco/mujoco.h>

// A body: extent f of the foot of legs 1..4, m. The foot capsule reaches from (0, 0, 0) to (f sx, f sy, 0).
typedef struct {
    const char *name;
    double foot[4];
} hb_ant_morphology;

extern const hb_ant_morphology hb_ant_morphologies[];

// A profile's constants. Gears are N m at full command; friction is that of floor and robot.
typedef struct {
    double density;  // kg/m^3
    double armature; // kg m^2
    double damping;  // N m s/rad
    double root;     // factor of armature and damping on the free joint
    double gear_hip, gear_ankle;
    double friction;    // sliding, -
    int pgs_iterations; // 0: Newton to convergence
} hb_ant_physics;

// Legs' directions (sx, sy) in the torso's plane, and the sign of their ankles' range (30..100 degrees).
extern const int hb_ant_leg[4][2];
extern const int hb_ant_ankle_sign[4];

// Compiles one body. The caller deletes the model. NULL with one line in message on failure.
mjModel *hb_ant_model(const hb_ant_morphology *morphology, const hb_ant_physics *physics, char *message, size_t size);

// Reads a body from an MJCF file instead; it must have the built-in bodies' joints, motors and geom names,
// and gets the same solver settings.
mjModel *hb_ant_model_file(const char *path, const hb_ant_physics *physics, char *message, size_t size);

#endif
