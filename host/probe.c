// Analyses of one life (learning.md section 7): each writes its data and a picture of it. A new one is a function and a line
// of the table.
#include "host/life.h"
#include "host/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const hb_probe_def *def;
    hb_one_life *life;
    int64_t steps;
} probe;

static size_t layer_size(const hb_layer *layer) {
    return (size_t)layer->inputs * (size_t)layer->outputs;
}

static hb_status read_weights(const probe *p, float *w, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    hb_status status = HB_OK;
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++)
        status = p->life->trainer.machine.table->group_weights(p->life->group, 0, l, w + net->layer[l].weight_offset,
                                                               error);
    return status;
}

static void file_name(const probe *p, const char *name, char path[HB_PATH]) {
    hb_path(path, p->def->out, name);
}

// ---------------------------------------------------------------------------------------------------
// Images: the weights of each layer as grey, dark for negative and white for positive, at moments of the life (NR Figs. 1, 6)

enum { MOMENTS = 8, GAP = 4 };

// One layer at all moments side by side: inputs across and outputs down (NR's layer 1 is 28 wide and 128 high), or, where
// that would lie, outputs across. weights: (n, N).
static hb_status write_layer(const probe *p, int32_t l, const float *weights, int n, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    const hb_layer *layer = &net->layer[l];
    const bool turned = layer->inputs > layer->outputs;
    const int32_t across = turned ? layer->outputs : layer->inputs, down = turned ? layer->inputs : layer->outputs;
    const int32_t width = n * (across + GAP) - GAP;
    uint8_t *rgb = malloc((size_t)width * (size_t)down * 3);
    if (!rgb) return hb_fail(error, HB_FAILED, "out of memory for an image of weights");
    memset(rgb, 255, (size_t)width * (size_t)down * 3);
    for (int k = 0; k < n; k++) {
        const float *w = weights + (size_t)k * (size_t)net->n_weights + layer->weight_offset;
        float largest = 0; // of this moment: weights may grow a thousandfold
        for (size_t e = 0; e < layer_size(layer); e++) largest = fmaxf(largest, fabsf(w[e]));
        for (int32_t y = 0; y < down; y++)
            for (int32_t x = 0; x < across; x++) {
                const int32_t i = turned ? y : x, j = turned ? x : y;
                const float one = w[(size_t)i * (size_t)layer->outputs + (size_t)j];
                const uint8_t grey = (uint8_t)(127.5f + (largest > 0 ? 127.5f * one / largest : 0));
                memset(rgb + ((size_t)y * (size_t)width + (size_t)(k * (across + GAP) + x)) * 3, grey, 3);
            }
    }
    char path[HB_PATH], name[64];
    snprintf(name, sizeof name, "layer%d.png", l + 1);
    file_name(p, name, path);
    const hb_status status = hb_png_write(path, rgb, width, down, error);
    free(rgb);
    return status;
}

