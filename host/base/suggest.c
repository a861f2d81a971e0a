#include "host/base/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// Levenshtein's distance of two short words, letter case ignored.
static size_t edits(const char *a, const char *b) {
    size_t row[HB_TEXT];
    const size_t n = strlen(b);
    if (n >= HB_TEXT) return HB_TEXT;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const size_t same = corner + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
            const size_t other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            corner = row[j + 1];
            row[j + 1] = same < other ? same : other;
        }
    }
    return row[n];
}

void hb_suggest(char out[HB_SUGGESTION], const char *word, const char *(*next)(const void *context, int k),
                const void *context) {
    size_t least = strlen(word) / 2 + 1; // further away it is another word
    out[0] = '\0';
    for (int k = 0; next(context, k); k++) {
        const size_t d = edits(word, next(context, k));
        if (d >= least) continue;
        least = d;
        snprintf(out, HB_SUGGESTION, "; did you mean '%s'?", next(context, k));
    }
}
