// Ranks: processes, on one machine or many, that train one run together. Noise is numbered, so who lives a life matters to no bit: ranks
// take lives from a shared counter, exchange the results as bit patterns, and make the same update.
#ifndef HB_RANKS_H
#define HB_RANKS_H

#include "host/hebbes.h"
#include "host/ranks/link.h"

enum { HB_HOST = 64 };

struct hb_ranks {
    const hb_link *link;
    hb_seat seat;
    int32_t sharers;       // ranks, this one included, that may run on the cores that it may run on
    int32_t place, places; // its number among the ranks of its machine that see the same cards, and how many they are
    const atomic_bool *stop; // nullable: of the training
    double patience;         // s that a rank waits for another one after a stop
    bool lost;               // another rank did not answer
    char (*host)[HB_HOST];   // (size): names of their machines
};

// Collective: words become the bitwise OR of every rank's. HB_INTERRUPTED where a rank does not answer after a stop; then words must stay
// where they are, and nothing can be exchanged any more.
hb_status hb_ranks_combine(hb_ranks *ranks, uint64_t *words, size_t n, hb_error *error);

// Collective: words become the sums of every rank's. Fails as combine does.
hb_status hb_ranks_add(hb_ranks *ranks, int64_t *words, size_t n, hb_error *error);

// Collective: the counter of lives starts anew. Fails as combine does.
hb_status hb_ranks_restart(hb_ranks *ranks, hb_error *error);

// Collective: what rank 0 says comes next becomes every rank's *order. Fails as combine does.
hb_status hb_ranks_order(hb_ranks *ranks, uint64_t *order, hb_error *error);

// Collective: every rank gives a text of at most `length` - 1 letters; all receive those of all, (size, length), which the caller frees.
// NULL when out of memory.
char *hb_ranks_gather(const hb_ranks *ranks, const char *text, size_t length);

#endif
