#include "host/analysis/plot.h"
#include "host/base/locale.h"
#include "kernels/error.h"

#include <sys/stat.h>
#include <unistd.h>

hb_status hb_plot(const hb_plot_def *def, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    struct stat about;
    if (def->n_sources < 1)
        return hb_fail(error, HB_BAD_INPUT, "plot: expected a run, or a study's table, found none");
    if (access(def->out, F_OK) == 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a file that does not exist yet, found one", def->out);
    if (stat(def->sources[0], &about) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: cannot be read: %m", def->sources[0]);
    if (!S_ISDIR(about.st_mode)) return hb_plot_bars(def, error);
    if (def->coefficients && def->n_sources > 1)
        return hb_fail(error, HB_BAD_INPUT, "--coefficients: expected one run, found %d", def->n_sources);
    return def->coefficients ? hb_plot_coefficients(def, error) : hb_plot_curves(def, error);
}
