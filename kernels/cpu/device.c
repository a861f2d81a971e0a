#define _GNU_SOURCE // O_TMPFILE, mkostemp
#include "kernels/cpu/mixture.h"
#include "kernels/cpu/vision.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

struct hb_device {
    const hb_device_table *table;
    const hb_cpu_build *build;
};

// ---------------------------------------------------------------------------------------------------
// Choosing a build

static const hb_cpu_build *const builds[] = {
#ifdef __x86_64__
    &hb_cpu_build_avx512, &hb_cpu_build_avx2,
#endif
    &hb_cpu_build_generic};

bool hb_cpu_can_run(const char *variant) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (strcmp(variant, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    if (strcmp(variant, "avx2") == 0) {
        unsigned a, b, c = 0, d; // F16C, which not every compiler's builtin knows
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) &&
               (c & bit_F16C);
    }
#endif
    return strcmp(variant, "generic") == 0;
}

static hb_status cpu_probe(hb_error *error) {
    (void)error;
    return HB_OK;
}

static hb_status cpu_open(const hb_device_choice *choice, hb_device **device, hb_error *error) {
    const char *variant = choice->variant;
    const int any = strcmp(variant, "auto") == 0;
    for (size_t k = 0; k < sizeof builds / sizeof *builds; k++) {
        if (!any && strcmp(builds[k]->variant, variant) != 0) continue;
        const bool usable = hb_cpu_can_run(builds[k]->variant);
        if (!usable && any) continue;
        if (!usable) return hb_fail(error, HB_BAD_INPUT, "this processor cannot run the '%s' build", variant);
        *device = malloc(sizeof **device);
        if (!*device) return hb_fail(error, HB_FAILED, "out of memory opening the cpu device");
        **device = (hb_device){&hb_cpu_device, builds[k]};
        return HB_OK;
    }
    return hb_fail(error, HB_BAD_INPUT, "the cpu device has no '%s' build", variant);
}

static void cpu_close(hb_device *device) {
    free(device);
}

static const char *cpu_variant(const hb_device *device) {
    return device->build->variant;
}

// ---------------------------------------------------------------------------------------------------
// Memory

// Blocks from 128 KiB up ask for huge pages: a lane is swept every step, and an Ant's 63 small pages would
// not stay in the first-level TLB.
static float *allocate(size_t n) {
    const size_t huge = (size_t)2 << 20;
    const size_t bytes = n * sizeof(float);
    const size_t align = bytes >= huge / 16 ? huge : 64;
    const size_t rounded = (bytes + align - 1) / align * align;
    float *block = rounded < bytes ? NULL : aligned_alloc(align, rounded ? rounded : align);
    if (!block) return NULL;
    if (align == huge) madvise(block, rounded, MADV_HUGEPAGE);
    return memset(block, 0, bytes);
}

static hb_status cpu_host_alloc(hb_device *device, size_t n, float **out, hb_error *error) {
    (void)device;
    *out = allocate(n);
    if (!*out) return hb_fail(error, HB_FAILED, "out of memory: %zu bytes", n * sizeof(float));
    return HB_OK;
}

static void cpu_host_free(hb_device *device, float *data) {
    (void)device;
    free(data);
}

static hb_status cpu_alloc(hb_device *device, size_t n, hb_memory *out, hb_error *error) {
    float *data;
    const hb_status status = cpu_host_alloc(device, n, &data, error);
    *out = (hb_memory){data};
    return status;
}

static void cpu_free(hb_device *device, hb_memory memory) {
    (void)device;
    free(memory.address);
}

// A file without a name: it is gone when nobody maps it any more, however the process ends.
static int open_nameless(const char *folder) {
    const int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || errno == ENOENT || errno == EACCES || errno == ENOTDIR) return file;
    char name[4096]; // a file system that knows no such files
    if (snprintf(name, sizeof name, "%s/hebbes-XXXXXX", folder) >= (int)sizeof name) return -1;
    const int named = mkostemp(name, O_CLOEXEC);
    if (named >= 0) unlink(name);
    return named;
}

