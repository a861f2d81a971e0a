// The configuration: the keys of all modules with their values. YAML files, --set, --help and the saved configuration of a run all
// come from the modules' lists of keys (host/base/keys.h).
#ifndef HB_CONFIG_H
#define HB_CONFIG_H

#include "envs/env.h"
#include "host/base/machine.h"
#include "host/base/suggest.h"
#include "host/hebbes.h"
#include "host/policy/policy.h"
#include "host/search/search.h"

#include <stdio.h>

// ---------------------------------------------------------------------------------------------------
// Settings

typedef enum { HB_ROLLOUT_AUTO, HB_ROLLOUT_RESIDENT, HB_ROLLOUT_BATCHED } hb_rollout_mode;
typedef enum { HB_PROTOCOL_BOTH, HB_PROTOCOL_MEAN, HB_PROTOCOL_SAMPLE } hb_protocol;
typedef enum { HB_CHECKPOINT_BEST, HB_CHECKPOINT_LAST } hb_which_checkpoint;

// Section `run`, beside the machine's keys.
typedef struct {
    int64_t seed, generations, checkpoint_every, keep_checkpoints, group, width, patience;
    hb_rollout_mode rollout;
    hb_text out, from, from_digest;
} hb_run_settings;

// Section `env`, beside the environment's own options.
typedef struct {
    hb_text name;
    hb_words variations, held_out;
} hb_env_choice;

// Section `eval`.
typedef struct {
    int64_t rollouts, seed;
    double sigma;
    hb_text file;
    hb_protocol protocol;
    hb_which_checkpoint checkpoint;
    int32_t init; // 0: as in training; k: hb_initialisers[k - 1]
    hb_text engine;
} hb_eval_settings;

// All values that the program reads.
typedef struct {
    hb_run_settings run;
    hb_machine_settings machine;
    hb_env_choice env;
    hb_policy_settings policy;
    hb_search_settings search;
    hb_eval_settings eval;
} hb_settings;

// ---------------------------------------------------------------------------------------------------
// The configuration

#define HB_MAX_KEYS     128
#define HB_MAX_SEARCHES 16
#define HB_IDENTITY     (HB_MAX_KEYS * (HB_TEXT + 64))

// A key with its value.
typedef struct {
    const char *section;
    hb_key key;
    void *field;               // in the settings; NULL for the environment's own options
    hb_text value;             // in canonical form
    hb_text standard;          // the default, in canonical form
    char source[HB_TEXT + 32]; // where the value was written: "file:line", "--set" or "default"
} hb_config_entry;

struct hb_config {
    hb_text path; // the file, or "" for none
    int32_t n_entries;
    hb_config_entry entry[HB_MAX_KEYS];
    const hb_env_table *env;
    void *env_library; // of an environment from a shared object
    hb_settings settings;
    _Alignas(16) char search_own[HB_MAX_SEARCHES][HB_SEARCH_OWN]; // settings of each search's own keys
    // Every key that changes the search's bits, as "section.name=value" lines, with a hash of the bytes of files. Two runs
    // are the same run if they agree in it.
    char identity[HB_IDENTITY];
};

// schema.c: puts the keys of all modules and of the environment into a new configuration, with default values. `source` is where
// the environment's name was written.
hb_status hb_config_bind(hb_config *config, const char *env_name, const char *source, hb_error *error);

// value.c: checks `text` against entry k and stores it in canonical form. `source` is where it was written.
hb_status hb_config_assign(hb_config *config, int32_t k, const char *text, const char *source, hb_error *error);

// value.c: writes all values into the settings.
void hb_config_fill(hb_config *config);

// Word k of a key that has words; NULL past the last.
const char *hb_key_word(const hb_key *key, int k);

// The index of "section.name", or -1.
int32_t hb_config_find(const hb_config *config, const char *dotted);

// True if a key has its default value because nothing sets it.
bool hb_config_is_default(const hb_config *config, const char *dotted);

// hb_config_open for the config.yaml of a run: a key that it does not list has the value that runs had before the key was added.
hb_status hb_config_open_run(const char *path, const char *const *sets, int n_sets, hb_config **config,
                             hb_error *error);

// identity.c: the same, to be compared with `now`, a configuration of that run in today's places: a file that is no longer where the run
// says is the one that `now` names for the same key. The checkpoints know its bytes.
hb_status hb_config_open_moved(const char *path, const hb_config *now, hb_config **config, hb_error *error);

// Fails with HB_BAD_INPUT and a line about a key's value: where it was written, the key, and what is wrong.
hb_status hb_config_complain(const hb_config *config, const char *dotted, hb_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// load.c: reads the text of a YAML file into the configuration. `path` names it in messages.
hb_status hb_config_parse(hb_config *config, const char *path, const char *text, size_t length, hb_error *error);

// write.c: the whole configuration as YAML.
hb_status hb_config_print(const hb_config *config, FILE *file, hb_error *error);

// load.c: fills settings and identity, and checks what no single key can.
hb_status hb_config_resolve(hb_config *config, hb_error *error);

// The environment's options, for world_create.
hb_env_settings hb_config_env_settings(const hb_config *config);

// load.c: the first entry of section search from number `from` on that was set and has no effect, and the setting that leaves it without,
// "search.KEY=VALUE"; -1: none.
int32_t hb_config_idle(const hb_config *config, int32_t from, char because[64]);

// value.c: true for text that stands between double quotes in YAML as it is: UTF-8, nothing to escape.
bool hb_config_is_plain(const char *text);

// identity.c: true if the entry's value is the path of a file that the run computes with.
bool hb_config_names_file(const hb_config_entry *entry);

// identity.c: writes config->identity. HB_FAILED when out of memory for a file that it names.
hb_status hb_config_identify(hb_config *config, hb_error *error);

#define HB_DIFFERENCE (2 * HB_TEXT + 160)

// identity.c: what differs from a saved identity, "KEY=OURS instead of THEIRS", joined by ", "; empty if nothing does. Fails with
// HB_BAD_INPUT on a key of the policy, the search or the run: only the world that is lived in may be another one.
hb_status hb_config_elsewhere(const hb_config *config, const char *theirs, char out[HB_DIFFERENCE], hb_error *error);

// identity.c: which keys that say what evolved numbers mean differ from a saved identity: those of the policy but its storage, of how rules are shared and
// observations are scaled, and which world is observed. "KEY=OURS, there THEIRS", joined by "; "; empty if none does.
void hb_config_other_meaning(const hb_config *config, const char *theirs, char out[HB_DIFFERENCE]);

// identity.c: compares a configuration with a saved identity. If they differ, returns true and writes the first difference to out,
// "expected KEY=OURS, found KEY=THEIRS". A key that only the configuration has is younger than the identity and must have its
// default value: the default of a new key is what was done before there was the key.
bool hb_config_differs(const hb_config *ours, const char *theirs, char out[HB_DIFFERENCE]);

#endif
