#include "host/run/run.h"
#include "host/base/clock.h"
#include "host/base/files.h"
#include "host/base/locale.h"
#include "host/base/stop.h"
#include "host/run/checkpoint.h"
#include "host/run/folder.h"
#include "host/run/lead.h"
#include "host/run/metrics.h"
#include "host/run/session.h"
#include "host/train/meet.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct hb_session {
    const hb_hooks *hooks;
    char folder[HB_PATH]; // "" : a session that writes nothing
    FILE *log;
    hb_trainer trainer;
    hb_metrics *metrics;
    double save;              // seconds since the last row of metrics
    int unlocked;             // the errno of a file system that has no locks, or 0
    bool diverged;            // it has been said that all lives of a generation diverged
    bool waited;              // it has been said that a rank waits for the others
    bool solved;              // search.stop_mean was reached
    char from[HB_DIFFERENCE]; // what the numbers that it starts from meant in their own run; "": the same, or none
} run;

// ---------------------------------------------------------------------------------------------------
// The folder

__attribute__((format(printf, 2, 3))) static void write_log(run *r, const char *format, ...) {
    char stamp[32];
    const time_t now = time(NULL);
    struct tm utc;
    flockfile(r->log); // a line may also come from a rollout's watch
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    fprintf(r->log, "%s ", stamp);
    va_list args;
    va_start(args, format);
    vfprintf(r->log, format, args);
    va_end(args);
    fputc('\n', r->log);
    fflush(r->log);
    funlockfile(r->log);
}

static void note(void *context, const char *line) {
    run *r = context;
    if (r->log) write_log(r, "%s", line);
    if (r->hooks && r->hooks->note) r->hooks->note(r->hooks->context, line);
}

