// The part of the CUDA runtime that our device uses, over the interpreter. nvcc's own host code registers the kernels
// and launches them here; link this in place of libcudart.
//
// Streams are lazy: copies, fills and launches wait in their stream's queue until something synchronises with it, so a
// result that is read too early is not there yet. What runs first where several streams have work follows ptx_order: 0
// nothing but what is waited for, 1 everything else before it, else at random; so an event that is missing shows. Device
// memory starts as NaN and has guard zones that must stay as they are; so does pinned memory.
//
// HB_CARDS="9.0 6.1" pretends cards by their compute capabilities; default: one, 9.0. As on a real machine each thread has a current card, and
// streams take work for their own card alone; here events and copies, too, must be of the stream's card.
#include "tests/cuda_on_cpu/ptx.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Kernels. A fatbin wrapper points to a container: a header of 16 bytes, then entries, of which kind 1 is PTX text.

typedef struct {
    uint32_t magic, version;
    const uint8_t *data;
} wrapper;

typedef struct {
    const void *host;
    ptx_kernel *kernel;
} entry;

static entry entries[256];
static int n_entries;

static __attribute__((noreturn)) void stop(const char *what) {
    fprintf(stderr, "cuda on cpu: %s\n", what);
    exit(1);
}

void **__cudaRegisterFatBinary(void *fatbin);
void __cudaRegisterFatBinaryEnd(void **handle);
void __cudaUnregisterFatBinary(void **handle);
void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *tid,
                            void *bid, void *block, void *grid, int *warp);
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t size,
                       int constant, int global);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream);
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream);

void **__cudaRegisterFatBinary(void *fatbin) {
    const wrapper *w = fatbin;
    uint32_t magic;
    uint16_t header_bytes;
    uint64_t bytes;
    memcpy(&magic, w->data, 4);
    memcpy(&header_bytes, w->data + 6, 2);
    memcpy(&bytes, w->data + 8, 8);
    if (w->magic != 0x466243b1u || magic != 0xba55ed50u) stop("the fatbin is of another format");
    for (const uint8_t *at = w->data + header_bytes; at < w->data + header_bytes + bytes;) {
        uint16_t kind;
        uint32_t entry_header;
        uint64_t size;
        memcpy(&kind, at, 2);
        memcpy(&entry_header, at + 4, 4);
        memcpy(&size, at + 8, 8);
        if (kind == 1) {
            char *text = calloc(1, size + 1);
            if (!text) stop("out of memory");
            memcpy(text, at + entry_header, size);
            if (!strstr(text, ".version")) stop("the PTX is compressed; compile with --no-compress");
            ptx_module **module = malloc(sizeof *module);
            if (!module) stop("out of memory");
            *module = ptx_parse(text);
            free(text);
            return (void **)module;
        }
        at += entry_header + size;
    }
    void **empty = calloc(1, sizeof *empty); // host code only
    return empty;
}

void __cudaRegisterFatBinaryEnd(void **handle) {
    (void)handle;
}
void __cudaUnregisterFatBinary(void **handle) {
    (void)handle;
}

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *tid,
                            void *bid, void *block, void *grid, int *warp) {
    (void)device, (void)limit, (void)tid, (void)bid, (void)block, (void)grid, (void)warp;
    ptx_kernel *kernel = ptx_find((ptx_module *)*handle, name);
    if (!kernel || n_entries == 256) stop("a kernel has no PTX");
    entries[n_entries++] = (entry){host, kernel};
}

// Variables of a module: kernels that use one do not parse, so there is nothing to do.
void __cudaRegisterVar(void **handle, char *host, char *device, const char *name, int external, size_t size,
                       int constant, int global) {
    (void)handle, (void)host, (void)device, (void)name, (void)external, (void)size, (void)constant, (void)global;
}

// ---------------------------------------------------------------------------------------------------
// Streams, events, graphs

typedef struct work {
    struct work *next;
    enum { NOTHING, COPY, FILL, LAUNCH, CALL, RECORD, WAIT } what;
    void *to;
    const void *from;
    size_t bytes;
    int value;
    ptx_kernel *kernel;
    uint32_t blocks, threads;
    void *argument[32];
    cudaHostFn_t call;
    struct CUevent_st *event;
    uint64_t turn; // of the event
} work;

