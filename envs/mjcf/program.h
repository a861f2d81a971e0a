// What is observed, rewarded, deadly and drawn at a reset, read from a line of text each (docs/mjcf.md has the grammar) and carried out on
// MuJoCo's data.
#ifndef HB_MJCF_PROGRAM_H
#define HB_MJCF_PROGRAM_H

#include "envs/env.h"

#include <mujoco/mujoco.h>

enum { HB_MJCF_TERMS = 16 };

// Numbers [first, first + n) of an array of the data.
typedef struct {
    int array; // index of the table in program.c
    int32_t first, n;
} hb_mjcf_numbers;

// "qpos[2:], clip(qvel, 10), sensor gyro, reward"
typedef struct {
    bool is_reward; // that of the step before
    hb_mjcf_numbers of;
    double clip; // to [-clip, clip]; 0: not
} hb_mjcf_observed;

// "forward 1 of qpos[0]; alive 5; control 0.1; contact 5e-7 clip 1 most 10"
typedef enum { HB_MJCF_FORWARD, HB_MJCF_ALIVE, HB_MJCF_CONTROL, HB_MJCF_CONTACT } hb_mjcf_kind;
typedef struct {
    hb_mjcf_kind kind;
    double weight;
    hb_mjcf_numbers of; // forward: one number, m; of.array -1: the centre of mass, x
    double clip, most;  // contact; 0: none
} hb_mjcf_reward;

// "finite; qpos[2] 0.2 1; state[2:] -100 100": every number within the closed range
typedef struct {
    hb_mjcf_numbers of;
    double least, most;
} hb_mjcf_bound;

// "qpos uniform 0.1; qvel normal 0.1": added to the model's start
typedef struct {
    bool speeds, normal; // qvel, or qpos; N(0, scale^2), or U(-scale, scale)
    double scale;
} hb_mjcf_noise;

typedef struct {
    int n_observed, n_rewards, n_bounds, n_noises;
    hb_mjcf_observed observed[HB_MJCF_TERMS];
    hb_mjcf_reward reward[HB_MJCF_TERMS];
    hb_mjcf_bound bound[HB_MJCF_TERMS];
    hb_mjcf_noise noise[HB_MJCF_TERMS];
    bool finite;       // a life ends where a position or speed is not finite
    bool needs_forces; // cfrc_ext: mj_rnePostConstraint after a step
    int32_t size;      // numbers of an observation
} hb_mjcf_program;

// Reads the four texts for a model; every one may be empty. Returns 0, or -1 with a line that names the option, the word, and what fits.
int hb_mjcf_read(const mjModel *model, const char *observe, const char *reward, const char *alive, const char *reset,
                 hb_mjcf_program *program, char *message, size_t size);

// The observation (program->size). last: the reward of the step before, 0 at first.
void hb_mjcf_observe(const hb_mjcf_program *program, const mjModel *model, const mjData *data, double last,
                     float *observation);

// True while every bound holds.
bool hb_mjcf_alive(const hb_mjcf_program *program, const mjModel *model, const mjData *data);

// Where forward terms stand: x (program->n_rewards), m.
void hb_mjcf_positions(const hb_mjcf_program *program, const mjModel *model, const mjData *data, double *x);

// The reward of a step of dt seconds under the commands ctrl, from where forward terms stood before it, x of hb_mjcf_positions, to where they
// stand now, which x becomes.
double hb_mjcf_rewarded(const hb_mjcf_program *program, const mjModel *model, const mjData *data, double *x,
                        double dt, bool alive);

// The command that action a, finite, gives actuator j: [-1, 1] mapped to its control range where it has one, in float as Gymnasium's are.
double hb_mjcf_command(const mjModel *model, int j, float a);

// The name of an array that the program reads beside positions, speeds and commands, and, where `forces`, cfrc_ext and the root's xpos; NULL where it
// reads none.
const char *hb_mjcf_reads_more(const hb_mjcf_program *program, bool forces);

// Adds the noise to positions and speeds.
void hb_mjcf_disturb(const hb_mjcf_program *program, const mjModel *model, mjData *data, hb_env_random *random);

#endif
