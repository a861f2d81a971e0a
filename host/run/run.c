#include "host/run/run.h"
#include "host/base/files.h"
#include "host/hebbes.h"
#include "host/run/checkpoint.h"
#include "host/run/metrics.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct hb_stop {
    atomic_bool requested;
};

hb_stop *hb_stop_create(void) {
    return calloc(1, sizeof(hb_stop));
}

void hb_stop_destroy(hb_stop *stop) {
    free(stop);
}

void hb_stop_request(hb_stop *stop) {
    atomic_store(&stop->requested, true);
}

const atomic_bool *hb_stop_flag(const hb_stop *stop) {
    return stop ? &stop->requested : NULL;
}

bool hb_stop_requested(const hb_stop *stop) {
    return atomic_load(&stop->requested);
}

typedef struct {
    const hb_hooks *hooks;
    char folder[HB_PATH];
    FILE *log;
    hb_trainer trainer;
    hb_metrics *metrics;
    double save; // seconds since the last row of metrics
} run;

// ---------------------------------------------------------------------------------------------------
// The folder

__attribute__((format(printf, 2, 3))) static void tell_log(run *r, const char *format, ...) {
    char stamp[32];
    const time_t now = time(NULL);
    struct tm utc;
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    fprintf(r->log, "%s ", stamp);
    va_list args;
    va_start(args, format);
    vfprintf(r->log, format, args);
    va_end(args);
    fputc('\n', r->log);
    fflush(r->log);
}

static void note(void *context, const char *line) {
    run *r = context;
    tell_log(r, "%s", line);
    if (r->hooks && r->hooks->note) r->hooks->note(r->hooks->context, line);
}

// The log is the run's lock, too: one process at a time trains a run.
static hb_status open_log(run *r, hb_error *error) {
    char path[HB_PATH];
    hb_path(path, r->folder, "log.txt");
    r->log = fopen(path, "ae");
    if (!r->log) return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    struct stat ours, there;
    if (flock(fileno(r->log), LOCK_EX | LOCK_NB) == 0 && fstat(fileno(r->log), &ours) == 0 &&
        stat(path, &there) == 0 && ours.st_ino == there.st_ino) // and not what another one has just removed
        return HB_OK;
    fclose(r->log);
    r->log = NULL;
    return hb_fail(error, HB_BAD_INPUT, "%s: another process is training this run", r->folder);
}

static hb_status make_folder(const char *path, hb_error *error) {
    char parent[HB_PATH];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(parent, 0755);
        *slash = '/';
    }
    if (mkdir(path, 0755) == 0) return HB_OK;
    if (errno != EEXIST) return hb_fail(error, HB_BAD_INPUT, "%s: cannot be created: %s", path, strerror(errno));
    char config[HB_PATH];
    hb_path(config, path, "config.yaml");
    if (access(config, F_OK) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a folder that does not exist yet", path);
    return hb_fail(error, HB_BAD_INPUT,
                   "%s: expected a folder that does not exist yet, found a run; 'hebbes resume %s' goes on with it",
                   path, path);
}

// run.out, or the first free of runs/NAME-seedS, runs/NAME-seedS-2, ...
static void choose_folder(const hb_config *config, char folder[HB_PATH]) {
    if (*config->settings.out) {
        snprintf(folder, HB_PATH, "%s", config->settings.out);
        for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--) folder[n - 1] = '\0';
        return;
    }
    char copy[HB_TEXT], name[HB_TEXT];
    snprintf(copy, sizeof copy, "%s", *config->path ? config->path : config->env->name);
    snprintf(name, sizeof name, "%s", basename(copy));
    char *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = '\0';
    for (int k = 1; k < 10000; k++) {
        char again[16] = "";
        if (k > 1) snprintf(again, sizeof again, "-%d", k);
        snprintf(folder, HB_PATH, "runs/%s-seed%lld%s", name, (long long)config->settings.seed, again);
        if (access(folder, F_OK) != 0) return;
    }
}

