// The command line. It uses the library through host/hebbes.h alone.
#include "host/hebbes.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_SETS 128

typedef struct {
    const char *command;
    const char *argument;    // CONFIG, RUN, WHAT
    const char *sources[64]; // plot: it and those behind it
    int n_sources;
    bool coefficients;
    const char *what; // --what
    int64_t at;       // --at
    const char *sets[MAX_SETS];
    int n_sets;
    const char *config; // --config, for bench
    bool json;
    hb_trace_def trace;
    int width, height; // --size
    hb_study_def study;
    const char *fold; // --fold
    int64_t moments;
    char text[16][512]; // sets made from --threads and its like
    int n_text;
    bool given[32]; // of `readers`
} arguments;

typedef struct {
    const char *name, *argument;
    int required; // argument
    const char *summary;
    hb_status (*run)(const arguments *arguments, hb_error *error);
} command;

// ---------------------------------------------------------------------------------------------------
// Progress

typedef struct {
    bool live; // a terminal: one line, rewritten
    double last_seconds;
    char folder[4096];
} screen;

static void on_started(void *context, const char *folder, int64_t generation) {
    screen *s = context;
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    if (generation > 0)
        printf("resuming %s after %lld generations\n", folder, (long long)generation);
    else
        printf("training into %s\n", folder);
    fflush(stdout);
}

static void format_time(double seconds, char out[32]) {
    const int s = seconds < 3.6e6 ? (int)lround(seconds) : 3600 * 1000;
    if (s >= 3600)
        snprintf(out, 32, "%dh%02dm", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%dm%02ds", s / 60, s % 60);
}

static void on_progress(void *context, const hb_progress *p) {
    screen *s = context;
    // Lives get longer as they get better: the last generation tells more about the rest than the average.
    s->last_seconds = s->last_seconds > 0 ? 0.7 * s->last_seconds + 0.3 * p->seconds : p->seconds;
    char left[32];
    format_time(s->last_seconds * (double)(p->generations - p->generation), left);
    printf("%sgeneration %4lld/%lld  mean %8.2f  max %8.2f  best mean %8.2f  %6.0f steps/s  physics %2.0f%% "
           "policy "
           "%2.0f%% update %2.0f%%  left %s%s",
           s->live ? "\r\033[K" : "", (long long)p->generation, (long long)p->generations, p->mean, p->max,
           p->best_mean, p->steps_per_second, 100 * p->physics_share, 100 * p->policy_share, 100 * p->update_share,
           left, s->live ? "" : "\n");
    if (s->live && p->generation == p->generations) putchar('\n');
    fflush(stdout);
}

static void on_note(void *context, const char *line) {
    screen *s = context;
    fprintf(stderr, "%shebbes: %s\n", s->live ? "\n" : "", line);
}

static const char *program = "hebbes"; // as it was called, for commands that a user can copy

static hb_stop *stop; // the one thing that a signal handler can reach

// Tools such as timeout(1) signal a process and its group, so a second signal may be the first one's echo.
static void on_signal(int number) {
    static volatile sig_atomic_t signals;
    hb_stop_request(stop);
    if (++signals >= 3) _exit(128 + number);
}

static hb_status finish(const screen *s, hb_status status) {
    if (s->live && status != HB_OK) putchar('\n');
    if (status != HB_OK) return status;
    printf("done: %s\n"
           "next: %s eval %s                 what it learnt, 100 rollouts a variation\n"
           "      %s trace %s --out life.h5  one life, every weight of every step\n"
           "      %s resume %s --set run.generations=N  train on\n",
           s->folder, program, s->folder, program, s->folder, program, s->folder);
    return status;
}

static void watch_signals(void) {
    stop = hb_stop_create();
    if (!stop) return;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL); // a third one ends the process
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); // whoever watched has left; train on
    signal(SIGXFSZ, SIG_IGN); // a full quota is an error of write, not a death
}

// ---------------------------------------------------------------------------------------------------
// Commands

