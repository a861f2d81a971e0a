#include "host/study.h"
#include "host/run.h"

#include <libgen.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RUNS 1024

typedef struct {
    hb_study_runs runs;
    const hb_study_def *def;
    const hb_stop *stop;
} study;

static void say(study *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(study *s, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (s->def->say) s->def->say(s->def->context, line);
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
    const char *sets[HB_MAX_LIST + HB_STUDY_SETS + 4];
    char seed[64], out[HB_PATH + 16];
    int n = 0;
    for (int32_t k = 0; k < runs->file.sets.n; k++) sets[n++] = runs->file.sets.item[k];
    for (int k = 0; k < runs->n_sets && k < HB_STUDY_SETS; k++) sets[n++] = runs->sets[k];
    snprintf(seed, sizeof seed, "run.seed=%lld", (long long)run->seed);
    snprintf(out, sizeof out, "run.out=%s", run->folder);
    sets[n++] = seed;
    sets[n++] = out;
    hb_status status = hb_config_open(run->config_path, sets, n, config, error);
    if (status != HB_OK || !*run->fold) return status;
    char variations[HB_FOLD], held_out[HB_FOLD];
    hb_config_fold_sets(*config, run->fold, variations, held_out);
    hb_config_close(*config);
    sets[n++] = held_out;
    sets[n++] = variations;
    return hb_config_open(run->config_path, sets, n, config, error);
}

// A configuration's file, as the study's file names it.
static bool find_config(const hb_study_file *file, const char *config, char path[HB_PATH]) {
    char copy[HB_PATH];
    snprintf(copy, sizeof copy, "%s", file->path);
    return *config == '/' ? put(path, HB_PATH, "%s", config) : put(path, HB_PATH, "%s/%s", dirname(copy), config);
}

static hb_status add_run(study *s, const char *config, const char *fold, int64_t seed, hb_error *error) {
    const hb_study_file *file = &s->runs.file;
    if (s->runs.n_runs == MAX_RUNS)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected at most %d runs, found more", file->path, MAX_RUNS);
    hb_study_run *run = &s->runs.run[s->runs.n_runs];
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
    for (int k = 0; k < s->runs.n_runs; k++)
        if (strcmp(s->runs.run[k].name, run->name) == 0)
            return hb_fail(error, HB_BAD_INPUT, "%s: two runs are called '%s'", file->path, run->name);
    s->runs.n_runs++;
    return HB_OK;
}

// Runs of one configuration: every seed, of every fold where folds are asked for.
static hb_status add_config(study *s, const char *config, hb_error *error) {
    const hb_study_file *file = &s->runs.file;
    hb_study_run probe = {.seed = 1};
    hb_config *opened = NULL;
    hb_status status = HB_OK;
    if (file->folds) {
        find_config(file, config, probe.config_path);
        status = hb_study_config(&s->runs, &probe, &opened, error);
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

// The last row of metrics.csv: its generation and its mean; 0 where there is none.
static int64_t last_generation(const char *folder, double *mean) {
    char path[HB_PATH];
    void *text = NULL;
    size_t n = 0;
    long long generation = 0;
    hb_path(path, folder, "metrics.csv");
    if (hb_file_read(path, (size_t)1 << 30, &text, &n, NULL) != HB_OK) return 0;
    char *line = text;
    while (n > 0 && line[n - 1] == '\n') line[--n] = '\0';
    char *last = strrchr(line, '\n');
    if (!last || sscanf(last + 1, "%lld,%lf", &generation, mean) != 2) generation = 0;
    free(text);
    return generation;
}

// Finds out what is there; a folder with a run of another configuration is refused or, if the user says so, left alone.
static hb_status look_at_run(study *s, hb_study_run *run, hb_error *error) {
    hb_config *ours = NULL, *theirs = NULL;
    hb_status status = hb_study_config(&s->runs, run, &ours, error);
    if (status != HB_OK) return status;
    run->generations = ours->settings.generations;
    char path[HB_PATH], difference[HB_DIFFERENCE] = "";
    hb_path(path, run->folder, "config.yaml");
    if (access(path, F_OK) == 0) {
        status = hb_config_open(path, NULL, 0, &theirs, error);
        double mean = 0;
        run->done = last_generation(run->folder, &mean);
        run->finished = run->done >= run->generations || (run->done > 0 && mean > ours->settings.stop_mean);
        if (status == HB_OK && run->done > run->generations)
            snprintf(difference, sizeof difference, "expected run.generations=%lld, found %lld done",
                     (long long)run->generations, (long long)run->done);
        else if (status == HB_OK && !hb_config_differs(ours, theirs->identity, difference))
            difference[0] = '\0';
        if (status == HB_OK && *difference) {
            run->skipped = s->def->skip_changed;
            if (!run->skipped)
                status =
                    hb_fail(error, HB_BAD_INPUT,
                            "%s holds a run of another configuration: %s; move it away, or --skip-changed leaves it "
                            "out",
                            run->folder, difference);
        }
    }
    hb_config_close(theirs);
    hb_config_close(ours);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Training

typedef struct {
    study *study;
    const hb_study_run *run;
    double told; // s, of the monotonic clock
} watch;

static void on_progress(void *context, const hb_progress *p) {
    watch *w = context;
    const double now = hb_now();
    if (p->generation < p->generations && now - w->told < 10) return;
    w->told = now;
    say(w->study, "%-40s generation %5lld/%lld  mean %9.2f  best mean %9.2f", w->run->name, (long long)p->generation,
        (long long)p->generations, p->mean, p->best_mean);
}

static void on_note(void *context, const char *line) {
    watch *w = context;
    say(w->study, "%s: %s", w->run->name, line);
}

// Keys that change none of a run's bits, as the study has them today: they go on to a run that is there already.
static const char *const free_keys[] = {"run.generations", "run.threads",     "run.device",    "run.checkpoint_every",
                                        "env.held_out",    "eval.rollouts",   "eval.protocol", "eval.checkpoint",
                                        "eval.init",       "search.stop_mean"};
enum { FREE_KEYS = sizeof free_keys / sizeof *free_keys };

static hb_status with_free_keys(const hb_config *config, hb_error *error,
                                hb_status (*what)(const char *const *sets, int n, void *context, hb_error *error),
                                void *context) {
    char text[FREE_KEYS][HB_TEXT + 64];
    const char *sets[FREE_KEYS];
    for (int k = 0; k < FREE_KEYS; k++) {
        snprintf(text[k], sizeof text[k], "%s=%s", free_keys[k], hb_config_value(config, free_keys[k]));
        sets[k] = text[k];
    }
    return what(sets, FREE_KEYS, context, error);
}

typedef struct {
    const hb_study_run *run;
    const hb_hooks *hooks;
} resuming;

static hb_status resume_with(const char *const *sets, int n, void *context, hb_error *error) {
    const resuming *r = context;
    return hb_resume(r->run->folder, sets, n, r->hooks, error);
}

static hb_status train_run(study *s, hb_study_run *run, hb_error *error) {
    watch w = {s, run, 0};
    const hb_hooks hooks = {.progress = on_progress, .note = on_note, .context = &w, .stop = s->stop};
    char path[HB_PATH];
    if (run->skipped) say(s, "%-40s skipped: its folder holds a run of another configuration", run->name);
    if (run->skipped || run->finished) return HB_OK;
    hb_path(path, run->folder, "config.yaml");
    hb_config *config;
    hb_status status = hb_study_config(&s->runs, run, &config, error);
    if (status != HB_OK) return status;
    if (access(path, F_OK) == 0)
        status = with_free_keys(config, error, resume_with, &(resuming){run, &hooks});
    else
        status = hb_train(config, &hooks, error);
    hb_config_close(config);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Evaluation, kept in the run's folder with what it was made from

static void evaluation_stamp(const hb_study_run *run, const hb_config *config, char out[HB_TEXT]) {
    const hb_settings *e = &config->settings;
    double mean;
    snprintf(out, HB_TEXT, "# generation %lld, rollouts %lld, protocol %s, checkpoint %s, init %s, unseen %s",
             (long long)last_generation(run->folder, &mean), (long long)e->rollouts, e->protocol, e->eval_checkpoint,
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

static hb_status evaluate_with(const char *const *sets, int n, void *context, hb_error *error) {
    hb_study_run *run = context;
    const hb_status status = hb_evaluate(run->folder, sets, n, add_row, run, error);
    return status == HB_OK && run->n_rows == 0 ? hb_fail(error, HB_FAILED, "out of memory evaluating") : status;
}

static hb_status evaluate_run(study *s, hb_study_run *run, hb_error *error) {
    hb_config *config;
    hb_status status = hb_study_config(&s->runs, run, &config, error);
    if (status != HB_OK) return status;
    char stamp[HB_TEXT];
    evaluation_stamp(run, config, stamp);
    if (load_evaluation(run, stamp)) {
        hb_config_close(config);
        return HB_OK;
    }
    run->n_rows = 0;
    say(s, "%-40s evaluating", run->name);
    status = with_free_keys(config, error, evaluate_with, run);
    hb_config_close(config);
    return status == HB_OK ? save_evaluation(run, stamp, error) : status;
}

// ---------------------------------------------------------------------------------------------------
// All of it

// Every run is a process of its own, because HDF5 serves one thread at a time: `jobs` of them at once. What a child says goes
// where ours goes; how it ended comes back through a pipe.
typedef struct {
    pid_t pid; // 0: none
    int result;
    bool told; // to stop: once, because a third signal would end it at once
    const char *name;
} child;

typedef struct {
    hb_status status;
    hb_error error;
} ending;

static bool stopped(const study *s) {
    return s->stop && hb_stop_requested(s->stop);
}

static hb_status live_run(study *s, hb_study_run *run, hb_error *error) {
    const hb_status status = train_run(s, run, error);
    if (status == HB_OK && stopped(s))
        return hb_fail(error, HB_INTERRUPTED, "stopped on request before an evaluation");
    return status == HB_OK && !run->skipped ? evaluate_run(s, run, error) : status;
}

static hb_status start_child(study *s, hb_study_run *run, child *c, hb_error *error) {
    int ends[2];
    const pid_t parent = getpid();
    if (pipe(ends) != 0) return hb_fail(error, HB_FAILED, "no pipe for a run: %m");
    fflush(stdout);
    *c = (child){.pid = fork(), .name = run->name};
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); // nobody trains on for a study that is gone
        if (getppid() != parent) _exit(1);
        close(ends[0]);
        ending how = {.error = {""}};
        how.status = live_run(s, run, &how.error);
        const bool told = write(ends[1], &how, sizeof how) == (ssize_t)sizeof how;
        _exit(told ? 0 : 1);
    }
    close(ends[1]);
    c->result = ends[0];
    if (c->pid > 0) return HB_OK;
    c->pid = 0;
    close(ends[0]);
    return hb_fail(error, HB_FAILED, "no process for a run: %m");
}

// Waits for some child; passes a stop on to all. The first failure is the study's.
static hb_status wait_for_one(const study *s, child *children, int jobs, hb_error *error) {
    for (;; usleep(20000))
        for (int k = 0; k < jobs; k++) {
            child *c = &children[k];
            if (c->pid == 0) continue;
            if (stopped(s) && !c->told) c->told = kill(c->pid, SIGTERM) == 0;
            int how;
            if (waitpid(c->pid, &how, WNOHANG) == 0) continue;
            ending end = {HB_OK, {""}};
            if (read(c->result, &end, sizeof end) != (ssize_t)sizeof end)
                end.status = hb_fail(&end.error, HB_FAILED, "%s: the run's process died", c->name);
            close(c->result);
            c->pid = 0;
            if (end.status != HB_OK && error) *error = end.error;
            return end.status;
        }
}

static int alive(const child *children, int jobs) {
    int n = 0;
    for (int k = 0; k < jobs; k++) n += children[k].pid > 0;
    return n;
}

// Keeps the study's first failure; others are told where they happen, and the runs that can go on do.
static void keep(study *s, hb_status *status, hb_error *error, hb_status ended, const hb_error *why) {
    if (ended == HB_OK) return;
    if (ended != HB_INTERRUPTED) say(s, "failed: %s", why->message);
    if (*status != HB_OK) return;
    *status = ended;
    if (error) *error = *why;
}

static hb_status work(study *s, hb_error *error) {
    child children[64] = {{.pid = 0}};
    const int jobs = s->def->jobs < 64 ? s->def->jobs : 64;
    hb_status status = HB_OK;
    hb_error why = {""};
    for (int k = s->def->task; k < s->runs.n_runs && !stopped(s); k += s->def->tasks) {
        if (alive(children, jobs) == jobs) keep(s, &status, error, wait_for_one(s, children, jobs, &why), &why);
        int free_place = 0;
        while (children[free_place].pid) free_place++;
        if (!stopped(s)) keep(s, &status, error, start_child(s, &s->runs.run[k], &children[free_place], &why), &why);
    }
    while (alive(children, jobs) > 0) keep(s, &status, error, wait_for_one(s, children, jobs, &why), &why);
    return status == HB_OK && stopped(s)
               ? hb_fail(error, HB_INTERRUPTED, "stopped on request; the same command goes on")
               : status;
}

// What there is to do, with hours from lives of the first generation.
static hb_status plan(study *s, hb_error *error) {
    double least_hours = 0, most_hours = 0;
    say(s, "%-40s %12s %18s %12s", "run", "generations", "hours left", "memory");
    for (int k = 0; k < s->runs.n_runs && !stopped(s); k++) {
        const hb_study_run *run = &s->runs.run[k];
        hb_config *config;
        hb_plan_figures figures = {0, 0, 0};
        hb_status status = hb_study_config(&s->runs, run, &config, error);
        if (status != HB_OK) return status;
        if (!run->finished && !run->skipped) status = hb_plan_numbers(config, &figures, error);
        hb_config_close(config);
        if (status != HB_OK) return status;
        const double left = (double)(run->generations - run->done) / 3600;
        char hours[32] = "done";
        if (run->skipped) snprintf(hours, sizeof hours, "skipped");
        if (!run->finished && !run->skipped)
            snprintf(hours, sizeof hours, "%.2f to %.2f", figures.least_seconds * left, figures.most_seconds * left);
        least_hours += figures.least_seconds * left;
        most_hours += figures.most_seconds * left;
        say(s, "%-40s %5lld/%-6lld %18s %9.0f MB", run->name, (long long)run->done, (long long)run->generations,
            hours, figures.bytes / 1e6);
    }
    say(s, "all: %.1f to %.1f hours, one run at a time; lives as short as at the start, or all to their last step",
        least_hours, most_hours);
    return HB_OK;
}

static hb_status run_study(study *s, hb_error *error) {
    hb_status status = hb_study_read(s->def->path, &s->runs.file, error);
    if (status == HB_OK) status = hb_study_check(&s->runs.file, error);
    for (int32_t k = 0; k < s->runs.file.configs.n && status == HB_OK; k++)
        status = add_config(s, s->runs.file.configs.item[k], error);
    for (int k = 0; k < s->runs.n_runs && status == HB_OK; k++) status = look_at_run(s, &s->runs.run[k], error);
    if (status != HB_OK) return status;
    if (s->def->dry_run) return plan(s, error);
    status = work(s, error);
    if (status != HB_OK || s->def->tasks > 1) return status;
    for (int k = 0; k < s->runs.n_runs && status == HB_OK; k++) { // as the children left them
        if (stopped(s))
            status = hb_fail(error, HB_INTERRUPTED, "stopped on request; the same command goes on");
        else if (!s->runs.run[k].skipped)
            status = evaluate_run(s, &s->runs.run[k], error);
    }
    if (status == HB_OK) status = hb_study_table(&s->runs, error);
    if (status == HB_OK) say(s, "wrote %s/table.md and table.csv", s->runs.file.out);
    return status;
}

hb_status hb_study(const hb_study_def *def, const hb_stop *stop, hb_error *error) {
    study *s = calloc(1, sizeof *s);
    hb_study_run *runs = calloc(MAX_RUNS, sizeof *runs);
    hb_status status = s && runs ? HB_OK : hb_fail(error, HB_FAILED, "out of memory opening a study");
    if (status == HB_OK) {
        s->def = def;
        s->stop = stop;
        s->runs.run = runs;
        s->runs.sets = def->sets;
        s->runs.n_sets = def->n_sets;
        status = run_study(s, error);
        for (int k = 0; k < s->runs.n_runs; k++) {
            free(runs[k].row);
            free(runs[k].text);
        }
    }
    free(runs);
    free(s);
    return status;
}
