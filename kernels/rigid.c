#include "kernels/rigid.h"
#include "kernels/cpu/cpu.h"

#include <string.h>

_Static_assert(sizeof(hb_rigid_numbers) / sizeof(double) == sizeof(hb_rigid_floats) / sizeof(float), "numbers alone");

void hb_rigid_round(hb_rigid_model *model) {
    double numbers[sizeof(hb_rigid_numbers) / sizeof(double)];
    float floats[sizeof(hb_rigid_floats) / sizeof(float)] = {0};
    memcpy(numbers, &model->numbers, sizeof numbers);
    for (size_t k = 0; k < sizeof floats / sizeof *floats; k++) floats[k] = (float)numbers[k];
    memcpy(&model->floats, floats, sizeof floats);
}

const hb_rigid_code *hb_rigid_code_4x2(int32_t width) {
    const hb_rigid_code *codes[] = {
#ifdef __x86_64__
        &hb_rigid_4x2_avx512, &hb_rigid_4x2_avx2,
#endif
        &hb_rigid_4x2_generic};
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
        if ((width == 0 || codes[k]->width == width) && hb_cpu_can_run(codes[k]->variant)) return codes[k];
    return NULL;
}
