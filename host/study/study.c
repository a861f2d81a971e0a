#include "host/study/study.h"
#include "host/run/run.h"
#include "kernels/device.h"

#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RUNS 1024

static void say(const hb_study_runs *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const hb_study_runs *s, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    s->say(s->context, line);
}

void hb_study_tell(hb_study_runs *s, int k, hb_study_state state) {
    s->row[k].state = state;
    s->progress(s->context, k);
}

bool hb_study_stopped(const hb_study_runs *s) {
    return s->stop && hb_stop_requested(s->stop);
}

// ---------------------------------------------------------------------------------------------------
// The runs of a study

// A text that fits, or none at all.
static bool put(char *out, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool put(char *out, size_t n, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(out, n, format, args);
    va_end(args);
    return length >= 0 && (size_t)length < n;
}

hb_status hb_study_config(const hb_study_runs *runs, const hb_study_run *run, hb_config **config, hb_error *error) {
    const char *sets[HB_MAX_LIST + HB_STUDY_SETS + 5];
    char seed[64], out[HB_PATH + 16], threads[64], variations[HB_FOLD], held_out[HB_FOLD];
    int n = 0;
    for (int32_t k = 0; k < runs->file.sets.n; k++) sets[n++] = runs->file.sets.item[k];
    for (int k = 0; k < runs->def->n_sets && k < HB_STUDY_SETS; k++) sets[n++] = runs->def->sets[k];
    snprintf(seed, sizeof seed, "run.seed=%lld", (long long)run->seed);
    snprintf(out, sizeof out, "run.out=%s", run->folder);
    sets[n++] = seed;
    sets[n++] = out;
    const hb_status status = hb_config_open(run->config_path, sets, n, config, error);
    if (status != HB_OK) return status;
    const int plain = n;
    if (runs->threads > 0 && strcmp((*config)->source[hb_config_find(*config, "run.threads")], "default") == 0) {
        snprintf(threads, sizeof threads, "run.threads=%lld", (long long)runs->threads);
        sets[n++] = threads;
    }
    if (*run->fold) {
        hb_config_fold_sets(*config, run->fold, variations, held_out);
        sets[n++] = held_out;
        sets[n++] = variations;
    }
    if (n == plain) return HB_OK;
    hb_config_close(*config);
    return hb_config_open(run->config_path, sets, n, config, error);
}

// A configuration's file, as the study's file names it.
static bool find_config(const hb_study_file *file, const char *config, char path[HB_PATH]) {
    char copy[HB_PATH];
    snprintf(copy, sizeof copy, "%s", file->path);
    return *config == '/' ? put(path, HB_PATH, "%s", config) : put(path, HB_PATH, "%s/%s", dirname(copy), config);
}

static hb_status add_run(hb_study_runs *s, const char *config, const char *fold, int64_t seed, hb_error *error) {
    const hb_study_file *file = &s->file;
    if (s->n_runs == MAX_RUNS)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected at most %d runs, found more", file->path, MAX_RUNS);
    hb_study_run *run = &s->run[s->n_runs];
    *run = (hb_study_run){.seed = seed};
    char name[HB_TEXT];
    bool fits = find_config(file, config, run->config_path);
    snprintf(name, sizeof name, "%s", config);
    snprintf(run->config_name, HB_TEXT, "%s", basename(name));
    char *dot = strrchr(run->config_name, '.');
    if (dot && dot != run->config_name) *dot = '\0';
    snprintf(run->fold, HB_TEXT, "%s", fold);
    fits = fits && put(run->name, HB_TEXT, "%s%s%s-seed%lld", run->config_name, *fold ? "-without-" : "", fold,
                       (long long)seed);
    fits = fits && put(run->folder, HB_PATH, "%s/%s", file->out, run->name);
    if (!fits) return hb_fail(error, HB_BAD_INPUT, "%s: a name is too long: '%s'", file->path, config);
    if (strpbrk(run->name, ",|\"\n"))
        return hb_fail(error, HB_BAD_INPUT, "%s: a table's name has no ',', '|' or '\"', found '%s'", file->path,
                       run->name);
    for (int k = 0; k < s->n_runs; k++)
        if (strcmp(s->run[k].name, run->name) == 0)
            return hb_fail(error, HB_BAD_INPUT, "%s: two runs are called '%s'", file->path, run->name);
    s->n_runs++;
    return HB_OK;
}

// Runs of one configuration: every seed, of every fold where folds are asked for.
static hb_status add_config(hb_study_runs *s, const char *config, hb_error *error) {
    const hb_study_file *file = &s->file;
    hb_study_run probe = {.seed = 1};
    hb_config *opened = NULL;
    hb_status status = HB_OK;
    if (file->folds) {
        find_config(file, config, probe.config_path);
        status = hb_study_config(s, &probe, &opened, error);
    }
    for (int f = 0; status == HB_OK && (f == 0 || file->folds); f++) {
        const char *fold = file->folds ? hb_config_fold(opened, f) : "";
        if (!fold) break;
        for (int32_t k = 0; k < file->seeds.n && status == HB_OK; k++)
            status = add_run(s, config, fold, file->seeds.item[k], error);
    }
    hb_config_close(opened);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// How far a run is

// The population mean of that generation in metrics.csv; NAN where there is none.
static double mean_of_generation(const char *folder, int64_t generation) {
    char path[HB_PATH];
    void *text = NULL;
    size_t n = 0;
    double found = NAN;
    hb_path(path, folder, "metrics.csv");
    if (hb_file_read(path, (size_t)1 << 30, &text, &n, NULL) != HB_OK) return NAN;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        long long number;
        double mean;
        if (sscanf(line, "%lld,%lf", &number, &mean) == 2 && number == generation) found = mean;
    }
    free(text);
    return found;
}

// Why a run cannot be gone on with, into why; false where it can.
static bool is_stuck(const hb_study_run *run, const hb_config *ours, const hb_config *theirs,
                     char why[HB_DIFFERENCE + 64]) {
    char difference[HB_DIFFERENCE], best[HB_PATH], checkpoints[HB_PATH];
    hb_path(checkpoints, run->folder, "checkpoints");
    hb_path(best, checkpoints, "best.h5");
    const size_t n = HB_DIFFERENCE + 64;
    if (hb_config_differs(ours, theirs->identity, difference))
        snprintf(why, n, "holds a run of another configuration: %s", difference);
    else if (run->done < 0)
        snprintf(why, n, "has no checkpoint");
    else if (run->done > run->generations)
        snprintf(why, n, "holds a longer run: expected run.generations=%lld, found %lld done",
                 (long long)run->generations, (long long)run->done);
    else if (run->done > 0 && strcmp(ours->settings.eval_checkpoint, "best") == 0 && access(best, F_OK) != 0)
        snprintf(why, n, "lacks checkpoints/best.h5, which eval.checkpoint asks for");
    else
        return false;
    return true;
}

// Finds out what is there; a folder with what cannot be gone on with is refused or, if the user says so, left alone.
static hb_status look_at_run(hb_study_runs *s, hb_study_run *run, hb_error *error) {
    hb_config *ours = NULL, *theirs = NULL;
    hb_status status = hb_study_config(s, run, &ours, error);
    if (status != HB_OK) return status;
    run->generations = ours->settings.generations;
    run->done = -1;
    hb_error unread = {""};
    char path[HB_PATH], why[HB_DIFFERENCE + 64] = "";
    hb_path(path, run->folder, "config.yaml");
    const bool may_begin = hb_run_may_begin(run->folder); // asked first: another task may begin the run meanwhile
    if (access(path, F_OK) != 0) {
        if (!may_begin) snprintf(why, sizeof why, "is not empty, and holds no run");
    } else if (hb_config_open(path, NULL, 0, &theirs, &unread) != HB_OK) {
        snprintf(why, sizeof why, "holds a run that cannot be read: %s", unread.message);
    } else {
        run->done = hb_run_generation(run->folder);
        run->finished = run->done >= run->generations ||
                        (run->done > 0 && mean_of_generation(run->folder, run->done) > ours->settings.stop_mean);
        if (!is_stuck(run, ours, theirs, why)) why[0] = '\0';
    }
    run->skipped = *why && s->def->skip_changed;
    if (*why && !run->skipped)
        status =
            hb_fail(error, HB_BAD_INPUT, "%s %s; move it away, or --skip-changed leaves it out", run->folder, why);
    hb_config_close(theirs);
    hb_config_close(ours);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Training

typedef struct {
    hb_study_runs *study;
    int k;
} watch;

static void on_progress(void *context, const hb_progress *p) {
    const watch *w = context;
    hb_study_row *row = &w->study->row[w->k];
    const double before = row->generation_seconds;
    // Lives get longer as they get better: the last generations tell more than the average.
    row->generation_seconds = before > 0 ? 0.8 * before + 0.2 * p->seconds : p->seconds;
    row->generation = p->generation;
    row->mean = p->mean;
    row->best_mean = p->best_mean;
    hb_study_tell(w->study, w->k, HB_STUDY_TRAINS);
}

static void on_note(void *context, const char *line) {
    const watch *w = context;
    say(w->study, "%s: %s", w->study->run[w->k].name, line);
}

static hb_status train_run(hb_study_runs *s, int k, hb_error *error) {
    const hb_study_run *run = &s->run[k];
    watch w = {s, k};
    const hb_hooks hooks = {.progress = on_progress, .note = on_note, .context = &w, .stop = s->stop};
    if (run->finished) return HB_OK;
    hb_config *config;
    hb_status status = hb_study_config(s, run, &config, error);
    if (status != HB_OK) return status;
    hb_study_tell(s, k, HB_STUDY_TRAINS);
    status = hb_train_on(config, &hooks, error);
    hb_config_close(config);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Evaluation, kept in the run's folder with what it was made from

static void evaluation_stamp(const hb_study_run *run, const hb_config *config, char out[HB_TEXT]) {
    const hb_settings *e = &config->settings;
    snprintf(out, HB_TEXT, "# generation %lld, rollouts %lld, protocol %s, checkpoint %s, init %s, unseen %s",
             (long long)hb_run_generation(run->folder), (long long)e->rollouts, e->protocol, e->eval_checkpoint,
             e->eval_init, hb_config_value(config, "env.held_out"));
}

static void add_row(void *context, const hb_evaluation *e) {
    hb_study_run *run = context;
    hb_evaluation *row = realloc(run->row, (size_t)(run->n_rows + 1) * sizeof *row);
    char(*text)[2][64] = row ? realloc(run->text, (size_t)(run->n_rows + 1) * sizeof *text) : NULL;
    if (row) run->row = row;
    if (text) run->text = text;
    if (!row || !text) return; // a missing row is a hole in the table
    snprintf(text[run->n_rows][0], 64, "%s", e->variation);
    snprintf(text[run->n_rows][1], 64, "%s", e->protocol);
    row[run->n_rows++] = *e;
}

static hb_status save_evaluation(const hb_study_run *run, const char *stamp, hb_error *error) {
    char path[HB_PATH], *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (!memory) return hb_fail(error, HB_FAILED, "out of memory saving an evaluation");
    fprintf(memory, "%s\nvariation,protocol,held_out,rollouts,mean,sd,standard_error,steps,diverged\n", stamp);
    for (int k = 0; k < run->n_rows; k++) {
        const hb_evaluation *e = &run->row[k];
        fprintf(memory, "%s,%s,%d,%lld,%.9g,%.9g,%.9g,%.9g,%lld\n", run->text[k][0], run->text[k][1], e->held_out,
                (long long)e->rollouts, e->mean, e->sd, e->standard_error, e->steps, (long long)e->diverged);
    }
    fclose(memory);
    hb_path(path, run->folder, "evaluation.csv");
    const hb_status status = hb_file_write(path, text, n, error);
    free(text);
    return status;
}

// Rows of an evaluation that was made from the same checkpoint in the same way; false where there is none.
static bool load_evaluation(hb_study_run *run, const char *stamp) {
    char path[HB_PATH];
    void *text = NULL;
    size_t n = 0;
    hb_path(path, run->folder, "evaluation.csv");
    if (hb_file_read(path, 1 << 24, &text, &n, NULL) != HB_OK) return false;
    const size_t stamped = strlen(stamp);
    bool same = strncmp(text, stamp, stamped) == 0 && ((char *)text)[stamped] == '\n';
    char *rest = NULL;
    strtok_r(text, "\n", &rest);
    strtok_r(NULL, "\n", &rest); // the header
    for (char *line = strtok_r(NULL, "\n", &rest); same && line; line = strtok_r(NULL, "\n", &rest)) {
        char variation[64], protocol[64];
        int held_out;
        long long rollouts, diverged;
        hb_evaluation e = {.variation = variation, .protocol = protocol};
        same = sscanf(line, "%63[^,],%63[^,],%d,%lld,%lf,%lf,%lf,%lf,%lld", variation, protocol, &held_out, &rollouts,
                      &e.mean, &e.sd, &e.standard_error, &e.steps, &diverged) == 9;
        e.held_out = held_out, e.rollouts = rollouts, e.diverged = diverged;
        if (same) add_row(run, &e);
    }
    free(text);
    return same && run->n_rows > 0;
}

static hb_status evaluate_run(hb_study_runs *s, int k, hb_error *error) {
    hb_study_run *run = &s->run[k];
    hb_config *config;
    hb_status status = hb_study_config(s, run, &config, error);
    if (status != HB_OK) return status;
    char stamp[HB_TEXT];
    evaluation_stamp(run, config, stamp);
    if (!load_evaluation(run, stamp)) {
        run->n_rows = 0;
        hb_study_tell(s, k, HB_STUDY_EVALUATES);
        status = hb_evaluate_as(config, run->folder, add_row, run, s->stop, error);
        if (status == HB_OK && run->n_rows == 0) status = hb_fail(error, HB_FAILED, "out of memory evaluating");
        if (status == HB_OK) status = save_evaluation(run, stamp, error);
    }
    hb_config_close(config);
    return status;
}

hb_status hb_study_live(hb_study_runs *s, int k, hb_error *error) {
    if (s->run[k].skipped) {
        say(s, "%-40s skipped: its folder holds no run that could go on", s->run[k].name);
        return HB_OK;
    }
    hb_status status = train_run(s, k, error);
    if (status == HB_OK && hb_study_stopped(s))
        status = hb_fail(error, HB_INTERRUPTED, "stopped on request before an evaluation");
    if (status == HB_OK) status = evaluate_run(s, k, error);
    if (status == HB_OK) hb_study_tell(s, k, HB_STUDY_DONE);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// All of it

// What there is to do, with hours from lives of the first generation.
static hb_status plan(const hb_study_runs *s, hb_error *error) {
    double least_hours = 0, most_hours = 0;
    say(s, "%-40s %12s %18s %12s", "run", "generations", "hours left", "memory");
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
        say(s, "%-40s %5lld/%-6lld %18s %9.0f MB", run->name, (long long)done, (long long)run->generations, hours,
            figures.bytes / 1e6);
    }
    say(s, "all: %.1f to %.1f hours, one run at a time; lives as short as at the start, or all to their last step",
        least_hours, most_hours);
    return HB_OK;
}

// Do host threads compute on that device? A process of its own asks: a card that a process has once looked at cannot be used
// in those that it forks.
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

// As many runs at once as there are cores, where these do the work, each with its share of them; on a card one.
static hb_status share_out(hb_study_runs *s, hb_error *error) {
    int left = 0;
    for (int k = s->def->task; k < s->n_runs; k += s->def->tasks) left += !s->run[k].finished && !s->run[k].skipped;
    hb_config *config;
    const hb_status status = hb_study_config(s, &s->run[0], &config, error);
    if (status != HB_OK) return status;
    const int cores = (int)hb_usable_cores(), most = computes_on_host(config->settings.device) ? cores : 1;
    hb_config_close(config);
    s->jobs = s->def->jobs > 0 ? s->def->jobs : most;
    if (s->jobs > left) s->jobs = left;
    if (s->jobs < 1) s->jobs = 1;
    s->threads = cores / s->jobs > 0 ? cores / s->jobs : 1;
    return HB_OK;
}

// Of the runs that are done.
static hb_status make_table(hb_study_runs *s, hb_error *error) {
    hb_status status = HB_OK;
    for (int k = 0; k < s->n_runs && status == HB_OK; k++) // as the runs' processes left them
        if (s->row[k].state == HB_STUDY_DONE) status = evaluate_run(s, k, error);
    if (status == HB_OK) status = hb_study_table(s, error);
    if (status == HB_OK) say(s, "wrote %s/table.md and table.csv", s->file.out);
    return status;
}

static hb_status run_study(hb_study_runs *s, hb_error *error) {
    hb_status status = hb_study_read(s->def->path, &s->file, error);
    for (int32_t k = 0; k < s->file.configs.n && status == HB_OK; k++)
        status = add_config(s, s->file.configs.item[k], error);
    if (status == HB_OK) status = hb_study_check(s, error);
    for (int k = 0; k < s->n_runs && status == HB_OK; k++) {
        hb_study_run *run = &s->run[k];
        status = look_at_run(s, run, error);
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
    status = hb_study_work(s, error);
    if (hb_study_stopped(s)) return hb_fail(error, HB_INTERRUPTED, "stopped on request; the same command goes on");
    if (s->def->tasks > 1) return status;
    const hb_status table = make_table(s, status == HB_OK ? error : NULL); // the first failure is the study's
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
    hb_study_runs *s = calloc(1, sizeof *s);
    hb_study_run *runs = calloc(MAX_RUNS, sizeof *runs);
    hb_study_row *rows = calloc(MAX_RUNS, sizeof *rows);
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
