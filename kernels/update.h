// The formulas that every device and every build of it computes, one body each (docs/equations.md; kernels/ops.h defines the
// order of operations). A formula over vectors as well as over single numbers is a macro over the type's fused multiply-add.
#ifndef HB_UPDATE_H
#define HB_UPDATE_H

#include "kernels/ops.h"

// A synapse's weight after the update by its four planes: k w + (b pre + d) + (a pre + c) post, k of hb_kept. fma is hb_fma, or the
// same of a vector type.
#define HB_PLASTIC_UPDATE(fma, w, kept, pre, post, a, b, c, d) fma(fma(a, pre, c), post, fma(kept, w, fma(b, pre, d)))

// The same in two parts, for nets that are gated: what the rule adds, and the weight that this, or its trace, makes with modulator m
// and the pull r to the weight of birth.
#define HB_PLASTIC_CHANGE(fma, pre, post, a, b, c, d) fma(fma(a, pre, c), post, fma(b, pre, d))
#define HB_PLASTIC_GATED(fma, w, kept, m, change, r)  fma(kept, w, fma(m, change, r))

// Whether the step with that number, from 0, begins with the update of the step before.
HB_HD bool hb_updates_before(const hb_plasticity *p, int32_t step) {
    return step > 0 && (p->every < 2 || (step - 1) % p->every == 0);
}

// What an update keeps of a weight in a layer with scale s: s (1 - decay - oja post^2). Exactly s without both.
HB_HD float hb_kept(const hb_plasticity *p, float scale, float post) {
    const float kept = 1.0f - p->decay;
    return p->oja == 0.0f ? scale * kept : scale * hb_fma(-p->oja * post, post, kept);
}

// What modulates an update: the reward that its step earned, or the last layer's last output in it.
HB_HD float hb_modulation(const hb_plasticity *p, float reward, float output) {
    return p->modulator == HB_MODULATE_REWARD ? reward : p->modulator == HB_MODULATE_OUTPUT ? output : 1.0f;
}

// A synapse's planes at birth: hb_rule_fold, and the pull decay w to its weight of birth, in a plane of its own or in d.
HB_HD void hb_fold(const hb_rule *rule, const hb_plasticity *p, uint32_t has, const float *h, float w,
                   float planes[HB_MAX_PLANES]) {
    hb_rule_fold(rule, h, planes);
    planes[HB_PLANE_BIRTH] = 0.0f;
    if (p->decay > 0.0f) planes[has >> HB_PLANE_BIRTH & 1u ? HB_PLANE_BIRTH : HB_PLANE_D] += p->decay * w;
}

// One synapse's weight after an update, of either form; post as the rule takes it. *trace is moved if there are traces.
HB_HD float hb_updated(const hb_plasticity *p, bool gated, float m, float w, float kept, float pre, float post,
                       const float plane[HB_MAX_PLANES], float *trace) {
    const float a = plane[HB_PLANE_A], b = plane[HB_PLANE_B], c = plane[HB_PLANE_C], d = plane[HB_PLANE_D];
    if (!gated) return HB_PLASTIC_UPDATE(hb_fma, w, kept, pre, post, a, b, c, d);
    float change = HB_PLASTIC_CHANGE(hb_fma, pre, post, a, b, c, d);
    if (p->trace > 0.0f) change = *trace = hb_fma(p->trace, *trace, change);
    return HB_PLASTIC_GATED(hb_fma, w, kept, m, change, plane[HB_PLANE_BIRTH]);
}

// The bits of |w|, which order like |w|; those of a NaN are larger than any number's.
HB_HD uint32_t hb_magnitude(float w) {
    return hb_bits(w) & 0x7fffffffu;
}

// The scale of a normalised layer, 1 / max|w|, from the bits of max|w|; 1 where the largest is 0 or subnormal, whose
// reciprocal may be infinite.
HB_HD float hb_layer_scale(uint32_t largest) {
    return largest < 0x00800000u ? 1.0f : 1.0f / hb_from_bits(largest);
}

// One element of Adam (Kingma & Ba 2015), ascending the gradient scale g: updates the moments m and v, returns the new mean.
HB_HD float hb_adam_step(const hb_adam *p, float mean, float *m, float *v, float g) {
    const float gradient = p->scale * g;
    *m = hb_fma(p->beta1, *m, (1.0f - p->beta1) * gradient);
    *v = hb_fma(p->beta2, *v, (1.0f - p->beta2) * gradient * gradient);
    const float step = *m * p->correction1 / (hb_sqrt(*v * p->correction2) + p->epsilon);
    return hb_fma(p->rate, step, mean);
}

// Initialiser "sparse": weight j of a row of O is 0 if fewer than ceil(0.8 O) weights k of its row come before it in the
// order of (key, index).
HB_HD bool hb_sparse_before(uint32_t key_k, int32_t k, uint32_t key_j, int32_t j) {
    return key_k < key_j || (k < j && key_k == key_j);
}

HB_HD int32_t hb_sparse_zeros(int32_t outputs) {
    return (4 * outputs + 4) / 5;
}

// The sum of squares of ops.h, "Sample", on one thread.
static inline double hb_sum_of_squares(const float *h, size_t n) {
    float stripe[HB_NOISE_BLOCK] = {0};
    size_t d = 0;
    for (; d + HB_NOISE_BLOCK <= n; d += HB_NOISE_BLOCK)
        for (int r = 0; r < HB_NOISE_BLOCK; r++) stripe[r] = hb_fma(h[d + r], h[d + r], stripe[r]);
    for (size_t r = 0; d + r < n; r++) stripe[r] = hb_fma(h[d + r], h[d + r], stripe[r]);
    double sum = 0.0;
    for (int r = 0; r < HB_NOISE_BLOCK; r++) sum += (double)stripe[r];
    return sum;
}

#endif
