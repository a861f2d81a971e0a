// The CPU device's arithmetic, compiled once per instruction set (HB_CPU_BODY names the result). ops.h defines every
// equation; the loops over fixed blocks of 16 or 64 elements below are written for the vectoriser.
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/vector.h"
#include "kernels/cpu/vision.h"

#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Search

// Numbers [begin, end) of theta, which is h where no rule is shared.
static void sample_numbers(const hb_genome *genome, float *h, size_t begin, size_t end) {
    const float *mean = genome->mean;
    for (size_t d = begin; d < end; d += HB_NOISE_BLOCK) {
        const size_t n = end - d < HB_NOISE_BLOCK ? end - d : HB_NOISE_BLOCK;
        float noise[HB_NOISE_BLOCK];
        hb_normals_block(genome->noise, (uint32_t)(d / HB_NOISE_BLOCK), noise);
        for (size_t r = 0; r < n; r++) h[d + r] = hb_fma(genome->sigma, noise[r], mean[d + r]);
    }
}

// The same where every synapse has its own noise around its rule.
static void sample_around_rules(const hb_genome *genome, float *h, size_t begin, size_t end) {
    for (size_t d = begin; d < end; d += HB_NOISE_BLOCK) {
        const size_t n = end - d < HB_NOISE_BLOCK ? end - d : HB_NOISE_BLOCK;
        float noise[HB_NOISE_BLOCK];
        hb_normals_block(genome->noise, (uint32_t)(d / HB_NOISE_BLOCK), noise);
        for (size_t r = 0; r < n; r++) {
            const int64_t at = hb_sharing_index(&genome->sharing, 0, (int64_t)(d + r));
            h[d + r] = hb_fma(genome->sigma, noise[r], genome->mean[at]);
        }
    }
}

// Every synapse's coefficients from theta, row by row of C.
static void spread_rules(const hb_sharing *sharing, const float *theta, float *h, size_t begin, size_t end) {
    const size_t coefficients = (size_t)sharing->n_coefficients, synapses = (size_t)sharing->n_synapses;
    const size_t shared = synapses * coefficients, stop = end < shared ? end : shared;
    size_t d = begin;
    while (d < stop) {
        const size_t i = d / coefficients, next = (i + 1) * coefficients < stop ? (i + 1) * coefficients : stop;
        for (int32_t r = 0; r < sharing->n_maps; r++) {
            const float *part = theta + sharing->rule[(size_t)r * synapses + i] * coefficients;
            for (size_t e = d; e < next; e++)
                h[e] = r ? h[e] + part[e - i * coefficients] : part[e - i * coefficients];
        }
        d = next;
    }
    for (; d < end; d++) h[d] = theta[hb_sharing_index(sharing, 0, (int64_t)d)];
}

static void body_sample(const hb_genome *genome, float *h, float *theta, size_t begin, size_t end) {
    const hb_sharing *sharing = &genome->sharing;
    if (!sharing->rule) {
        sample_numbers(genome, h, begin, end);
    } else if (sharing->noise_per_synapse) {
        sample_around_rules(genome, h, begin, end);
    } else {
        sample_numbers(genome, theta, 0, (size_t)sharing->n_numbers);
        spread_rules(sharing, theta, h, begin, end);
    }
}

static void body_gradient(float *g, const float *z, int32_t n_terms, hb_noise noise, size_t begin, size_t end) {
    for (size_t d = begin; d < end; d += HB_NOISE_BLOCK) {
        float sum[HB_NOISE_BLOCK] = {0};
        for (int32_t k = 0; k < n_terms; k++) {
            float normal[HB_NOISE_BLOCK];
            noise.individual = (uint32_t)k;
            hb_normals_block(noise, (uint32_t)(d / HB_NOISE_BLOCK), normal);
            for (int r = 0; r < HB_NOISE_BLOCK; r++) sum[r] = hb_fma(z[k], normal[r], sum[r]);
        }
        const size_t n = end - d < HB_NOISE_BLOCK ? end - d : HB_NOISE_BLOCK;
        memcpy(g + d, sum, n * sizeof *g);
    }
}

static void body_sgd(float *restrict mean, const float *restrict g, float rate, size_t begin, size_t end) {
    for (size_t d = begin; d < end; d++) mean[d] = hb_fma(rate, g[d], mean[d]);
}

