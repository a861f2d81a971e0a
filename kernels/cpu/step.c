// The fused step on the CPU, compiled once per instruction set (ops.h, "Step", "Weights"), and the table of a build. The loops over
// blocks of 16 outputs are written for the vectoriser.
#include "kernels/cpu/build.h"
#include "kernels/cpu/vector.h"
#include "kernels/cpu/vision.h"
#include "kernels/update.h"

#include <string.h>

typedef struct {
    float *rows;
    const hb_cpu_layout *layout;
    size_t row, padded;
    int32_t inputs;
    float scale;
    const float *pre, *post, *x;
    float *acc;
} hb_pass;

// How a layer is passed: the planes that its update has (0: no update), whether they are halves, whether the largest |w| is
// measured. Constants where the functions below are inlined.
typedef struct {
    uint32_t planes;
    bool half, measure;
} hb_kind;

// Plane number `index` of the rule's, for the columns from `in` of a block on.
static inline __attribute__((always_inline)) hb_vf load_plane(const float *block, size_t in, size_t index,
                                                              const bool half) {
    const float *planes = block + HB_CPU_PAD;
    return half ? hb_vf_load_half((const uint16_t *)(const void *)(planes + index * HB_CPU_PAD / 2) + in)
                : hb_vf_load(planes + index * HB_CPU_PAD + in);
}

// The update and the forward product of n vectors of columns from column j on; n is a constant, too.
static inline __attribute__((always_inline)) hb_vi pass_columns(const hb_pass *pass, size_t j, const int n,
                                                                const hb_kind kind) {
    const uint32_t planes = kind.planes;
    const hb_vf zero = hb_vf_all(0.0f);
    const hb_vf scale = hb_vf_all(pass->scale);
    hb_vf acc[HB_COLUMNS], post[HB_COLUMNS];
    hb_vi largest = hb_vi_zero();
    for (int v = 0; v < n; v++) {
        acc[v] = zero;
        post[v] = planes ? hb_vf_load(pass->post + j + (size_t)v * HB_LANES) : zero;
    }
    const size_t index_b = planes & 1u, index_c = index_b + (planes >> 1 & 1u),
                 index_d = index_c + (planes >> 2 & 1u);
    float *row = pass->rows;
    for (int32_t i = 0; i < pass->inputs; i++, row += pass->row) {
        const hb_vf x = hb_vf_all(pass->x[i]);
        const hb_vf pre = planes ? hb_vf_all(pass->pre[i]) : zero;
#pragma GCC unroll 8
        for (int v = 0; v < n; v++) {
            const size_t column = j + (size_t)v * HB_LANES, in = column % HB_CPU_PAD;
            float *block = row + hb_cpu_block(pass->layout, column), *at = block + in;
            hb_vf w = hb_vf_load(at);
            if (planes) {
                const hb_vf a = planes & 1u ? load_plane(block, in, 0, kind.half) : zero;
                const hb_vf b = planes & 2u ? load_plane(block, in, index_b, kind.half) : zero;
                const hb_vf c = planes & 4u ? load_plane(block, in, index_c, kind.half) : zero;
                const hb_vf d = planes & 8u ? load_plane(block, in, index_d, kind.half) : zero;
                w = HB_PLASTIC_UPDATE(hb_vf_fma, w, scale, pre, post[v], a, b, c, d);
                hb_vf_store(at, w);
                if (kind.measure) largest = hb_vi_max_magnitude(largest, w);
            }
            acc[v] = hb_vf_fma(w, x, acc[v]);
        }
    }
    for (int v = 0; v < n; v++) hb_vf_store(pass->acc + j + (size_t)v * HB_LANES, acc[v]);
    return largest;
}

