// Search distributions: where individuals come from, and how their fitness moves the distribution. A search is one file
// (NAME.c) and one entry of hb_searches; the file declares the search's own keys beside its code.
#ifndef HB_SEARCH_H
#define HB_SEARCH_H

#include "host/base/machine.h"
#include "host/ranks/ranks.h"
#include "kernels/net.h"

typedef struct hb_search hb_search;
typedef struct hb_search_method hb_search_method;
typedef struct hb_standard hb_standard;

// ---------------------------------------------------------------------------------------------------
// Settings

typedef enum { HB_SGD, HB_ADAM } hb_optimiser;
typedef enum { HB_RANKS, HB_RANKS_UNBIASED, HB_UNSHAPED, HB_RANKS_CENTERED } hb_shaping;
typedef enum { HB_START_NORMAL, HB_START_U01, HB_START_U11, HB_START_FAN_IN } hb_start;
typedef enum { HB_COMMON_NONE, HB_COMMON_PAIR, HB_COMMON_GENERATION } hb_common;
typedef enum { HB_RULES_BY_TEXT, HB_RULES_BY_CODE } hb_rules_formula;

// The settings of section `search` that all searches read.
typedef struct {
    int32_t kind; // index into hb_searches
    int64_t population;
    double sigma, sigma_decay, sigma_floor;
    double lr, lr_decay, lr_floor;
    hb_optimiser optimiser;
    double beta1, beta2, epsilon;
    bool antithetic;
    hb_common common;     // births and resets
    int32_t observations; // 0: raw, 1: standard (standard.h)
    hb_shaping shaping;
    double l2;
    bool clip_negative;
    hb_start start;
    double start_scale;
    double stop_mean;
    int64_t restart; // generations without a better mean (restart.h); 0: never
    // Of searches that share rules:
    double rho;
    int64_t rules;
    hb_rules_formula m_formula;
    const void *own; // the method's own settings, filled from its keys
} hb_search_settings;

extern const hb_key hb_search_keys[]; // ends with a NULL name

// What a search's settings must fit: the policy that it searches for.
typedef struct {
    bool has_rules;       // plastic: there are coefficients
    bool evolves_weights; // initial weights are evolved beside them
} hb_search_subject;

// True if the settings fit each other and the subject. Otherwise *fault names the key to change and the reason.
bool hb_search_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault);

// Which setting, "search.KEY=VALUE", leaves a key of hb_search_keys without effect, in text; "" where it has one.
void hb_search_idle(const hb_search_settings *settings, const char *key, char text[64]);

// ---------------------------------------------------------------------------------------------------
// The table

struct hb_search_method {
    const char *name;
    const char *summary;
    // Nullable: keys of the method's own, which fill a struct of settings_size bytes (at most HB_SEARCH_OWN). All searches' keys
    // stand in section `search`, so their names differ.
    const hb_key *keys;
    size_t settings_size;
    // Nullable: as hb_search_fits, for what this method does not combine with.
    bool (*fits)(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault);
    // Allocates the arrays of the state and draws the start.
    hb_status (*create)(hb_search *search, hb_error *error);
    bool adapts;       // it moves the deviations itself: search.sigma does not decay
    bool own_steps;    // search.lr, its decay and search.shaping are not read
    const char *rates; // what to lower then when numbers overflow
    bool shares;       // rules are shared: search.rho, search.rules and search.m_formula are read
    // Nullable: frees search->own.
    void (*destroy)(hb_search *search);
    // Nullable: prepares the genomes of individuals [0, n): of the current generation (episode 0), or of an evaluation,
    // with those of the mean (HB_EPISODE_EVAL).
    hb_status (*prepare)(hb_search *search, int64_t n, uint32_t episode, hb_error *error);
    // The genome of individual s of the current generation; s = -1: of the mean, without noise.
    void (*genome)(const hb_search *search, int64_t s, hb_genome *genome);
    // Moves the distribution one step from the fitness of all individuals.
    hb_status (*update)(hb_search *search, const double *fitness, hb_error *error);
    // Nullable: bytes that each rank gives the others in a generation; NULL: those of the first array.
    double (*exchanged)(const hb_search *search);
    // Nullable: working memory of an update, for plans: calls row for each array with its bytes here and the bytes that it
    // would take for all individuals at once.
    void (*memory)(const hb_search *search,
                   void (*row)(void *context, const char *what, double bytes, double naive, const char *why),
                   void *context);
};