static void body_adam(float *restrict mean, float *restrict m, float *restrict v, const float *restrict g, hb_adam p,
                      size_t begin, size_t end) {
    for (size_t d = begin; d < end; d++) {
        const float gradient = p.scale * g[d];
        m[d] = hb_fma(p.beta1, m[d], (1.0f - p.beta1) * gradient);
        v[d] = hb_fma(p.beta2, v[d], (1.0f - p.beta2) * gradient * gradient);
        const float step = m[d] * p.correction1 / (hb_sqrt(v[d] * p.correction2) + p.epsilon);
        mean[d] = hb_fma(p.rate, step, mean[d]);
    }
}

// ---------------------------------------------------------------------------------------------------
// Expand

static double sum_of_squares(const float *h, size_t n) {
    float stripe[HB_NOISE_BLOCK] = {0};
    size_t d = 0;
    for (; d + HB_NOISE_BLOCK <= n; d += HB_NOISE_BLOCK)
        for (int r = 0; r < HB_NOISE_BLOCK; r++) stripe[r] = hb_fma(h[d + r], h[d + r], stripe[r]);
    for (size_t r = 0; d + r < n; r++) stripe[r] = hb_fma(h[d + r], h[d + r], stripe[r]);
    double sum = 0.0;
    for (int r = 0; r < HB_NOISE_BLOCK; r++) sum += (double)stripe[r];
    return sum;
}

// The sequence of numbers that the initialiser draws for weights 0..n of a lane: words as floats in [0, 1) or
// normals, before scaling. w has room for n rounded up to 64.
static void draw_weights(const hb_initialiser *init, hb_noise id, float *w, size_t n) {
    for (size_t e = 0; e < n; e += HB_NOISE_BLOCK) {
        if (init->draw == HB_DRAW_UNIFORM) {
            uint32_t word[HB_NOISE_BLOCK];
            hb_words_block(id, (uint32_t)(e / HB_NOISE_BLOCK), word);
            for (int r = 0; r < HB_NOISE_BLOCK; r++) w[e + r] = hb_uniform(word[r]);
        } else {
            hb_normals_block(id, (uint32_t)(e / HB_NOISE_BLOCK), w + e);
        }
    }
}

// Is weight j of the row among the ceil(0.8 O) that "sparse" sets to 0?
static int sparse_zero(const uint32_t *key, int32_t outputs, int32_t j) {
    int32_t smaller = 0;
    for (int32_t k = 0; k < outputs; k++) smaller += key[k] < key[j] || (k < j && key[k] == key[j]);
    return smaller < (4 * outputs + 4) / 5;
}

// Scales one row of draws into initial weights.
static void scale_row(const hb_initialiser *init, const hb_layer *layer, hb_noise id, int32_t i, float *w) {
    const float s = hb_initialiser_scale(init, layer->inputs, layer->outputs);
    const int32_t outputs = layer->outputs;
    switch (init->draw) {
    case HB_DRAW_UNIFORM:
        for (int32_t j = 0; j < outputs; j++) w[j] = hb_fma(w[j], 2.0f * s, -s);
        break;
    case HB_DRAW_NORMAL:
        for (int32_t j = 0; j < outputs; j++) w[j] = s * w[j];
        break;
    case HB_DRAW_SPARSE: {
        uint32_t key[HB_MAX_WIDTH];
        id.stream = HB_STREAM_WEIGHTS_MASK;
        const uint64_t first = (uint64_t)layer->weight_offset + (uint64_t)i * (uint64_t)outputs;
        for (int32_t j = 0; j < outputs; j++) key[j] = hb_noise_word(id, first + (uint64_t)j);
        for (int32_t j = 0; j < outputs; j++) w[j] = sparse_zero(key, outputs, j) ? 0.0f : s * w[j];
        break;
    }
    case HB_DRAW_CONSTANT:
        for (int32_t j = 0; j < outputs; j++) w[j] = s;
        break;
    case HB_DRAW_GENOME:
        break;
    }
}

// Folds row i of a layer into the lane. h: the genome's part for this row, w: its initial weights.
static void expand_row(const hb_group *group, int32_t l, const float *h, const float *w, float *row) {
    const hb_net *net = &group->net;
    const int32_t outputs = net->layer[l].outputs;
    const size_t arrays = group->layout.arrays;
    memset(row, 0, group->layout.row[l] * sizeof *row);
    for (int32_t j = 0; j < outputs; j++) {
        float *at = row + hb_cpu_column(arrays, (size_t)j);
        *at = w[j];
        if (!net->rule) continue;
        float folded[HB_N_PLANES];
        hb_rule_fold(net->rule, h + (size_t)j * (size_t)net->rule->n_coefficients, folded);
        for (int p = 0; p < HB_N_PLANES; p++)
            if (net->planes >> p & 1u)
                *(at += HB_CPU_PAD) = net->half_planes ? hb_half_value(hb_half_bits(folded[p])) : folded[p];
    }
}

