// The contract between the trainer and an environment. An environment knows nothing of networks, evolution, files or random
// generators: it is a table of functions; the caller supplies the actions.
//
// A world is shared and constant once created (the models of all variations). A body is the state of one life, or of several that
// are stepped together: several bodies of a world may be stepped at the same time from different threads. An environment has no
// global state.
//
// To load an environment from outside the repository, build a shared object that exports
//     const hb_env_table *hb_env_export(void);
// returning a table whose `abi` is HB_ENV_ABI, and name the file in `env.name`. See
// docs/adding-an-environment.md and envs/example/pointmass.c.
#ifndef HB_ENV_H
#define HB_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_ENV_ABI    5
#define HB_ENV_EXPORT "hb_env_export"

#define HB_ENV_MOST_NUMBERS 4096 // of an action, and of an observation that is no picture: a network layer's limit

// The environment's source of random numbers: 32 uniform bits per call. The host decides which numbers they are.
typedef struct hb_env_random {
    uint32_t (*next)(struct hb_env_random *self);
} hb_env_random;

// U[0, 1) with 32 bits, exact in float64.
static inline double hb_env_uniform(hb_env_random *random) {
    return random->next(random) * (1.0 / 4294967296.0);
}

// An option of the environment, a key of the config's `env` section.
// The bytes of a FILE are part of a run's identity: a run whose file has changed is not resumed.
typedef enum {
    HB_OPTION_BOOL,
    HB_OPTION_INT,
    HB_OPTION_REAL,
    HB_OPTION_CHOICE,
    HB_OPTION_TEXT,
    HB_OPTION_FILE // a file's path, or "" for none
} hb_option_type;

typedef struct {
    const char *name;
    hb_option_type type;
    const char *fallback;     // the default, as text
    double least, most;       // INT, REAL: inclusive bounds
    const char *const *words; // CHOICE: the words, NULL-terminated
    const char *help;         // one line with units and source
    // What runs had that were begun before the option existed, where that is not the default. Nullable.
    const char *before;
} hb_env_option;

// option(context, name): the value of an option as text that fits its description, or the default if the configuration does
// not set it.
// table: of the environment itself.
typedef struct {
    const char *(*option)(void *context, const char *name);
    void *context;
    const struct hb_env_table *table;
} hb_env_settings;

static inline const char *hb_env_setting(const hb_env_settings *settings, const char *name) {
    return settings->option(settings->context, name);
}

// The range of an action. The host maps network outputs into it, by tanh or by the logistic function.
typedef enum {
    HB_ACTION_ANY,
    HB_ACTION_SIGNED, // [-1, 1]
    HB_ACTION_UNIT,   // [0, 1]
    HB_ACTION_CLIPPED // the environment itself takes numbers beyond [-1, 1] for its ends, and is given outputs as they are
} hb_action_range;

// How a step ended. After DONE and DIVERGED the body, or the lane, must be reset before its next step.
typedef enum {
    HB_ENV_RUNNING = 0,
    HB_ENV_DONE,     // the episode is over
    HB_ENV_DIVERGED, // the simulation or the action was not finite; the fitness of this step is 0
    HB_ENV_STARTING  // of a lane: there is no observation yet, and no action is asked for
} hb_env_outcome;

typedef struct {
    double fitness; // this step's share of the episode's fitness
    double reward;  // the environment's full reward, for logs
    double physics; // seconds spent in the physics library, 0 where not measured
    int32_t substeps;
} hb_env_step;

// A named array of the body's state, for traces: `length` float64 values.
typedef struct hb_env_field {
    const char *name;
    int32_t length;
} hb_env_field;

// The sizes of a world. An observation is observation_size floats; or, if picture (channels, height, width) is not 0, that many
// bytes in this order, row-major.
typedef struct {
    int32_t observation_size, picture[3];
    int32_t action_size;
    const hb_action_range *action_range; // (action_size), as long as the world. Nullable: any values
    int32_t max_steps;             // policy steps of an episode: the host ends it then, whatever the environment says
    double step_seconds;           // s, simulated in a policy step; 0 where time has no meaning
    bool progress;                 // a step's fitness is progress: below 0 it went backwards
    const char *const *variations; // NULL-terminated, as long as the world. NULL: the table's
    const struct hb_env_field *fields; // of a snapshot, as long as the world. NULL: the table's
    int32_t width; // lives that a body steps best at a time; 1 where reset_lane and step_lanes are NULL
} hb_env_shape;

