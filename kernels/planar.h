// Robots that move in the plane y = 0, many at a time: a root body on two slides and a hinge, and `chains` equal chains of `links`
// bodies on hinges about y, with motors, springs, joint limits and spheres that meet the plane z = 0. The problem is MuJoCo's and
// the solver that of rigid.h; docs/equations.md has the formulas. Integration is semi-implicit Euler with implicit joint damping, or the
// fourth-order Runge-Kutta method of MuJoCo.
//
// Only IEEE operations and explicit fma, as in rigid.h: a robot's numbers do not depend on how many are computed at a time.
#ifndef HB_PLANAR_H
#define HB_PLANAR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_PLANAR_CHAINS  2 // most
#define HB_PLANAR_LINKS   3 // most of a chain
#define HB_PLANAR_SPHERES 20

// A model's numbers, in float64 as they are read and in float32 as they are used. Units m, kg, s, rad; N m for motors. A body's frame
// stands in its joint; points are (x, z). A positive rotation is one about +y: it takes z towards x.
#define HB_PLANAR_MODEL(number)                                                                                      \
    struct {                                                                                                         \
        number step, gravity, height;   /* s; m/s^2, downwards; m, of the root's joint where its slide is at 0 */    \
        number armature[3], damping[3]; /* of the root's x, z and angle */                                           \
        struct {                                                                                                     \
            number mass, com[2], inertia; /* inertia about the centre of mass */                                     \
        } root;                                                                                                      \
        struct {                                                                                                     \
            number position[2],                                                                                      \
                angle;   /* of the joint, in the parent's frame; of the body, where the joint is at 0 */             \
            number sign; /* 1: the joint turns about +y, -1: about -y */                                             \
            number mass, com[2], inertia;                                                                            \
            number armature, damping, stiffness, rest, gear; /* rest: the spring's angle */                          \
            number lower, upper, inverse_mass;               /* the joint's range; MuJoCo's dof_invweight0 */        \
        } link[HB_PLANAR_CHAINS][HB_PLANAR_LINKS];                                                                   \
        struct {                                                                                                     \
            number centre[2], radius, friction, inverse_mass; /* in its body's frame; MuJoCo's body_invweight0 */    \
        } sphere[HB_PLANAR_SPHERES];                                                                                 \
        /* soft constraints, as in rigid.h */                                                                        \
        struct {                                                                                                     \
            number stiffness, damping, impedance[2], inverse_width;                                                  \
        } contact, limit;                                                                                            \
    }

typedef HB_PLANAR_MODEL(double) hb_planar_numbers;
typedef HB_PLANAR_MODEL(float) hb_planar_floats;

typedef struct {
    int32_t chains, links, spheres;
    int32_t motor[HB_PLANAR_CHAINS]
                 [HB_PLANAR_LINKS]; // which of the caller's commands turns the link; the code itself counts by links
    int32_t sphere_body[HB_PLANAR_SPHERES]; // 0: the root, 1 + links k + l: link l of chain k
    int32_t damped;                         // a joint or the root is damped
    int32_t runge_kutta;                    // else Euler
    int32_t sweeps;                         // of the constraint solver
    double tolerance;                       // float64 only, as in rigid.h
    hb_planar_numbers numbers;
    hb_planar_floats floats; // the same, rounded
} hb_planar_model;

// Rounds `numbers` to `floats`. Call it after every change of the numbers.
void hb_planar_round(hb_planar_model *model);

// The state of `width` robots: arrays of width numbers, one after the other. n = chains * links. Where each array of arrays begins:
//     position   3 + n   root x, z, angle; joint angles, chain by chain
//     speed      3 + n
//     warm       3 + n   accelerations of the step before, from which the solver starts
//     control    n       motor commands, already limited
// x has no influence. So that it keeps its digits, set it to 0 now and then and add up what it was in float64.
typedef struct {
    int32_t position, speed, warm, control, arrays;
} hb_planar_layout;

static inline hb_planar_layout hb_planar_layout_of(int32_t chains, int32_t links) {
    const int32_t n = chains * links;
    const hb_planar_layout at = {
        .position = 0, .speed = 3 + n, .warm = 2 * (3 + n), .control = 3 * (3 + n), .arrays = 3 * (3 + n) + n};
    return at;
}

// The code for robots of one shape (chains, links) at one width.
typedef struct {
    const char *variant;                 // the instruction set
    int32_t chains, links, width, bytes; // bytes of a number
    size_t scratch;                      // bytes of working memory, aligned to 64 as the states are
    // Moves the robots by `steps` steps under constant control. Robots whose numbers are not finite stay so and disturb no other.
    void (*step)(const hb_planar_model *model, void *state, void *scratch, int32_t steps);
} hb_planar_code;

// The code of two chains of three links, width robots at a time (16, 8, 1), for this processor; 0: the widest. NULL if it has none.
const hb_planar_code *hb_planar_code_2x3(int32_t width);
// One robot in float64: for proofs.
extern const hb_planar_code hb_planar_2x3_double;

#ifdef __cplusplus
}
#endif

#endif
