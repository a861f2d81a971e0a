// Pictures into files: PNG, and plots by gnuplot.
#ifndef HB_PICTURE_H
#define HB_PICTURE_H

#include "host/base/files.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

// rgb (height, width, 3) as a PNG file, whole or not there.
hb_status hb_png_write(const char *path, const uint8_t *rgb, int32_t width, int32_t height, hb_error *error);

// A plot under way: its script, data included, goes to `in`.
typedef struct {
    FILE *in;
    char part[HB_PATH + 8];
    const char *out;
    struct sigaction pipe; // what was done about broken pipes before
} hb_gnuplot;

// A text as gnuplot reads it, in single quotes; the caller gives room for twice its length and 3.
void hb_gnuplot_quote(char *out, const char *text);

// Starts gnuplot for `out` (.png or .svg), 900 x height pixels. Fails where there is no gnuplot, saying what to install.
hb_status hb_gnuplot_begin(hb_gnuplot *plot, const char *out, int height, hb_error *error);
// Ends it; the file appears whole or not at all.
hb_status hb_gnuplot_end(hb_gnuplot *plot, hb_error *error);

#endif
