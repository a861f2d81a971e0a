// libhebbes: train, resume, evaluate and inspect populations of networks that learn while they live.
//
// The command line uses this header alone, and any other program can. Functions return HB_OK or a status whose value is also the
// exit code that a program should end with; *error (nullable) then holds one line for the user. Handles are opaque, owned by the
// caller, and closed by the function declared beside the one that made them.
//
// Threads: several threads may call the library at the same time, each with its own configs, stops and folders; a handle belongs to
// one thread at a time. Uses of HDF5 wait for each other. The library starts threads of its own, and hb_study
// child processes by fork: call it while no other thread is in the library.
// It changes nothing of the process: no signals, no locale. Numbers are read and written with a point whatever the locale is, also by
// callbacks, which run as the library does.
#ifndef HB_HEBBES_H
#define HB_HEBBES_H

#include "kernels/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_VERSION "0.2.0"

// The names that the library exports.
#define HB_API __attribute__((visibility("default")))

// ---------------------------------------------------------------------------------------------------
// For other languages: the library's version, and where fields of this header's structs stand, to compare with what was assumed. The last row
// has no names.

HB_API const char *hb_version(void);

typedef struct {
    const char *record, *field;
    int64_t offset, size; // bytes
} hb_layout_row;
HB_API const hb_layout_row *hb_layout(void);

// ---------------------------------------------------------------------------------------------------
// Configuration

typedef struct hb_config hb_config;

// Reads a YAML file (nullable: the defaults) and applies n_sets texts "section.key=value" in order. Fails
// with HB_BAD_INPUT on an unknown key, a wrong type, a value out of range; the line names file, line, key,
// what was expected, what was found, and the nearest valid name.
HB_API hb_status hb_config_open(const char *path, const char *const *sets, int n_sets, hb_config **config,
                                hb_error *error);
HB_API void hb_config_close(hb_config *config);

// The value of "section.key" as text, owned by the config; NULL where there is no such key.
HB_API const char *hb_config_value(const hb_config *config, const char *key);

// Folds: the variations that the configuration trains on, then those that it holds out; NULL past the last one. The k-th is
// held out in turn, the others trained on.
HB_API const char *hb_config_fold(const hb_config *config, int k);

// The two settings of a fold, "env.variations=..." and "env.held_out=NAME", for hb_config_open.
#define HB_FOLD 8192
HB_API void hb_config_fold_sets(const hb_config *config, const char *name, char variations[HB_FOLD],
                                char held_out[HB_FOLD]);

// Key k of the configuration, in the order of describe, as data; texts are owned by the config. False past the last one.
typedef struct {
    const char *section, *name;
    const char *type;             // bool, int, real, word, text, file, library, words, ints
    const char *value, *standard; // as text; standard: the default
    const char *help;
    double least, most; // of int, real, ints
    bool same_bits;     // decides where, how long or how fast a run computes, but none of its numbers
} hb_key_about;
HB_API bool hb_config_key(const hb_config *config, int k, hb_key_about *about);

// The words that key k may be, from 0; NULL past the last one.
HB_API const char *hb_config_word(const hb_config *config, int k, int word);

// Where texts are written: write is called with some lines at a time, on the thread that made the call.
typedef struct {
    void (*write)(void *context, const void *text, int64_t size); // bytes, without a 0 at the end
    void *context;
} hb_writer;

// Writes the whole configuration as YAML.
HB_API hb_status hb_config_write(const hb_config *config, const hb_writer *writer, hb_error *error);

// Writes every key with its help, value and words, a line or two each; or those of one section.
HB_API hb_status hb_config_describe(const hb_config *config, const char *section, const hb_writer *writer,
                                    hb_error *error);

// The name of environment k: those of this build, the default first, then those that were added, the newest first; NULL past the last one.
HB_API const char *hb_environment(int k);

// ---------------------------------------------------------------------------------------------------
// Training

// Statistics of a finished generation.
typedef struct {
    int64_t generation, generations;                  // finished; at which training stops
    double mean, sd, max;                             // of the population's fitness, penalty included; sd unbiased
    double steps_per_second;                          // environment steps per second, burn-in not counted
    double seconds;                                   // of this generation
    double physics_share, policy_share, update_share; // of this generation's thread time
    double best_mean;                                 // over the run so far
    int64_t diverged, lives;                          // of this generation: lives that left the numbers; all
} hb_progress;

