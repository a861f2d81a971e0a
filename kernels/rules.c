#include "kernels/rules.h"

#include <string.h>

enum { NONE = -1 };

// Names, equations, coefficients in memory order, then the indices of A, B, C, D_in, D_out, eta.
#define RULE(name_, equation_, n, names_, a_, b_, c_, d_in_, d_out_, eta_)                                           \
    {                                                                                                                \
        .name = name_, .equation = equation_, .n_coefficients = n, .coefficients = names_, .a = a_, .b = b_,         \
        .c = c_, .d_in = d_in_, .d_out = d_out_, .eta = eta_                                                         \
    }
#define NAMES(...)                                                                                                   \
    { __VA_ARGS__ }

// clang-format off
const hb_rule hb_rules[] = {
    RULE("A",                    "A o_i o_j",                                              1, NAMES("A"),                                       0, NONE, NONE, NONE, NONE, NONE),
    RULE("AD",                   "A o_i o_j + D",                                          2, NAMES("A", "D"),                                  0, NONE, NONE, 1,    NONE, NONE),
    RULE("AD_lr",                "eta (A o_i o_j + D)",                                    3, NAMES("A", "D", "eta"),                           0, NONE, NONE, 1,    NONE, 2),
    RULE("ABC",                  "A o_i o_j + B o_i + C o_j",                              3, NAMES("A", "B", "C"),                             0, 1,    2,    NONE, NONE, NONE),
    RULE("ABC_lr",               "eta (A o_i o_j + B o_i + C o_j)",                        4, NAMES("A", "B", "C", "eta"),                      0, 1,    2,    NONE, NONE, 3),
    RULE("ABCD",                 "A o_i o_j + B o_i + C o_j + D",                          4, NAMES("A", "B", "C", "D"),                        0, 1,    2,    3,    NONE, NONE),
    RULE("ABCD_lr",              "eta (A o_i o_j + B o_i + C o_j + D)",                    5, NAMES("A", "B", "C", "eta", "D"),                 0, 1,    2,    4,    NONE, 3),
    RULE("ABCD_lr_D_out",        "eta (A o_i o_j + B o_i + C o_j) + D",                    5, NAMES("A", "B", "C", "eta", "D"),                 0, 1,    2,    NONE, 4,    3),
    RULE("ABCD_lr_D_in_and_out", "eta (A o_i o_j + B o_i + C o_j + D_in) + D_out",         6, NAMES("A", "B", "C", "eta", "D_in", "D_out"),     0, 1,    2,    4,    5,    3),
};
// clang-format on
const int32_t hb_n_rules = sizeof hb_rules / sizeof *hb_rules;

const hb_rule *hb_rule_find(const char *name) {
    for (int32_t k = 0; k < hb_n_rules; k++)
        if (strcmp(hb_rules[k].name, name) == 0) return &hb_rules[k];
    return NULL;
}

uint32_t hb_rule_planes(const hb_rule *rule) {
    const uint32_t d = rule->d_in >= 0 || rule->d_out >= 0;
    return (uint32_t)(rule->a >= 0) << HB_PLANE_A | (uint32_t)(rule->b >= 0) << HB_PLANE_B |
           (uint32_t)(rule->c >= 0) << HB_PLANE_C | d << HB_PLANE_D;
}
