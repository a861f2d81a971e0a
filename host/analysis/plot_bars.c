// A study's table as bars, with the published numbers.
#include "host/analysis/gnuplot.h"
#include "host/analysis/plot.h"
#include "host/base/csv.h"
#include "host/base/keys.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char config[HB_TEXT], variation[64];
    double mean, sd, published;
    bool has_published;
} bar;

// The rows of one protocol; a fold counts as a configuration.
static int read_bars(const hb_csv *csv, const char *protocol, bar *bars, int most) {
    const int config = hb_csv_column(csv, "config"), without = hb_csv_column(csv, "without");
    const int variation = hb_csv_column(csv, "variation"), held_out = hb_csv_column(csv, "held_out");
    const int kind = hb_csv_column(csv, "protocol"), published = hb_csv_column(csv, "published_mean");
    int n = 0;
    for (int k = 0; k < csv->n_rows && n < most; k++) {
        bar *b = &bars[n];
        *b = (bar){.mean = 0};
        const char *fold = hb_csv_text(csv, k, without);
        if (strcmp(hb_csv_text(csv, k, kind), protocol) != 0 ||
            !hb_csv_number(csv, k, hb_csv_column(csv, "mean"), &b->mean) ||
            !hb_csv_number(csv, k, hb_csv_column(csv, "sd"), &b->sd))
            continue;
        snprintf(b->config, sizeof b->config, "%s%s%s", hb_csv_text(csv, k, config), *fold ? " without " : "", fold);
        snprintf(b->variation, sizeof b->variation, "%s%s", hb_csv_text(csv, k, variation),
                 !*fold && strcmp(hb_csv_text(csv, k, held_out), "1") == 0 ? " *" : "");
        b->has_published = hb_csv_number(csv, k, published, &b->published);
        n++;
    }
    return n;
}

static bool has_protocol(const hb_csv *csv, const char *protocol) {
    const int column = hb_csv_column(csv, "protocol");
    for (int k = 0; k < csv->n_rows; k++)
        if (strcmp(hb_csv_text(csv, k, column), protocol) == 0) return true;
    return false;
}

// The index of a name among the different names of its kind; *n receives how many there are.
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
            fprintf(to, "%s%s %d", v ? ", " : "", hb_gnuplot_quote(quote, bars[k].variation), v), v++;
    fprintf(to, ")\nset key outside top center horizontal\nplot ");
    for (int k = 0, c = 0; k < n; k++) {
        if (kind_of(bars, n, bars[k].config, true, &configs) != c) continue;
        fprintf(to, "$bars using ($4==%d?$1:1/0):2:3 with boxerrorbars lc rgb '%s' title %s, ", c,
                hb_gnuplot_colour(c), hb_gnuplot_quote(quote, bars[k].config));
        c++;
    }
    fprintf(to, "$bars using 1:5 with points pt 4 ps 1.2 lc rgb 'black' title 'published'");
}

hb_status hb_plot_bars(const hb_plot_def *def, hb_error *error) {
    enum { MOST = 512 };
    hb_csv csv;
    hb_error unread;
    bar *bars = calloc(MOST, sizeof *bars);
    if (!bars) return hb_fail(error, HB_FAILED, "out of memory plotting");
    const bool read = hb_csv_read(def->sources[0], (size_t)1 << 24, &csv, &unread) == HB_OK;
    // PNR's protocol, or NR's if it is the only one.
    const int n = read ? read_bars(&csv, has_protocol(&csv, "sample") ? "sample" : "mean", bars, MOST) : 0;
    hb_gnuplot g;
    hb_status status = n > 0 ? HB_OK
                             : hb_fail(error, HB_BAD_INPUT, "%s: expected a study's table.csv, found no row of one",
                                       def->sources[0]);
    if (status == HB_OK) status = hb_gnuplot_begin(&g, def->out, 480, error);
    if (status == HB_OK) {
        write_bars(g.in, bars, n);
        status = hb_gnuplot_end(&g, error);
    }
    free(bars);
    if (read) hb_csv_free(&csv);
    return status;
}
