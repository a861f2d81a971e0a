// clang-format off
// The operations of a device, and exactly what each computes: equation, shapes, order of operations. docs/equations.md has the
// mathematics and its sources; kernels/device.h is how operations are called. Every device computes these bits for numbers; the
// bits of a NaN are a device's own.
//
// fma(a, b, c) is a * b + c with one rounding. All numbers are float32 unless said otherwise.
//
// Sample. An individual's genome, for d in [0, D):
//     h_d = fma(s_d, eps_d, mean_d)                eps = the normals of `noise`; s_d = sigma, or sigma spread_d if numbers have
//                                                  spreads of their own (not with shared rules); sigma < 0 is the antithetic twin
// If rules are shared, coefficient c of synapse i is, with R maps k_r and C coefficients per rule:
//     theta_e = fma(sigma, eps_e, mean_e)          for e in [0, E): K rules of C, then the other evolved numbers
//     h_ic = (theta_{k_0i c} + theta_{k_1i c}) + ..    for ascending r; with one map, theta_{k_0i c} itself; or products of these
//     h_ic <- h_ic + base_ic                       if there is a base
//     h_ic = fma(sigma, eps_{i C + c}, mean_{k_0i c})  instead, if every synapse has its own noise; then there is no base
// The other evolved numbers follow the N C coefficients in the genome, as they follow the K C numbers in theta.
// The sum of squares for the L2 penalty, over the first n_penalised elements, has 64 stripes:
//     q_r = fma(h_d, h_d, q_r)                     for ascending d with d % 64 = r, from +0
//     sum = ((q_0 + q_1) + q_2) + ...              in float64
//
// Expand. Folds h into planes (hb_fold), rounded to half precision if the network has half_planes, and draws the initial
// weights; traces e are 0. Number e of the sequence `weights` belongs to element e of w[I][O] of all layers one after the other:
//     uniform   w = fma(u_e, 2 s, -s)              u = (word >> 8) / 2^24
//     normal    w = s n_e
//     sparse    w = s n_e, but 0 if fewer than ceil(0.8 O) elements of row i have a smaller (word, j) in the sequence
//               HB_STREAM_WEIGHTS_MASK of the same id
//     constant  w = s;    genome  w = h at the genome's end;    static net  w = h
//
// Look, if the network has convolutions: bytes u to features, the first layer's x. Convolution (maps O, channels C, side K,
// stride S) of x, which is u / 255 (hb_pixel) for the first one, pools z to y:
//     z_orc = fma(w_okab, x_k(rS+a)(cS+b), z_orc)  for ascending (k, a, b), from +0
//     y_orc = tanh(larger(larger(z_o(2r)(2c), z_o(2r+1)(2c)), larger(z_o(2r)(2c+1), z_o(2r+1)(2c+1))))
// w is the end of the genome, or, if convolutions are not evolved, element e is fma(u_e, 2 s, -s), s = 1 / sqrt(C K K), of the
// sequence HB_STREAM_VISION of the life's seed.
//
// Step. One policy step of one lane: for each layer in turn, with pre and post the layer's input and output of the last step,
// s the layer's scale (1 at first), and k_j = s (1 - decay), or with Oja's term s fma(-(oja post_j), post_j, 1 - decay):
//     w_ij <- fma(fma(a_ij, pre_i, c_ij), post_j, fma(k_j, w_ij, fma(b_ij, pre_i, d_ij)))
//                                                  not in the first step; never if static; planes that a synapse lacks are +0
// If it is the update of every K-th step: before steps 2, 2 + K, 2 + 2 K, .. alone. If it averages: pre and post are means over the last
// n = min(M, steps so far) steps, ((v_t + v_(t-1)) + ..) / n, newest first. If the net is gated (traces, modulator, Oja's term):
//     g_ij = fma(fma(a_ij, pre_i, c_ij), post_j, fma(b_ij, pre_i, d_ij))
//     e_ij <- fma(trace, e_ij, g_ij);  g_ij = e_ij  if there are traces
//     w_ij <- fma(k_j, w_ij, fma(m, g_ij, r_ij))   m: the reward given with this step, or the last layer's last output of the step
//                                                  before, or 1; r the plane of birth
// post is squared in both forms (not in k_j) if the rule says so. x of the first layer ends with the reward if it is seen, then with 1 if
// there are biases; x of the others ends with 1.
//     s    <- 1 / max_ij |w_ij|                    if normalising and updated; 1 if the maximum is below 2^-126
//     acc_j = fma(w_ij, x_i, acc_j)                for ascending i, from +0
//     y_j   = f(s acc_j)                           tanh or linear, after the product is rounded
// LSTM cell, if the first layer is one: x = (1, 1, input, h of the last step), z = acc of its 4 H columns, then for unit j, with
// c, h = 0 at first and logistic and tanh of scalar.h
//     c'_j = fma(logistic(z_(H+j)), c_j, logistic(z_j) tanh(z_(2H+j)));  h'_j = logistic(z_(3H+j)) tanh(c'_j)
// and h' is the next layer's x. The maximum is that of the bit patterns of |w|, so a NaN wins. Inputs x are finite.
//
// Weights. A lane's weights after the update of its last step: w as above, times s if normalising. Where reward modulates, that update is
// still to come: then those of the last step.
//
// Put, for analyses that change a life under way. Weights: w becomes the given values, s = 1, and the next step starts without
// an update, as if w were the result of "Weights"; an LSTM cell keeps its c and h. Output: y of the last layer in the last step
// becomes the given values (those of actions); the next update uses them as post. Steps for averages and every K-th update count from 0 again
// after weights were put. Where reward modulates, putting what "Weights" gave drops the update that was still to come.
//
// Gradient. Over K terms with numbers z_k and the noise of individuals k = 0..K-1:
//     g_d = fma(z_k, eps_kd, g_d)                  for ascending k, from +0; or eps_kd eps_kd, rounded, in its place
// SGD:   mean_d <- fma(rate, g_d, mean_d)
// Adam (Kingma & Ba 2015), ascending the gradient G = scale g, with c1, c2 = 1 / (1 - beta^t) from the host:
//     m    <- fma(beta1, m, (1 - beta1) G);        v <- fma(beta2, v, ((1 - beta2) G) G)
//     mean <- fma(rate, (m c1) / (sqrt(v c2) + epsilon), mean)
//
// Mixture (kernels/mixture.h has the scalar steps). Choose, for synapse i and individual s:
//     q_k = trunc(2^30 exp(lambda_ik - max_j lambda_ij)),  Q = sum_k q_k,  t = floor(word_s Q / 2^32)
//     k_si = the smallest k with q_0 + .. + q_k > t    all integers; word_s = number s of `noise` with individual i
// and the entropy, for reports:  ln S - sum_k e_k (lambda_ik - max) / S,  S = sum e_k,  in 16 stripes k % 16
// Mixture gradient. For synapse i and individual s, with x_c = fma(sigma, eps_c, mu_{k_si c}), eps of the genome's noise:
//     d_k = fma(x_c - mu_kc, x_c - mu_kc, d_k)         for ascending c, from +0
//     e_k = fma(-1 / (2 sigma^2), d_k, lambda_ik)      as a float: -(0.5 / (sigma sigma))
//     w_k = exp(e_k - max_j e_j), but 0 if e_k - max e < -(17.33 + ln M): together these are below 2^-25
//     r_k = w_k (1 / (2^-40 sum_k trunc(2^40 w_k)))    exactly 1 if only one counts
//     G_ik = fma(z_s, r_k, G_ik) + 0                   for ascending s, from +0: a zero is +0
//     A_kc += trunc(((z_s r_k) (x_c - mu_kc)) 2^F)     64-bit integers, in any order
// then G_ik <- fma(-sum z, pi_ik, G_ik) if the z do not sum to 0, pi = (float)q (1 / (float)Q);  / max(pi, 1e-3) if natural;
// lambda_ik <- fma(rate, G_ik, lambda_ik) if G is not 0;  g_kc = (float)A_kc (1 / (2^F sigma^2)).
// clang-format on
#ifndef HB_OPS_H
#define HB_OPS_H