// A request to stop: the current generation is abandoned, the last finished one saved.
typedef struct hb_stop hb_stop;
HB_API hb_stop *hb_stop_create(void); // NULL when out of memory
HB_API void hb_stop_destroy(hb_stop *stop);
HB_API void hb_stop_request(hb_stop *stop); // from any thread, or from a signal handler
HB_API bool hb_stop_requested(const hb_stop *stop);
HB_API void hb_stop_clear(hb_stop *stop); // the request was met; what it watches may go on

// Ranks: processes, on one machine or many, that train one run together (docs/clusters.md). Rank 0 writes the run; the bits are those of one
// process.
typedef struct hb_ranks hb_ranks;
HB_API int hb_launcher_size(void); // how many processes the launcher (mpirun, srun) has started; 1 without one
HB_API int hb_launcher_rank(void); // this one's number, from 0
// Joins the processes of the launcher by the MPI plugin; call it once, and install signal handlers before: MPI takes its time. Fails with
// HB_BAD_INPUT where the plugin is missing.
HB_API hb_status hb_ranks_join(hb_ranks **ranks, hb_error *error);
HB_API int hb_ranks_number(const hb_ranks *ranks);                 // this process's, 0 if ranks is NULL
HB_API int hb_ranks_size(const hb_ranks *ranks);                   // how many there are, 1 if ranks is NULL
HB_API const char *hb_ranks_host(const hb_ranks *ranks, int rank); // the machine of a rank
// Leaves; accepts NULL. A status other than HB_OK and HB_INTERRUPTED ends all ranks at once with that exit code, and does not return.
HB_API void hb_ranks_leave(hb_ranks *ranks, hb_status status);

// Callbacks of a training, each nullable, called on the thread that called hb_train; note also on one of the library's own, beside the
// others.
typedef struct {
    void (*started)(void *context, const char *folder, int64_t generation);
    void (*progress)(void *context, const hb_progress *progress);
    void (*note)(void *context, const char *line); // a line for the user: a skipped checkpoint, a fallback
    void *context;
    const hb_stop *stop;
    hb_ranks *
        ranks; // nullable: trains beside them; every rank makes the same call, and rank 0's started and progress are called
} hb_hooks;

// Trains `config` into its folder (run.out), which must not exist, or be empty. HB_INTERRUPTED after hb_stop_request.
HB_API hb_status hb_train(const hb_config *config, const hb_hooks *hooks, hb_error *error);

// The same, but resumes the run in that folder if it has this configuration; keys that change no bit may differ.
HB_API hb_status hb_train_on(const hb_config *config, const hb_hooks *hooks, hb_error *error);

// The checkpoint to start another run from: of a run's folder the best, or the last where there is no best; or `source` itself, a
// file. Writes its path and the two settings "run.from=..." and "run.from_digest=...", by which a new run starts with its search's
// arrays (sigma, lr and the generation are the new run's own; Adam's moments are 0).
HB_API hb_status hb_start_from(const char *source, char from[4200], char digest[64], hb_error *error);

// Resumes the run in `folder` from its last valid checkpoint; the bits are those of an uninterrupted run. `sets`
// may change keys that change no bit: run.generations, run.threads, run.device, ...
HB_API hb_status hb_resume(const char *folder, const char *const *sets, int n_sets, const hb_hooks *hooks,
                           hb_error *error);

// ---------------------------------------------------------------------------------------------------
// Evolutions that are asked and told, by whoever has the environment or the networks

// A search, and the run that records it. Handles made from it must be closed before it.
typedef struct hb_evolution hb_evolution;

// Opens a configuration as hb_config_open does. With env.name=outside its sizes are options, and another program steps the environment; the
// others can be lived here, too. Where run.out names a folder it becomes a run there, or goes on with the one that is there; without run.out
// nothing is written. hooks (nullable, without ranks) is copied.
HB_API hb_status hb_evolution_open(const char *path, const char *const *sets, int n_sets, const hb_hooks *hooks,
                                   hb_evolution **evolution, hb_error *error);

// Opens a run to look at: the search of its checkpoint (eval.checkpoint or eval.file). It is neither told nor saved.
HB_API hb_status hb_evolution_load(const char *folder, const char *const *sets, int n_sets, hb_evolution **evolution,
                                   hb_error *error);

