// Policies: what an individual is. Each is an entry of the table that turns settings into a network.
#ifndef HB_POLICY_H
#define HB_POLICY_H

#include "envs/env.h"
#include "host/config/config.h"
#include "kernels/net.h"

typedef struct {
    const char *name;
    const char *summary;
    hb_status (*build)(const hb_settings *settings, const hb_env_table *env, hb_net *net, hb_error *error);
} hb_policy;

// Ends with a NULL name.
extern const hb_policy hb_policies[];

// action (action_size) <- what the environment may be given: tanh or logistic of the network's output where it bounds its
// actions (learning.md section 1), else the output itself.
void hb_policy_bound(const hb_env_table *env, float *action);

// The network of the configured policy on that environment.
hb_status hb_policy_build(const hb_settings *settings, const hb_env_table *env, hb_net *net, hb_error *error);

#endif
