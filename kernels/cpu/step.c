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
    float kept;           // of a weight, where it is the same for all columns
    const float *kept_by; // (padded): by column, where the net is gated
    float modulation, trace;
    const float *pre, *post, *x;
    float *acc;
} hb_pass;

// How a layer is passed: the planes that its update has (0: no update), whether they are halves, whether the largest |w| is
// measured, whether the update is that of gated nets, with traces. Constants where the functions below are inlined.
typedef struct {
    uint32_t planes;
    bool half, measure, gated, traces;
} hb_kind;

// Plane number `index` of the synapses', for the columns from `in` of a block on.
static inline __attribute__((always_inline)) hb_vf load_plane(const float *block, size_t in, size_t index,
                                                              const hb_kind kind) {
    const float *planes = block + (kind.traces ? 2 * HB_CPU_PAD : HB_CPU_PAD);
    return kind.half ? hb_vf_load_half((const uint16_t *)(const void *)(planes + index * HB_CPU_PAD / 2) + in)
                     : hb_vf_load(planes + index * HB_CPU_PAD + in);
}

// The numbers of one vector of synapses that an update takes.
typedef struct {
    hb_vf a, b, c, d, pull;
} hb_vectors;

static inline __attribute__((always_inline)) hb_vectors load_planes(const float *block, size_t in,
                                                                    const hb_kind kind) {
    const uint32_t planes = kind.planes;
    const hb_vf zero = hb_vf_all(0.0f);
    const size_t b = planes & 1u, c = b + (planes >> 1 & 1u), d = c + (planes >> 2 & 1u), r = d + (planes >> 3 & 1u);
    return (hb_vectors){
        planes & 1u ? load_plane(block, in, 0, kind) : zero, planes & 2u ? load_plane(block, in, b, kind) : zero,
        planes & 4u ? load_plane(block, in, c, kind) : zero, planes & 8u ? load_plane(block, in, d, kind) : zero,
        planes & 1u << HB_PLANE_BIRTH ? load_plane(block, in, r, kind) : zero};
}

// The weights at `at` after an update; traces, which stand behind them, move with them.
static inline __attribute__((always_inline)) hb_vf updated(const hb_pass *pass, float *at, hb_vf kept, hb_vf pre,
                                                           hb_vf post, const hb_vectors p, const hb_kind kind) {
    const hb_vf w = hb_vf_load(at);
    if (!kind.gated) return HB_PLASTIC_UPDATE(hb_vf_fma, w, kept, pre, post, p.a, p.b, p.c, p.d);
    hb_vf change = HB_PLASTIC_CHANGE(hb_vf_fma, pre, post, p.a, p.b, p.c, p.d);
    if (kind.traces) {
        change = hb_vf_fma(hb_vf_all(pass->trace), hb_vf_load(at + HB_CPU_PAD), change);
        hb_vf_store(at + HB_CPU_PAD, change);
    }
    return HB_PLASTIC_GATED(hb_vf_fma, w, kept, hb_vf_all(pass->modulation), change, p.pull);
}

