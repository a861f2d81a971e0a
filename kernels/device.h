// A device: memory, the search's operations, and groups of lanes, behind a table of functions. kernels/ops.h defines what the
// operations compute; the functions below say who owns what and when it is done. "cpu" is always there; others are listed in
// device.c when they are compiled in.
//
// Unless said otherwise a function returns HB_OK, or a status with one line in *error (nullable).
//
// Threads: on a device with host_parallel, operations on disjoint ranges (of elements, rules, synapses, or lanes) may be called at the
// same time from several threads; that is how the host spreads them. On any other device there is one call at a time, from
// whichever thread.
//
// Groups: hb_group_expand and hb_group_step only queue work, which is done in the order of the calls. Until hb_group_wait returns, the
// caller neither reads nor writes the host arrays that it passed (lane, birth, observation, reward, action, sum_of_squares) and
// leaves the device memory that births point to as it is. So the device serves one group while the host steps the
// environments of another. With host_parallel the work is done when the call returns, and no wait is needed.
// After a failed call the group must still be waited for before its arrays are freed; what its lanes hold is then undefined, until
// they are expanded again.
#ifndef HB_DEVICE_H
#define HB_DEVICE_H

#include "kernels/ops.h"
#include "kernels/rigid.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hb_device_table hb_device_table;
typedef struct hb_device hb_device; // private to each device; its first member is its const hb_device_table *
typedef struct hb_group hb_group;   // the state of a number of lanes; its first member is its hb_device *

// The same work by a library's general matrix products on matrices in memory. Only benchmarks use it, to compare with the
// fused operations. Results agree with those of ops.h up to rounding, because the library sums in its own order.
typedef struct hb_products hb_products;
typedef struct {
    const char *library; // its name, for people
    // Fails where the library is not installed. The caller closes *products before the device.
    hb_status (*open)(hb_device *device, hb_products **products, hb_error *error);
    void (*close)(hb_products *products);
    // One step of `count` static lanes: y = f(W x) layer by layer, each layer one batched product. weights (count, N), w
    // [I][O] of all layers one after the other, device memory; observation (count, I) and action (count, O), host memory.
    hb_status (*forward)(hb_products *products, const hb_net *net, int32_t count, hb_memory weights,
                         const float *observation, float *action, hb_error *error);
    // g_d = sum_k z_k eps_kd with the noise eps (K, D) and g (D) in device memory, z (K) in host memory. Waits.
    hb_status (*gradient)(hb_products *products, hb_memory g, const float *z, hb_memory noise, int32_t n_terms,
                          int32_t n, hb_error *error);
} hb_products_table;

// Which of a table's devices to open, and how many processes of this machine share its cards.
typedef struct {
    const char *variant; // of equal builds (cpu: "auto", "avx512", "avx2", "generic")
    int32_t card;        // its number; -1: the cards that can be used are dealt out to the processes in turn
    int32_t place;       // of this process, in [0, places)
    int32_t places;      // 0 is 1
} hb_device_choice;

// What a device implements. Meanings and arguments are those of the functions below.
struct hb_device_table {
    const char *name;
    const char *summary;
    bool host_parallel;

    bool has_cards; // there may be several of it, numbered from 0

    // HB_OK if the device can be used here; *error then names the cards that cannot, or is empty. Otherwise it says why not.
    hb_status (*probe)(hb_error *error);
    hb_status (*open)(const hb_device_choice *choice, hb_device **device, hb_error *error);
    void (*close)(hb_device *device);
    // Nullable: arrays in a file instead of in memory (hb_device_map).
    hb_status (*map)(hb_device *device, const char *folder, size_t n, hb_memory *out, hb_error *error);
    void (*unmap)(hb_device *device, hb_memory memory, size_t n);

