// Opening a configuration: files, the files they are based on, --set, and checks over several keys.
#include "envs/plugin.h"
#include "host/base/files.h"
#include "host/base/locale.h"
#include "host/config/config.h"
#include "host/config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Documents

static const char *section_name(const void *context, int k) {
    const hb_config *config = context;
    int seen = 0;
    for (int32_t i = 0; i < config->n_entries; i++) {
        const bool first = i == 0 || strcmp(config->entry[i].section, config->entry[i - 1].section) != 0;
        if (first && seen++ == k) return config->entry[i].section;
    }
    return NULL;
}

static bool is_section(const hb_config *config, const char *name) {
    for (int k = 0; section_name(config, k); k++)
        if (strcmp(section_name(config, k), name) == 0) return true;
    return false;
}

typedef struct {
    const hb_config *config;
    const char *section;
} section_keys;

static const char *key_name(const void *context, int k) {
    const section_keys *keys = context;
    int seen = 0;
    for (int32_t i = 0; i < keys->config->n_entries; i++)
        if (strcmp(keys->config->entry[i].section, keys->section) == 0 && seen++ == k)
            return keys->config->entry[i].key.name;
    return NULL;
}

static hb_status refuse_unknown(const hb_config *config, const char *path, const hb_yaml_entry *found,
                                hb_error *error) {
    const bool nested = *found->section && *found->key;
    const char *unknown = *found->key ? found->key : found->section;
    const section_keys keys = {config, found->section};
    char near[HB_SUGGESTION];
    if (nested)
        hb_suggest(near, unknown, key_name, &keys);
    else
        hb_suggest(near, unknown, section_name, config);
    return hb_fail(error, HB_BAD_INPUT, "%s:%d: no key is called '%s%s%s'%s", path, found->line,
                   nested ? found->section : "", nested ? "." : "", unknown, near);
}

static bool is_list(const hb_key *key) {
    return key->type == HB_KEY_WORDS || key->type == HB_KEY_INTS;
}

