// The CUDA device: table, memory, errors. One stream; calls return when their results are in host memory, or,
// where they have none, when the work is queued.
#include "kernels/cuda.h"

#include <cstdlib>
#include <cstring>

// ---------------------------------------------------------------------------------------------------
// Errors

hb_status hb_cuda_check(cudaError_t result, const char *what, const char *file, int line, hb_error *error) {
    if (result == cudaSuccess) return HB_OK;
    cudaGetLastError(); // an expected failure must not be blamed on the next call
    return hb_fail(error, HB_FAILED, "cuda: %s: %s (%s:%d)%s", what, cudaGetErrorString(result), file, line,
                   result == cudaErrorMemoryAllocation ? "; lower run.group or search.population" : "");
}

static hb_status cuda_probe(hb_error *error) {
    int n = 0;
    const cudaError_t result = cudaGetDeviceCount(&n);
    if (result == cudaSuccess && n > 0) return HB_OK;
    cudaGetLastError();
    if (result == cudaErrorInsufficientDriver || result == cudaErrorNoDevice || result == cudaSuccess)
        return hb_fail(error, HB_FAILED, "no NVIDIA driver or card here (%s)", cudaGetErrorString(result));
    return hb_fail(error, HB_FAILED, "%s", cudaGetErrorString(result));
}

// ---------------------------------------------------------------------------------------------------
// Open, memory

static hb_status cuda_open(const char *variant, hb_device **out, hb_error *error) {
    (void)variant; // builds of the cpu device
    hb_status status = cuda_probe(error);
    if (status != HB_OK) return status;
    hb_device *device = (hb_device *)calloc(1, sizeof *device);
    if (!device) return hb_fail(error, HB_FAILED, "out of memory opening the cuda device");
    status = HB_CUDA(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
    if (status != HB_OK) {
        free(device);
        return status;
    }
    *out = device;
    return HB_OK;
}

static void cuda_close(hb_device *device) {
    cudaFree(device->scratch);
    cudaStreamDestroy(device->stream);
    free(device);
}

static const char *cuda_variant(const hb_device *device) {
    (void)device;
    return "fused";
}

hb_status hb_cuda_scratch(hb_device *device, size_t bytes, float **out, hb_error *error) {
    if (bytes > device->scratch_bytes) {
        // Work in flight may still use the old block.
        hb_status status = HB_CUDA(cudaStreamSynchronize(device->stream));
        if (status == HB_OK) status = HB_CUDA(cudaFree(device->scratch));
        device->scratch = NULL;
        device->scratch_bytes = 0;
        if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&device->scratch, bytes));
        if (status != HB_OK) return status;
        device->scratch_bytes = bytes;
    }
    *out = device->scratch;
    return HB_OK;
}

static hb_status cuda_alloc(hb_device *device, size_t n, float **out, hb_error *error) {
    *out = NULL;
    hb_status status = HB_CUDA(cudaMalloc((void **)out, (n ? n : 1) * sizeof **out));
    if (status == HB_OK) status = HB_CUDA(cudaMemsetAsync(*out, 0, n * sizeof **out, device->stream));
    return status;
}

static void cuda_free(hb_device *device, float *data) {
    cudaStreamSynchronize(device->stream);
    cudaFree(data);
}