typedef struct {
    work *first, **last;
} list;

struct CUevent_st {
    uint64_t recorded, done;
    int card;
};

struct CUstream_st {
    int card;
    list queue, captured;
    bool capturing;
};

struct CUgraph_st {
    list works;
};

static struct CUstream_st *streams[64];
static int n_streams;
static _Thread_local int current; // card

static work *append(list *to) {
    work *w = calloc(1, sizeof *w);
    if (!w) stop("out of memory");
    if (!to->last) to->last = &to->first;
    *to->last = w;
    to->last = &w->next;
    return w;
}

static work *queue(cudaStream_t stream) {
    if (!stream) stop("the default stream is used");
    if (stream->card != current) stop("a stream is used whose card is not current");
    return append(stream->capturing ? &stream->captured : &stream->queue);
}

static work *take(list *from) {
    work *w = from->first;
    from->first = w->next;
    if (!from->first) from->last = &from->first;
    return w;
}

static void release(work *w) {
    for (int k = 0; k < 32; k++) free(w->argument[k]);
    free(w);
}

static void drop(list *works) {
    while (works->first) release(take(works));
}

static bool ready(const struct CUstream_st *stream) {
    const work *w = stream->queue.first;
    return w && (w->what != WAIT || w->event->done >= w->turn);
}

static void run_next(struct CUstream_st *stream) {
    work *w = take(&stream->queue);
    if (w->what == COPY) memcpy(w->to, w->from, w->bytes);
    if (w->what == FILL) memset(w->to, w->value, w->bytes);
    if (w->what == LAUNCH) ptx_run(w->kernel, w->blocks, w->threads, w->bytes, w->argument);
    if (w->what == CALL) w->call(w->to);
    if (w->what == RECORD) w->event->done = w->turn;
    release(w);
}

// Runs until `stream` has nothing left (NULL: until none has).
static void drain(struct CUstream_st *stream) {
    static uint64_t random = 1;
    for (;;) {
        int able[64], n = 0, rest = 0;
        for (int k = 0; k < n_streams; k++) {
            rest += streams[k]->queue.first != NULL;
            if (ready(streams[k])) able[n++] = k;
        }
        if (stream ? !stream->queue.first : rest == 0) return;
        if (n == 0) stop("all streams wait for events that nobody records");
        random = random * 6364136223846793005u + ptx_order;
        struct CUstream_st *chosen = streams[able[(random >> 33) % (uint64_t)n]];
        if (ptx_order == 0 && stream && ready(stream)) chosen = stream;
        for (int k = 0; ptx_order == 1 && chosen == stream && k < n; k++) chosen = streams[able[k]];
        run_next(chosen);
    }
}

// Errors on demand: HB_CUDA_FAIL=n makes the n-th call that can fail do so: an allocation for want of memory, any other
// call as it is when a kernel has crashed: what is queued is lost, and every later call fails, too.
static cudaError_t last_error;

static int fails_now(cudaError_t error) {
    static int calls, fail_at = -1, lost;
    if (fail_at < 0) fail_at = getenv("HB_CUDA_FAIL") ? atoi(getenv("HB_CUDA_FAIL")) : 0;
    if (!lost && ++calls != fail_at) return 0;
    last_error = error;
    if (error == cudaErrorMemoryAllocation) return 1;
    lost = 1;
    for (int k = 0; k < n_streams; k++)
        for (work *w = streams[k]->queue.first; w; w = w->next)
            w->what = w->what == RECORD || w->what == WAIT ? w->what : NOTHING;
    return 1;
}

static struct {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
} configuration;

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream) {
    configuration.grid = grid, configuration.block = block;
    configuration.shared = shared, configuration.stream = stream;
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = configuration.grid, *block = configuration.block;
    *shared = configuration.shared, *(cudaStream_t *)stream = configuration.stream;
    return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *host) {
    *kernel = (cudaKernel_t)(uintptr_t)host;
    return cudaSuccess;
}

