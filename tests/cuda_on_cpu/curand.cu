// cuRAND's device generator beside our Philox: the same bits. Element i draws `blocks` blocks of four words of the
// sequence that curand_init(seed, i, 0) starts.
#include <cstdint>
#include <cuda_runtime.h>
#include <curand_kernel.h>

__global__ void curand_kernel_bits(uint32_t *out, unsigned long long seed, int32_t blocks) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    curandStatePhilox4_32_10_t state;
    curand_init(seed, i, 0, &state);
    for (int32_t b = 0; b < blocks; b++) {
        const uint4 words = curand4(&state);
        uint32_t *at = out + ((size_t)i * blocks + b) * 4;
        at[0] = words.x;
        at[1] = words.y;
        at[2] = words.z;
        at[3] = words.w;
    }
}

// Fills out (host memory, elements * blocks * 4 words). Returns a CUDA error code.
extern "C" int hb_test_curand(uint32_t *out, unsigned long long seed, int32_t elements, int32_t blocks) {
    uint32_t *words;
    const size_t bytes = (size_t)elements * blocks * 4 * sizeof *out;
    cudaError_t result = cudaMalloc((void **)&words, bytes);
    if (result != cudaSuccess) return result;
    cudaStream_t stream;
    result = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (result != cudaSuccess) return result;
    curand_kernel_bits<<<(unsigned)(elements / 32), 32, 0, stream>>>(words, seed, blocks);
    result = cudaMemcpyAsync(out, words, bytes, cudaMemcpyDeviceToHost, stream);
    if (result == cudaSuccess) result = cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    cudaFree(words);
    return result;
}