// Saves the run and closes; accepts NULL. The handle is gone whatever is returned.
HB_API hb_status hb_evolution_close(hb_evolution *evolution, hb_error *error);

typedef struct {
    int64_t population, generation, generations; // individuals; finished; at which training stops
    int64_t seed, genome_size;                   // numbers of a genome
    int64_t observation_size, action_size;       // numbers; bytes of an observation that is a picture
    int64_t layers, variations, threads;
    double lr, sigma, best_mean; // of the next generation; best population mean so far
    bool picture, plastic, over; // over: nothing is left to do
} hb_evolution_about;
HB_API void hb_evolution_describe(const hb_evolution *evolution, hb_evolution_about *about);

// The sizes of a layer, from 0; false past the last one.
HB_API bool hb_evolution_layer(const hb_evolution *evolution, int layer, int64_t *inputs, int64_t *outputs);

// As hb_config_value.
HB_API const char *hb_evolution_value(const hb_evolution *evolution, const char *key);

// Asks for the genomes of individuals [first, first + n) of the generation under way, (n, genome_size); or, first = -1 and n = 1, of the mean.
// For people with networks of their own: docs/export.md has the layout.
HB_API hb_status hb_evolution_genomes(hb_evolution *evolution, int64_t first, int64_t n, float *genomes,
                                      hb_error *error);

// Lives a generation in the configured environment; fitness (P), nullable: returns with the penalty. HB_INTERRUPTED as in training.
HB_API hb_status hb_evolution_live(hb_evolution *evolution, double *fitness, hb_error *error);

// Tells the returns (P) of the generation that was asked for, without the penalty search.l2, which is subtracted here; or NULL after
// hb_evolution_live. Moves the search, records the generation, and starts the next. progress: nullable. Fails with HB_BAD_INPUT where
// nothing was asked for, or returns are not finite or not P; the evolution is unchanged then.
HB_API hb_status hb_evolution_tell(hb_evolution *evolution, const double *returns, int64_t n, hb_progress *progress,
                                   hb_error *error);

HB_API hb_status hb_evolution_save(hb_evolution *evolution, hb_error *error);

// As hb_digest, of the search as it is now.
HB_API hb_status hb_evolution_digest(const hb_evolution *evolution, char digest[33], hb_error *error);

// Networks of an evolution, in lanes 0 to n - 1, that live in environments of another program.
typedef struct hb_lives hb_lives;
HB_API hb_status hb_lives_open(hb_evolution *evolution, int64_t lanes, hb_lives **lives, hb_error *error);
HB_API void hb_lives_close(hb_lives *lives); // accepts NULL

// Births in n different lanes: individual[k] of the generation under way (-1: the mean) with the initial weights of its birth number[k]
// (nullable: all 0; birth 0 has the weights of training's). A generation that was told ends all lives.
HB_API hb_status hb_lives_begin(hb_lives *lives, int64_t n, const int64_t *lane, const int64_t *individual,
                                const int64_t *number, hb_error *error);

// A step of the lanes that are alive (lanes; nullable: all): observation (lanes, observation_size), floats, or bytes of pictures, to action
// (lanes, action_size), within the environment's range; 0 for the others. Weights change as they live. reward (lanes): the share of the
// fitness that the last step of each life earned; that of a first step is taken for 0. Nullable where the network takes none (policy.sees_reward, policy.modulate), and
// where all begin.
HB_API hb_status hb_lives_step(hb_lives *lives, const void *observation, const float *reward, const uint8_t *alive,
                               float *action, hb_error *error);

// A layer's weights after the update of the last step: w (inputs, outputs).
HB_API hb_status hb_lives_weights(hb_lives *lives, int64_t lane, int64_t layer, float *w, hb_error *error);

// Changes a life under way, of a network that learns: w of all layers, (inputs, outputs) of each one after the other, finite. Putting the same ones before
// every step freezes it.
HB_API hb_status hb_lives_put_weights(hb_lives *lives, int64_t lane, const float *w, hb_error *error);

// ---------------------------------------------------------------------------------------------------
// Environments that the program brings along

