// The runs that a study asks for, and how far each of them is.
#include "host/base/csv.h"
#include "host/run/folder.h"
#include "host/run/run.h"
#include "host/study/study.h"

#include <libgen.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// The runs of a study

// Formats text; false if it does not fit.
static bool put(char *out, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool put(char *out, size_t n, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(out, n, format, args);
    va_end(args);
    return length >= 0 && (size_t)length < n;
}

// A bad setting among those of the study's own file is blamed on that, not on --set.
static hb_status blame_file(const hb_study_runs *runs, const hb_study_run *run, hb_status status, hb_error *error) {
    static const char blamed[] = "--set: ";
    const char *sets[HB_MAX_LIST];
    hb_config *config = NULL;
    hb_error why = {""};
    if (!error || strncmp(error->message, blamed, strlen(blamed)) != 0) return status;
    for (int32_t k = 0; k < runs->file.sets.n; k++) sets[k] = runs->file.sets.item[k];
    if (hb_config_open(run->config_path, sets, runs->file.sets.n, &config, &why) == HB_OK)
        hb_config_close(config);
    else if (strncmp(why.message, blamed, strlen(blamed)) == 0)
        return hb_fail(error, status, "%s:%d: set: %s", runs->file.path, runs->file.set_line,
                       why.message + strlen(blamed));
    return status;
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
    if (status != HB_OK) return blame_file(runs, run, status, error);
    const int plain = n;
    if (runs->threads > 0 && hb_config_is_default(*config, "run.threads")) {
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

// The path of a configuration that the study's file names.
static bool find_config(const hb_study_file *file, const char *config, char path[HB_PATH]) {
    char copy[HB_PATH];
    snprintf(copy, sizeof copy, "%s", file->path);
    return *config == '/' ? put(path, HB_PATH, "%s", config) : put(path, HB_PATH, "%s/%s", dirname(copy), config);
}

static hb_status add_run(hb_study_runs *s, const char *config, const char *fold, int64_t seed, hb_error *error) {
    const hb_study_file *file = &s->file;
    if (s->n_runs == HB_STUDY_RUNS)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected at most %d runs, found more", file->path, HB_STUDY_RUNS);
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

hb_status hb_study_add_config(hb_study_runs *s, const char *config, hb_error *error) {
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

// The population mean of that generation in metrics.csv; NAN if there is none.
static double mean_of_generation(const char *folder, int64_t generation) {
    char path[HB_PATH];
    hb_csv csv;
    double number, mean, found = NAN;
    hb_path(path, folder, "metrics.csv");
    if (hb_csv_read(path, (size_t)1 << 30, &csv, NULL) != HB_OK) return NAN;
    const int generations = hb_csv_column(&csv, "generation"), means = hb_csv_column(&csv, "mean");
    for (int k = 0; k < csv.n_rows; k++)
        if (hb_csv_number(&csv, k, generations, &number) && number == (double)generation &&
            hb_csv_number(&csv, k, means, &mean))
            found = mean;
    hb_csv_free(&csv);
    return found;
}

// True if the run cannot be continued; `why` receives the reason.
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
    else if (run->done > 0 && ours->settings.eval.checkpoint == HB_CHECKPOINT_BEST && access(best, F_OK) != 0)
        snprintf(why, n, "lacks checkpoints/best.h5, which eval.checkpoint asks for");
    else
        return false;
    return true;
}

// Finds out how far the run in its folder is. A folder that cannot be continued is refused or, with skip_changed, left alone.
hb_status hb_study_inspect(hb_study_runs *s, hb_study_run *run, hb_error *error) {
    hb_config *ours = NULL, *theirs = NULL;
    hb_status status = hb_study_config(s, run, &ours, error);
    if (status != HB_OK) return status;
    run->generations = ours->settings.run.generations;
    run->done = -1;
    hb_error unread = {""};
    char path[HB_PATH], why[HB_DIFFERENCE + 64] = "";
    hb_path(path, run->folder, "config.yaml");
    const bool may_begin = hb_run_may_begin(run->folder); // asked first: another task may begin the run meanwhile
    if (access(path, F_OK) != 0) {
        if (!may_begin) snprintf(why, sizeof why, "is not empty, and holds no run");
    } else if (hb_config_open_moved(path, ours, &theirs, &unread) != HB_OK) {
        snprintf(why, sizeof why, "holds a run that cannot be read: %s", unread.message);
    } else {
        run->done = hb_folder_newest(run->folder);
        run->finished =
            run->done >= run->generations ||
            (run->done > 0 && mean_of_generation(run->folder, run->done) > ours->settings.search.stop_mean);
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
