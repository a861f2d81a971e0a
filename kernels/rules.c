#include "kernels/rules.h"

#include <string.h>

enum { NONE = -1 };

// clang-format off
//   name                    equation                                                   C  coefficients in memory order                  A  B     C     D_in  D_out eta   post^2
const hb_rule hb_rules[] = {
    {"A",                    "A o_i o_j",                                               1, {"A"},                                        0, NONE, NONE, NONE, NONE, NONE, false},
    {"AD",                   "A o_i o_j + D",                                           2, {"A", "D"},                                   0, NONE, NONE, 1,    NONE, NONE, false},
    {"AD_lr",                "eta (A o_i o_j + D)",                                     3, {"A", "D", "eta"},                            0, NONE, NONE, 1,    NONE, 2, false},
    {"ABC",                  "A o_i o_j + B o_i + C o_j",                               3, {"A", "B", "C"},                              0, 1,    2,    NONE, NONE, NONE, false},
    {"ABC_lr",               "eta (A o_i o_j + B o_i + C o_j)",                         4, {"A", "B", "C", "eta"},                       0, 1,    2,    NONE, NONE, 3, false},
    {"ABCD",                 "A o_i o_j + B o_i + C o_j + D",                           4, {"A", "B", "C", "D"},                         0, 1,    2,    3,    NONE, NONE, false},
    {"ABCD_lr",              "eta (A o_i o_j + B o_i + C o_j + D)",                     5, {"A", "B", "C", "eta", "D"},                  0, 1,    2,    4,    NONE, 3, false},
    {"ABCD_lr_D_out",        "eta (A o_i o_j + B o_i + C o_j) + D",                     5, {"A", "B", "C", "eta", "D"},                  0, 1,    2,    NONE, 4,    3, false},
    {"ABCD_lr_D_in_and_out", "eta (A o_i o_j + B o_i + C o_j + D_in) + D_out",          6, {"A", "B", "C", "eta", "D_in", "D_out"},      0, 1,    2,    4,    5,    3, false},
    {"BCM_lr",               "eta o_i (A o_j^2 + B)",                                   3, {"A", "B", "eta"},                            0, 1,    NONE, NONE, NONE, 2, true},
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
