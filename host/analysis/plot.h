// The kinds of plots, a file each; plot.c chooses by what the source is.
#ifndef HB_PLOT_H
#define HB_PLOT_H

#include "host/hebbes.h"

hb_status hb_plot_curves(const hb_plot_def *def, hb_error *error);
hb_status hb_plot_bars(const hb_plot_def *def, hb_error *error);
hb_status hb_plot_coefficients(const hb_plot_def *def, hb_error *error);

#endif
