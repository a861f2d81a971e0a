#define _GNU_SOURCE // CPU_COUNT
#include "host/base/files.h"
#include "host/config/config.h"
#include "host/hebbes.h"
#include "kernels/net.h"

#include <ctype.h>
#include <dlfcn.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

// ---------------------------------------------------------------------------------------------------
// Near names

// Levenshtein's distance of two short words, letter case ignored.
static size_t edits(const char *a, const char *b) {
    size_t row[HB_TEXT];
    const size_t n = strlen(b);
    if (n >= HB_TEXT) return HB_TEXT;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t same = corner + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
            const size_t other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            corner = row[j + 1];
            row[j + 1] = same < other ? same : other;
        }
    }
    return row[n];
}

void hb_suggest(char out[HB_SUGGESTION], const char *word, const char *(*next)(const void *context, int k),
                const void *context) {
    size_t least = strlen(word) / 2 + 1; // further away it is another word
    out[0] = '\0';
    for (int k = 0; next(context, k); k++) {
        const size_t d = edits(word, next(context, k));
        if (d >= least) continue;
        least = d;
        snprintf(out, HB_SUGGESTION, "; did you mean '%s'?", next(context, k));
    }
}

static const char *word_of_key(const void *key, int k) {
    const hb_key *const entry = key;
    if (entry->word) return entry->word(k);
    return entry->words ? entry->words[k] : NULL;
}

// ---------------------------------------------------------------------------------------------------
// The environment

static const hb_env_table *builtin_env(const char *name) {
    for (int k = 0; hb_envs[k]; k++)
        if (strcmp(hb_envs[k]->name, name) == 0) return hb_envs[k];
    return NULL;
}

static const char *env_name(const void *context, int k) {
    (void)context;
    return hb_envs[k] ? hb_envs[k]->name : NULL;
}

// Names of variations and options become words of YAML and of file formats.
static bool is_name(const char *name) {
    const size_t n = name ? strlen(name) : 0;
    return n > 0 && n < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

// What is wrong with a table that came from outside, or NULL.
static const char *fault_of(const hb_env_table *env) {
    if (!env || env->abi != HB_ENV_ABI) return "it is for another version of the contract";
    if (!is_name(env->name) || !env->summary) return "it has no proper name or summary";
    const int32_t *picture = env->picture_shape;
    for (int k = 0; k < 3; k++)
        if (picture[k] < 0 || picture[k] > 256) return "its pictures are out of range";
    const int32_t largest = picture[0] > 0 ? 1 << 24 : HB_MAX_WIDTH;
    if (env->observation_size < 1 || env->observation_size > largest || env->action_size < 1 ||
        env->action_size > HB_MAX_WIDTH || env->max_steps < 1)
        return "its sizes are out of range";
    if (picture[0] > 0 && picture[0] * picture[1] * picture[2] != env->observation_size)
        return "its observation is not of its pictures' size";
    if (!env->world_create || !env->world_destroy || !env->body_create || !env->body_destroy || !env->reset ||
        !env->step || (env->fields && !env->snapshot) || (env->library && !env->library_version))
        return "functions are missing";
    if (!env->variations || !env->variations[0]) return "it has no variations";
    for (int k = 0; env->variations[k]; k++)
        if (!is_name(env->variations[k])) return "a variation has no proper name";
    for (const hb_env_option *o = env->options; o && o->name; o++)
        if (!is_name(o->name) || (unsigned)o->type > HB_OPTION_TEXT || !o->fallback || !o->help ||
            strcmp(o->name, "name") == 0 || strcmp(o->name, "variations") == 0 || strcmp(o->name, "held_out") == 0)
            return "an option is incomplete or has a name that is taken";
    for (const hb_env_field *f = env->fields; f && f->name; f++)
        if (!is_name(f->name) || f->length < 1) return "a field has no proper name or length";
    return NULL;
}

// A name without a slash is a file of this folder, not of the loader's path.
static hb_status load_env(hb_config *config, const char *name, const char *source, hb_error *error) {
    char path[HB_TEXT + 2];
    snprintf(path, sizeof path, "%s%s", strchr(name, '/') ? "" : "./", name);
    config->env_library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!config->env_library)
        return hb_fail(error, HB_BAD_INPUT, "%s: env.name: cannot load '%s': %s", source, name, dlerror());
    const hb_env_table *(*export)(void);
    *(void **)&export = dlsym(config->env_library, HB_ENV_EXPORT);
    if (!export)
        return hb_fail(error, HB_BAD_INPUT, "%s: env.name: '%s' does not export %s()", source, name, HB_ENV_EXPORT);
    const hb_env_table *env = export();
    const char *fault = fault_of(env);
    if (fault) return hb_fail(error, HB_BAD_INPUT, "%s: env.name: '%s' cannot be used: %s", source, name, fault);
    config->env = env;
    return HB_OK;
}

