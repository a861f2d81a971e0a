// The normal search distribution N(mean, sigma^2 I) (docs/equations.md, "Search"): the estimator on the genome itself.
#include "host/search/estimator.h"

#include <math.h>

// The bound 1/sqrt(I), I being the fan-in of the weight or synapse that element d belongs to.
static float fan_in_bound(const hb_net *net, int64_t d) {
    const int64_t look = d - hb_net_vision_offset(net);
    if (net->vision.evolved && look >= 0)
        return 1.0f / sqrtf((float)hb_vision_fan_in(net->vision.layer[look >= net->vision.layer[1].offset]));
    int32_t l = net->n_layers - 1;
    while (l > 0 && d < net->layer[l].genome_offset) l--;
    return 1.0f / sqrtf((float)net->layer[l].inputs);
}

static hb_status normal_create(hb_search *search, hb_error *error) {
    const hb_status status = hb_estimator_create(search, (size_t)search->net->genome_size, error);
    if (status != HB_OK) return status;
    // Evolved convolutions start from N(0, 1), as evolved initial weights do; in a static network with start fan_in they
    // start like the other weights.
    const bool all = !search->net->rule && search->settings->start == HB_START_FAN_IN;
    const int64_t n = all ? search->net->genome_size : search->net->n_penalised;
    return hb_estimator_start(search, (size_t)n, fan_in_bound, error);
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
