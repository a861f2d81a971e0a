// A device as a table of functions: memory, search operations, groups of lanes. What they compute stands in
// ops.h. "cpu" is always there; others register themselves in device.c when they are compiled in.
//
// Unless said otherwise a function returns HB_OK, or a status with one line in *error (nullable), and pointers to
// device memory come from `alloc`. On a device with `host_parallel` the operations on disjoint ranges (of elements
// or of lanes) may be called at the same time from several threads; that is how the host spreads them.
//
// Groups work on their own time: group_expand and group_step only queue their work, in order, and what they were given
// in host memory belongs to the device until group_wait. So a second group is served while the first one's
// environments step. (Where host_parallel the work is done on return.)
#ifndef HB_DEVICE_H
#define HB_DEVICE_H

#include "kernels/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hb_device hb_device; // private to each device
typedef struct hb_group hb_group;   // the state of a number of lanes: weights, planes, activations

// The integers that stand in an array of words.
static inline uint32_t *hb_integers(float *words) {
    return (uint32_t *)(void *)words;
}

// The same work by a library's general products of matrices that stand in memory, which bench compares with the fused
// operations; nothing else uses it. Results agree with those of ops.h to rounding, not to the bit: the library sums in an
// order of its own.
typedef struct hb_products hb_products;
typedef struct {
    const char *library; // its name, for people
    // Fails where the library is not installed. The caller closes *products before the device.
    hb_status (*open)(hb_device *device, hb_products **products, hb_error *error);
    void (*close)(hb_products *products);
    // One step of `count` static lanes: y = f(W x) layer by layer, each layer one batched product. weights (count, N), w
    // [I][O] of all layers in a row, from `alloc`; observation (count, I) and action (count, O) in host memory.
    hb_status (*forward)(hb_products *products, const hb_net *net, int32_t count, const float *weights,
                         const float *observation, float *action, hb_error *error);
    // g_d = sum_k z_k eps_kd with the noise eps (K, D) and g (D) from `alloc`, z (K) in host memory. Waits.
    hb_status (*gradient)(hb_products *products, float *g, const float *z, const float *noise, int32_t n_terms,
                          int32_t n, hb_error *error);
} hb_products_table;

