// The nearest valid name for a misspelt one.
#ifndef HB_SUGGEST_H
#define HB_SUGGEST_H

#include "host/base/keys.h"

#define HB_SUGGESTION (HB_TEXT + 32)

// Writes "; did you mean 'NAME'?" into out, NAME being the candidate with the fewest edits from `word` (Levenshtein's
// distance, letter case ignored); "" where every candidate needs more than half of the word's letters. next(context, k)
// returns candidate k, or NULL past the last; its text must last until the next call.
void hb_suggest(char out[HB_SUGGESTION], const char *word, const char *(*next)(const void *context, int k),
                const void *context);

#endif