static hb_status train_one(const arguments *a, const char *const *sets, int n_sets,
                           hb_status (*how)(const hb_config *config, const hb_hooks *hooks, hb_error *error),
                           hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(a->argument, sets, n_sets, &config, error);
    if (status != HB_OK) return status;
    screen s = {.live = isatty(STDOUT_FILENO)};
    const hb_hooks hooks = {on_started, on_progress, on_note, &s, stop};
    status = finish(&s, how(config, &hooks, error));
    hb_config_close(config);
    return status;
}

// OUT-without-FOLD, or runs/NAME-without-FOLD-seedS.
static void fold_folder(const arguments *a, const hb_config *config, const char *fold, char out[4096]) {
    const char *own = a->trace.out ? a->trace.out : hb_config_value(config, "run.out");
    size_t n = strlen(own);
    while (n > 1 && own[n - 1] == '/') n--;
    if (n > 0) {
        snprintf(out, 4096, "%.*s-without-%s", (int)n, own, fold);
        return;
    }
    const char *slash = strrchr(a->argument, '/'), *name = slash ? slash + 1 : a->argument;
    const char *dot = strrchr(name, '.');
    snprintf(out, 4096, "runs/%.*s-without-%s-seed%s", dot && dot != name ? (int)(dot - name) : (int)strlen(name),
             name, fold, hb_config_value(config, "run.seed"));
}

// A fold that is there is gone on with, so that the same command can be called again.
static hb_status train_fold(const arguments *a, const hb_config *config, const char *fold, hb_error *error) {
    const char *sets[MAX_SETS + 3];
    char held_out[HB_FOLD], variations[HB_FOLD], out[4096], set[4200];
    int n = a->n_sets;
    memcpy(sets, a->sets, (size_t)n * sizeof *sets);
    hb_config_fold_sets(config, fold, variations, held_out);
    fold_folder(a, config, fold, out);
    snprintf(set, sizeof set, "run.out=%s", out);
    sets[n++] = held_out;
    sets[n++] = variations;
    sets[n++] = set;
    printf("fold without %s\n", fold);
    return train_one(a, sets, n, hb_train_on, error);
}

static hb_status train_folds(const arguments *a, hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(a->argument, a->sets, a->n_sets, &config, error);
    if (status != HB_OK) return status;
    char all[HB_FOLD] = "";
    const char *fold;
    bool found = false;
    for (int k = 0; status == HB_OK && (fold = hb_config_fold(config, k)); k++) {
        const size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", k ? "," : "", fold);
        if (strcmp(a->fold, "all") != 0 && strcmp(a->fold, fold) != 0) continue;
        found = true;
        status = train_fold(a, config, fold, error);
    }
    hb_config_close(config);
    return found || status != HB_OK
               ? status
               : hb_fail(error, HB_BAD_INPUT, "--fold: expected all or one of %s, found '%s'", all, a->fold);
}

static hb_status run_train(const arguments *a, hb_error *error) {
    watch_signals();
    return a->fold ? train_folds(a, error) : train_one(a, a->sets, a->n_sets, hb_train, error);
}

static hb_status run_resume(const arguments *a, hb_error *error) {
    screen s = {.live = isatty(STDOUT_FILENO)};
    watch_signals();
    const hb_hooks hooks = {on_started, on_progress, on_note, &s, stop};
    return finish(&s, hb_resume(a->argument, a->sets, a->n_sets, &hooks, error));
}

static void print_evaluation(void *context, const hb_evaluation *e) {
    bool *header = context;
    if (*header)
        printf("%-22s %-8s %-8s %8s %8s %8s %7s %9s %8s\n", "variation", "trained", "protocol", "mean", "sd", "s.e.",
               "steps", "backward", "diverged");
    *header = false;
    printf("%-22s %-8s %-8s %8.1f %8.1f %8.2f %7.0f %8.0f%% %8lld\n", e->variation, e->held_out ? "no" : "yes",
           e->protocol, e->mean, e->sd, e->standard_error, e->steps, 100 * e->backward_share, (long long)e->diverged);
}

