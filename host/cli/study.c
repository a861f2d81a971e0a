// hebbes study
#include "host/cli/cli.h"
#include "kernels/error.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The progress of a study. On a terminal: one line per active run and one for all, rewritten. Elsewhere: a line whenever a run
// changes its state, and every ten seconds while it trains.
typedef struct {
    bool live;
    int lines;                  // on the terminal
    double drawn;               // when, in seconds
    double told[HB_STUDY_RUNS]; // when a line about run k was last printed, in seconds
    hb_study_state state[HB_STUDY_RUNS];
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
        hb_format_time(r->generation_seconds * (double)(r->generations - r->generation), left);
    char means[64] = "";
    if (!isnan(r->mean)) snprintf(means, sizeof means, "  mean %9.2f  best mean %9.2f", r->mean, r->best_mean);
    return snprintf(out, n, "%-28s %-10s %5lld/%lld%s%s%s", r->name, words[r->state], (long long)r->generation,
                    (long long)r->generations, *left ? "  left " : "", left, means);
}

// An estimate of the seconds left to train: waiting runs are assumed to be like the active ones.
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
    hb_format_time(seconds_left(rows, n, jobs), left);
    int at = snprintf(text, sizeof text, "%d runs: %d done, %d active, %d waiting", n, counts[HB_STUDY_DONE],
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
    const double now = seconds_now();
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

static hb_status parse_task(const hb_cli *cli, hb_study_def *def, hb_error *error) {
    const char *text = hb_cli_value(cli, "task");
    char rest;
    def->tasks = 1;
    if (!text) return HB_OK;
    if (sscanf(text, "%d/%d%c", &def->task, &def->tasks, &rest) != 2 || def->task < 1 || def->task > def->tasks)
        return hb_fail(error, HB_BAD_INPUT, "--task: expected K/N with K from 1 to N, found '%s'", text);
    def->task--;
    return HB_OK;
}

static hb_status run_study(const hb_cli *cli, hb_error *error) {
    static study_view view;
    view.live = isatty(STDOUT_FILENO);
    hb_study_def def = {.path = cli->argument[0],
                        .sets = cli->sets,
                        .n_sets = cli->n_sets,
                        .dry_run = hb_cli_value(cli, "dry-run"),
                        .skip_changed = hb_cli_value(cli, "skip-changed"),
                        .say = say_line,
                        .progress = on_study,
                        .context = &view};
    for (int k = 0; k < cli->n_sets; k++)
        if (strncmp(cli->sets[k], "run.seed=", 9) == 0 || strncmp(cli->sets[k], "run.out=", 8) == 0)
            return hb_fail(error, HB_BAD_INPUT, "study: seeds and out are set in its file, found '%s'", cli->sets[k]);
    if (hb_cli_value(cli, "out"))
        return hb_fail(error, HB_BAD_INPUT, "study: seeds and out are set in its file, found '--out'");
    int64_t jobs;
    hb_status status = parse_task(cli, &def, error);
    if (status == HB_OK) status = hb_cli_count(cli, "jobs", 1, 256, 0, &jobs, error);
    if (status != HB_OK) return status;
    def.jobs = (int)jobs;
    return hb_study(&def, hb_stop_on_signals(), error);
}

static const hb_cli_option options[] = {
    HB_CLI_SET,
    HB_CLI_THREADS,
    HB_CLI_SEED,
    HB_CLI_DEVICE,
    {"out", 'o', "FOLDER", NULL, "refused: the study's file names its folder"},
    {"dry-run", 0, NULL, NULL, "only list the runs, with hours and memory"},
    {"jobs", 0, "N", NULL, "runs at the same time, which share the cores [as many as there are cores]"},
    {"task", 0, "K/N", NULL, "only the K-th of N shares of the runs, K from 1; the table is made when all are done"},
    {"skip-changed", 0, NULL, NULL, "leave out runs whose folder holds another configuration or lacks a checkpoint"},
    {.name = NULL}};
const hb_command hb_command_study = {
    "study", "FILE",   1, 1, "train and evaluate configurations x seeds x folds that are missing; one table",
    options, run_study};