static hb_status cuda_upload(hb_device *device, float *to, const float *from, size_t n, hb_error *error) {
    const hb_status status =
        HB_CUDA(cudaMemcpyAsync(to, from, n * sizeof *to, cudaMemcpyHostToDevice, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

static hb_status cuda_download(hb_device *device, float *to, const float *from, size_t n, hb_error *error) {
    const hb_status status =
        HB_CUDA(cudaMemcpyAsync(to, from, n * sizeof *to, cudaMemcpyDeviceToHost, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

// ---------------------------------------------------------------------------------------------------
// Groups

static size_t lane_bytes(const hb_net *net) {
    const hb_cuda_net layout = hb_cuda_layout(net);
    const size_t vectors = (size_t)net->layer[0].inputs + (size_t)net->layer[net->n_layers - 1].outputs;
    return ((size_t)layout.lane + vectors) * sizeof(float) + sizeof(int32_t) + 1;
}

static size_t cuda_group_bytes(const hb_device *device, const hb_net *net, int32_t lanes) {
    (void)device;
    return (size_t)lanes * lane_bytes(net);
}

// As many lanes as fit half of the free memory, at most 4096: more would not feed the card better.
static int32_t cuda_group_size(const hb_device *device, const hb_net *net) {
    (void)device;
    size_t available = 0, total = 0;
    if (cudaMemGetInfo(&available, &total) != cudaSuccess) return 64;
    const size_t lanes = available / 2 / lane_bytes(net);
    return lanes > 4096 ? 4096 : lanes < 1 ? 1 : (int32_t)lanes;
}

static void cuda_group_destroy(hb_group *group) {
    if (!group) return;
    cudaStreamSynchronize(group->device->stream);
    cudaFree(group->memory);
    cudaFree(group->steps);
    cudaFree(group->observation);
    cudaFree(group->action);
    cudaFree(group->active);
    free(group);
}

static hb_status allocate_group(hb_group *group, hb_error *error) {
    const size_t n = (size_t)group->lanes, lane = (size_t)group->layout.lane;
    const size_t inputs = (size_t)group->layout.inputs[0];
    const size_t outputs = (size_t)group->layout.outputs[group->layout.n_layers - 1];
    hb_status status = HB_CUDA(cudaMalloc((void **)&group->memory, n * lane * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->steps, n * sizeof(int32_t)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->observation, n * inputs * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->action, n * outputs * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->active, n));
    cudaStream_t stream = group->device->stream;
    if (status == HB_OK) status = HB_CUDA(cudaMemsetAsync(group->memory, 0, n * lane * sizeof(float), stream));
    if (status == HB_OK) status = HB_CUDA(cudaMemsetAsync(group->steps, 0, n * sizeof(int32_t), stream));
    return status;
}

static hb_status cuda_group_create(hb_device *device, const hb_net *net, int32_t lanes, hb_group **out,
                                   hb_error *error) {
    hb_group *group = (hb_group *)calloc(1, sizeof *group);
    if (!group) return hb_fail(error, HB_FAILED, "out of memory creating a group");
    group->device = device;
    group->net = *net;
    group->layout = hb_cuda_layout(net);
    group->lanes = lanes;
    const hb_status status = allocate_group(group, error);
    if (status != HB_OK) {
        cuda_group_destroy(group);
        return status;
    }
    *out = group;
    return HB_OK;
}

static hb_status cuda_group_expand(hb_group *group, int32_t first, int32_t count, const hb_lane *lane,
                                   double *sum_of_squares, hb_error *error) {
    hb_status status = HB_OK;
    for (int32_t k = 0; k < count && status == HB_OK; k++)
        status = hb_cuda_expand(group, first + k, &lane[k], sum_of_squares ? &sum_of_squares[k] : NULL, error);
    return status;
}

// Actions of resting lanes are left as they are: they travel to the device and back.
static hb_status cuda_group_step(hb_group *group, int32_t first, int32_t count, const uint8_t *active,
                                 const float *observation, float *action, hb_error *error) {
    cudaStream_t stream = group->device->stream;
    const size_t inputs = (size_t)group->layout.inputs[0];
    const size_t outputs = (size_t)group->layout.outputs[group->layout.n_layers - 1];
    const size_t n = (size_t)count, f = (size_t)first;
    float *actions = group->action + f * outputs;
    hb_status status = HB_CUDA(cudaMemcpyAsync(group->observation + f * inputs, observation,
                                               n * inputs * sizeof(float), cudaMemcpyHostToDevice, stream));
    if (active && status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(group->active + f, active, n, cudaMemcpyHostToDevice, stream));
    if (active && status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(actions, action, n * outputs * sizeof(float), cudaMemcpyHostToDevice, stream));
    if (status == HB_OK) status = hb_cuda_step(group, first, count, active != NULL, error);
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(action, actions, n * outputs * sizeof(float), cudaMemcpyDeviceToHost, stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(stream)) : status;
}

extern "C" const hb_device_table hb_cuda_device = {
    .name = "cuda",
    .summary = "an NVIDIA card: a block per lane, the step fused; the cpu device's bits",
    .host_parallel = false,
    .probe = cuda_probe,
    .open = cuda_open,
    .close = cuda_close,
    .variant = cuda_variant,
    .group_size = cuda_group_size,
    .group_bytes = cuda_group_bytes,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .sample = hb_cuda_sample,
    .gradient = hb_cuda_gradient,
    .sgd = hb_cuda_sgd,
    .adam = hb_cuda_adam,
    .group_create = cuda_group_create,
    .group_destroy = cuda_group_destroy,
    .group_expand = cuda_group_expand,
    .group_step = cuda_group_step,
    .group_weights = hb_cuda_weights,
};
