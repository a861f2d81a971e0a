// PCA: the trajectory of all weights in its first three principal components (NR Fig. 5)
#include "host/analysis/gnuplot.h"
#include "host/analysis/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// LAPACK: eigenvalues w, ascending, and eigenvectors, in place, of the symmetric matrix a (n, n).
void dsyev_(const char *job, const char *part, const int *n, double *a, const int *lda, double *w, double *work,
            const int *lwork, int *info);

enum { COMPONENTS = 3 };

// The centred rows' products: g (T, T) of x (T, N).
static void products_of_rows(const float *x, int t, size_t n, const double *mean, double *g) {
    for (int a = 0; a < t; a++)
        for (int b = 0; b <= a; b++) {
            double sum = 0;
            for (size_t e = 0; e < n; e++)
                sum += ((double)x[(size_t)a * n + e] - mean[e]) * ((double)x[(size_t)b * n + e] - mean[e]);
            g[a * t + b] = g[b * t + a] = sum;
        }
}

// explained.csv: which share of the variance each component has.
static hb_status write_explained(const hb_probe_run *p, const double *values, int t, hb_error *error) {
    char path[HB_PATH], text[256];
    double all = 0;
    for (int k = 0; k < t; k++) all += fmax(values[k], 0);
    size_t n = (size_t)snprintf(text, sizeof text, "component,explained_variance\n");
    for (int c = 0; c < COMPONENTS && c < t; c++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%.4f\n", c + 1,
                              all > 0 ? fmax(values[t - 1 - c], 0) / all : 0);
    hb_probe_file(p, "explained.csv", path);
    return hb_file_write(path, text, n, error);
}

static hb_status write_components(const hb_probe_run *p, const double *g, const double *values, int t,
                                  hb_error *error) {
    char path[HB_PATH], *text = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&text, &bytes);
    if (!memory) return hb_fail(error, HB_FAILED, "out of memory writing components");
    fprintf(memory, "step,pc1,pc2,pc3\n");
    for (int k = 0; k < t; k++) {
        fprintf(memory, "%d", k);
        for (int c = 0; c < COMPONENTS; c++) // row t-1-c of g is the eigenvector of the c-th largest value
            fprintf(memory, ",%.9g",
                    c < t ? sqrt(fmax(values[t - 1 - c], 0)) * g[(size_t)(t - 1 - c) * (size_t)t + (size_t)k] : 0);
        fputc('\n', memory);
    }
    fclose(memory);
    hb_probe_file(p, "pca.csv", path);
    hb_status status = hb_file_write(path, text, bytes, error);
    hb_gnuplot plot;
    hb_probe_file(p, "pca.png", path);
    if (status == HB_OK) status = hb_gnuplot_begin(&plot, path, 600, error);
    if (status == HB_OK) {
        fprintf(plot.in,
                "$data << EOD\n%sEOD\nset datafile separator ','\nset xlabel 'PC 1'\nset ylabel 'PC 2'\nset zlabel "
                "'PC 3'\n"
                "set palette defined (0 '#440154', 0.5 '#21918c', 1 '#fde725')\nset cblabel 'step'\nset ticslevel 0\n"
                "splot $data every ::1 using 2:3:4:1 with linespoints pt 7 ps 0.4 lc palette notitle",
                text);
        status = hb_gnuplot_end(&plot, error);
    }
    free(text);
    return status;
}

static hb_status decompose(const hb_probe_run *p, const float *x, int t, hb_error *error) {
    const size_t n = (size_t)p->life->trainer.net.n_weights;
    const int work_size = 34 * t;
    double *mean = calloc(n, sizeof *mean), *g = calloc((size_t)t * (size_t)t, sizeof *g);
    double *values = calloc((size_t)t, sizeof *values), *work = calloc((size_t)work_size, sizeof *work);
    hb_status status =
        mean && g && values && work ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for components");
    if (status == HB_OK) {
        for (int k = 0; k < t; k++)
            for (size_t e = 0; e < n; e++) mean[e] += (double)x[(size_t)k * n + e] / t;
        products_of_rows(x, t, n, mean, g);
        int info = 0;
        dsyev_("V", "U", &t, g, &t, values, work, &work_size, &info);
        if (info != 0) status = hb_fail(error, HB_FAILED, "LAPACK found no components (%d)", info);
    }
    if (status == HB_OK) status = write_explained(p, values, t, error);
    if (status == HB_OK) status = write_components(p, g, values, t, error);
    free(mean);
    free(g);
    free(values);
    free(work);
    return status;
}

hb_status hb_probe_pca(hb_probe_run *p, hb_error *error) {
    const size_t n = (size_t)p->life->trainer.net.n_weights, most = (size_t)p->most + 1;
    int64_t birth = 0;
    float *x = calloc(most, n * sizeof *x);
    if (!x) return hb_fail(error, HB_FAILED, "out of memory for %zu steps of %zu weights; lower --steps", most, n);
    hb_status status = hb_probe_long_life(p, p->most, &birth, error);
    if (status == HB_OK) status = hb_life_begin(p->life, birth, error);
    p->lives++;
    if (status == HB_OK) status = hb_life_weights(p->life, x, error);
    while (status == HB_OK && p->life->outcome == HB_ENV_RUNNING && p->steps < p->most) {
        status = hb_life_step(p->life, error);
        p->steps++;
        if (status == HB_OK) status = hb_life_weights(p->life, x + (size_t)p->steps * n, error);
    }
    if (status == HB_OK) status = decompose(p, x, (int)p->steps + 1, error);
    free(x);
    return status;
}