// A table of the contract in envs/env.h, valid as long as the process: from now on env.name is its name. Of several with one name the newest
// is used by configurations that are opened after it. Fails with HB_BAD_INPUT where it is incomplete or has the name of one of this build. Any thread may call it.
typedef struct hb_env_table hb_env_table;
HB_API hb_status hb_env_add(const hb_env_table *table, hb_error *error);

// An environment of two functions, in any language that can make some for C. Each life has a state of its own, state_bytes, 0 at first, on
// a multiple of 64; several threads call with several states.
// reset starts an episode: every number that is drawn follows from the seed. step returns 0 while the episode goes on, 1 when it is over,
// less than 0 when the state has left the numbers. Names and functions are copied.
typedef struct {
    const char *name, *summary;    // of letters, digits and _; summary: nullable
    const char *const *variations; // NULL-terminated; nullable: "default" alone
    const char *range;             // of an action's numbers: any, signed [-1, 1], unit [0, 1]
    int64_t observation_size, action_size, max_steps, state_bytes;
    double step_seconds; // s, simulated in a step; 0 where time has no meaning
    void (*reset)(void *state, int32_t variation, uint64_t seed, float *observation);
    int32_t (*step)(void *state, const float *action, float *observation, double *reward);
} hb_functions;
HB_API hb_status hb_functions_add(const hb_functions *functions, hb_error *error);

// ---------------------------------------------------------------------------------------------------
// Environments of this library, for networks of other programs

typedef struct hb_vec hb_vec;

// n environments of a configuration (section env, run.threads, run.width), stepped together by threads.
HB_API hb_status hb_vec_open(const char *path, const char *const *sets, int n_sets, int64_t n, hb_vec **vec,
                             hb_error *error);
HB_API void hb_vec_close(hb_vec *vec); // accepts NULL

typedef struct {
    int64_t n, observation_size, action_size; // numbers; bytes of an observation that is a picture
    int64_t picture[3];                       // channels, height, width; 0: floats
    int64_t max_steps, width, threads;        // width: environments that are computed together
    double step_seconds;                      // s, simulated in a step; 0 where time has no meaning
} hb_vec_about;
HB_API void hb_vec_describe(const hb_vec *vec, hb_vec_about *about);

// The range of number k of an action, from -inf to inf where it has none; false past the last one.
HB_API bool hb_vec_bounds(const hb_vec *vec, int64_t k, double *least, double *most);

// The name of variation k; NULL past the last one.
HB_API const char *hb_vec_variation(const hb_vec *vec, int k);

// Starts episodes in the environments of `which` (n; nullable: all), each from its seed (n), of that variation. observation: (n,
// observation_size), floats or bytes, of all. Environments that are computed together must be of one variation.
HB_API hb_status hb_vec_reset(hb_vec *vec, const uint8_t *which, const uint64_t *seeds, int64_t variation,
                              void *observation, hb_error *error);

// A picture of environment k for people to look at: rgb (height, width, 3). Fails with HB_BAD_INPUT where environments are computed together
// (run.width=1 keeps them apart), where none was reset, or where it draws none; with HB_FAILED without OpenGL.
HB_API hb_status hb_vec_picture(hb_vec *vec, int64_t k, int32_t width, int32_t height, uint8_t *rgb, hb_error *error);

// A step of all environments whose episode is under way: action (n, action_size) to observation; fitness, reward, terminated, truncated: (n).
// fitness is what evolutions here are ranked by. truncated: after max_steps; terminated: for any other reason. An episode that is over stays
// so, with 0 fitness and reward, until it is reset. Fails with HB_BAD_INPUT for an action that is not finite, or before the first reset.
HB_API hb_status hb_vec_step(hb_vec *vec, const float *action, void *observation, double *fitness, double *reward,
                             uint8_t *terminated, uint8_t *truncated, hb_error *error);

// ---------------------------------------------------------------------------------------------------
// Looking at runs

// One episode of an evaluation: its return, penalty included; the environment's own reward; policy steps.
typedef struct {
    double fitness, reward;
    int64_t steps;
    bool diverged;
} hb_eval_life;

// One row of an evaluation: `rollouts` episodes of one variation under one protocol. Its texts are valid
// during the callback only.
typedef struct {
    const char *variation, *protocol;
    bool held_out;
    int64_t rollouts;
    double mean, sd, standard_error; // of the return, penalty included; sd biased as PNR's (divided by n)
    double steps;                    // mean policy steps of an episode
    double backward_share;           // share of policy steps with negative progress; NAN where fitness is no progress
    int64_t diverged;
    const hb_eval_life *life; // (rollouts)
    const char
        *changed; // how the world differs from training's: "env.friction=0.8 instead of 1.2", ...; "" if it does not
} hb_evaluation;

