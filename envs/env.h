// The contract between the trainer and an environment. An environment knows nothing of networks, evolution,
// files or random generators: it is a table of functions that whoever wants to step it fills with actions.
//
// A world is shared and constant once created (models of all variations); a body is the private state of one
// worker. Bodies of the same world may be stepped at the same time from different threads. No globals.
//
// To load an environment from outside the repository, build a shared object that exports
//     const hb_env_table *hb_env_export(void);
// returning a table whose `abi` is HB_ENV_ABI, and name the file in `env.name`. See
// docs/adding-an-environment.md and envs/example/pointmass.c.
#ifndef HB_ENV_H
#define HB_ENV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_ENV_ABI    2
#define HB_ENV_EXPORT "hb_env_export"

// Where an environment gets its random numbers from: 32 uniform bits a call. The host decides what they are.
typedef struct hb_env_random {
    uint32_t (*next)(struct hb_env_random *self);
} hb_env_random;

// U[0, 1) with 32 bits, exact in float64.
static inline double hb_env_uniform(hb_env_random *random) {
    return random->next(random) * (1.0 / 4294967296.0);
}

// An option of the environment, a key of the config's `env` section.
typedef enum { HB_OPTION_BOOL, HB_OPTION_INT, HB_OPTION_REAL, HB_OPTION_CHOICE, HB_OPTION_TEXT } hb_option_type;

typedef struct {
    const char *name;
    hb_option_type type;
    const char *fallback;     // the default, as text
    double least, most;       // INT, REAL: inclusive bounds
    const char *const *words; // CHOICE: the words, NULL-terminated
    const char *help;         // one line with units and source
} hb_env_option;

// The value of option `name` as text that fits its description; the default where the config says nothing.
typedef struct {
    const char *(*option)(void *context, const char *name);
    void *context;
} hb_env_settings;

// What values an action may have. What a network puts out is bounded to it by tanh or by the logistic function.
typedef enum {
    HB_ACTION_ANY,
    HB_ACTION_SIGNED, // [-1, 1]
    HB_ACTION_UNIT    // [0, 1]
} hb_action_range;

// How a step ended. After anything but RUNNING the body must be reset before its next step.
typedef enum {
    HB_ENV_RUNNING = 0,
    HB_ENV_DONE,    // the episode is over
    HB_ENV_DIVERGED // the simulation or the action was not finite; `fitness` of this step is 0
} hb_env_outcome;

typedef struct {
    double fitness; // this step's share of the episode's fitness
    double reward;  // the environment's full reward, for logs
    double physics; // seconds spent in the physics library, 0 where not measured
    int32_t substeps;
} hb_env_step;

// A named array of the body's state, for traces: `length` float64 values.
typedef struct {
    const char *name;
    int32_t length;
} hb_env_field;

typedef struct hb_env_table {
    uint32_t abi; // HB_ENV_ABI
    const char *name;
    const char *summary;
    const char *library; // the physics library. Nullable
    const char *(*library_version)(void);
    // An observation is observation_size floats; or, where picture_shape (channels, height, width) is not 0, that many bytes,
    // in this order, the last the fastest.
    int32_t observation_size, picture_shape[3];
    int32_t action_size;
    const hb_action_range *action_range; // (action_size). Nullable: anything
    int32_t max_steps;                   // policy steps, at most, of an episode
    double step_seconds;                 // s, simulated in a policy step; 0 where time has no meaning
    const char *const *variations;       // NULL-terminated; the first is the default
    const hb_env_option *options;        // ends with a NULL name. Nullable
    const hb_env_field *fields;          // of a snapshot, ends with a NULL name. Nullable

    // Builds the world. Returns 0, or -1 with one line in message (size bytes). The caller destroys *world.
    int (*world_create)(const hb_env_settings *settings, void **world, char *message, size_t size);
    void (*world_destroy)(void *world);
    // A body in that world, which must outlive it. Returns as world_create; the caller destroys *body.
    int (*body_create)(const void *world, void **body, char *message, size_t size);
    void (*body_destroy)(void *body);
    // Starts an episode of variation k (index into `variations`): observation as above; out
    // tells the seconds and substeps spent, nothing else. The result is RUNNING, or DIVERGED where the
    // episode could not start.
    hb_env_outcome (*reset)(void *body, int32_t variation, hb_env_random *random, void *observation,
                            hb_env_step *out);
    // One policy step: action (action_size) to the next observation.
    hb_env_outcome (*step)(void *body, const float *action, void *observation, hb_env_step *out);
    // All fields, one after the other, into state (sum of their lengths).
    void (*snapshot)(const void *body, double *state);
    // What is constant in an episode: array number k of float64, (*rows, *columns), and its name; NULL past the last one.
    // Nullable.
    const double *(*constant)(const void *body, int32_t k, const char **name, int32_t *rows, int32_t *columns);
    // The state as a picture for people: rgb (height, width, 3), smoothed by samples x samples a pixel where the environment
    // draws itself. Always called on one thread. Returns as world_create. Nullable.
    int (*picture)(void *body, int32_t width, int32_t height, int32_t samples, uint8_t *rgb, char *message,
                   size_t size);
} hb_env_table;

// Bytes of an observation.
static inline size_t hb_env_observation_bytes(const hb_env_table *env) {
    return (size_t)env->observation_size * (env->picture_shape[0] > 0 ? 1 : sizeof(float));
}

// The environments of this build, ending with NULL.
extern const hb_env_table *const hb_envs[];

#ifdef __cplusplus
}
#endif

#endif