static bool is_library(const char *name) {
    const size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

static hb_status find_env(hb_config *config, const char *name, const char *source, hb_error *error) {
    config->env = builtin_env(name);
    if (config->env) return HB_OK;
    if (is_library(name)) return load_env(config, name, source, error);
    char near[HB_SUGGESTION];
    hb_suggest(near, name, env_name, NULL);
    return hb_fail(error, HB_BAD_INPUT, "%s: env.name: expected an environment or a .so file, found '%s'%s", source,
                   name, near);
}

long hb_usable_cores(void) {
    cpu_set_t set;
    const long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

static hb_key env_key(const hb_env_option *option) {
    static const hb_key_type type[] = {HB_KEY_BOOL, HB_KEY_INT, HB_KEY_REAL, HB_KEY_WORD, HB_KEY_TEXT};
    return (hb_key){.section = "env",
                    .name = option->name,
                    .type = type[option->type],
                    .fallback = option->fallback,
                    .least = option->least,
                    .most = option->most,
                    .words = option->words,
                    .offset = HB_NO_FIELD,
                    .help = option->help};
}

hb_status hb_config_bind(hb_config *config, const char *name, const char *source, hb_error *error) {
    hb_status status = find_env(config, name, source, error);
    if (status != HB_OK) return status;
    int32_t n;
    const hb_key *keys = hb_schema(&n);
    for (int32_t k = 0; k < n; k++) {
        config->key[config->n_keys++] = keys[k];
        const int last_of_env = strcmp(keys[k].section, "env") == 0 && strcmp(keys[k + 1].section, "env") != 0;
        for (const hb_env_option *o = config->env->options; last_of_env && o && o->name; o++) {
            if (config->n_keys == HB_MAX_KEYS - (n - k))
                return hb_fail(error, HB_BAD_INPUT, "env.name: '%s' has too many options", name);
            config->key[config->n_keys++] = env_key(o);
        }
    }
    for (int32_t k = 0; k < config->n_keys; k++) {
        hb_key *key = &config->key[k];
        char text[HB_TEXT];
        snprintf(text, sizeof text, "%s", key->fallback);
        if (key->type == HB_KEY_WORDS) key->words = config->env->variations;
        if (key->offset == offsetof(hb_settings, variations))
            snprintf(text, sizeof text, "%s", config->env->variations[0]);
        if (key->offset == offsetof(hb_settings, env)) snprintf(text, sizeof text, "%s", name);
        if (key->offset == offsetof(hb_settings, threads)) snprintf(text, sizeof text, "%ld", hb_usable_cores());
        status = hb_config_assign(config, k, text, "default", error);
        if (status != HB_OK) return status;
        memcpy(config->standard[k], config->value[k], HB_TEXT);
    }
    return HB_OK;
}

static const char *env_option_value(void *context, const char *name) {
    const hb_config *config = context;
    char dotted[HB_TEXT];
    snprintf(dotted, sizeof dotted, "env.%s", name);
    const int32_t k = hb_config_find(config, dotted);
    return k < 0 ? "" : config->value[k];
}

hb_env_settings hb_config_env_settings(const hb_config *config) {
    return (hb_env_settings){env_option_value, (void *)(uintptr_t)config};
}

// ---------------------------------------------------------------------------------------------------
// Values

int32_t hb_config_find(const hb_config *config, const char *dotted) {
    for (int32_t k = 0; k < config->n_keys; k++) {
        const size_t n = strlen(config->key[k].section);
        if (strncmp(dotted, config->key[k].section, n) == 0 && dotted[n] == '.' &&
            strcmp(dotted + n + 1, config->key[k].name) == 0)
            return k;
    }
    return -1;
}

// "expected ..., found '...'", with the nearest word where there is one.
static hb_status refuse(const hb_key *key, const char *text, const char *source, const char *expected,
                        hb_error *error) {
    char near[HB_SUGGESTION];
    hb_suggest(near, text, word_of_key, key);
    return hb_fail(error, HB_BAD_INPUT, "%s: %s.%s: expected %s, found '%s'%s", source, key->section, key->name,
                   expected, text, near);
}

static int is_word(const hb_key *key, const char *text) {
    for (int k = 0; word_of_key(key, k); k++)
        if (strcmp(word_of_key(key, k), text) == 0) return 1;
    return 0;
}

static hb_status check_word(const hb_key *key, const char *text, const char *source, hb_error *error) {
    if (is_word(key, text)) return HB_OK;
    char expected[768] = "one of";
    for (int k = 0; word_of_key(key, k); k++) {
        const size_t n = strlen(expected);
        snprintf(expected + n, sizeof expected - n, "%s %s", k ? "," : "", word_of_key(key, k));
    }
    return refuse(key, text, source, expected, error);
}

static hb_status check_number(const hb_key *key, const char *text, const char *source, hb_error *error) {
    char expected[128];
    snprintf(expected, sizeof expected, "%s from %.12g to %.12g",
             key->type == HB_KEY_REAL ? "a number" : "a whole number", key->least, key->most);
    char *end;
    const double value = strtod(text, &end);
    const int plain = strspn(text, "0123456789+-.eE") == strlen(text); // no hexadecimal, inf or nan
    const int whole = key->type == HB_KEY_REAL || value == floor(value);
    if (end == text || *end || !plain || !whole || !(value >= key->least && value <= key->most))
        return refuse(key, text, source, expected, error);
    return HB_OK;
}

// A list is kept as "a,b,c" without blanks.
static hb_status check_list(const hb_key *key, char *text, const char *source, hb_error *error) {
    char item[HB_TEXT], seen[HB_MAX_LIST][HB_TEXT];
    int n = 0;
    const size_t length_of = strlen(text);
    if (length_of > 1 && text[0] == '[' && text[length_of - 1] == ']') { // as YAML writes it
        memmove(text, text + 1, length_of - 2);
        text[length_of - 2] = '\0';
    }
    const char *rest = text;
    char joined[2 * HB_TEXT] = ""; // never longer than the text
    while (*rest) {
        const size_t length = strcspn(rest, ",");
        size_t from = 0, to = length;
        while (from < to && isspace((unsigned char)rest[from])) from++;
        while (to > from && isspace((unsigned char)rest[to - 1])) to--;
        snprintf(item, sizeof item, "%.*s", (int)(to - from), rest + from);
        rest += length + (rest[length] == ',');
        const hb_status status =
            key->type == HB_KEY_WORDS ? check_word(key, item, source, error) : check_number(key, item, source, error);
        if (status != HB_OK) return status;
        if (n == HB_MAX_LIST) return refuse(key, text, source, "at most 16 entries", error);
        for (int k = 0; k < n && key->type == HB_KEY_WORDS; k++)
            if (strcmp(seen[k], item) == 0) return refuse(key, text, source, "each entry once", error);
        snprintf(seen[n++], HB_TEXT, "%s", item);
        const size_t at = strlen(joined);
        snprintf(joined + at, sizeof joined - at, "%s%s", at ? "," : "", item);
    }
    strcpy(text, joined);
    return HB_OK;
}

// Text that stands between double quotes in YAML as it is: UTF-8, nothing to escape.
static bool is_plain_text(const char *text) {
    int more = 0; // continuation bytes that must follow
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f || *c == '"' || *c == '\\') return false;
        if ((more > 0) != ((*c & 0xc0) == 0x80)) return false;
        if (more > 0)
            more--;
        else if (*c >= 0xc2 && *c <= 0xf4)
            more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : 1;
        else if (*c >= 0x80)
            return false;
    }
    return more == 0;
}