// Evaluates a run's checkpoint (eval.checkpoint, or eval.file) on every variation, trained and held out, and calls row for each. `sets` may
// change the world: keys of env but its name, env.variations among them.
// HB_INTERRUPTED after hb_stop_request; stop is nullable.
HB_API hb_status hb_evaluate(const char *folder, const char *const *sets, int n_sets,
                             void (*row)(void *context, const hb_evaluation *evaluation), void *context,
                             const hb_stop *stop, hb_error *error);

// The run's search state as 32 hexadecimal digits: XXH3-128 of generation, seed, learning rate, sigma, and
// the search's arrays, of its last valid checkpoint.
HB_API hb_status hb_digest(const char *folder, const char *const *sets, int n_sets, char digest[33], hb_error *error);

// One life, written as HDF5 to `out` (must not exist): /obs (T, I), as the environment gives it (/observed_mean and /observed_scale with
// search.observations=standard), or /frame (T, H, W, C) and /frame96; /output of the
// network, /action given for it; of each step /fitness (T), whose sum is the return, and /reward (T), the environment's own; /layer{1..}/w (T+1, I, O) with its activation,
// /layer{1..}/coefficients (I, O, C), /convolution{1,2} (maps, channels, side, side); the environment's fields (/qpos, /qvel;
// /hull, /wheel_angle, /wheel_omega, /tiles) and its constants (/track); seed, rule, individual, variation as attributes.
typedef struct {
    int64_t steps;         // T, at most; fewer if the life ends earlier
    int64_t individual;    // -1: the mean of the search
    const char *variation; // NULL: the first of env.variations
    const char *out;
} hb_trace_def;

// Traces a life of a run's checkpoint (source is a folder: eval.checkpoint or eval.file; births and resets of eval.seed) or of the start of
// a configuration (source is a YAML file).
HB_API hb_status hb_trace(const char *source, const char *const *sets, int n_sets, const hb_trace_def *def,
                          hb_error *error);

// An individual's network (-1: the mean of the search), of a run's checkpoint (eval.checkpoint or eval.file) or of the start of a configuration, as a NumPy
// archive `out` (must not exist): rules or weights of each layer, how initial weights are drawn, convolutions (docs/export.md).
HB_API hb_status hb_export(const char *source, const char *const *sets, int n_sets, int64_t individual,
                           const char *out, hb_error *error);

// Pictures of one life, to `out` (must not exist): a film (.mp4, .webm, .gif) by ffmpeg, one picture of `moments` moments
// side by side (.png), or, with any other name, a folder of numbered PNGs, one per step. Without ffmpeg a film becomes such a
// folder, named as the film without its extension.
typedef struct {
    int64_t steps;         // at most; fewer if the life ends earlier
    int64_t individual;    // as of a trace
    const char *variation; // nullable
    const char *out;
    int32_t width, height, moments;
    const hb_stop *stop; // nullable: HB_INTERRUPTED after hb_stop_request, and nothing is left
} hb_render_def;

// The result: the path that was written, and the number of steps.
typedef struct {
    char wrote[4096];
    bool without_ffmpeg; // a film was asked for
    int64_t steps;
} hb_rendered;

HB_API hb_status hb_render(const char *source, const char *const *sets, int n_sets, const hb_render_def *def,
                           hb_rendered *rendered, hb_error *error);

// Estimates a run's memory and time before it runs: a table of bytes per tensor, and seconds per generation
// extrapolated from a short measurement on this machine.
HB_API hb_status hb_plan(const hb_config *config, const hb_writer *writer, hb_error *error);

// The same by several ranks, each with as many threads as here: seconds of a generation, parallel efficiency, memory of a rank, and bytes
// that it exchanges, a row for each of the n numbers of ranks. The network: the time of a small message, and its speed.
typedef struct {
    double latency_us, bandwidth_gb_s;
} hb_plan_network;
HB_API hb_status hb_plan_ranks(const hb_config *config, const hb_plan_network *network, const int64_t *ranks, int n,
                               const hb_writer *writer, hb_error *error);

