#include "host/search/rows.h"

#include <stdlib.h>
#include <string.h>

hb_rows hb_rows_of(const hb_search *search, int64_t n) {
    const int64_t blocks = (n + HB_NOISE_BLOCK - 1) / HB_NOISE_BLOCK, size = hb_ranks_size(search->ranks),
                  rank = hb_ranks_number(search->ranks);
    const int64_t begin = blocks * rank / size * HB_NOISE_BLOCK, end = blocks * (rank + 1) / size * HB_NOISE_BLOCK;
    return (hb_rows){begin, end < n ? end : n};
}

hb_status hb_rows_add(hb_search *search, const char *name, int64_t n, int64_t length, hb_error *error) {
    const hb_rows own = hb_rows_of(search, n);
    const hb_status status = hb_search_add_array(search, name, (size_t)((own.end - own.begin) * length), error);
    if (status != HB_OK) return status;
    hb_search_array *array = &search->array[search->n_arrays - 1];
    array->whole = (size_t)(n * length);
    array->first = (size_t)(own.begin * length);
    array->is_spread = true;
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Exchange: zeros elsewhere, combined by bitwise OR

static hb_status out_of_memory(hb_error *error) {
    return hb_fail(error, HB_FAILED, "out of memory exchanging rows");
}

hb_status hb_rows_share_columns(const hb_search *search, hb_memory integers, int64_t count, int64_t n,
                                hb_error *error) {
    enum { AT_ONCE = 1 << 20 }; // numbers
    if (!search->ranks || count == 0) return HB_OK;
    const hb_rows own = hb_rows_of(search, n);
    hb_device *device = search->machine->device;
    const int64_t most = AT_ONCE / n > 0 ? AT_ONCE / n : 1, some = most < count ? most : count;
    uint64_t *word = malloc(((size_t)(some * n) / 2 + 1) * sizeof *word);
    if (!word) return out_of_memory(error);
    hb_status status = HB_OK;
    for (int64_t s = 0; s < count && status == HB_OK; s += some) {
        const int64_t rows = count - s < some ? count - s : some;
        const size_t numbers = (size_t)(rows * n);
        uint32_t *value = (uint32_t *)(void *)word;
        value[numbers / 2 * 2] = value[numbers / 2 * 2 + 1] = 0;
        status = hb_device_download(device, value, hb_memory_at(integers, (size_t)(s * n)), numbers, error);
        for (int64_t r = 0; r < rows; r++) {
            memset(value + r * n, 0, (size_t)own.begin * sizeof *value);
            memset(value + r * n + own.end, 0, (size_t)(n - own.end) * sizeof *value);
        }
        if (status == HB_OK) status = hb_ranks_combine(search->ranks, word, numbers / 2 + 1, error);
        if (status == HB_OK)
            status = hb_device_upload(device, hb_memory_at(integers, (size_t)(s * n)), value, numbers, error);
    }
    if (search->ranks->lost)
        return status; // NOLINT(clang-analyzer-unix.Malloc): the exchange may still write to `word`
    free(word);
    return status;
}

// n values of `size` bytes each.
static hb_status share_values(const hb_search *search, void *value, int64_t n, size_t size, hb_error *error) {
    if (!search->ranks) return HB_OK;
    const hb_rows own = hb_rows_of(search, n);
    const size_t words = (size_t)n * size / sizeof(uint64_t) + 1;
    uint64_t *word = calloc(words, sizeof *word);
    if (!word) return out_of_memory(error);
    const size_t at = (size_t)own.begin * size;
    memcpy((char *)word + at, (char *)value + at, (size_t)(own.end - own.begin) * size);
    const hb_status status = hb_ranks_combine(search->ranks, word, words, error);
    if (status != HB_OK) return status; // the exchange may still write to `word`
    memcpy(value, word, (size_t)n * size);
    free(word);
    return HB_OK;
}

hb_status hb_rows_share_floats(const hb_search *search, float *value, int64_t n, hb_error *error) {
    return share_values(search, value, n, sizeof *value, error);
}

hb_status hb_rows_share_doubles(const hb_search *search, double *value, int64_t n, hb_error *error) {
    return share_values(search, value, n, sizeof *value, error);
}

typedef struct {
    size_t begin, end;
} span;

// What of [begin, begin + count) of the whole array is here; end <= begin: nothing.
static span overlap(const hb_search_array *array, size_t begin, size_t count) {
    const size_t end = begin + count, last = array->first + array->n;
    return (span){begin > array->first ? begin : array->first, end < last ? end : last};
}

hb_status hb_rows_gather(const hb_search *search, const hb_search_array *array, size_t begin, size_t count,
                         void *data, hb_error *error) {
    hb_device *device = search->machine->device;
    const span own = overlap(array, begin, count);
    uint64_t *word = calloc(count / 2 + 1, sizeof *word);
    if (!word) return out_of_memory(error);
    float *value = (float *)(void *)word;
    hb_status status = HB_OK;
    if (own.begin < own.end)
        status = hb_device_download(device, value + (own.begin - begin),
                                    hb_memory_at(array->data, own.begin - array->first), own.end - own.begin, error);
    if (status == HB_OK && search->ranks) {
        status = hb_ranks_combine(search->ranks, word, count / 2 + 1, error);
        if (status != HB_OK) return status; // the exchange may still write to `word`; the process ends soon
    }
    memcpy(data, word, count * sizeof *value);
    free(word);
    return status;
}

hb_status hb_rows_scatter(const hb_search *search, const hb_search_array *array, size_t begin, size_t count,
                          const void *data, hb_error *error) {
    const span own = overlap(array, begin, count);
    if (own.begin >= own.end) return HB_OK;
    return hb_device_upload(search->machine->device, hb_memory_at(array->data, own.begin - array->first),
                            (const float *)data + (own.begin - begin), own.end - own.begin, error);
}

bool hb_rows_share_sums(void *context, int64_t *sums, size_t n, hb_mixture_counts *counts, uint32_t *largest) {
    hb_ranks *ranks = ((const hb_search *)context)->ranks;
    const size_t size = (size_t)ranks->seat.size;
    // The sums, the counts, and the largest of each rank, which fits as a sum: the others add 0.
    int64_t *word = calloc(n + 2 + size, sizeof *word);
    if (!word) return false;
    memcpy(word, sums, n * sizeof *word);
    word[n] = counts->live;
    word[n + 1] = counts->dense;
    word[n + 2 + (size_t)ranks->seat.rank] = *largest;
    if (hb_ranks_add(ranks, word, n + 2 + size, NULL) != HB_OK)
        return false; // the exchange may still write to `word`
    memcpy(sums, word, n * sizeof *word);
    *counts = (hb_mixture_counts){word[n], word[n + 1]};
    for (size_t r = 0; r < size; r++) *largest = word[n + 2 + r] > *largest ? (uint32_t)word[n + 2 + r] : *largest;
    free(word);
    return true;
}
