// A network to take away: an individual's rules or weights as a NumPy archive (docs/export.md).
#include "host/analysis/life.h"
#include "host/base/locale.h"
#include "host/base/npz.h"
#include "kernels/rules.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ABOUT = 6 + HB_LIFE_TEXTS, LETTERS = 512 };

typedef struct {
    const hb_life *life;
    const hb_net *net;
    const float *genome;
    hb_npz *npz;
} export;

static void name_of(char out[32], const char *what, int32_t number) {
    snprintf(out, 32, "%s%d", what, number);
}

// planesL (4, I, O): a, b, c, d of dw = (a pre + c) post + b pre + d; coefficientsL (I, O, C) as they evolve.
static hb_status add_rules(const export *e, int32_t l, hb_error *error) {
    const hb_layer *layer = &e->net->layer[l];
    const int64_t n = (int64_t)layer->inputs * layer->outputs, count = e->net->rule->n_coefficients;
    const float *h = e->genome + layer->genome_offset;
    float *planes = calloc((size_t)n * HB_N_PLANES, sizeof *planes);
    if (!planes) return hb_fail(error, HB_FAILED, "out of memory exporting layer %d", l + 1);
    for (int64_t i = 0; i < n; i++) {
        float one[HB_N_PLANES];
        hb_rule_fold(e->net->rule, h + i * count, one);
        for (int p = 0; p < HB_N_PLANES; p++) planes[p * n + i] = one[p];
    }
    char name[32];
    name_of(name, "planes", l + 1);
    hb_npz_add(e->npz, name, 3, (const int64_t[]){HB_N_PLANES, layer->inputs, layer->outputs}, planes);
    name_of(name, "coefficients", l + 1);
    hb_npz_add(e->npz, name, 3, (const int64_t[]){layer->inputs, layer->outputs, count}, h);
    free(planes);
    return HB_OK;
}

// weightsL (I, O): of a static network, or the first ones where they evolve beside the rules.
static void add_weights(const export *e, int32_t l, const float *w) {
    const hb_layer *layer = &e->net->layer[l];
    char name[32];
    name_of(name, "weights", l + 1);
    hb_npz_add(e->npz, name, 2, (const int64_t[]){layer->inputs, layer->outputs}, w);
}

static hb_status add_layers(const export *e, hb_error *error) {
    const hb_net *net = e->net;
    const bool evolves = net->init && net->init->draw == HB_DRAW_GENOME;
    hb_status status = HB_OK;
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++) {
        if (net->rule) status = add_rules(e, l, error);
        if (!net->rule) add_weights(e, l, e->genome + net->layer[l].genome_offset);
        if (net->rule && evolves) add_weights(e, l, e->genome + net->n_penalised + net->layer[l].weight_offset);
    }
    return status;
}

// How initial weights are drawn: the distribution's name and each layer's scale.
static void add_initialiser(const export *e) {
    static const char *const draws[] = {"uniform", "normal", "sparse", "constant", "evolved"};
    const hb_net *net = e->net;
    float scale[HB_MAX_LAYERS];
    if (!net->rule) return;
    for (int32_t l = 0; l < net->n_layers; l++)
        scale[l] = hb_initialiser_scale(net->init, net->layer[l].inputs, net->layer[l].outputs);
    hb_npz_add_texts(e->npz, "initial", 1, &draws[net->init->draw]);
    hb_npz_add(e->npz, "initial_scale", 1, (const int64_t[]){net->n_layers}, scale);
    hb_npz_add_texts(e->npz, "coefficient_names", net->rule->n_coefficients, net->rule->coefficients);
}

static hb_status add_convolutions(const export *e, hb_error *error) {
    const hb_net *net = e->net;
    for (int32_t k = 0; net->vision.n_weights && k < HB_CONVOLUTIONS; k++) {
        const hb_convolution *c = &net->vision.layer[k];
        float *w = hb_life_convolution(e->life, e->genome, k);
        if (!w) return hb_fail(error, HB_FAILED, "out of memory exporting convolutions");
        char name[32];
        name_of(name, "convolution", k + 1);
        hb_npz_add(e->npz, name, 4, (const int64_t[]){c->maps, c->channels, c->kernel, c->kernel}, w);
        free(w);
    }
    return HB_OK;
}

static void add_standard(const export *e) {
    const hb_standard *standard = e->life->trainer.search.standard;
    if (!standard) return;
    hb_npz_add(e->npz, "observed_mean", 1, (const int64_t[]){standard->n}, standard->mean);
    hb_npz_add(e->npz, "observed_scale", 1, (const int64_t[]){standard->n}, standard->scale);
}

// What it is and where it comes from, "key=value".
static void add_about(const export *e, const char *source) {
    const hb_trainer *trainer = &e->life->trainer;
    const char *activation[HB_MAX_LAYERS], *about[ABOUT];
    char text[ABOUT][LETTERS];
    int n = 0;
    snprintf(text[n++], LETTERS, "hebbes=%s", HB_VERSION);
    snprintf(text[n++], LETTERS, "source=%s", source);
    snprintf(text[n++], LETTERS, "generation=%lld", (long long)trainer->search.generation);
    snprintf(text[n++], LETTERS, "individual=%lld", (long long)e->life->individual);
    snprintf(text[n++], LETTERS, "env=%s", trainer->config->env->name);
    snprintf(text[n++], LETTERS, "rule=%s", e->net->rule ? e->net->rule->name : "none");
    hb_life_text plasticity[HB_LIFE_TEXTS];
    const int more = hb_life_plasticity(e->net, plasticity);
    for (int k = 0; k < more; k++) snprintf(text[n++], LETTERS, "%s=%s", plasticity[k].name, plasticity[k].value);
    for (int k = 0; k < n; k++) about[k] = text[k];
    for (int32_t l = 0; l < e->net->n_layers; l++) activation[l] = hb_life_activation(&e->net->layer[l]);
    hb_npz_add_texts(e->npz, "about", n, about);
    hb_npz_add_texts(e->npz, "activation", e->net->n_layers, activation);
}

static hb_status write_network(const hb_life *life, const char *source, const char *out, hb_error *error) {
    const hb_net *net = &life->trainer.net;
    float *genome = malloc((size_t)net->genome_size * sizeof *genome);
    export e = {.life = life, .net = net, .genome = genome, .npz = hb_npz_create()};
    hb_status status = genome && e.npz ? HB_OK : hb_fail(error, HB_FAILED, "out of memory exporting a network");
    if (status == HB_OK)
        status =
            hb_machine_sample(&life->trainer.machine, &life->birth.genome, genome, (size_t)net->genome_size, error);
    if (status == HB_OK) {
        add_about(&e, source);
        add_initialiser(&e);
        add_standard(&e);
        status = add_layers(&e, error);
    }
    if (status == HB_OK) status = add_convolutions(&e, error);
    if (status == HB_OK) status = hb_npz_write(e.npz, out, error);
    hb_npz_close(e.npz);
    free(genome);
    return status;
}

hb_status hb_export(const char *source, const char *const *sets, int n_sets, int64_t individual, const char *out,
                    hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    if (access(out, F_OK) == 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a file that does not exist yet, found one", out);
    hb_life life;
    hb_status status = hb_life_open(source, sets, n_sets, &(hb_life_def){individual, NULL}, &life, error);
    if (status == HB_OK) status = write_network(&life, source, out, error);
    hb_life_close(&life);
    return status;
}