// The shortest decimal that reads back as x.
static void shortest(double x, char out[HB_TEXT]) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, HB_TEXT, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}

hb_status hb_config_assign(hb_config *config, int32_t k, const char *text, const char *source, hb_error *error) {
    const hb_key *key = &config->key[k];
    char value[HB_TEXT];
    if (snprintf(value, sizeof value, "%s", text) >= HB_TEXT)
        return hb_fail(error, HB_BAD_INPUT, "%s: %s.%s: longer than %d letters", source, key->section, key->name,
                       HB_TEXT - 1);
    hb_status status = HB_OK;
    switch (key->type) {
    case HB_KEY_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            status = refuse(key, text, source, "true or false", error);
        break;
    case HB_KEY_INT:
    case HB_KEY_REAL:
        status = check_number(key, text, source, error);
        break;
    case HB_KEY_WORD:
        status = check_word(key, text, source, error);
        break;
    case HB_KEY_WORDS:
    case HB_KEY_INTS:
        status = check_list(key, value, source, error);
        break;
    case HB_KEY_TEXT:
        if (!is_plain_text(text))
            status =
                refuse(key, "...", source, "UTF-8 text without quotes, backslashes or control characters", error);
        break;
    }
    if (status != HB_OK) return status;
    if (key->type == HB_KEY_INT) snprintf(value, sizeof value, "%.0f", strtod(text, NULL));
    if (key->type == HB_KEY_REAL) shortest(strtod(text, NULL), value);
    strcpy(config->value[k], value);
    snprintf(config->source[k], sizeof config->source[k], "%s", source);
    return HB_OK;
}