static hb_status run_eval(const arguments *a, hb_error *error) {
    bool header = true;
    watch_signals();
    return hb_evaluate(a->argument, a->sets, a->n_sets, print_evaluation, &header, stop, error);
}

static hb_status run_plan(const arguments *a, hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(a->argument, a->sets, a->n_sets, &config, error);
    if (status != HB_OK) return status;
    status = hb_plan(config, stdout, error);
    hb_config_close(config);
    return status;
}

static void print_bench(void *context, const hb_bench_row *r) {
    const arguments *a = context;
    if (a->json) {
        printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", ", r->name, r->value, r->unit);
        if (r->limit >= 0) printf("\"limit\": %.6g, \"limit_is\": \"%s\", ", r->limit, r->limit_is);
        printf("\"repeats\": %lld}\n", (long long)r->repeats);
    } else {
        printf("%-32s %12.4g %-10s", r->name, r->value, r->unit);
        if (r->limit >= 0) printf(" limit %10.4g  %s", r->limit, r->limit_is);
        putchar('\n');
    }
    fflush(stdout);
}

static hb_status run_bench(const arguments *a, hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(a->config, a->sets, a->n_sets, &config, error);
    if (status != HB_OK) return status;
    status = hb_bench(a->argument ? a->argument : "all", config, print_bench, (void *)(uintptr_t)a, error);
    hb_config_close(config);
    return status;
}

static hb_status run_trace(const arguments *a, hb_error *error) {
    if (!a->trace.out) return hb_fail(error, HB_BAD_INPUT, "trace: expected --out FILE.h5");
    hb_trace_def def = a->trace;
    if (def.steps == 0) def.steps = 200;
    const hb_status status = hb_trace(a->argument, a->sets, a->n_sets, &def, error);
    if (status == HB_OK) printf("wrote %s\n", a->trace.out);
    return status;
}

static hb_status run_render(const arguments *a, hb_error *error) {
    if (!a->trace.out) return hb_fail(error, HB_BAD_INPUT, "render: expected --out FILM.mp4, STRIP.png or FOLDER");
    const hb_render_def def = {.steps = a->trace.steps > 0 ? a->trace.steps : INT64_MAX,
                               .individual = a->trace.individual,
                               .variation = a->trace.variation,
                               .out = a->trace.out,
                               .width = a->width,
                               .height = a->height,
                               .moments = (int32_t)a->moments};
    static hb_rendered rendered;
    const hb_status status = hb_render(a->argument, a->sets, a->n_sets, &def, &rendered, error);
    if (status != HB_OK) return status;
    printf("wrote %s%s: a life of %lld steps\n", rendered.wrote,
           rendered.without_ffmpeg ? ", a folder of pictures, because there is no ffmpeg" : "",
           (long long)rendered.steps);
    return HB_OK;
}

// A study's runs. On a terminal a line for each that is under way and one for all, rewritten; otherwise a line whenever a run
// begins or ends something, and every ten seconds of one that trains.
typedef struct {
    bool live;
    int lines;         // on the terminal
    double drawn;      // when
    double told[1024]; // when a line about run k was last printed
    hb_study_state state[1024];
} study_view;

static void clear_view(study_view *v) {
    if (v->lines > 0) printf("\r");
    for (; v->lines > 0; v->lines--) printf("\033[A\033[2K");
}

static void say_line(void *context, const char *line) {
    study_view *v = context;
    clear_view(v);
    puts(line);
    fflush(stdout);
}

static int row_text(const hb_study_row *r, char *out, size_t n) {
    static const char *const words[] = {"waiting", "training", "evaluating", "done", "skipped", "failed"};
    char left[32] = "";
    if (r->state == HB_STUDY_TRAINS && r->generation_seconds > 0)
        format_time(r->generation_seconds * (double)(r->generations - r->generation), left);
    char means[64] = "";
    if (!isnan(r->mean)) snprintf(means, sizeof means, "  mean %9.2f  best mean %9.2f", r->mean, r->best_mean);
    return snprintf(out, n, "%-28s %-10s %5lld/%lld%s%s%s", r->name, words[r->state], (long long)r->generation,
                    (long long)r->generations, *left ? "  left " : "", left, means);
}

