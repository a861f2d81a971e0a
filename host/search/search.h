// Search distributions: where individuals come from and how their fitness moves the distribution. Each is an
// entry of the table and a file (search_NAME.c).
#ifndef HB_SEARCH_H
#define HB_SEARCH_H

#include "host/base/machine.h"
#include "kernels/net.h"

typedef struct hb_search hb_search;

// An array of the search's state, for digests and checkpoints, in the device's memory: n floats, or, where `below` is
// not 0, n integers of 32 bits in [0, below).
typedef struct {
    const char *name;
    float *data;
    size_t n;
    uint32_t below;
    bool mapped; // in a file of run.scratch
} hb_search_array;

#define HB_MAX_ARRAYS 8

typedef struct {
    const char *name;
    const char *summary;
    // Allocates the arrays and draws the start. The machine must outlive the search.
    hb_status (*create)(hb_search *search, hb_error *error);
    // Nullable: frees `own`.
    void (*destroy)(hb_search *search);
    // Nullable: makes the genomes of individuals [0, n) ready, of the generation under way (episode 0) or of an
    // evaluation, where the mean's, too (HB_EPISODE_EVAL).
    hb_status (*prepare)(hb_search *search, int64_t n, uint32_t episode, hb_error *error);
    // The genome of individual s of the generation under way; s = -1: what stands for the mean, without noise.
    void (*genome)(const hb_search *search, int64_t s, hb_genome *genome);
    // Takes the fitness of all individuals and moves the distribution by one generation's step.
    hb_status (*update)(hb_search *search, const double *fitness, hb_error *error);
} hb_search_method;

extern const hb_search_method *const hb_searches[]; // ends with NULL
extern const hb_search_method hb_search_normal, hb_search_shared, hb_search_gmm;

// A number that a search reports of its last update, for metrics.csv.
typedef struct {
    char name[32];
    double value;
} hb_search_number;

#define HB_MAX_NUMBERS 24

// The whole state of a search: these fields and the arrays.
struct hb_search {
    const hb_search_method *method;
    hb_machine *machine;
    const hb_settings *settings;
    const hb_net *net;
    int64_t generation; // done so far
    double lr, sigma;   // of the generation under way
    int32_t n_arrays;
    hb_search_array array[HB_MAX_ARRAYS];
    int32_t n_numbers;
    hb_search_number number[HB_MAX_NUMBERS];
    void *own; // what a method keeps beside its state
};

// Starts the configured search; the caller destroys it. machine, settings and net must outlive it.
hb_status hb_search_create(hb_search *search, hb_machine *machine, const hb_settings *settings, const hb_net *net,
                           hb_error *error);
void hb_search_destroy(hb_search *search);

// One generation: updates from the fitness (population), decays lr and sigma, counts.
hb_status hb_search_tell(hb_search *search, const double *fitness, hb_error *error);

// The number of shared rules M: search.rules, or by search.rho and search.m_formula (learning.md section 6), at least 1.
int64_t hb_search_rules(const hb_search *search);

// Adds a zeroed array to the state, of floats or of integers; for `create` of a method.
hb_status hb_search_add_array(hb_search *search, const char *name, size_t n, float **data, hb_error *error);
hb_status hb_search_add_integers(hb_search *search, const char *name, size_t n, uint32_t below, hb_error *error);

// Adds a number to those reported; for `create` of a method.
void hb_search_add_number(hb_search *search, const char *name);

// Makes genomes ready, as the method's `prepare` says: before any is asked for.
hb_status hb_search_prepare(hb_search *search, int64_t n, uint32_t episode, hb_error *error);

// The mean of the search as a genome without noise, and individual r of an evaluation drawn around it.
void hb_search_mean_genome(const hb_search *search, hb_genome *genome);
void hb_search_eval_genome(const hb_search *search, int64_t r, hb_genome *genome);

// Noise of this run's streams: `episode` tells variations apart, HB_EPISODE_EVAL evaluation from training.
#define HB_EPISODE_EVAL 0x10000u
hb_noise hb_search_noise(const hb_search *search, uint32_t stream, int64_t individual, uint32_t episode);

#endif
