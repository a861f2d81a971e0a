// Pictures of a life: a film by ffmpeg, numbered pictures, or a strip of a few moments.
#include "host/analysis/life.h"
#include "host/base/child.h"
#include "host/base/locale.h"
#include "host/base/png.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAMPLES = 4 }; // per side of a pixel, against jagged edges

typedef enum { FILM, NUMBERED, STRIP } form;

typedef struct {
    const hb_render_def *def;
    const char *out;
    char part[HB_PATH]; // a film's, or a folder's, name until it is whole
    hb_life *life;
    form form;
    hb_child film;   // ffmpeg
    uint8_t *rgb;    // (height, width, 3); STRIP: (moments, height, width, 3)
    int64_t moments; // STRIP: kept so far, one every `every` steps
    int64_t every;
} render;

static size_t picture_bytes(const render *r) {
    return (size_t)r->def->width * (size_t)r->def->height * 3;
}

// ---------------------------------------------------------------------------------------------------
// A strip

// The kept moments side by side, with white between them.
static hb_status write_strip(const render *r, hb_error *error) {
    enum { GAP = 4 }; // pixels
    const size_t row = (size_t)r->def->width * 3, step = row + (size_t)GAP * 3, n = (size_t)r->moments;
    const size_t height = (size_t)r->def->height, width = n * step - (size_t)GAP * 3;
    uint8_t *strip = malloc(height * width + 1);
    if (!strip) return hb_fail(error, HB_FAILED, "out of memory for a strip of pictures");
    memset(strip, 255, height * width);
    for (size_t k = 0; k < n; k++)
        for (size_t y = 0; y < height; y++)
            memcpy(strip + y * width + k * step, r->rgb + k * picture_bytes(r) + y * row, row);
    const hb_status status = hb_png_write(r->out, strip, (int32_t)(width / 3), r->def->height, error);
    free(strip);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Film

static hb_status open_film(render *r, hb_error *error) {
    char size[32], rate[32], out[HB_PATH + 8];
    const char *type = strrchr(r->out, '.') + 1; // mp4, webm, gif
    const double seconds = r->life->trainer.world.shape.step_seconds;
    if (r->def->width % 2 || r->def->height % 2)
        return hb_fail(error, HB_BAD_INPUT, "--size: a film's width and height are even, found %d x %d",
                       r->def->width, r->def->height);
    snprintf(size, sizeof size, "%dx%d", r->def->width, r->def->height);
    snprintf(rate, sizeof rate, "%.4f", seconds > 0 ? 1 / seconds : 50);
    snprintf(out, sizeof out, "file:%s", r->part); // no option and no protocol, whatever its name
    const char *const words[] = {"ffmpeg",  "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                                 "-s",      size,        "-r",    rate, "-i",       "-",        "-pix_fmt",
                                 "yuv420p", "-f",        type,    "-y", out,        NULL};
    return hb_child_start(&r->film, words, error);
}

// ---------------------------------------------------------------------------------------------------
// Moments

static hb_status draw(const render *r, uint8_t *rgb, hb_error *error) {
    const hb_env_table *env = r->life->config->env;
    char message[512];
    return env->picture(r->life->body, r->def->width, r->def->height, SAMPLES, rgb, message, sizeof message) == 0
               ? HB_OK
               : hb_fail(error, HB_FAILED, "environment '%s': %s", env->name, message);
}

static hb_status show(render *r, int64_t step, hb_error *error) {
    char path[HB_PATH], name[32];
    if (r->form == STRIP && (step % r->every || r->moments == r->def->moments)) return HB_OK;
    uint8_t *rgb = r->rgb + (r->form == STRIP ? (size_t)r->moments++ * picture_bytes(r) : 0);
    const hb_status status = draw(r, rgb, error);
    if (status != HB_OK || r->form == STRIP) return status;
    if (r->form == FILM)
        return fwrite(rgb, 1, picture_bytes(r), r->film.in) == picture_bytes(r)
                   ? HB_OK
                   : hb_fail(error, HB_FAILED, "%s: ffmpeg ended early", r->out);
    snprintf(name, sizeof name, "%05lld.png", (long long)step);
    hb_path(path, r->part, name);
    return hb_png_write(path, rgb, r->def->width, r->def->height, error);
}

// Lives at most `most` steps and shows each of them (shows), or only counts them. *steps receives their number.
static hb_status live_through(render *r, bool shows, int64_t most, int64_t *steps, hb_error *error) {
    hb_status status = hb_life_begin(r->life, 0, error);
    for (*steps = 0; status == HB_OK && r->life->outcome == HB_ENV_RUNNING && *steps < most; ++*steps) {
        if (shows) status = show(r, *steps, error);
        if (status == HB_OK) status = hb_life_step(r->life, error);
    }
    return status;
}

static hb_status run(render *r, int64_t *steps, hb_error *error) {
    const size_t pictures = r->form == STRIP ? (size_t)r->def->moments : 1;
    r->rgb = calloc(pictures, picture_bytes(r));
    if (!r->rgb)
        return hb_fail(error, HB_FAILED, "out of memory for pictures of %d x %d", r->def->width, r->def->height);
    hb_status status = HB_OK;
    if (r->form == STRIP) { // the life twice: first to find its length
        status = live_through(r, false, r->def->steps, steps, error);
        r->every = *steps / r->def->moments > 0 ? *steps / r->def->moments : 1;
    }
    snprintf(r->part, sizeof r->part, "%s" HB_PARTIAL, r->out);
    if (r->form == FILM && status == HB_OK) status = open_film(r, error);
    if (r->form == NUMBERED && status == HB_OK) status = hb_folder_begin(r->out, r->part, error);
    const bool begun = status == HB_OK;
    if (status == HB_OK) status = live_through(r, true, r->def->steps, steps, error);
    if (r->film.in && !hb_child_end(&r->film) && status == HB_OK)
        status = hb_fail(error, HB_FAILED, "%s: ffmpeg failed", r->out);
    if (status == HB_OK && r->form == STRIP) status = write_strip(r, error);
    if (begun && r->form == FILM) status = hb_file_finish(r->part, r->out, status, error);
    if (begun && r->form == NUMBERED) status = hb_folder_finish(r->part, r->out, status, error);
    return status;
}

// A name with the ending of a kind of file that cannot be written is no folder's name.
static hb_status check_name(const char *out, hb_error *error) {
    static const char *const others[] = {".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".svg",
                                         ".pdf", ".avi",  ".mov", ".mkv", ".apng", ".ppm",  ".h5"};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (hb_ends_with(out, others[k]))
            return hb_fail(error, HB_BAD_INPUT,
                           "--out: expected a film (.mp4, .webm, .gif), a strip (.png) or a folder, found '%s'", out);
    return HB_OK;
}

// The form that the file's name asks for.
static form form_of(const char *out, hb_rendered *rendered) {
    snprintf(rendered->wrote, sizeof rendered->wrote, "%s", out);
    if (hb_ends_with(out, ".png")) return STRIP;
    if (!hb_ends_with(out, ".mp4") && !hb_ends_with(out, ".webm") && !hb_ends_with(out, ".gif")) return NUMBERED;
    rendered->without_ffmpeg = !hb_child_exists("ffmpeg");
    if (!rendered->without_ffmpeg) return FILM;
    *strrchr(rendered->wrote, '.') = '\0';
    return NUMBERED;
}

hb_status hb_render(const char *source, const char *const *sets, int n_sets, const hb_render_def *def,
                    hb_rendered *rendered, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    *rendered = (hb_rendered){.steps = 0};
    if (def->width < 16 || def->width > 1920 || def->height < 16 || def->height > 1920 || def->moments < 1 ||
        def->moments > 64)
        return hb_fail(error, HB_BAD_INPUT,
                       "--size: expected 16 to 1920 pixels and 1 to 64 moments, found %d x %d and %d", def->width,
                       def->height, def->moments);
    hb_life life;
    render r = {.def = def, .life = &life, .out = rendered->wrote, .form = form_of(def->out, rendered)};
    if (access(r.out, F_OK) == 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a name that does not exist yet, found one", r.out);
    hb_status status = check_name(def->out, error);
    if (status != HB_OK) return status;
    status = hb_life_open(source, sets, n_sets, &(hb_life_def){def->individual, def->variation}, &life, error);
    life.stop = def->stop;
    if (status == HB_OK && !life.config->env->picture)
        status = hb_fail(error, HB_BAD_INPUT, "environment '%s' draws no pictures", life.config->env->name);
    if (status == HB_OK) status = run(&r, &rendered->steps, error);
    free(r.rgb);
    hb_life_close(&life);
    return status;
}
