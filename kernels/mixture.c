#include "kernels/mixture.h"

#include <math.h>
#include <stdlib.h>

float hb_mixture_cut(int32_t n_rules) {
    return 17.33f + hb_log((float)n_rules);
}

float hb_mixture_list_radius2(const hb_mixture *mixture, const hb_mixture_step *step) {
    if (step->dense || step->hard || mixture->n_rules < HB_MIXTURE_FEWEST) return 0.0f;
    const float variance = mixture->sigma * mixture->sigma;
    return hb_mixture_radius2(25.0f * variance, 2.0f * variance, hb_mixture_cut(mixture->n_rules), 6.0f);
}

float hb_mixture_sums_scale(const float *z, int32_t n) {
    float largest = 0.0f;
    for (int32_t s = 0; s < n; s++) {
        const float magnitude = hb_from_bits(hb_bits(z[s]) & 0x7fffffffu);
        largest = magnitude > largest ? magnitude : largest;
    }
    // The power of two at or above the largest, as its exponent: exact.
    int exponent = 0;
    if (largest > 0.0f) frexpf(largest, &exponent);
    const int bits = HB_MIXTURE_BITS - exponent;
    return ldexpf(1.0f, bits < HB_MIXTURE_MOST_BITS ? bits : HB_MIXTURE_MOST_BITS);
}

static hb_status check_sums(const hb_mixture *mixture, int32_t n_individuals, float largest, hb_error *error) {
    const double terms = (double)mixture->n_synapses * n_individuals;
    if (largest < HB_MIXTURE_LARGEST && (double)largest * terms < 0x1p63) return HB_OK;
    return hb_fail(error, HB_FAILED,
                   "the mixture's gradient overflows its 64-bit sums: a rule is %g away from a sample that it "
                   "explains; lower search.lr or search.population",
                   (double)(largest / ldexpf(1.0f, HB_MIXTURE_BITS)));
}

hb_status hb_mixture_finish(const hb_mixture *mixture, const hb_mixture_step *step, const hb_mixture_sums *sums,
                            hb_mixture_counts *counts, float *g, hb_error *error) {
    const size_t c_all = (size_t)mixture->n_coefficients, n = (size_t)mixture->n_rules * c_all;
    uint32_t largest = sums->largest;
    int64_t *all = malloc(n * sizeof *all); // devices have strides of their own
    if (!all) return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    for (size_t e = 0; e < n; e++) all[e] = sums->sum[e / c_all * sums->stride + e % c_all];
    hb_status status = HB_OK;
    if (step->share && !step->share(step->share_context, all, n, counts, &largest))
        status = hb_fail(error, HB_FAILED, "the mixture's sums cannot be shared");
    if (status == HB_OK) status = check_sums(mixture, step->n_individuals, hb_from_bits(largest), error);
    const float scale = 1.0f / (sums->scale * (mixture->sigma * mixture->sigma));
    for (size_t e = 0; e < n && status == HB_OK; e++) g[e] = (float)all[e] * scale;
    free(all);
    return status;
}
