// Policies: what an individual is. Each is a row of a table that turns settings into a network.
#ifndef HB_POLICY_H
#define HB_POLICY_H

#include "envs/env.h"
#include "host/base/keys.h"
#include "kernels/net.h"

typedef enum { HB_VISION_EVOLVED, HB_VISION_FIXED } hb_vision_kind;
typedef enum { HB_PLANES_FLOAT32, HB_PLANES_FLOAT16 } hb_planes_kind;

// The settings of section `policy`.
typedef struct {
    int32_t kind; // index into hb_policies
    int32_t rule; // index into hb_rules
    int32_t init; // index into hb_initialisers
    hb_ints hidden;
    hb_activation last; // tanh or linear
    hb_vision_kind vision;
    hb_planes_kind planes;
    bool normalise;
    bool bias, sees_reward;
    int64_t average, every; // steps
    double decay, oja, trace;
    hb_modulator modulate;
} hb_policy_settings;

// Ends with a NULL name.
extern const hb_key hb_policy_keys[];

// The words of policy.modulate, in the order of hb_modulator; ends with NULL.
extern const char *const hb_modulator_words[];

typedef struct {
    const char *name;
    const char *summary;
    bool plastic; // weights are random at birth and a rule changes them; otherwise they are evolved
    bool lstm;    // the first hidden layer is an LSTM cell
} hb_policy;

// Ends with a NULL name.
extern const hb_policy hb_policies[];

// True if the settings fit each other. Otherwise *fault names the key to change and the reason.
bool hb_policy_fits(const hb_policy_settings *settings, hb_key_fault *fault);

// Builds the network of the configured policy for the sizes of that environment. Fails with HB_BAD_INPUT where no such
// network exists (hb_net_init).
hb_status hb_policy_build(const hb_policy_settings *settings, const hb_env_shape *shape, hb_net *net,
                          hb_error *error);

// True if the evolved numbers include initial weights (init coevolve of a plastic policy).
bool hb_policy_evolves_weights(const hb_policy_settings *settings);

// Maps a network's output to the environment's action range, in place: action (action_size) <- tanh or logistic of it where
// the environment bounds its actions, otherwise unchanged (docs/equations.md, "Network").
void hb_policy_bound(const hb_env_shape *shape, float *action);

#endif
