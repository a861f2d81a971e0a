// The normal search distribution N(mean, sigma^2 I) (docs/equations.md, "Search"): the estimator on the genome itself.
#include "host/search/estimator.h"

static hb_status normal_create(hb_search *search, hb_error *error) {
    const hb_status status = hb_estimator_create(search, (size_t)search->net->genome_size, error);
    return status == HB_OK ? hb_estimator_start_genome(search, error) : status;
}

static void normal_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    *genome = (hb_genome){.mean = search->array[HB_MEAN].data};
    hb_estimator_sample(search, (hb_step_size){search->sigma, search->lr}, s < 0 ? 0 : s, genome);
}

static hb_status normal_update(hb_search *search, const double *fitness, hb_error *error) {
    return hb_estimator_step(search, (hb_step_size){search->sigma, search->lr}, fitness, search->array[HB_MEAN].n,
                             error);
}

const hb_search_method hb_search_normal = {.name = "normal",
                                           .summary = "N(mean, sigma^2 I), antithetic, shaped by ranks",
                                           .create = normal_create,
                                           .genome = normal_genome,
                                           .update = normal_update};
