// Arrays of a search whose rows are spread over ranks, because no rank needs all of them: each has a range of whole blocks of 64 rows.
// What all ranks need to know of each other's rows is exchanged here.
#ifndef HB_SEARCH_ROWS_H
#define HB_SEARCH_ROWS_H

#include "host/search/search.h"

typedef struct {
    int64_t begin, end;
} hb_rows;

// This rank's rows of n; all of them without ranks.
hb_rows hb_rows_of(const hb_search *search, int64_t n);

// For `create` of a method: adds an array of n rows of `length` numbers, of which this rank has its own.
hb_status hb_rows_add(hb_search *search, const char *name, int64_t n, int64_t length, hb_error *error);

// Collective, nothing without ranks: columns of this rank's rows of `integers` (count, n), in the device's memory, become those of all
// ranks.
hb_status hb_rows_share_columns(const hb_search *search, hb_memory integers, int64_t count, int64_t n,
                                hb_error *error);

// The same for n numbers in host memory.
hb_status hb_rows_share_floats(const hb_search *search, float *value, int64_t n, hb_error *error);
hb_status hb_rows_share_doubles(const hb_search *search, double *value, int64_t n, hb_error *error);

// Collective: numbers [begin, begin + count) of a whole spread array, of any rank's part, into data (count), host memory. Fails with
// HB_INTERRUPTED where a rank does not answer after a stop.
hb_status hb_rows_gather(const hb_search *search, const hb_search_array *array, size_t begin, size_t count,
                         void *data, hb_error *error);

// Numbers [begin, begin + count) of the whole array, data (count) in host memory, into what of them is here.
hb_status hb_rows_scatter(const hb_search *search, const hb_search_array *array, size_t begin, size_t count,
                          const void *data, hb_error *error);

// A mixture's sums over rows (kernels/mixture.h); the context is the search.
hb_mixture_share_function hb_rows_share_sums;

#endif
