// Rigid robots of one kind, many at a time: a root body that moves freely and `chains` equal chains of `links` bodies on hinges,
// with motors, joint limits and spheres that meet the plane z = 0. What is solved is MuJoCo's problem: rigid bodies in joint
// coordinates, soft constraints with pyramidal friction, semi-implicit Euler with implicit joint damping, or the Runge-Kutta method of
// fourth order (MuJoCo documentation, "Computation"; Todorov 2014); docs/equations.md has the formulas. What differs is the solver: a
// fixed number of sweeps of projected Gauss-Seidel in a fixed order.
//
// Only IEEE operations and explicit fma, so that a robot's numbers do not depend on how many are computed at a time, on the
// instruction set, or on which robots are its neighbours (rigid_step.h).
#ifndef HB_RIGID_H
#define HB_RIGID_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_RIGID_CHAINS  4 // most
#define HB_RIGID_LINKS   2 // most of a chain
#define HB_RIGID_SPHERES 32

// A model's numbers, in float64 as they are read and in float32 as they are used. Units m, kg, s, rad; N m for motors.
// A body's frame stands in its joint; symmetric matrices are xx yy zz xy xz yz.
#define HB_RIGID_MODEL(number)                                                                                         \
    struct {                                                                                                           \
        number step, gravity;                     /* s; m/s^2, downwards */                                            \
        number root_armature[2], root_damping[2]; /* of the root's translations and rotations */                       \
        struct {                                                                                                       \
            number mass, com[3], inertia[6]; /* inertia about the body's origin */                                     \
            number moment[3];                /* sum of the marked points on it, in its frame */                        \
        } root;                                                                                                        \
        struct {                                                                                                       \
            number position[3], axis[3];            /* of the joint, in the parent's frame */                          \
            number rotation[9], sine[9], cosine[9]; /* to the parent: rotation + sin q sine + cos q cosine */          \
            number mass, com[3], inertia[6];        /* inertia about the centre of mass */                             \
            number armature, damping, gear;                                                                            \
            number lower, upper, inverse_mass; /* the joint's range; MuJoCo's dof_invweight0 */                        \
            number marks, moment[3];           /* how many points are marked on it, and their sum */                   \
        } link[HB_RIGID_CHAINS][HB_RIGID_LINKS];                                                                       \
        struct {                                                                                                       \
            number centre[3]; /* in its body's frame */                                                                \
            number axis[3];   /* above the first direction of friction; in the frame of its body, or the world's */    \
            number radius, inverse_mass; /* MuJoCo's body_invweight0 */                                                \
        } sphere[HB_RIGID_SPHERES];                                                                                    \
        /* Soft constraints: stiffness 1/s^2 and damping 1/s of the reference acceleration, impedance from the first \
         * to the second number over a width, here its inverse 1/m or 1/rad */ \
        struct {                                                                                                       \
            number stiffness, damping, impedance[2], inverse_width;                                                    \
        } contact, limit;                                                                                              \
        number friction, margin; /* of every contact: -, m */                                                          \
    }

typedef HB_RIGID_MODEL(double) hb_rigid_numbers;
typedef HB_RIGID_MODEL(float) hb_rigid_floats;

typedef struct {
    int32_t chains, links, spheres;
    int32_t motor[HB_RIGID_CHAINS]
                 [HB_RIGID_LINKS]; // which of the caller's commands turns the link; the code itself counts by links
    int32_t sphere_body[HB_RIGID_SPHERES];  // 0: the root, 1 + links k + l: link l of chain k
    int32_t sphere_turns[HB_RIGID_SPHERES]; // its axis is given in the body's frame and turns with it
    int32_t owners;                         // contact forces are summed up for so many; 0: for none
    int32_t sphere_owner[HB_RIGID_SPHERES]; // whose force a sphere's is
    int32_t damped;                         // a joint or the root is damped
    int32_t runge_kutta;                    // MuJoCo's method of fourth order, else Euler
    int32_t sweeps;                         // of the constraint solver
    double tolerance; // float64 only: stop when no force changes by more than this share of the largest. 0: never
    hb_rigid_numbers numbers;
    hb_rigid_floats floats; // the same, rounded
} hb_rigid_model;

// Rounds `numbers` to `floats`. Call it after every change of the numbers.
void hb_rigid_round(hb_rigid_model *model);

// The state of `width` robots: arrays of width numbers (float, or double in a proof), one after the other. n = chains * links.
// Where each array of arrays begins, in arrays:
//     position   7 + n   root x, y, z; its quaternion w, x, y, z; joint angles, chain by chain
//     speed      6 + n   root, along the world's axes; its rotation, in its own frame; joint speeds
//     warm       6 + n   accelerations of the step before, from which the solver starts
//     control    n       motor commands, already limited
//     touch      1 + n   1 for a body that meets the floor, as of `look`
//     moment     3       sum of the marked points minus as many times the root's origin, in world axes, m, as of `look`
// x and y have no influence. So that they keep their digits, set them to 0 now and then and add up what they were in float64.
typedef struct {
    int32_t position, speed, warm, control, touch, moment, arrays;
} hb_rigid_layout;

static inline hb_rigid_layout hb_rigid_layout_of(int32_t chains, int32_t links) {
    const int32_t n = chains * links;
    const hb_rigid_layout at = {.position = 0,
                                .speed = 7 + n,
                                .warm = 13 + 2 * n,
                                .control = 19 + 3 * n,
                                .touch = 19 + 4 * n,
                                .moment = 20 + 5 * n,
                                .arrays = 23 + 5 * n};
    return at;
}

// The code for robots of one shape (chains, links) at one width.
typedef struct {
    const char *variant;                 // the instruction set
    int32_t chains, links, width, bytes; // bytes of a number
    size_t scratch;                      // bytes of working memory, aligned to 64 as the states are
    // Moves the robots by `steps` steps under constant control. Robots whose numbers are not finite stay so and disturb no other.
    void (*step)(const hb_rigid_model *model, void *state, void *scratch, int32_t steps);
    // Fills touch and moment from the positions.
    void (*look)(const hb_rigid_model *model, void *state, void *scratch);
    // After a step, from the scratch that it left: contact forces, where the model has owners, as MuJoCo's cfrc_ext: out (owners, 6)
    // arrays, moments about the robot's centre of mass, N m, and forces, N, in world axes; and seen (3) arrays, where the root was when
    // forces were last computed, m: MuJoCo's xpos after mj_step.
    void (*forces)(const hb_rigid_model *model, const void *scratch, void *out, void *seen);
} hb_rigid_code;

// The code of four chains of two links, width robots at a time (16, 8, 1), for this processor; 0: the widest. NULL if it has none.
const hb_rigid_code *hb_rigid_code_4x2(int32_t width);
// One robot in float64: for proofs.
extern const hb_rigid_code hb_rigid_4x2_double;

#ifdef __cplusplus
}
#endif

#endif