typedef struct {
    const char *name;
    const char *summary;
    bool host_parallel;

    // Can the device be used here? Otherwise *error says why not.
    hb_status (*probe)(hb_error *error);
    // `variant` chooses among equal builds (cpu: "auto", "avx512", "avx2", "generic"). The caller owns
    // *device and closes it after all that was made from it.
    hb_status (*open)(const char *variant, hb_device **device, hb_error *error);
    void (*close)(hb_device *device);
    // The variant in use, a static string.
    const char *(*variant)(const hb_device *device);
    // How many lanes a group should have to serve the device well.
    int32_t (*group_size)(const hb_device *device, const hb_net *net);
    // Bytes of the device's memory that a group of `lanes` takes.
    size_t (*group_bytes)(const hb_device *device, const hb_net *net, int32_t lanes);

    // Arrays of n words of 32 bits, zeroed, 64-byte aligned: floats, or integers (hb_integers). free accepts NULL.
    hb_status (*alloc)(hb_device *device, size_t n, float **out, hb_error *error);
    void (*free)(hb_device *device, float *data);
    // Nullable: the same in a file of the folder instead of in memory, which has no name and goes with it. Fails where the
    // folder has no room for all of it. unmap accepts NULL.
    hb_status (*map)(hb_device *device, const char *folder, size_t n, float **out, hb_error *error);
    void (*unmap)(hb_device *device, float *data, size_t n);
    hb_status (*upload)(hb_device *device, void *to, const void *from, size_t n, hb_error *error);
    hb_status (*download)(hb_device *device, void *to, const void *from, size_t n, hb_error *error);
    // Host memory that the device copies to and from at its best (pinned), zeroed. host_free accepts NULL.
    hb_status (*host_alloc)(hb_device *device, size_t n, float **out, hb_error *error);
    void (*host_free)(hb_device *device, float *data);

    // Elements [begin, end) of a sample into h[begin..end); begin is a multiple of 64, h is the whole (D) array.
    hb_status (*sample)(hb_device *device, const hb_genome *genome, float *h, size_t begin, size_t end,
                        hb_error *error);
    // g[begin..end) from the K numbers z (host memory) and the noise sequences of individuals 0..K-1 of `noise`.
    hb_status (*gradient)(hb_device *device, float *g, const float *z, int32_t n_terms, hb_noise noise, size_t begin,
                          size_t end, hb_error *error);
    hb_status (*sgd)(hb_device *device, float *mean, const float *g, float rate, size_t begin, size_t end,
                     hb_error *error);
    hb_status (*adam)(hb_device *device, float *mean, float *m, float *v, const float *g, hb_adam parameters,
                      size_t begin, size_t end, hb_error *error);

    // Draws the rules of synapses [begin, end) for P individuals: choice (P, N), whole, in the device's memory.
    // Nullable: entropy (N), host memory.
    hb_status (*mixture_choose)(hb_device *device, const hb_mixture *mixture, int32_t n_individuals, hb_noise noise,
                                uint32_t *choice, float *entropy, int64_t begin, int64_t end, hb_error *error);
    // A gradient: begin, prepare all rules, then all synapses (begin a multiple of 64), then end, which writes g (M, C),
    // host memory, the gradient by mu, frees the work, and fails where a sum could have overflowed. begin, end and the
    // step's numbers are of one thread; the two in between may be split.
    hb_status (*mixture_begin)(hb_device *device, const hb_mixture *mixture, const hb_mixture_step *step,
                               hb_mixture_work **work, hb_error *error);
    hb_status (*mixture_prepare)(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error);
    hb_status (*mixture_rows)(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error);
    hb_status (*mixture_end)(hb_mixture_work *work, float *g, hb_mixture_counts *counts, hb_error *error);

    // A group of `lanes` lanes of the network; the caller destroys it. *net is copied.
    hb_status (*group_create)(hb_device *device, const hb_net *net, int32_t lanes, hb_group **group, hb_error *error);
    void (*group_destroy)(hb_group *group);
    // Starts life k in lane lane[k], for k in [0, count). Nullable: sum_of_squares (count), host memory, receives the
    // sum of squares of the penalised part of each genome.
    hb_status (*group_expand)(hb_group *group, int32_t count, const int32_t *lane, const hb_lane *life,
                              double *sum_of_squares, hb_error *error);
    // One step of the lanes lane[0..count), each named once: observation (count, words: hb_net_observation_words), floats
    // or a picture's bytes, to action (count, O of the last layer), all in host memory.
    hb_status (*group_step)(hb_group *group, int32_t count, const int32_t *lane, const float *observation,
                            float *action, hb_error *error);
    // Returns when all that was queued is done: its results stand in host memory. Errors of queued work come here.
    hb_status (*group_wait)(hb_group *group, hb_error *error);
    // The weights of one layer of one lane after the update of its last step: w (I, O), host memory. Waits.
    hb_status (*group_weights)(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error);
    // Disturbs a life (ops.h, "Put"): all layers' weights w (N), [I][O] of each in a row, or the last layer's output y (O)
    // of the last step, in host memory. Waits.
    hb_status (*group_put_weights)(hb_group *group, int32_t lane, const float *w, hb_error *error);
    hb_status (*group_put_output)(hb_group *group, int32_t lane, const float *y, hb_error *error);

    const hb_products_table *products; // nullable
} hb_device_table;

extern const hb_device_table *const hb_devices[];
extern const int32_t hb_n_devices;

// The device of that name; "auto" is the first of the table that can be used here. Fails with HB_BAD_INPUT on
// an unknown name, HB_FAILED where the named device cannot be used, saying why.
hb_status hb_device_find(const char *name, const hb_device_table **table, hb_error *error);

#ifdef __cplusplus
}
#endif

#endif
