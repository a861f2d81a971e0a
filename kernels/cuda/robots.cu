// Rigid robots on CUDA: a thread each, with the arithmetic of rigid_step.h. Arrays of the state are `n` long, so the threads of a
// warp read neighbours; a robot's working memory is the thread's local memory, which the card interleaves likewise.
#include "kernels/cuda/cuda.h"
#include "kernels/rigid_step.h"

enum { ARRAYS = sizeof(rigid_state) / sizeof(real) };

__global__ void robots_kernel(const hb_rigid_model *model, float *state, int32_t n, int32_t begin, int32_t end,
                              int32_t steps) {
    const int32_t robot = begin + (int32_t)(blockIdx.x * HB_CUDA_THREADS + threadIdx.x);
    if (robot >= end) return;
    rigid_state s = {};
    rigid_work w;
    real *arrays = (real *)&s;
    for (int32_t k = 0; k < ARRAYS; k++) arrays[k] = state[(int64_t)k * n + robot];
    rigid_step(model, &s, &w, steps);
    rigid_look(model, &s, &w);
    for (int32_t k = 0; k < ARRAYS; k++) state[(int64_t)k * n + robot] = arrays[k];
}

hb_status hb_cuda_robots_step(hb_device *device, const hb_rigid_model *model, hb_memory state, int32_t n,
                              int32_t begin, int32_t end, int32_t steps, hb_error *error) {
    if (model->chains != CHAINS || model->links != LINKS)
        return hb_fail(error, HB_BAD_INPUT, "a robot of %d chains of %d links, expected %d of %d", model->chains,
                       model->links, CHAINS, LINKS);
    if (begin >= end) return HB_OK;
    float *on_device;
    hb_status status = hb_cuda_scratch(device, sizeof *model, &on_device, error);
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(on_device, model, sizeof *model, cudaMemcpyHostToDevice, device->stream));
    if (status != HB_OK) return status;
    robots_kernel<<<hb_cuda_blocks(end - begin), HB_CUDA_THREADS, 0, device->stream>>>(
        (const hb_rigid_model *)on_device, hb_floats(state), n, begin, end, steps);
    status = HB_CUDA_LAUNCHED("robots");
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status; // the model may go
}
