// Where the numbers of a network, of a lane and of an expansion lie in the card's memory.
#include "kernels/cuda/cuda.h"

// Layer l: its rows start at float `at` of a lane, its outputs at float `activations` of a step's. Both move behind them.
static void place_layer(hb_cuda_net *n, const hb_net *net, int32_t l, int64_t *at, int64_t *activations) {
    const hb_layer *layer = &net->layer[l];
    n->inputs[l] = layer->inputs;
    n->outputs[l] = layer->outputs;
    n->activation[l] = layer->activation;
    // A sector of 32 bytes is 8 floats or 16 halves.
    n->padded[l] = (int32_t)hb_cuda_up_to(layer->outputs, net->half_planes ? 16 : 8);
    const int32_t planes = n->padded[l] * __builtin_popcount(net->planes);
    n->row[l] = n->padded[l] * (net->plasticity.trace > 0 ? 2 : 1) + (net->half_planes ? planes / 2 : planes);
    n->rows[l] = *at;
    *at += (int64_t)n->row[l] * layer->inputs;
    n->inputs_at[l + 1] = *activations;
    *activations += hb_cuda_up_to(layer->outputs + net->bias, 8);
    n->weight_offset[l] = layer->weight_offset;
    n->genome_offset[l] = layer->genome_offset;
    n->init_scale[l] = net->init ? hb_initialiser_scale(net->init, layer->inputs, layer->outputs) : 1.0f;
}

hb_cuda_net hb_cuda_layout(const hb_net *net) {
    hb_cuda_net n = {};
    n.n_layers = net->n_layers;
    n.planes = net->planes;
    n.plastic = net->rule != NULL;
    n.normalise = net->normalise;
    n.half = net->half_planes;
    n.gated = net->gated;
    n.bias = net->bias;
    n.sees_reward = net->sees_reward;
    n.takes_reward = hb_net_takes_reward(net);
    n.plasticity = net->plasticity;
    n.actions = hb_net_actions(net);
    n.n_coefficients = net->rule ? net->rule->n_coefficients : 1;
    n.draw = net->init ? net->init->draw : HB_DRAW_GENOME;
    n.n_weights = net->n_weights;
    n.n_penalised = net->n_penalised;
    n.genome_size = net->genome_size;
    if (net->rule) {
        n.a = net->rule->a, n.b = net->rule->b, n.c = net->rule->c;
        n.d_in = net->rule->d_in, n.d_out = net->rule->d_out, n.eta = net->rule->eta;
        n.squares_post = net->rule->squares_post;
    }
    int64_t at = 0, activations = hb_cuda_up_to(net->layer[0].inputs, 8);
    for (int32_t l = 0; l < net->n_layers; l++) place_layer(&n, net, l, &at, &activations);
    n.activations = at;
    n.step = activations;
    n.history = hb_net_history(net);
    n.scale = at + n.history * activations;
    n.look = n.scale + 8;
    n.pooled = n.look + hb_cuda_up_to(net->vision.n_weights, 8);
    const hb_convolution &first = net->vision.layer[0];
    n.lane = n.pooled + hb_cuda_up_to((int64_t)first.maps * first.rows * first.columns, 8);
    n.vision = net->vision;
    n.words = (int64_t)hb_net_observation_words(net);
    n.units = hb_net_lstm(net);
    n.own = hb_net_first_input(net);
    n.n_own = hb_net_inputs(net);
    return n;
}

hb_status hb_cuda_genomes_room(hb_group *group, size_t bytes, hb_error *error) {
    if (bytes <= group->genomes_bytes) return HB_OK;
    hb_status status = HB_CUDA(cudaStreamSynchronize(group->stream));
    if (status == HB_OK) status = HB_CUDA(cudaFree(group->genomes));
    group->genomes = NULL;
    group->genomes_bytes = 0;
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->genomes, bytes));
    if (status == HB_OK) group->genomes_bytes = bytes;
    return status;
}