static hb_status cpu_map(hb_device *device, const char *folder, size_t n, hb_memory *out, hb_error *error) {
    (void)device;
    const size_t bytes = (n ? n : 1) * sizeof(float);
    const int file = open_nameless(folder);
    if (file < 0) return hb_fail(error, HB_BAD_INPUT, "%s: no file can be made there: %s", folder, strerror(errno));
    struct statvfs disk; // asked first: an allocation that fails has filled the disk for a moment
    const bool fits = fstatvfs(file, &disk) != 0 || bytes / disk.f_frsize < disk.f_bavail;
    const int full =
        fits ? posix_fallocate(file, 0, (off_t)bytes) : ENOSPC; // now, not by a signal when it is written
    void *data = full ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    const int why = full ? full : errno;
    close(file);
    if (data == MAP_FAILED)
        return hb_fail(error, HB_FAILED, "%s: no room for %zu bytes: %s", folder, bytes, strerror(why));
    *out = (hb_memory){data};
    return HB_OK;
}

static void cpu_unmap(hb_device *device, hb_memory memory, size_t n) {
    (void)device;
    if (memory.address) munmap(memory.address, (n ? n : 1) * sizeof(float));
}

static hb_status cpu_upload(hb_device *device, hb_memory to, const void *from, size_t n, hb_error *error) {
    (void)device, (void)error;
    memmove(to.address, from, n * sizeof(float));
    return HB_OK;
}