static hb_status save_config(const run *r, hb_error *error) {
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (!memory) return hb_fail(error, HB_FAILED, "out of memory saving the config");
    const hb_config *config = r->trainer.config;
    const hb_machine *machine = &r->trainer.machine;
    fprintf(memory, "# hebbes %s, device %s (%s)", HB_VERSION, machine->table->name,
            machine->table->variant(machine->device));
    if (config->env->library) fprintf(memory, ", %s %s", config->env->library, config->env->library_version());
    fputc('\n', memory);
    hb_status status = hb_config_write(config, memory, error);
    fclose(memory);
    char path[HB_PATH];
    hb_path(path, r->folder, "config.yaml");
    if (status == HB_OK) status = hb_file_write(path, text, n, error);
    free(text);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Checkpoints

// gen-NNNNNN.h5, so that names sort as generations do.
static int is_checkpoint(const struct dirent *entry) {
    const char *name = entry->d_name;
    return strncmp(name, "gen-", 4) == 0 && strspn(name + 4, "0123456789") == 6 && strcmp(name + 10, ".h5") == 0;
}

static int64_t generation_of(const char *name) {
    return strtoll(name + 4, NULL, 10);
}

static void checkpoint_path(const run *r, const char *name, char path[HB_PATH]) {
    char folder[HB_PATH];
    hb_path(folder, r->folder, "checkpoints");
    hb_path(path, folder, name);
}

// Removes all but the last k up to the generation just saved. Later files are of no use any more: damaged or
// foreign ones that were passed over.
static void prune(const run *r) {
    char folder[HB_PATH];
    hb_path(folder, r->folder, "checkpoints");
    struct dirent **list;
    const int n = scandir(folder, &list, is_checkpoint, alphasort);
    int64_t kept = 0;
    for (int k = n - 1; k >= 0; k--) {
        char path[HB_PATH];
        checkpoint_path(r, list[k]->d_name, path);
        const bool later = generation_of(list[k]->d_name) > r->trainer.search.generation;
        if (later || kept++ >= r->trainer.settings->keep_checkpoints) unlink(path);
        free(list[k]);
    }
    if (n >= 0) free(list);
}

static hb_status save(run *r, const char *name, hb_error *error) {
    const double begun = hb_now();
    char path[HB_PATH];
    checkpoint_path(r, name, path);
    const hb_status status = hb_checkpoint_save(&r->trainer, path, error);
    r->save += hb_now() - begun;
    return status;
}

static hb_status save_generation(run *r, hb_error *error) {
    char name[32];
    snprintf(name, sizeof name, "gen-%06lld.h5", (long long)r->trainer.search.generation);
    const hb_status status = save(r, name, error);
    if (status == HB_OK) prune(r);
    return status;
}

hb_status hb_run_load(hb_trainer *trainer, const char *folder, const char *which,
                      void (*tell)(void *context, const char *line), void *context, hb_error *error) {
    char checkpoints[HB_PATH], path[HB_PATH];
    hb_path(checkpoints, folder, "checkpoints");
    hb_path(path, checkpoints, "best.h5");
    const bool best = strcmp(which, "best") == 0;
    if (best && access(path, F_OK) == 0) return hb_checkpoint_load(trainer, path, error);
    struct dirent **list;
    const int n = scandir(checkpoints, &list, is_checkpoint, alphasort);
    if (n < 0) return hb_fail(error, HB_BAD_INPUT, "%s: expected a run's folder with checkpoints in it", folder);
    hb_status status = hb_fail(error, HB_BAD_INPUT, "%s: no checkpoint is there", folder);
    for (int k = n - 1; k >= 0; k--) {
        hb_error why;
        hb_path(path, checkpoints, list[k]->d_name);
        if (status != HB_OK) {
            status = hb_checkpoint_load(trainer, path, &why);
            if (status == HB_OK && trainer->search.generation != generation_of(list[k]->d_name))
                status = hb_fail(&why, HB_BAD_INPUT, "%s: holds generation %lld", path,
                                 (long long)trainer->search.generation);
            if (status != HB_OK && tell) tell(context, why.message);
            if (status != HB_OK && error) *error = why;
        }
        free(list[k]);
    }
    free(list);
    if (status == HB_OK && best && trainer->search.generation > 0)
        return hb_fail(error, HB_BAD_INPUT, "%s/best.h5 is missing; --set eval.checkpoint=last takes the last one",
                       checkpoints);
    return status;
}

int64_t hb_run_generation(const char *folder) {
    char checkpoints[HB_PATH];
    hb_path(checkpoints, folder, "checkpoints");
    struct dirent **list;
    const int n = scandir(checkpoints, &list, is_checkpoint, alphasort);
    const int64_t generation = n > 0 ? generation_of(list[n - 1]->d_name) : -1;
    for (int k = 0; k < n; k++) free(list[k]);
    if (n >= 0) free(list);
    return generation;
}

// ---------------------------------------------------------------------------------------------------
// Generations

static void report_progress(const run *r, const hb_generation *g) {
    if (!r->hooks || !r->hooks->progress) return;
    const double seconds = g->seconds > 0 ? g->seconds : 1e-9;
    const hb_progress progress = {.generation = g->generation,
                                  .generations = r->trainer.settings->generations,
                                  .mean = g->mean,
                                  .sd = g->sd,
                                  .max = g->max,
                                  .steps_per_second = (double)g->env_steps / seconds,
                                  .seconds = g->seconds,
                                  .physics_share = g->physics / seconds,
                                  .policy_share = g->policy / seconds,
                                  .update_share = g->update / seconds,
                                  .best_mean = r->trainer.best_mean};
    r->hooks->progress(r->hooks->context, &progress);
}

// One generation with all that is written about it. The best checkpoint holds the search before its update:
// the distribution whose population did so well.
static hb_status generation(run *r, bool *solved, hb_error *error) {
    hb_trainer *trainer = &r->trainer;
    hb_generation report;
    const atomic_bool *stop = hb_stop_flag(r->hooks ? r->hooks->stop : NULL);
    hb_status status = hb_trainer_live(trainer, &report, stop, error);
    if (status != HB_OK) return status;
    if (report.mean > trainer->best_mean) {
        trainer->best_mean = report.mean;
        status = save(r, "best.h5", error);
        if (status != HB_OK) return status;
    }
    status = hb_trainer_update(trainer, &report, error);
    if (status != HB_OK) return status;
    status = hb_metrics_add(r->metrics, &report, r->save, error);
    r->save = 0;
    if (status != HB_OK) return status;
    report_progress(r, &report);
    *solved = report.mean > trainer->settings->stop_mean;
    if (trainer->search.generation % trainer->settings->checkpoint_every == 0) status = save_generation(r, error);
    return status;
}

static hb_status train(run *r, hb_error *error) {
    hb_trainer *trainer = &r->trainer;
    hb_status status = HB_OK;
    if (trainer->search.generation >= trainer->settings->generations)
        note(r, "nothing is left to do; train on with --set run.generations=N");
    bool solved = trainer->best_mean > trainer->settings->stop_mean; // a run that ended so is not resumed
    while (status == HB_OK && !solved && trainer->search.generation < trainer->settings->generations)
        status = generation(r, &solved, error);
    if (status != HB_OK && status != HB_INTERRUPTED) return status;
    hb_error why;
    const hb_status saved = save_generation(r, &why);
    if (saved != HB_OK) {
        if (error) *error = why;
        return saved;
    }
    tell_log(r, status == HB_OK ? "done: %lld generations" : "interrupted after %lld generations",
             (long long)trainer->search.generation);
    if (status == HB_INTERRUPTED)
        return hb_fail(error, status, "stopped on request after %lld generations; 'hebbes resume %s' goes on",
                       (long long)trainer->search.generation, r->folder);
    return HB_OK;
}

static void close_run(run *r) {
    hb_metrics_close(r->metrics);
    hb_trainer_close(&r->trainer);
    if (r->log) fclose(r->log);
    free(r);
}

// "auto" tells in one line why a better device was passed over.
static void tell_device(run *r) {
    for (int32_t k = 0; k < hb_n_devices && hb_devices[k] != r->trainer.machine.table; k++) {
        hb_error why = {""};
        char line[sizeof why.message + 64];
        if (strcmp(r->trainer.settings->device, "auto") != 0 || hb_devices[k]->probe(&why) == HB_OK) continue;
        snprintf(line, sizeof line, "device '%s' is not used: %s; running on '%s'", hb_devices[k]->name, why.message,
                 r->trainer.machine.table->name);
        note(r, line);
    }
}

static hb_status begin(run *r, hb_error *error) {
    tell_device(r);
    hb_status status = hb_metrics_open(&r->trainer, r->folder, &r->metrics, error);
    if (status != HB_OK) return status;
    if (r->hooks && r->hooks->started) r->hooks->started(r->hooks->context, r->folder, r->trainer.search.generation);
    return train(r, error);
}

// A run that could not start leaves nothing behind; nor does one that was killed before it began.
static void remove_folder(const run *r) {
    static const char *const names[] = {"checkpoints/gen-000000.h5" HB_PARTIAL,
                                        "checkpoints/gen-000000.h5",
                                        "checkpoints",
                                        "config.yaml" HB_PARTIAL,
                                        "config.yaml",
                                        "log.txt",
                                        ""};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[HB_PATH];
        hb_path(path, r->folder, names[k]);
        remove(path);
    }
}

