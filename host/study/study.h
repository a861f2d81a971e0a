// A study: configurations x folds x seeds, run as far as they are not, evaluated, and put into one table.
#ifndef HB_STUDY_H
#define HB_STUDY_H

#include "host/base/files.h"
#include "host/config/config.h"
#include "host/hebbes.h"

#define HB_STUDY_SETS 128

// What a study's file says. Texts are as written there, paths from its folder; `out` is from where the user stands.
typedef struct {
    char path[HB_PATH];
    char out[HB_TEXT], published[HB_TEXT];
    hb_words configs, sets, claims;
    hb_ints seeds;
    bool folds;
} hb_study_file;

// Reads a study's YAML. Bad input is told as that of a configuration.
hb_status hb_study_read(const char *path, hb_study_file *study, hb_error *error);

// One run of a study. name: the configuration's, with the fold and the seed; folder: study.out/name.
typedef struct {
    char config_name[HB_TEXT], name[HB_TEXT], fold[HB_TEXT];
    char config_path[HB_PATH], folder[HB_PATH];
    int64_t seed;
    int64_t generations, done; // asked for; of the newest checkpoint, -1 where there is no run yet
    bool finished;             // nothing is left to train
    bool skipped;              // its folder holds no run that could go on, and the user said to leave it
    int n_rows;                // of its evaluation
    hb_evaluation *row;        // (n_rows), texts in `text`
    char (*text)[2][64];
} hb_study_run;

typedef struct {
    const hb_study_def *def;
    const hb_stop *stop;
    hb_study_file file;
    int64_t threads; // of a run that nobody gives a number; 0: as configurations have it
    int jobs;        // runs at once
    int n_runs;
    hb_study_run *run;
    hb_study_row *row; // (n_runs)
    // Where lines and changed rows go: out, or, in a run's own process, to the study's.
    void (*say)(void *context, const char *line);
    void (*progress)(void *context, int k);
    void *context;
} hb_study_runs;

// The configuration of a run, with everything that the study sets; the caller closes it.
hb_status hb_study_config(const hb_study_runs *study, const hb_study_run *run, hb_config **config, hb_error *error);

// Trains run k as far as it is not, and evaluates it unless that is done.
hb_status hb_study_live(hb_study_runs *study, int k, hb_error *error);

// Lives the runs of the study's share, `jobs` at once, each in a process of its own.
hb_status hb_study_work(hb_study_runs *study, hb_error *error);

// Row k is in this state from now on.
void hb_study_tell(hb_study_runs *study, int k, hb_study_state state);
bool hb_study_stopped(const hb_study_runs *study);

// Are the claims and the published numbers such as the table needs? Asked before anything runs.
hb_status hb_study_check(const hb_study_runs *study, hb_error *error);

// The table as Markdown and as CSV from the evaluations of the runs, with the published numbers and the claims.
hb_status hb_study_table(const hb_study_runs *study, hb_error *error);

#endif
