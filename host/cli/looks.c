// Commands that look at lives: hebbes trace, render, probe, plot
#include "host/cli/cli.h"
#include "kernels/error.h"

#include <string.h>

// ---------------------------------------------------------------------------------------------------
// trace

static hb_status run_trace(const hb_cli *cli, hb_error *error) {
    hb_trace_def def = {.variation = hb_cli_value(cli, "variation")};
    hb_status status = hb_cli_out(cli, "FILE.h5", &def.out, error);
    if (status == HB_OK) status = hb_cli_individual(cli, &def.individual, error);
    if (status == HB_OK) status = hb_cli_count(cli, "steps", 1, INT64_MAX, 200, &def.steps, error);
    if (status == HB_OK) status = hb_trace(cli->argument[0], cli->sets, cli->n_sets, &def, error);
    if (status == HB_OK) printf("wrote %s\n", def.out);
    return status;
}

#define LIFE_OPTIONS                                                                                                 \
    HB_CLI_SET, HB_CLI_THREADS, HB_CLI_SEED, HB_CLI_ENV, HB_CLI_DEVICE, HB_CLI_INDIVIDUAL, HB_CLI_VARIATION

static const hb_cli_option trace_options[] = {LIFE_OPTIONS,
                                              {"out", 'o', "FILE.h5", NULL, "what is written"},
                                              {"steps", 0, "T", NULL, "policy steps at most [200]"},
                                              {.name = NULL}};
const hb_command hb_command_trace = {
    "trace",       "RUN|CONFIG", 1, 1, "one life as HDF5: observations, actions, every weight of every step",
    trace_options, run_trace};

// ---------------------------------------------------------------------------------------------------
// export

static hb_status run_export(const hb_cli *cli, hb_error *error) {
    const char *out = NULL;
    int64_t individual = -1;
    hb_status status = hb_cli_out(cli, "FILE.npz", &out, error);
    if (status == HB_OK) status = hb_cli_individual(cli, &individual, error);
    if (status == HB_OK) status = hb_export(cli->argument[0], cli->sets, cli->n_sets, individual, out, error);
    if (status == HB_OK) printf("wrote %s\n", out);
    return status;
}

static const hb_cli_option export_options[] = {HB_CLI_SET,
                                               HB_CLI_THREADS,
                                               HB_CLI_SEED,
                                               HB_CLI_ENV,
                                               HB_CLI_DEVICE,
                                               HB_CLI_INDIVIDUAL,
                                               {"out", 'o', "FILE.npz", NULL, "what is written"},
                                               {.name = NULL}};
const hb_command hb_command_export = {
    "export",       "RUN|CONFIG", 1, 1, "a network to take away, as a NumPy archive: rules or weights of every layer",
    export_options, run_export};

// ---------------------------------------------------------------------------------------------------
// render

static hb_status parse_size(const hb_cli *cli, hb_render_def *def, hb_error *error) {
    const char *text = hb_cli_value(cli, "size");
    char rest;
    def->width = 500, def->height = 400;
    if (!text || (sscanf(text, "%dx%d%c", &def->width, &def->height, &rest) == 2 && def->width >= 16 &&
                  def->height >= 16 && def->width <= 1920 && def->height <= 1920))
        return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "--size: expected WxH, 16 to 1920 each, found '%s'", text);
}

static hb_status run_render(const hb_cli *cli, hb_error *error) {
    static hb_rendered rendered;
    hb_render_def def = {.variation = hb_cli_value(cli, "variation"), .stop = hb_stop_on_signals()};
    int64_t moments = 0;
    hb_status status = hb_cli_out(cli, "FILM.mp4, STRIP.png or FOLDER", &def.out, error);
    if (status == HB_OK) status = hb_cli_individual(cli, &def.individual, error);
    if (status == HB_OK) status = hb_cli_count(cli, "steps", 1, INT64_MAX, INT64_MAX, &def.steps, error);
    if (status == HB_OK) status = hb_cli_count(cli, "moments", 1, 64, 8, &moments, error);
    if (status == HB_OK) status = parse_size(cli, &def, error);
    def.moments = (int32_t)moments;
    if (status == HB_OK) status = hb_render(cli->argument[0], cli->sets, cli->n_sets, &def, &rendered, error);
    if (status != HB_OK) return status;
    printf("wrote %s%s: a life of %lld steps\n", rendered.wrote,
           rendered.without_ffmpeg ? ", a folder of pictures, because there is no ffmpeg" : "",
           (long long)rendered.steps);
    return HB_OK;
}