// Arguments are copied now, as the runtime does.
cudaError_t __cudaLaunchKernel(cudaKernel_t handle, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream) {
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    const void *host = (const void *)(uintptr_t)handle;
    for (int k = 0; k < n_entries; k++) {
        if (entries[k].host != host) continue;
        if (grid.x == 0 || block.x == 0 || block.x > 1024 || shared > 48 * 1024)
            return last_error = cudaErrorInvalidConfiguration;
        work *w = queue(stream);
        w->what = LAUNCH, w->kernel = entries[k].kernel;
        w->blocks = grid.x, w->threads = block.x, w->bytes = shared;
        ptx_copy_arguments(w->kernel, arguments, w->argument);
        return cudaSuccess;
    }
    return last_error = cudaErrorInvalidDeviceFunction;
}

// ---------------------------------------------------------------------------------------------------
// Memory

enum { GUARD = 256 };

typedef struct {
    uint8_t *block;
    size_t bytes;
    bool device; // or pinned host memory
    int card;
} allocation;

static allocation allocations[4096];
static int n_allocations;

static cudaError_t allocate(void **out, size_t bytes, bool device) {
    if (fails_now(cudaErrorMemoryAllocation)) return cudaErrorMemoryAllocation;
    uint8_t *block = aligned_alloc(256, (bytes + 2 * GUARD + 255) / 256 * 256);
    if (!block || n_allocations == 4096) return last_error = cudaErrorMemoryAllocation;
    memset(block, 0xab, GUARD);
    memset(block + GUARD, 0xff, bytes);
    memset(block + GUARD + bytes, 0xab, GUARD);
    allocations[n_allocations++] = (allocation){block, bytes, device, current};
    if (device) ptx_memory_add(block + GUARD, bytes);
    *out = block + GUARD;
    return cudaSuccess;
}

static cudaError_t release_memory(void *memory, bool device) {
    if (!memory) return cudaSuccess;
    drain(NULL);
    for (int k = 0; k < n_allocations; k++) {
        allocation *a = &allocations[k];
        if (a->block + GUARD != memory || a->device != device) continue;
        if (device && a->card != current) stop("memory of a card that is not current is freed");
        for (int g = 0; g < GUARD; g++)
            if (a->block[g] != 0xab || a->block[GUARD + a->bytes + (size_t)g] != 0xab)
                stop("a guard zone was written");
        if (device) ptx_memory_remove(memory);
        free(a->block);
        *a = allocations[--n_allocations];
        return cudaSuccess;
    }
    return last_error = cudaErrorInvalidValue;
}

cudaError_t cudaMalloc(void **out, size_t bytes) {
    return allocate(out, bytes, true);
}

cudaError_t cudaMallocHost(void **out, size_t bytes) {
    return allocate(out, bytes, false);
}

cudaError_t cudaFree(void *memory) {
    return release_memory(memory, true);
}

cudaError_t cudaFreeHost(void *memory) {
    return release_memory(memory, false);
}

static void check_card(const void *memory, int card) {
    const uint8_t *at = memory;
    for (int k = 0; k < n_allocations; k++) {
        const allocation *a = &allocations[k];
        if (a->device && at >= a->block && at < a->block + a->bytes + 2 * GUARD && a->card != card)
            stop("memory of another card is copied");
    }
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
    (void)kind;
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    work *w = queue(stream);
    check_card(to, stream->card);
    check_card(from, stream->card);
    w->what = COPY, w->to = to, w->from = from, w->bytes = bytes;
    return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                              size_t height, enum cudaMemcpyKind kind, cudaStream_t stream) {
    if (width > to_pitch || width > from_pitch) return last_error = cudaErrorInvalidPitchValue;
    for (size_t row = 0; row < height; row++) {
        const cudaError_t result = cudaMemcpyAsync((uint8_t *)to + row * to_pitch,
                                                   (const uint8_t *)from + row * from_pitch, width, kind, stream);
        if (result != cudaSuccess) return result;
    }
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    work *w = queue(stream);
    w->what = FILL, w->to = to, w->value = value, w->bytes = bytes;
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t call, void *argument) {
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    work *w = queue(stream);
    w->what = CALL, w->call = call, w->to = argument;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    *available = *total = (size_t)1 << 28;
    return cudaSuccess;
}

