#include "host/search/shaping.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double fitness;
    int32_t individual;
} entry;

// Fitness is finite: a life with any other fitness ends as diverged (host/train/lives.c).
static int by_fitness(const void *a, const void *b) {
    const entry *const x = a, *const y = b;
    return x->fitness < y->fitness ? -1 : x->fitness > y->fitness;
}

// Individuals by ascending fitness; the caller frees it. NULL when out of memory.
static entry *ordered(const double *fitness, int32_t n) {
    entry *order = malloc((size_t)n * sizeof *order);
    for (int32_t s = 0; order && s < n; s++) order[s] = (entry){fitness[s], s};
    if (order) qsort(order, (size_t)n, sizeof *order, by_fitness);
    return order;
}

// The end of those that are as fit as the one in place k.
static int32_t end_of_equals(const entry *order, int32_t n, int32_t k) {
    int32_t end = k + 1;
    while (end < n && order[end].fitness == order[k].fitness) end++;
    return end;
}

hb_status hb_shape_fitness(hb_shaping shaping, const double *fitness, int32_t n, float *z, hb_error *error) {
    if (shaping == HB_UNSHAPED) {
        for (int32_t s = 0; s < n; s++) z[s] = (float)fitness[s];
        return HB_OK;
    }
    entry *order = ordered(fitness, n);
    if (!order) return hb_fail(error, HB_FAILED, "out of memory ranking %d individuals", n);
    const double count = n;
    const double unit = shaping == HB_RANKS            ? sqrt((count * count - 1) / 12)
                        : shaping == HB_RANKS_CENTERED ? count - 1
                                                       : sqrt(count * (count + 1) / 12) + 1e-8;
    for (int32_t k = 0, end; k < n; k = end) {
        end = end_of_equals(order, n, k);
        const double rank = (k + (end - 1)) / 2.0; // of all that are equal
        for (int32_t i = k; i < end; i++) z[order[i].individual] = (float)((rank - (count - 1) / 2) / unit);
    }
    free(order);
    return HB_OK;
}

hb_status hb_weigh_by_rank(const double *fitness, int32_t n, const double *by_rank, float *w, hb_error *error) {
    entry *order = ordered(fitness, n);
    if (!order) return hb_fail(error, HB_FAILED, "out of memory ranking %d individuals", n);
    for (int32_t k = 0, end; k < n; k = end) {
        end = end_of_equals(order, n, k);
        double sum = 0;
        for (int32_t i = k; i < end; i++) sum += by_rank[n - 1 - i];
        for (int32_t i = k; i < end; i++) w[order[i].individual] = (float)(sum / (end - k));
    }
    free(order);
    return HB_OK;
}