// The items of a list as "a,b,c", or a single value.
static hb_status joined(const hb_yaml_entry *found, const char *source, char *out, size_t size, hb_error *error) {
    size_t at = 0;
    out[0] = '\0';
    for (int k = 0; k < found->n && at < size; k++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", k ? "," : "", found->item[k]);
    return at < size ? HB_OK
                     : hb_fail(error, HB_BAD_INPUT, "%s: %s.%s: longer than %zu letters", source, found->section,
                               found->key, size - 1);
}

static hb_status take_entry(hb_config *config, const char *path, const hb_yaml_entry *found, hb_error *error) {
    char dotted[2 * HB_TEXT], source[HB_TEXT + 32], value[HB_MAX_LIST * HB_TEXT];
    snprintf(dotted, sizeof dotted, "%s.%s", found->section, found->key);
    snprintf(source, sizeof source, "%s:%d", path, found->line);
    const int32_t k = hb_config_find(config, dotted);
    if (k < 0) return refuse_unknown(config, path, found, error);
    const bool list = is_list(&config->entry[k].key);
    if (list != found->is_list)
        return hb_fail(error, HB_BAD_INPUT, "%s: %s: expected %s, found %s", source, dotted,
                       list ? "a list, such as [a, b]" : "a single value", list ? "a single value" : "a list");
    const hb_status status = joined(found, source, value, sizeof value, error);
    return status == HB_OK ? hb_config_assign(config, k, value, source, error) : status;
}

static hb_status take_document(hb_config *config, const char *path, const hb_yaml *document, hb_error *error) {
    hb_status status = HB_OK;
    for (int k = 0; k < document->n && status == HB_OK; k++) {
        const hb_yaml_entry *found = &document->entry[k];
        const bool base = !*found->section && strcmp(found->key, "base") == 0;
        if (base) continue;
        if (*found->section && *found->key) {
            status = take_entry(config, path, found, error);
            continue;
        }
        const char *name = *found->section ? found->section : found->key;
        if (!is_section(config, name))
            status = refuse_unknown(config, path, found, error);
        else if (found->n > 0 && (found->is_list || *found->item[0])) // "run:" alone is an empty section
            status = hb_fail(error, HB_BAD_INPUT, "%s:%d: %s: expected a section of keys, found a value", path,
                             found->line, name);
    }
    return status;
}

hb_status hb_config_parse(hb_config *config, const char *path, const char *text, size_t length, hb_error *error) {
    hb_yaml document;
    hb_status status = hb_yaml_read(path, text, length, &document, error);
    if (status != HB_OK) return status;
    status = take_document(config, path, &document, error);
    hb_yaml_free(&document);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// --set

static const char *dotted_key(const void *context, int k) {
    static _Thread_local hb_text dotted;
    const hb_config *config = context;
    if (k >= config->n_entries) return NULL;
    snprintf(dotted, sizeof dotted, "%s.%s", config->entry[k].section, config->entry[k].key.name);
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

// ---------------------------------------------------------------------------------------------------
// Checks over several keys

static hb_status check_policy(const hb_config *config, hb_error *error) {
    hb_key_fault fault;
    return hb_policy_fits(&config->settings.policy, &fault)
               ? HB_OK
               : hb_config_complain(config, fault.key, error, "%s", fault.reason);
}

static hb_status check_search(const hb_config *config, hb_error *error) {
    const hb_settings *s = &config->settings;
    const hb_search_subject subject = {.has_rules = hb_policies[s->policy.kind].plastic,
                                       .evolves_weights = hb_policy_evolves_weights(&s->policy)};
    hb_key_fault fault;
    return hb_search_fits(&s->search, subject, &fault)
               ? HB_OK
               : hb_config_complain(config, fault.key, error, "%s", fault.reason);
}

static hb_status check_variations(const hb_config *config, hb_error *error) {
    const hb_env_choice *env = &config->settings.env;
    if (env->variations.n == 0)
        return hb_config_complain(config, "env.variations", error, "expected at least one variation, found none");
    for (int32_t a = 0; a < env->variations.n; a++)
        for (int32_t b = 0; b < env->held_out.n; b++)
            if (strcmp(env->variations.item[a], env->held_out.item[b]) == 0)
                return hb_config_complain(config, "env.held_out", error, "'%s' is also trained on",
                                          env->held_out.item[b]);
    return HB_OK;
}

hb_status hb_config_resolve(hb_config *config, hb_error *error) {
    const hb_settings *s = &config->settings;
    hb_config_fill(config);
    hb_status status = check_variations(config, error);
    if (status == HB_OK && s->policy.hidden.n > HB_MAX_LAYERS - 1)
        status = hb_config_complain(config, "policy.hidden", error, "expected at most %d layers, found %d",
                                    HB_MAX_LAYERS - 1, s->policy.hidden.n);
    if (status == HB_OK) status = check_policy(config, error);
    if (status == HB_OK) status = check_search(config, error);
    if (status == HB_OK) status = hb_config_identify(config, error);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Open

// A file, the file that it is based on, and so on. The last one is applied first.
#define MAX_BASES 8
typedef struct {
    int n;
    struct {
        hb_text path;
        hb_yaml document;
    } file[MAX_BASES];
} chain;

static void close_chain(chain *c) {
    for (int k = 0; k < c->n; k++) hb_yaml_free(&c->file[k].document);
}

// `name` relative to the folder of `from`.
static void beside(hb_text out, const char *from, const char *name) {
    const char *slash = strrchr(from, '/');
    const int folder = *name == '/' || !slash ? 0 : (int)(slash + 1 - from);
    if (snprintf(out, HB_TEXT, "%.*s%s", folder, from, name) >= HB_TEXT) out[0] = '\0'; // no such file then
}

static hb_status read_document(const char *path, hb_yaml *document, hb_error *error) {
    void *text = NULL;
    size_t length = 0;
    hb_status status = hb_file_read(path, 1 << 20, &text, &length, error);
    if (status == HB_OK) status = hb_yaml_read(path, text, length, document, error);
    free(text);
    return status;
}

// The value of `base:` of the newest file of the chain, or NULL.
static hb_status base_of(const chain *c, const hb_yaml_entry **base, hb_error *error) {
    *base = hb_yaml_find(&c->file[c->n - 1].document, "", "base");
    if (!*base || !(*base)->is_list) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "%s:%d: base: expected a single value, found a list", c->file[c->n - 1].path,
                   (*base)->line);
}

static hb_status read_chain(chain *c, const char *path, hb_error *error) {
    if (!path) return HB_OK;
    hb_status status = read_document(path, &c->file[0].document, error);
    if (status != HB_OK) return status;
    snprintf(c->file[0].path, HB_TEXT, "%s", path);
    for (c->n = 1;; c->n++) {
        const char *from = c->file[c->n - 1].path;
        const hb_yaml_entry *base;
        hb_text next;
        status = base_of(c, &base, error);
        if (status != HB_OK || !base) return status;
        if (c->n == MAX_BASES)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: base: expected at most %d files in a row, found more", from,
                           base->line, MAX_BASES);
        beside(next, from, base->item[0]);
        if (access(next, R_OK) != 0)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: base: cannot read '%s'", from, base->line, base->item[0]);
        status = read_document(next, &c->file[c->n].document, error);
        if (status != HB_OK) return status;
        snprintf(c->file[c->n].path, HB_TEXT, "%s", next);
    }
}

// The environment decides which keys there are, so its name is looked up first: in --set, the file, then its bases.
static void find_env_name(const chain *c, const char *const *sets, int n_sets, hb_text name,
                          char source[HB_TEXT + 32]) {
    snprintf(name, HB_TEXT, "ant");
    snprintf(source, HB_TEXT + 32, "default");
    for (int k = c->n - 1; k >= 0; k--) {
        const hb_yaml_entry *found = hb_yaml_find(&c->file[k].document, "env", "name");
        if (!found || found->is_list) continue;
        snprintf(name, HB_TEXT, "%s", found->item[0]);
        snprintf(source, HB_TEXT + 32, "%s:%d", c->file[k].path, found->line);
    }
    for (int k = 0; k < n_sets; k++)
        if (strncmp(sets[k], "env.name=", 9) == 0) {
            snprintf(name, HB_TEXT, "%s", sets[k] + 9);
            snprintf(source, HB_TEXT + 32, "--set");
        }
}

// Values that runs had before keys were added.
static hb_status assign_before(hb_config *config, hb_error *error) {
    hb_status status = HB_OK;
    for (int32_t k = 0; k < config->n_entries && status == HB_OK; k++)
        if (config->entry[k].key.before)
            status = hb_config_assign(config, k, config->entry[k].key.before, "default", error);
    return status;
}

static hb_status open_into(hb_config *config, const chain *c, bool of_run, const char *const *sets, int n_sets,
                           hb_error *error) {
    hb_text env;
    char source[HB_TEXT + 32];
    find_env_name(c, sets, n_sets, env, source);
    hb_status status = hb_config_bind(config, env, source, error);
    if (status == HB_OK && of_run) status = assign_before(config, error);
    for (int k = c->n - 1; k >= 0 && status == HB_OK; k--) {
        snprintf(config->path, sizeof config->path, "%s", c->file[k].path);
        status = take_document(config, c->file[k].path, &c->file[k].document, error);
    }
    for (int k = 0; k < n_sets && status == HB_OK; k++) status = apply_set(config, sets[k], error);
    return status == HB_OK ? hb_config_resolve(config, error) : status;
}

static hb_status open_chain(const char *path, bool of_run, const char *const *sets, int n_sets, hb_config **out,
                            hb_error *error) {
    chain c = {.n = 0};
    hb_status status = read_chain(&c, path, error);
    hb_config *config = status == HB_OK ? calloc(1, sizeof *config) : NULL;
    if (status == HB_OK && !config) status = hb_fail(error, HB_FAILED, "out of memory opening a config");
    if (status == HB_OK) status = open_into(config, &c, of_run, sets, n_sets, error);
    close_chain(&c);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    *out = config;
    return HB_OK;
}

hb_status hb_config_open(const char *path, const char *const *sets, int n_sets, hb_config **out, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    return open_chain(path, false, sets, n_sets, out, error);
}

hb_status hb_config_open_run(const char *path, const char *const *sets, int n_sets, hb_config **out,
                             hb_error *error) {
    return open_chain(path, true, sets, n_sets, out, error);
}

// A key of another search than the chosen one.
static bool is_of_another(const hb_config *config, const hb_config_entry *entry) {
    const char *chosen = config->search_own[config->settings.search.kind];
    const char *field = entry->field, *first = config->search_own[0], *end = first + sizeof config->search_own;
    if (field < first || field >= end || (field >= chosen && field < chosen + HB_SEARCH_OWN)) return false;
    const hb_key *own = hb_searches[config->settings.search.kind]->keys;
    while (own && own->name && strcmp(own->name, entry->key.name) != 0) own++; // two searches may share a key's name
    return !(own && own->name);
}

int32_t hb_config_idle(const hb_config *config, int32_t from, char because[64]) {
    const hb_search_settings *search = &config->settings.search;
    for (int32_t k = from; k < config->n_entries; k++) {
        const hb_config_entry *entry = &config->entry[k];
        const char *field = entry->field;
        if (!field || strcmp(entry->value, entry->standard) == 0) continue;
        because[0] = '\0';
        if (is_of_another(config, entry)) snprintf(because, 64, "search.kind=%s", hb_searches[search->kind]->name);
        if (field >= (const char *)search && field < (const char *)(search + 1))
            hb_search_idle(search, entry->key.name, because);
        if (*because) return k;
    }
    return -1;
}

void hb_config_close(hb_config *config) {
    if (!config) return;
    hb_env_unload(config->env_library);
    free(config);
}

const char *hb_config_fold(const hb_config *config, int k) {
    const hb_words *trained = &config->settings.env.variations, *held_out = &config->settings.env.held_out;
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
