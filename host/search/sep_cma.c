// The search `sep_cma`: CMA-ES with a diagonal covariance C = diag(spread^2) (Ros & Hansen 2008; constants of Hansen's tutorial 2016). With weights
// w by rank k = 1 (best) to P, w_k = max(0, ln((P + 1)/2) - ln k) / sum, and y = spread eps:
//     mean   <- mean + sigma <y>                                              <..>: the weighted sum over individuals
//     p_s    <- (1 - c_s) p_s + sqrt(c_s (2 - c_s) m) <eps>
//     h       = |p_s| / sqrt(1 - (1 - c_s)^(2 g)) < (1.4 + 2/(n + 1)) chi      g: generations, this one included, and one more
//     p_c    <- (1 - c_c) p_c + h sqrt(c_c (2 - c_c) m) <y>
//     C      <- (1 - c_1 - c_m + (1 - h) c_1 c_c (2 - c_c)) C + c_1 p_c^2 + c_m <y^2>
//     sigma  <- sigma exp((c_s/d_s)(|p_s|/chi - 1))
// m makes a path's steps as long as n normals where the fitness says nothing: n / m is what |<eps>|^2 is expected to be then, 1/m = <w>, and for
// antithetic pairs, whose noise is opposite, <w> - (1 - <w>)/(P - 1). Where all are equally fit nothing moves.
#include "host/search/diagonal.h"
#include "host/search/shaping.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    bool sep_cma_fast;
} sep_cma_settings;

#define FIELDS sep_cma_settings
static const hb_key sep_cma_keys[] = {
    HB_KEY(FIELDS, sep_cma_fast, BOOL, "true", 0, 0,
           "sep_cma: learn the deviations (n + 2) / 3 times as fast as CMA-ES its matrix, n the numbers"),
    {.name = NULL}};

typedef struct {
    double m; // of the paths
    double c_s, d_s, c_c, c_1, c_m, chi;
} constants;

static double larger(double a, double b) {
    return a > b ? a : b;
}

// mu is the effective number of parents, 1 / sum w^2 by rank; m the header's.
static constants constants_of(double n, double mu, double m, bool fast) {
    constants c = {.m = m};
    const double n2 = (n + 2) * (n + 2);
    c.c_s = (mu + 2) / (n + mu + 5);
    c.d_s = 1 + 2 * larger(0, sqrt((mu - 1) / (n + 1)) - 1) + c.c_s;
    c.c_c = (4 + mu / n) / (n + 4 + 2 * mu / n);
    c.c_1 = 2 / ((n + 1.3) * (n + 1.3) + mu);
    c.c_m = 2 * (mu + 1 / mu - 2) / (n2 + mu);
    if (fast) c.c_1 *= (n + 2) / 3, c.c_m *= (n + 2) / 3;
    if (c.c_1 > 0.5) c.c_1 = 0.5; // so that both together forget at most all
    if (c.c_m > 1 - c.c_1 - 1e-8) c.c_m = 1 - c.c_1 - 1e-8;
    c.chi = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    return c;
}

// What weights say of a population.
typedef struct {
    double by_rank, own; // sum w^2, of the ranks and of these individuals, equals of whom share the mean
    bool flat;           // all are equally fit
} weighed;

// w (population) of each individual.
static hb_status weigh(const hb_search *search, const double *fitness, float *w, weighed *out, hb_error *error) {
    const int32_t population = (int32_t)search->settings->population;
    double *by_rank = calloc((size_t)population, sizeof *by_rank), sum = 0;
    if (!by_rank) return hb_fail(error, HB_FAILED, "out of memory weighing %d individuals", population);
    *out = (weighed){.flat = true};
    const double most = (double)hb_log(((float)population + 1.0f) / 2.0f);
    for (int32_t k = 0; k < population / 2; k++) {
        const double u = most - (double)hb_log((float)(k + 1));
        by_rank[k] = u > 0 ? u : 0;
        sum += by_rank[k];
    }
    for (int32_t k = 0; k < population; k++) {
        by_rank[k] /= sum;
        out->by_rank += by_rank[k] * by_rank[k];
    }
    const hb_status status = hb_weigh_by_rank(fitness, population, by_rank, w, error);
    for (int32_t s = 0; s < population && status == HB_OK; s++) {
        out->own += (double)w[s] * (double)w[s];
        out->flat = out->flat && fitness[s] == fitness[0];
    }
    free(by_rank);
    return status;
}

// Both paths, in host memory.
typedef struct {
    float *sigma, *covariance;
} paths;

static hb_search_array *path_array(hb_search *search, int32_t which) {
    return &search->array[hb_diagonal_arrays(search) + which];
}

