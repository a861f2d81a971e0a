// A study's YAML, and the runs that it asks for.
#include "host/config/yaml.h"
#include "host/study/study.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *out, *published;
    char **configs, **seeds, **sets, **claims;
    unsigned n_configs, n_seeds, n_sets, n_claims;
    bool folds;
} raw_study;

static const cyaml_schema_value_t text_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, HB_TEXT - 1)};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("out", CYAML_FLAG_POINTER, raw_study, out, 1, HB_TEXT - 1),
    CYAML_FIELD_SEQUENCE_COUNT("configs", CYAML_FLAG_POINTER, raw_study, configs, n_configs, &text_schema, 1,
                               HB_MAX_LIST),
    CYAML_FIELD_SEQUENCE_COUNT("seeds", CYAML_FLAG_POINTER, raw_study, seeds, n_seeds, &text_schema, 1, HB_MAX_LIST),
    CYAML_FIELD_SEQUENCE_COUNT("set", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_study, sets, n_sets, &text_schema,
                               0, HB_MAX_LIST),
    CYAML_FIELD_SEQUENCE_COUNT("claims", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_study, claims, n_claims,
                               &text_schema, 0, HB_MAX_LIST),
    CYAML_FIELD_BOOL("folds", CYAML_FLAG_OPTIONAL, raw_study, folds),
    CYAML_FIELD_STRING_PTR("published", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, raw_study, published, 0,
                           HB_TEXT - 1),
    CYAML_FIELD_END};

static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, raw_study, fields)};

static void take(hb_words *to, char *const *from, unsigned n) {
    to->n = (int32_t)n;
    for (unsigned k = 0; k < n; k++) snprintf(to->item[k], HB_TEXT, "%s", from[k]);
}

static hb_status take_all(const raw_study *raw, hb_study_file *study, hb_error *error) {
    snprintf(study->out, HB_TEXT, "%s", raw->out);
    snprintf(study->published, HB_TEXT, "%s", raw->published ? raw->published : "");
    take(&study->configs, raw->configs, raw->n_configs);
    take(&study->sets, raw->sets, raw->n_sets);
    take(&study->claims, raw->claims, raw->n_claims);
    for (int32_t k = 0; k < study->sets.n; k++)
        if (strncmp(study->sets.item[k], "run.seed=", 9) == 0 || strncmp(study->sets.item[k], "run.out=", 8) == 0)
            return hb_fail(error, HB_BAD_INPUT, "%s: set: seeds and out are keys of the study, found '%s'",
                           study->path, study->sets.item[k]);
    study->folds = raw->folds;
    study->seeds.n = (int32_t)raw->n_seeds;
    for (unsigned k = 0; k < raw->n_seeds; k++) {
        char *end;
        study->seeds.item[k] = strtoll(raw->seeds[k], &end, 10);
        if (end == raw->seeds[k] || *end || study->seeds.item[k] < 0)
            return hb_fail(error, HB_BAD_INPUT, "%s: seeds: expected whole numbers from 0, found '%s'", study->path,
                           raw->seeds[k]);
    }
    return HB_OK;
}

hb_status hb_study_read(const char *path, hb_study_file *study, hb_error *error) {
    void *text = NULL;
    size_t length = 0;
    *study = (hb_study_file){.folds = false};
    snprintf(study->path, sizeof study->path, "%s", path);
    hb_status status = hb_file_read(path, 1 << 20, &text, &length, error);
    if (status != HB_OK) return status;
    hb_yaml_complaint said = {.line = 0};
    const cyaml_config_t cyaml = hb_yaml_settings(&said);
    raw_study *raw = NULL;
    const cyaml_err_t result = cyaml_load_data(text, length, &cyaml, &schema, (cyaml_data_t **)&raw, NULL);
    if (result != CYAML_OK)
        status =
            hb_fail(error, HB_BAD_INPUT, "%s:%d: %s (a study has out, configs, seeds; set, folds, claims, published)",
                    path, said.line, said.message[0] ? said.message : cyaml_strerror(result));
    else
        status = raw ? take_all(raw, study, error) : hb_fail(error, HB_BAD_INPUT, "%s: the study is empty", path);
    cyaml_free(&cyaml, &schema, raw, 0);
    free(text);
    return status;
}