static hb_status cpu_download(hb_device *device, void *to, hb_memory from, size_t n, hb_error *error) {
    (void)device, (void)error;
    memmove(to, from.address, n * sizeof(float));
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Search

static size_t up_to_64(int64_t n) {
    return ((size_t)n + 63) / 64 * 64;
}

static hb_status cpu_sample(hb_device *device, const hb_genome *genome, hb_memory h, size_t begin, size_t end,
                            hb_error *error) {
    const size_t n = hb_is_shared(&genome->sharing) ? up_to_64(genome->sharing.n_numbers) : 64;
    float *theta = aligned_alloc(64, n * sizeof *theta);
    if (!theta) return hb_fail(error, HB_FAILED, "out of memory sampling shared rules");
    device->build->search->sample(genome, hb_floats(h), theta, begin, end);
    free(theta);
    return HB_OK;
}

static hb_status cpu_gradient(hb_device *device, hb_memory g, const float *z, int32_t n_terms, hb_noise noise,
                              bool squares, size_t begin, size_t end, hb_error *error) {
    (void)error;
    device->build->search->gradient(hb_floats(g), z, n_terms, noise, squares, begin, end);
    return HB_OK;
}

static hb_status cpu_sgd(hb_device *device, hb_memory mean, hb_memory g, float rate, size_t begin, size_t end,
                         hb_error *error) {
    (void)error;
    device->build->search->sgd(hb_floats(mean), hb_floats(g), rate, begin, end);
    return HB_OK;
}

static hb_status cpu_adam(hb_device *device, hb_memory mean, hb_memory m, hb_memory v, hb_memory g,
                          hb_adam parameters, size_t begin, size_t end, hb_error *error) {
    (void)error;
    device->build->search->adam(hb_floats(mean), hb_floats(m), hb_floats(v), hb_floats(g), parameters, begin, end);
    return HB_OK;
}

static size_t padded(int32_t n) {
    return ((size_t)n + HB_CPU_PAD - 1) / HB_CPU_PAD * HB_CPU_PAD;
}

// ---------------------------------------------------------------------------------------------------
// Mixtures

static hb_status cpu_mixture_choose(hb_device *device, const hb_mixture *mixture, int32_t n_individuals,
                                    hb_noise noise, hb_memory choice, float *entropy, int64_t begin, int64_t end,
                                    hb_error *error) {
    return device->build->mixture->choose(mixture, n_individuals, noise, hb_integers(choice), entropy, begin, end,
                                          error);
}

static void free_work(hb_mixture_work *work) {
    for (int32_t k = 0; work->list && k < work->mixture.n_rules; k++) free(work->list[k].data);
    free(work->list);
    free(work->transposed);
    free(work->wide);
    free(work->sums);
    free(work);
}

static hb_status cpu_mixture_begin(hb_device *device, const hb_mixture *mixture, const hb_mixture_step *step,
                                   hb_mixture_work **out, hb_error *error) {
    const size_t m = (size_t)mixture->n_rules, c_all = (size_t)mixture->n_coefficients;
    const float variance = mixture->sigma * mixture->sigma;
    hb_mixture_work *work = calloc(1, sizeof *work);
    if (!work) return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    const float *mu = hb_floats(mixture->mu);
    *work = (hb_mixture_work){.device = device,
                              .build = device->build->mixture,
                              .mixture = *mixture,
                              .step = *step,
                              .padded_rules = padded(mixture->n_rules),
                              .list_radius2 = hb_mixture_list_radius2(mixture, step),
                              .cut = hb_mixture_cut(mixture->n_rules),
                              .minus_half_precision = -(0.5f / variance),
                              .two_variances = 2.0f * variance,
                              .sums_scale = hb_mixture_sums_scale(step->z, step->n_individuals),
                              .mutex = PTHREAD_MUTEX_INITIALIZER};
    work->list = calloc(m, sizeof *work->list);
    work->transposed = aligned_alloc(64, c_all * work->padded_rules * sizeof *work->transposed);
    work->wide = aligned_alloc(64, (m * HB_MIXTURE_WIDE * sizeof *work->wide + 63) / 64 * 64);
    work->sums = calloc(m * HB_MIXTURE_WIDE, sizeof *work->sums);
    if (!work->list || !work->transposed || !work->wide || !work->sums) {
        free_work(work);
        return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    }
    for (size_t c = 0; c < c_all; c++)
        for (size_t k = 0; k < work->padded_rules; k++)
            work->transposed[c * work->padded_rules + k] = k < m ? mu[k * c_all + c] : 1e18f;
    for (size_t k = 0; k < m; k++)
        for (size_t c = 0; c < HB_MIXTURE_WIDE; c++)
            work->wide[k * HB_MIXTURE_WIDE + c] = c < c_all ? mu[k * c_all + c] : 0.0f;
    *out = work;
    return HB_OK;
}

static hb_status cpu_mixture_prepare(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error) {
    return work->list_radius2 > 0.0f ? work->build->neighbours(work, begin, end, error) : HB_OK;
}

static hb_status cpu_mixture_rows(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error) {
    const size_t n = (size_t)work->mixture.n_rules * HB_MIXTURE_WIDE;
    int64_t *sums = aligned_alloc(64, n * sizeof *sums);
    if (!sums) return hb_fail(error, HB_FAILED, "out of memory for the mixture's sums");
    memset(sums, 0, n * sizeof *sums);
    int32_t largest = 0;
    hb_mixture_counts counts = {0, 0};
    const hb_status status = work->build->gradient(work, &work->step, sums, &largest, &counts, begin, end, error);
    pthread_mutex_lock(&work->mutex); // integers: any order
    for (size_t e = 0; e < n; e++) work->sums[e] += sums[e];
    work->largest = largest > work->largest ? largest : work->largest;
    work->counts.live += counts.live;
    work->counts.dense += counts.dense;
    pthread_mutex_unlock(&work->mutex);
    free(sums);
    return status;
}

static hb_status cpu_mixture_end(hb_mixture_work *work, float *g, hb_mixture_counts *counts, hb_error *error) {
    const hb_mixture_sums sums = {work->sums, HB_MIXTURE_WIDE, (uint32_t)work->largest, work->sums_scale};
    *counts = work->counts;
    const hb_status status = hb_mixture_finish(&work->mixture, &work->step, &sums, counts, g, error);
    pthread_mutex_destroy(&work->mutex);
    free_work(work);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Groups of lanes

static hb_cpu_layout layout_of(const hb_net *net) {
    hb_cpu_layout layout = {.plane = net->half_planes ? HB_CPU_PAD / 2 : HB_CPU_PAD};
    layout.first_plane = net->plasticity.trace > 0 ? 2 * HB_CPU_PAD : HB_CPU_PAD;
    const size_t block = layout.first_plane + layout.plane * (size_t)__builtin_popcount(net->planes);
    layout.block = (block + HB_CPU_PAD - 1) / HB_CPU_PAD * HB_CPU_PAD; // whole cache lines
    for (int32_t l = 0; l < net->n_layers; l++) {
        layout.padded[l] = padded(net->layer[l].outputs);
        layout.row[l] = layout.padded[l] / HB_CPU_PAD * layout.block;
        layout.rows[l] = layout.lane;
        layout.lane += layout.row[l] * (size_t)net->layer[l].inputs;
    }
    size_t activations = padded(net->layer[0].inputs);
    for (int32_t l = 0; l < net->n_layers; l++) {
        layout.activation[l + 1] = activations;
        activations += padded(net->layer[l].outputs + net->bias);
    }
    layout.activations = layout.lane;
    layout.history = (size_t)hb_net_history(net);
    layout.step = activations;
    layout.means = layout.activations + layout.history * activations;
    layout.scale = layout.means + (layout.history > 2 ? activations : 0);
    layout.vision = layout.scale + padded(net->n_layers);
    layout.lane = layout.vision + hb_cpu_vision_floats(&net->vision);
    return layout;
}

void hb_cpu_vision_expand(const hb_vision *vision, const float *genome, uint32_t seed, float *memory) {
    if (vision->evolved) {
        memcpy(memory, genome, (size_t)vision->n_weights * sizeof *memory);
        return;
    }
    const hb_noise id = {.seed = seed, .stream = HB_STREAM_VISION};
    for (int32_t k = 0; k < HB_CONVOLUTIONS; k++) {
        const hb_convolution *c = &vision->layer[k];
        const int32_t fan_in = hb_vision_fan_in(*c);
        const int64_t end = c->offset + (int64_t)c->maps * fan_in;
        for (int64_t e = c->offset; e < end; e++) memory[e] = hb_vision_draw(fan_in, id, e);
    }
}

// A worker keeps one lane for its whole life: it stays in the cache, and memory does not grow with P.
static int32_t cpu_group_size(const hb_device *device, const hb_net *net) {
    (void)device;
    (void)net;
    return 1;
}

static size_t cpu_group_bytes(const hb_device *device, const hb_net *net, int32_t lanes) {
    (void)device;
    return (size_t)lanes * (layout_of(net).lane * sizeof(float) + sizeof(int32_t));
}

static void cpu_group_destroy(hb_group *group) {
    if (!group) return;
    free(group->steps);
    free(group->memory);
    free(group);
}

static hb_status cpu_group_create(hb_device *device, const hb_net *net, int32_t lanes, hb_group **out,
                                  hb_error *error) {
    hb_group *group = calloc(1, sizeof *group);
    if (!group) return hb_fail(error, HB_FAILED, "out of memory creating a group");
    *group =
        (hb_group){.device = device, .build = device->build, .net = *net, .layout = layout_of(net), .lanes = lanes};
    group->memory = allocate(group->layout.lane * (size_t)lanes);
    group->steps = calloc((size_t)lanes, sizeof *group->steps);
    if (!group->memory || !group->steps) {
        cpu_group_destroy(group);
        return hb_fail(error, HB_FAILED, "out of memory: a group of %d lanes takes %zu bytes; lower run.group", lanes,
                       cpu_group_bytes(device, net, lanes));
    }
    *out = group;
    return HB_OK;
}

static hb_status cpu_group_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                                  double *sum_of_squares, hb_error *error) {
    size_t theta = 0;
    for (int32_t k = 0; k < count; k++)
        if (hb_is_shared(&birth[k].genome.sharing) && up_to_64(birth[k].genome.sharing.n_numbers) > theta)
            theta = up_to_64(birth[k].genome.sharing.n_numbers);
    const size_t own = up_to_64(group->net.genome_size) + up_to_64(group->net.n_weights);
    float *scratch = aligned_alloc(64, (own + theta) * sizeof *scratch);
    if (!scratch) return hb_fail(error, HB_FAILED, "out of memory expanding a genome");
    for (int32_t k = 0; k < count; k++)
        group->build->expand(group, lane[k], &birth[k], scratch, sum_of_squares ? &sum_of_squares[k] : NULL);
    free(scratch);
    return HB_OK;
}

static hb_status cpu_group_step(hb_group *group, int32_t count, const int32_t *lane, const float *observation,
                                const float *reward, float *action, hb_error *error) {
    (void)error;
    const size_t words = hb_net_observation_words(&group->net), actions = (size_t)hb_net_actions(&group->net);
    for (int32_t k = 0; k < count; k++)
        group->build->step(group, lane[k], observation + (size_t)k * words, reward ? reward[k] : 0.0f,
                           action + (size_t)k * actions);
    return HB_OK;
}

static hb_status cpu_group_wait(hb_group *group, hb_error *error) {
    (void)group;
    (void)error;
    return HB_OK;
}

static hb_status cpu_group_weights(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error) {
    (void)error;
    group->build->weights(group, lane, layer, w);
    return HB_OK;
}

static hb_status cpu_group_put_weights(hb_group *group, int32_t lane, const float *w, hb_error *error) {
    (void)error;
    const hb_cpu_layout *layout = &group->layout;
    float *memory = group->memory + (size_t)lane * layout->lane;
    for (int32_t l = 0; l < group->net.n_layers; l++) {
        const hb_layer *layer = &group->net.layer[l];
        memory[layout->scale + (size_t)l] = 1.0f;
        for (size_t i = 0; i < (size_t)layer->inputs; i++) {
            float *row = memory + layout->rows[l] + i * layout->row[l];
            for (size_t j = 0; j < (size_t)layer->outputs; j++) row[hb_cpu_column(layout, j)] = *w++;
        }
    }
    if (group->net.planes) group->steps[lane] = 0; // nothing to make up for
    return HB_OK;
}

static hb_status cpu_group_put_output(hb_group *group, int32_t lane, const float *y, hb_error *error) {
    (void)error;
    const hb_cpu_layout *layout = &group->layout;
    const int32_t n = group->net.n_layers;
    float *last = group->memory + (size_t)lane * layout->lane + hb_cpu_activations(layout, group->steps[lane] - 1);
    memcpy(last + layout->activation[n], y, (size_t)hb_net_actions(&group->net) * sizeof *y);
    return HB_OK;
}

static hb_status cpu_robots_step(hb_device *device, const hb_rigid_model *model, hb_memory state, int32_t n,
                                 int32_t begin, int32_t end, int32_t steps, hb_error *error) {
    return hb_cpu_robots_step(device->build->robots, model, hb_floats(state), n, begin, end, steps, error);
}

const hb_device_table hb_cpu_device = {.name = "cpu",
                                       .summary =
                                           "host threads with AVX-512, AVX2 or plain C; the same bits from each",
                                       .host_parallel = true,
                                       .probe = cpu_probe,
                                       .open = cpu_open,
                                       .close = cpu_close,
                                       .variant = cpu_variant,
                                       .group_size = cpu_group_size,
                                       .group_bytes = cpu_group_bytes,
                                       .alloc = cpu_alloc,
                                       .free = cpu_free,
                                       .map = cpu_map,
                                       .unmap = cpu_unmap,
                                       .upload = cpu_upload,
                                       .download = cpu_download,
                                       .host_alloc = cpu_host_alloc,
                                       .host_free = cpu_host_free,
                                       .sample = cpu_sample,
                                       .gradient = cpu_gradient,
                                       .sgd = cpu_sgd,
                                       .adam = cpu_adam,
                                       .mixture_choose = cpu_mixture_choose,
                                       .mixture_begin = cpu_mixture_begin,
                                       .mixture_prepare = cpu_mixture_prepare,
                                       .mixture_rows = cpu_mixture_rows,
                                       .mixture_end = cpu_mixture_end,
                                       .robots_step = cpu_robots_step,
                                       .group_create = cpu_group_create,
                                       .group_destroy = cpu_group_destroy,
                                       .group_expand = cpu_group_expand,
                                       .group_step = cpu_group_step,
                                       .group_wait = cpu_group_wait,
                                       .group_weights = cpu_group_weights,
                                       .group_put_weights = cpu_group_put_weights,
                                       .group_put_output = cpu_group_put_output};
