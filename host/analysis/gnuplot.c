#include "host/analysis/gnuplot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *hb_gnuplot_colour(int k) {
    static const char *const colours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd",
                                          "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"};
    return colours[(size_t)k % (sizeof colours / sizeof *colours)];
}

hb_status hb_gnuplot_check(hb_error *error) {
    if (hb_child_exists("gnuplot")) return HB_OK;
    return hb_fail(error, HB_FAILED, "plots need gnuplot, which is not installed (Debian: gnuplot-nox)");
}

hb_status hb_gnuplot_begin(hb_gnuplot *g, const char *out, int height, hb_error *error) {
    static const char *const words[] = {"gnuplot", NULL};
    const bool svg = hb_ends_with(out, ".svg"), png = hb_ends_with(out, ".png");
    if (!svg && !png) return hb_fail(error, HB_BAD_INPUT, "--out: expected FILE.png or FILE.svg, found '%s'", out);
    if (strpbrk(out, "'\"`\n")) return hb_fail(error, HB_BAD_INPUT, "--out: a plot's name has no quotes");
    const hb_status there = hb_gnuplot_check(error);
    if (there != HB_OK) return there;
    g->out = out;
    snprintf(g->part, sizeof g->part, "%s" HB_PARTIAL, out);
    const hb_status status = hb_child_start(&g->child, words, error);
    if (status != HB_OK) return status;
    g->in = g->child.in;
    fprintf(g->in, "set terminal %s size 900,%d noenhanced font 'sans,11'\nset output '%s'\n",
            svg ? "svg" : "pngcairo", height, g->part);
    fprintf(g->in, "set border 3\nset tics nomirror\nset grid ytics lc rgb '#dddddd'\n");
    return HB_OK;
}

hb_status hb_gnuplot_end(hb_gnuplot *g, hb_error *error) {
    fprintf(g->in, "\nunset output\n");
    const hb_status status =
        hb_child_end(&g->child) ? HB_OK : hb_fail(error, HB_FAILED, "%s: gnuplot failed", g->out);
    return hb_file_finish(g->part, g->out, status, error);
}

const char *hb_gnuplot_quote(char *out, const char *text) {
    char *to = out;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') *to++ = '\'';
        *to++ = *text == '\n' ? ' ' : *text;
    }
    *to++ = '\'';
    *to = '\0';
    return out;
}