hb_status hb_config_complain(const hb_config *config, const char *dotted, hb_error *error, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const int32_t k = hb_config_find(config, dotted);
    return hb_fail(error, HB_BAD_INPUT, "%s: %s: %s", k < 0 ? "config" : config->source[k], dotted, text);
}

// ---------------------------------------------------------------------------------------------------
// From text to settings

static void read_words(hb_words *words, const char *text) {
    words->n = 0;
    while (*text && words->n < HB_MAX_LIST) {
        const size_t n = strcspn(text, ",");
        snprintf(words->item[words->n++], sizeof words->item[0], "%.*s", (int)n, text);
        text += n + (text[n] == ',');
    }
}

static void read_field(const hb_key *key, const char *text, hb_settings *settings) {
    void *at = (char *)settings + key->offset;
    hb_words words;
    switch (key->type) {
    case HB_KEY_BOOL:
        *(bool *)at = strcmp(text, "true") == 0;
        break;
    case HB_KEY_INT:
        *(int64_t *)at = (int64_t)strtod(text, NULL);
        break;
    case HB_KEY_REAL:
        *(double *)at = strtod(text, NULL);
        break;
    case HB_KEY_WORD:
    case HB_KEY_TEXT:
        strcpy(at, text);
        break;
    case HB_KEY_WORDS:
        read_words(at, text);
        break;
    case HB_KEY_INTS:
        read_words(&words, text);
        ((hb_ints *)at)->n = words.n;
        for (int32_t i = 0; i < words.n; i++) ((hb_ints *)at)->item[i] = (int64_t)strtod(words.item[i], NULL);
        break;
    }
}

// Keys that change how long or where a run computes, but none of its numbers.
static int changes_bits(const hb_key *key) {
    static const char *const names[] = {"generations", "threads", "device",           "variant",          "rollout",
                                        "group",       "out",     "checkpoint_every", "keep_checkpoints", "scratch"};
    if (strcmp(key->section, "eval") == 0) return 0;
    if (strcmp(key->section, "env") == 0 && strcmp(key->name, "held_out") == 0) return 0;
    if (strcmp(key->section, "search") == 0 && strcmp(key->name, "stop_mean") == 0) return 0;
    if (strcmp(key->section, "search") == 0 && strcmp(key->name, "gradient") == 0) return 0;
    for (size_t k = 0; strcmp(key->section, "run") == 0 && k < sizeof names / sizeof *names; k++)
        if (strcmp(key->name, names[k]) == 0) return 0;
    return 1;
}

// A file that the run computes with is part of it by its bytes, not by its name alone. Empty where it cannot be read:
// whoever opens it says so.
static void file_hash(const hb_key *key, const char *value, char out[32]) {
    out[0] = '\0';
    const bool model = strcmp(key->section, "env") == 0 && strcmp(key->name, "model") == 0 && *value;
    const bool library = key->offset == offsetof(hb_settings, env) && is_library(value);
    void *data = NULL;
    size_t bytes = 0;
    if ((!model && !library) || hb_file_read(value, (size_t)1 << 30, &data, &bytes, NULL) != HB_OK) return;
    snprintf(out, 32, " (%016llx)", (unsigned long long)XXH3_64bits(data, bytes));
    free(data);
}

