#include "kernels/net.h"

// The papers' convolutions: 6 maps of 3 x 3, then 8 of 5 x 5 with stride 2.
static hb_status init_vision(hb_vision *vision, const hb_net_def *def, hb_error *error) {
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

static hb_status check_def(const hb_net_def *def, hb_error *error) {
    if (def->n_hidden < 0 || def->n_hidden > HB_MAX_LAYERS - 1)
        return hb_fail(error, HB_BAD_INPUT, "policy.hidden: expected 0 to %d layers, found %d", HB_MAX_LAYERS - 1,
                       def->n_hidden);
    if (def->lstm && (def->n_hidden < 1 || (def->rule && *def->rule)))
        return hb_fail(error, HB_BAD_INPUT,
                       "policy.hidden: an LSTM network is static and has a hidden layer, its cell");
    if (def->lstm && def->bias)
        return hb_fail(error, HB_BAD_INPUT, "policy.bias: expected false with an LSTM cell, which has its own");
    return HB_OK;
}

static hb_status init_plasticity(hb_net *net, const hb_net_def *def, hb_error *error) {
    if (!def->rule || !*def->rule) return HB_OK;
    net->rule = hb_rule_find(def->rule);
    if (!net->rule) return hb_fail(error, HB_BAD_INPUT, "policy.rule: no rule is called '%s'", def->rule);
    const hb_plasticity *p = &def->plasticity;
    net->plasticity = *p;
    net->gated = p->modulator != HB_MODULATE_NONE || p->trace > 0 || p->oja != 0;
    net->planes = hb_rule_planes(net->rule);
    if (p->decay > 0)
        net->planes |= 1u << (p->modulator == HB_MODULATE_NONE && p->trace == 0 ? HB_PLANE_D : HB_PLANE_BIRTH);
    net->init = hb_initialiser_find(def->init);
    if (!net->init) return hb_fail(error, HB_BAD_INPUT, "policy.init: no initialiser is called '%s'", def->init);
    return HB_OK;
}

// Layer l, behind `inputs` numbers where it is the first.
static hb_status init_layer(hb_net *net, const hb_net_def *def, int32_t l, int32_t inputs, hb_error *error) {
    hb_layer *layer = &net->layer[l];
    layer->inputs = l == 0 ? inputs : def->hidden[l - 1];
    layer->outputs = l == def->n_hidden ? def->outputs : def->hidden[l];
    layer->inputs += def->bias + (l == 0 && def->sees_reward);
    layer->outputs += l == def->n_hidden && net->plasticity.modulator == HB_MODULATE_OUTPUT;
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
    layer->genome_offset = net->n_weights * (net->rule ? net->rule->n_coefficients : 1);
    net->n_weights += (int64_t)layer->inputs * layer->outputs;
    return HB_OK;
}

hb_status hb_net_init(hb_net *net, const hb_net_def *def, hb_error *error) {
    *net = (hb_net){.n_layers = def->n_hidden + 1,
                    .normalise = def->normalise,
                    .bias = def->bias,
                    .sees_reward = def->sees_reward,
                    .half_planes = def->half_planes};
    int32_t inputs = def->inputs;
    hb_status status = check_def(def, error);
    if (status == HB_OK) status = init_plasticity(net, def, error);
    if (status == HB_OK && def->picture[0] > 0) {
        status = init_vision(&net->vision, def, error);
        const hb_convolution *last = &net->vision.layer[HB_CONVOLUTIONS - 1];
        inputs = last->maps * last->rows * last->columns;
    }
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++) status = init_layer(net, def, l, inputs, error);
    if (status != HB_OK) return status;
    net->n_penalised = net->n_weights * (net->rule ? net->rule->n_coefficients : 1);
    const bool coevolve = net->rule && net->init->draw == HB_DRAW_GENOME;
    net->genome_size =
        net->n_penalised + (coevolve ? net->n_weights : 0) + (net->vision.evolved ? net->vision.n_weights : 0);
    return HB_OK;
}
