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

hb_status hb_shape_fitness(hb_shaping shaping, const double *fitness, int32_t n, float *z, hb_error *error) {
    if (shaping == HB_UNSHAPED) {
        for (int32_t s = 0; s < n; s++) z[s] = (float)fitness[s];
        return HB_OK;
    }
    entry *order = malloc((size_t)n * sizeof *order);
    if (!order) return hb_fail(error, HB_FAILED, "out of memory ranking %d individuals", n);
    for (int32_t s = 0; s < n; s++) order[s] = (entry){fitness[s], s};
    qsort(order, (size_t)n, sizeof *order, by_fitness);
    const double count = n;
    const double sd = shaping == HB_RANKS ? sqrt((count * count - 1) / 12) : sqrt(count * (count + 1) / 12) + 1e-8;
    for (int32_t k = 0, end; k < n; k = end) {
        for (end = k + 1; end < n && order[end].fitness == order[k].fitness;) end++;
        const double rank = (k + (end - 1)) / 2.0; // of all that are equal
        for (int32_t i = k; i < end; i++) z[order[i].individual] = (float)((rank - (count - 1) / 2) / sd);
    }
    free(order);
    return HB_OK;
}
