// A device's robots on the CPU: as many at a time as the build's instruction set has lanes.
#include "kernels/cpu/cpu.h"

#include <stdlib.h>

enum { LINE = 64 }; // bytes that states and scratch are aligned to

static void *aligned(size_t bytes) {
    return aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE);
}

// Robots [first, first + width) between the device's arrays and a block of one width; beyond `end` the last one is repeated.
static void copy_in(const hb_rigid_code *code, int32_t arrays, const float *state, int32_t n, int32_t first,
                    int32_t end, float *block) {
    for (int32_t a = 0; a < arrays; a++)
        for (int32_t l = 0; l < code->width; l++)
            block[a * code->width + l] =
                state[(size_t)a * (size_t)n + (size_t)(first + l < end ? first + l : end - 1)];
}

static void copy_out(const hb_rigid_code *code, int32_t arrays, const float *block, int32_t n, int32_t first,
                     int32_t end, float *state) {
    for (int32_t a = 0; a < arrays; a++)
        for (int32_t l = 0; l < code->width && first + l < end; l++)
            state[(size_t)a * (size_t)n + (size_t)(first + l)] = block[a * code->width + l];
}

hb_status hb_cpu_robots_step(const hb_rigid_code *code, const hb_rigid_model *model, float *state, int32_t n,
                             int32_t begin, int32_t end, int32_t steps, hb_error *error) {
    if (model->chains != code->chains || model->links != code->links)
        return hb_fail(error, HB_BAD_INPUT, "a robot of %d chains of %d links, expected %d of %d", model->chains,
                       model->links, code->chains, code->links);
    const int32_t arrays = hb_rigid_layout_of(code->chains, code->links).arrays;
    float *block = aligned((size_t)arrays * (size_t)code->width * sizeof *block);
    void *scratch = aligned(code->scratch);
    for (int32_t r = begin; block && scratch && r < end; r += code->width) {
        copy_in(code, arrays, state, n, r, end, block);
        code->step(model, block, scratch, steps);
        code->look(model, block, scratch);
        copy_out(code, arrays, block, n, r, end, state);
    }
    const bool failed = !block || !scratch;
    free(block);
    free(scratch);
    return failed ? hb_fail(error, HB_FAILED, "out of memory stepping robots") : HB_OK;
}
