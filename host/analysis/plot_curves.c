// Training curves: the population mean by generation. Runs that differ only in their seed are one curve with a band.
#include "host/analysis/gnuplot.h"
#include "host/analysis/plot.h"
#include "host/base/csv.h"
#include "host/config/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *folder;
    char group[HB_PATH]; // the folder without its seed
    const char *name;    // of the group: its last part
    char *identity;      // of its configuration, whatever the seed; "" where it has none that can be read
    int n;
    double *mean; // (n), by generation from 1 on; NAN where there is no row
} curve;

static void name_curve(const char *folder, curve *c) {
    c->folder = folder;
    snprintf(c->group, sizeof c->group, "%s", folder);
    for (size_t n = strlen(c->group); n > 1 && c->group[n - 1] == '/'; n--) c->group[n - 1] = '\0';
    c->name = strrchr(c->group, '/') ? strrchr(c->group, '/') + 1 : c->group;
    char *seed = NULL; // the last "-seed" that only digits follow
    for (char *at = strstr(c->group, "-seed"); at; at = strstr(at + 1, "-seed")) seed = at;
    if (seed && seed[5] && strspn(seed + 5, "0123456789") == strlen(seed + 5)) *seed = '\0';
}

static char *identity_of(const char *folder) {
    static const char *const any_seed[] = {"run.seed=0"};
    char path[HB_PATH];
    hb_config *config;
    hb_path(path, folder, "config.yaml");
    const hb_status status = hb_config_open_run(path, any_seed, 1, &config, NULL);
    if (status != HB_OK) return status == HB_BAD_INPUT ? strdup("") : NULL; // out of memory
    char *identity = strdup(config->identity);
    hb_config_close(config);
    return identity;
}

// The mean of row k at its generation.
static hb_status take_row(const hb_csv *csv, int k, const char *path, curve *c, hb_error *error) {
    enum { MOST = 1000000 };
    double generation, mean;
    if (!hb_csv_number(csv, k, hb_csv_column(csv, "generation"), &generation) ||
        !hb_csv_number(csv, k, hb_csv_column(csv, "mean"), &mean) || !(generation >= 1 && generation < MOST))
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: expected a generation and a mean", path, csv->line[k + 1]);
    const int g = (int)generation;
    if (g > c->n) {
        double *grown = realloc(c->mean, (size_t)g * sizeof *grown);
        if (!grown) return hb_fail(error, HB_FAILED, "out of memory reading %s", path);
        c->mean = grown;
        while (c->n < g) c->mean[c->n++] = NAN;
    }
    c->mean[g - 1] = mean;
    return HB_OK;
}

static hb_status read_curve(const char *folder, curve *c, hb_error *error) {
    char path[HB_PATH];
    hb_csv csv;
    hb_path(path, folder, "metrics.csv");
    hb_status status = hb_csv_read(path, (size_t)1 << 30, &csv, error);
    if (status != HB_OK) return status;
    name_curve(folder, c);
    c->identity = identity_of(folder);
    if (!c->identity) status = hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    for (int k = 0; k < csv.n_rows && status == HB_OK; k++) status = take_row(&csv, k, path, c, error);
    hb_csv_free(&csv);
    if (status == HB_OK && c->n == 0)
        status = hb_fail(error, HB_BAD_INPUT, "%s: expected generations, found none", path);
    return status;
}

static bool are_seeds_of_one(const curve *a, const curve *b) {
    return strcmp(a->group, b->group) == 0 && strcmp(a->identity, b->identity) == 0;
}

// True if run k is the first of its group.
static bool leads(const curve *curves, int k) {
    for (int j = 0; j < k; j++)
        if (are_seeds_of_one(&curves[j], &curves[k])) return false;
    return true;
}

// Writes a data block for the group that run k leads: generation, mean, minimum and maximum over its seeds, as far as all of them go.
static void write_group(FILE *to, const curve *curves, int n, int k) {
    fprintf(to, "$g%d << EOD\n", k);
    for (int g = 0; g < curves[k].n; g++) {
        double sum = 0, least = INFINITY, most = -INFINITY;
        int runs = 0;
        for (int j = k; j < n; j++) {
            if (!are_seeds_of_one(&curves[j], &curves[k])) continue;
            const double mean = g < curves[j].n ? curves[j].mean[g] : NAN;
            sum += mean;
            least = fmin(least, mean);
            most = fmax(most, mean);
            runs++;
        }
        if (isfinite(sum)) fprintf(to, "%d %.9g %.9g %.9g\n", g + 1, sum / runs, least, most);
    }
    fprintf(to, "EOD\n");
}

// The title of run k's group: its name; its whole path if another group has the same name; its first run's if that is the same, too.
static const char *title(const curve *curves, int n, int k) {
    const char *text = curves[k].name;
    for (int j = 0; j < n; j++) {
        if (are_seeds_of_one(&curves[j], &curves[k])) continue;
        if (strcmp(curves[j].group, curves[k].group) == 0) return curves[k].folder;
        if (strcmp(curves[j].name, curves[k].name) == 0) text = curves[k].group;
    }
    return text;
}

static void write_curves(FILE *to, const curve *curves, int n) {
    char quote[2 * HB_PATH + 3];
    for (int k = 0; k < n; k++)
        if (leads(curves, k)) write_group(to, curves, n, k);
    fprintf(to, "set xlabel 'generation'\nset ylabel 'population mean'\nset key top left reverse Left\nplot ");
    int shown = 0;
    for (int k = 0; k < n; k++) {
        if (!leads(curves, k)) continue;
        const char *colour = hb_gnuplot_colour(shown);
        fprintf(to,
                "%s$g%d using 1:3:4 with filledcurves fs transparent solid 0.2 noborder lc rgb '%s' notitle, "
                "$g%d using 1:2 with lines lw 2 lc rgb '%s' title %s",
                shown ? ", " : "", k, colour, k, colour, hb_gnuplot_quote(quote, title(curves, n, k)));
        shown++;
    }
}

hb_status hb_plot_curves(const hb_plot_def *def, hb_error *error) {
    curve *curves = calloc((size_t)def->n_sources, sizeof *curves);
    hb_status status = curves ? HB_OK : hb_fail(error, HB_FAILED, "out of memory plotting");
    for (int k = 0; k < def->n_sources && status == HB_OK; k++)
        status = read_curve(def->sources[k], &curves[k], error);
    hb_gnuplot g;
    if (status == HB_OK) status = hb_gnuplot_begin(&g, def->out, 540, error);
    if (status == HB_OK) {
        write_curves(g.in, curves, def->n_sources);
        status = hb_gnuplot_end(&g, error);
    }
    for (int k = 0; curves && k < def->n_sources; k++) {
        free(curves[k].mean);
        free(curves[k].identity);
    }
    free(curves);
    return status;
}
