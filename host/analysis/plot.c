// Pictures of runs and studies through gnuplot: training curves with a band over seeds, a study's table as bars, the rules'
// coefficients before and after.
#include "host/analysis/gnuplot.h"
#include "host/hebbes.h"
#include "host/run/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const colours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                      "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"};
enum { COLOURS = sizeof colours / sizeof *colours };

// ---------------------------------------------------------------------------------------------------
// Training curves

typedef struct {
    char group[HB_PATH]; // the folder without its seed
    const char *name;    // of the group: its last part
    int n;
    double *mean; // (n), by generation from 1 on
} curve;

static hb_status read_curve(const char *folder, curve *c, hb_error *error) {
    char path[HB_PATH];
    void *text = NULL;
    size_t bytes = 0;
    hb_path(path, folder, "metrics.csv");
    const hb_status status = hb_file_read(path, (size_t)1 << 30, &text, &bytes, error);
    if (status != HB_OK) return status;
    snprintf(c->group, sizeof c->group, "%s", folder);
    for (size_t n = strlen(c->group); n > 1 && c->group[n - 1] == '/'; n--) c->group[n - 1] = '\0';
    c->name = strrchr(c->group, '/') ? strrchr(c->group, '/') + 1 : c->group;
    char *seed = NULL; // the last "-seed" with nothing but digits behind it
    for (char *at = strstr(c->group, "-seed"); at; at = strstr(at + 1, "-seed")) seed = at;
    if (seed && seed[5] && strspn(seed + 5, "0123456789") == strlen(seed + 5)) *seed = '\0';
    size_t room = 1;
    for (const char *at = text; *at; at++) room += *at == '\n';
    c->mean = calloc(room, sizeof *c->mean);
    char *rest = NULL;
    strtok_r(text, "\n", &rest); // the header
    for (char *line = strtok_r(NULL, "\n", &rest); c->mean && line; line = strtok_r(NULL, "\n", &rest)) {
        long long generation;
        if (sscanf(line, "%lld,%lf", &generation, &c->mean[c->n]) == 2) c->n++;
    }
    free(text);
    if (!c->mean) return hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    return c->n > 0 ? HB_OK : hb_fail(error, HB_BAD_INPUT, "%s: expected generations, found none", path);
}

// Is run k the first of its group?
static bool leads(const curve *curves, int k) {
    for (int j = 0; j < k; j++)
        if (strcmp(curves[j].group, curves[k].group) == 0) return false;
    return true;
}

// A block of data for the group that run k leads: generation, mean, least and largest over its seeds.
static void write_group(FILE *to, const curve *curves, int n, int k) {
    fprintf(to, "$g%d << EOD\n", k);
    for (int g = 0;; g++) {
        double sum = 0, least = INFINITY, most = -INFINITY;
        int runs = 0;
        for (int j = k; j < n; j++) {
            if (strcmp(curves[j].group, curves[k].group) != 0 || g >= curves[j].n) continue;
            sum += curves[j].mean[g];
            least = fmin(least, curves[j].mean[g]);
            most = fmax(most, curves[j].mean[g]);
            runs++;
        }
        if (runs == 0) break;
        fprintf(to, "%d %.9g %.9g %.9g\n", g + 1, sum / runs, least, most);
    }
    fprintf(to, "EOD\n");
}

static const char *quoted(const char *text, char *room) {
    hb_gnuplot_quote(room, text);
    return room;
}

// What run k's group is called: its name, or all of its path where another group has the same name.
static const char *title(const curve *curves, int n, int k) {
    for (int j = 0; j < n; j++)
        if (strcmp(curves[j].name, curves[k].name) == 0 && strcmp(curves[j].group, curves[k].group) != 0)
            return curves[k].group;
    return curves[k].name;
}