static int is_foreign(const struct dirent *entry) {
    static const char *const ours[] = {
        ".", "..", "checkpoints", "gen-000000.h5", "gen-000000.h5" HB_PARTIAL, "config.yaml" HB_PARTIAL, "log.txt"};
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
        if (strcmp(entry->d_name, ours[k]) == 0) return 0;
    return 1;
}

// How many entries a folder has that are foreign; -1 where it cannot be read.
static int count_foreign(const char *folder) {
    struct dirent **list;
    const int n = scandir(folder, &list, is_foreign, NULL);
    for (int k = 0; k < n; k++) free(list[k]);
    if (n >= 0) free(list);
    return n;
}

// Is there nothing but what a run leaves that is killed before it has its configuration? An empty folder, too.
static bool are_remains(const char *folder) {
    char checkpoints[HB_PATH], log[HB_PATH];
    struct stat about;
    hb_path(checkpoints, folder, "checkpoints");
    hb_path(log, folder, "log.txt");
    return count_foreign(folder) == 0 && (access(checkpoints, F_OK) != 0 || count_foreign(checkpoints) == 0) &&
           (stat(log, &about) != 0 || about.st_size == 0);
}

bool hb_run_may_begin(const char *folder) {
    return access(folder, F_OK) != 0 || are_remains(folder);
}

