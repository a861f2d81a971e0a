#include "host/study/study.h"
#include "host/base/locale.h"
#include "host/run/run.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void hb_study_say(const hb_study_runs *s, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    s->say(s->context, line);
}

void hb_study_set_state(hb_study_runs *s, int k, hb_study_state state) {
    s->row[k].state = state;
    s->progress(s->context, k);
}

bool hb_study_stopped(const hb_study_runs *s) {
    return s->stop && hb_stop_requested(s->stop);
}

// Lists the runs with hours estimated from lives of the first generation.
static hb_status plan(const hb_study_runs *s, hb_error *error) {
    double least_hours = 0, most_hours = 0;
    hb_study_say(s, "%-40s %12s %18s %12s", "run", "generations", "hours left", "memory");
    for (int k = s->def->task; k < s->n_runs; k += s->def->tasks) {
        if (hb_study_stopped(s)) return hb_fail(error, HB_INTERRUPTED, "stopped on request; nothing was to be done");
        const hb_study_run *run = &s->run[k];
        hb_config *config;
        hb_plan_figures figures = {0, 0, 0};
        hb_status status = hb_study_config(s, run, &config, error);
        if (status != HB_OK) return status;
        if (!run->finished && !run->skipped) status = hb_plan_numbers(config, &figures, error);
        hb_config_close(config);
        if (status != HB_OK) return status;
        const int64_t done = run->done > 0 ? run->done : 0;
        const double left = (double)(run->generations - done) / 3600;
        char hours[32] = "done";
        if (run->skipped) snprintf(hours, sizeof hours, "skipped");
        if (!run->finished && !run->skipped)
            snprintf(hours, sizeof hours, "%.2f to %.2f", figures.least_seconds * left, figures.most_seconds * left);
        least_hours += figures.least_seconds * left;
        most_hours += figures.most_seconds * left;
        hb_study_say(s, "%-40s %5lld/%-6lld %18s %9.0f MB", run->name, (long long)done, (long long)run->generations,
                     hours, figures.bytes / 1e6);
    }
    hb_study_say(
        s, "all: %.1f to %.1f hours, one run at a time; lives as short as at the start, or all to their last step",
        least_hours, most_hours);
    return HB_OK;
}

// True if host threads do the work of that device. Queries the device in a child process: once CUDA is initialised, forked children
// cannot use it.
static bool computes_on_host(const char *name) {
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        const hb_device_table *device;
        _exit(hb_device_find(name, &device, NULL) == HB_OK && !device->host_parallel ? 1 : 0);
    }
    int how = 0;
    while (pid > 0 && waitpid(pid, &how, 0) < 0 && errno == EINTR) {
    }
    return !(WIFEXITED(how) && WEXITSTATUS(how) == 1);
}

// Chooses how many runs train at once: one per core with an equal share of the threads, or one on a card.
static hb_status share_out(hb_study_runs *s, hb_error *error) {
    int left = 0;
    for (int k = s->def->task; k < s->n_runs; k += s->def->tasks) left += !s->run[k].finished && !s->run[k].skipped;
    hb_config *config;
    const hb_status status = hb_study_config(s, &s->run[0], &config, error);
    if (status != HB_OK) return status;
    const int cores = (int)hb_usable_cores(),
              most = computes_on_host(hb_config_value(config, "run.device")) ? cores : 1;
    hb_config_close(config);
    s->jobs = s->def->jobs > 0 ? s->def->jobs : most;
    if (s->jobs > left) s->jobs = left;
    if (s->jobs < 1) s->jobs = 1;
    s->threads = cores / s->jobs > 0 ? cores / s->jobs : 1;
    return HB_OK;
}

// The table of the runs that are done.
static hb_status make_table(hb_study_runs *s, hb_error *error) {
    hb_status status = HB_OK;
    for (int k = 0; k < s->n_runs && status == HB_OK; k++) // from the files that the child processes wrote
        if (s->row[k].state == HB_STUDY_DONE) status = hb_study_evaluate(s, k, error);
    if (status == HB_OK) status = hb_study_table(s, error);
    if (status == HB_OK) hb_study_say(s, "wrote %s/table.md and table.csv", s->file.out);
    return status;
}

static hb_status run_study(hb_study_runs *s, hb_error *error) {
    hb_status status = hb_study_read(s->def->path, &s->file, error);
    for (int32_t k = 0; k < s->file.configs.n && status == HB_OK; k++)
        status = hb_study_add_config(s, s->file.configs.item[k], error);
    if (status == HB_OK) status = hb_study_check(s, error);
    for (int k = 0; k < s->n_runs && status == HB_OK; k++) {
        hb_study_run *run = &s->run[k];
        status = hb_study_inspect(s, run, error);
        s->row[k] = (hb_study_row){.name = run->name,
                                   .state = run->skipped ? HB_STUDY_SKIPPED : HB_STUDY_WAITS,
                                   .generation = run->done > 0 ? run->done : 0,
                                   .generations = run->generations,
                                   .mean = NAN,
                                   .best_mean = NAN};
    }
    if (status == HB_OK && s->def->dry_run) return plan(s, error);
    if (status == HB_OK) status = share_out(s, error);
    if (status != HB_OK) return status;
    status = hb_study_work(s, hb_study_live, error);
    if (hb_study_stopped(s))
        return hb_fail(error, HB_INTERRUPTED, "stopped on request; repeat the command to continue");
    if (s->def->tasks > 1) return status;
    const hb_status table =
        make_table(s, status == HB_OK ? error : NULL); // a failed run is reported rather than its effect on the table
    return status == HB_OK ? table : status;
}

static void say_out(void *context, const char *line) {
    const hb_study_runs *s = context;
    if (s->def->say) s->def->say(s->def->context, line);
}

static void progress_out(void *context, int k) {
    const hb_study_runs *s = context;
    if (s->def->progress) s->def->progress(s->def->context, s->row, s->n_runs, k, s->jobs);
}

hb_status hb_study(const hb_study_def *def, const hb_stop *stop, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_study_runs *s = calloc(1, sizeof *s);
    hb_study_run *runs = calloc(HB_STUDY_RUNS, sizeof *runs);
    hb_study_row *rows = calloc(HB_STUDY_RUNS, sizeof *rows);
    hb_status status = s && runs && rows ? HB_OK : hb_fail(error, HB_FAILED, "out of memory opening a study");
    if (status == HB_OK) {
        *s = (hb_study_runs){.def = def,
                             .stop = stop,
                             .run = runs,
                             .row = rows,
                             .say = say_out,
                             .progress = progress_out,
                             .context = s};
        status = run_study(s, error);
        for (int k = 0; k < s->n_runs; k++) {
            free(runs[k].row);
            free(runs[k].text);
        }
    }
    free(rows);
    free(runs);
    free(s);
    return status;
}