    const char *(*variant)(const hb_device *device);
    int32_t (*group_size)(const hb_device *device, const hb_net *net);
    size_t (*group_bytes)(const hb_device *device, const hb_net *net, int32_t lanes);
    hb_status (*alloc)(hb_device *device, size_t n, hb_memory *out, hb_error *error);
    void (*free)(hb_device *device, hb_memory memory);
    hb_status (*upload)(hb_device *device, hb_memory to, const void *from, size_t n, hb_error *error);
    hb_status (*download)(hb_device *device, void *to, hb_memory from, size_t n, hb_error *error);
    hb_status (*host_alloc)(hb_device *device, size_t n, float **out, hb_error *error);
    void (*host_free)(hb_device *device, float *data);
    hb_status (*sample)(hb_device *device, const hb_genome *genome, hb_memory h, size_t begin, size_t end,
                        hb_error *error);
    hb_status (*gradient)(hb_device *device, hb_memory g, const float *z, int32_t n_terms, hb_noise noise,
                          bool squares, size_t begin, size_t end, hb_error *error);
    hb_status (*sgd)(hb_device *device, hb_memory mean, hb_memory g, float rate, size_t begin, size_t end,
                     hb_error *error);
    hb_status (*adam)(hb_device *device, hb_memory mean, hb_memory m, hb_memory v, hb_memory g, hb_adam parameters,
                      size_t begin, size_t end, hb_error *error);
    hb_status (*mixture_choose)(hb_device *device, const hb_mixture *mixture, int32_t n_individuals, hb_noise noise,
                                hb_memory choice, float *entropy, int64_t begin, int64_t end, hb_error *error);
    hb_status (*mixture_begin)(hb_device *device, const hb_mixture *mixture, const hb_mixture_step *step,
                               hb_mixture_work **work, hb_error *error);
    hb_status (*mixture_prepare)(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error);
    hb_status (*mixture_rows)(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error);
    hb_status (*mixture_end)(hb_mixture_work *work, float *g, hb_mixture_counts *counts, hb_error *error);
    hb_status (*robots_step)(hb_device *device, const hb_rigid_model *model, hb_memory state, int32_t n,
                             int32_t begin, int32_t end, int32_t steps, hb_error *error);
    hb_status (*group_create)(hb_device *device, const hb_net *net, int32_t lanes, hb_group **group, hb_error *error);
    void (*group_destroy)(hb_group *group);
    hb_status (*group_expand)(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                              double *sum_of_squares, hb_error *error);
    hb_status (*group_step)(hb_group *group, int32_t count, const int32_t *lane, const float *observation,
                            const float *reward, float *action, hb_error *error);
    hb_status (*group_wait)(hb_group *group, hb_error *error);
    hb_status (*group_weights)(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error);
    hb_status (*group_put_weights)(hb_group *group, int32_t lane, const float *w, hb_error *error);
    hb_status (*group_put_output)(hb_group *group, int32_t lane, const float *y, hb_error *error);

    const hb_products_table *products; // nullable
};

extern const hb_device_table *const hb_devices[];
extern const int32_t hb_n_devices;

// The device of that name, or of that of a card, NAME:K; "auto" is the first of the table that can be used here. Fails with HB_BAD_INPUT on an unknown name,
// with HB_FAILED where the named device cannot be used, saying why.
hb_status hb_device_find(const char *name, const hb_device_table **table, hb_error *error);

// ---------------------------------------------------------------------------------------------------
// An open device

static inline const hb_device_table *hb_table_of(const hb_device *device) {
    return *(const hb_device_table *const *)(const void *)device;
}

static inline hb_device *hb_group_device(const hb_group *group) {
    return *(hb_device *const *)(const void *)group;
}

static inline hb_device *hb_mixture_device(const hb_mixture_work *work) {
    return *(hb_device *const *)(const void *)work;
}

// Opens a device; the caller closes it after everything that was made from it. close accepts NULL. Devices on several cards may be open at
// once, and be used by several threads.
static inline hb_status hb_device_open(const hb_device_table *table, const hb_device_choice *choice,
                                       hb_device **device, hb_error *error) {
    return table->open(choice, device, error);
}

static inline void hb_device_close(hb_device *device) {
    if (device) hb_table_of(device)->close(device);
}

// An array of n words, zeroed, as hb_device_alloc gives it, but in a nameless file of the folder; the file vanishes with the array. Fails with HB_BAD_INPUT
// where the device keeps nothing in files or no file can be made there, with HB_FAILED where the disk has no room for all of it.
hb_status hb_device_map(hb_device *device, const char *folder, size_t n, hb_memory *out, hb_error *error);
void hb_device_unmap(hb_device *device, hb_memory memory, size_t n);