// A folder for a run: new, or one that holds nothing but remains, which are overwritten.
static hb_status take_folder(const run *r, hb_error *error) {
    return are_remains(r->folder) ? HB_OK : make_folder(r->folder, error);
}

// The configuration comes last: where it stands, there is a run to resume.
static hb_status prepare_folder(run *r, hb_error *error) {
    char checkpoints[HB_PATH];
    hb_path(checkpoints, r->folder, "checkpoints");
    hb_status status = open_log(r, error);
    if (status == HB_OK && !are_remains(r->folder)) { // somebody was faster, and it is theirs
        fclose(r->log);
        r->log = NULL;
        return make_folder(r->folder, error);
    }
    if (status == HB_OK && access(checkpoints, F_OK) != 0) status = make_folder(checkpoints, error);
    if (status == HB_OK) status = save_generation(r, error);
    return status == HB_OK ? save_config(r, error) : status;
}

static hb_status fresh(run *r, hb_error *error) {
    hb_status status = take_folder(r, error);
    if (status != HB_OK) return status;
    status = prepare_folder(r, error);
    if (status != HB_OK) {
        if (r->log) remove_folder(r); // and nobody else's
        return status;
    }
    tell_log(r, "hebbes %s starts a run", HB_VERSION);
    return begin(r, error);
}