static void write_identity(hb_config *config) {
    size_t at = 0;
    const size_t n = sizeof config->identity;
    for (int32_t k = 0; k < config->n_keys && at < n; k++) {
        if (!changes_bits(&config->key[k])) continue;
        char hash[32];
        file_hash(&config->key[k], config->value[k], hash);
        at += (size_t)snprintf(config->identity + at, n - at, "%s.%s=%s%s\n", config->key[k].section,
                               config->key[k].name, config->value[k], hash);
    }
}

static hb_status check_merging(const hb_config *config, hb_error *error) {
    const hb_settings *s = &config->settings;
    if (s->merge_parts == 1) return HB_OK;
    if (strcmp(s->assignment, "merge") != 0)
        return hb_config_complain(config, "search.merge_parts", error,
                                  "expected 1 with search.assignment '%s', found %lld", s->assignment,
                                  (long long)s->merge_parts);
    if (strcmp(s->merge_by, "planes") == 0)
        return hb_config_complain(
            config, "search.merge_by", error,
            "'planes' does not fit search.merge_parts above 1: planes of sums are no sums of planes");
    for (int32_t k = 0; k < s->merge_rules.n; k++)
        if (s->merge_rules.item[k] < s->merge_parts)
            return hb_config_complain(config, "search.merge_rules", error,
                                      "expected at least search.merge_parts=%lld rules, found %lld",
                                      (long long)s->merge_parts, (long long)s->merge_rules.item[k]);
    return HB_OK;
}

// What does not go together where rules are shared.
static hb_status check_sharing(const hb_config *config, hb_error *error) {
    const hb_settings *s = &config->settings;
    const bool gmm = strcmp(s->search, "gmm") == 0, shared = strcmp(s->search, "shared") == 0;
    if (!gmm && !shared) return HB_OK;
    if (strcmp(s->policy, "hebbian") != 0)
        return hb_config_complain(config, "search.kind", error, "'%s' needs rules to share, policy.kind is '%s'",
                                  s->search, s->policy);
    if (strcmp(s->start, "fan_in") == 0)
        return hb_config_complain(config, "search.start", error,
                                  "'fan_in' does not fit search.kind '%s': a shared rule has no one fan-in",
                                  s->search);
    if (gmm && strcmp(s->init, "coevolve") == 0)
        return hb_config_complain(config, "policy.init", error, "'coevolve' does not fit search.kind 'gmm'");
    const bool by_rule = strcmp(s->assignment, "sides") == 0 || strcmp(s->assignment, "neuron") == 0 ||
                         strcmp(s->assignment, "merge") == 0;
    if (shared && by_rule && strcmp(s->noise, "synapse") == 0)
        return hb_config_complain(config, "search.noise", error, "'synapse' does not fit search.assignment '%s'",
                                  s->assignment);
    return shared ? check_merging(config, error) : HB_OK;
}

hb_status hb_config_resolve(hb_config *config, hb_error *error) {
    hb_settings *s = &config->settings;
    for (int32_t k = 0; k < config->n_keys; k++)
        if (config->key[k].offset != HB_NO_FIELD) read_field(&config->key[k], config->value[k], s);
    if (s->antithetic && s->population % 2)
        return hb_config_complain(config, "search.population", error,
                                  "expected an even number with search.antithetic, found %lld",
                                  (long long)s->population);
    if (s->variations.n == 0)
        return hb_config_complain(config, "env.variations", error, "expected at least one variation, found none");
    if (s->hidden.n > HB_MAX_LAYERS - 1)
        return hb_config_complain(config, "policy.hidden", error, "expected at most %d layers, found %d",
                                  HB_MAX_LAYERS - 1, s->hidden.n);
    for (int32_t a = 0; a < s->variations.n; a++)
        for (int32_t b = 0; b < s->held_out.n; b++)
            if (strcmp(s->variations.item[a], s->held_out.item[b]) == 0)
                return hb_config_complain(config, "env.held_out", error, "'%s' is also trained on",
                                          s->held_out.item[b]);
    const hb_status status = check_sharing(config, error);
    if (status == HB_OK) write_identity(config);
    return status;
}

// The line of a text that begins as `line` does up to its '=', or NULL.
static const char *line_of_key(const char *text, const char *line) {
    const size_t n = strcspn(line, "=\n") + 1;
    while (*text && strncmp(text, line, n) != 0) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return *text ? text : NULL;
}

