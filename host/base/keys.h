// Keys: how a module declares the settings that its users may choose. A module lists its keys beside the struct that they
// fill; the configuration (host/config) reads all lists, so a key is one field and one line.
//
//     typedef struct { int64_t population; hb_optimiser optimiser; } hb_search_settings;
//     #define FIELDS hb_search_settings
//     const hb_key hb_search_keys[] = {
//         HB_KEY(FIELDS, population, INT, "500", 2, 10e6, "individuals"),
//         HB_KEY_OF(FIELDS, optimiser, optimisers, "sgd", "what takes the gradient"),
//         {.name = NULL}};
//
// The macros fail to compile where a field's type is not the one that its key writes.
#ifndef HB_KEYS_H
#define HB_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HB_TEXT     256 // bytes of the longest value, with its terminating 0
#define HB_MAX_LIST 16  // entries of a list

typedef struct {
    int32_t n;
    char item[HB_MAX_LIST][HB_TEXT];
} hb_words;

typedef struct {
    int32_t n;
    int64_t item[HB_MAX_LIST];
} hb_ints;

typedef char hb_text[HB_TEXT];

// What a value may be, and the type of the field that it is written to.
typedef enum {
    HB_KEY_BOOL,    // true, false                                  bool
    HB_KEY_INT,     // a whole number within bounds                 int64_t
    HB_KEY_REAL,    // a finite number within bounds                double
    HB_KEY_WORD,    // one of the words; the field gets its index   int32_t or an enumeration
    HB_KEY_TEXT,    // any text                                     hb_text
    HB_KEY_FILE,    // a file, or "" for none                       hb_text
    HB_KEY_LIBRARY, // a name, or a shared object's path            hb_text
    HB_KEY_WORDS,   // a list of words, each at most once           hb_words
    HB_KEY_INTS     // a list of whole numbers within bounds        hb_ints
} hb_key_type;

typedef struct hb_key {
    const char *name;
    hb_key_type type;
    bool same_bits;             // the key decides where, how long or how fast a run computes, but none of its numbers
    const char *fallback;       // the default, as text
    const char *before;         // what runs had that do not list the key, where that is not the default. Nullable
    double least, most;         // INT, REAL, INTS: inclusive
    const char *const *words;   // WORD, WORDS: the words, NULL-terminated; or
    const char *(*word)(int k); // word k, or NULL past the last
    size_t offset;              // of the field in the module's settings
    const char *help;           // one line, with units
} hb_key;

// The offset of a field, if it has that type.
#define HB_KEY_TYPED(S, field, T)                                                                                    \
    (offsetof(S, field) + 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)NULL)->field), T) ? 1 : -1]))
#define HB_KEY_FIELD_BOOL(S, field)    HB_KEY_TYPED(S, field, bool)
#define HB_KEY_FIELD_INT(S, field)     HB_KEY_TYPED(S, field, int64_t)
#define HB_KEY_FIELD_REAL(S, field)    HB_KEY_TYPED(S, field, double)
#define HB_KEY_FIELD_TEXT(S, field)    HB_KEY_TYPED(S, field, hb_text)
#define HB_KEY_FIELD_FILE(S, field)    HB_KEY_TYPED(S, field, hb_text)
#define HB_KEY_FIELD_LIBRARY(S, field) HB_KEY_TYPED(S, field, hb_text)
#define HB_KEY_FIELD_WORDS(S, field)   HB_KEY_TYPED(S, field, hb_words)
#define HB_KEY_FIELD_INTS(S, field)    HB_KEY_TYPED(S, field, hb_ints)
// An enumeration's type is not known here; its size is.
#define HB_KEY_FIELD_WORD(S, field)                                                                                  \
    (offsetof(S, field) + 0 * sizeof(char[sizeof(((S *)NULL)->field) == sizeof(int32_t) ? 1 : -1]))

// A key of any type but WORD. Further members, such as .same_bits = true, may follow the help.
#define HB_KEY(S, field, TYPE, fallback_, least_, most_, ...)                                                        \
    {                                                                                                                \
        .name = #field, .type = HB_KEY_##TYPE, .fallback = fallback_, .least = least_, .most = most_,                \
        .offset = HB_KEY_FIELD_##TYPE(S, field), .help = __VA_ARGS__                                                 \
    }
// A key whose value is one of an array of words, in the order of the field's enumeration.
#define HB_KEY_OF(S, field, words_, fallback_, ...)                                                                  \
    {                                                                                                                \
        .name = #field, .type = HB_KEY_WORD, .fallback = fallback_, .words = words_,                                 \
        .offset = HB_KEY_FIELD_WORD(S, field), .help = __VA_ARGS__                                                   \
    }
// A key whose words are the names of a table's rows, which word_(k) gives.
#define HB_KEY_NAMED(S, field, word_, fallback_, ...)                                                                \
    {                                                                                                                \
        .name = #field, .type = HB_KEY_WORD, .fallback = fallback_, .word = word_,                                   \
        .offset = HB_KEY_FIELD_WORD(S, field), .help = __VA_ARGS__                                                   \
    }

// Why a combination of settings cannot be used: the key to change, as "section.name", and the reason.
typedef struct {
    const char *key;
    char reason[512];
} hb_key_fault;

#endif
