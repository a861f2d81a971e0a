#include "host/policy/policy.h"

#include <string.h>

typedef enum { PLASTIC, STATIC, LSTM } network;

static hb_status build(const hb_settings *s, const hb_env_table *env, network kind, hb_net *net, hb_error *error) {
    const bool plastic = kind == PLASTIC;
    hb_net_def def = {.inputs = env->observation_size,
                      .outputs = env->action_size,
                      .n_hidden = s->hidden.n,
                      .last = strcmp(s->last, "linear") == 0 ? HB_LINEAR : HB_TANH,
                      .rule = plastic ? s->rule : NULL,
                      .normalise = plastic && s->normalise,
                      .half_planes = plastic && strcmp(s->planes, "float16") == 0,
                      .init = s->init,
                      .lstm = kind == LSTM};
    for (int k = 0; k < 3; k++) def.picture[k] = env->picture_shape[k];
    def.fixed_vision = strcmp(s->vision, "fixed") == 0;
    for (int32_t l = 0; l < s->hidden.n; l++) def.hidden[l] = (int32_t)s->hidden.item[l];
    return hb_net_init(net, &def, error);
}

static hb_status build_hebbian(const hb_settings *s, const hb_env_table *env, hb_net *net, hb_error *error) {
    return build(s, env, PLASTIC, net, error);
}

static hb_status build_static(const hb_settings *s, const hb_env_table *env, hb_net *net, hb_error *error) {
    return build(s, env, STATIC, net, error);
}

static hb_status build_lstm(const hb_settings *s, const hb_env_table *env, hb_net *net, hb_error *error) {
    return build(s, env, LSTM, net, error);
}

const hb_policy hb_policies[] = {
    {"hebbian",
     "fully connected, behind two convolutions where pictures are seen; a plasticity rule per synapse, weights "
     "random at birth",
     build_hebbian},
    {"static", "the same network; the weights themselves are evolved", build_static},
    {"lstm", "the static network with an LSTM cell, with biases, for its first hidden layer", build_lstm},
    {NULL, NULL, NULL},
};

void hb_policy_bound(const hb_env_table *env, float *action) {
    for (int32_t k = 0; env->action_range && k < env->action_size; k++) {
        if (env->action_range[k] == HB_ACTION_SIGNED) action[k] = hb_tanh(action[k]);
        if (env->action_range[k] == HB_ACTION_UNIT) action[k] = hb_logistic(action[k]);
    }
}

hb_status hb_policy_build(const hb_settings *settings, const hb_env_table *env, hb_net *net, hb_error *error) {
    for (int k = 0; hb_policies[k].name; k++)
        if (strcmp(hb_policies[k].name, settings->policy) == 0)
            return hb_policies[k].build(settings, env, net, error);
    return hb_fail(error, HB_BAD_INPUT, "policy.kind: no policy is called '%s'", settings->policy);
}