// Seconds that are left to train, as far as the runs under way tell: those that wait are taken to be like them.
static double seconds_left(const hb_study_row *rows, int n, int jobs) {
    double each = 0, sum = 0, longest = 0;
    int known = 0, open = 0;
    for (int k = 0; k < n; k++) {
        each += rows[k].generation_seconds;
        known += rows[k].generation_seconds > 0;
    }
    for (int k = 0; k < n && known > 0; k++) {
        if (rows[k].state != HB_STUDY_WAITS && rows[k].state != HB_STUDY_TRAINS) continue;
        const double one = rows[k].generation_seconds > 0 ? rows[k].generation_seconds : each / known;
        const double seconds = one * (double)(rows[k].generations - rows[k].generation);
        longest = fmax(longest, seconds);
        sum += seconds;
        open++;
    }
    return open > 0 ? fmax(longest, sum / (open < jobs ? open : jobs)) : 0;
}

// A line of a screen of that width.
static void draw_line(study_view *v, const char *text, int width) {
    printf("%.*s\n", width - 1, text);
    v->lines++;
}

static void draw_view(study_view *v, const hb_study_row *rows, int n, int jobs) {
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const int width = size.ws_col > 1 ? size.ws_col : 80, height = size.ws_row > 4 ? size.ws_row : 24;
    int counts[6] = {0}, hidden = 0;
    char left[32], text[512];
    clear_view(v);
    for (int k = 0; k < n; k++) {
        counts[rows[k].state]++;
        if (rows[k].state != HB_STUDY_TRAINS && rows[k].state != HB_STUDY_EVALUATES) continue;
        row_text(&rows[k], text, sizeof text);
        if (v->lines < height - 3)
            draw_line(v, text, width);
        else
            hidden++;
    }
    format_time(seconds_left(rows, n, jobs), left);
    int at = snprintf(text, sizeof text, "%d runs: %d done, %d under way, %d waiting", n, counts[HB_STUDY_DONE],
                      counts[HB_STUDY_TRAINS] + counts[HB_STUDY_EVALUATES], counts[HB_STUDY_WAITS]);
    const char *const rest[] = {"skipped", "failed", "not shown"};
    const int numbers[] = {counts[HB_STUDY_SKIPPED], counts[HB_STUDY_FAILED], hidden};
    for (int k = 0; k < 3; k++)
        if (numbers[k]) at += snprintf(text + at, sizeof text - (size_t)at, ", %d %s", numbers[k], rest[k]);
    snprintf(text + at, sizeof text - (size_t)at, "; left about %s", left);
    draw_line(v, text, width);
}

static void on_study(void *context, const hb_study_row *rows, int n, int changed, int jobs) {
    study_view *v = context;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    const bool begun = v->state[changed] != rows[changed].state;
    v->state[changed] = rows[changed].state;
    if (v->live && (begun || now - v->drawn > 0.2)) {
        draw_view(v, rows, n, jobs);
        v->drawn = now;
    }
    if (!v->live && (begun || now - v->told[changed] > 10)) {
        char text[512];
        row_text(&rows[changed], text, sizeof text);
        puts(text);
        v->told[changed] = now;
    }
    fflush(stdout);
}

static hb_status run_study(const arguments *a, hb_error *error) {
    watch_signals();
    hb_study_def def = a->study;
    for (int k = 0; k < a->n_sets; k++)
        if (strncmp(a->sets[k], "run.seed=", 9) == 0 || strncmp(a->sets[k], "run.out=", 8) == 0)
            return hb_fail(error, HB_BAD_INPUT, "study: seeds and out stand in its file, found '%s'", a->sets[k]);
    def.sets = a->sets;
    def.n_sets = a->n_sets;
    def.path = a->argument;
    static study_view view;
    view.live = isatty(STDOUT_FILENO);
    def.say = say_line;
    def.progress = on_study;
    def.context = &view;
    return hb_study(&def, stop, error);
}

