#include "host/search/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const hb_search_method *const hb_searches[] = {&hb_search_normal, &hb_search_shared, &hb_search_gmm, NULL};

hb_status hb_search_create(hb_search *search, hb_machine *machine, const hb_settings *settings, const hb_net *net,
                           hb_error *error) {
    *search = (hb_search){
        .machine = machine, .settings = settings, .net = net, .lr = settings->lr, .sigma = settings->sigma};
    for (int k = 0; hb_searches[k]; k++)
        if (strcmp(hb_searches[k]->name, settings->search) == 0) search->method = hb_searches[k];
    if (!search->method)
        return hb_fail(error, HB_BAD_INPUT, "search.kind: no search is called '%s'", settings->search);
    const hb_status status = search->method->create(search, error);
    if (status != HB_OK) hb_search_destroy(search);
    return status;
}

static void release(const hb_machine *machine, const hb_search_array *array) {
    if (array->mapped)
        machine->table->unmap(machine->device, array->data, array->n);
    else
        machine->table->free(machine->device, array->data);
}

void hb_search_destroy(hb_search *search) {
    if (search->method && search->method->destroy) search->method->destroy(search);
    search->own = NULL;
    for (int32_t k = 0; k < search->n_arrays; k++) release(search->machine, &search->array[k]);
    search->n_arrays = 0;
}

hb_status hb_search_add_array(hb_search *search, const char *name, size_t n, float **data, hb_error *error) {
    const hb_machine *machine = search->machine;
    const char *scratch = search->settings->scratch;
    hb_error why = {""};
    hb_status status;
    if (*scratch && !machine->table->map)
        return hb_fail(error, HB_BAD_INPUT, "run.scratch: device '%s' keeps nothing in files", machine->table->name);
    if (*scratch)
        status = machine->table->map(machine->device, scratch, n, data, &why);
    else
        status = machine->table->alloc(machine->device, n, data, &why);
    if (status != HB_OK)
        return hb_fail(error, status, "%s%s", why.message,
                       *scratch || !machine->table->map ? ""
                                                        : "; run.scratch=FOLDER keeps the search in files there");
    search->array[search->n_arrays++] =
        (hb_search_array){.name = name, .data = *data, .n = n, .mapped = *scratch != '\0'};
    return HB_OK;
}

hb_status hb_search_add_integers(hb_search *search, const char *name, size_t n, uint32_t below, hb_error *error) {
    float *data;
    const hb_status status = hb_search_add_array(search, name, n, &data, error);
    if (status == HB_OK) search->array[search->n_arrays - 1].below = below;
    return status;
}

hb_status hb_search_tell(hb_search *search, const double *fitness, hb_error *error) {
    const hb_status status = search->method->update(search, fitness, error);
    if (status != HB_OK) return status;
    if (search->lr > search->settings->lr_floor) search->lr *= search->settings->lr_decay;
    if (search->sigma > search->settings->sigma_floor) search->sigma *= search->settings->sigma_decay;
    search->generation++;
    return HB_OK;
}

void hb_search_add_number(hb_search *search, const char *name) {
    snprintf(search->number[search->n_numbers++].name, sizeof search->number->name, "%s", name);
}

hb_status hb_search_prepare(hb_search *search, int64_t n, uint32_t episode, hb_error *error) {
    return search->method->prepare ? search->method->prepare(search, n, episode, error) : HB_OK;
}

int64_t hb_search_rules(const hb_search *search) {
    const hb_settings *s = search->settings;
    if (s->rules > 0) return s->rules;
    const bool code = strcmp(s->m_formula, "code") == 0;
    const int64_t n = code ? search->net->n_penalised : search->net->n_weights;
    const int64_t m = (int64_t)((double)n / s->rho);
    return m < 1 ? 1 : m;
}

hb_noise hb_search_noise(const hb_search *search, uint32_t stream, int64_t individual, uint32_t episode) {
    return (hb_noise){.seed = (uint32_t)search->settings->seed,
                      .stream = stream,
                      .generation = (uint32_t)search->generation,
                      .individual = (uint32_t)individual,
                      .episode = episode};
}

void hb_search_mean_genome(const hb_search *search, hb_genome *genome) {
    search->method->genome(search, -1, genome);
    genome->sigma = 0.0f;
}

void hb_search_eval_genome(const hb_search *search, int64_t r, hb_genome *genome) {
    search->method->genome(search, r, genome);
    genome->sigma = fabsf(genome->sigma);
    genome->noise = hb_search_noise(search, HB_STREAM_SEARCH, r, HB_EPISODE_EVAL);
}