static const hb_cli_option render_options[] = {
    LIFE_OPTIONS,
    HB_CLI_STEPS,
    {"out", 'o', "PATH", NULL, "a film (.mp4, .webm, .gif), a strip (.png), or a folder of pictures"},
    {"size", 0, "WxH", NULL, "pixels of a picture [500x400]"},
    {"moments", 0, "N", NULL, "pictures in a strip [8]"},
    {.name = NULL}};
const hb_command hb_command_render = {
    "render",       "RUN|CONFIG", 1, 1, "a life as film (.mp4, by ffmpeg), strip (.png) or folder of pictures",
    render_options, run_render};

// ---------------------------------------------------------------------------------------------------
// probe

static hb_status run_probe(const hb_cli *cli, hb_error *error) {
    const char *what = hb_cli_value(cli, "what");
    hb_probe_def def = {
        .what = what ? what : "nothing", .variation = hb_cli_value(cli, "variation"), .stop = hb_stop_on_signals()};
    hb_probed probed;
    hb_status status = hb_cli_out(cli, "FOLDER", &def.out, error);
    if (status == HB_OK) status = hb_cli_individual(cli, &def.individual, error);
    if (status == HB_OK) status = hb_cli_count(cli, "steps", 1, INT64_MAX, 0, &def.steps, error);
    if (status == HB_OK) status = hb_cli_count(cli, "at", 1, INT64_MAX, 0, &def.at, error);
    if (status == HB_OK) status = hb_probe(cli->argument[0], cli->sets, cli->n_sets, &def, &probed, error);
    if (status == HB_OK)
        printf("wrote %s: %lld %s, %lld steps\n", def.out, (long long)probed.lives,
               probed.lives == 1 ? "life" : "lives", (long long)probed.steps);
    return status;
}

static const hb_cli_option probe_options[] = {
    LIFE_OPTIONS,
    HB_CLI_STEPS,
    {"out", 'o', "FOLDER", NULL, "where data and pictures are written"},
    {"what", 0, "NAME", NULL,
     "images: each layer's weights over the life; pca: their trajectory; freeze: returns when plasticity stops after "
     "T "
     "updates; saturate: outputs held at 1 for 100 steps; zero: a third of the weights set to 0; init: other initial "
     "weights"},
    {"at", 0, "STEP", NULL, "when saturate or zero changes the life [300, 500]"},
    {.name = NULL}};
const hb_command hb_command_probe = {
    "probe", "RUN|CONFIG", 1, 1, "an analysis of lives, data and pictures: see --what", probe_options, run_probe};

// ---------------------------------------------------------------------------------------------------
// plot

static hb_status run_plot(const hb_cli *cli, hb_error *error) {
    hb_plot_def def = {.sources = cli->argument,
                       .n_sources = cli->n_arguments,
                       .sets = cli->sets,
                       .n_sets = cli->n_sets,
                       .coefficients = hb_cli_value(cli, "coefficients")};
    hb_status status = hb_cli_out(cli, "FILE.png or FILE.svg", &def.out, error);
    if (status == HB_OK) status = hb_plot(&def, error);
    if (status == HB_OK) printf("wrote %s\n", def.out);
    return status;
}

static const hb_cli_option plot_options[] = {
    HB_CLI_SET,
    {"out", 'o', "FILE", NULL, "the picture, .png or .svg"},
    {"coefficients", 0, NULL, NULL, "histograms of a run's coefficients, at the start and at its best"},
    {.name = NULL}};
const hb_command hb_command_plot = {"plot",
                                    "RUN...|TABLE.csv",
                                    1,
                                    HB_CLI_MOST_ARGUMENTS,
                                    "curves of runs, bars of a study, coefficients of a run: PNG or SVG, by gnuplot",
                                    plot_options,
                                    run_plot};