static hb_status run_probe(const arguments *a, hb_error *error) {
    if (!a->trace.out) return hb_fail(error, HB_BAD_INPUT, "probe: expected --out FOLDER");
    const hb_probe_def def = {.what = a->what ? a->what : "nothing",
                              .out = a->trace.out,
                              .steps = a->trace.steps,
                              .individual = a->trace.individual,
                              .at = a->at,
                              .variation = a->trace.variation};
    hb_probed probed;
    const hb_status status = hb_probe(a->argument, a->sets, a->n_sets, &def, &probed, error);
    if (status == HB_OK)
        printf("wrote %s: %lld %s, %lld steps\n", def.out, (long long)probed.lives,
               probed.lives == 1 ? "life" : "lives", (long long)probed.steps);
    return status;
}

static hb_status run_plot(const arguments *a, hb_error *error) {
    if (!a->trace.out) return hb_fail(error, HB_BAD_INPUT, "plot: expected --out FILE.png or FILE.svg");
    const hb_plot_def def = {a->sources, a->n_sources, a->sets, a->n_sets, a->coefficients, a->trace.out};
    const hb_status status = hb_plot(&def, error);
    if (status == HB_OK) printf("wrote %s\n", def.out);
    return status;
}

static hb_status run_digest(const arguments *a, hb_error *error) {
    char digest[33];
    const hb_status status = hb_digest(a->argument, a->sets, a->n_sets, digest, error);
    if (status == HB_OK) puts(digest);
    return status;
}

static hb_status run_info(const arguments *a, hb_error *error) {
    (void)a;
    (void)error;
    hb_info(stdout);
    return HB_OK;
}

static const command commands[] = {
    {"train", "CONFIG", 1, "evolve a population into a new run folder", run_train},
    {"resume", "RUN", 1, "go on with a run, to the same bits", run_resume},
    {"eval", "RUN", 1, "rollouts of the best (or last) checkpoint on every variation", run_eval},
    {"plan", "CONFIG", 1, "bytes and seconds, before anything runs", run_plan},
    {"bench", "WHAT", 0, "step, es, gmm, products, env, generation or all: each against its limit", run_bench},
    {"trace", "RUN|CONFIG", 1, "one life as HDF5: observations, actions, every weight of every step", run_trace},
    {"render", "RUN|CONFIG", 1, "a life as film (.mp4, by ffmpeg), strip (.png) or folder of pictures", run_render},
    {"study", "FILE", 1, "configurations x seeds x folds, as far as they are not done, and one table", run_study},
    {"probe", "RUN|CONFIG", 1, "an analysis of lives, its data and pictures: see --what", run_probe},
    {"plot", "RUN...|TABLE.csv", 1, "curves of runs, bars of a study, coefficients of a run: PNG or SVG, by gnuplot",
     run_plot},
    {"digest", "RUN", 1, "one hexadecimal digest of the search's state", run_digest},
    {"info", "", 0, "versions, devices, environments, rules", run_info},
};

// ---------------------------------------------------------------------------------------------------
// Arguments

enum {
    KEY_SET = 's',
    KEY_THREADS = 't',
    KEY_OUT = 'o',
    KEY_SEED = 1000,
    KEY_ENV,
    KEY_DEVICE,
    KEY_JSON,
    KEY_CONFIG,
    KEY_STEPS,
    KEY_INDIVIDUAL,
    KEY_VARIATION,
    KEY_SIZE,
    KEY_MOMENTS,
    KEY_DRY_RUN,
    KEY_TASK,
    KEY_JOBS,
    KEY_SKIP_CHANGED,
    KEY_FOLD,
    KEY_COEFFICIENTS,
    KEY_WHAT,
    KEY_AT
};