// The update and the forward product of n vectors of columns from column j on; n is a constant, too.
static inline __attribute__((always_inline)) hb_vi pass_columns(const hb_pass *pass, size_t j, const int n,
                                                                const hb_kind kind) {
    const uint32_t planes = kind.planes;
    const hb_vf zero = hb_vf_all(0.0f);
    const hb_vf kept = hb_vf_all(pass->kept);
    hb_vf acc[HB_COLUMNS], post[HB_COLUMNS];
    hb_vi largest = hb_vi_zero();
    for (int v = 0; v < n; v++) {
        acc[v] = zero;
        post[v] = planes ? hb_vf_load(pass->post + j + (size_t)v * HB_LANES) : zero;
    }
    float *row = pass->rows;
    for (int32_t i = 0; i < pass->inputs; i++, row += pass->row) {
        const hb_vf x = hb_vf_all(pass->x[i]);
        const hb_vf pre = planes ? hb_vf_all(pass->pre[i]) : zero;
#pragma GCC unroll 8
        for (int v = 0; v < n; v++) {
            const size_t column = j + (size_t)v * HB_LANES, in = column % HB_CPU_PAD;
            float *block = row + hb_cpu_block(pass->layout, column), *at = block + in;
            hb_vf w;
            if (planes) {
                w = updated(pass, at, kind.gated ? hb_vf_load(pass->kept_by + column) : kept, pre, post[v],
                            load_planes(block, in, kind), kind);
                hb_vf_store(at, w);
                if (kind.measure) largest = hb_vi_max_magnitude(largest, w);
            } else {
                w = hb_vf_load(at);
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
        return measure ? pass_layer(pass, (hb_kind){planes, true, true, false, false})
                       : pass_layer(pass, (hb_kind){planes, true, false, false, false});
    return measure ? pass_layer(pass, (hb_kind){planes, false, true, false, false})
                   : pass_layer(pass, (hb_kind){planes, false, false, false, false});
}

// The sets of planes that rules have are compiled each; any other set runs, too.
static int32_t pass_plain(const hb_pass *pass, uint32_t planes, bool half, bool measure) {
    switch (planes) {
    case 0x0:
        return pass_layer(pass, (hb_kind){0x0, false, false, false, false});
    case 0x1:
        return pass_planes(pass, 0x1, half, measure);
    case 0x3:
        return pass_planes(pass, 0x3, half, measure);
    case 0x7:
        return pass_planes(pass, 0x7, half, measure);
    case 0x9:
        return pass_planes(pass, 0x9, half, measure);
    case 0xf:
        return pass_planes(pass, 0xf, half, measure);
    default:
        return pass_layer(pass, (hb_kind){planes, half, true, false, false});
    }
}

// The same of gated nets: ABCD as floats is compiled on its own.
static int32_t pass_gated(const hb_pass *pass, uint32_t planes, bool half, bool traces) {
    if (planes == 0xf && !half)
        return traces ? pass_layer(pass, (hb_kind){0xf, false, true, true, true})
                      : pass_layer(pass, (hb_kind){0xf, false, true, true, false});
    return pass_layer(pass, (hb_kind){planes, half, true, true, traces});
}

// Sums become outputs where they stand.
static void activate(hb_activation activation, float scale, float *y, size_t n) {
    if (activation == HB_TANH)
        for (size_t j = 0; j < n; j++) y[j] = hb_tanh(scale * y[j]);
    else
        for (size_t j = 0; j < n; j++) y[j] = scale * y[j];
}

// The first layer's x. What an LSTM cell remembers stands in its part of the last step's activations: h, then c.
static void first_input(hb_group *group, float *memory, const float *observation, float reward, const float *last,
                        float *now) {
    const hb_net *net = &group->net;
    const int32_t units = hb_net_lstm(net), inputs = hb_net_inputs(net);
    float *own = now + hb_net_first_input(net);
    if (net->vision.n_weights)
        group->build->vision->look(&net->vision, memory + group->layout.vision, (const uint8_t *)observation, own);
    else
        memcpy(own, observation, (size_t)inputs * sizeof *now);
    if (net->sees_reward) own[inputs] = reward;
    if (net->bias) own[inputs + net->sees_reward] = 1.0f;
    if (units == 0) return;
    now[0] = now[1] = 1.0f;
    memcpy(own + inputs + net->sees_reward, last + group->layout.activation[1], (size_t)units * sizeof *now);
}

// Gates become h, which the next layer reads, and c, where they stand: each unit writes what it alone has read.
static void lstm_cell(int32_t units, const float *last, float *now) {
    for (int32_t j = 0; j < units; j++) {
        float c = last[units + j];
        now[j] = hb_lstm_unit(now, units, j, &c);
        now[units + j] = c;
    }
}

// Activations that the update before step `step` takes for pre and post: those of the last step, or means of the last ones.
static const float *learned_from(const hb_net *net, const hb_cpu_layout *layout, float *memory, int32_t step) {
    const float *last = memory + hb_cpu_activations(layout, step - 1);
    if (layout->history == 2) return last;
    const int32_t average = net->plasticity.average, n = step < average ? step : average;
    float *means = memory + layout->means;
    memcpy(means, last, layout->step * sizeof *means);
    for (int32_t k = 2; k <= n; k++) {
        const float *earlier = memory + hb_cpu_activations(layout, step - k);
        for (size_t e = 0; e < layout->step; e++) means[e] += earlier[e];
    }
    for (size_t e = 0; e < layout->step; e++) means[e] /= (float)n;
    return means;
}

// Numbers by column that some updates take.
typedef struct {
    _Alignas(64) float kept[HB_MAX_WIDTH], squares[HB_MAX_WIDTH];
} hb_columns;

// What a gated net keeps of the weights of each column, and the squares of post where the rule wants them.
static void prepare_columns(const hb_net *net, float scale, size_t n, hb_pass *pass, hb_columns *columns) {
    for (size_t j = 0; net->gated && j < n; j++) columns->kept[j] = hb_kept(&net->plasticity, scale, pass->post[j]);
    pass->kept_by = columns->kept;
    if (!net->rule->squares_post) return;
    for (size_t j = 0; j < n; j++) columns->squares[j] = pass->post[j] * pass->post[j];
    pass->post = columns->squares;
}

// Layer l's sums, and the update on the way; returns the bits of the largest |w|.
static int32_t pass_net(const hb_net *net, hb_pass *pass, float scale, bool update, bool measure) {
    if (!update) return pass_plain(pass, 0, false, false);
    if (!net->gated && !net->rule->squares_post) return pass_plain(pass, net->planes, net->half_planes, measure);
    hb_columns columns;
    prepare_columns(net, scale, pass->padded, pass, &columns);
    return net->gated ? pass_gated(pass, net->planes, net->half_planes, net->plasticity.trace > 0)
                      : pass_plain(pass, net->planes, net->half_planes, measure);
}

static void step_lane(hb_group *group, int32_t lane, const float *observation, float reward, float *action) {
    const hb_net *net = &group->net;
    const hb_plasticity *plasticity = &net->plasticity;
    const hb_cpu_layout *layout = &group->layout;
    float *memory = group->memory + (size_t)lane * layout->lane;
    const int32_t step = group->steps[lane]++, outputs = net->layer[net->n_layers - 1].outputs;
    float *now = memory + hb_cpu_activations(layout, step);
    const float *last = memory + hb_cpu_activations(layout, step - 1);
    const bool update = net->planes && hb_updates_before(plasticity, step), measure = net->normalise && update;
    const float *learned = update ? learned_from(net, layout, memory, step) : last;
    const float gate = last[layout->activation[net->n_layers] + (size_t)outputs - 1];
    first_input(group, memory, observation, reward, last, now);
    for (int32_t l = 0; l < net->n_layers; l++) {
        float *const y = now + layout->activation[l + 1];
        float *const scale = memory + layout->scale + l;
        hb_pass pass = {.rows = memory + layout->rows[l],
                        .row = layout->row[l],
                        .padded = layout->padded[l],
                        .layout = layout,
                        .inputs = net->layer[l].inputs,
                        .kept = hb_kept(plasticity, *scale, 0.0f),
                        .modulation = hb_modulation(plasticity, reward, gate),
                        .trace = plasticity->trace,
                        .pre = learned + layout->activation[l],
                        .post = learned + layout->activation[l + 1],
                        .x = now + layout->activation[l],
                        .acc = y};
        const int32_t largest = pass_net(net, &pass, *scale, update, measure);
        if (measure) *scale = hb_layer_scale((uint32_t)largest);
        if (net->layer[l].activation == HB_LSTM)
            lstm_cell(hb_net_lstm(net), last + layout->activation[1], y);
        else
            activate(net->layer[l].activation, *scale, y, layout->padded[l]);
        if (net->bias) y[net->layer[l].outputs] = 1.0f;
    }
    memcpy(action, now + layout->activation[net->n_layers], (size_t)hb_net_actions(net) * sizeof *action);
}

static float plane_of(const hb_cpu_layout *layout, bool half, const float *block, size_t in, size_t index) {
    const float *plane = block + layout->first_plane + index * layout->plane;
    return half ? hb_half_value(((const uint16_t *)(const void *)plane)[in]) : plane[in];
}

// One synapse's weight as the update that is pending will make it.
static float pending(const hb_net *net, const hb_cpu_layout *layout, const float *block, size_t in, float kept,
                     float modulation, float pre, float post) {
    float plane[HB_MAX_PLANES] = {0}, trace = block[HB_CPU_PAD + in]; // where there are traces
    size_t index = 0;
    for (int p = 0; p < HB_MAX_PLANES; p++)
        if (net->planes >> p & 1u) plane[p] = plane_of(layout, net->half_planes, block, in, index++);
    return hb_updated(&net->plasticity, net->gated, modulation, block[in], kept, pre,
                      net->rule->squares_post ? post * post : post, plane, &trace);
}

static void lane_weights(const hb_group *group, int32_t lane, int32_t l, float *w) {
    const hb_net *net = &group->net;
    const hb_plasticity *plasticity = &net->plasticity;
    const hb_cpu_layout *layout = &group->layout;
    float *memory = group->memory + (size_t)lane * layout->lane;
    const int32_t steps = group->steps[lane];
    const size_t inputs = (size_t)net->layer[l].inputs, outputs = (size_t)net->layer[l].outputs;
    const bool update =
        net->planes && hb_updates_before(plasticity, steps) && plasticity->modulator != HB_MODULATE_REWARD;
    const float *last = memory + hb_cpu_activations(layout, steps - 1);
    const float *learned = update ? learned_from(net, layout, memory, steps) : last;
    const float *pre = learned + layout->activation[l], *post = learned + layout->activation[l + 1];
    const size_t gate = layout->activation[net->n_layers] + (size_t)net->layer[net->n_layers - 1].outputs - 1;
    const float scale = memory[layout->scale + (size_t)l], modulation = hb_modulation(plasticity, 0.0f, last[gate]);
    int32_t largest = 0;
    for (size_t i = 0; i < inputs; i++) {
        const float *row = memory + layout->rows[l] + i * layout->row[l];
        for (size_t j = 0; j < outputs; j++) {
            const float *block = row + hb_cpu_block(layout, j);
            const float kept = hb_kept(plasticity, scale, post[j]);
            const float value = update
                                    ? pending(net, layout, block, j % HB_CPU_PAD, kept, modulation, pre[i], post[j])
                                    : block[j % HB_CPU_PAD];
            const int32_t magnitude = (int32_t)hb_magnitude(value);
            largest = magnitude > largest ? magnitude : largest;
            w[i * outputs + j] = value;
        }
    }
    if (!net->normalise || !net->planes) return;
    const float now = update ? hb_layer_scale((uint32_t)largest) : scale;
    for (size_t e = 0; e < inputs * outputs; e++) w[e] = now * w[e];
}

const hb_cpu_build HB_OF_BUILD(hb_cpu_build) = {.variant = HB_STRING(HB_CPU_BUILD),
                                                .search = &HB_OF_BUILD(hb_cpu_search),
                                                .expand = HB_OF_BUILD(hb_cpu_expand),
                                                .step = step_lane,
                                                .weights = lane_weights,
                                                .mixture = &HB_OF_BUILD(hb_cpu_mixture),
                                                .vision = &HB_OF_BUILD(hb_cpu_vision),
                                                .robots = &HB_OF_BUILD(hb_rigid_4x2)};