// The same as numbers: bytes, and seconds per generation, first with lives as short as at the start, then with full-length lives.
typedef struct {
    double bytes, least_seconds, most_seconds;
} hb_plan_figures;
HB_API hb_status hb_plan_numbers(const hb_config *config, hb_plan_figures *figures, hb_error *error);

// An analysis of lives into the folder `out` (must not exist), data and a picture. Of one life:
//     images    each layer's weights as grey at eight moments (layerL.png)
//     pca       the first three principal components of the trajectory of all weights, with the explained variance
// Both show the first of ten births whose life lasts `steps`, or the longest of them. The others compare eval.rollouts lives, each
// with its own initial weights and reset, with the same lives undisturbed; returns are those of an evaluation:
//     freeze    no update from the T-th on: the return for T from 0 to 200, and without the freeze
//     saturate  all outputs 1 for the 100 steps from `at` (300) on, seen by the updates or not: the fitness of each step
//     zero      at step `at` (500) the middle third of each layer's outputs lose their weights: the fitness of each step, the
//               weights' distance to the undisturbed twin's, |w - w'| / |w'|, and a life's weights before, at that step and 10 steps
//               later (layerL.png)
//     init      the return with each way of drawing initial weights
typedef struct {
    const char *what, *out;
    int64_t steps, individual; // as of a trace; steps 0: all
    int64_t at;                // 0: as above
    const char *variation;     // nullable
    const hb_stop *stop;       // nullable: HB_INTERRUPTED after hb_stop_request, and nothing is left
} hb_probe_def;

typedef struct {
    int64_t lives, steps; // in all
} hb_probed;

HB_API hb_status hb_probe(const char *source, const char *const *sets, int n_sets, const hb_probe_def *def,
                          hb_probed *probed, hb_error *error);

// A picture through gnuplot, to `out` (.png or .svg, must not exist): of run folders, their population means by generation,
// runs that differ in their seed as one curve with a band from the least to the largest; of one run with `coefficients`,
// histograms of the mean individual's at the start and in eval.checkpoint or eval.file; of a study's table.csv, bars with the published
// numbers.
typedef struct {
    const char *const *sources;
    int n_sources;
    const char *const *sets; // for coefficients: as for an evaluation
    int n_sets;
    bool coefficients;
    const char *out;
} hb_plot_def;
HB_API hb_status hb_plot(const hb_plot_def *def, hb_error *error);

// A study's file: configurations x seeds (x folds). Trains what is missing, resumes what was interrupted, evaluates, and
// writes table.md and table.csv into the study's folder; with several tasks only the runs of one share, and no table. A run
// whose folder holds another configuration is refused before anything starts, or left out (skip_changed).
typedef enum {
    HB_STUDY_WAITS,
    HB_STUDY_TRAINS,
    HB_STUDY_EVALUATES,
    HB_STUDY_DONE,
    HB_STUDY_SKIPPED,
    HB_STUDY_FAILED
} hb_study_state;

// The most runs of a study.
#define HB_STUDY_RUNS 1024

// The progress of one run of a study.
typedef struct {
    const char *name;
    hb_study_state state;
    int64_t generation, generations;
    double mean, best_mean;    // of the population; NAN before a generation
    double generation_seconds; // of the last generations, smoothed; 0 before there was one
} hb_study_row;

typedef struct {
    const char *path;
    const char *const *sets; // "section.key=value" for every run, behind those of the file
    int n_sets;
    int task, tasks;   // share `task` of `tasks`, from 0
    int jobs;          // runs at once, 0: as many as there are cores; threads are shared out among them
    bool dry_run;      // only list what would be done
    bool skip_changed; // a run whose folder holds another configuration or lacks its checkpoint is left out
    void (*say)(void *context, const char *line);
    // Nullable: row `changed` of the n runs has changed; `jobs` run at once.
    void (*progress)(void *context, const hb_study_row *rows, int n, int changed, int jobs);
    void *context;
} hb_study_def;
HB_API hb_status hb_study(const hb_study_def *def, const hb_stop *stop, hb_error *error);

// Versions, devices and why one cannot be used, environments, rules, initialisers.
HB_API hb_status hb_info(const hb_writer *writer, hb_error *error);

#ifdef __cplusplus
}
#endif

#endif