#define HB_SEARCH_OWN 512

extern const hb_search_method *const hb_searches[]; // ends with NULL
extern const hb_search_method hb_search_normal, hb_search_shared, hb_search_gmm, hb_search_pgpe, hb_search_snes,
    hb_search_sep_cma;

// ---------------------------------------------------------------------------------------------------
// State

// What an array is to a run that starts from the state of another (run.from).
typedef enum {
    HB_ARRAY_TAKEN,    // what evolves: it must be there
    HB_ARRAY_OPTIONAL, // taken where it is there: deviations
    HB_ARRAY_ANEW      // begins anew: how the search moves, what it counts
} hb_array_role;

// An array of the search's state, saved in checkpoints and hashed into digests: n floats, or, if `below` is not 0, n integers
// in [0, below).
typedef struct {
    const char *name;
    hb_memory data;
    size_t n; // that are here
    uint32_t below;
    size_t whole,
        first; // with several ranks a spread array (rows.h) has numbers [first, first + n) of `whole` here; else all
    bool is_spread;
    bool is_fixed; // never moves after the start
    hb_array_role role;
} hb_search_array;

// True of Adam's moments: arrays that are called NAME_m and NAME_v.
bool hb_search_is_moment(const hb_search_array *array);

// A number that a search reports of its last update, for metrics.csv.
typedef struct {
    char name[32];
    double value;
} hb_search_number;

#define HB_MAX_ARRAYS  9
#define HB_MAX_NUMBERS 24

// The whole state of a search is these fields and the arrays.
struct hb_search {
    const hb_search_method *method;
    const hb_machine *machine;
    hb_ranks *ranks; // nullable: they share the work of updates, which all call
    const hb_search_settings *settings;
    const hb_net *net;
    uint32_t seed;
    int64_t generation; // completed so far
    int64_t begun;      // the generation in which it began: 0, or that of its last restart
    double lr, sigma;   // of the current generation
    int32_t n_arrays;
    hb_search_array array[HB_MAX_ARRAYS];
    int32_t n_numbers;
    hb_search_number number[HB_MAX_NUMBERS];
    void *own;                       // what the method keeps beside its state
    hb_standard *standard;           // NULL: networks see observations as they are
    int32_t restart, restart_number; // the array and the reported number of restarts; 0: there are none
};

// Starts the configured search; the caller destroys it. ranks is nullable. machine, ranks, settings and net must outlive it.
hb_status hb_search_create(hb_search *search, const hb_machine *machine, hb_ranks *ranks,
                           const hb_search_settings *settings, uint32_t seed, const hb_net *net, hb_error *error);
void hb_search_destroy(hb_search *search);

// Ends a generation: updates from the fitness (population), decays lr and sigma, counts the generation.
hb_status hb_search_tell(hb_search *search, const double *fitness, hb_error *error);

// Prepares genomes (method->prepare), and how observations are seen; must come before any is asked for.
hb_status hb_search_prepare(hb_search *search, int64_t n, uint32_t episode, hb_error *error);

// The genome of the mean, without noise, and of individual r of an evaluation, drawn around the mean.
void hb_search_mean_genome(const hb_search *search, hb_genome *genome);
void hb_search_eval_genome(const hb_search *search, int64_t r, hb_genome *genome);

// The sequence of random numbers of this run for that stream and individual. `episode` tells variations apart;
// HB_EPISODE_EVAL tells evaluation from training.
#define HB_EPISODE_EVAL 0x10000u
hb_noise hb_search_noise(const hb_search *search, uint32_t stream, int64_t individual, uint32_t episode);

// The noise of a life of individual s in the current generation: its birth weights or its reset. Individuals share it as
// search.common says.
hb_noise hb_search_life_noise(const hb_search *search, uint32_t stream, int64_t s, uint32_t episode);

// For `create` of a method: adds a zeroed array of floats, or of integers in [0, below), to the state. The array is
// search->array[search->n_arrays - 1] then.
hb_status hb_search_add_array(hb_search *search, const char *name, size_t n, hb_error *error);
hb_status hb_search_add_integers(hb_search *search, const char *name, size_t n, uint32_t below, hb_error *error);

// For `create` of a method: adds a number to those reported, of which there are at most HB_MAX_NUMBERS.
void hb_search_add_number(hb_search *search, const char *name);

#endif