static hb_status probe_images(probe *p, hb_error *error) {
    const hb_net *net = &p->life->trainer.net;
    const size_t n = (size_t)net->n_weights;
    // Most of the change comes early: moments at 0, 1, 3, 10, 30, 100, 300, 900.
    static const int64_t at[MOMENTS] = {0, 1, 3, 10, 30, 100, 300, 900};
    float *weights = calloc(MOMENTS * n, sizeof *weights);
    if (!weights) return hb_fail(error, HB_FAILED, "out of memory for images of weights");
    int kept = 0;
    hb_status status = hb_life_begin(p->life, error);
    while (status == HB_OK && p->steps <= p->def->steps && kept < MOMENTS) {
        if (p->steps == at[kept]) status = read_weights(p, weights + (size_t)kept++ * n, error);
        if (p->life->outcome != HB_ENV_RUNNING || status != HB_OK) break;
        status = hb_life_step(p->life, error);
        p->steps++;
    }
    for (int32_t l = 0; l < net->n_layers && status == HB_OK; l++) status = write_layer(p, l, weights, kept, error);
    free(weights);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// PCA: the trajectory of all weights in its first three principal components (NR Fig. 5)

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

static hb_status write_components(const probe *p, const double *g, const double *values, int t, hb_error *error) {
    char path[HB_PATH], *text = NULL;
    size_t bytes = 0;
    double all = 0;
    for (int k = 0; k < t; k++) all += fmax(values[k], 0);
    FILE *memory = open_memstream(&text, &bytes);
    if (!memory) return hb_fail(error, HB_FAILED, "out of memory writing components");
    fprintf(memory, "# explained variance:");
    for (int c = 0; c < COMPONENTS && c < t; c++)
        fprintf(memory, " %.4f", all > 0 ? fmax(values[t - 1 - c], 0) / all : 0);
    fprintf(memory, "\nstep,pc1,pc2,pc3\n");
    for (int k = 0; k < t; k++) {
        fprintf(memory, "%d", k);
        for (int c = 0; c < COMPONENTS; c++) // row t-1-c of g is the eigenvector of the c-th largest value
            fprintf(memory, ",%.9g",
                    c < t ? sqrt(fmax(values[t - 1 - c], 0)) * g[(size_t)(t - 1 - c) * (size_t)t + (size_t)k] : 0);
        fputc('\n', memory);
    }
    fclose(memory);
    file_name(p, "pca.csv", path);
    hb_status status = hb_file_write(path, text, bytes, error);
    hb_gnuplot plot;
    file_name(p, "pca.png", path);
    if (status == HB_OK) status = hb_gnuplot_begin(&plot, path, 600, error);
    if (status == HB_OK) {
        fprintf(plot.in,
                "$data << EOD\n%sEOD\nset datafile separator ','\nset xlabel 'PC 1'\nset ylabel 'PC 2'\nset zlabel "
                "'PC 3'\n"
                "set palette defined (0 '#440154', 0.5 '#21918c', 1 '#fde725')\nset cblabel 'step'\nset ticslevel 0\n"
                "splot $data every ::2 using 2:3:4:1 with linespoints pt 7 ps 0.4 lc palette notitle",
                text);
        status = hb_gnuplot_end(&plot, error);
    }
    free(text);
    return status;
}

static hb_status decompose(const probe *p, const float *x, int t, hb_error *error) {
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
    if (status == HB_OK) status = write_components(p, g, values, t, error);
    free(mean);
    free(g);
    free(values);
    free(work);
    return status;
}

static hb_status probe_pca(probe *p, hb_error *error) {
    const size_t n = (size_t)p->life->trainer.net.n_weights, most = (size_t)p->def->steps + 1;
    float *x = calloc(most * n, sizeof *x);
    if (!x) return hb_fail(error, HB_FAILED, "out of memory for %zu steps of %zu weights; lower --steps", most, n);
    hb_status status = hb_life_begin(p->life, error);
    if (status == HB_OK) status = read_weights(p, x, error);
    while (status == HB_OK && p->life->outcome == HB_ENV_RUNNING && p->steps < p->def->steps) {
        status = hb_life_step(p->life, error);
        p->steps++;
        if (status == HB_OK) status = read_weights(p, x + (size_t)p->steps * n, error);
    }
    if (status == HB_OK) status = decompose(p, x, (int)p->steps + 1, error);
    free(x);
    return status;
}

// ---------------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    hb_status (*run)(probe *p, hb_error *error);
} probes[] = {{"images", probe_images}, {"pca", probe_pca}};

hb_status hb_probe(const char *source, const char *const *sets, int n_sets, const hb_probe_def *def, int64_t *steps,
                   hb_error *error) {
    size_t which = 0;
    while (which < sizeof probes / sizeof *probes && strcmp(probes[which].name, def->what) != 0) which++;
    if (which == sizeof probes / sizeof *probes)
        return hb_fail(error, HB_BAD_INPUT, "--what: expected images or pca, found '%s'", def->what);
    hb_one_life life;
    hb_status status =
        hb_life_open(source, sets, n_sets, &(hb_life_def){def->individual, def->variation}, &life, error);
    probe p = {.def = def, .life = &life};
    if (status == HB_OK && mkdir(def->out, 0777) != 0)
        status = hb_fail(error, HB_BAD_INPUT, "--out: cannot make the folder '%s': %m", def->out);
    if (status == HB_OK) status = probes[which].run(&p, error);
    *steps = p.steps;
    hb_life_close(&life);
    return status;
}
