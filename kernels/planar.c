#include "kernels/planar.h"
#include "kernels/cpu/cpu.h"

#include <string.h>

_Static_assert(sizeof(hb_planar_numbers) / sizeof(double) == sizeof(hb_planar_floats) / sizeof(float),
               "numbers alone");

void hb_planar_round(hb_planar_model *model) {
    double numbers[sizeof(hb_planar_numbers) / sizeof(double)];
    float floats[sizeof(hb_planar_floats) / sizeof(float)] = {0};
    memcpy(numbers, &model->numbers, sizeof numbers);
    for (size_t k = 0; k < sizeof floats / sizeof *floats; k++) floats[k] = (float)numbers[k];
    memcpy(&model->floats, floats, sizeof floats);
}

const hb_planar_code *hb_planar_code_2x3(int32_t width) {
    const hb_planar_code *codes[] = {
#ifdef __x86_64__
        &hb_planar_2x3_avx512, &hb_planar_2x3_avx2,
#endif
        &hb_planar_2x3_generic};
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
        if ((width == 0 || codes[k]->width == width) && hb_cpu_can_run(codes[k]->variant)) return codes[k];
    return NULL;
}
