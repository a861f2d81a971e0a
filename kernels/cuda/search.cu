// The search's operations on CUDA. Equations and orders of summation: ops.h.
#include "kernels/cuda/cuda.h"
#include "kernels/update.h"

// ---------------------------------------------------------------------------------------------------
// Sample: a thread per Philox counter makes four elements, 16 apart, so 16 neighbouring threads write 64
// bytes in a row.

// Where rules are shared and the noise is theirs, `out` receives theta, else elements [begin, end) of the genome.
__global__ void sample_kernel(hb_genome genome, float *out, size_t first_counter, size_t end) {
    hb_cuda_numbers(genome, out, first_counter + (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x, end);
}

__global__ void gather_kernel(hb_sharing sharing, const float *theta, float *h, size_t begin, size_t end) {
    const size_t d = begin + (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;
    if (d < end) h[d] = hb_sharing_value(sharing, theta, (int64_t)d);
}

const void *const hb_cuda_some_kernel = (const void *)gather_kernel;

hb_status hb_cuda_sample(hb_device *device, const hb_genome *genome, hb_memory h, size_t begin, size_t end,
                         hb_error *error) {
    if (begin >= end) return HB_OK;
    const bool theta = hb_has_theta(&genome->sharing);
    const size_t from = theta ? 0 : begin, to = theta ? (size_t)genome->sharing.n_numbers : end;
    float *out = hb_floats(h);
    hb_status status = theta ? hb_cuda_scratch(device, to * sizeof *out, &out, error) : HB_OK;
    if (status != HB_OK) return status;
    const size_t counters = (to - from + HB_NOISE_BLOCK - 1) / HB_NOISE_BLOCK * 16;
    sample_kernel<<<hb_cuda_blocks((int64_t)counters), HB_CUDA_THREADS, 0, device->stream>>>(
        *genome, out, from / HB_NOISE_BLOCK * 16, to);
    status = HB_CUDA_LAUNCHED("sample");
    if (status != HB_OK || !theta) return status;
    gather_kernel<<<hb_cuda_blocks((int64_t)(end - begin)), HB_CUDA_THREADS, 0, device->stream>>>(
        genome->sharing, out, hb_floats(h), begin, end);
    return HB_CUDA_LAUNCHED("gather");
}

// ---------------------------------------------------------------------------------------------------
// Gradient: the same threads, each keeping its four sums in registers over all terms. z is read by all
// threads of a warp at once.

template <bool SQUARES>
__global__ void gradient_kernel(float *g, const float *z, int32_t n_terms, hb_noise noise, size_t first_counter,
                                size_t end) {
    const size_t counter = first_counter + (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;
    if (hb_cuda_element(counter, 0) >= end) return;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int32_t k = 0; k < n_terms; k++) {
        float normal[4];
        noise.individual = (uint32_t)k;
        hb_cuda_normals(noise, counter, normal);
        for (int part = 0; part < 4; part++)
            sum[part] = hb_fma(z[k], SQUARES ? normal[part] * normal[part] : normal[part], sum[part]);
    }
    for (uint32_t part = 0; part < 4; part++) {
        const size_t d = hb_cuda_element(counter, part);
        if (d < end) g[d] = sum[part];
    }
}

hb_status hb_cuda_gradient(hb_device *device, hb_memory g, const float *z, int32_t n_terms, hb_noise noise,
                           bool squares, size_t begin, size_t end, hb_error *error) {
    const size_t first = begin / HB_NOISE_BLOCK * 16;
    const size_t counters = (end - begin + HB_NOISE_BLOCK - 1) / HB_NOISE_BLOCK * 16;
    if (counters == 0) return HB_OK;
    float *on_device;
    const size_t bytes = (size_t)n_terms * sizeof *z;
    hb_status status = hb_cuda_scratch(device, bytes, &on_device, error);
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(on_device, z, bytes, cudaMemcpyHostToDevice, device->stream));
    if (status != HB_OK) return status;
    const auto kernel = squares ? gradient_kernel<true> : gradient_kernel<false>;
    kernel<<<hb_cuda_blocks((int64_t)counters), HB_CUDA_THREADS, 0, device->stream>>>(hb_floats(g), on_device,
                                                                                      n_terms, noise, first, end);
    status = HB_CUDA_LAUNCHED("gradient");
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status; // z may go, and errors come now
}

// ---------------------------------------------------------------------------------------------------
// Optimisers: a thread per element

__global__ void sgd_kernel(float *mean, const float *g, float rate, size_t begin, size_t end) {
    const size_t d = begin + (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;
    if (d >= end) return;
    mean[d] = hb_fma(rate, g[d], mean[d]);
}

hb_status hb_cuda_sgd(hb_device *device, hb_memory mean, hb_memory g, float rate, size_t begin, size_t end,
                      hb_error *error) {
    if (begin >= end) return HB_OK;
    sgd_kernel<<<hb_cuda_blocks((int64_t)(end - begin)), HB_CUDA_THREADS, 0, device->stream>>>(
        hb_floats(mean), hb_floats(g), rate, begin, end);
    return HB_CUDA_LAUNCHED("sgd");
}

__global__ void adam_kernel(float *mean, float *m, float *v, const float *g, hb_adam p, size_t begin, size_t end) {
    const size_t d = begin + (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;
    if (d >= end) return;
    mean[d] = hb_adam_step(&p, mean[d], &m[d], &v[d], g[d]);
}

hb_status hb_cuda_adam(hb_device *device, hb_memory mean, hb_memory m, hb_memory v, hb_memory g, hb_adam p,
                       size_t begin, size_t end, hb_error *error) {
    if (begin >= end) return HB_OK;
    adam_kernel<<<hb_cuda_blocks((int64_t)(end - begin)), HB_CUDA_THREADS, 0, device->stream>>>(
        hb_floats(mean), hb_floats(m), hb_floats(v), hb_floats(g), p, begin, end);
    return HB_CUDA_LAUNCHED("adam");
}
