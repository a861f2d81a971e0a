// The calls of cuBLAS that our device makes, over the runtime of this folder: queued in their stream like a kernel,
// sizes and pointers checked, sums in an order that is not ours.
#include "tests/cuda_on_cpu/ptx.h"

#include <cublas_v2.h>
#include <stdio.h>
#include <stdlib.h>

struct cublasContext {
    cudaStream_t stream;
};

static __attribute__((noreturn)) void stop(const char *what) {
    fprintf(stderr, "cublas on cpu: %s\n", what);
    exit(1);
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    *handle = calloc(1, sizeof **handle);
    return *handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    cudaStreamSynchronize(handle->stream);
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
    return status == CUBLAS_STATUS_INVALID_VALUE ? "an invalid value" : "an error";
}

// c[b] (m, n) <- a[b] (m, k) b[b] (k, n), column-major.
typedef struct {
    int m, n, k, lda, ldb, ldc, count;
    const float *a, *b;
    float *c;
    long long stride_a, stride_b, stride_c;
} product;

static void multiply(void *argument) {
    product *p = argument;
    for (int lane = 0; lane < p->count; lane++) {
        const float *a = p->a + lane * p->stride_a, *b = p->b + lane * p->stride_b;
        float *c = p->c + lane * p->stride_c;
        const size_t in_a = (size_t)p->lda * (size_t)(p->k - 1) + (size_t)p->m;
        const size_t in_b = (size_t)p->ldb * (size_t)(p->n - 1) + (size_t)p->k;
        const size_t in_c = (size_t)p->ldc * (size_t)(p->n - 1) + (size_t)p->m;
        if (!ptx_memory_has(a, in_a * sizeof *a) || !ptx_memory_has(b, in_b * sizeof *b) ||
            !ptx_memory_has(c, in_c * sizeof *c))
            stop("a matrix lies outside the device's memory");
        for (int j = 0; j < p->n; j++)
            for (int i = 0; i < p->m; i++) {
                float sum = 0.0f; // descending, as ours is not
                for (int k = p->k - 1; k >= 0; k--)
                    sum += a[i + (size_t)k * (size_t)p->lda] * b[k + (size_t)j * (size_t)p->ldb];
                c[i + (size_t)j * (size_t)p->ldc] = sum;
            }
    }
    free(p);
}

static cublasStatus_t queue(cublasHandle_t handle, const product *p, const float *alpha, const float *beta) {
    if (*alpha != 1.0f || *beta != 0.0f) stop("only alpha = 1 and beta = 0 are known here");
    if (p->m < 1 || p->n < 1 || p->k < 1 || p->count < 1 || p->lda < p->m || p->ldb < p->k || p->ldc < p->m)
        return CUBLAS_STATUS_INVALID_VALUE;
    product *own = malloc(sizeof *own);
    if (!own) return CUBLAS_STATUS_ALLOC_FAILED;
    *own = *p;
    return cudaLaunchHostFunc(handle->stream, multiply, own) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                            : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                         int n, int k, const float *alpha, const float *a, int lda,
                                         long long stride_a, const float *b, int ldb, long long stride_b,
                                         const float *beta, float *c, int ldc, long long stride_c, int count) {
    if (op_a != CUBLAS_OP_N || op_b != CUBLAS_OP_N) stop("only products of matrices as they are are known here");
    return queue(handle, &(product){m, n, k, lda, ldb, ldc, count, a, b, c, stride_a, stride_b, stride_c}, alpha,
                 beta);
}

cublasStatus_t cublasSgemv_v2(cublasHandle_t handle, cublasOperation_t op, int m, int n, const float *alpha,
                              const float *a, int lda, const float *x, int step_x, const float *beta, float *y,
                              int step_y) {
    if (op != CUBLAS_OP_N || step_x != 1 || step_y != 1) stop("only vectors without gaps are known here");
    return queue(handle, &(product){m, 1, n, lda, n, m, 1, a, x, y, 0, 0, 0}, alpha, beta);
}
