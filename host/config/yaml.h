// Reads the YAML that configurations and studies are written in: a mapping of keys to values, to lists of values, or to
// sections, which are mappings of keys to values or lists. It knows nothing of what keys mean.
#ifndef HB_YAML_H
#define HB_YAML_H

#include "kernels/error.h"

#include <stdbool.h>
#include <stddef.h>

// One key with its value. Texts are owned by the document.
typedef struct {
    char *section; // "" for a key of the document itself
    char *key;     // "" for the section itself, whose entry has no values
    int line;      // of the key, from 1
    bool is_list;
    int n;       // values: 1, or the list's length
    char **item; // (n)
} hb_yaml_entry;

typedef struct {
    int n;
    hb_yaml_entry *entry; // (n), in the order of the document
} hb_yaml;

// Reads `length` bytes of text. `path` names the file in messages. Fails with HB_BAD_INPUT and "path:line:column: ..." where the
// text is no YAML, has another shape, repeats a key, or uses anchors, aliases or several documents. The caller frees *document
// with hb_yaml_free, on success only.
hb_status hb_yaml_read(const char *path, const char *text, size_t length, hb_yaml *document, hb_error *error);
void hb_yaml_free(hb_yaml *document);

// The entry of that section and key, or NULL.
const hb_yaml_entry *hb_yaml_find(const hb_yaml *document, const char *section, const char *key);

#endif