static hb_status train_in(const hb_config *config, const char *folder, const hb_hooks *hooks, hb_error *error) {
    run *r = calloc(1, sizeof *r);
    if (!r) return hb_fail(error, HB_FAILED, "out of memory");
    r->hooks = hooks;
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    hb_status status = HB_OK;
    if (access(folder, F_OK) == 0) status = take_folder(r, error); // says what to do, before all else
    if (status == HB_OK) status = hb_trainer_open(config, &r->trainer, error);
    if (status == HB_OK) status = fresh(r, error);
    close_run(r);
    return status;
}

hb_status hb_train(const hb_config *config, const hb_hooks *hooks, hb_error *error) {
    char folder[HB_PATH];
    choose_folder(config, folder);
    return train_in(config, folder, hooks, error);
}

// What of the sets would make a run another one.
static hb_status refuse_change(const char *folder, const hb_config *saved, const hb_config *config, hb_error *error) {
    char difference[HB_DIFFERENCE];
    if (hb_config_differs(saved, config->identity, difference))
        return hb_fail(error, HB_BAD_INPUT, "%s: --set would make this another run: %s; train it anew instead",
                       folder, difference);
    if (strcmp(saved->settings.out, config->settings.out) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: run.out: a run stays where it is", folder);
    return HB_OK;
}

hb_status hb_run_config(const char *folder, const char *const *sets, int n_sets, hb_config **result,
                        hb_error *error) {
    char path[HB_PATH];
    hb_path(path, folder, "config.yaml");
    hb_config *saved = NULL, *config = NULL;
    hb_status status = hb_config_open(path, NULL, 0, &saved, error);
    if (status == HB_OK) status = hb_config_open(path, sets, n_sets, &config, error);
    if (status == HB_OK) status = refuse_change(folder, saved, config, error);
    hb_config_close(saved);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    *result = config;
    return HB_OK;
}

// Goes on with the run in `folder` by that configuration, which is the run's.
static hb_status resume_in(const hb_config *config, const char *folder, const hb_hooks *hooks, hb_error *error) {
    run *r = calloc(1, sizeof *r);
    if (!r) return hb_fail(error, HB_FAILED, "out of memory");
    r->hooks = hooks;
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    hb_status status = open_log(r, error);
    if (status == HB_OK) status = hb_trainer_open(config, &r->trainer, error);
    if (status == HB_OK) status = hb_run_load(&r->trainer, folder, "last", note, r, error);
    if (status == HB_OK) status = save_config(r, error);
    if (status == HB_OK) {
        tell_log(r, "hebbes %s resumes after %lld generations", HB_VERSION, (long long)r->trainer.search.generation);
        status = begin(r, error);
    }
    close_run(r);
    return status;
}

hb_status hb_resume(const char *folder, const char *const *sets, int n_sets, const hb_hooks *hooks, hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_run_config(folder, sets, n_sets, &config, error);
    if (status == HB_OK) status = resume_in(config, folder, hooks, error);
    hb_config_close(config);
    return status;
}

hb_status hb_train_on(const hb_config *config, const hb_hooks *hooks, hb_error *error) {
    char folder[HB_PATH], path[HB_PATH], difference[HB_DIFFERENCE];
    choose_folder(config, folder);
    hb_path(path, folder, "config.yaml");
    if (access(path, F_OK) != 0) return train_in(config, folder, hooks, error);
    hb_config *saved = NULL;
    hb_status status = hb_config_open(path, NULL, 0, &saved, error);
    if (status == HB_OK && hb_config_differs(config, saved->identity, difference))
        status = hb_fail(error, HB_BAD_INPUT, "%s holds a run of another configuration: %s", folder, difference);
    if (status == HB_OK) status = resume_in(config, folder, hooks, error);
    hb_config_close(saved);
    return status;
}

hb_status hb_digest(const char *folder, const char *const *sets, int n_sets, char digest[33], hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_run_config(folder, sets, n_sets, &config, error);
    if (status != HB_OK) return status;
    hb_trainer trainer;
    status = hb_trainer_open(config, &trainer, error);
    if (status == HB_OK) {
        status = hb_run_load(&trainer, folder, "last", NULL, NULL, error);
        if (status == HB_OK) status = hb_checkpoint_digest(&trainer, digest, error);
        hb_trainer_close(&trainer);
    }
    hb_config_close(config);
    return status;
}