// Is a line of our identity what younger keys had before there were any?
static bool is_standard(const hb_config *config, const char *line) {
    for (int32_t k = 0; k < config->n_keys; k++) {
        char standard[HB_TEXT + 128];
        snprintf(standard, sizeof standard, "%s.%s=%s\n", config->key[k].section, config->key[k].name,
                 config->standard[k]);
        if (strncmp(line, standard, strlen(standard)) == 0) return true;
    }
    return false;
}

bool hb_config_differs(const hb_config *config, const char *theirs, char out[HB_DIFFERENCE]) {
    const char *ours = config->identity, *other = NULL, *line = ours;
    for (; *line; line += strcspn(line, "\n") + 1) {
        const size_t n = strcspn(line, "\n");
        other = line_of_key(theirs, line);
        if (other ? strncmp(line, other, n + 1) != 0 : !is_standard(config, line)) break;
    }
    if (!*line) { // no difference in our keys: any that we have not?
        for (other = theirs; *other && line_of_key(ours, other);) {
            other += strcspn(other, "\n");
            other += *other == '\n';
        }
        if (!*other) return false;
    }
    snprintf(out, HB_DIFFERENCE, "expected %.*s, found %.*s", *line ? (int)strcspn(line, "\n") : 7,
             *line ? line : "nothing", other ? (int)strcspn(other, "\n") : 7, other ? other : "nothing");
    return true;
}

// ---------------------------------------------------------------------------------------------------
// The public side

static const char *dotted_key(const void *context, int k) {
    static _Thread_local char dotted[HB_TEXT];
    const hb_config *config = context;
    if (k >= config->n_keys) return NULL;
    snprintf(dotted, sizeof dotted, "%s.%s", config->key[k].section, config->key[k].name);
    return dotted;
}

static hb_status apply_set(hb_config *config, const char *set, hb_error *error) {
    const char *equals = strchr(set, '=');
    if (!equals) return hb_fail(error, HB_BAD_INPUT, "--set %s: expected section.key=value", set);
    char dotted[HB_TEXT];
    snprintf(dotted, sizeof dotted, "%.*s", (int)(equals - set), set);
    const int32_t k = hb_config_find(config, dotted);
    if (k >= 0) return hb_config_assign(config, k, equals + 1, "--set", error);
    char near[HB_SUGGESTION];
    hb_suggest(near, dotted, dotted_key, config);
    return hb_fail(error, HB_BAD_INPUT, "--set: no key is called '%s'%s", dotted, near);
}

// A file, and the one that it changes, and so on: the last one is the first to be read.
#define MAX_BASES 8
typedef struct {
    int n;
    struct {
        char path[HB_TEXT];
        void *text;
        size_t length;
    } file[MAX_BASES];
} chain;

static void close_chain(chain *c) {
    for (int k = 0; k < c->n; k++) free(c->file[k].text);
}

// `name` as seen from the folder of `from`.
static void beside(char out[HB_TEXT], const char *from, const char *name) {
    const char *slash = strrchr(from, '/');
    const int folder = *name == '/' || !slash ? 0 : (int)(slash + 1 - from);
    if (snprintf(out, HB_TEXT, "%.*s%s", folder, from, name) >= HB_TEXT) out[0] = '\0'; // no such file then
}

static hb_status read_chain(chain *c, const char *path, hb_error *error) {
    if (!path) return HB_OK;
    hb_status status = hb_file_read(path, 1 << 20, &c->file[0].text, &c->file[0].length, error);
    if (status != HB_OK) return status;
    snprintf(c->file[0].path, HB_TEXT, "%s", path);
    for (c->n = 1;; c->n++) {
        const char *from = c->file[c->n - 1].path;
        char name[HB_TEXT] = "", next[HB_TEXT];
        const int line = hb_config_peek_base(c->file[c->n - 1].text, c->file[c->n - 1].length, name);
        if (!line) return HB_OK;
        if (c->n == MAX_BASES)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: base: expected at most %d files in a row, found more", from,
                           line, MAX_BASES);
        beside(next, from, name);
        if (hb_file_read(next, 1 << 20, &c->file[c->n].text, &c->file[c->n].length, NULL) != HB_OK)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: base: cannot read '%s'", from, line, name);
        snprintf(c->file[c->n].path, HB_TEXT, "%s", next);
    }
}

