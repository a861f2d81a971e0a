#include "kernels/net.h"

#include <string.h>

const hb_rule hb_rules[] = {
    {"A", "A o_i o_j", 1, {"A"}, .a = 0, .b = -1, .c = -1, .d_in = -1, .d_out = -1, .eta = -1},
    {"AD", "A o_i o_j + D", 2, {"A", "D"}, .a = 0, .b = -1, .c = -1, .d_in = 1, .d_out = -1, .eta = -1},
    {"AD_lr",
     "eta (A o_i o_j + D)",
     3,
     {"A", "D", "eta"},
     .a = 0,
     .b = -1,
     .c = -1,
     .d_in = 1,
     .d_out = -1,
     .eta = 2},
    {"ABC",
     "A o_i o_j + B o_i + C o_j",
     3,
     {"A", "B", "C"},
     .a = 0,
     .b = 1,
     .c = 2,
     .d_in = -1,
     .d_out = -1,
     .eta = -1},
    {"ABC_lr",
     "eta (A o_i o_j + B o_i + C o_j)",
     4,
     {"A", "B", "C", "eta"},
     .a = 0,
     .b = 1,
     .c = 2,
     .d_in = -1,
     .d_out = -1,
     .eta = 3},
    {"ABCD",
     "A o_i o_j + B o_i + C o_j + D",
     4,
     {"A", "B", "C", "D"},
     .a = 0,
     .b = 1,
     .c = 2,
     .d_in = 3,
     .d_out = -1,
     .eta = -1},
    {"ABCD_lr",
     "eta (A o_i o_j + B o_i + C o_j + D)",
     5,
     {"A", "B", "C", "eta", "D"},
     .a = 0,
     .b = 1,
     .c = 2,
     .d_in = 4,
     .d_out = -1,
     .eta = 3},
    {"ABCD_lr_D_out",
     "eta (A o_i o_j + B o_i + C o_j) + D",
     5,
     {"A", "B", "C", "eta", "D"},
     .a = 0,
     .b = 1,
     .c = 2,
     .d_in = -1,
     .d_out = 4,
     .eta = 3},
    {"ABCD_lr_D_in_and_out",
     "eta (A o_i o_j + B o_i + C o_j + D_in) + D_out",
     6,
     {"A", "B", "C", "eta", "D_in", "D_out"},
     .a = 0,
     .b = 1,
     .c = 2,
     .d_in = 4,
     .d_out = 5,
     .eta = 3},
};
const int32_t hb_n_rules = sizeof hb_rules / sizeof *hb_rules;

const hb_initialiser hb_initialisers[] = {
    {"uni", "U(-0.1, 0.1), both papers", HB_DRAW_UNIFORM, 0.1f, 0, 0, 0},
    {"uni_big", "U(-1, 1)", HB_DRAW_UNIFORM, 1.0f, 0, 0, 0},
    {"normal", "N(0, 0.024^2), the code of NR", HB_DRAW_NORMAL, 0.024f, 0, 0, 0},
    {"normal_wide", "N(0, 0.1^2), the text of NR's robustness test", HB_DRAW_NORMAL, 0.1f, 0, 0, 0},
    {"xa_uni", "Xavier uniform, gain 0.3", HB_DRAW_UNIFORM, 0.3f, 6, 1, 1},
    {"xa_uni_big", "Xavier uniform, gain 1", HB_DRAW_UNIFORM, 1.0f, 6, 1, 1},
    {"ka_uni", "U(+-sqrt(0.6 / I))", HB_DRAW_UNIFORM, 1.0f, 0.6f, 1, 0},
    {"default", "U(+-1 / sqrt(I))", HB_DRAW_UNIFORM, 1.0f, 1, 1, 0},
    {"sparse", "N(0, 0.01^2), ceil(0.8 O) zeros per input", HB_DRAW_SPARSE, 0.01f, 0, 0, 0},
    {"ones", "1", HB_DRAW_CONSTANT, 1.0f, 0, 0, 0},
    {"zeros", "0", HB_DRAW_CONSTANT, 0.0f, 0, 0, 0},
    {"coevolve", "evolved beside the coefficients", HB_DRAW_GENOME, 1.0f, 0, 0, 0},
};
const int32_t hb_n_initialisers = sizeof hb_initialisers / sizeof *hb_initialisers;

const hb_rule *hb_rule_find(const char *name) {
    for (int32_t k = 0; k < hb_n_rules; k++)
        if (strcmp(hb_rules[k].name, name) == 0) return &hb_rules[k];
    return NULL;
}

uint32_t hb_rule_planes(const hb_rule *rule) {
    const bool has_d = rule->d_in >= 0 || rule->d_out >= 0;
    return (rule->a >= 0 ? 1u << HB_PLANE_A : 0u) | (rule->b >= 0 ? 1u << HB_PLANE_B : 0u) |
           (rule->c >= 0 ? 1u << HB_PLANE_C : 0u) | (has_d ? 1u << HB_PLANE_D : 0u);
}

