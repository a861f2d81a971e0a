// A study's file.
#include "host/config/yaml.h"
#include "host/study/study.h"

#include <stdlib.h>
#include <string.h>

static const char *const keys[] = {"out", "configs", "seeds", "set", "folds", "claims", "published", NULL};

static const char *key_name(const void *context, int k) {
    (void)context;
    return keys[k];
}

static hb_status check_keys(const char *path, const hb_yaml *document, hb_error *error) {
    for (int k = 0; k < document->n; k++) {
        const hb_yaml_entry *found = &document->entry[k];
        const char *name = *found->section ? found->section : found->key;
        int known = 0;
        while (keys[known] && strcmp(keys[known], name) != 0) known++;
        if (!*found->section && keys[known]) continue;
        char near[HB_SUGGESTION];
        hb_suggest(near, name, key_name, NULL);
        return hb_fail(
            error, HB_BAD_INPUT,
            "%s:%d: no key of a study is called '%s'%s (a study has out, configs, seeds; set, folds, claims, "
            "published)",
            path, found->line, name, near);
    }
    return HB_OK;
}

// The entry of a key of that kind; NULL if the document has none and it is not required.
static hb_status find(const char *path, const hb_yaml *document, const char *key, bool list, bool required,
                      const hb_yaml_entry **entry, hb_error *error) {
    const hb_yaml_entry *found = *entry = hb_yaml_find(document, "", key);
    if (!found) return required ? hb_fail(error, HB_BAD_INPUT, "%s: expected the key '%s'", path, key) : HB_OK;
    if (found->is_list != list)
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: %s: expected %s, found %s", path, found->line, key,
                       list ? "a list" : "a single value", list ? "a single value" : "a list");
    if (list && (found->n > HB_MAX_LIST || (required && found->n < 1)))
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: %s: expected %d to %d entries, found %d", path, found->line, key,
                       required ? 1 : 0, HB_MAX_LIST, found->n);
    for (int k = 0; k < found->n; k++)
        if (strlen(found->item[k]) >= HB_TEXT)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: %s: longer than %d letters", path, found->line, key,
                           HB_TEXT - 1);
    return HB_OK;
}

static hb_status take_text(const char *path, const hb_yaml *document, const char *key, bool required, hb_text out,
                           hb_error *error) {
    const hb_yaml_entry *found;
    const hb_status status = find(path, document, key, false, required, &found, error);
    if (status != HB_OK) return status;
    snprintf(out, HB_TEXT, "%s", found ? found->item[0] : "");
    if (required && found && !*out)
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: %s: expected a value, found none", path, found->line, key);
    return HB_OK;
}

static hb_status take_words(const char *path, const hb_yaml *document, const char *key, bool required, hb_words *out,
                            hb_error *error) {
    const hb_yaml_entry *found;
    const hb_status status = find(path, document, key, true, required, &found, error);
    for (int k = 0; status == HB_OK && found && k < found->n; k++)
        snprintf(out->item[out->n++], HB_TEXT, "%s", found->item[k]);
    return status;
}

static hb_status take_seeds(const char *path, const hb_yaml *document, hb_ints *out, hb_error *error) {
    hb_words words = {.n = 0};
    const hb_status status = take_words(path, document, "seeds", true, &words, error);
    if (status != HB_OK) return status;
    for (int32_t k = 0; k < words.n; k++) {
        char *end;
        out->item[out->n++] = strtoll(words.item[k], &end, 10);
        if (end == words.item[k] || *end || out->item[k] < 0)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: seeds: expected whole numbers from 0, found '%s'", path,
                           hb_yaml_find(document, "", "seeds")->line, words.item[k]);
    }
    return HB_OK;
}

static hb_status take_folds(const char *path, const hb_yaml *document, bool *folds, hb_error *error) {
    hb_text text;
    const hb_status status = take_text(path, document, "folds", false, text, error);
    if (status != HB_OK) return status;
    *folds = strcmp(text, "true") == 0;
    if (*folds || !*text || strcmp(text, "false") == 0) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "%s:%d: folds: expected true or false, found '%s'", path,
                   hb_yaml_find(document, "", "folds")->line, text);
}

// Seed and folder of a run are the study's to choose.
static hb_status check_sets(const hb_study_file *study, int line, hb_error *error) {
    for (int32_t k = 0; k < study->sets.n; k++)
        if (strncmp(study->sets.item[k], "run.seed=", 9) == 0 || strncmp(study->sets.item[k], "run.out=", 8) == 0)
            return hb_fail(error, HB_BAD_INPUT, "%s:%d: set: seeds and out are keys of the study, found '%s'",
                           study->path, line, study->sets.item[k]);
    return HB_OK;
}

static hb_status take_all(const hb_yaml *document, hb_study_file *study, hb_error *error) {
    const char *path = study->path;
    hb_status status = check_keys(path, document, error);
    if (status == HB_OK) status = take_text(path, document, "out", true, study->out, error);
    if (status == HB_OK) status = take_words(path, document, "configs", true, &study->configs, error);
    if (status == HB_OK) status = take_seeds(path, document, &study->seeds, error);
    if (status == HB_OK) status = take_words(path, document, "set", false, &study->sets, error);
    if (status == HB_OK) status = take_words(path, document, "claims", false, &study->claims, error);
    if (status == HB_OK) status = take_folds(path, document, &study->folds, error);
    if (status == HB_OK) status = take_text(path, document, "published", false, study->published, error);
    const hb_yaml_entry *set = hb_yaml_find(document, "", "set");
    if (set) study->set_line = set->line;
    return status == HB_OK && set ? check_sets(study, set->line, error) : status;
}

hb_status hb_study_read(const char *path, hb_study_file *study, hb_error *error) {
    void *text = NULL;
    size_t length = 0;
    hb_yaml document;
    *study = (hb_study_file){.folds = false};
    snprintf(study->path, sizeof study->path, "%s", path);
    hb_status status = hb_file_read(path, 1 << 20, &text, &length, error);
    if (status != HB_OK) return status;
    status = hb_yaml_read(path, text, length, &document, error);
    free(text);
    if (status != HB_OK) return status;
    status = document.n > 0 ? take_all(&document, study, error)
                            : hb_fail(error, HB_BAD_INPUT, "%s: the study is empty", path);
    hb_yaml_free(&document);
    return status;
}