static hb_status open_into(hb_config *config, const chain *c, const char *const *sets, int n_sets, hb_error *error) {
    char env[HB_TEXT] = "ant", source[HB_TEXT + 32] = "default";
    for (int k = c->n - 1; k >= 0; k--) {
        const int line = hb_config_peek_env(c->file[k].text, c->file[k].length, env);
        if (line) snprintf(source, sizeof source, "%s:%d", c->file[k].path, line);
    }
    for (int k = 0; k < n_sets; k++)
        if (strncmp(sets[k], "env.name=", 9) == 0) {
            snprintf(env, sizeof env, "%s", sets[k] + 9);
            snprintf(source, sizeof source, "--set");
        }
    hb_status status = hb_config_bind(config, env, source, error);
    for (int k = c->n - 1; k >= 0 && status == HB_OK; k--) {
        snprintf(config->path, sizeof config->path, "%s", c->file[k].path);
        status = hb_config_parse(config, c->file[k].text, c->file[k].length, error);
    }
    for (int k = 0; k < n_sets && status == HB_OK; k++) status = apply_set(config, sets[k], error);
    return status == HB_OK ? hb_config_resolve(config, error) : status;
}

hb_status hb_config_open(const char *path, const char *const *sets, int n_sets, hb_config **out, hb_error *error) {
    chain c = {.n = 0};
    hb_status status = read_chain(&c, path, error);
    hb_config *config = status == HB_OK ? calloc(1, sizeof *config) : NULL;
    if (status == HB_OK && !config) status = hb_fail(error, HB_FAILED, "out of memory opening a config");
    if (status == HB_OK) status = open_into(config, &c, sets, n_sets, error);
    close_chain(&c);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    *out = config;
    return HB_OK;
}

void hb_config_close(hb_config *config) {
    if (!config) return;
    if (config->env_library) dlclose(config->env_library);
    free(config);
}

const char *hb_config_value(const hb_config *config, const char *key) {
    const int32_t k = hb_config_find(config, key);
    return k < 0 ? NULL : config->value[k];
}

const char *hb_config_fold(const hb_config *config, int k) {
    const hb_words *trained = &config->settings.variations, *held_out = &config->settings.held_out;
    if (k < trained->n) return trained->item[k];
    return k - trained->n < held_out->n ? held_out->item[k - trained->n] : NULL;
}

void hb_config_fold_sets(const hb_config *config, const char *name, char variations[HB_FOLD],
                         char held_out[HB_FOLD]) {
    size_t at = (size_t)snprintf(variations, HB_FOLD, "env.variations=");
    const char *comma = "", *other;
    for (int k = 0; (other = hb_config_fold(config, k)); k++) {
        if (strcmp(other, name) == 0 || at >= HB_FOLD) continue;
        at += (size_t)snprintf(variations + at, HB_FOLD - at, "%s%s", comma, other);
        comma = ",";
    }
    snprintf(held_out, HB_FOLD, "env.held_out=%s", name);
}

hb_status hb_config_write(const hb_config *config, FILE *file, hb_error *error) {
    const char *section = "";
    for (int32_t k = 0; k < config->n_keys; k++) {
        const hb_key *key = &config->key[k];
        const char *text = config->value[k];
        if (strcmp(section, key->section) != 0) fprintf(file, "%s:\n", key->section);
        section = key->section;
        const int list = key->type == HB_KEY_WORDS || key->type == HB_KEY_INTS;
        const char *open = list ? "[" : key->type == HB_KEY_TEXT ? "\"" : "";
        const char *close = list ? "]" : open;
        fprintf(file, "  %s: %s%s%s\n", key->name, open, text, close);
    }
    return ferror(file) ? hb_fail(error, HB_FAILED, "cannot write the config: %m") : HB_OK;
}

void hb_config_describe(const hb_config *config, FILE *file) {
    const char *section = "";
    for (int32_t k = 0; k < config->n_keys; k++) {
        const hb_key *key = &config->key[k];
        if (strcmp(section, key->section) != 0) fprintf(file, "\n%s:\n", key->section);
        section = key->section;
        fprintf(file, "  %-18s %s", key->name, key->help);
        if (*config->value[k]) fprintf(file, " [%s]", config->value[k]);
        size_t column = 200; // of the words, wrapped
        for (int i = 0; word_of_key(key, i); i++) {
            const size_t n = strlen(word_of_key(key, i)) + 2;
            if (column + n > 100)
                column = (size_t)fprintf(file, "%s\n                    ", i ? "," : "") - 1 - (i > 0);
            else
                fputc(',', file);
            fprintf(file, " %s", word_of_key(key, i));
            column += n;
        }
        fputc('\n', file);
    }
}