const hb_initialiser *hb_initialiser_find(const char *name) {
    for (int32_t k = 0; k < hb_n_initialisers; k++)
        if (strcmp(hb_initialisers[k].name, name) == 0) return &hb_initialisers[k];
    return NULL;
}

float hb_initialiser_scale(const hb_initialiser *init, int32_t inputs, int32_t outputs) {
    const float weight = init->in_weight * (float)inputs + init->out_weight * (float)outputs;
    return weight > 0.0f ? init->scale * __builtin_sqrtf(init->fan / weight) : init->scale;
}

// The papers' convolutions: 6 maps of 3 x 3, then 8 of 5 x 5 with stride 2.
static hb_status look_at(hb_vision *vision, const hb_net_def *def, hb_error *error) {
    static const struct { int32_t maps, kernel, stride; } shape[HB_CONVOLUTIONS] = {{6, 3, 1}, {8, 5, 2}};
    *vision =
        (hb_vision){.evolved = !def->fixed_vision, .n_pixels = def->picture[0] * def->picture[1] * def->picture[2]};
    int32_t channels = def->picture[0], height = def->picture[1], width = def->picture[2];
    for (int32_t k = 0; k < HB_CONVOLUTIONS; k++) {
        hb_convolution *c = &vision->layer[k];
        *c = (hb_convolution){channels, height, width, shape[k].maps, shape[k].kernel, shape[k].stride, 0, 0, 0};
        c->rows = height < c->kernel ? 0 : ((height - c->kernel) / c->stride + 1) / 2;
        c->columns = width < c->kernel ? 0 : ((width - c->kernel) / c->stride + 1) / 2;
        c->offset = vision->n_weights;
        if (c->rows < 1 || c->columns < 1 || def->picture[0] > 4 || height > 256 || width > 256)
            return hb_fail(error, HB_BAD_INPUT, "policy.kind: no convolutions fit a picture of %d x %d x %d",
                           def->picture[0], def->picture[1], def->picture[2]);
        vision->n_weights += (int64_t)c->maps * c->channels * c->kernel * c->kernel;
        channels = c->maps, height = c->rows, width = c->columns;
    }
    return HB_OK;
}

hb_status hb_net_init(hb_net *net, const hb_net_def *def, hb_error *error) {
    *net = (hb_net){.n_layers = def->n_hidden + 1, .normalise = def->normalise, .half_planes = def->half_planes};
    if (def->n_hidden < 0 || def->n_hidden > HB_MAX_LAYERS - 1)
        return hb_fail(error, HB_BAD_INPUT, "policy.hidden: expected 0 to %d layers, found %d", HB_MAX_LAYERS - 1,
                       def->n_hidden);
    if (def->lstm && (def->n_hidden < 1 || (def->rule && *def->rule)))
        return hb_fail(error, HB_BAD_INPUT,
                       "policy.hidden: an LSTM network is static and has a hidden layer, its cell");
    if (def->rule && *def->rule) {
        net->rule = hb_rule_find(def->rule);
        if (!net->rule) return hb_fail(error, HB_BAD_INPUT, "policy.rule: no rule is called '%s'", def->rule);
        net->planes = hb_rule_planes(net->rule);
        net->init = hb_initialiser_find(def->init);
        if (!net->init) return hb_fail(error, HB_BAD_INPUT, "policy.init: no initialiser is called '%s'", def->init);
    }
    int32_t inputs = def->inputs;
    if (def->picture[0] > 0) {
        const hb_status status = look_at(&net->vision, def, error);
        if (status != HB_OK) return status;
        const hb_convolution *last = &net->vision.layer[HB_CONVOLUTIONS - 1];
        inputs = last->maps * last->rows * last->columns;
    }
    const int64_t coefficients = net->rule ? net->rule->n_coefficients : 1;
    for (int32_t l = 0; l < net->n_layers; l++) {
        hb_layer *layer = &net->layer[l];
        layer->inputs = l == 0 ? inputs : def->hidden[l - 1];
        layer->outputs = l == def->n_hidden ? def->outputs : def->hidden[l];
        layer->activation = l == def->n_hidden ? def->last : HB_TANH;
        if (l == 0 && def->lstm) {
            layer->inputs += 2 + layer->outputs;
            layer->outputs *= 4;
            layer->activation = HB_LSTM;
        }
        if (layer->inputs < 1 || layer->inputs > HB_MAX_WIDTH || layer->outputs < 1 || layer->outputs > HB_MAX_WIDTH)
            return hb_fail(error, HB_BAD_INPUT, "policy.hidden: expected widths from 1 to %d, found a layer %d x %d",
                           HB_MAX_WIDTH, layer->inputs, layer->outputs);
        layer->weight_offset = net->n_weights;
        layer->genome_offset = net->n_weights * coefficients;
        net->n_weights += (int64_t)layer->inputs * layer->outputs;
    }
    net->n_penalised = net->n_weights * coefficients;
    const bool coevolve = net->rule && net->init->draw == HB_DRAW_GENOME;
    net->genome_size =
        net->n_penalised + (coevolve ? net->n_weights : 0) + (net->vision.evolved ? net->vision.n_weights : 0);
    return HB_OK;
}
