// Histograms of the mean individual's coefficients, at the start and in a checkpoint.
#include "host/analysis/gnuplot.h"
#include "host/analysis/plot.h"
#include "host/run/run.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 80 };

// The mean individual's genome.
static hb_status mean_genome(hb_trainer *trainer, float *h, hb_error *error) {
    hb_genome genome;
    const hb_status status = hb_search_prepare(&trainer->search, 1, HB_EPISODE_EVAL, error);
    if (status != HB_OK) return status;
    hb_search_mean_genome(&trainer->search, &genome);
    return hb_machine_sample(&trainer->machine, &genome, h, (size_t)trainer->net.genome_size, error);
}

// Writes two data blocks for coefficient c: the centre of each bin and the share of synapses in it, at the start and later.
static void write_histogram(FILE *to, const hb_net *net, const float *const h[2], int c) {
    const int64_t n = net->n_penalised, step = net->rule ? net->rule->n_coefficients : 1;
    float least = INFINITY, most = -INFINITY;
    for (int k = 0; k < 2; k++)
        for (int64_t d = c; d < n; d += step) {
            least = fminf(least, h[k][d]);
            most = fmaxf(most, h[k][d]);
        }
    const float width = most > least ? (most - least) / BINS : 1;
    for (int k = 0; k < 2; k++) {
        int64_t count[BINS] = {0};
        for (int64_t d = c; d < n; d += step) {
            if (!isfinite(h[k][d])) continue;
            const int bin = (int)((h[k][d] - least) / width);
            count[bin < BINS ? bin : BINS - 1]++;
        }
        fprintf(to, "$h%d_%d << EOD\n", c, k);
        for (int b = 0; b < BINS; b++)
            fprintf(to, "%.6g %.6g\n", (double)(least + ((float)b + 0.5f) * width),
                    100.0 * (double)count[b] * (double)step / (double)n);
        fprintf(to, "EOD\n");
    }
}

// `which` names the checkpoint of h[1].
static void write_histograms(FILE *to, const hb_net *net, const char *which, const float *const h[2]) {
    const int n = net->rule ? net->rule->n_coefficients : 1;
    for (int c = 0; c < n; c++) write_histogram(to, net, h, c);
    fprintf(to, "set multiplot layout %d,%d\nset style fill transparent solid 0.5 noborder\n", n > 3 ? 2 : 1,
            n > 3 ? 3 : n);
    for (int c = 0; c < n; c++)
        fprintf(to,
                "set title '%s'\nset ylabel '%%'\nplot $h%d_0 using 1:2 with boxes lc rgb '#7f7f7f' title '%s', "
                "$h%d_1 using 1:2 with boxes lc rgb '#1f77b4' title '%s'\n",
                net->rule ? net->rule->coefficients[c] : "weights", c, c ? "" : "start", c, c ? "" : which);
    fprintf(to, "unset multiplot");
}

hb_status hb_plot_coefficients(const hb_plot_def *def, hb_error *error) {
    hb_config *config = NULL;
    hb_trainer trainer;
    hb_status status = hb_run_config(def->sources[0], def->sets, def->n_sets, &config, error);
    if (status != HB_OK) return status;
    status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    const size_t n = (size_t)trainer.net.genome_size;
    float *h[2] = {calloc(n, sizeof(float)), calloc(n, sizeof(float))};
    hb_gnuplot g;
    if (!h[0] || !h[1]) status = hb_fail(error, HB_FAILED, "out of memory plotting");
    if (status == HB_OK) status = mean_genome(&trainer, h[0], error);
    if (status == HB_OK) status = hb_run_load_chosen(&trainer, def->sources[0], error);
    if (status == HB_OK) status = mean_genome(&trainer, h[1], error);
    if (status == HB_OK) status = hb_gnuplot_begin(&g, def->out, 540, error);
    if (status == HB_OK) {
        write_histograms(g.in, &trainer.net, hb_config_value(config, "eval.checkpoint"), (const float *const *)h);
        status = hb_gnuplot_end(&g, error);
    }
    free(h[0]);
    free(h[1]);
    hb_trainer_close(&trainer);
    hb_config_close(config);
    return status;
}
