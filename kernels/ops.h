// clang-format off
// The operations, and exactly what each computes: equation, shapes, order of summation, source.
// Every device gives these bits; kernels/device.h is the table through which they are called.
//
// fma(a, b, c) is a * b + c with one rounding. All numbers are float32 unless said.
//
// Sample (learning.md sections 4, 5). An individual's genome, for d in [0, D):
//     h_d = fma(sigma, eps_d, mean_d)              eps = the normals of `noise`; sigma < 0 is the antithetic twin
// Where rules are shared, coefficient c of synapse i is, with k_i and k'_i the maps and C coefficients a rule:
//     theta_e = fma(sigma, eps_e, mean_e)          for e in [0, E): K rules of C, then the evolved weights
//     h_ic = theta_{k_i c}                         or theta_{k_i c} + theta_{k'_i c} where there is a second map
//     h_ic = fma(sigma, eps_{i C + c}, mean_{k_i c})   instead, where every synapse has its own noise
// and what follows the N C coefficients in the genome (evolved weights) follows the K C numbers in theta.
// Its sum of squares, for the L2 penalty, over the first n_penalised elements: 64 stripes
//     q_r = fma(h_d, h_d, q_r)                     for ascending d with d % 64 = r, from +0
//     sum = ((q_0 + q_1) + q_2) + ...              in float64
//
// Expand. Folds h into planes (hb_rule_fold), of half precision where the network says so, and draws the episode's weights; number e of the sequence `weights` is for
// element e of w[I][O] of all layers in a row:
//     uniform   w = fma(u_e, 2 s, -s)              u = (word >> 8) / 2^24
//     normal    w = s n_e
//     sparse    w = s n_e, but 0 where fewer than ceil(0.8 O) elements of row i have a smaller (word, j) in the
//               sequence HB_STREAM_WEIGHTS_MASK of the same id
//     constant  w = s;    genome  w = h at the genome's end;    static net  w = h
//
// Step (learning.md sections 1, 2). One policy step of one lane: for each layer in turn, with pre and post the layer's
// input and output of the last step, and s the layer's scale (1 at first):
//     w_ij <- fma(fma(a_ij, pre_i, c_ij), post_j, fma(s, w_ij, fma(b_ij, pre_i, d_ij)))
//                                                  not in the first step; never where static; planes that the rule
//                                                  lacks are +0
//     s    <- 1 / max_ij |w_ij|                    where normalising and updated; 1 where the max is below 2^-126
//     acc_j = fma(w_ij, x_i, acc_j)                for ascending i, from +0
//     y_j   = f(s acc_j)                           tanh or linear, after the product is rounded
// The max is that of the bit patterns of |w|, so a NaN wins. Inputs x are finite.
//
// Weights. What the lane's weights are after the update of its last step: w as above, times s where normalising.
//
// Gradient (learning.md section 4). Over K terms with numbers z_k and the noise sequences of individuals k = 0..K-1:
//     g_d = fma(z_k, eps_kd, g_d)                  for ascending k, from +0
// SGD:   mean_d <- fma(rate, g_d, mean_d)
// Adam (Kingma & Ba 2015), ascending the gradient G = scale g, with c1, c2 = 1 / (1 - beta^t) from the host:
//     m    <- fma(beta1, m, (1 - beta1) G);        v <- fma(beta2, v, ((1 - beta2) G) G)
//     mean <- fma(rate, (m c1) / (sqrt(v c2) + epsilon), mean)
// clang-format on
#ifndef HB_OPS_H
#define HB_OPS_H

#include "kernels/net.h"
#include "kernels/scalar.h"

#include <stddef.h>

// Rules that synapses share: all zero where every synapse has its own. Pointers are to the device's memory.
typedef struct {
    const uint32_t *rule;   // (N): k_i, in [0, n_rules)
    const uint32_t *second; // (N): k'_i; NULL: one map
    int64_t n_synapses;     // N
    int64_t n_numbers;      // E
    int32_t n_rules, n_coefficients;
    bool noise_per_synapse; // with one map only
} hb_sharing;

// Which number of theta is number d of the genome, by that map.
HB_HD int64_t hb_sharing_index(const hb_sharing *sharing, const uint32_t *map, int64_t d) {
    const int64_t coefficients = sharing->n_coefficients, shared = sharing->n_synapses * coefficients;
    if (d >= shared) return d - shared + sharing->n_rules * coefficients;
    return map[d / coefficients] * coefficients + d % coefficients;
}

// Number d of the genome from theta.
HB_HD float hb_sharing_value(hb_sharing sharing, const float *theta, int64_t d) {
    const float one = theta[hb_sharing_index(&sharing, sharing.rule, d)];
    if (!sharing.second || d >= sharing.n_synapses * sharing.n_coefficients) return one;
    return one + theta[hb_sharing_index(&sharing, sharing.second, d)];
}

// An individual: where the search distribution is and which noise makes it. sigma = 0 is the mean itself.
typedef struct {
    const float *mean; // (E), in the device's memory
    float sigma;
    hb_noise noise;
    hb_sharing sharing;
} hb_genome;

// A life: an individual and the random numbers of its initial weights.
typedef struct {
    hb_genome genome;
    hb_noise weights;
} hb_lane;

typedef struct {
    float rate, scale;
    float beta1, beta2, epsilon;
    float correction1, correction2; // 1 / (1 - beta^t)
} hb_adam;

#endif
