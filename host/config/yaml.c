#include "host/config/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

// A document being read: libyaml's events, one ahead.
typedef struct {
    const char *path;
    yaml_parser_t parser;
    yaml_event_t event; // the next one
    hb_yaml *document;
    hb_error *error;
} reader;

// ---------------------------------------------------------------------------------------------------
// Events

static hb_status refuse(const reader *r, const char *what) {
    return hb_fail(r->error, HB_BAD_INPUT, "%s:%zu:%zu: %s", r->path, r->event.start_mark.line + 1,
                   r->event.start_mark.column + 1, what);
}

static hb_status advance(reader *r) {
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event)) return HB_OK;
    const yaml_parser_t *p = &r->parser;
    const yaml_mark_t *mark = &p->problem_mark;
    memset(&r->event, 0, sizeof r->event);
    if (p->error == YAML_MEMORY_ERROR) return hb_fail(r->error, HB_FAILED, "out of memory reading %s", r->path);
    return hb_fail(r->error, HB_BAD_INPUT, "%s:%zu:%zu: not valid YAML: %s", r->path, mark->line + 1,
                   mark->column + 1, p->problem ? p->problem : "unknown problem");
}

// The next event must be a plain node: no alias, and no anchor for one.
static hb_status check_node(const reader *r) {
    const yaml_event_t *e = &r->event;
    const bool anchored = (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor) ||
                          (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor) ||
                          (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor);
    if (e->type == YAML_ALIAS_EVENT || anchored) return refuse(r, "anchors and aliases are not supported");
    if (e->type == YAML_SCALAR_EVENT && strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
        return refuse(r, "a value contains a zero byte");
    return HB_OK;
}

// Takes the scalar that comes next. `what` says what was expected where it is no scalar.
static hb_status take_scalar(reader *r, const char *what, char **text) {
    hb_status status = check_node(r);
    if (status == HB_OK && r->event.type != YAML_SCALAR_EVENT) status = refuse(r, what);
    if (status != HB_OK) return status;
    *text = strdup((const char *)r->event.data.scalar.value);
    if (!*text) return hb_fail(r->error, HB_FAILED, "out of memory reading %s", r->path);
    status = advance(r);
    if (status != HB_OK) free(*text);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Entries

static void free_entry(hb_yaml_entry *entry) {
    for (int k = 0; k < entry->n; k++) free(entry->item[k]);
    free(entry->item);
    free(entry->section);
    free(entry->key);
}

void hb_yaml_free(hb_yaml *document) {
    for (int k = 0; k < document->n; k++) free_entry(&document->entry[k]);
    free(document->entry);
    *document = (hb_yaml){.n = 0};
}

const hb_yaml_entry *hb_yaml_find(const hb_yaml *document, const char *section, const char *key) {
    for (int k = 0; k < document->n; k++)
        if (strcmp(document->entry[k].section, section) == 0 && strcmp(document->entry[k].key, key) == 0)
            return &document->entry[k];
    return NULL;
}

static hb_status add_item(reader *r, hb_yaml_entry *entry, char *item) {
    char **grown = realloc(entry->item, ((size_t)entry->n + 1) * sizeof *grown);
    if (!grown) {
        free(item);
        return hb_fail(r->error, HB_FAILED, "out of memory reading %s", r->path);
    }
    entry->item = grown;
    entry->item[entry->n++] = item;
    return HB_OK;
}

// The value or the list that comes next.
static hb_status read_value(reader *r, hb_yaml_entry *entry) {
    hb_status status = check_node(r);
    char *item = NULL;
    if (status != HB_OK) return status;
    entry->is_list = r->event.type == YAML_SEQUENCE_START_EVENT;
    if (!entry->is_list) {
        status = take_scalar(r, "expected a value or a list, found a section", &item);
        return status == HB_OK ? add_item(r, entry, item) : status;
    }
    status = advance(r);
    while (status == HB_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        status = take_scalar(r, "expected a value in a list, found a list or a section", &item);
        if (status == HB_OK) status = add_item(r, entry, item);
    }
    return status == HB_OK ? advance(r) : status;
}

// Appends an entry, which the document then owns; refuses a key that is there already.
static hb_status add_entry(reader *r, hb_yaml_entry *entry) {
    hb_yaml *document = r->document;
    const hb_yaml_entry *first = hb_yaml_find(document, entry->section, entry->key);
    hb_status status = HB_OK;
    if (first)
        status =
            hb_fail(r->error, HB_BAD_INPUT, "%s:%d: %s%s%s: expected once, found on line %d, too", r->path,
                    entry->line, entry->section, *entry->section && *entry->key ? "." : "", entry->key, first->line);
    hb_yaml_entry *grown =
        status == HB_OK ? realloc(document->entry, ((size_t)document->n + 1) * sizeof *grown) : NULL;
    if (status == HB_OK && !grown) status = hb_fail(r->error, HB_FAILED, "out of memory reading %s", r->path);
    if (grown) document->entry = grown;
    if (status == HB_OK)
        document->entry[document->n++] = *entry;
    else
        free_entry(entry);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Mappings

static hb_status read_mapping(reader *r, const char *section, int line);

// A key of a section ("" for the document) and what follows it.
static hb_status read_key(reader *r, const char *section) {
    hb_yaml_entry entry = {.line = (int)r->event.start_mark.line + 1};
    hb_status status = take_scalar(r, "expected a key", &entry.key);
    if (status != HB_OK) return status;
    if (!*section && r->event.type == YAML_MAPPING_START_EVENT) {
        status = read_mapping(r, entry.key, entry.line);
        free(entry.key);
        return status;
    }
    entry.section = strdup(section);
    if (!entry.section) status = hb_fail(r->error, HB_FAILED, "out of memory reading %s", r->path);
    if (status == HB_OK) status = read_value(r, &entry);
    if (status == HB_OK) return add_entry(r, &entry);
    free_entry(&entry);
    return status;
}

// The mapping that comes next. A section also gets an entry of its own, without a key, which holds its line.
static hb_status read_mapping(reader *r, const char *section, int line) {
    hb_yaml_entry entry = {.line = line};
    hb_status status = check_node(r);
    if (status == HB_OK && *section) {
        entry.section = strdup(section);
        entry.key = strdup("");
        if (!entry.section || !entry.key) {
            free_entry(&entry);
            return hb_fail(r->error, HB_FAILED, "out of memory reading %s", r->path);
        }
        status = add_entry(r, &entry);
    }
    if (status == HB_OK) status = advance(r);
    while (status == HB_OK && r->event.type != YAML_MAPPING_END_EVENT) status = read_key(r, section);
    return status == HB_OK ? advance(r) : status;
}

static hb_status read_document(reader *r) {
    hb_status status = advance(r); // to the start of the stream
    if (status == HB_OK) status = advance(r);
    if (status != HB_OK || r->event.type == YAML_STREAM_END_EVENT) return status; // nothing but comments
    status = advance(r);
    if (status != HB_OK) return status;
    const bool is_null = r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0;
    if (!is_null && r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, "expected keys with values, found a single value or a list");
    status = is_null ? advance(r) : read_mapping(r, "", 1);
    if (status == HB_OK) status = advance(r); // past the end of the document
    if (status == HB_OK && r->event.type != YAML_STREAM_END_EVENT)
        return refuse(r, "expected one document, found another");
    return status;
}

hb_status hb_yaml_read(const char *path, const char *text, size_t length, hb_yaml *document, hb_error *error) {
    *document = (hb_yaml){.n = 0};
    reader r = {.path = path, .document = document, .error = error};
    if (!yaml_parser_initialize(&r.parser)) return hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, length);
    const hb_status status = read_document(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (status != HB_OK) hb_yaml_free(document);
    return status;
}
