// The configuration as text: a YAML file, and the list of keys for people.
#include "host/base/locale.h"
#include "host/base/writer.h"
#include "host/config/config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool is_text(const hb_key *key) {
    return key->type == HB_KEY_TEXT || key->type == HB_KEY_FILE || key->type == HB_KEY_LIBRARY;
}

hb_status hb_config_print(const hb_config *config, FILE *file, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    const char *section = "";
    for (int32_t k = 0; k < config->n_entries; k++) {
        const hb_config_entry *entry = &config->entry[k];
        const hb_key *key = &entry->key;
        const char *text = entry->value;
        char full[PATH_MAX]; // a run can be resumed from another folder
        if (hb_config_names_file(entry) && realpath(text, full) && strlen(full) < HB_TEXT && hb_config_is_plain(full))
            text = full;
        if (strcmp(section, entry->section) != 0) fprintf(file, "%s:\n", entry->section);
        section = entry->section;
        const bool list = key->type == HB_KEY_WORDS || key->type == HB_KEY_INTS;
        const char *open = list ? "[" : is_text(key) ? "\"" : "";
        const char *close = list ? "]" : open;
        fprintf(file, "  %s: %s%s%s\n", key->name, open, text, close);
    }
    return ferror(file) ? hb_fail(error, HB_FAILED, "cannot write the config: %m") : HB_OK;
}

hb_status hb_config_write(const hb_config *config, const hb_writer *writer, hb_error *error) {
    FILE *file = hb_writer_open(writer);
    return hb_writer_close(file, file ? hb_config_print(config, file, error) : HB_FAILED, error);
}

static void describe(const hb_config *config, const char *only, FILE *file) {
    const char *section = "";
    for (int32_t k = 0; k < config->n_entries; k++) {
        const hb_config_entry *entry = &config->entry[k];
        const hb_key *key = &entry->key;
        if (only && strcmp(only, entry->section) != 0) continue;
        if (strcmp(section, entry->section) != 0) fprintf(file, "\n%s:\n", entry->section);
        section = entry->section;
        fprintf(file, "  %-18s %s", key->name, key->help);
        if (*entry->value) fprintf(file, " [%s]", entry->value);
        size_t column = 200; // of the words, wrapped
        for (int i = 0; hb_key_word(key, i); i++) {
            const size_t n = strlen(hb_key_word(key, i)) + 2;
            if (column + n > 100)
                column = (size_t)fprintf(file, "%s\n                    ", i ? "," : "") - 1 - (i > 0);
            else
                fputc(',', file);
            fprintf(file, " %s", hb_key_word(key, i));
            column += n;
        }
        fputc('\n', file);
    }
}

hb_status hb_config_describe(const hb_config *config, const char *section, const hb_writer *writer, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    FILE *file = hb_writer_open(writer);
    if (file) describe(config, section, file);
    return hb_writer_close(file, HB_OK, error);
}