// Moves sigma's path and returns its length.
static double move_sigma_path(const constants *c, const hb_diagonal *d, float *path) {
    const double gain = sqrt(c->c_s * (2 - c->c_s) * c->m);
    double squares = 0;
    for (size_t k = 0; k < d->n; k++) {
        path[k] = (float)((1 - c->c_s) * (double)path[k] + gain * (double)d->first[k]);
        squares += (double)path[k] * (double)path[k];
    }
    return sqrt(squares);
}

static void move_all(hb_search *search, const constants *c, hb_diagonal *d, const paths *p) {
    const double length = move_sigma_path(c, d, p->sigma);
    const double forgotten = 1 - hb_estimator_power(1 - c->c_s, 2 * (search->generation - search->begun + 2));
    const double h = length / sqrt(forgotten) < (1.4 + 2 / ((double)d->n + 1)) * c->chi;
    const double gain = h * sqrt(c->c_c * (2 - c->c_c) * c->m);
    const double kept = 1 - c->c_1 - c->c_m + (1 - h) * c->c_1 * c->c_c * (2 - c->c_c);
    for (size_t k = 0; k < d->n; k++) {
        const double spread = (double)d->spread[k], variance = spread * spread, y = spread * (double)d->first[k];
        d->mean[k] = (float)((double)d->mean[k] + search->sigma * y);
        p->covariance[k] = (float)((1 - c->c_c) * (double)p->covariance[k] + gain * y);
        const double path = (double)p->covariance[k];
        d->spread[k] = (float)sqrt(kept * variance + c->c_1 * path * path + c->c_m * variance * (double)d->second[k]);
    }
    search->sigma *= (double)hb_exp((float)(c->c_s / c->d_s * (length / c->chi - 1)));
}

// The update, w and *p being room for weights and paths.
static hb_status update_in(hb_search *search, const double *fitness, float *w, const paths *p, hb_error *error) {
    const sep_cma_settings *own = search->settings->own;
    hb_device *device = search->machine->device;
    const size_t n = search->array[HB_MEAN].n;
    hb_diagonal d;
    weighed found;
    hb_status status = weigh(search, fitness, w, &found, error);
    if (status != HB_OK || found.flat) return status;
    status = hb_device_download(device, p->sigma, path_array(search, 0)->data, n, error);
    if (status == HB_OK) status = hb_device_download(device, p->covariance, path_array(search, 1)->data, n, error);
    if (status == HB_OK) status = hb_diagonal_begin(search, w, &d, error);
    if (status != HB_OK) return status;
    const double pairs =
        search->settings->antithetic ? (1 - found.own) / ((double)search->settings->population - 1) : 0;
    const constants c = constants_of((double)n, 1 / found.by_rank, 1 / (found.own - pairs), own->sep_cma_fast);
    move_all(search, &c, &d, p);
    status = hb_diagonal_end(search, &d, true, error);
    if (status == HB_OK) status = hb_device_upload(device, path_array(search, 0)->data, p->sigma, n, error);
    if (status == HB_OK) status = hb_device_upload(device, path_array(search, 1)->data, p->covariance, n, error);
    return status;
}

static hb_status sep_cma_update(hb_search *search, const double *fitness, hb_error *error) {
    const size_t n = search->array[HB_MEAN].n;
    const paths p = {malloc(n * sizeof(float)), malloc(n * sizeof(float))};
    float *w = malloc((size_t)search->settings->population * sizeof *w);
    const hb_status status = w && p.sigma && p.covariance
                                 ? update_in(search, fitness, w, &p, error)
                                 : hb_fail(error, HB_FAILED, "out of memory for an update of %zu numbers", n);
    free(w);
    free(p.sigma);
    free(p.covariance);
    return status;
}

static hb_status sep_cma_create(hb_search *search, hb_error *error) {
    const size_t n = (size_t)search->net->genome_size;
    hb_status status = hb_diagonal_create(search, error);
    if (status == HB_OK) status = hb_search_add_array(search, "path_sigma", n, error);
    if (status == HB_OK) status = hb_search_add_array(search, "path_covariance", n, error);
    for (int32_t k = hb_diagonal_arrays(search); k < search->n_arrays; k++) search->array[k].role = HB_ARRAY_ANEW;
    return status;
}

static bool sep_cma_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault) {
    (void)subject;
    return hb_diagonal_fits_own_step(settings, fault);
}

const hb_search_method hb_search_sep_cma = {.name = "sep_cma",
                                            .summary = "CMA-ES with a diagonal covariance",
                                            .keys = sep_cma_keys,
                                            .settings_size = sizeof(sep_cma_settings),
                                            .fits = sep_cma_fits,
                                            .adapts = true,
                                            .own_steps = true,
                                            .rates = "search.start_scale",
                                            .create = sep_cma_create,
                                            .genome = hb_diagonal_genome,
                                            .update = sep_cma_update,
                                            .exchanged = hb_diagonal_exchanged,
                                            .memory = hb_diagonal_memory};
