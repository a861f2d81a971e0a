// The configuration: one table of keys (host/config/schema.c) feeds the YAML file, --set, --help and the resolved config
// that is saved with a run. Values are kept as text, checked against the table, and read into hb_settings.
#ifndef HB_CONFIG_H
#define HB_CONFIG_H

#include "envs/env.h"
#include "kernels/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HB_TEXT     256 // longest value, with its end
#define HB_MAX_KEYS 96
#define HB_MAX_LIST 16

typedef enum {
    HB_KEY_BOOL,  // true, false
    HB_KEY_INT,   // int64 within bounds
    HB_KEY_REAL,  // float64 within bounds, finite
    HB_KEY_WORD,  // one of the words
    HB_KEY_TEXT,  // anything
    HB_KEY_WORDS, // a list of words, each at most once
    HB_KEY_INTS   // a list of integers within bounds
} hb_key_type;

typedef struct {
    const char *section, *name;
    hb_key_type type;
    const char *fallback;       // the default, as text
    double least, most;         // INT, REAL, INTS: inclusive
    const char *(*word)(int k); // WORD: word k, or NULL past the last
    const char *const *words;   // WORD, WORDS: the same as an array
    size_t offset;              // of the field in hb_settings; keys of the environment have none
    const char *help;
} hb_key;

#define HB_NO_FIELD ((size_t)-1)

typedef struct {
    int32_t n;
    char item[HB_MAX_LIST][HB_TEXT];
} hb_words;

typedef struct {
    int32_t n;
    int64_t item[HB_MAX_LIST];
} hb_ints;

// What the program reads. One field per key of the schema, except the environment's own.
typedef struct {
    int64_t seed, generations, threads, checkpoint_every, keep_checkpoints, group;
    char device[HB_TEXT], variant[HB_TEXT], out[HB_TEXT], rollout[HB_TEXT], scratch[HB_TEXT];

    char env[HB_TEXT];
    hb_words variations, held_out;

    char policy[HB_TEXT], rule[HB_TEXT], init[HB_TEXT], last[HB_TEXT], planes[HB_TEXT], vision[HB_TEXT];
    hb_ints hidden;
    bool normalise;

    char search[HB_TEXT], optimiser[HB_TEXT], shaping[HB_TEXT], start[HB_TEXT];
    char assignment[HB_TEXT], noise[HB_TEXT], m_formula[HB_TEXT], gradient[HB_TEXT];
    char responsibility[HB_TEXT], lambda_step[HB_TEXT], merge_by[HB_TEXT];
    int64_t population, rules, merge_every, merge_parts, alternate;
    hb_ints merge_rules;
    double rho, start_scale, lr_lambda, merge_step;
    double sigma, sigma_decay, sigma_floor, lr, lr_decay, lr_floor, beta1, beta2, epsilon, l2, stop_mean;
    bool antithetic, clip_negative;

    int64_t rollouts;
    char protocol[HB_TEXT], eval_checkpoint[HB_TEXT], eval_init[HB_TEXT];
} hb_settings;

#define HB_IDENTITY (HB_MAX_KEYS * (HB_TEXT + 64))

typedef struct hb_config {
    char path[HB_TEXT]; // the file, or "" where there is none
    int32_t n_keys;
    hb_key key[HB_MAX_KEYS];
    char value[HB_MAX_KEYS][HB_TEXT];
    char standard[HB_MAX_KEYS][HB_TEXT];    // the defaults, as values are written
    char source[HB_MAX_KEYS][HB_TEXT + 32]; // "file:line", "--set" or "default"
    const hb_env_table *env;
    void *env_library; // of an environment from a shared object
    hb_settings settings;
    // Every key that changes the search's bits, as "key=value" lines, with a hash of the bytes of the files among them:
    // runs agree in it or are different runs.
    char identity[HB_IDENTITY];
} hb_config;

// Cores that this process may use.
long hb_usable_cores(void);

// The schema without the environment's keys: an array of *n keys.
const hb_key *hb_schema(int32_t *n);

// Puts the schema and the environment's own keys into config->key, all values at their defaults.
// `source` is where the name was written.
hb_status hb_config_bind(hb_config *config, const char *env_name, const char *source, hb_error *error);

// Checks `text` against the key and stores it, numbers in canonical form. `source` is where it was written.
hb_status hb_config_assign(hb_config *config, int32_t k, const char *text, const char *source, hb_error *error);

// The index of "section.name", or -1.
int32_t hb_config_find(const hb_config *config, const char *dotted);

// Fails with a line about the value of a key: where it was written, its name, and what is wrong.
hb_status hb_config_complain(const hb_config *config, const char *dotted, hb_error *error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Reads a YAML file into the config (host/config/yaml.c). `text` of `length` bytes is what the file contains.
hb_status hb_config_parse(hb_config *config, const char *text, size_t length, hb_error *error);
// What the document gives for env.name, into name (HB_TEXT); untouched where it gives nothing. Returns
// its line, or 0.
int hb_config_peek_env(const char *text, size_t length, char *name);
// The same of the document's `base`, the file that it changes.
int hb_config_peek_base(const char *text, size_t length, char *name);

// Fills config->settings and config->identity, and checks what no single key can.
hb_status hb_config_resolve(hb_config *config, hb_error *error);

// The environment's settings, for world_create.
hb_env_settings hb_config_env_settings(const hb_config *config);

// Is a configuration another one than that of an identity? Then the first difference stands in out, as "expected
// KEY=OURS, found KEY=THEIRS". A key that is not in theirs is younger than it, and had its default: a new key's default is
// what was done before there was the key.
#define HB_DIFFERENCE (2 * HB_TEXT + 160)
bool hb_config_differs(const hb_config *ours, const char *theirs, char out[HB_DIFFERENCE]);

// Writes "; did you mean 'NAME'?" with the candidate closest to `word` by edits, or "" where none is close.
// next(context, k) lists the candidates, NULL ends them.
#define HB_SUGGESTION (HB_TEXT + 32)
void hb_suggest(char out[HB_SUGGESTION], const char *word, const char *(*next)(const void *context, int k),
                const void *context);

#endif
