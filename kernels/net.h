// The network that a life computes: its layers, its plasticity rule, its initial weights, and the layout of its genome.
//
// Letters: I inputs and O outputs of a layer, C coefficients per synapse, N plastic synapses of all layers, D evolved numbers.
// Arrays are row-major: the last index is contiguous.
#ifndef HB_NET_H
#define HB_NET_H

#include "kernels/error.h"
#include "kernels/initialisers.h"
#include "kernels/rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_MAX_LAYERS 8
#define HB_MAX_WIDTH  4096

// ---------------------------------------------------------------------------------------------------
// The network

typedef enum {
    HB_TANH,
    HB_LINEAR,
    HB_LSTM // the first layer of a static network only: W makes a cell's gates, see ops.h
} hb_activation;

// A fully connected layer y = f(W x) without bias. Offsets count floats of unpadded arrays. An LSTM cell of H units on I inputs is
// such a layer, too: its x is (1, 1, input, h) and its W x are the gates (i, f, g, o), H each. So the first two rows of w are the
// biases, followed by W_ih and W_hh, transposed.
typedef struct {
    int32_t inputs, outputs;
    hb_activation activation;
    int64_t weight_offset; // of w[I][O] among the N weights
    int64_t genome_offset; // of h[I][O][C] (or of w[I][O] where static) in the genome
} hb_layer;

// One convolution with tanh and max-pooling by 2: channels (C, H, W) to (maps, rows, columns), without padding. An odd last row
// or column is dropped.
typedef struct {
    int32_t channels, height, width;
    int32_t maps, kernel, stride;
    int32_t rows, columns; // of the pooled output
    int64_t offset;        // of w[maps][channels][kernel][kernel] among the vision's weights
} hb_convolution;

#define HB_CONVOLUTIONS 2

// The convolutions before the first layer, for observations that are pictures: two, whose output, channel-major, is that layer's
// input. Their weights are never plastic. All zero for other observations.
typedef struct {
    bool evolved; // the weights are the end of the genome; otherwise U(+-1/sqrt(fan-in)), drawn once per run
    hb_convolution layer[HB_CONVOLUTIONS];
    int32_t n_pixels;  // bytes of an observation
    int64_t n_weights; // 0: no vision
} hb_vision;

typedef struct {
    int32_t n_layers;
    hb_layer layer[HB_MAX_LAYERS];
    hb_vision vision;
    const hb_rule *rule; // NULL: the weights themselves are evolved and never change ("static")
    bool normalise;      // w <- w / max|w| per layer after every update
    const hb_initialiser *init;
    uint32_t planes;     // which planes the rule has
    bool half_planes;    // planes are rounded to half precision; a device may store them so
    int64_t n_weights;   // N
    int64_t n_penalised; // coefficients (static: weights): the part of the genome that the L2 penalty covers
    int64_t genome_size; // D: the penalised part, evolved initial weights, evolved vision
} hb_net;

// A network to build; zero-initialise, then fill.
typedef struct {
    int32_t inputs;     // ignored if there is a picture:
    int32_t picture[3]; // channels, height, width
    bool fixed_vision;  // convolutions drawn once, not evolved
    int32_t outputs;
    int32_t n_hidden;
    int32_t hidden[HB_MAX_LAYERS - 1];
    hb_activation last; // the others are tanh
    bool lstm;          // static only: the first hidden layer is an LSTM cell
    const char *rule;   // NULL or "": static
    bool normalise;
    bool half_planes;
    const char *init; // ignored where static
} hb_net_def;

// Units of the LSTM cell, or 0; and the index of the first layer's own input (features or observation) within its x.
static inline int32_t hb_net_lstm(const hb_net *net) {
    return net->layer[0].activation == HB_LSTM ? net->layer[0].outputs / 4 : 0;
}
static inline int32_t hb_net_first_input(const hb_net *net) {
    return net->layer[0].activation == HB_LSTM ? 2 : 0;
}

// Length of the first layer's own input.
static inline int32_t hb_net_inputs(const hb_net *net) {
    return net->layer[0].inputs - hb_net_first_input(net) - hb_net_lstm(net);
}

// Words of 32 bits per observation in a batch: floats, or bytes rounded up.
static inline size_t hb_net_observation_words(const hb_net *net) {
    return net->vision.n_weights ? ((size_t)net->vision.n_pixels + 3) / 4 : (size_t)hb_net_inputs(net);
}

// The offset of the convolutions' weights in the genome, if they are evolved.
static inline int64_t hb_net_vision_offset(const hb_net *net) {
    return net->genome_size - net->vision.n_weights;
}

// The number of evolved numbers that follow the penalised ones in the genome: initial weights and convolutions.
static inline int64_t hb_net_unpenalised(const hb_net *net) {
    return net->genome_size - net->n_penalised;
}

// Lays out the network. Fails with HB_BAD_INPUT on an unknown rule or initialiser, a width outside 1..4096, or a picture that is too
// small for the convolutions.
hb_status hb_net_init(hb_net *net, const hb_net_def *def, hb_error *error);

// The genome's index of coefficient c of synapse (i, j) of layer l.
static inline int64_t hb_net_genome_index(const hb_net *net, int32_t l, int32_t i, int32_t j, int32_t c) {
    const int64_t coefficients = net->rule ? net->rule->n_coefficients : 1;
    const int64_t synapse = (int64_t)i * net->layer[l].outputs + j;
    return net->layer[l].genome_offset + synapse * coefficients + c;
}

#ifdef __cplusplus
}
#endif

#endif
