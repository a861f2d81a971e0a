// Expansion on the CPU, compiled once per instruction set: a life's planes and initial weights (ops.h, "Expand").
#include "kernels/cpu/build.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/vision.h"
#include "kernels/update.h"

#include <string.h>

// The sequence of numbers that the initialiser draws for weights 0..n of a lane: words as floats in [0, 1) or
// normals, before scaling. w has room for n rounded up to 64.
static void draw_weights(const hb_initialiser *init, hb_noise id, float *w, size_t n) {
    for (size_t e = 0; e < n; e += HB_NOISE_BLOCK) {
        if (init->draw == HB_DRAW_UNIFORM) {
            uint32_t word[HB_NOISE_BLOCK];
            hb_words_block(id, (uint32_t)(e / HB_NOISE_BLOCK), word);
            for (int r = 0; r < HB_NOISE_BLOCK; r++) w[e + r] = hb_uniform(word[r]);
        } else {
            hb_normals_block(id, (uint32_t)(e / HB_NOISE_BLOCK), w + e);
        }
    }
}

// Is weight j of the row among the ceil(0.8 O) that "sparse" sets to 0?
static int sparse_zero(const uint32_t *key, int32_t outputs, int32_t j) {
    int32_t smaller = 0;
    for (int32_t k = 0; k < outputs; k++) smaller += hb_sparse_before(key[k], k, key[j], j);
    return smaller < hb_sparse_zeros(outputs);
}

// Scales one row of draws into initial weights.
static void scale_row(const hb_initialiser *init, const hb_layer *layer, hb_noise id, int32_t i, float *w) {
    const float s = hb_initialiser_scale(init, layer->inputs, layer->outputs);
    const int32_t outputs = layer->outputs;
    switch (init->draw) {
    case HB_DRAW_UNIFORM:
        for (int32_t j = 0; j < outputs; j++) w[j] = hb_uniform_within(w[j], s);
        break;
    case HB_DRAW_NORMAL:
        for (int32_t j = 0; j < outputs; j++) w[j] = s * w[j];
        break;
    case HB_DRAW_SPARSE: {
        uint32_t key[HB_MAX_WIDTH];
        id.stream = HB_STREAM_WEIGHTS_MASK;
        const uint64_t first = (uint64_t)layer->weight_offset + (uint64_t)i * (uint64_t)outputs;
        for (int32_t j = 0; j < outputs; j++) key[j] = hb_noise_word(id, first + (uint64_t)j);
        for (int32_t j = 0; j < outputs; j++) w[j] = sparse_zero(key, outputs, j) ? 0.0f : s * w[j];
        break;
    }
    case HB_DRAW_CONSTANT:
        for (int32_t j = 0; j < outputs; j++) w[j] = s;
        break;
    case HB_DRAW_GENOME:
        break;
    }
}

// The planes of up to 16 synapses, h (n, C), w (n) the weights of birth; the rest are 0.
static void fold_block(const hb_net *net, const float *h, const float *w, size_t n,
                       float planes[HB_MAX_PLANES][HB_CPU_PAD]) {
    const size_t coefficients = (size_t)net->rule->n_coefficients;
    memset(planes, 0, sizeof(float[HB_MAX_PLANES][HB_CPU_PAD]));
    for (size_t k = 0; k < n; k++) {
        float folded[HB_MAX_PLANES];
        hb_fold(net->rule, &net->plasticity, net->planes, h + k * coefficients, w[k], folded);
        for (int p = 0; p < HB_MAX_PLANES; p++) planes[p][k] = folded[p];
    }
}

// Writes a block of 16 outputs into the lane: n weights, traces of 0, and the planes. h: the genome's part of these synapses.
static void expand_block(const hb_group *group, const float *h, const float *w, size_t n, float *block) {
    const hb_net *net = &group->net;
    float planes[HB_MAX_PLANES][HB_CPU_PAD], *at = block + group->layout.first_plane;
    for (size_t k = 0; k < group->layout.first_plane; k++)
        block[k] = k < n ? w[k] : 0.0f; // traces stand behind the first 16
    if (!net->rule) return;
    fold_block(net, h, w, n, planes);
    for (int p = 0; p < HB_MAX_PLANES; p++) {
        if (!(net->planes >> p & 1u)) continue;
        if (net->half_planes)
            for (size_t k = 0; k < HB_CPU_PAD; k++) ((uint16_t *)(void *)at)[k] = hb_half_bits(planes[p][k]);
        else
            memcpy(at, planes[p], sizeof planes[p]);
        at += group->layout.plane;
    }
}

// Folds a row of a layer into the lane. h: the genome's part for this row, w: its initial weights.
static void expand_row(const hb_group *group, int32_t l, const float *h, const float *w, float *row) {
    const size_t outputs = (size_t)group->net.layer[l].outputs;
    const size_t coefficients = group->net.rule ? (size_t)group->net.rule->n_coefficients : 0;
    for (size_t j = 0; j < outputs; j += HB_CPU_PAD) {
        const size_t n = outputs - j < HB_CPU_PAD ? outputs - j : HB_CPU_PAD;
        expand_block(group, h + j * coefficients, w + j, n, row + hb_cpu_block(&group->layout, j));
    }
}

void HB_OF_BUILD(hb_cpu_expand)(hb_group *group, int32_t lane, const hb_birth *birth, float *scratch,
                                double *squares) {
    const hb_net *net = &group->net;
    float *memory = group->memory + (size_t)lane * group->layout.lane;
    float *h = scratch;
    float *draws = scratch + ((size_t)net->genome_size + 63) / 64 * 64;
    float *theta = draws + ((size_t)net->n_weights + 63) / 64 * 64;
    group->build->search->sample(&birth->genome, h, theta, 0, (size_t)net->genome_size);
    if (squares) *squares = hb_sum_of_squares(h, (size_t)net->n_penalised);
    if (!net->rule)
        draws = h;
    else if (net->init->draw == HB_DRAW_GENOME)
        draws = h + net->n_penalised;
    else if (net->init->draw != HB_DRAW_CONSTANT)
        draw_weights(net->init, birth->weights, draws, (size_t)net->n_weights);
    for (int32_t l = 0; l < net->n_layers; l++) {
        const hb_layer *layer = &net->layer[l];
        for (int32_t i = 0; i < layer->inputs; i++) {
            float *w = draws + layer->weight_offset + (int64_t)i * layer->outputs;
            if (net->rule) scale_row(net->init, layer, birth->weights, i, w);
            expand_row(group, l, h + hb_net_genome_index(net, l, i, 0, 0), w,
                       memory + group->layout.rows[l] + (size_t)i * group->layout.row[l]);
        }
        memory[group->layout.scale + (size_t)l] = 1.0f;
    }
    if (net->vision.n_weights)
        hb_cpu_vision_expand(&net->vision, net->vision.evolved ? h + hb_net_vision_offset(net) : NULL,
                             birth->weights.seed, memory + group->layout.vision);
    memset(memory + group->layout.activations, 0, group->layout.history * group->layout.step * sizeof *memory);
    group->steps[lane] = 0;
}
