// The CUDA device: table, memory, errors. The search has a stream, where calls return when their results are in host
// memory, or, where they have none, when the work is queued; every group has its own, where results come with the wait.
#include "kernels/cuda/cuda.h"

#include <cstdio>
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

// ---------------------------------------------------------------------------------------------------
// Cards

// What a card is asked before it is used; a context would take memory of every card. nvcc lists the compute capabilities that it makes
// machine code for, times a hundred, ascending; that runs on later cards of the same major number, too. The last has PTX, which any later
// card compiles.
static bool has_code(int capability) {
    static const int built[] = {__CUDA_ARCH_LIST__};
    int last = 0;
    for (const int each : built) {
        if (each / 100 == capability / 100 && each <= capability) return true;
        last = each;
    }
    return capability >= last;
}

static hb_status check_card(int card, hb_error *error) {
    int major = 0, minor = 0;
    hb_status status = HB_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, card));
    if (status == HB_OK) status = HB_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, card));
    if (status != HB_OK || has_code(100 * major + 10 * minor)) return status;
    return hb_fail(error, HB_FAILED, "card %d has compute capability %d.%d, for which this build has no code", card,
                   major, minor);
}

static hb_status count_cards(int *n, hb_error *error) {
    *n = 0;
    const cudaError_t result = cudaGetDeviceCount(n);
    if (result == cudaSuccess && *n > 0) return HB_OK;
    cudaGetLastError();
    if (result == cudaErrorInsufficientDriver || result == cudaErrorNoDevice || result == cudaSuccess)
        return hb_fail(error, HB_FAILED, "no NVIDIA driver or card here (%s)", cudaGetErrorString(result));
    return hb_fail(error, HB_FAILED, "%s", cudaGetErrorString(result));
}

// The number of cards that can be used; *kth becomes the number of the k-th of them. *error names the others.
static int usable_cards(int n, int k, int *kth, hb_error *error) {
    int usable = 0;
    char line[sizeof error->message] = "";
    for (int card = 0; card < n; card++) {
        hb_error why = {""};
        if (check_card(card, &why) == HB_OK) {
            if (usable++ == k) *kth = card;
            continue;
        }
        const size_t at = strlen(line);
        snprintf(line + at, sizeof line - at, "%s%s", at ? "; " : "", why.message);
    }
    snprintf(error->message, sizeof error->message, "%s", line);
    return usable;
}

static hb_status cuda_probe(hb_error *error) {
    int n = 0, first = 0;
    const hb_status status = count_cards(&n, error);
    if (status != HB_OK) return status;
    return usable_cards(n, 0, &first, error) > 0 ? HB_OK : HB_FAILED;
}

// ---------------------------------------------------------------------------------------------------
// Open, memory

// Chooses the card, and counts the processes that do the same.
static hb_status choose_card(const hb_device_choice *choice, hb_device *device, hb_error *error) {
    const int places = choice->places > 0 ? choice->places : 1;
    int n = 0;
    hb_status status = count_cards(&n, error);
    if (status != HB_OK) return status;
    device->card = choice->card;
    device->sharers = places;
    if (choice->card >= n)
        return hb_fail(error, HB_BAD_INPUT, "expected a card from 0 to %d, found %d", n - 1, (int)choice->card);
    if (choice->card >= 0) return check_card(choice->card, error);
    const int usable = usable_cards(n, 0, &device->card, error);
    if (usable == 0) return HB_FAILED;
    const int mine = choice->place % usable;
    usable_cards(n, mine, &device->card, error);
    device->sharers = (places - 1 - mine) / usable + 1;
    return HB_OK;
}

void hb_cuda_make_current(const hb_device *device) {
    cudaSetDevice(device->card); // a failure is the next call's
}

