// The fused step on the CPU, compiled once per instruction set (ops.h, "Step", "Weights"), and the table of a build. The loops over
// blocks of 16 outputs are written for the vectoriser.
#include "kernels/cpu/build.h"
#include "kernels/cpu/vector.h"
#include "kernels/cpu/vision.h"
#include "kernels/update.h"

#include <string.h>

typedef struct {
    float *rows;
    size_t row, padded, arrays;
    int32_t inputs;
    float scale;
    const float *pre, *post, *x;
    float *acc;
} hb_pass;

// The update and the forward product of n vectors of columns from column j on. `planes` (0: no update), `n`
// and `measure` (track the largest |w|) are constants where this is inlined.
static inline __attribute__((always_inline)) hb_vi pass_columns(const hb_pass *pass, size_t j, const int n,
                                                                const uint32_t planes, const int measure) {
    const hb_vf zero = hb_vf_all(0.0f);
    const hb_vf scale = hb_vf_all(pass->scale);
    hb_vf acc[HB_COLUMNS], post[HB_COLUMNS];
    hb_vi largest = hb_vi_zero();
    for (int v = 0; v < n; v++) {
        acc[v] = zero;
        post[v] = planes ? hb_vf_load(pass->post + j + (size_t)v * HB_LANES) : zero;
    }
    const size_t at_a = HB_CPU_PAD, at_b = at_a + HB_CPU_PAD * (planes & 1u);
    const size_t at_c = at_b + HB_CPU_PAD * (planes >> 1 & 1u), at_d = at_c + HB_CPU_PAD * (planes >> 2 & 1u);
    float *row = pass->rows;
    for (int32_t i = 0; i < pass->inputs; i++, row += pass->row) {
        const hb_vf x = hb_vf_all(pass->x[i]);
        const hb_vf pre = planes ? hb_vf_all(pass->pre[i]) : zero;
#pragma GCC unroll 8
        for (int v = 0; v < n; v++) {
            float *at = row + hb_cpu_column(pass->arrays, j + (size_t)v * HB_LANES);
            hb_vf w = hb_vf_load(at);
            if (planes) {
                const hb_vf a = planes & 1u ? hb_vf_load(at + at_a) : zero;
                const hb_vf b = planes & 2u ? hb_vf_load(at + at_b) : zero;
                const hb_vf c = planes & 4u ? hb_vf_load(at + at_c) : zero;
                const hb_vf d = planes & 8u ? hb_vf_load(at + at_d) : zero;
                w = HB_PLASTIC_UPDATE(hb_vf_fma, w, scale, pre, post[v], a, b, c, d);
                hb_vf_store(at, w);
                if (measure) largest = hb_vi_max_magnitude(largest, w);
            }
            acc[v] = hb_vf_fma(w, x, acc[v]);
        }
    }
    for (int v = 0; v < n; v++) hb_vf_store(pass->acc + j + (size_t)v * HB_LANES, acc[v]);
    return largest;
}

// All columns of a layer; returns the bits of max |w|, or 0 where it was not measured.
static inline __attribute__((always_inline)) int32_t pass_layer(const hb_pass *pass, const uint32_t planes,
                                                                const int measure) {
    int32_t largest = 0;
    size_t j = 0;
    for (; j + HB_COLUMNS * HB_LANES <= pass->padded; j += HB_COLUMNS * HB_LANES) {
        const int32_t m = hb_vi_largest(pass_columns(pass, j, HB_COLUMNS, planes, measure));
        largest = m > largest ? m : largest;
    }
    for (; j + HB_COLUMNS / 2 * HB_LANES <= pass->padded; j += HB_COLUMNS / 2 * HB_LANES) {
        const int32_t m = hb_vi_largest(pass_columns(pass, j, HB_COLUMNS / 2, planes, measure));
        largest = m > largest ? m : largest;
    }
    for (; j < pass->padded; j += HB_LANES) {
        const int32_t m = hb_vi_largest(pass_columns(pass, j, 1, planes, measure));
        largest = m > largest ? m : largest;
    }
    return largest;
}

// The sets of planes that the nine rules have are compiled each with and without measuring; any other set runs, too.
static int32_t pass_dispatch(const hb_pass *pass, uint32_t planes, int measure) {
    switch (planes) {
    case 0x0:
        return pass_layer(pass, 0x0, 0);
    case 0x1:
        return measure ? pass_layer(pass, 0x1, 1) : pass_layer(pass, 0x1, 0);
    case 0x7:
        return measure ? pass_layer(pass, 0x7, 1) : pass_layer(pass, 0x7, 0);
    case 0x9:
        return measure ? pass_layer(pass, 0x9, 1) : pass_layer(pass, 0x9, 0);
    case 0xf:
        return measure ? pass_layer(pass, 0xf, 1) : pass_layer(pass, 0xf, 0);
    default:
        return pass_layer(pass, planes, 1);
    }
}

// Sums become outputs where they stand.
static void activate(hb_activation activation, float scale, float *y, size_t n) {
    if (activation == HB_TANH)
        for (size_t j = 0; j < n; j++) y[j] = hb_tanh(scale * y[j]);
    else
        for (size_t j = 0; j < n; j++) y[j] = scale * y[j];
}

