#include "kernels/initialisers.h"

#include <stddef.h>
#include <string.h>

const hb_initialiser hb_initialisers[] = {
    {"uni", "U(-0.1, 0.1), both papers", HB_DRAW_UNIFORM, 0.1f, 0, 0, 0},
    {"uni_big", "U(-1, 1)", HB_DRAW_UNIFORM, 1.0f, 0, 0, 0},
    {"normal", "N(0, 0.024^2), the code of NR", HB_DRAW_NORMAL, 0.024f, 0, 0, 0},
    {"normal_wide", "N(0, 0.1^2), the text of NR's robustness test", HB_DRAW_NORMAL, 0.1f, 0, 0, 0},
    {"xa_uni", "Xavier uniform, gain 0.3", HB_DRAW_UNIFORM, 0.3f, 6, 1, 1},
    {"xa_uni_big", "Xavier uniform, gain 1", HB_DRAW_UNIFORM, 1.0f, 6, 1, 1},
    {"ka_uni", "U(+-sqrt(0.6 / I))", HB_DRAW_UNIFORM, 1.0f, 0.6f, 1, 0},
    {"default", "U(+-1 / sqrt(I))", HB_DRAW_UNIFORM, 1.0f, 1, 1, 0},
    {"sparse", "N(0, 0.01^2), ceil(0.8 O) zeros per input", HB_DRAW_SPARSE, 0.01f, 0, 0, 0},
    {"ones", "1", HB_DRAW_CONSTANT, 1.0f, 0, 0, 0},
    {"zeros", "0", HB_DRAW_CONSTANT, 0.0f, 0, 0, 0},
    {"coevolve", "evolved beside the coefficients", HB_DRAW_GENOME, 1.0f, 0, 0, 0},
};
const int32_t hb_n_initialisers = sizeof hb_initialisers / sizeof *hb_initialisers;

const hb_initialiser *hb_initialiser_find(const char *name) {
    for (int32_t k = 0; k < hb_n_initialisers; k++)
        if (strcmp(hb_initialisers[k].name, name) == 0) return &hb_initialisers[k];
    return NULL;
}

float hb_initialiser_scale(const hb_initialiser *init, int32_t inputs, int32_t outputs) {
    const float weight = init->in_weight * (float)inputs + init->out_weight * (float)outputs;
    return weight > 0.0f ? init->scale * __builtin_sqrtf(init->fan / weight) : init->scale;
}
