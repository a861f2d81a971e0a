#include "host/policy/policy.h"

#include <stdio.h>

// ---------------------------------------------------------------------------------------------------
// Keys

static const char *policy_word(int k) {
    return hb_policies[k].name;
}

static const char *rule_word(int k) {
    return k < hb_n_rules ? hb_rules[k].name : NULL;
}

static const char *init_word(int k) {
    return k < hb_n_initialisers ? hb_initialisers[k].name : NULL;
}

static const char *const activations[] = {"tanh", "linear", NULL};
static const char *const visions[] = {"evolved", "fixed", NULL};
const char *const hb_modulator_words[] = {"none", "reward", "output", NULL};
static const char *const precisions[] = {"float32", "float16", NULL};

#define FIELDS hb_policy_settings
const hb_key hb_policy_keys[] = {
    HB_KEY_NAMED(FIELDS, kind, policy_word, "hebbian", "what an individual is"),
    HB_KEY_NAMED(FIELDS, rule, rule_word, "ABCD_lr", "plasticity rule"),
    HB_KEY_NAMED(FIELDS, init, init_word, "uni", "initial weights of an episode"),
    HB_KEY(FIELDS, hidden, INTS, "128,64", 1, 4096, "widths of the hidden layers"),
    HB_KEY_OF(FIELDS, last, activations, "tanh", "activation of the last layer"),
    HB_KEY_OF(
        FIELDS, vision, visions, "evolved",
        "convolutions before the first layer, for observations that are pictures: evolved, or random and fixed"),
    HB_KEY_OF(
        FIELDS, planes, precisions, "float32",
        "precision of a rule's folded coefficients; float16: a device moves 16 bytes per synapse and step, not 24"),
    HB_KEY(FIELDS, normalise, BOOL, "false", 0, 0,
           "divide each layer's weights by their largest magnitude after every update"),
    HB_KEY(FIELDS, bias, BOOL, "false", 0, 0, "each layer has an input more, which is always 1"),
    HB_KEY(FIELDS, sees_reward, BOOL, "false", 0, 0,
           "the first layer has an input more: the reward of the last step"),
    HB_KEY(FIELDS, average, INT, "1", 1, 1000, "steps over which a rule averages what it learns from, o_i and o_j"),
    HB_KEY(FIELDS, every, INT, "1", 1, 1e6, "steps from one update of the weights to the next"),
    HB_KEY(FIELDS, decay, REAL, "0", 0, 1, "the part of a weight that gives way to its weight of birth in an update"),
    HB_KEY(FIELDS, oja, REAL, "0", 0, 1e6, "the factor of Oja's term, -o_j^2 w"),
    HB_KEY(
        FIELDS, trace, REAL, "0", 0, 0.999999,
        "the part of an eligibility trace that remains in an update; traces gather changes, and enter the weights; "
        "0: none"),
    HB_KEY_OF(
        FIELDS, modulate, hb_modulator_words, "none",
        "what multiplies changes of weights: none; reward: that of the step; output: an output of the network's "
        "own"),
    {.name = NULL}};

// ---------------------------------------------------------------------------------------------------
// Policies

const hb_policy hb_policies[] = {
    {"hebbian",
     "fully connected, after two convolutions for pictures; weights random at birth, changed by a plasticity "
     "rule per synapse",
     .plastic = true},
    {"static", "the same network; the weights themselves are evolved and never change", .plastic = false},
    {"lstm", "the static network with an LSTM cell, with biases, as its first hidden layer", .lstm = true},
    {.name = NULL}};

// The first key that is set and that a network without a rule has no use for; NULL: none.
static const char *idle_key(const hb_policy_settings *s) {
    return s->average > 1                    ? "policy.average"
           : s->every > 1                    ? "policy.every"
           : s->decay > 0                    ? "policy.decay"
           : s->oja > 0                      ? "policy.oja"
           : s->trace > 0                    ? "policy.trace"
           : s->modulate != HB_MODULATE_NONE ? "policy.modulate"
                                             : NULL;
}

bool hb_policy_fits(const hb_policy_settings *settings, hb_key_fault *fault) {
    const hb_policy *policy = &hb_policies[settings->kind];
    const char *idle = policy->plastic ? NULL : idle_key(settings);
    if (idle) {
        fault->key = idle;
        snprintf(fault->reason, sizeof fault->reason, "policy.kind '%s' has no rule that it would change",
                 policy->name);
        return false;
    }
    if (policy->lstm && settings->bias) {
        fault->key = "policy.bias";
        snprintf(fault->reason, sizeof fault->reason, "an LSTM cell has biases of its own");
        return false;
    }
    return true;
}

bool hb_policy_evolves_weights(const hb_policy_settings *settings) {
    return hb_policies[settings->kind].plastic && hb_initialisers[settings->init].draw == HB_DRAW_GENOME;
}

hb_status hb_policy_build(const hb_policy_settings *s, const hb_env_shape *shape, hb_net *net, hb_error *error) {
    const hb_policy *policy = &hb_policies[s->kind];
    hb_net_def def = {.inputs = shape->observation_size,
                      .outputs = shape->action_size,
                      .n_hidden = s->hidden.n,
                      .last = s->last,
                      .rule = policy->plastic ? hb_rules[s->rule].name : NULL,
                      .normalise = policy->plastic && s->normalise,
                      .half_planes = policy->plastic && s->planes == HB_PLANES_FLOAT16,
                      .init = hb_initialisers[s->init].name,
                      .lstm = policy->lstm,
                      .fixed_vision = s->vision == HB_VISION_FIXED,
                      .bias = s->bias,
                      .sees_reward = s->sees_reward};
    if (policy->plastic)
        def.plasticity = (hb_plasticity){.average = (int32_t)s->average,
                                         .every = (int32_t)s->every,
                                         .decay = (float)s->decay,
                                         .oja = (float)s->oja,
                                         .trace = (float)s->trace,
                                         .modulator = s->modulate};
    for (int k = 0; k < 3; k++) def.picture[k] = shape->picture[k];
    for (int32_t l = 0; l < s->hidden.n; l++) def.hidden[l] = (int32_t)s->hidden.item[l];
    return hb_net_init(net, &def, error);
}

void hb_policy_bound(const hb_env_shape *shape, float *action) {
    for (int32_t k = 0; shape->action_range && k < shape->action_size; k++) {
        if (shape->action_range[k] == HB_ACTION_SIGNED) action[k] = hb_tanh(action[k]);
        if (shape->action_range[k] == HB_ACTION_UNIT) action[k] = hb_logistic(action[k]);
    }
}
