// A study: configurations x folds x seeds. Missing runs are trained, all are evaluated, and one table is written.
#ifndef HB_STUDY_H
#define HB_STUDY_H

#include "host/base/files.h"
#include "host/config/config.h"

#define HB_STUDY_SETS 128

// A study's file. Paths are relative to its folder, except `out`, which is relative to the current folder.
typedef struct {
    char path[HB_PATH];
    char out[HB_TEXT], published[HB_TEXT];
    hb_words configs, sets, claims;
    int set_line; // of the sets
    hb_ints seeds;
    bool folds;
} hb_study_file;

// file.c: reads a study's YAML. Errors read like those of a configuration.
hb_status hb_study_read(const char *path, hb_study_file *study, hb_error *error);

// One run of a study. name: that of the configuration, with fold and seed; folder: study.out/name.
typedef struct {
    char config_name[HB_TEXT], name[HB_TEXT], fold[HB_TEXT];
    char config_path[HB_PATH], folder[HB_PATH];
    int64_t seed;
    int64_t generations, done; // asked for; of the newest checkpoint, -1 if there is no run yet
    bool finished;             // nothing is left to train
    bool skipped;              // its folder holds no run that can be continued, and skip_changed is set
    int n_rows;                // of its evaluation
    hb_evaluation *row;        // (n_rows), texts in `text`
    char (*text)[2][64];
} hb_study_run;

typedef struct {
    const hb_study_def *def;
    const hb_stop *stop;
    hb_study_file file;
    int64_t threads; // per run, unless the configuration sets run.threads; 0: as in the configuration
    int jobs;        // runs at once
    int n_runs;
    hb_study_run *run;
    hb_study_row *row; // (n_runs)
    // Receivers of lines and of changed rows: the caller's, or, in a child process, the pipe to the study.
    void (*say)(void *context, const char *line);
    void (*progress)(void *context, int k);
    void *context;
} hb_study_runs;

// runs.c: the configuration of a run, with all that the study sets. The caller closes it.
hb_status hb_study_config(const hb_study_runs *study, const hb_study_run *run, hb_config **config, hb_error *error);

// runs.c: adds the runs of a configuration: every seed, of every fold if the study has folds.
hb_status hb_study_add_config(hb_study_runs *study, const char *config, hb_error *error);

// runs.c: finds out how far a run is. Fails with HB_BAD_INPUT if its folder holds something that cannot be continued; with
// skip_changed the run is marked as skipped instead.
hb_status hb_study_inspect(hb_study_runs *study, hb_study_run *run, hb_error *error);

// live.c: evaluates run k into run->row, unless a saved evaluation is up to date.
hb_status hb_study_evaluate(hb_study_runs *study, int k, hb_error *error);

// live.c: trains run k as far as it is not trained, and evaluates it.
hb_status hb_study_live(hb_study_runs *study, int k, hb_error *error);

// jobs.c: calls live(study, k) for the runs of the study's share, `jobs` at once, each in a child process.
hb_status hb_study_work(hb_study_runs *study, hb_status (*live)(hb_study_runs *study, int k, hb_error *error),
                        hb_error *error);

// Sends a line to study->say.
void hb_study_say(const hb_study_runs *study, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Sets the state of row k and reports it.
void hb_study_set_state(hb_study_runs *study, int k, hb_study_state state);
bool hb_study_stopped(const hb_study_runs *study);

// claims.c: checks claims and published numbers before anything runs.
hb_status hb_study_check(const hb_study_runs *study, hb_error *error);

// table.c: writes the table as Markdown and as CSV from the evaluations of the runs, with the published numbers and the claims.
hb_status hb_study_table(const hb_study_runs *study, hb_error *error);

// claims.c: writes the study's claims, with what the runs say of them, as Markdown.
hb_status hb_study_write_claims(FILE *md, const hb_study_runs *study, hb_error *error);

// Published numbers: rows "config,variation,protocol,mean,sd" of a CSV file, which the study's file names (table.c).
typedef struct {
    char config[HB_TEXT], variation[HB_TEXT], protocol[16];
    double mean, sd;
} hb_published;

// Reads them; *n is 0 if the study names no file. The caller frees *numbers.
hb_status hb_study_published(const hb_study_file *file, hb_published **numbers, int *n, hb_error *error);

#endif