static void body_expand(hb_group *group, int32_t lane, const hb_lane *life, float *scratch, double *squares) {
    const hb_net *net = &group->net;
    float *memory = group->memory + (size_t)lane * group->layout.lane;
    float *h = scratch;
    float *draws = scratch + ((size_t)net->genome_size + 63) / 64 * 64;
    float *theta = draws + ((size_t)net->n_weights + 63) / 64 * 64;
    body_sample(&life->genome, h, theta, 0, (size_t)net->genome_size);
    if (squares) *squares = sum_of_squares(h, (size_t)net->n_penalised);
    if (!net->rule)
        draws = h;
    else if (net->init->draw == HB_DRAW_GENOME)
        draws = h + net->n_penalised;
    else if (net->init->draw != HB_DRAW_CONSTANT)
        draw_weights(net->init, life->weights, draws, (size_t)net->n_weights);
    for (int32_t l = 0; l < net->n_layers; l++) {
        const hb_layer *layer = &net->layer[l];
        for (int32_t i = 0; i < layer->inputs; i++) {
            float *w = draws + layer->weight_offset + (int64_t)i * layer->outputs;
            if (net->rule) scale_row(net->init, layer, life->weights, i, w);
            expand_row(group, l, h + hb_net_genome_index(net, l, i, 0, 0), w,
                       memory + group->layout.rows[l] + (size_t)i * group->layout.row[l]);
        }
        memory[group->layout.scale + (size_t)l] = 1.0f;
    }
    if (net->vision.n_weights)
        hb_cpu_vision_expand(&net->vision, net->vision.evolved ? h + hb_net_vision_offset(net) : NULL,
                             life->weights.seed, memory + group->layout.vision);
    const size_t activations = group->layout.scale - group->layout.activations[0];
    memset(memory + group->layout.activations[0], 0, activations * sizeof *memory);
    group->steps[lane] = 0;
}

// ---------------------------------------------------------------------------------------------------
// Step

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
                w = hb_vf_fma(scale, w, hb_vf_fma(b, pre, d));
                w = hb_vf_fma(hb_vf_fma(a, pre, c), post[v], w);
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

// s = 1 / max|w|, or 1 where the largest is 0 or subnormal, whose reciprocal may be infinite.
static float scale_of(int32_t largest) {
    return largest < 0x00800000 ? 1.0f : 1.0f / hb_from_bits((uint32_t)largest);
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
        group->body->vision->look(&net->vision, memory + group->layout.vision, (const uint8_t *)observation, own);
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

static void body_step(hb_group *group, int32_t lane, const float *observation, float *action) {
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
        if (measure) *scale = scale_of(largest);
        if (net->layer[l].activation == HB_LSTM)
            lstm_cell(hb_net_lstm(net), last + layout->activation[1], y);
        else
            activate(net->layer[l].activation, *scale, y, layout->padded[l]);
    }
    memcpy(action, now + layout->activation[net->n_layers],
           (size_t)net->layer[net->n_layers - 1].outputs * sizeof *action);
}

static void body_weights(const hb_group *group, int32_t lane, int32_t l, float *w) {
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
            const float change = hb_fma(plane[HB_PLANE_B], pre[i], plane[HB_PLANE_D]);
            const float rate = hb_fma(plane[HB_PLANE_A], pre[i], plane[HB_PLANE_C]);
            const float kept = hb_fma(memory[layout->scale + (size_t)l], *at, change);
            const float value = update ? hb_fma(rate, post[j], kept) : *at;
            const int32_t magnitude = (int32_t)(hb_bits(value) & 0x7fffffffu);
            largest = magnitude > largest ? magnitude : largest;
            w[i * outputs + j] = value;
        }
    }
    if (!update || !net->normalise) return;
    const float scale = scale_of(largest);
    for (size_t e = 0; e < inputs * outputs; e++) w[e] = scale * w[e];
}

const hb_cpu_body HB_JOIN(hb_cpu_, HB_CPU_BODY) = {.variant = HB_STRING(HB_CPU_BODY),
                                                   .sample = body_sample,
                                                   .gradient = body_gradient,
                                                   .sgd = body_sgd,
                                                   .adam = body_adam,
                                                   .expand = body_expand,
                                                   .step = body_step,
                                                   .weights = body_weights,
                                                   .mixture = &HB_JOIN(hb_cpu_mixture_, HB_CPU_BODY),
                                                   .vision = &HB_JOIN(hb_cpu_vision_, HB_CPU_BODY)};