static const struct argp_option options[] = {
    {"set", KEY_SET, "KEY=VALUE", 0, "set a key of the configuration, such as search.lr=0.1; repeats", 1},
    {"threads", KEY_THREADS, "N", 0, "the same as --set run.threads=N", 1},
    {"seed", KEY_SEED, "N", 0, "the same as --set run.seed=N", 1},
    {"fold", KEY_FOLD, "NAME|all", 0,
     "train: hold out this of the variations that the configuration names, train on the others; all: each in turn",
     1},
    {"env", KEY_ENV, "NAME", 0, "the same as --set env.name=NAME", 1},
    {"device", KEY_DEVICE, "NAME", 0, "the same as --set run.device=NAME", 1},
    {"out", KEY_OUT, "PATH", 0, "train: the run's folder (run.out); trace, render, plot, probe: what is written", 1},
    {"json", KEY_JSON, NULL, 0, "bench: one JSON object a line", 2},
    {"config", KEY_CONFIG, "FILE", 0, "bench: the configuration to measure; default: the schema's defaults", 2},
    {"steps", KEY_STEPS, "T", 0, "trace, render, probe: policy steps at most [trace: 200]", 3},
    {"individual", KEY_INDIVIDUAL, "mean|K", 0, "trace, render, probe: the search's mean, or individual K [mean]", 3},
    {"variation", KEY_VARIATION, "NAME", 0, "trace, render, probe: the variation [the first of env.variations]", 3},
    {"size", KEY_SIZE, "WxH", 0, "render: pixels of a picture [500x400]", 3},
    {"moments", KEY_MOMENTS, "N", 0, "render: how many stand in a strip [8]", 3},
    {"what", KEY_WHAT, "NAME", 0,
     "probe: images, each layer's weights over the life; pca, their trajectory; freeze, returns where weights are "
     "kept from a "
     "step on; saturate, outputs held at 1 for 100 steps; zero, a third of the weights lost; init, other initial "
     "weights",
     3},
    {"at", KEY_AT, "STEP", 0, "probe: when saturate or zero disturb the life [300, 500]", 3},
    {"coefficients", KEY_COEFFICIENTS, NULL, 0,
     "plot: histograms of a run's coefficients, at the start and at its best", 3},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "study: only say what there is to do, with hours and bytes", 4},
    {"jobs", KEY_JOBS, "N", 0,
     "study: runs at once, which share the cores out among them [as many as there are cores]", 4},
    {"task", KEY_TASK, "K/N", 0,
     "study: the K-th of N shares of the runs, K from 1; the table comes when all are done", 4},
    {"skip-changed", KEY_SKIP_CHANGED, NULL, 0,
     "study: leave out runs whose folder holds another configuration or lacks a checkpoint", 4},
    {NULL, 0, NULL, 0, NULL, 0},
};

// Which commands read an option.
static const struct {
    int key;
    const char *commands; // each with a space before and behind
} readers[] = {
    {KEY_FOLD, " train "},
    {KEY_OUT, " train resume study trace render probe plot "}, // two of them say why not
    {KEY_JSON, " bench "},
    {KEY_CONFIG, " bench "},
    {KEY_STEPS, " trace render probe "},
    {KEY_INDIVIDUAL, " trace render probe "},
    {KEY_VARIATION, " trace render probe "},
    {KEY_SIZE, " render "},
    {KEY_MOMENTS, " render "},
    {KEY_WHAT, " probe "},
    {KEY_AT, " probe "},
    {KEY_COEFFICIENTS, " plot "},
    {KEY_DRY_RUN, " study "},
    {KEY_JOBS, " study "},
    {KEY_TASK, " study "},
    {KEY_SKIP_CHANGED, " study "},
    {KEY_SET, " train resume eval plan bench trace render probe plot study digest "},
    {KEY_THREADS, " train resume eval plan bench trace render probe study "},
    {KEY_SEED, " train plan bench trace render probe study "},
    {KEY_ENV, " train plan bench trace render probe "},
    {KEY_DEVICE, " train resume eval plan bench trace render probe study "},
};
enum { READERS = sizeof readers / sizeof *readers };