typedef struct hb_env_table {
    uint32_t abi; // HB_ENV_ABI
    const char *name;
    const char *summary;
    const char *library; // the physics library. Nullable
    const char *(*library_version)(void);
    // NULL-terminated; the first is the default. NULL: each world names its own (shape), `default` first.
    const char *const *variations;
    const hb_env_option *options; // ends with a NULL name. Nullable
    const hb_env_field *fields;   // of a snapshot, ends with a NULL name. Nullable

    // Builds the world. Returns 0, or -1 with one line in message (size bytes). The caller destroys *world.
    int (*world_create)(const hb_env_settings *settings, void **world, char *message, size_t size);
    void (*world_destroy)(void *world);
    // What follows from the world's settings.
    void (*shape)(const void *world, hb_env_shape *shape);
    // A body in that world, which must outlive it: of one life (width 1), or of so many. Returns as world_create; the caller
    // destroys *body. An environment may refuse widths other than 1 and its shape's.
    int (*body_create)(const void *world, int32_t width, void **body, char *message, size_t size);
    void (*body_destroy)(void *body);
    // The next functions are for bodies of one life. Starts an episode of variation k (index into `variations`) and writes its first observation. *out receives only the
    // seconds and substeps spent. Returns RUNNING, or DIVERGED if the episode could not start.
    hb_env_outcome (*reset)(void *body, int32_t variation, hb_env_random *random, void *observation,
                            hb_env_step *out);
    // One policy step: action (action_size) to the next observation.
    hb_env_outcome (*step)(void *body, const float *action, void *observation, hb_env_step *out);
    // Writes all fields, one after the other, to state (sum of their lengths).
    void (*snapshot)(const void *body, double *state);
    // Arrays that are constant during an episode: array k of float64, (*rows, *columns), and its name; NULL past the last.
    // Nullable.
    const double *(*constant)(const void *body, int32_t k, const char **name, int32_t *rows, int32_t *columns);
    // Draws the state for people to look at: rgb (height, width, 3), with samples x samples per pixel if the environment
    // draws by itself. Returns as world_create. Nullable.
    int (*picture)(void *body, int32_t width, int32_t height, int32_t samples, uint8_t *rgb, char *message,
                   size_t size);

    // Bodies of `width` lives, in lanes 0 to width - 1. Nullable, both.
    // Starts an episode in a lane. All lanes that are not idle live the same variation; a lane is idle at first and after DONE or
    // DIVERGED. The lane is STARTING: step_lanes moves it on, without action, until it reports RUNNING with the first observation,
    // or DIVERGED if the episode could not start.
    void (*reset_lane)(void *body, int32_t lane, int32_t variation, hb_env_random *random);
    // A step of all lanes that are not idle: action (width, action_size) to observation (width, observation_size); out and outcome
    // (width). Rows of idle lanes are neither read nor written. A lane's results are those of a body of one life, bit for bit.
    void (*step_lanes)(void *body, const float *action, void *observation, hb_env_step *out, hb_env_outcome *outcome);
    // Nullable also beside the two above. A lane that is held stands still: step_lanes passes it over as if it were idle, until it is released
    // and goes on as if nothing had been.
    void (*hold_lane)(void *body, int32_t lane, bool hold);
} hb_env_table;

// Bytes of an observation.
static inline size_t hb_env_observation_bytes(const hb_env_shape *shape) {
    return (size_t)shape->observation_size * (shape->picture[0] > 0 ? 1 : sizeof(float));
}

// The environments of this build, ending with NULL; envs/plugin.h finds also those that were added.
extern const hb_env_table *const hb_envs[];

#ifdef __cplusplus
}
#endif

#endif
