// Values: text checked against a key, and text into settings.
#include "envs/plugin.h"
#include "host/config/config.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Finding keys and words

const char *hb_key_word(const hb_key *key, int k) {
    if (key->word) return key->word(k);
    return key->words ? key->words[k] : NULL;
}

static const char *word_of_key(const void *key, int k) {
    return hb_key_word(key, k);
}

int32_t hb_config_find(const hb_config *config, const char *dotted) {
    for (int32_t k = 0; k < config->n_entries; k++) {
        const size_t n = strlen(config->entry[k].section);
        if (strncmp(dotted, config->entry[k].section, n) == 0 && dotted[n] == '.' &&
            strcmp(dotted + n + 1, config->entry[k].key.name) == 0)
            return k;
    }
    return -1;
}

const char *hb_config_value(const hb_config *config, const char *key) {
    const int32_t k = hb_config_find(config, key);
    return k < 0 ? NULL : config->entry[k].value;
}

bool hb_config_is_default(const hb_config *config, const char *dotted) {
    const int32_t k = hb_config_find(config, dotted);
    return k >= 0 && strcmp(config->entry[k].source, "default") == 0;
}

hb_status hb_config_complain(const hb_config *config, const char *dotted, hb_error *error, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const int32_t k = hb_config_find(config, dotted);
    return hb_fail(error, HB_BAD_INPUT, "%s: %s: %s", k < 0 ? "config" : config->entry[k].source, dotted, text);
}

// ---------------------------------------------------------------------------------------------------
// Checks

// "expected ..., found '...'", with the nearest word where there is one.
static hb_status refuse(const hb_config_entry *entry, const char *text, const char *source, const char *expected,
                        hb_error *error) {
    char near[HB_SUGGESTION];
    hb_suggest(near, text, word_of_key, &entry->key);
    return hb_fail(error, HB_BAD_INPUT, "%s: %s.%s: expected %s, found '%s'%s", source, entry->section,
                   entry->key.name, expected, text, near);
}

static bool is_word(const hb_key *key, const char *text) {
    for (int k = 0; hb_key_word(key, k); k++)
        if (strcmp(hb_key_word(key, k), text) == 0) return true;
    return false;
}

static hb_status check_word(const hb_config_entry *entry, const char *text, const char *source, hb_error *error) {
    if (is_word(&entry->key, text)) return HB_OK;
    if (!hb_key_word(&entry->key, 0)) // the world knows them
        return hb_env_is_name(text) ? HB_OK : refuse(entry, text, source, "names of letters, digits and _", error);
    char expected[768] = "one of";
    for (int k = 0; hb_key_word(&entry->key, k); k++) {
        const size_t n = strlen(expected);
        snprintf(expected + n, sizeof expected - n, "%s %s", k ? "," : "", hb_key_word(&entry->key, k));
    }
    return refuse(entry, text, source, expected, error);
}

static hb_status check_number(const hb_config_entry *entry, const char *text, const char *source, hb_error *error) {
    char expected[128];
    snprintf(expected, sizeof expected, "%s from %.12g to %.12g",
             entry->key.type == HB_KEY_REAL ? "a number" : "a whole number", entry->key.least, entry->key.most);
    char *end;
    const double value = strtod(text, &end);
    const int plain = strspn(text, "0123456789+-.eE") == strlen(text); // no hexadecimal, inf or nan
    const int whole = entry->key.type == HB_KEY_REAL || value == floor(value);
    if (end == text || *end || !plain || !whole || !(value >= entry->key.least && value <= entry->key.most))
        return refuse(entry, text, source, expected, error);
    return HB_OK;
}

// A list is kept as "a,b,c" without blanks.
static hb_status check_list(const hb_config_entry *entry, char *text, const char *source, hb_error *error) {
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
        const hb_status status = entry->key.type == HB_KEY_WORDS ? check_word(entry, item, source, error)
                                                                 : check_number(entry, item, source, error);
        if (status != HB_OK) return status;
        if (n == HB_MAX_LIST) return refuse(entry, text, source, "at most 16 entries", error);
        for (int k = 0; k < n && entry->key.type == HB_KEY_WORDS; k++)
            if (strcmp(seen[k], item) == 0) return refuse(entry, text, source, "each entry once", error);
        snprintf(seen[n++], HB_TEXT, "%s", item);
        const size_t at = strlen(joined);
        snprintf(joined + at, sizeof joined - at, "%s%s", at ? "," : "", item);
    }
    strcpy(text, joined);
    return HB_OK;
}

bool hb_config_is_plain(const char *text) {
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
    hb_config_entry *entry = &config->entry[k];
    char value[HB_TEXT];
    if (snprintf(value, sizeof value, "%s", text) >= HB_TEXT)
        return hb_fail(error, HB_BAD_INPUT, "%s: %s.%s: longer than %d letters", source, entry->section,
                       entry->key.name, HB_TEXT - 1);
    hb_status status = HB_OK;
    switch (entry->key.type) {
    case HB_KEY_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            status = refuse(entry, text, source, "true or false", error);
        break;
    case HB_KEY_INT:
    case HB_KEY_REAL:
        status = check_number(entry, text, source, error);
        break;
    case HB_KEY_WORD:
        status = check_word(entry, text, source, error);
        break;
    case HB_KEY_WORDS:
    case HB_KEY_INTS:
        status = check_list(entry, value, source, error);
        break;
    case HB_KEY_TEXT:
    case HB_KEY_FILE:
    case HB_KEY_LIBRARY:
        if (strcmp(text, "null") == 0 || *text == '~' || *text == '$')
            status = refuse(entry, text, source,
                            "a path as it is: nothing stands for none, and ~ and $NAME are the shell's", error);
        else if (!hb_config_is_plain(text))
            status =
                refuse(entry, "...", source, "UTF-8 text without quotes, backslashes or control characters", error);
        break;
    }
    if (status != HB_OK) return status;
    if (entry->key.type == HB_KEY_INT) snprintf(value, sizeof value, "%.0f", strtod(text, NULL));
    if (entry->key.type == HB_KEY_REAL) shortest(strtod(text, NULL) + 0.0, value); // -0 is 0
    strcpy(entry->value, value);
    snprintf(entry->source, sizeof entry->source, "%s", source);
    return HB_OK;
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

static int32_t word_index(const hb_key *key, const char *text) {
    int32_t k = 0;
    while (strcmp(hb_key_word(key, k), text) != 0) k++; // a stored value is one of the words
    return k;
}

static void read_field(const hb_config_entry *entry) {
    const char *text = entry->value;
    void *at = entry->field;
    hb_words words;
    switch (entry->key.type) {
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
        *(int32_t *)at = word_index(&entry->key, text);
        break;
    case HB_KEY_TEXT:
    case HB_KEY_FILE:
    case HB_KEY_LIBRARY:
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

void hb_config_fill(hb_config *config) {
    for (int32_t k = 0; k < config->n_entries; k++)
        if (config->entry[k].field) read_field(&config->entry[k]);
    config->settings.search.own = config->search_own[config->settings.search.kind];
}