// The device's build in use, and which card; a string of the device's.
static inline const char *hb_device_variant(const hb_device *device) {
    return hb_table_of(device)->variant(device);
}

// How many lanes a group should have to use the device fully.
static inline int32_t hb_device_group_size(const hb_device *device, const hb_net *net) {
    return hb_table_of(device)->group_size(device, net);
}

// Bytes of device memory that a group of `lanes` takes.
static inline size_t hb_device_group_bytes(const hb_device *device, const hb_net *net, int32_t lanes) {
    return hb_table_of(device)->group_bytes(device, net, lanes);
}

// An array of n words of 32 bits, zeroed, 64-byte aligned, of the device's memory. The caller frees it; free accepts {NULL}.
static inline hb_status hb_device_alloc(hb_device *device, size_t n, hb_memory *out, hb_error *error) {
    return hb_table_of(device)->alloc(device, n, out, error);
}

static inline void hb_device_free(hb_device *device, hb_memory memory) {
    hb_table_of(device)->free(device, memory);
}

// Copies n words from host memory to the device's, and back. The copy is done on return.
static inline hb_status hb_device_upload(hb_device *device, hb_memory to, const void *from, size_t n,
                                         hb_error *error) {
    return hb_table_of(device)->upload(device, to, from, n, error);
}

static inline hb_status hb_device_download(hb_device *device, void *to, hb_memory from, size_t n, hb_error *error) {
    return hb_table_of(device)->download(device, to, from, n, error);
}

// n words of host memory that the device copies from and to fastest (pinned), zeroed. host_free accepts NULL.
static inline hb_status hb_device_host_alloc(hb_device *device, size_t n, float **out, hb_error *error) {
    return hb_table_of(device)->host_alloc(device, n, out, error);
}

static inline void hb_device_host_free(hb_device *device, float *data) {
    hb_table_of(device)->host_free(device, data);
}

// Elements [begin, end) of a genome (ops.h, "Sample") into h[begin..end). begin is a multiple of 64; h is the whole (D) array.
static inline hb_status hb_device_sample(hb_device *device, const hb_genome *genome, hb_memory h, size_t begin,
                                         size_t end, hb_error *error) {
    return hb_table_of(device)->sample(device, genome, h, begin, end, error);
}

// g[begin..end) from the K numbers z (host memory) and the noise of individuals 0..K-1, or its squares (ops.h, "Gradient").
static inline hb_status hb_device_gradient(hb_device *device, hb_memory g, const float *z, int32_t n_terms,
                                           hb_noise noise, bool squares, size_t begin, size_t end, hb_error *error) {
    return hb_table_of(device)->gradient(device, g, z, n_terms, noise, squares, begin, end, error);
}

// One step of an optimiser on elements [begin, end) (ops.h, "SGD", "Adam").
static inline hb_status hb_device_sgd(hb_device *device, hb_memory mean, hb_memory g, float rate, size_t begin,
                                      size_t end, hb_error *error) {
    return hb_table_of(device)->sgd(device, mean, g, rate, begin, end, error);
}

static inline hb_status hb_device_adam(hb_device *device, hb_memory mean, hb_memory m, hb_memory v, hb_memory g,
                                       hb_adam parameters, size_t begin, size_t end, hb_error *error) {
    return hb_table_of(device)->adam(device, mean, m, v, g, parameters, begin, end, error);
}

// Draws the rules of synapses [begin, end), of any length, for P individuals (ops.h, "Mixture"): choice (P, N) integers, the whole array.
// Nullable: entropy (N), host memory.
static inline hb_status hb_mixture_choose(hb_device *device, const hb_mixture *mixture, int32_t n_individuals,
                                          hb_noise noise, hb_memory choice, float *entropy, int64_t begin,
                                          int64_t end, hb_error *error) {
    return hb_table_of(device)->mixture_choose(device, mixture, n_individuals, noise, choice, entropy, begin, end,
                                               error);
}

