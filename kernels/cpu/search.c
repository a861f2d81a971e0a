// The search's operations on the CPU, compiled once per instruction set (ops.h, "Sample", "Gradient", "SGD", "Adam"). The loops
// over blocks of 64 elements are written for the vectoriser.
#include "kernels/cpu/build.h"
#include "kernels/cpu/noise.h"
#include "kernels/update.h"

#include <string.h>

// Numbers [begin, end) of theta, which is h where no rule is shared.
static void sample_numbers(const hb_genome *genome, float *h, size_t begin, size_t end) {
    const float *mean = hb_floats(genome->mean), *spread = hb_floats(genome->spread);
    for (size_t d = begin; d < end; d += HB_NOISE_BLOCK) {
        const size_t n = end - d < HB_NOISE_BLOCK ? end - d : HB_NOISE_BLOCK;
        float noise[HB_NOISE_BLOCK];
        hb_normals_block(genome->noise, (uint32_t)(d / HB_NOISE_BLOCK), noise);
        if (spread)
            for (size_t r = 0; r < n; r++) h[d + r] = hb_fma(genome->sigma * spread[d + r], noise[r], mean[d + r]);
        else
            for (size_t r = 0; r < n; r++) h[d + r] = hb_fma(genome->sigma, noise[r], mean[d + r]);
    }
}

// The same where every synapse has its own noise around its rule.
static void sample_around_rules(const hb_genome *genome, float *h, size_t begin, size_t end) {
    for (size_t d = begin; d < end; d += HB_NOISE_BLOCK) {
        const size_t n = end - d < HB_NOISE_BLOCK ? end - d : HB_NOISE_BLOCK;
        float noise[HB_NOISE_BLOCK];
        hb_normals_block(genome->noise, (uint32_t)(d / HB_NOISE_BLOCK), noise);
        for (size_t r = 0; r < n; r++) {
            const int64_t at = hb_sharing_index(&genome->sharing, 0, (int64_t)(d + r));
            h[d + r] = hb_fma(genome->sigma, noise[r], hb_floats(genome->mean)[at]);
        }
    }
}

// Every synapse's coefficients from theta, row by row of C.
static void spread_rules(const hb_sharing *sharing, const float *theta, float *h, size_t begin, size_t end) {
    const size_t coefficients = (size_t)sharing->n_coefficients, synapses = (size_t)sharing->n_synapses;
    const size_t shared = synapses * coefficients, stop = end < shared ? end : shared;
    size_t d = begin;
    while (d < stop) {
        const size_t i = d / coefficients, next = (i + 1) * coefficients < stop ? (i + 1) * coefficients : stop;
        for (int32_t r = 0; r < sharing->n_maps; r++) {
            const float *part = theta + hb_integers(sharing->rule)[(size_t)r * synapses + i] * coefficients;
            for (size_t e = d; e < next; e++) {
                const float number = part[e - i * coefficients];
                h[e] = r == 0 ? number : sharing->product ? h[e] * number : h[e] + number;
            }
        }
        for (size_t e = d; sharing->base.address && e < next; e++) h[e] += hb_floats(sharing->base)[e];
        d = next;
    }
    for (; d < end; d++) h[d] = theta[hb_sharing_index(sharing, 0, (int64_t)d)];
}

static void sample_genome(const hb_genome *genome, float *h, float *theta, size_t begin, size_t end) {
    const hb_sharing *sharing = &genome->sharing;
    if (!hb_is_shared(sharing)) {
        sample_numbers(genome, h, begin, end);
    } else if (sharing->noise_per_synapse) {
        sample_around_rules(genome, h, begin, end);
    } else {
        sample_numbers(genome, theta, 0, (size_t)sharing->n_numbers);
        spread_rules(sharing, theta, h, begin, end);
    }
}

static inline __attribute__((always_inline)) void
gradient_of(float *g, const float *z, int32_t n_terms, hb_noise noise, const bool squares, size_t begin, size_t end) {
    for (size_t d = begin; d < end; d += HB_NOISE_BLOCK) {
        float sum[HB_NOISE_BLOCK] = {0};
        for (int32_t k = 0; k < n_terms; k++) {
            float normal[HB_NOISE_BLOCK];
            noise.individual = (uint32_t)k;
            hb_normals_block(noise, (uint32_t)(d / HB_NOISE_BLOCK), normal);
            for (int r = 0; r < HB_NOISE_BLOCK; r++)
                sum[r] = hb_fma(z[k], squares ? normal[r] * normal[r] : normal[r], sum[r]);
        }
        const size_t n = end - d < HB_NOISE_BLOCK ? end - d : HB_NOISE_BLOCK;
        memcpy(g + d, sum, n * sizeof *g);
    }
}

static void gradient(float *g, const float *z, int32_t n_terms, hb_noise noise, bool squares, size_t begin,
                     size_t end) {
    if (squares)
        gradient_of(g, z, n_terms, noise, true, begin, end);
    else
        gradient_of(g, z, n_terms, noise, false, begin, end);
}

static void sgd(float *restrict mean, const float *restrict g, float rate, size_t begin, size_t end) {
    for (size_t d = begin; d < end; d++) mean[d] = hb_fma(rate, g[d], mean[d]);
}

static void adam(float *restrict mean, float *restrict m, float *restrict v, const float *restrict g, hb_adam p,
                 size_t begin, size_t end) {
    for (size_t d = begin; d < end; d++) mean[d] = hb_adam_step(&p, mean[d], &m[d], &v[d], g[d]);
}

const hb_cpu_search HB_OF_BUILD(hb_cpu_search) = {
    .sample = sample_genome, .gradient = gradient, .sgd = sgd, .adam = adam};