static void write_curves(FILE *to, const curve *curves, int n) {
    static char quote[2 * HB_PATH + 3];
    for (int k = 0; k < n; k++)
        if (leads(curves, k)) write_group(to, curves, n, k);
    fprintf(to, "set xlabel 'generation'\nset ylabel 'population mean'\nset key top left reverse Left\nplot ");
    int shown = 0;
    for (int k = 0; k < n; k++) {
        if (!leads(curves, k)) continue;
        const char *colour = colours[shown % COLOURS];
        fprintf(to,
                "%s$g%d using 1:3:4 with filledcurves fs transparent solid 0.2 noborder lc rgb '%s' notitle, "
                "$g%d using 1:2 with lines lw 2 lc rgb '%s' title %s",
                shown ? ", " : "", k, colour, k, colour, quoted(title(curves, n, k), quote));
        shown++;
    }
}

static hb_status plot_curves(const hb_plot_def *def, hb_error *error) {
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
    for (int k = 0; curves && k < def->n_sources; k++) free(curves[k].mean);
    free(curves);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// A study's table as bars

typedef struct {
    char config[HB_TEXT], variation[64];
    double mean, sd, published;
    bool has_published;
} bar;

// The rows of one protocol; a fold is a configuration of its own.
static int read_bars(char *text, const char *protocol, bar *bars, int most) {
    enum { CONFIG, WITHOUT, VARIATION, HELD_OUT, PROTOCOL, MEAN, SD, PUBLISHED = 12, FIELDS = 14 };
    int n = 0;
    char *rest = NULL;
    strtok_r(text, "\n", &rest);
    for (char *line = strtok_r(NULL, "\n", &rest); line && n < most; line = strtok_r(NULL, "\n", &rest)) {
        bar *b = &bars[n];
        char *next = line, *field[FIELDS] = {NULL};
        for (int k = 0; k < FIELDS && next; k++) field[k] = strsep(&next, ",");
        if (!field[FIELDS - 1] || strcmp(field[PROTOCOL], protocol) != 0) continue;
        snprintf(b->config, sizeof b->config, "%s%s%s", field[CONFIG], *field[WITHOUT] ? " without " : "",
                 field[WITHOUT]);
        snprintf(b->variation, sizeof b->variation, "%s%s", field[VARIATION],
                 !*field[WITHOUT] && atoi(field[HELD_OUT]) ? " *" : "");
        b->mean = strtod(field[MEAN], NULL), b->sd = strtod(field[SD], NULL);
        b->has_published = *field[PUBLISHED] != '\0';
        b->published = strtod(field[PUBLISHED], NULL);
        n++;
    }
    return n;
}

// The index of a name among the first ones of its kind; how many kinds there are in *n.
static int kind_of(const bar *bars, int count, const char *name, bool config, int *n) {
    int index = -1;
    *n = 0;
    for (int k = 0; k < count; k++) {
        const char *own = config ? bars[k].config : bars[k].variation;
        bool known = false;
        for (int j = 0; j < k; j++) known = known || strcmp(config ? bars[j].config : bars[j].variation, own) == 0;
        if (known) continue;
        if (strcmp(own, name) == 0) index = *n;
        ++*n;
    }
    return index;
}

static void write_bars(FILE *to, const bar *bars, int n) {
    char quote[2 * HB_TEXT + 3];
    int configs = 0, variations = 0;
    for (int k = 0; k < n; k++) {
        kind_of(bars, n, bars[k].config, true, &configs);
        kind_of(bars, n, bars[k].variation, false, &variations);
    }
    const double width = 0.8 / configs;
    fprintf(to, "$bars << EOD\n");
    for (int k = 0; k < n; k++) {
        const int c = kind_of(bars, n, bars[k].config, true, &configs);
        const int v = kind_of(bars, n, bars[k].variation, false, &variations);
        fprintf(to, "%g %.9g %.9g %d ", v - 0.4 + (c + 0.5) * width, bars[k].mean, bars[k].sd, c);
        fprintf(to, bars[k].has_published ? "%.9g\n" : "?\n", bars[k].published);
    }
    fprintf(to,
            "EOD\nset datafile missing '?'\nset boxwidth %g\nset style fill solid 0.8\nset ylabel 'return'\nset "
            "xlabel '* never seen in training'\n",
            0.9 * width);
    fprintf(to, "set xrange [-0.6:%g]\nset xtics (", variations - 0.4);
    for (int k = 0, v = 0; k < n; k++)
        if (kind_of(bars, n, bars[k].variation, false, &variations) == v)
            fprintf(to, "%s%s %d", v ? ", " : "", quoted(bars[k].variation, quote), v), v++;
    fprintf(to, ")\nset key outside top center horizontal\nplot ");
    for (int k = 0, c = 0; k < n; k++) {
        if (kind_of(bars, n, bars[k].config, true, &configs) != c) continue;
        fprintf(to, "$bars using ($4==%d?$1:1/0):2:3 with boxerrorbars lc rgb '%s' title %s, ", c,
                colours[c % COLOURS], quoted(bars[k].config, quote));
        c++;
    }
    fprintf(to, "$bars using 1:5 with points pt 4 ps 1.2 lc rgb 'black' title 'published'");
}

static hb_status plot_bars(const hb_plot_def *def, hb_error *error) {
    enum { MOST = 512 };
    void *text = NULL;
    size_t bytes = 0;
    hb_status status = hb_file_read(def->sources[0], (size_t)1 << 24, &text, &bytes, error);
    bar *bars = status == HB_OK ? calloc(MOST, sizeof *bars) : NULL;
    if (status == HB_OK && !bars) status = hb_fail(error, HB_FAILED, "out of memory plotting");
    // PNR's protocol, or NR's where there is no other.
    const char *const protocol = status == HB_OK && strstr(text, ",sample,") ? "sample" : "mean";
    const int n = status == HB_OK ? read_bars(text, protocol, bars, MOST) : 0;
    if (status == HB_OK && n == 0)
        status =
            hb_fail(error, HB_BAD_INPUT, "%s: expected a study's table.csv, found no row of one", def->sources[0]);
    hb_gnuplot g;
    if (status == HB_OK) status = hb_gnuplot_begin(&g, def->out, 480, error);
    if (status == HB_OK) {
        write_bars(g.in, bars, n);
        status = hb_gnuplot_end(&g, error);
    }
    free(bars);
    free(text);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Coefficients before and after

enum { BINS = 80 };

// The mean individual's genome.
static hb_status mean_genome(hb_trainer *trainer, float *h, hb_error *error) {
    hb_genome genome;
    const hb_status status = hb_search_prepare(&trainer->search, 1, HB_EPISODE_EVAL, error);
    if (status != HB_OK) return status;
    hb_search_mean_genome(&trainer->search, &genome);
    return hb_machine_sample(&trainer->machine, &genome, h, (size_t)trainer->net.genome_size, error);
}

// Two blocks of data for coefficient c: the middle of a bin and the share of synapses in it, at the start and then.
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

// which: the checkpoint that h[1] is of.
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

static hb_status plot_coefficients(const hb_plot_def *def, hb_error *error) {
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
    if (status == HB_OK)
        status = hb_run_load(&trainer, def->sources[0], config->settings.eval_checkpoint, NULL, NULL, error);
    if (status == HB_OK) status = mean_genome(&trainer, h[1], error);
    if (status == HB_OK) status = hb_gnuplot_begin(&g, def->out, 540, error);
    if (status == HB_OK) {
        write_histograms(g.in, &trainer.net, config->settings.eval_checkpoint, (const float *const *)h);
        status = hb_gnuplot_end(&g, error);
    }
    free(h[0]);
    free(h[1]);
    hb_trainer_close(&trainer);
    hb_config_close(config);
    return status;
}

// ---------------------------------------------------------------------------------------------------

hb_status hb_plot(const hb_plot_def *def, hb_error *error) {
    struct stat about;
    if (access(def->out, F_OK) == 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a file that does not exist yet, found one", def->out);
    if (stat(def->sources[0], &about) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: cannot be read: %m", def->sources[0]);
    if (!S_ISDIR(about.st_mode)) return plot_bars(def, error);
    return def->coefficients ? plot_coefficients(def, error) : plot_curves(def, error);
}
