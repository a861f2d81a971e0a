#include "host/policy/policy.h"

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
                      .fixed_vision = s->vision == HB_VISION_FIXED};
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
