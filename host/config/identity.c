// What makes a run the run it is: the keys that change its bits.
#include "envs/plugin.h"
#include "host/base/files.h"
#include "host/config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

bool hb_config_names_file(const hb_config_entry *entry) {
    return (entry->key.type == HB_KEY_FILE && *entry->value) ||
           (entry->key.type == HB_KEY_LIBRARY && hb_env_is_library(entry->value));
}

// " (HASH)" of the bytes of a file that the run computes with; empty if the value names no file, or one that cannot be read: the
// code that opens it reports that.
static hb_status file_hash(const hb_config_entry *entry, char out[32], hb_error *error) {
    out[0] = '\0';
    void *data = NULL;
    size_t bytes = 0;
    hb_error why = {""};
    if (!hb_config_names_file(entry)) return HB_OK;
    const hb_status status = hb_file_read(entry->value, (size_t)1 << 30, &data, &bytes, &why);
    if (status == HB_FAILED) return hb_fail(error, status, "%s", why.message);
    if (status == HB_OK) snprintf(out, 32, " (%016llx)", (unsigned long long)XXH3_64bits(data, bytes));
    free(data);
    return HB_OK;
}

hb_status hb_config_identify(hb_config *config, hb_error *error) {
    size_t at = 0;
    const size_t n = sizeof config->identity;
    for (int32_t k = 0; k < config->n_entries && at < n; k++) {
        const hb_config_entry *entry = &config->entry[k];
        char hash[32];
        if (entry->key.same_bits) continue;
        const hb_status status = file_hash(entry, hash, error);
        if (status != HB_OK) return status;
        at += (size_t)snprintf(config->identity + at, n - at, "%s.%s=%s%s\n", entry->section, entry->key.name,
                               entry->value, hash);
    }
    return HB_OK;
}

// True if the configuration names a file that cannot be read where it says.
static bool lacks_file(const hb_config *config) {
    for (int32_t k = 0; k < config->n_entries; k++)
        if (hb_config_names_file(&config->entry[k]) && access(config->entry[k].value, R_OK) != 0) return true;
    return false;
}

hb_status hb_config_open_moved(const char *path, const hb_config *now, hb_config **out, hb_error *error) {
    enum { MOST = 8, LETTERS = HB_TEXT + 128 };
    const hb_status as_it_was = hb_config_open_run(path, NULL, 0, out, error);
    if (as_it_was == HB_FAILED || (as_it_was == HB_OK && !lacks_file(*out))) return as_it_was;
    char(*text)[LETTERS] = calloc(MOST, sizeof *text);
    const char *sets[MOST];
    int n = 0;
    if (as_it_was == HB_OK) hb_config_close(*out);
    if (!text) return hb_fail(error, HB_FAILED, "out of memory opening %s", path);
    for (int32_t k = 0; k < now->n_entries && n < MOST; k++) {
        const hb_config_entry *entry = &now->entry[k];
        if (!hb_config_names_file(entry)) continue;
        snprintf(text[n], LETTERS, "%s.%s=%s", entry->section, entry->key.name, entry->value);
        sets[n] = text[n], n++;
    }
    const hb_status status = hb_config_open_run(path, sets, n, out, error);
    free(text);
    return status;
}

// The line of `text` for the same key as `line`, or NULL.
static const char *line_of_key(const char *text, const char *line) {
    const size_t n = strcspn(line, "=\n") + 1;
    while (*text && strncmp(text, line, n) != 0) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return *text ? text : NULL;
}

// Where " (HASH)" of a file begins in a line of n letters, or n.
static size_t hash_at(const char *line, size_t n) {
    enum { HASH = 19 }; // " (16 digits)"
    const bool has = n > HASH && line[n - 1] == ')' && line[n - HASH] == ' ' && line[n - HASH + 1] == '(';
    return has ? n - HASH : n;
}

// True if two lines give a key the same value; a file is the same wherever it is, if its bytes are.
static bool same_value(const char *a, const char *b) {
    const size_t n = strcspn(a, "\n"), m = strcspn(b, "\n"), i = hash_at(a, n), j = hash_at(b, m);
    if (i < n && j < m) return strncmp(a + i, b + j, n - i + 1) == 0;
    return n == m && strncmp(a, b, n) == 0;
}