// An option that nobody would read is a mistake.
static bool is_read(const arguments *a, const char **option) {
    char own[32];
    snprintf(own, sizeof own, " %s ", a->command);
    for (int k = 0; k < READERS; k++) {
        if (!a->given[k] || strstr(readers[k].commands, own)) continue;
        for (const struct argp_option *o = options; o->name; o++)
            if (o->key == readers[k].key) *option = o->name;
        return false;
    }
    return true;
}

static void add_set(struct argp_state *state, const char *key, const char *value) {
    arguments *a = state->input;
    if (a->n_sets >= MAX_SETS - 1 || a->n_text == 16) argp_error(state, "too many settings");
    char *text = a->text[a->n_text++];
    snprintf(text, sizeof a->text[0], "%s=%s", key, value);
    a->sets[a->n_sets++] = text;
}

static void parse_count(struct argp_state *state, const char *option, const char *text, int64_t least, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (end == text || *end || *out < least || errno == ERANGE)
        argp_error(state, "--%s: expected a whole number from %lld, found '%s'", option, (long long)least, text);
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    arguments *a = state->input;
    for (int k = 0; k < READERS; k++) a->given[k] = a->given[k] || readers[k].key == key;
    switch (key) {
    case KEY_SET:
        if (a->n_sets >= MAX_SETS - 1) argp_error(state, "too many settings");
        a->sets[a->n_sets++] = text;
        return 0;
    case KEY_THREADS:
        add_set(state, "run.threads", text);
        return 0;
    case KEY_SEED:
        add_set(state, "run.seed", text);
        return 0;
    case KEY_ENV:
        add_set(state, "env.name", text);
        return 0;
    case KEY_DEVICE:
        add_set(state, "run.device", text);
        return 0;
    case KEY_OUT:
        a->trace.out = text;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_CONFIG:
        a->config = text;
        return 0;
    case KEY_STEPS:
        parse_count(state, "steps", text, 1, &a->trace.steps);
        return 0;
    case KEY_INDIVIDUAL:
        if (strcmp(text, "mean") == 0)
            a->trace.individual = -1;
        else
            parse_count(state, "individual", text, 0, &a->trace.individual);
        return 0;
    case KEY_VARIATION:
        a->trace.variation = text;
        return 0;
    case KEY_SIZE: {
        char rest;
        if (sscanf(text, "%dx%d%c", &a->width, &a->height, &rest) != 2 || a->width < 16 || a->height < 16 ||
            a->width > 1920 || a->height > 1920)
            argp_error(state, "--size: expected WxH, 16 to 1920 each, found '%s'", text);
        return 0;
    }
    case KEY_WHAT:
        a->what = text;
        return 0;
    case KEY_AT:
        parse_count(state, "at", text, 1, &a->at);
        return 0;
    case KEY_COEFFICIENTS:
        a->coefficients = true;
        return 0;
    case KEY_FOLD:
        a->fold = text;
        return 0;
    case KEY_DRY_RUN:
        a->study.dry_run = true;
        return 0;
    case KEY_SKIP_CHANGED:
        a->study.skip_changed = true;
        return 0;
    case KEY_JOBS: {
        int64_t jobs;
        parse_count(state, "jobs", text, 1, &jobs);
        a->study.jobs = jobs < 256 ? (int)jobs : 256;
        return 0;
    }
    case KEY_TASK: {
        char rest;
        if (sscanf(text, "%d/%d%c", &a->study.task, &a->study.tasks, &rest) != 2 || a->study.task < 1 ||
            a->study.task > a->study.tasks)
            argp_error(state, "--task: expected K/N with K from 1 to N, found '%s'", text);
        a->study.task--;
        return 0;
    }
    case KEY_MOMENTS:
        parse_count(state, "moments", text, 1, &a->moments);
        if (a->moments > 64) argp_error(state, "--moments: expected at most 64, found '%s'", text);
        return 0;
    case ARGP_KEY_ARG:
        if (!a->command)
            a->command = text;
        else if (a->n_sources == 0 || (strcmp(a->command, "plot") == 0 && a->n_sources < 64))
            a->sources[a->n_sources++] = text;
        else
            argp_error(state, "unexpected argument '%s'", text);
        a->argument = a->sources[0];
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// --help ends with the commands and with the schema itself.
static char *help_text(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC) return (char *)(uintptr_t)text;
    char *out = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&out, &n);
    if (!memory) return NULL;
    fprintf(memory, "Commands:\n");
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++)
        fprintf(memory, "  %-7s %-11s %s\n", commands[k].name, commands[k].argument, commands[k].summary);
    fprintf(memory, "\nConfiguration keys, with their defaults in brackets:\n");
    hb_config *config = NULL;
    if (hb_config_open(NULL, NULL, 0, &config, NULL) == HB_OK) {
        hb_config_describe(config, memory);
        hb_config_close(config);
    }
    fclose(memory);
    return out;
}