static hb_status open_streams(hb_device *device, hb_error *error) {
    cudaFuncAttributes code;
    hb_status status = HB_CUDA(cudaSetDevice(device->card));
    if (status == HB_OK) status = HB_CUDA(cudaFuncGetAttributes(&code, hb_cuda_some_kernel));
    if (status == HB_OK)
        status = HB_CUDA(cudaDeviceGetAttribute(&device->processors, cudaDevAttrMultiProcessorCount, device->card));
    if (status == HB_OK) status = HB_CUDA(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
    if (status == HB_OK) status = HB_CUDA(cudaEventCreateWithFlags(&device->searched, cudaEventDisableTiming));
    return status;
}

static hb_status cuda_open(const hb_device_choice *choice, hb_device **out, hb_error *error) {
    hb_device *device = (hb_device *)calloc(1, sizeof *device);
    if (!device) return hb_fail(error, HB_FAILED, "out of memory opening the cuda device");
    device->table = &hb_cuda_device;
    hb_status status = choose_card(choice, device, error);
    if (status == HB_OK) status = open_streams(device, error);
    snprintf(device->variant, sizeof device->variant, "fused, card %d", device->card);
    if (status != HB_OK) {
        free(device);
        return status;
    }
    *out = device;
    return HB_OK;
}

static void cuda_close(hb_device *device) {
    cudaFree(device->scratch);
    cudaEventDestroy(device->searched);
    cudaStreamDestroy(device->stream);
    free(device);
}

static const char *cuda_variant(const hb_device *device) {
    return device->variant;
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

static hb_status cuda_alloc(hb_device *device, size_t n, hb_memory *out, hb_error *error) {
    out->address = NULL;
    hb_status status = HB_CUDA(cudaMalloc(&out->address, (n ? n : 1) * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMemsetAsync(out->address, 0, n * sizeof(float), device->stream));
    return status;
}

static void cuda_free(hb_device *device, hb_memory memory) {
    cudaStreamSynchronize(device->stream);
    cudaFree(memory.address);
}

static hb_status cuda_upload(hb_device *device, hb_memory to, const void *from, size_t n, hb_error *error) {
    const hb_status status =
        HB_CUDA(cudaMemcpyAsync(to.address, from, n * sizeof(float), cudaMemcpyHostToDevice, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

static hb_status cuda_download(hb_device *device, void *to, hb_memory from, size_t n, hb_error *error) {
    const hb_status status =
        HB_CUDA(cudaMemcpyAsync(to, from.address, n * sizeof(float), cudaMemcpyDeviceToHost, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

static hb_status cuda_host_alloc(hb_device *device, size_t n, float **out, hb_error *error) {
    (void)device;
    *out = NULL;
    const hb_status status = HB_CUDA(cudaMallocHost((void **)out, (n ? n : 1) * sizeof **out));
    if (status == HB_OK) memset(*out, 0, n * sizeof **out);
    return status;
}

static void cuda_host_free(hb_device *device, float *data) {
    (void)device;
    cudaFreeHost(data);
}

// ---------------------------------------------------------------------------------------------------
// Groups

// Bytes of device memory of a group. Genomes under expansion are not counted: there is never more than a chunk of them.
static size_t lane_bytes(const hb_net *net) {
    const hb_cuda_net layout = hb_cuda_layout(net);
    const size_t vectors = hb_net_observation_words(net) + 1 + (size_t)layout.actions;
    return ((size_t)layout.lane + vectors + HB_NOISE_BLOCK) * sizeof(float) + 3 * sizeof(int32_t) + sizeof(hb_birth);
}

static size_t cuda_group_bytes(const hb_device *device, const hb_net *net, int32_t lanes) {
    (void)device;
    return (size_t)lanes * lane_bytes(net);
}

// As many lanes as fit half of the free memory, at most 8192: more lanes would not raise the throughput. Processes that share the card get
// the same part each, whoever asks first.
static int32_t cuda_group_size(const hb_device *device, const hb_net *net) {
    size_t available = 0, total = 0;
    if (cudaMemGetInfo(&available, &total) != cudaSuccess) return 64;
    const size_t part = total / (size_t)device->sharers;
    const size_t lanes = (available < part ? available : part) / 2 / lane_bytes(net);
    return lanes > 8192 ? 8192 : lanes < 1 ? 1 : (int32_t)lanes;
}

static void cuda_group_destroy(hb_group *group) {
    if (!group) return;
    if (group->stream) cudaStreamSynchronize(group->stream);
    if (group->graph) cudaGraphExecDestroy(group->graph);
    void *const device[] = {group->memory, group->steps, group->lane,  group->observation, group->reward,
                            group->action, group->birth, group->fresh, group->genomes,     group->stripes};
    for (void *memory : device) cudaFree(memory);
    void *const host[] = {group->host_birth, group->host_fresh, group->host_stripes, group->host_lane};
    for (void *memory : host) cudaFreeHost(memory);
    if (group->stream) cudaStreamDestroy(group->stream);
    free(group);
}

static hb_status allocate_group(hb_group *group, hb_error *error) {
    const size_t n = (size_t)group->lanes, lane = (size_t)group->layout.lane;
    const size_t inputs = (size_t)group->layout.words;
    const size_t outputs = (size_t)group->layout.actions;
    hb_status status = HB_CUDA(cudaStreamCreateWithFlags(&group->stream, cudaStreamNonBlocking));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->memory, n * lane * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->steps, n * sizeof(int32_t)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->lane, n * sizeof(int32_t)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->observation, n * inputs * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->reward, n * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->action, n * outputs * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->birth, n * sizeof(hb_birth)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->fresh, n * sizeof(int32_t)));
    const size_t stripes = n * HB_NOISE_BLOCK * sizeof(float);
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->stripes, stripes));
    if (status == HB_OK) status = HB_CUDA(cudaMallocHost((void **)&group->host_stripes, stripes));
    if (status == HB_OK) status = HB_CUDA(cudaMallocHost((void **)&group->host_birth, n * sizeof(hb_birth)));
    if (status == HB_OK) status = HB_CUDA(cudaMallocHost((void **)&group->host_fresh, n * sizeof(int32_t)));
    if (status == HB_OK) status = HB_CUDA(cudaMallocHost((void **)&group->host_lane, n * sizeof(int32_t)));
    cudaStream_t stream = group->stream;
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

static hb_status cuda_group_wait(hb_group *group, hb_error *error) {
    const hb_status status = HB_CUDA(cudaStreamSynchronize(group->stream));
    if (status == HB_OK) hb_cuda_expanded(group);
    group->stepping = false;
    return status;
}

// A second expansion, or step, would overwrite what the first one still reads.
static hb_status cuda_group_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                                   double *sum_of_squares, hb_error *error) {
    const hb_status status = group->n_expanding > 0 ? cuda_group_wait(group, error) : HB_OK;
    return status == HB_OK ? hb_cuda_expand(group, count, lane, birth, sum_of_squares, error) : status;
}

// ---------------------------------------------------------------------------------------------------
// Step. A call that comes twice in a row (the steady loop) is recorded as a graph and replayed from then on.

static hb_status queue_step(hb_group *group, const hb_cuda_call *call, hb_error *error) {
    const size_t n = (size_t)call->count;
    const size_t inputs = n * (size_t)group->layout.words * sizeof(float);
    const size_t outputs = n * (size_t)group->layout.actions * sizeof(float);
    cudaStream_t stream = group->stream;
    hb_status status = HB_CUDA(
        cudaMemcpyAsync(group->lane, group->host_lane, n * sizeof *group->lane, cudaMemcpyHostToDevice, stream));
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(group->observation, call->observation, inputs, cudaMemcpyHostToDevice, stream));
    if (status == HB_OK && group->layout.takes_reward)
        status =
            HB_CUDA(cudaMemcpyAsync(group->reward, call->reward, n * sizeof(float), cudaMemcpyHostToDevice, stream));
    if (status == HB_OK) status = hb_cuda_step(group, call->count, error);
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(call->action, group->action, outputs, cudaMemcpyDeviceToHost, stream));
    return status;
}

static hb_status record_graph(hb_group *group, const hb_cuda_call *call, hb_error *error) {
    cudaGraph_t graph = NULL;
    hb_status status = HB_CUDA(cudaStreamBeginCapture(group->stream, cudaStreamCaptureModeThreadLocal));
    if (status != HB_OK) return status;
    status = queue_step(group, call, error);
    const hb_status ended = HB_CUDA(cudaStreamEndCapture(group->stream, &graph));
    if (status == HB_OK) status = ended;
    if (status == HB_OK) status = HB_CUDA(cudaGraphInstantiate(&group->graph, graph, 0));
    if (graph) cudaGraphDestroy(graph);
    return status;
}

static hb_status cuda_group_step(hb_group *group, int32_t count, const int32_t *lane, const float *observation,
                                 const float *reward, float *action, hb_error *error) {
    const hb_cuda_call call = {count, observation, reward, action};
    const hb_cuda_call &last = group->last;
    const bool same =
        last.count == count && last.observation == observation && last.reward == reward && last.action == action;
    hb_status status = group->stepping ? cuda_group_wait(group, error) : HB_OK;
    if (status != HB_OK) return status;
    memcpy(group->host_lane, lane, (size_t)count * sizeof *lane);
    group->stepping = true;
    if (!same && group->graph) {
        status = HB_CUDA(cudaGraphExecDestroy(group->graph));
        group->graph = NULL;
    }
    group->last = call;
    if (status != HB_OK) return status;
    if (!same) return queue_step(group, &call, error);
    if (!group->graph) status = record_graph(group, &call, error);
    return status == HB_OK ? HB_CUDA(cudaGraphLaunch(group->graph, group->stream)) : status;
}

extern "C" const hb_device_table hb_cuda_device = {
    .name = "cuda",
    .summary = "an NVIDIA card: a block per lane, the step fused; the cpu device's bits",
    .host_parallel = false,
    .has_cards = true,
    .probe = cuda_probe,
    .open = cuda_open,
    .close = on_card<cuda_close>::call,
    .map = NULL,
    .unmap = NULL,
    .variant = on_card<cuda_variant>::call,
    .group_size = on_card<cuda_group_size>::call,
    .group_bytes = on_card<cuda_group_bytes>::call,
    .alloc = on_card<cuda_alloc>::call,
    .free = on_card<cuda_free>::call,
    .upload = on_card<cuda_upload>::call,
    .download = on_card<cuda_download>::call,
    .host_alloc = on_card<cuda_host_alloc>::call,
    .host_free = on_card<cuda_host_free>::call,
    .sample = on_card<hb_cuda_sample>::call,
    .gradient = on_card<hb_cuda_gradient>::call,
    .sgd = on_card<hb_cuda_sgd>::call,
    .adam = on_card<hb_cuda_adam>::call,
    .mixture_choose = on_card<hb_cuda_mixture_choose>::call,
    .mixture_begin = on_card<hb_cuda_mixture_begin>::call,
    .mixture_prepare = on_card<hb_cuda_mixture_prepare>::call,
    .mixture_rows = on_card<hb_cuda_mixture_rows>::call,
    .mixture_end = on_card<hb_cuda_mixture_end>::call,
    .robots_step = on_card<hb_cuda_robots_step>::call,
    .group_create = on_card<cuda_group_create>::call,
    .group_destroy = on_card<cuda_group_destroy>::call,
    .group_expand = on_card<cuda_group_expand>::call,
    .group_step = on_card<cuda_group_step>::call,
    .group_wait = on_card<cuda_group_wait>::call,
    .group_weights = on_card<hb_cuda_weights>::call,
    .group_put_weights = on_card<hb_cuda_put_weights>::call,
    .group_put_output = on_card<hb_cuda_put_output>::call,
    .products = &hb_cublas,
};