// A mixture's gradient, in four phases: begin; prepare for all rules [0, M), each once; rows for all synapses whose rows are here, each once,
// in ranges whose begin is a multiple of 64; end. Each phase is finished before the next begins; within prepare and rows, ranges may be
// spread over threads on a device with host_parallel. rows moves lambda (or writes step->gradient) and step->row_norm; end
// writes the gradient by mu to g (M, C), host memory, and fails if a sum may have overflowed (lambda has moved by then). After a
// begin that succeeded, end must be called once, also after failures and to give up: it always frees the work. *step must
// stay unchanged until then.
static inline hb_status hb_mixture_begin(hb_device *device, const hb_mixture *mixture, const hb_mixture_step *step,
                                         hb_mixture_work **work, hb_error *error) {
    return hb_table_of(device)->mixture_begin(device, mixture, step, work, error);
}

static inline hb_status hb_mixture_prepare(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error) {
    return hb_table_of(hb_mixture_device(work))->mixture_prepare(work, begin, end, error);
}

static inline hb_status hb_mixture_rows(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error) {
    return hb_table_of(hb_mixture_device(work))->mixture_rows(work, begin, end, error);
}

static inline hb_status hb_mixture_end(hb_mixture_work *work, float *g, hb_mixture_counts *counts, hb_error *error) {
    return hb_table_of(hb_mixture_device(work))->mixture_end(work, g, counts, error);
}

// Moves robots [begin, end) of n by `steps` steps under constant control, then looks (rigid.h): state (arrays, n), the arrays of
// hb_rigid_layout at width n, in the device's memory. *model is in host memory; HB_BAD_INPUT unless its shape is 4 chains of 2 links.
static inline hb_status hb_device_robots_step(hb_device *device, const hb_rigid_model *model, hb_memory state,
                                              int32_t n, int32_t begin, int32_t end, int32_t steps, hb_error *error) {
    return hb_table_of(device)->robots_step(device, model, state, n, begin, end, steps, error);
}

// A group of `lanes` lanes of the network; *net is copied. The caller destroys the group before it closes the device.
static inline hb_status hb_group_create(hb_device *device, const hb_net *net, int32_t lanes, hb_group **group,
                                        hb_error *error) {
    return hb_table_of(device)->group_create(device, net, lanes, group, error);
}

static inline void hb_group_destroy(hb_group *group) {
    if (group) hb_table_of(hb_group_device(group))->group_destroy(group);
}

// Starts birth k in lane lane[k], for k in [0, count), each lane named once: draws its genome and its initial weights (ops.h, "Expand"). Nullable:
// sum_of_squares (count), host memory, receives the sum of squares of the penalised part of each genome.
static inline hb_status hb_group_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                                        double *sum_of_squares, hb_error *error) {
    return hb_table_of(hb_group_device(group))->group_expand(group, count, lane, birth, sum_of_squares, error);
}

// One step of the lanes lane[0..count), each named once (ops.h, "Step"): observation (count, words), floats or the bytes of a
// picture (hb_net_observation_words), to action (count, hb_net_actions), all in host memory. reward (count): what the last step of each
// life earned, 0 in its first; NULL where the network takes none (hb_net_takes_reward).
static inline hb_status hb_group_step(hb_group *group, int32_t count, const int32_t *lane, const float *observation,
                                      const float *reward, float *action, hb_error *error) {
    return hb_table_of(hb_group_device(group))->group_step(group, count, lane, observation, reward, action, error);
}

// Returns when all queued work is done and its results are in host memory. Reports the first error of queued work. The functions
// below that say "Waits." do the same before their own work.
static inline hb_status hb_group_wait(hb_group *group, hb_error *error) {
    return hb_table_of(hb_group_device(group))->group_wait(group, error);
}

// The weights of one layer of one lane after the update of its last step: w (I, O), host memory. Waits.
static inline hb_status hb_group_weights(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error) {
    return hb_table_of(hb_group_device(group))->group_weights(group, lane, layer, w, error);
}

// Changes a life under way (ops.h, "Put"): the weights w (N) of all layers, [I][O] of each one after the other; or the last
// layer's output y (hb_net_actions) of the last step. Host memory. Waits.
static inline hb_status hb_group_put_weights(hb_group *group, int32_t lane, const float *w, hb_error *error) {
    return hb_table_of(hb_group_device(group))->group_put_weights(group, lane, w, error);
}

static inline hb_status hb_group_put_output(hb_group *group, int32_t lane, const float *y, hb_error *error) {
    return hb_table_of(hb_group_device(group))->group_put_output(group, lane, y, error);
}

#ifdef __cplusplus
}
#endif

#endif
