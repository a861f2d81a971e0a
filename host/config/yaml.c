// YAML into the config. libcyaml reads the document against a schema built from our table of keys, every
// value as text; the table then checks it. libyaml, libcyaml's own parser, tells on which line a key stands.
#include "host/config/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

// ---------------------------------------------------------------------------------------------------
// Where a key stands

// Finds "section: key:" in a document; returns its line counted from 1, or 0. Nullable: value (HB_TEXT)
// receives the scalar behind it. key NULL finds the section itself, which may be a key of the document with a value.
static int locate(const char *text, size_t length, const char *section, const char *key, char *value) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return 0;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    int line = 0, depth = 0, expects_key = 1, inside = 0, found = 0, done = 0;
    while (!done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) break;
        const char *scalar = event.type == YAML_SCALAR_EVENT ? (const char *)event.data.scalar.value : "";
        const int opens = event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
        const int closes = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
        if (found) {
            if (value && event.type == YAML_SCALAR_EVENT) snprintf(value, HB_TEXT, "%s", scalar);
            done = 1;
        } else if (event.type == YAML_SCALAR_EVENT && expects_key && depth == 1) {
            inside = strcmp(scalar, section) == 0;
            if (inside && !key) line = (int)event.start_mark.line + 1, found = 1;
        } else if (event.type == YAML_SCALAR_EVENT && expects_key && depth == 2 && inside && key) {
            if (strcmp(scalar, key) == 0) line = (int)event.start_mark.line + 1, found = 1;
        }
        if (closes) depth--;
        // At depths 1 and 2 keys and values alternate; an opened or closed collection is a value.
        if (opens)
            expects_key = 1;
        else if (closes || event.type == YAML_SCALAR_EVENT)
            expects_key = closes ? 1 : !expects_key;
        if (opens) depth++;
        if (event.type == YAML_STREAM_END_EVENT) done = 1;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return line;
}

int hb_config_peek_env(const char *text, size_t length, char *name) {
    return locate(text, length, "env", "name", name);
}

int hb_config_peek_base(const char *text, size_t length, char *name) {
    return locate(text, length, "base", NULL, name);
}

// ---------------------------------------------------------------------------------------------------
// libcyaml

typedef struct {
    char **item;
    unsigned n;
} raw_list;

// What libcyaml fills: a text or a list for each key.
typedef struct {
    char *base;
    char *scalar[HB_MAX_KEYS];
    raw_list list[HB_MAX_KEYS];
} raw_config;

static void listen(cyaml_log_t level, void *context, const char *format, va_list args) {
    (void)level;
    hb_yaml_complaint *c = context;
    char line[512], field[HB_TEXT];
    unsigned at;
    vsnprintf(line, sizeof line, format, args);
    if (strncmp(line, "Load: ", 6) == 0 && !c->message[0] && !strstr(line, "Backtrace"))
        snprintf(c->message, sizeof c->message, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
    if (sscanf(line, " in mapping field '%255[^']' (line: %u", field, &at) == 2) {
        if (!c->field[0]) snprintf(c->field, sizeof c->field, "%s", field);
        snprintf(c->section, sizeof c->section, "%s", field); // the outermost is the last
    }
    const char *place = strstr(line, "(line: ");
    if (place && !c->line) c->line = atoi(place + 7);
}

cyaml_config_t hb_yaml_settings(hb_yaml_complaint *said) {
    return (cyaml_config_t){.log_fn = listen,
                            .log_ctx = said,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

static const cyaml_schema_value_t entry_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, HB_TEXT - 1)};

// The field of one key.
static cyaml_schema_field_t field_schema(const hb_config *config, int32_t k) {
    const hb_key *key = &config->key[k];
    const int list = key->type == HB_KEY_WORDS || key->type == HB_KEY_INTS;
    cyaml_schema_field_t field = {.key = key->name, .value.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL};
    if (list) {
        field.value.type = CYAML_SEQUENCE;
        field.value.data_size = sizeof(char *);
        field.value.sequence.entry = &entry_schema;
        field.value.sequence.max = HB_MAX_LIST;
        field.data_offset = (uint32_t)(offsetof(raw_config, list) + (size_t)k * sizeof(raw_list));
        field.count_offset = field.data_offset + (uint32_t)offsetof(raw_list, n);
        field.count_size = sizeof(unsigned);
    } else {
        field.value.type = CYAML_STRING;
        field.value.data_size = 1;
        field.value.string.max = HB_TEXT - 1;
        field.data_offset = (uint32_t)(offsetof(raw_config, scalar) + (size_t)k * sizeof(char *));
    }
    return field;
}

static const char *section_name(const void *context, int k) {
    const hb_config *config = context;
    int seen = 0;
    for (int32_t i = 0; i < config->n_keys; i++) {
        const int first = i == 0 || strcmp(config->key[i].section, config->key[i - 1].section) != 0;
        if (first && seen++ == k) return config->key[i].section;
    }
    return NULL;
}

typedef struct {
    const hb_config *config;
    const char *section;
} section_keys;

static const char *key_name(const void *context, int k) {
    const section_keys *keys = context;
    int seen = 0;
    for (int32_t i = 0; i < keys->config->n_keys; i++)
        if (strcmp(keys->config->key[i].section, keys->section) == 0 && seen++ == k) return keys->config->key[i].name;
    return NULL;
}

static hb_status explain(const hb_config *config, const char *text, size_t length, const hb_yaml_complaint *c,
                         hb_error *error) {
    char unknown[HB_TEXT];
    if (sscanf(c->message, "Unexpected key: %255[^\n]", unknown) == 1) {
        const section_keys keys = {config, c->section};
        char near[HB_SUGGESTION];
        if (c->section[0])
            hb_suggest(near, unknown, key_name, &keys);
        else
            hb_suggest(near, unknown, section_name, config);
        const int line = c->section[0] ? locate(text, length, c->section, unknown, NULL)
                                       : locate(text, length, unknown, NULL, NULL);
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: no key is called '%s%s%s'%s", config->path, line ? line : c->line,
                       c->section, c->section[0] ? "." : "", unknown, near);
    }
    const int nested = strcmp(c->field, c->section) != 0;
    return hb_fail(error, HB_BAD_INPUT, "%s:%d: %s%s%s%s%s", config->path, c->line, c->section, nested ? "." : "",
                   nested ? c->field : "", c->section[0] ? ": " : "", c->message);
}

