// Images: the weights of each layer as grey, dark for negative and white for positive, at moments of the life (NR Figs. 1, 6)
#include "host/analysis/probe.h"
#include "host/base/png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOMENTS = 8, GAP = 4 };

static size_t layer_size(const hb_layer *layer) {
    return (size_t)layer->inputs * (size_t)layer->outputs;
}

// Black and white are three root mean squares away from 0, of each moment: weights may grow a thousandfold, and a few would
// leave the others grey.
static double brightest(const float *w, size_t n) {
    double squares = 0;
    for (size_t e = 0; e < n; e++) squares += (double)w[e] * (double)w[e];
    return squares > 0 ? 3 * sqrt(squares / (double)n) : 1;
}

// One layer at all moments side by side: inputs across and outputs down (NR's layer 1 is 28 wide and 128 high), or, where
// that would lie, outputs across. weights: (n, N).
hb_status hb_probe_layer(const hb_probe_run *p, int32_t l, const float *weights, int n, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    const hb_layer *layer = &net->layer[l];
    const bool turned = layer->inputs > layer->outputs;
    const int32_t across = turned ? layer->outputs : layer->inputs, down = turned ? layer->inputs : layer->outputs;
    const int32_t width = n * (across + GAP) - GAP;
    uint8_t *rgb = malloc((size_t)width * (size_t)down * 3);
    if (!rgb) return hb_fail(error, HB_FAILED, "out of memory for an image of weights");
    memset(rgb, 255, (size_t)width * (size_t)down * 3);
    for (int k = 0; k < n; k++) {
        const float *w = weights + (size_t)k * (size_t)net->n_weights + layer->weight_offset;
        const double white = brightest(w, layer_size(layer));
        for (int32_t y = 0; y < down; y++)
            for (int32_t x = 0; x < across; x++) {
                const int32_t i = turned ? y : x, j = turned ? x : y;
                const float one = w[(size_t)i * (size_t)layer->outputs + (size_t)j];
                const uint8_t grey = (uint8_t)(127.5 + 127.5 * fmax(-1, fmin(1, (double)one / white)));
                memset(rgb + ((size_t)y * (size_t)width + (size_t)(k * (across + GAP) + x)) * 3, grey, 3);
            }
    }
    char path[HB_PATH], name[64];
    snprintf(name, sizeof name, "layer%d.png", l + 1);
    hb_probe_file(p, name, path);
    const hb_status status = hb_png_write(path, rgb, width, down, error);
    free(rgb);
    return status;
}

hb_status hb_probe_images(hb_probe_run *p, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    const size_t n = (size_t)net->n_weights;
    // Most of the change comes early: moments at 0, 1, 3, 10, 30, 100, 300, 900.
    static const int64_t at[MOMENTS] = {0, 1, 3, 10, 30, 100, 300, 900};
    float *weights = calloc(MOMENTS * n, sizeof *weights);
    if (!weights) return hb_fail(error, HB_FAILED, "out of memory for images of weights");
    int kept = 0;
    int64_t birth = 0;
    hb_status status = hb_probe_long_life(p, at[MOMENTS - 1] < p->most ? at[MOMENTS - 1] : p->most, &birth, error);
    if (status == HB_OK) status = hb_life_begin(p->life, birth, error);
    p->lives++;
    while (status == HB_OK && p->steps <= p->most && kept < MOMENTS) {
        if (p->steps == at[kept]) status = hb_life_weights(p->life, weights + (size_t)kept++ * n, error);
        if (p->life->outcome != HB_ENV_RUNNING || status != HB_OK) break;
        status = hb_life_step(p->life, error);
        p->steps++;
    }
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++)
        status = hb_probe_layer(p, l, weights, kept, error);
    free(weights);
    return status;
}
