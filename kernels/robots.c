// Robots of both kinds (rigid.h, planar.h): rounding a model, and the code for this processor.
#include "kernels/cpu/cpu.h"

#include <string.h>

enum { RIGID = sizeof(hb_rigid_numbers) / sizeof(double), PLANAR = sizeof(hb_planar_numbers) / sizeof(double) };
_Static_assert(RIGID == sizeof(hb_rigid_floats) / sizeof(float), "numbers alone");
_Static_assert(PLANAR == sizeof(hb_planar_floats) / sizeof(float), "numbers alone");

// Of n numbers in a struct that holds nothing else
static void round_numbers(const void *numbers, void *floats, size_t n) {
    for (size_t k = 0; k < n; k++) {
        double number;
        memcpy(&number, (const char *)numbers + k * sizeof number, sizeof number);
        const float rounded = (float)number;
        memcpy((char *)floats + k * sizeof rounded, &rounded, sizeof rounded);
    }
}

void hb_rigid_round(hb_rigid_model *model) {
    round_numbers(&model->numbers, &model->floats, RIGID);
}

void hb_planar_round(hb_planar_model *model) {
    round_numbers(&model->numbers, &model->floats, PLANAR);
}

static bool fits(const char *variant, int32_t its_width, int32_t width) {
    return (width == 0 || its_width == width) && hb_cpu_can_run(variant);
}

const hb_rigid_code *hb_rigid_code_4x2(int32_t width) {
    const hb_rigid_code *codes[] = {
#ifdef __x86_64__
        &hb_rigid_4x2_avx512, &hb_rigid_4x2_avx2,
#endif
        &hb_rigid_4x2_generic};
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
        if (fits(codes[k]->variant, codes[k]->width, width)) return codes[k];
    return NULL;
}

const hb_planar_code *hb_planar_code_2x3(int32_t width) {
    const hb_planar_code *codes[] = {
#ifdef __x86_64__
        &hb_planar_2x3_avx512, &hb_planar_2x3_avx2,
#endif
        &hb_planar_2x3_generic};
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
        if (fits(codes[k]->variant, codes[k]->width, width)) return codes[k];
    return NULL;
}
