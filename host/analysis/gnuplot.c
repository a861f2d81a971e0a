#include "host/analysis/gnuplot.h"

#include <png.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// PNG

hb_status hb_png_write(const char *path, const uint8_t *rgb, int32_t width, int32_t height, hb_error *error) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t n = 0;
    if (!png_image_write_to_memory(&image, NULL, &n, 0, rgb, 0, NULL))
        return hb_fail(error, HB_FAILED, "%s: %s", path, image.message);
    void *data = malloc(n ? n : 1);
    if (!data) return hb_fail(error, HB_FAILED, "out of memory writing %s", path);
    hb_status status = HB_OK;
    if (!png_image_write_to_memory(&image, data, &n, 0, rgb, 0, NULL))
        status = hb_fail(error, HB_FAILED, "%s: %s", path, image.message);
    if (status == HB_OK) status = hb_file_write(path, data, n, error);
    free(data);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// gnuplot

hb_status hb_gnuplot_begin(hb_gnuplot *g, const char *out, int height, hb_error *error) {
    const size_t n = strlen(out);
    const bool svg = n > 4 && strcmp(out + n - 4, ".svg") == 0, png = n > 4 && strcmp(out + n - 4, ".png") == 0;
    if (!svg && !png) return hb_fail(error, HB_BAD_INPUT, "--out: expected FILE.png or FILE.svg, found '%s'", out);
    if (strpbrk(out, "'\"`\n")) return hb_fail(error, HB_BAD_INPUT, "--out: a plot's name has no quotes");
    if (system("command -v gnuplot >/dev/null 2>&1") != 0)
        return hb_fail(error, HB_FAILED, "plots need gnuplot, which is not here (in Debian gnuplot-nox)");
    g->out = out;
    snprintf(g->part, sizeof g->part, "%s" HB_PARTIAL, out);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, &g->pipe); // gnuplot may end early: an error, not the end of the process
    g->in = popen("gnuplot 2>/dev/null", "w");
    if (!g->in) return hb_fail(error, HB_FAILED, "gnuplot cannot be started: %m");
    fprintf(g->in, "set terminal %s size 900,%d noenhanced font 'sans,11'\nset output '%s'\n",
            svg ? "svg" : "pngcairo", height, g->part);
    fprintf(g->in, "set border 3\nset tics nomirror\nset grid ytics lc rgb '#dddddd'\n");
    return HB_OK;
}

hb_status hb_gnuplot_end(hb_gnuplot *g, hb_error *error) {
    fprintf(g->in, "\nunset output\n");
    const bool failed = pclose(g->in) != 0;
    sigaction(SIGPIPE, &g->pipe, NULL);
    void *data = NULL;
    size_t n = 0;
    hb_status status = failed ? hb_fail(error, HB_FAILED, "%s: gnuplot failed", g->out)
                              : hb_file_read(g->part, (size_t)1 << 28, &data, &n, error);
    if (status == HB_OK) status = hb_file_write(g->out, data, n, error);
    free(data);
    unlink(g->part);
    return status;
}

void hb_gnuplot_quote(char *out, const char *text) {
    *out++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') *out++ = '\'';
        *out++ = *text == '\n' ? ' ' : *text;
    }
    *out++ = '\'';
    *out = '\0';
}