// True if the log that is open is the one in the folder: the folder was neither removed nor made anew by another process.
static bool is_ours(const run *r) {
    char path[HB_PATH];
    struct stat ours, there;
    hb_path(path, r->folder, "log.txt");
    return fstat(fileno(r->log), &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

static hb_status check_ours(const run *r, hb_error *error) {
    if (!r->log || is_ours(r)) return HB_OK;
    return hb_fail(error, HB_FAILED,
                   "%s: this run's folder was removed or replaced while it trained; nothing more is written there",
                   r->folder);
}

// Locks the log. Some file systems have no locks: then nothing keeps two processes apart, and the log says so.
static hb_status lock_log(run *r, hb_error *error) {
    if (flock(fileno(r->log), LOCK_EX | LOCK_NB) == 0) return HB_OK;
    if (errno == EWOULDBLOCK)
        return hb_fail(error, HB_BAD_INPUT, "%s: another process is training this run", r->folder);
    if (errno != ENOSYS && errno != EOPNOTSUPP && errno != ENOLCK && errno != EINVAL)
        return hb_fail(error, HB_FAILED, "%s/log.txt: cannot be locked: %s", r->folder, strerror(errno));
    r->unlocked = errno;
    return HB_OK;
}

// The log also is the run's lock: one process at a time trains it.
static hb_status open_log(run *r, hb_error *error) {
    char path[HB_PATH];
    hb_path(path, r->folder, "log.txt");
    r->log = fopen(path, "ae");
    if (!r->log) return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    hb_status status = lock_log(r, error);
    if (status == HB_OK && !is_ours(r)) // it was just removed by another process
        status = hb_fail(error, HB_BAD_INPUT, "%s: another process is training this run", r->folder);
    if (status == HB_OK) return HB_OK;
    fclose(r->log);
    r->log = NULL;
    return status;
}

bool hb_run_is_under_way(const char *folder) {
    char path[HB_PATH];
    hb_path(path, folder, "log.txt");
    FILE *log = fopen(path, "re");
    if (!log) return false;
    const bool locked = flock(fileno(log), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    fclose(log);
    return locked;
}

// The library that computes an environment, as config.yaml's first line names it: ", NAME VERSION".
static void name_library(const hb_env_table *env, char out[128]) {
    out[0] = '\0';
    if (env->library) snprintf(out, 128, ", %s %s", env->library, env->library_version());
}

static hb_status save_config(const run *r, hb_error *error) {
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (!memory) return hb_fail(error, HB_FAILED, "out of memory saving the config");
    const hb_config *config = r->trainer.config;
    const hb_machine *machine = &r->trainer.machine;
    fprintf(memory, "# hebbes %s, device %s (%s)", HB_VERSION, hb_table_of(machine->device)->name,
            hb_device_variant(machine->device));
    char library[128];
    name_library(config->env, library);
    fprintf(memory, "%s\n", library);
    hb_status status = hb_config_print(config, memory, error);
    fclose(memory);
    char path[HB_PATH];
    hb_path(path, r->folder, "config.yaml");
    if (status == HB_OK) status = hb_file_write(path, text, n, error);
    free(text);
    return status;
}

static hb_status open_trainer(run *r, const hb_config *config, hb_error *error) {
    const hb_status status = hb_trainer_open_rank(config, r->hooks ? r->hooks->ranks : NULL, &r->trainer, error);
    if (status != HB_OK) return status;
    r->trainer.note = note;
    r->trainer.note_context = r;
    return hb_lead_begin(&r->trainer, r->hooks, error); // before anything is written
}

// ---------------------------------------------------------------------------------------------------
// Checkpoints

static hb_status save(run *r, const char *name, hb_error *error) {
    const double begun = hb_now();
    char path[HB_PATH];
    if (!r->log) return HB_OK;
    hb_folder_checkpoint_path(r->folder, name, path);
    hb_status status = check_ours(r, error);
    if (status == HB_OK) status = hb_lead_save(&r->trainer, error);
    if (status == HB_OK) status = hb_checkpoint_save(&r->trainer, path, error);
    if (status != HB_OK) check_ours(r, error); // the better reason
    r->save += hb_now() - begun;
    return status;
}

static hb_status save_generation(run *r, hb_error *error) {
    char name[32];
    snprintf(name, sizeof name, "gen-%06lld.h5", (long long)r->trainer.search.generation);
    const hb_status status = save(r, name, error);
    if (status == HB_OK && r->log)
        hb_folder_prune(r->folder, r->trainer.search.generation, r->trainer.settings->run.keep_checkpoints);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Generations

void hb_session_describe(const hb_session *session, const hb_generation *g, hb_progress *progress) {
    const hb_trainer *trainer = &session->trainer;
    const double seconds = g->seconds > 0 ? g->seconds : 1e-9;
    *progress = (hb_progress){.generation = g->generation,
                              .generations = trainer->settings->run.generations,
                              .mean = g->mean,
                              .sd = g->sd,
                              .max = g->max,
                              .steps_per_second = (double)g->env_steps / seconds,
                              .seconds = g->seconds,
                              .physics_share = g->physics / seconds,
                              .policy_share = g->policy / seconds,
                              .update_share = g->update / seconds,
                              .best_mean = trainer->best_mean,
                              .diverged = g->diverged,
                              .lives = trainer->settings->search.population * trainer->n_variations};
}

static void report_progress(const run *r, const hb_generation *g) {
    hb_progress progress;
    if (!r->hooks || !r->hooks->progress) return;
    hb_session_describe(r, g, &progress);
    r->hooks->progress(r->hooks->context, &progress);
}

// Says once that no life of a generation has lasted to its end.
static void note_divergence(run *r, const hb_generation *g) {
    char line[320];
    if (r->diverged || g->diverged < r->trainer.settings->search.population * r->trainer.n_variations) return;
    r->diverged = true;
    const bool plastic = r->trainer.net.rule && !r->trainer.net.normalise;
    snprintf(line, sizeof line,
             "generation %lld: all %lld lives diverged: the %senvironment's numbers became infinite, and nothing is "
             "learned%s",
             (long long)g->generation, (long long)g->diverged, plastic ? "weights or the " : "",
             plastic ? "; policy.normalise bounds weights, less policy.oja and policy.trace or more policy.decay "
                       "holds them back"
                     : "");
    note(r, line);
}

// Says once which rank waits for the others' lives, a tenth of a generation and 0.1 s.
static void note_waiting(run *r, const hb_generation *g) {
    char line[256];
    const hb_ranks *ranks = r->trainer.ranks;
    if (r->waited || !ranks || g->waited < 0.1 || g->waited * g->seconds < 0.1) return;
    r->waited = true;
    snprintf(line, sizeof line,
             "generation %lld: rank %d on %s waited %.0f %% of it for the others: give it fewer threads, or each "
             "rank more "
             "lives (search.population)",
             (long long)g->generation, g->waiting, hb_ranks_host(ranks, g->waiting), 100 * g->waited);
    note(r, line);
}

// What follows a generation's lives. The best checkpoint holds the search before its update: the distribution that the best population was
// drawn from.
static hb_status finish(run *r, hb_generation *report, hb_error *error) {
    hb_trainer *trainer = &r->trainer;
    hb_status status = HB_OK;
    if (report->mean > trainer->best_mean) {
        trainer->best_mean = report->mean;
        status = save(r, "best.h5", error);
        if (status != HB_OK) return status;
    }
    note_divergence(r, report);
    note_waiting(r, report);
    status = hb_lead(trainer, HB_ORDER_UPDATE, error);
    if (status == HB_OK) status = hb_trainer_update(trainer, report, error);
    if (status == HB_OK) status = check_ours(r, error);
    if (status == HB_OK && r->metrics) status = hb_metrics_add(r->metrics, report, r->save, error);
    r->save = 0;
    if (status != HB_OK) return status;
    report_progress(r, report);
    r->solved = report->mean > trainer->settings->search.stop_mean;
    if (trainer->search.generation % trainer->settings->run.checkpoint_every == 0) status = save_generation(r, error);
    return status;
}

static hb_status generation(run *r, hb_error *error) {
    hb_generation report;
    const atomic_bool *stop = hb_stop_flag(r->hooks ? r->hooks->stop : NULL);
    hb_status status = hb_lead(&r->trainer, HB_ORDER_LIVE, error);
    if (status == HB_OK) status = hb_trainer_rollout(&r->trainer, &report, stop, error);
    return status == HB_OK ? finish(r, &report, error) : status;
}

static hb_status train(run *r, hb_error *error) {
    hb_trainer *trainer = &r->trainer;
    hb_status status = HB_OK;
    if (trainer->search.generation >= trainer->settings->run.generations)
        note(r, "nothing is left to do; train on with --set run.generations=N");
    r->solved = trainer->best_mean > trainer->settings->search.stop_mean; // a run that has reached it does not go on
    if (r->solved) note(r, "search.stop_mean was reached; train on with a larger one in a new run");
    while (status == HB_OK && !hb_session_is_over(r)) status = generation(r, error);
    if (status != HB_OK && status != HB_INTERRUPTED) return status;
    if (hb_lead_is_lost(trainer))
        return hb_fail(
            error, HB_INTERRUPTED,
            "stopped on request; a rank with a part of the search does not answer: 'hebbes resume %s' goes "
            "on from the last checkpoint",
            r->folder);
    hb_error why;
    const hb_status saved = save_generation(r, &why);
    // One that does not answer any more is lost, which ends it.
    if (saved == HB_OK && (!trainer->ranks || !trainer->ranks->lost)) (void)hb_lead(trainer, HB_ORDER_END, NULL);
    if (saved != HB_OK) {
        if (error) *error = why;
        return saved;
    }
    write_log(r, status == HB_OK ? "done: %lld generations" : "interrupted after %lld generations",
              (long long)trainer->search.generation);
    if (status == HB_INTERRUPTED)
        return hb_fail(error, status, "stopped on request after %lld generations; 'hebbes resume %s' goes on",
                       (long long)trainer->search.generation, r->folder);
    return HB_OK;
}

// Why a run ends early stands in its log, too.
static hb_status close_run(run *r, hb_status status, const hb_error *why, hb_error *error) {
    if (status != HB_OK && error) *error = *why;
    if (status != HB_OK && status != HB_INTERRUPTED && r->log && is_ours(r))
        write_log(r, "stopped: %s", why->message);
    hb_metrics_close(r->metrics);
    hb_trainer_close(&r->trainer);
    if (r->log) fclose(r->log);
    free(r);
    return status;
}

// With device auto: one line for each better device that cannot be used; and one for cards that are passed over.
static void note_skipped_devices(run *r) {
    const hb_device_table *used = hb_table_of(r->trainer.machine.device);
    for (int32_t k = 0; k < hb_n_devices && hb_devices[k] != used; k++) {
        hb_error why = {""};
        char line[sizeof why.message + 64];
        if (r->trainer.settings->machine.device != 0 || hb_devices[k]->probe(&why) == HB_OK) continue;
        snprintf(line, sizeof line, "device '%s' is not used: %s; running on '%s'", hb_devices[k]->name, why.message,
                 used->name);
        note(r, line);
    }
    hb_error cards = {""};
    if (!used->has_cards || used->probe(&cards) != HB_OK || !*cards.message) return;
    char line[sizeof cards.message + 64];
    snprintf(line, sizeof line, "%s; it is passed over", cards.message);
    note(r, line);
}

// A line for each setting without effect: it may be meant for another search.
static void note_idle_keys(run *r) {
    const hb_config *config = r->trainer.config;
    char line[2 * HB_TEXT + 128], because[64];
    for (int32_t k = hb_config_idle(config, 0, because); k >= 0; k = hb_config_idle(config, k + 1, because)) {
        snprintf(line, sizeof line, "search.%s=%s has no effect with %s", config->entry[k].key.name,
                 config->entry[k].value, because);
        note(r, line);
    }
}

static void note_other_meaning(run *r) {
    char line[HB_DIFFERENCE + 64];
    if (!*r->from) return;
    snprintf(line, sizeof line, "run.from: its numbers meant something else: %s", r->from);
    note(r, line);
}

static hb_status begin(run *r, hb_error *error) {
    note_skipped_devices(r);
    note_idle_keys(r);
    note_other_meaning(r);
    if (r->unlocked) {
        char line[256];
        snprintf(line, sizeof line, "this file system has no locks (%s): see to it that one process trains this run",
                 strerror(r->unlocked));
        note(r, line);
    }
    hb_status status = hb_metrics_open(&r->trainer, r->folder, &r->metrics, error);
    if (status == HB_OK) status = hb_lead(&r->trainer, HB_ORDER_MEET, error);
    if (status == HB_OK) status = hb_meet_share(&r->trainer, error);
    if (status != HB_OK) return status;
    if (r->hooks && r->hooks->started) r->hooks->started(r->hooks->context, r->folder, r->trainer.search.generation);
    return HB_OK;
}

bool hb_run_may_begin(const char *folder) {
    return access(folder, F_OK) != 0 || hb_folder_is_remains(folder);
}

// Takes a folder for a new run: a new one, or one with remains of an interrupted start, which are overwritten.
static hb_status take_folder(const run *r, hb_error *error) {
    return hb_folder_is_remains(r->folder) ? HB_OK : hb_folder_make(r->folder, error);
}

// The configuration is written last: a folder with one holds a run that can be resumed.
static hb_status prepare_folder(run *r, hb_error *error) {
    char checkpoints[HB_PATH];
    hb_path(checkpoints, r->folder, "checkpoints");
    hb_status status = open_log(r, error);
    if (status == HB_OK && !hb_folder_is_remains(r->folder)) { // another process was faster
        fclose(r->log);
        r->log = NULL;
        return hb_folder_make(r->folder, error);
    }
    if (status == HB_OK && access(checkpoints, F_OK) != 0) status = hb_folder_make(checkpoints, error);
    if (status == HB_OK) status = save_generation(r, error);
    return status == HB_OK ? save_config(r, error) : status;
}

// Starts from another run's checkpoint where the configuration says so.
static hb_status start_search(run *r, hb_error *error) {
    const hb_run_settings *s = &r->trainer.settings->run;
    if (!*s->from) return HB_OK;
    const hb_status status = hb_checkpoint_start(&r->trainer, s->from, s->from_digest, r->from, error);
    return status == HB_OK ? hb_lead_load(&r->trainer, "", error) : status;
}

static hb_status fresh(run *r, hb_error *error) {
    hb_status status = start_search(r, error);
    if (status == HB_OK) status = take_folder(r, error);
    if (status != HB_OK) return status;
    status = prepare_folder(r, error);
    if (status != HB_OK) {
        if (r->log && is_ours(r)) hb_folder_remove_remains(r->folder); // this process made it
        return status;
    }
    write_log(r, "hebbes %s starts a run", HB_VERSION);
    return begin(r, error);
}

static hb_status train_in(const hb_config *config, const char *folder, const hb_hooks *hooks, hb_error *error) {
    run *r = calloc(1, sizeof *r);
    if (!r) return hb_fail(error, HB_FAILED, "out of memory");
    hb_error why = {""};
    r->hooks = hooks;
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    hb_status status = HB_OK;
    if (access(folder, F_OK) == 0) status = take_folder(r, &why); // fails early, saying what to do
    if (status == HB_OK) status = open_trainer(r, config, &why);
    if (status == HB_OK) status = hb_trainer_ready(&r->trainer, &why); // what cannot run leaves no folder
    if (status == HB_OK) status = fresh(r, &why);
    if (status == HB_OK) status = train(r, &why);
    return close_run(r, status, &why, error);
}

// Into the folder that the configuration names, or into a new one, which goes again if nothing can begin.
hb_status hb_train(const hb_config *config, const hb_hooks *hooks, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    char folder[HB_PATH];
    if (hb_follows(hooks)) return hb_follow(config, hooks, error);
    if (*config->settings.run.out) {
        hb_folder_named(config, folder);
        return train_in(config, folder, hooks, error);
    }
    hb_status status = hb_folder_claim(config, folder, error);
    if (status != HB_OK) return status;
    status = train_in(config, folder, hooks, error);
    if (status != HB_OK) rmdir(folder); // if it is empty
    return status;
}

// Refuses sets that would make it another run.
static hb_status refuse_change(const char *folder, const hb_config *saved, const hb_config *config, hb_error *error) {
    char difference[HB_DIFFERENCE];
    if (hb_config_differs(saved, config->identity, difference))
        return hb_fail(error, HB_BAD_INPUT, "%s: --set would make this another run: %s; train it anew instead",
                       folder, difference);
    if (strcmp(saved->settings.run.out, config->settings.run.out) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: run.out: a run stays where it is", folder);
    return HB_OK;
}

hb_status hb_run_config(const char *folder, const char *const *sets, int n_sets, hb_config **result,
                        hb_error *error) {
    char path[HB_PATH];
    hb_path(path, folder, "config.yaml");
    hb_config *saved = NULL, *config = NULL;
    hb_status status = hb_config_open_run(path, sets, n_sets, &config, error);
    if (status == HB_OK) status = hb_config_open_moved(path, config, &saved, error);
    if (status == HB_OK) status = refuse_change(folder, saved, config, error);
    hb_config_close(saved);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    *result = config;
    return HB_OK;
}

// Says when the run goes on with another version of the library than its last process had: its numbers may differ from there on.
static void compare_library(run *r) {
    char path[HB_PATH], first[512] = "", ours[128], line[HB_PATH + 256];
    const hb_env_table *env = r->trainer.config->env;
    name_library(env, ours);
    hb_path(path, r->folder, "config.yaml");
    FILE *file = fopen(path, "re");
    if (!file) return;
    const bool read = fgets(first, sizeof first, file);
    fclose(file);
    first[strcspn(first, "\n")] = '\0';
    const char *theirs = read && env->library ? strstr(first, env->library) : NULL;
    if (!theirs || strcmp(theirs, ours + 2) == 0) return;
    snprintf(line, sizeof line, "this run had %s, here is %s: from now on its numbers may be others", theirs,
             ours + 2);
    note(r, line);
}

// A best checkpoint that is missing or damaged cannot be had again: the best generation from here on takes its place. One that cannot
// be read now may be read later, so that ends the resume.
static hb_status check_best(run *r, hb_error *error) {
    char best[HB_PATH], line[HB_PATH + 512], digest[33];
    hb_error why = {""};
    if (r->trainer.search.generation == 0) return HB_OK;
    hb_folder_checkpoint_path(r->folder, "best.h5", best);
    const bool missing = access(best, F_OK) != 0;
    const hb_status status = hb_checkpoint_seal(best, digest, &why);
    if (status == HB_OK) return HB_OK;
    if (status == HB_FAILED || (!missing && access(best, R_OK) != 0))
        return hb_fail(error, HB_FAILED, "%s", why.message);
    snprintf(line, sizeof line, "%s; the best generation from here on takes its place", why.message);
    note(r, line);
    r->trainer.best_mean = -HUGE_VAL;
    return HB_OK;
}

// Goes on with the run in its folder, whose configuration this is.
static hb_status reopen(run *r, const hb_config *config, hb_error *error) {
    hb_status status = open_log(r, error);
    if (status == HB_OK) status = open_trainer(r, config, error);
    if (status == HB_OK) status = hb_run_load(&r->trainer, r->folder, HB_CHECKPOINT_LAST, note, r, error);
    if (status == HB_OK) status = hb_lead_load(&r->trainer, r->trainer.loaded, error);
    if (status == HB_OK) status = check_best(r, error);
    if (status == HB_OK) compare_library(r);
    if (status == HB_OK) status = save_config(r, error);
    if (status != HB_OK) return status;
    write_log(r, "hebbes %s resumes after %lld generations", HB_VERSION, (long long)r->trainer.search.generation);
    return begin(r, error);
}

static hb_status resume_in(const hb_config *config, const char *folder, const hb_hooks *hooks, hb_error *error) {
    run *r = calloc(1, sizeof *r);
    if (!r) return hb_fail(error, HB_FAILED, "out of memory");
    hb_error why = {""};
    r->hooks = hooks;
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    hb_status status = reopen(r, config, &why);
    if (status == HB_OK) status = train(r, &why);
    return close_run(r, status, &why, error);
}

hb_status hb_resume(const char *folder, const char *const *sets, int n_sets, const hb_hooks *hooks, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_config *config = NULL;
    hb_status status = hb_run_config(folder, sets, n_sets, &config, error);
    if (status == HB_OK)
        status = hb_follows(hooks) ? hb_follow(config, hooks, error) : resume_in(config, folder, hooks, error);
    hb_config_close(config);
    return status;
}

hb_status hb_start_from(const char *source, char from[4200], char digest[64], hb_error *error) {
    struct stat about;
    char path[HB_PATH], seal_text[33];
    snprintf(path, sizeof path, "%s", source);
    if (stat(source, &about) == 0 && S_ISDIR(about.st_mode)) {
        hb_folder_checkpoint_path(source, "best.h5", path);
        if (access(path, F_OK) != 0) {
            char name[32];
            snprintf(name, sizeof name, "gen-%06lld.h5", (long long)hb_folder_newest(source));
            hb_folder_checkpoint_path(source, name, path);
        }
    }
    const hb_status status = hb_checkpoint_seal(path, seal_text, error);
    if (status != HB_OK) return status;
    snprintf(from, 4200, "run.from=%s", path);
    snprintf(digest, 64, "run.from_digest=%s", seal_text);
    return HB_OK;
}

// True if the folder that run.out names has a run; fails if that is one of another configuration.
static hb_status find_run(const hb_config *config, const char *folder, bool *found, hb_error *error) {
    char path[HB_PATH], difference[HB_DIFFERENCE];
    hb_config *saved = NULL;
    hb_path(path, folder, "config.yaml");
    *found = access(path, F_OK) == 0;
    if (!*found) return HB_OK;
    hb_status status = hb_config_open_moved(path, config, &saved, error);
    if (status == HB_OK && hb_config_differs(config, saved->identity, difference))
        status = hb_fail(error, HB_BAD_INPUT, "%s holds a run of another configuration: %s", folder, difference);
    hb_config_close(saved);
    return status;
}

hb_status hb_train_on(const hb_config *config, const hb_hooks *hooks, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    char folder[HB_PATH];
    bool found = false;
    if (!*config->settings.run.out || hb_follows(hooks)) return hb_train(config, hooks, error);
    hb_folder_named(config, folder);
    const hb_status status = find_run(config, folder, &found, error);
    if (status != HB_OK) return status;
    return found ? resume_in(config, folder, hooks, error) : train_in(config, folder, hooks, error);
}

// ---------------------------------------------------------------------------------------------------
// Sessions

static hb_status open_session(run *r, const hb_config *config, hb_error *error) {
    bool found = false;
    if (!*config->settings.run.out) {
        const hb_status status = open_trainer(r, config, error);
        return status == HB_OK ? start_search(r, error) : status;
    }
    hb_folder_named(config, r->folder);
    hb_status status = find_run(config, r->folder, &found, error);
    if (status != HB_OK) return status;
    if (found) return reopen(r, config, error);
    if (access(r->folder, F_OK) == 0) status = take_folder(r, error); // fails early, saying what to do
    if (status == HB_OK) status = open_trainer(r, config, error);
    return status == HB_OK ? fresh(r, error) : status;
}

hb_status hb_session_open(const hb_config *config, const hb_hooks *hooks, hb_session **session, hb_error *error) {
    run *r = calloc(1, sizeof *r);
    if (!r) return hb_fail(error, HB_FAILED, "out of memory");
    hb_error why = {""};
    r->hooks = hooks;
    const hb_status status = open_session(r, config, &why);
    if (status != HB_OK) return close_run(r, status, &why, error);
    r->solved = r->trainer.best_mean > r->trainer.settings->search.stop_mean;
    *session = r;
    return HB_OK;
}

hb_trainer *hb_session_trainer(hb_session *session) {
    return &session->trainer;
}

bool hb_session_is_over(const hb_session *session) {
    return session->solved || session->trainer.search.generation >= session->trainer.settings->run.generations;
}

hb_status hb_session_generation(hb_session *session, hb_generation *report, hb_error *error) {
    return finish(session, report, error);
}

hb_status hb_session_save(hb_session *session, hb_error *error) {
    return save_generation(session, error);
}

hb_status hb_session_close(hb_session *session, hb_error *error) {
    if (!session) return HB_OK;
    hb_error why = {""};
    const hb_status status = save_generation(session, &why);
    if (status == HB_OK && session->log)
        write_log(session, hb_session_is_over(session) ? "done: %lld generations" : "left after %lld generations",
                  (long long)session->trainer.search.generation);
    return close_run(session, status, &why, error);
}

hb_status hb_digest(const char *folder, const char *const *sets, int n_sets, char digest[33], hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_config *config = NULL;
    hb_status status = hb_run_config(folder, sets, n_sets, &config, error);
    if (status != HB_OK) return status;
    hb_trainer trainer;
    status = hb_trainer_open(config, &trainer, error);
    if (status == HB_OK) {
        status = hb_run_load(&trainer, folder, HB_CHECKPOINT_LAST, NULL, NULL, error);
        if (status == HB_OK) status = hb_checkpoint_digest(&trainer, digest, error);
        hb_trainer_close(&trainer);
    }
    hb_config_close(config);
    return status;
}