#include "kernels/mixture.h"
#include "kernels/net.h"
#include "kernels/scalar.h"

#include <stddef.h>

// Rules that synapses share. All zero if every synapse has its own rule.
typedef struct {
    hb_memory rule;     // (R, N) integers: k_ri, in [0, n_rules)
    hb_memory base;     // (N, C), or none: a part of every synapse's own, without noise
    int64_t n_synapses; // N
    int64_t n_numbers;  // E
    int32_t n_maps;     // R
    int32_t n_rules, n_coefficients;
    bool noise_per_synapse; // with one map only
    bool product;           // maps give factors, not summands
} hb_sharing;

// True if synapses share rules.
HB_HD bool hb_is_shared(const hb_sharing *sharing) {
    return sharing->rule.address != NULL;
}

// True if the noise is that of theta, from which the genome is gathered.
HB_HD bool hb_has_theta(const hb_sharing *sharing) {
    return hb_is_shared(sharing) && !sharing->noise_per_synapse;
}

// The index in theta of number d of the genome, by map r.
HB_HD int64_t hb_sharing_index(const hb_sharing *sharing, int32_t r, int64_t d) {
    const int64_t coefficients = sharing->n_coefficients, shared = sharing->n_synapses * coefficients;
    if (d >= shared) return d - shared + sharing->n_rules * coefficients;
    return hb_integers(sharing->rule)[r * sharing->n_synapses + d / coefficients] * coefficients + d % coefficients;
}

