// What a lane computes: the layers, the plasticity rule, how episodes start, and how all of it lies in memory.
//
// Letters: I inputs and O outputs of a layer, C coefficients per synapse, N plastic synapses of all layers,
// D evolved numbers. Arrays are row-major, the last letter is the fastest.
#ifndef HB_NET_H
#define HB_NET_H

#include "kernels/scalar.h"
#include "kernels/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_MAX_LAYERS       8
#define HB_MAX_WIDTH        4096
#define HB_MAX_COEFFICIENTS 6

// ---------------------------------------------------------------------------------------------------
// Plasticity rules: data, not code. All nine fold into four planes, see hb_rule_fold.

enum { HB_PLANE_A, HB_PLANE_B, HB_PLANE_C, HB_PLANE_D, HB_N_PLANES };

// Which coefficient plays which part; -1 where the rule has none.
typedef struct {
    const char *name;
    const char *equation;
    int32_t n_coefficients;
    const char *coefficients[HB_MAX_COEFFICIENTS]; // names in memory order
    int8_t a, b, c, d_in, d_out, eta;
} hb_rule;

// The nine rules of Najarro & Risi 2020 and their code, in the order of learning.md section 2.
extern const hb_rule hb_rules[];
extern const int32_t hb_n_rules;

// The rule of that name, or NULL.
const hb_rule *hb_rule_find(const char *name);

// Bit p is set where the rule has plane p.
uint32_t hb_rule_planes(const hb_rule *rule);

// Folds one synapse's coefficients h[C] into its planes:
//   a = eta A,  b = eta B,  c = eta C,  d = eta D_in + D_out        (eta = 1, D = 0 where absent)
// so that every rule is  dw = (a pre + c) post + (b pre + d). Each product is rounded once, then, where the network
// has half_planes, each plane to half precision.
HB_HD void hb_rule_fold(const hb_rule *rule, const float *h, float planes[HB_N_PLANES]) {
    const float eta = rule->eta >= 0 ? h[rule->eta] : 1.0f;
    planes[HB_PLANE_A] = rule->a >= 0 ? eta * h[rule->a] : 0.0f;
    planes[HB_PLANE_B] = rule->b >= 0 ? eta * h[rule->b] : 0.0f;
    planes[HB_PLANE_C] = rule->c >= 0 ? eta * h[rule->c] : 0.0f;
    const float d_out = rule->d_out >= 0 ? h[rule->d_out] : 0.0f;
    planes[HB_PLANE_D] = rule->d_in >= 0 ? hb_fma(eta, h[rule->d_in], d_out) : d_out;
}

// ---------------------------------------------------------------------------------------------------
// Initial weights of an episode

typedef enum { HB_DRAW_UNIFORM, HB_DRAW_NORMAL, HB_DRAW_SPARSE, HB_DRAW_CONSTANT, HB_DRAW_GENOME } hb_draw;

// UNIFORM draws U(-s, s), NORMAL N(0, s^2), SPARSE the same with ceil(0.8 O) zeros in every input's fan-out,
// CONSTANT is s, GENOME takes the weights from the end of the genome ("coevolve"). The scale s is
// scale * sqrt(fan / (in_weight I + out_weight O)), or just scale where both weights are 0.
typedef struct {
    const char *name;
    const char *summary;
    hb_draw draw;
    float scale;
    float fan, in_weight, out_weight;
} hb_initialiser;

// The initialisers of learning.md section 3.
extern const hb_initialiser hb_initialisers[];
extern const int32_t hb_n_initialisers;

const hb_initialiser *hb_initialiser_find(const char *name);

// The scale s of a layer of I inputs and O outputs.
float hb_initialiser_scale(const hb_initialiser *init, int32_t inputs, int32_t outputs);

// ---------------------------------------------------------------------------------------------------
// The network

typedef enum {
    HB_TANH,
    HB_LINEAR,
    HB_LSTM // the first layer of a static network only: W makes a cell's gates, see ops.h
} hb_activation;

// A fully connected layer y = f(W x) without bias. Offsets count floats of logical (unpadded) arrays. An LSTM cell of H
// units on I inputs is such a layer, too: its x is (1, 1, input, h), its W x the gates (i, f, g, o), H each; so w has the
// two biases as its first rows, then W_ih and W_hh, transposed.
typedef struct {
    int32_t inputs, outputs;
    hb_activation activation;
    int64_t weight_offset; // of w[I][O] among the N weights
    int64_t genome_offset; // of h[I][O][C] (or of w[I][O] where static) in the genome
} hb_layer;

// One convolution with tanh and max-pooling by 2: channels (C, H, W) to (maps, rows, columns), without padding; what an
// odd last row or column would pool is left out.
typedef struct {
    int32_t channels, height, width;
    int32_t maps, kernel, stride;
    int32_t rows, columns; // of the pooled output
    int64_t offset;        // of w[maps][channels][kernel][kernel] among the vision's weights
} hb_convolution;

#define HB_CONVOLUTIONS 2

// What looks at a picture before the first layer: two convolutions, of which the second's output, channel-major, is that
// layer's input. Their weights are never plastic. All zero where observations are numbers.
typedef struct {
    bool evolved; // the genome ends with the weights; or U(+-1/sqrt(fan-in)), drawn once a run
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
    bool half_planes;    // planes are rounded to half precision; a device may keep them so
    int64_t n_weights;   // N
    int64_t n_penalised; // coefficients (static: weights): the part of the genome that L2 looks at
    int64_t genome_size; // D: the penalised part, evolved initial weights, evolved vision
} hb_net;

// What to build; zero-initialise and fill.
typedef struct {
    int32_t inputs;     // or, where picture is not 0:
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

// Units of the LSTM cell, or 0; and where the first layer's own input (features, or the observation) stands in its x.
static inline int32_t hb_net_lstm(const hb_net *net) {
    return net->layer[0].activation == HB_LSTM ? net->layer[0].outputs / 4 : 0;
}
static inline int32_t hb_net_first_input(const hb_net *net) {
    return net->layer[0].activation == HB_LSTM ? 2 : 0;
}

// Numbers of the first layer's own input.
static inline int32_t hb_net_inputs(const hb_net *net) {
    return net->layer[0].inputs - hb_net_first_input(net) - hb_net_lstm(net);
}

// Words of 32 bits that an observation takes in a batch: floats, or bytes rounded up.
static inline size_t hb_net_observation_words(const hb_net *net) {
    return net->vision.n_weights ? ((size_t)net->vision.n_pixels + 3) / 4 : (size_t)hb_net_inputs(net);
}

// Where the vision's weights stand in the genome, if they are evolved.
static inline int64_t hb_net_vision_offset(const hb_net *net) {
    return net->genome_size - net->vision.n_weights;
}

// How many evolved numbers are no coefficients or static weights, which are penalised: they follow those in the genome.
static inline int64_t hb_net_unpenalised(const hb_net *net) {
    return net->genome_size - net->n_penalised;
}

// Lays out the network. Fails with HB_BAD_INPUT on an unknown rule or initialiser, a width outside 1..4096 or a picture
// that the convolutions leave nothing of.
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
