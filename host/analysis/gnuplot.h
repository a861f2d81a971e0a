// Plots by gnuplot, into PNG and SVG files.
#ifndef HB_GNUPLOT_H
#define HB_GNUPLOT_H

#include "host/base/child.h"
#include "host/base/files.h"

#include <stdio.h>

// A plot under way: its script and data are written to `in`.
typedef struct {
    FILE *in;
    hb_child child;
    char part[HB_PATH + 8];
    const char *out;
} hb_gnuplot;

// Colour k of a plot's series, "#rrggbb"; they repeat after 8.
const char *hb_gnuplot_colour(int k);

// Writes text in single quotes, as gnuplot reads it. The caller gives room for twice its length and 3. Returns out.
const char *hb_gnuplot_quote(char *out, const char *text);

// HB_FAILED, saying what to install, if there is no gnuplot.
hb_status hb_gnuplot_check(hb_error *error);

// Starts gnuplot for the file `out` (.png or .svg) of 900 x height pixels. Fails with HB_FAILED if there is no gnuplot, saying what to
// install.
hb_status hb_gnuplot_begin(hb_gnuplot *plot, const char *out, int height, hb_error *error);

// Ends the script; the file appears complete or not at all.
hb_status hb_gnuplot_end(hb_gnuplot *plot, hb_error *error);

#endif