static const command *find_command(const char *name) {
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++)
        if (strcmp(commands[k].name, name) == 0) return &commands[k];
    return NULL;
}

// A descriptor that was closed must not become one of the run's files.
static void open_standard_streams(void) {
    for (int k = 0; k <= 2; k++)
        if (fcntl(k, F_GETFD) < 0 && open("/dev/null", k ? O_WRONLY : O_RDONLY) != k) _exit(HB_FAILED);
}

const char *argp_program_version = "hebbes " HB_VERSION;

int main(int argc, char **argv) {
    open_standard_streams();
    static arguments a = {
        .trace = {.individual = -1}, .width = 500, .height = 400, .moments = 8, .study = {.tasks = 1}};
    const struct argp parser = {.options = options,
                                .parser = parse_option,
                                .args_doc = "COMMAND [ARGUMENT]",
                                .doc = "Evolve networks that learn while they live.\v",
                                .help_filter = help_text};
    argp_err_exit_status = HB_BAD_INPUT;
    program = argv[0];
    argv[0] = "hebbes";                        // what argp begins its messages with
    setenv("ARGP_HELP_FMT", "rmargin=160", 0); // the schema's lines stay lines
    argp_parse(&parser, argc, argv, 0, NULL, &a);
    const command *chosen = find_command(a.command ? a.command : "");
    if (!chosen || (chosen->required && !a.argument)) {
        if (chosen)
            fprintf(stderr, "hebbes: %s: expected %s; see hebbes --help\n", chosen->name, chosen->argument);
        else
            fprintf(stderr,
                    "hebbes: expected a command (train, resume, eval, plan, bench, trace, render, probe, plot, "
                    "study, digest, "
                    "info), found "
                    "'%s'; see hebbes --help\n",
                    a.command ? a.command : "nothing");
        return HB_BAD_INPUT;
    }
    const char *unread = NULL;
    if (!is_read(&a, &unread)) {
        fprintf(stderr, "hebbes: %s: no option of it is called --%s; see hebbes --help\n", chosen->name, unread);
        return HB_BAD_INPUT;
    }
    char out[512];
    snprintf(out, sizeof out, "run.out=%s", a.trace.out ? a.trace.out : "");
    const bool trains = chosen->run == run_train || chosen->run == run_resume || chosen->run == run_study;
    if (a.trace.out && trains && !a.fold && a.n_sets < MAX_SETS) a.sets[a.n_sets++] = out;
    hb_error error = {""};
    hb_status status = chosen->run(&a, &error);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == HB_OK)
        status = hb_fail(&error, HB_FAILED, "standard output: cannot be written");
    if (status != HB_OK) fprintf(stderr, "hebbes: %s\n", error.message);
    return (int)status;
}