// All columns of a layer; returns the bits of max |w|, or 0 where it was not measured.
static inline __attribute__((always_inline)) int32_t pass_layer(const hb_pass *pass, const hb_kind kind) {
    int32_t largest = 0;
    size_t j = 0;
    for (; j + HB_COLUMNS * HB_LANES <= pass->padded; j += HB_COLUMNS * HB_LANES) {
        const int32_t m = hb_vi_largest(pass_columns(pass, j, HB_COLUMNS, kind));
        largest = m > largest ? m : largest;
    }
    for (; j + HB_COLUMNS / 2 * HB_LANES <= pass->padded; j += HB_COLUMNS / 2 * HB_LANES) {
        const int32_t m = hb_vi_largest(pass_columns(pass, j, HB_COLUMNS / 2, kind));
        largest = m > largest ? m : largest;
    }
    for (; j < pass->padded; j += HB_LANES) {
        const int32_t m = hb_vi_largest(pass_columns(pass, j, 1, kind));
        largest = m > largest ? m : largest;
    }
    return largest;
}

// Each way that a set of planes is passed, with its constants.
static inline __attribute__((always_inline)) int32_t pass_planes(const hb_pass *pass, const uint32_t planes,
                                                                 bool half, bool measure) {
    if (half)
        return measure ? pass_layer(pass, (hb_kind){planes, true, true})
                       : pass_layer(pass, (hb_kind){planes, true, false});
    return measure ? pass_layer(pass, (hb_kind){planes, false, true})
                   : pass_layer(pass, (hb_kind){planes, false, false});
}

// The sets of planes that the nine rules have are compiled each; any other set runs, too.
static int32_t pass_dispatch(const hb_pass *pass, uint32_t planes, bool half, bool measure) {
    switch (planes) {
    case 0x0:
        return pass_layer(pass, (hb_kind){0x0, false, false});
    case 0x1:
        return pass_planes(pass, 0x1, half, measure);
    case 0x7:
        return pass_planes(pass, 0x7, half, measure);
    case 0x9:
        return pass_planes(pass, 0x9, half, measure);
    case 0xf:
        return pass_planes(pass, 0xf, half, measure);
    default:
        return pass_layer(pass, (hb_kind){planes, half, true});
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
    const bool measure = net->normalise && planes;
    first_input(group, memory, observation, last, now);
    for (int32_t l = 0; l < net->n_layers; l++) {
        float *const y = now + layout->activation[l + 1];
        float *const scale = memory + layout->scale + l;
        const hb_pass pass = {.rows = memory + layout->rows[l],
                              .row = layout->row[l],
                              .padded = layout->padded[l],
                              .layout = layout,
                              .inputs = net->layer[l].inputs,
                              .scale = *scale,
                              .pre = last + layout->activation[l],
                              .post = last + layout->activation[l + 1],
                              .x = now + layout->activation[l],
                              .acc = y};
        const int32_t largest = pass_dispatch(&pass, planes, net->half_planes, measure);
        if (measure) *scale = hb_layer_scale((uint32_t)largest);
        if (net->layer[l].activation == HB_LSTM)
            lstm_cell(hb_net_lstm(net), last + layout->activation[1], y);
        else
            activate(net->layer[l].activation, *scale, y, layout->padded[l]);
    }
    memcpy(action, now + layout->activation[net->n_layers],
           (size_t)net->layer[net->n_layers - 1].outputs * sizeof *action);
}

static float plane_of(const hb_cpu_layout *layout, bool half, const float *block, size_t in, size_t index) {
    const float *plane = block + HB_CPU_PAD + index * layout->plane;
    return half ? hb_half_value(((const uint16_t *)(const void *)plane)[in]) : plane[in];
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
            const size_t in = j % HB_CPU_PAD;
            const float *block = row + hb_cpu_block(layout, j), *at = block + in;
            size_t index = 0;
            for (int p = 0; p < HB_N_PLANES; p++)
                if (net->planes >> p & 1u) plane[p] = plane_of(layout, net->half_planes, block, in, index++);
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
                                                .vision = &HB_OF_BUILD(hb_cpu_vision),
                                                .robots = &HB_OF_BUILD(hb_rigid_4x2)};
