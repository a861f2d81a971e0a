// The course of an Ant's episode, whichever engine moves it (envs/ant/ant.h, docs/ant.md).
#ifndef HB_ANT_EPISODE_H
#define HB_ANT_EPISODE_H

#include "envs/ant/model.h"
#include "envs/env.h"

#include <math.h>

#define HB_ANT_JOINTS   8
#define HB_ANT_OBSERVED 28
#define HB_ANT_SUBSTEPS 4

static const double hb_ant_control_step = 0.0165; // s
static const double hb_ant_target_x = 1000.0;     // m
static const double hb_ant_start_height = 0.75;   // m
static const double hb_ant_alive_height = 0.26;   // m
static const int hb_ant_episode_steps = 1000;     // with burn-in
static const int hb_ant_patience_from = 200;      // the early stop looks at policy steps after this one,
static const int hb_ant_patience = 30;            // and allows so many in a row without progress

// The options of both engines.
typedef struct {
    int burn_in; // env steps
    bool early_stop, reset_observation, torso_position;
} hb_ant_rules;

// An episode under way.
typedef struct {
    int policy_step;    // n of the loop
    int backward_steps; // in a row without progress
    double distance;    // m, D(t-1)
} hb_ant_life;

static inline double hb_ant_clip(double x, double bound) {
    return x > bound ? bound : x < -bound ? -bound : x;
}

// The joints' angles at reset: hip1, ankle1, ..., ankle4.
static inline void hb_ant_start(hb_env_random *random, double joint[HB_ANT_JOINTS]) {
    for (int k = 0; k < 4; k++) {
        joint[2 * k] = -0.1 + 0.2 * hb_env_uniform(random);
        joint[2 * k + 1] = hb_ant_ankle_sign[k] * (M_PI / 6 + 0.2 * hb_env_uniform(random));
    }
}

static inline double hb_ant_distance(const double mean[2]) {
    return sqrt((hb_ant_target_x - mean[0]) * (hb_ant_target_x - mean[0]) + mean[1] * mean[1]);
}

// The reward of AntBulletEnv-v0, for logs only: nothing is trained with it.
static inline double hb_ant_reward(const double *action, const float *observation, double height, double progress) {
    double electricity = 0, stall = 0, limits = 0;
    for (int j = 0; j < HB_ANT_JOINTS; j++) {
        electricity += fabs(action[j] * (double)observation[9 + 2 * j]);
        stall += action[j] * action[j];
        limits += fabs((double)observation[8 + 2 * j]) > 0.99;
    }
    const double alive = height > hb_ant_alive_height ? 1.0 : -1.0;
    return alive + progress - 2.0 * electricity / HB_ANT_JOINTS - 0.1 * stall / HB_ANT_JOINTS - 0.1 * limits;
}

// Counts a policy step that came to `distance`, with the torso at `height`: its fitness and reward in *out, and how the episode goes on.
static inline hb_env_outcome hb_ant_count(const hb_ant_rules *rules, hb_ant_life *life, const double *action,
                                          const float *observation, double height, double distance,
                                          hb_env_step *out) {
    const double progress = (life->distance - distance) / hb_ant_control_step;
    life->distance = distance;
    out->fitness = progress;
    out->reward = hb_ant_reward(action, observation, height, progress);
    const int n = life->policy_step++;
    if (rules->burn_in + life->policy_step >= hb_ant_episode_steps) return HB_ENV_DONE;
    if (!rules->early_stop || n <= hb_ant_patience_from) return HB_ENV_RUNNING;
    life->backward_steps = progress < 0 ? life->backward_steps + 1 : 0;
    const bool dead = !(height > hb_ant_alive_height);
    return dead || life->backward_steps > hb_ant_patience ? HB_ENV_DONE : HB_ENV_RUNNING;
}

#endif