static hb_status take_values(hb_config *config, const char *text, size_t length, const raw_config *raw,
                             hb_error *error) {
    for (int32_t k = 0; k < config->n_keys; k++) {
        const hb_key *key = &config->key[k];
        char joined[HB_MAX_LIST * HB_TEXT] = "";
        const raw_list *list = &raw->list[k];
        for (unsigned i = 0; list->item && i < list->n; i++) {
            const size_t n = strlen(joined);
            snprintf(joined + n, sizeof joined - n, "%s%s", i ? "," : "", list->item[i]);
        }
        const int line = locate(text, length, key->section, key->name, NULL);
        if (line == 0) continue; // an empty list leaves no other trace than its line
        const char *value = raw->scalar[k] ? raw->scalar[k] : joined;
        char source[HB_TEXT + 32];
        snprintf(source, sizeof source, "%s:%d", config->path, line);
        const hb_status status = hb_config_assign(config, k, value, source, error);
        if (status != HB_OK) return status;
    }
    return HB_OK;
}

hb_status hb_config_parse(hb_config *config, const char *text, size_t length, hb_error *error) {
    cyaml_schema_field_t fields[HB_MAX_KEYS + 16] = {0}; // each section's keys, then a NULL key
    cyaml_schema_field_t sections[16] = {0};
    int n_fields = 0, n_sections = 0;
    for (int32_t k = 0; k < config->n_keys; k++) {
        if (k == 0 || strcmp(config->key[k].section, config->key[k - 1].section) != 0) {
            if (k) n_fields++;
            cyaml_schema_field_t *section = &sections[n_sections++];
            section->key = config->key[k].section;
            section->value.type = CYAML_MAPPING;
            section->value.flags = CYAML_FLAG_OPTIONAL;
            section->value.data_size = sizeof(raw_config);
            section->value.mapping.fields = &fields[n_fields];
        }
        fields[n_fields++] = field_schema(config, k);
    }
    sections[n_sections] = (cyaml_schema_field_t){.key = "base",
                                                  .data_offset = offsetof(raw_config, base),
                                                  .value = {.type = CYAML_STRING,
                                                            .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                                                            .data_size = 1,
                                                            .string.max = HB_TEXT - 1}};
    const cyaml_schema_value_t document = {.type = CYAML_MAPPING,
                                           .flags = CYAML_FLAG_POINTER,
                                           .data_size = sizeof(raw_config),
                                           .mapping.fields = sections};
    hb_yaml_complaint said = {.line = 0};
    const cyaml_config_t cyaml = hb_yaml_settings(&said);
    raw_config *raw = NULL;
    const cyaml_err_t result =
        cyaml_load_data((const uint8_t *)text, length, &cyaml, &document, (cyaml_data_t **)&raw, NULL);
    if (result != CYAML_OK) {
        if (!said.message[0]) snprintf(said.message, sizeof said.message, "%s", cyaml_strerror(result));
        return explain(config, text, length, &said, error);
    }
    const hb_status status = raw ? take_values(config, text, length, raw, error) : HB_OK;
    cyaml_free(&cyaml, &document, raw, 0);
    return status;
}
