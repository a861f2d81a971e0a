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

// A fully connected layer y = f(W x); with biases, x ends with a 1. Offsets count floats of unpadded arrays. An LSTM cell of H units on I inputs is
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

// What multiplies the changes of all synapses: nothing; the reward of the step; an output of the network beside its actions,
// the last layer's last (a "third factor").
typedef enum { HB_MODULATE_NONE, HB_MODULATE_REWARD, HB_MODULATE_OUTPUT } hb_modulator;

// How a rule's change enters the weights (docs/equations.md, "Plasticity"; the order of operations is in ops.h). All zero: it is added after every step.
typedef struct {
    int32_t average; // M: pre and post are means over the last M steps; 0 is 1
    int32_t every;   // K: an update follows steps 1, 1 + K, 1 + 2 K, ..; 0 is 1
    float decay;     // the part of a weight that gives way to the weight of birth in an update, 0 to 1
    float oja;       // dw has the term -oja post^2 w
    float trace;     // the part of a synapse's trace that remains in an update; 0: there are no traces
    hb_modulator modulator;
} hb_plasticity;

typedef struct {
    int32_t n_layers;
    hb_layer layer[HB_MAX_LAYERS];
    hb_vision vision;
    const hb_rule *rule; // NULL: the weights themselves are evolved and never change ("static")
    bool normalise;      // w <- w / max|w| per layer after every update
    hb_plasticity plasticity;
    bool bias;        // each layer's input ends with a 1
    bool sees_reward; // the first layer's own input is followed by the reward of the last step
    const hb_initialiser *init;
    uint32_t planes;     // which planes a synapse has
    bool gated;          // updates are those of traces, modulators or Oja's term (update.h)
    bool half_planes;    // planes are rounded to half precision; a device may store them so
    int64_t n_weights;   // N
    int64_t n_penalised; // coefficients (static: weights): the part of the genome that the L2 penalty covers
    int64_t genome_size; // D: the penalised part, evolved initial weights, evolved vision
} hb_net;

// A network to build; zero-initialise, then fill.
typedef struct {
    int32_t inputs;     // ignored if there is a picture:
    int32_t picture[3]; // channels, height, width
    int32_t outputs;
    int32_t n_hidden;
    int32_t hidden[HB_MAX_LAYERS - 1];
    hb_activation last;       // the others are tanh
    const char *rule;         // NULL or "": static
    const char *init;         // ignored where static
    hb_plasticity plasticity; // the same
    bool normalise;
    bool half_planes;
    bool bias; // not with an LSTM cell, which has its own
    bool sees_reward;
    bool lstm;         // static only: the first hidden layer is an LSTM cell
    bool fixed_vision; // convolutions drawn once, not evolved
} hb_net_def;

// Units of the LSTM cell, or 0; and the index of the first layer's own input (features or observation) within its x.
static inline int32_t hb_net_lstm(const hb_net *net) {
    return net->layer[0].activation == HB_LSTM ? net->layer[0].outputs / 4 : 0;
}
static inline int32_t hb_net_first_input(const hb_net *net) {
    return net->layer[0].activation == HB_LSTM ? 2 : 0;
}

// Length of the first layer's own input. Its x is: the constants of an LSTM cell, the own input, the reward if it is seen, the 1 of biases, the
// cell's h.
static inline int32_t hb_net_inputs(const hb_net *net) {
    return net->layer[0].inputs - hb_net_first_input(net) - net->sees_reward - net->bias - hb_net_lstm(net);
}

// Outputs that are actions: all but the one that modulates.
static inline int32_t hb_net_actions(const hb_net *net) {
    return net->layer[net->n_layers - 1].outputs - (net->plasticity.modulator == HB_MODULATE_OUTPUT);
}

// Whether steps need the reward of the step before.
static inline bool hb_net_takes_reward(const hb_net *net) {
    return net->sees_reward || net->plasticity.modulator == HB_MODULATE_REWARD;
}

// Steps whose activations a lane keeps: this one's and those that an update averages.
static inline int32_t hb_net_history(const hb_net *net) {
    return 1 + (net->plasticity.average > 1 ? net->plasticity.average : 1);
}

// Numbers that a synapse has: its weight, its trace, and its planes.
static inline int32_t hb_net_synapse_numbers(const hb_net *net) {
    return 1 + (net->plasticity.trace > 0) + __builtin_popcount(net->planes);
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
