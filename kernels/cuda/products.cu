// What the fused kernels are compared with: matrices in memory, multiplied by cuBLAS. The library is loaded on demand, so nothing
// else needs it. A cuBLAS that the process links itself is preferred.
#include "kernels/cuda/cuda.h"

#include <cstdlib>
#include <cublas_v2.h>
#include <dlfcn.h>

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

struct hb_products {
    hb_device *device;
    void *library; // NULL where the process links it
    cublasHandle_t handle;
    decltype(&cublasDestroy) destroy;
    decltype(&cublasSgemmStridedBatched) batched;
    decltype(&cublasSgemv) by_vector;
    decltype(&cublasGetStatusString) text;
};

static hb_status check(const hb_products *p, cublasStatus_t result, const char *what, hb_error *error) {
    if (result == CUBLAS_STATUS_SUCCESS) return HB_OK;
    return hb_fail(error, HB_FAILED, "cublas: %s: %s", what, p->text(result));
}

// ---------------------------------------------------------------------------------------------------
// Open

template <typename F> static bool find(void *library, const char *name, F *function) {
    *function = (F)dlsym(library ? library : RTLD_DEFAULT, name);
    return *function != NULL;
}

static hb_status load(hb_products *p, hb_error *error) {
    static const char name[] = "libcublas.so." TEXT(CUBLAS_VER_MAJOR);
    decltype(&cublasCreate) create;
    decltype(&cublasSetStream) set_stream;
    if (!dlsym(RTLD_DEFAULT, "cublasCreate_v2")) {
        p->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!p->library) return hb_fail(error, HB_FAILED, "cublas: %s", dlerror());
    }
    if (!find(p->library, "cublasCreate_v2", &create) || !find(p->library, "cublasSetStream_v2", &set_stream) ||
        !find(p->library, "cublasDestroy_v2", &p->destroy) || !find(p->library, "cublasSgemv_v2", &p->by_vector) ||
        !find(p->library, "cublasSgemmStridedBatched", &p->batched) ||
        !find(p->library, "cublasGetStatusString", &p->text))
        return hb_fail(error, HB_FAILED, "cublas: %s lacks a function", name);
    const hb_status status = check(p, create(&p->handle), "create", error);
    return status == HB_OK ? check(p, set_stream(p->handle, p->device->stream), "set stream", error) : status;
}

static void products_close(hb_products *p) {
    if (!p) return;
    if (p->handle) p->destroy(p->handle);
    if (p->library) dlclose(p->library);
    free(p);
}

static hb_status products_open(hb_device *device, hb_products **out, hb_error *error) {
    hb_products *p = (hb_products *)calloc(1, sizeof *p);
    if (!p) return hb_fail(error, HB_FAILED, "out of memory opening cuBLAS");
    p->device = device;
    const hb_status status = load(p, error);
    if (status == HB_OK)
        *out = p;
    else
        products_close(p);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Static forward. cuBLAS's matrices are column-major, so w[I][O] is its (O, I).

__global__ void tanh_kernel(float *y, size_t n) {
    const size_t k = (size_t)blockIdx.x * HB_CUDA_THREADS + threadIdx.x;
    if (k < n) y[k] = hb_tanh(y[k]);
}

static hb_status layer_forward(hb_products *p, const hb_net *net, int32_t l, int32_t count, const float *weights,
                               const float *x, float *y, hb_error *error) {
    const hb_layer &layer = net->layer[l];
    const float one = 1.0f, zero = 0.0f;
    const hb_status status =
        check(p,
              p->batched(p->handle, CUBLAS_OP_N, CUBLAS_OP_N, layer.outputs, 1, layer.inputs, &one,
                         weights + layer.weight_offset, layer.outputs, net->n_weights, x, layer.inputs, layer.inputs,
                         &zero, y, layer.outputs, layer.outputs, count),
              "batched product", error);
    if (status != HB_OK || layer.activation != HB_TANH) return status;
    const size_t n = (size_t)count * (size_t)layer.outputs;
    tanh_kernel<<<(unsigned)((n + HB_CUDA_THREADS - 1) / HB_CUDA_THREADS), HB_CUDA_THREADS, 0, p->device->stream>>>(
        y, n);
    return HB_CUDA_LAUNCHED("tanh");
}

static hb_status products_forward(hb_products *p, const hb_net *net, int32_t count, hb_memory weights,
                                  const float *observation, float *action, hb_error *error) {
    hb_device *device = p->device;
    size_t widest = (size_t)net->layer[0].inputs;
    for (int32_t l = 0; l < net->n_layers; l++)
        widest = (size_t)net->layer[l].outputs > widest ? (size_t)net->layer[l].outputs : widest;
    const size_t lanes = (size_t)count, last = (size_t)net->layer[net->n_layers - 1].outputs;
    float *x;
    hb_status status = hb_cuda_scratch(device, 2 * lanes * widest * sizeof *x, &x, error);
    if (status != HB_OK) return status;
    status = HB_CUDA(cudaMemcpyAsync(x, observation, lanes * (size_t)net->layer[0].inputs * sizeof *x,
                                     cudaMemcpyHostToDevice, device->stream));
    float *y = x + lanes * widest;
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++) {
        status = layer_forward(p, net, l, count, hb_floats(weights), x, y, error);
        float *const next = y;
        y = x;
        x = next;
    }
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(action, x, lanes * last * sizeof *x, cudaMemcpyDeviceToHost, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

// ---------------------------------------------------------------------------------------------------
// The search's gradient from a matrix of noise

static hb_status products_gradient(hb_products *p, hb_memory g, const float *z, hb_memory noise, int32_t n_terms,
                                   int32_t n, hb_error *error) {
    hb_device *device = p->device;
    const float one = 1.0f, zero = 0.0f;
    const size_t bytes = (size_t)n_terms * sizeof *z;
    float *on_device;
    hb_status status = hb_cuda_scratch(device, bytes, &on_device, error);
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(on_device, z, bytes, cudaMemcpyHostToDevice, device->stream));
    if (status == HB_OK)
        status = check(p,
                       p->by_vector(p->handle, CUBLAS_OP_N, n, n_terms, &one, hb_floats(noise), n, on_device, 1,
                                    &zero, hb_floats(g), 1),
                       "product by a vector", error);
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

const hb_device *hb_cuda_device_of(const hb_products *products) {
    return products->device;
}

const hb_products_table hb_cublas = {
    .library = "cuBLAS",
    .open = on_card<products_open>::call,
    .close = on_card<products_close>::call,
    .forward = on_card<products_forward>::call,
    .gradient = on_card<products_gradient>::call,
};
