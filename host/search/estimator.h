// The papers' gradient estimator (docs/equations.md, "Search") for a search whose numbers are its first array, "mean":
//     mean <- mean + lr / (n sigma) sum_s z_s eps_s
// by SGD or Adam. Antithetic pairs (2p, 2p+1) share eps_p with opposite signs, so the sum runs over pairs with
// z_2p - z_2p+1.
#ifndef HB_ESTIMATOR_H
#define HB_ESTIMATOR_H

#include "host/search/search.h"

// The estimator's arrays are the first of the state. A search's own arrays follow, from number hb_estimator_arrays on.
enum { HB_MEAN, HB_ADAM_M, HB_ADAM_V };

// How many arrays the estimator has: 1 with SGD, 3 with Adam.
int32_t hb_estimator_arrays(const hb_search *search);

// Adds them, n numbers each.
hb_status hb_estimator_create(hb_search *search, size_t n, hb_error *error);

// Draws the start of the mean: the first n_coefficients numbers as search.start says, the rest from N(0, 1).
// fan_in(net, d) is the bound of number d where search.start is fan_in.
hb_status hb_estimator_start(hb_search *search, size_t n_coefficients, float (*fan_in)(const hb_net *net, int64_t d),
                             hb_error *error);

// The same for a search of the genome itself: coefficients (or weights) as search.start says; other evolved initial weights, and convolutions, from N(0, 1),
// but as the weights of a static network where search.start is fan_in.
hb_status hb_estimator_start_genome(hb_search *search, hb_error *error);

// Standard deviation and learning rate of the numbers: the search's sigma and lr, or a method's own instead.
typedef struct {
    double sigma, lr;
} hb_step_size;

// Sets sigma and noise of individual s: +-sigma eps, eps shared by an antithetic pair or the individual's own.
void hb_estimator_sample(const hb_search *search, hb_step_size size, int64_t s, hb_genome *genome);

// One step from the fitness of all individuals, on the first n numbers of the mean, whose noise is eps[0..n).
hb_status hb_estimator_step(hb_search *search, hb_step_size size, const double *fitness, size_t n, hb_error *error);

// The same where the noise has n_noise numbers and the mean n: fold(context, gradient, mean_gradient) adds the gradient by the
// noise to the gradient by the mean, both in host memory.
hb_status hb_estimator_step_folded(hb_search *search, hb_step_size size, const double *fitness, size_t n_noise,
                                   size_t n,
                                   void (*fold)(const void *context, const float *gradient, float *mean_gradient),
                                   const void *context, hb_error *error);

// sum_s z_s eps_sd of individuals s, or sum_s z_s eps_sd^2, over the noise of the generation: z (population) to out (n), host memory.
hb_status hb_estimator_sums(hb_search *search, const float *z, bool squares, size_t n, float *out, hb_error *error);

// base^n by repeated squaring, a fixed order of products.
double hb_estimator_power(double base, int64_t n);

// Parts of a step: Adam's parameters for a gradient that is multiplied by `scale`, and the optimiser's step of the whole mean
// along `scale` times a gradient in host memory.
hb_adam hb_estimator_adam(const hb_search *search, double rate, double scale);
hb_status hb_estimator_move(hb_search *search, const float *gradient, double scale, hb_error *error);

#endif