// The first layer's x. What an LSTM cell remembers stands in its part of the last step's activations: h, then c.
static void first_input(hb_group *group, float *memory, const float *observation, const float *last, float *now) {
    const hb_net *net = &group->net;
    const int32_t units = hb_net_lstm(net), inputs = hb_net_inputs(net);
    float *own = now + hb_net_first_input(net);
    if (net->vision.n_weights)
        group->build->vision->look(&net->vision, memory + group->layout.vision, (const uint8_t *)observation, own);
    else
        memcpy(own, observation, (size_t)inputs * sizeof *now);
    if (units == 0) return;
    now[0] = now[1] = 1.0f;
    memcpy(own + inputs, last + group->layout.activation[1], (size_t)units * sizeof *now);
}

// Gates become h, which the next layer reads, and c, where they stand: each unit writes what it alone has read.
static void lstm_cell(int32_t units, const float *last, float *now) {
    for (int32_t j = 0; j < units; j++) {
        float c = last[units + j];
        now[j] = hb_lstm_unit(now, units, j, &c);
        now[units + j] = c;
    }
}

static void step_lane(hb_group *group, int32_t lane, const float *observation, float *action) {
    const hb_net *net = &group->net;
    const hb_cpu_layout *layout = &group->layout;
    float *memory = group->memory + (size_t)lane * layout->lane;
    const int32_t step = group->steps[lane]++;
    float *now = memory + layout->activations[step & 1];
    const float *last = memory + layout->activations[~step & 1];
    const uint32_t planes = step > 0 ? net->planes : 0;
    const int measure = net->normalise && planes;
    first_input(group, memory, observation, last, now);
    for (int32_t l = 0; l < net->n_layers; l++) {
        float *const y = now + layout->activation[l + 1];
        float *const scale = memory + layout->scale + l;
        const hb_pass pass = {.rows = memory + layout->rows[l],
                              .row = layout->row[l],
                              .padded = layout->padded[l],
                              .arrays = layout->arrays,
                              .inputs = net->layer[l].inputs,
                              .scale = *scale,
                              .pre = last + layout->activation[l],
                              .post = last + layout->activation[l + 1],
                              .x = now + layout->activation[l],
                              .acc = y};
        const int32_t largest = pass_dispatch(&pass, planes, measure);
        if (measure) *scale = hb_layer_scale((uint32_t)largest);
        if (net->layer[l].activation == HB_LSTM)
            lstm_cell(hb_net_lstm(net), last + layout->activation[1], y);
        else
            activate(net->layer[l].activation, *scale, y, layout->padded[l]);
    }
    memcpy(action, now + layout->activation[net->n_layers],
           (size_t)net->layer[net->n_layers - 1].outputs * sizeof *action);
}

static void lane_weights(const hb_group *group, int32_t lane, int32_t l, float *w) {
    const hb_net *net = &group->net;
    const hb_cpu_layout *layout = &group->layout;
    const float *memory = group->memory + (size_t)lane * layout->lane;
    const int32_t steps = group->steps[lane];
    const float *last = memory + layout->activations[(steps + 1) & 1];
    const float *pre = last + layout->activation[l], *post = last + layout->activation[l + 1];
    const size_t inputs = (size_t)net->layer[l].inputs, outputs = (size_t)net->layer[l].outputs;
    const int update = net->planes && steps > 0;
    int32_t largest = 0;
    for (size_t i = 0; i < inputs; i++) {
        const float *row = memory + layout->rows[l] + i * layout->row[l];
        for (size_t j = 0; j < outputs; j++) {
            float plane[HB_N_PLANES] = {0};
            const float *at = row + hb_cpu_column(layout->arrays, j), *next = at;
            for (int p = 0; p < HB_N_PLANES; p++)
                if (net->planes >> p & 1u) plane[p] = *(next += HB_CPU_PAD);
            const float value =
                update ? HB_PLASTIC_UPDATE(hb_fma, *at, memory[layout->scale + (size_t)l], pre[i], post[j],
                                           plane[HB_PLANE_A], plane[HB_PLANE_B], plane[HB_PLANE_C], plane[HB_PLANE_D])
                       : *at;
            const int32_t magnitude = (int32_t)hb_magnitude(value);
            largest = magnitude > largest ? magnitude : largest;
            w[i * outputs + j] = value;
        }
    }
    if (!update || !net->normalise) return;
    const float scale = hb_layer_scale((uint32_t)largest);
    for (size_t e = 0; e < inputs * outputs; e++) w[e] = scale * w[e];
}

const hb_cpu_build HB_OF_BUILD(hb_cpu_build) = {.variant = HB_STRING(HB_CPU_BUILD),
                                                .search = &HB_OF_BUILD(hb_cpu_search),
                                                .expand = HB_OF_BUILD(hb_cpu_expand),
                                                .step = step_lane,
                                                .weights = lane_weights,
                                                .mixture = &HB_OF_BUILD(hb_cpu_mixture),
                                                .vision = &HB_OF_BUILD(hb_cpu_vision)};