// ---------------------------------------------------------------------------------------------------
// The rest

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    (void)flags;
    if (n_streams == 64) stop("more than 64 streams");
    *stream = calloc(1, sizeof **stream);
    if (!*stream) stop("out of memory");
    (*stream)->card = current;
    streams[n_streams++] = *stream;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    drain(stream);
    for (int k = 0; k < n_streams; k++)
        if (streams[k] == stream) streams[k] = streams[--n_streams];
    drop(&stream->captured);
    free(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    if (stream->capturing) stop("a capturing stream is synchronised");
    drain(stream);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    (void)flags;
    *event = calloc(1, sizeof **event);
    if (!*event) stop("out of memory");
    (*event)->card = current;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    drain(NULL);
    free(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    work *w = queue(stream);
    if (event->card != stream->card) stop("an event is recorded in a stream of another card");
    w->what = RECORD, w->event = event, w->turn = ++event->recorded;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    (void)flags;
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    work *w = queue(stream);
    w->what = WAIT, w->event = event, w->turn = event->recorded;
    return cudaSuccess;
}

// Graphs: what a stream records, one work after the other.
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    (void)mode;
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    stream->capturing = true;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    if (!stream->capturing) stop("a capture ends that never began");
    stream->capturing = false;
    *graph = calloc(1, sizeof **graph);
    if (!*graph) stop("out of memory");
    (*graph)->works = stream->captured;
    stream->captured = (list){NULL, NULL};
    return fails_now(cudaErrorLaunchFailure) ? cudaErrorLaunchFailure : cudaSuccess;
}

static void replay(const list *from, list *to) {
    for (const work *w = from->first; w; w = w->next) {
        work *copy = append(to), *next = copy->next;
        *copy = *w;
        copy->next = next;
        memset(copy->argument, 0, sizeof copy->argument);
        if (w->what == LAUNCH) ptx_copy_arguments(w->kernel, (void **)w->argument, copy->argument);
    }
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags) {
    (void)flags;
    if (fails_now(cudaErrorMemoryAllocation)) return cudaErrorMemoryAllocation;
    cudaGraph_t own = calloc(1, sizeof *own);
    if (!own) stop("out of memory");
    replay(&graph->works, &own->works);
    *exec = (cudaGraphExec_t)(void *)own;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    if (stream->card != current) stop("a graph is launched on a card that is not current");
    if (fails_now(cudaErrorLaunchFailure)) return cudaErrorLaunchFailure;
    replay(&((cudaGraph_t)(void *)exec)->works, &stream->queue);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    drop(&graph->works);
    free(graph);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    return cudaGraphDestroy((cudaGraph_t)(void *)exec);
}

cudaError_t cudaGetLastError(void) {
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaErrorLaunchFailure  ? "unspecified launch failure"
                                              : "an error";
}

static double capability(int card) {
    const char *text = getenv("HB_CARDS");
    double value = 0;
    if (!text) return card == 0 ? 9.0 : 0;
    for (int k = 0; k <= card; k++) {
        char *end;
        value = strtod(text, &end);
        if (end == text) return 0;
        text = end;
    }
    return value;
}

cudaError_t cudaGetDeviceCount(int *count) {
    for (*count = 0; capability(*count) > 0;) ++*count;
    return *count > 0 ? cudaSuccess : (last_error = cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
    if (capability(device) == 0) return last_error = cudaErrorInvalidDevice;
    current = device;
    return cudaSuccess;
}

// A small card: one multiprocessor, so that blocks take more than one turn.
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    const int tenths = (int)(10 * capability(device) + 0.5);
    if (tenths == 0) return last_error = cudaErrorInvalidDevice;
    if (attribute == cudaDevAttrMultiProcessorCount) return *value = 1, cudaSuccess;
    if (attribute == cudaDevAttrComputeCapabilityMajor) return *value = tenths / 10, cudaSuccess;
    if (attribute == cudaDevAttrComputeCapabilityMinor) return *value = tenths % 10, cudaSuccess;
    return last_error = cudaErrorInvalidValue;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *host) {
    memset(attributes, 0, sizeof *attributes);
    for (int k = 0; k < n_entries; k++)
        if (entries[k].host == host) return cudaSuccess;
    return last_error = cudaErrorInvalidDeviceFunction;
}
