// Plasticity rules. A rule is data: which of a synapse's coefficients plays which part. All rules fold into four planes, so that
// one update serves them all; a rule of that form is one line of rules.c.
#ifndef HB_RULES_H
#define HB_RULES_H

#include "kernels/scalar.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_MAX_COEFFICIENTS 6

// BIRTH is a plane that no rule has: what draws a weight back to the one of birth (net.h, hb_plasticity), where it does not go into d.
enum { HB_PLANE_A, HB_PLANE_B, HB_PLANE_C, HB_PLANE_D, HB_N_PLANES, HB_PLANE_BIRTH = HB_N_PLANES, HB_MAX_PLANES };

// Indices of the coefficients A, B, C, D_in (inside the learning rate's bracket), D_out (outside of it) and eta among the rule's C
// coefficients; -1: the rule has none.
typedef struct {
    const char *name;
    const char *equation;
    int32_t n_coefficients;
    const char *coefficients[HB_MAX_COEFFICIENTS]; // names in memory order
    int8_t a, b, c, d_in, d_out, eta;
    bool squares_post; // post in dw is its square
} hb_rule;

// The nine rules of Najarro & Risi 2020 and its code, and those of later work (docs/equations.md, "Rules").
extern const hb_rule hb_rules[];
extern const int32_t hb_n_rules;

// The rule of that name, or NULL.
const hb_rule *hb_rule_find(const char *name);

// The planes that the rule has, as bits: bit p is plane p.
uint32_t hb_rule_planes(const hb_rule *rule);

// Folds one synapse's coefficients h[C] into its planes:
//     a = eta A,  b = eta B,  c = eta C,  d = eta D_in + D_out        (eta = 1, D = 0 where absent)
// so that every rule is  dw = (a pre + c) post + (b pre + d). Each product is rounded once; networks with half_planes then round
// each plane to half precision.
HB_HD void hb_rule_fold(const hb_rule *rule, const float *h, float planes[HB_N_PLANES]) {
    const float eta = rule->eta >= 0 ? h[rule->eta] : 1.0f;
    planes[HB_PLANE_A] = rule->a >= 0 ? eta * h[rule->a] : 0.0f;
    planes[HB_PLANE_B] = rule->b >= 0 ? eta * h[rule->b] : 0.0f;
    planes[HB_PLANE_C] = rule->c >= 0 ? eta * h[rule->c] : 0.0f;
    const float d_out = rule->d_out >= 0 ? h[rule->d_out] : 0.0f;
    planes[HB_PLANE_D] = rule->d_in >= 0 ? hb_fma(eta, h[rule->d_in], d_out) : d_out;
}

#ifdef __cplusplus
}
#endif

#endif