// True if the line gives a key the value that runs had before the key was added; they do not list it.
static bool is_standard(const hb_config *config, const char *line) {
    for (int32_t k = 0; k < config->n_entries; k++) {
        char standard[HB_TEXT + 128];
        const hb_config_entry *entry = &config->entry[k];
        snprintf(standard, sizeof standard, "%s.%s=%s\n", entry->section, entry->key.name,
                 entry->key.before ? entry->key.before : entry->standard);
        if (strncmp(line, standard, strlen(standard)) == 0) return true;
    }
    return false;
}

hb_status hb_config_elsewhere(const hb_config *config, const char *theirs, char out[HB_DIFFERENCE], hb_error *error) {
    size_t at = 0;
    out[0] = '\0';
    for (const char *line = config->identity; *line; line += strcspn(line, "\n") + 1) {
        const int n = (int)strcspn(line, "\n"), key = (int)strcspn(line, "=");
        const char *other = line_of_key(theirs, line);
        if (other ? same_value(line, other) : is_standard(config, line)) continue;
        if (strncmp(line, "env.", 4) != 0 || strncmp(line, "env.name=", 9) == 0)
            return hb_fail(error, HB_BAD_INPUT, "--set: an evaluation may change the world (env.*), not %.*s%s", key,
                           line, strncmp(line, "run.seed=", 9) == 0 ? "; eval.seed draws other births" : "");
        const char *was = other ? other + key + 1 : "its default";
        at += (size_t)snprintf(out + at, HB_DIFFERENCE - at, "%s%.*s instead of %.*s", at ? ", " : "", n, line,
                               (int)strcspn(was, "\n"), was);
        if (at >= HB_DIFFERENCE) at = HB_DIFFERENCE - 1;
    }
    return HB_OK;
}

static bool has_meaning(const char *line) {
    static const char *const keys[] = {
        "policy.",   "search.assignment=", "search.base=", "search.combine=", "search.observations=",
        "env.name=", "env.preset=",        "env.observe="};
    if (strncmp(line, "policy.planes=", 14) == 0) return false; // how they are stored
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (strncmp(line, keys[k], strlen(keys[k])) == 0) return true;
    return false;
}

void hb_config_other_meaning(const hb_config *config, const char *theirs, char out[HB_DIFFERENCE]) {
    size_t at = 0;
    out[0] = '\0';
    for (const char *line = config->identity; *line && at < HB_DIFFERENCE; line += strcspn(line, "\n") + 1) {
        const char *other = line_of_key(theirs, line);
        if (!has_meaning(line) || (other ? same_value(line, other) : is_standard(config, line))) continue;
        const char *was = other ? other + strcspn(other, "=") + 1 : "its default";
        at += (size_t)snprintf(out + at, HB_DIFFERENCE - at, "%s%.*s, there %.*s", at ? "; " : "",
                               (int)strcspn(line, "\n"), line, (int)strcspn(was, "\n"), was);
    }
}

bool hb_config_differs(const hb_config *config, const char *theirs, char out[HB_DIFFERENCE]) {
    const char *ours = config->identity, *other = NULL, *line = ours;
    for (; *line; line += strcspn(line, "\n") + 1) {
        other = line_of_key(theirs, line);
        if (other ? !same_value(line, other) : !is_standard(config, line)) break;
    }
    if (!*line) { // our keys agree; look for keys that only they have
        for (other = theirs; *other && line_of_key(ours, other);) {
            other += strcspn(other, "\n");
            other += *other == '\n';
        }
        if (!*other) return false;
    }
    const size_t n = strcspn(line, "\n"), m = other ? strcspn(other, "\n") : 0;
    const bool file = *line && other && hash_at(line, n) < n && hash_at(other, m) < m;
    const char *why = file ? "; the file's bytes are not those that the run began with: bring them back, or name a "
                             "copy of them by --set"
                           : "";
    snprintf(out, HB_DIFFERENCE, "expected %.*s, found %.*s%s", *line ? (int)n : 7, *line ? line : "nothing",
             other ? (int)m : 7, other ? other : "nothing", why);
    return true;
}