// Number d of the genome, from theta.
HB_HD float hb_sharing_value(hb_sharing sharing, const float *theta, int64_t d) {
    float value = theta[hb_sharing_index(&sharing, 0, d)];
    if (d >= sharing.n_synapses * sharing.n_coefficients) return value;
    for (int32_t r = 1; r < sharing.n_maps; r++) {
        const float part = theta[hb_sharing_index(&sharing, r, d)];
        value = sharing.product ? value * part : value + part;
    }
    return sharing.base.address ? value + hb_floats(sharing.base)[d] : value;
}

// Weights of one map of a convolution.
HB_HD int32_t hb_vision_fan_in(hb_convolution c) {
    return c.channels * c.kernel * c.kernel;
}

// Weight e of a convolution that is not evolved.
HB_HD float hb_vision_draw(int32_t fan_in, hb_noise id, int64_t e) {
    const float s = 1.0f / hb_sqrt((float)fan_in);
    return hb_uniform_within(hb_uniform(hb_noise_word(id, (uint64_t)e)), s);
}

// One step of LSTM unit j from the gates z[4H]: *c becomes c'; returns h'.
HB_HD float hb_lstm_unit(const float *z, int32_t units, int32_t j, float *c) {
    *c = hb_fma(hb_logistic(z[units + j]), *c, hb_logistic(z[j]) * hb_tanh(z[2 * units + j]));
    return hb_logistic(z[3 * units + j]) * hb_tanh(*c);
}

// An individual: the mean of the search, and the noise that is added to it. sigma = 0 is the mean itself.
typedef struct {
    hb_memory mean;   // (E)
    hb_memory spread; // (E), or none: factors of sigma
    float sigma;
    hb_noise noise;
    hb_sharing sharing;
} hb_genome;

// A birth: an individual, and the random numbers of its initial weights.
typedef struct {
    hb_genome genome;
    hb_noise weights;
} hb_birth;

typedef struct {
    float rate, scale;
    float beta1, beta2, epsilon;
    float correction1, correction2; // 1 / (1 - beta^t)
} hb_adam;

#endif
