// The papers' estimator (learning.md section 4) for a search whose numbers are its first array, "mean":
//     mean <- mean + lr / (n sigma) sum_s z_s eps_s
// by SGD or Adam. Antithetic pairs (2p, 2p+1) share eps_p with opposite signs, so the sum runs over pairs with
// z_2p - z_2p+1.
#ifndef HB_ESTIMATOR_H
#define HB_ESTIMATOR_H

#include "host/search/search.h"

// The arrays of the state. What a search adds itself comes after them: at hb_estimator_arrays.
enum { HB_MEAN, HB_ADAM_M, HB_ADAM_V };

// How many arrays the estimator has: 1 with SGD, 3 with Adam.
int32_t hb_estimator_arrays(const hb_search *search);

// Adds them, n numbers each.
hb_status hb_estimator_create(hb_search *search, size_t n, hb_error *error);

// Draws the start of the mean: n_coefficients rule numbers by search.start, what follows from N(0, 1).
// fan_in(net, d) is the bound of number d where search.start is fan_in.
hb_status hb_estimator_start(hb_search *search, size_t n_coefficients, float (*fan_in)(const hb_net *net, int64_t d),
                             hb_error *error);

// How far the numbers vary and move in a generation: the search's sigma and lr, or what stands for them.
typedef struct {
    double sigma, lr;
} hb_pace;

// sigma and noise of individual s: +-sigma eps of a pair, or eps of its own.
void hb_estimator_sample(const hb_search *search, hb_pace pace, int64_t s, hb_genome *genome);

// One step from the fitness of all individuals, on the first n numbers of the mean, whose noise is eps[0..n).
hb_status hb_estimator_step(hb_search *search, hb_pace pace, const double *fitness, size_t n, hb_error *error);

// The same where n_noise numbers of noise make the n of the mean: fold(context, gradient, mean_gradient) sums the
// gradient by the noise into the one by the mean, both in host memory.
hb_status hb_estimator_step_folded(hb_search *search, hb_pace pace, const double *fitness, size_t n_noise, size_t n,
                                   void (*fold)(const void *context, const float *gradient, float *mean_gradient),
                                   const void *context, hb_error *error);

// The parts of a step: Adam's parameters for a gradient to be scaled, and the optimiser's step of the whole mean by
// `scale` times a gradient in host memory.
hb_adam hb_estimator_adam(const hb_search *search, double rate, double scale);
hb_status hb_estimator_move(hb_search *search, const float *gradient, double scale, hb_error *error);

#endif
