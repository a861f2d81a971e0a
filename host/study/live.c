// One run of a study: trained as far as it is not, then evaluated.
#include "host/base/csv.h"
#include "host/run/folder.h"
#include "host/run/run.h"
#include "host/study/study.h"

#include <stdlib.h>
#include <string.h>

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
    // Lives get longer as individuals improve, so recent generations predict the rest better than the average.
    row->generation_seconds = before > 0 ? 0.8 * before + 0.2 * p->seconds : p->seconds;
    row->generation = p->generation;
    row->mean = p->mean;
    row->best_mean = p->best_mean;
    hb_study_set_state(w->study, w->k, HB_STUDY_TRAINS);
}

static void on_note(void *context, const char *line) {
    const watch *w = context;
    hb_study_say(w->study, "%s: %s", w->study->run[w->k].name, line);
}

static hb_status train_run(hb_study_runs *s, int k, hb_error *error) {
    const hb_study_run *run = &s->run[k];
    watch w = {s, k};
    const hb_hooks hooks = {.progress = on_progress, .note = on_note, .context = &w, .stop = s->stop};
    if (run->finished) return HB_OK;
    hb_config *config;
    hb_status status = hb_study_config(s, run, &config, error);
    if (status != HB_OK) return status;
    hb_study_set_state(s, k, HB_STUDY_TRAINS);
    status = hb_train_on(config, &hooks, error);
    hb_config_close(config);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Evaluation, saved in the run's folder with a stamp of how it was made

static void evaluation_stamp(const hb_study_run *run, const hb_config *config, char out[HB_TEXT]) {
    static const char *const others[] = {"eval.engine", "eval.file", "eval.seed", "eval.sigma"};
    size_t n =
        (size_t)snprintf(out, HB_TEXT, "# generation %lld, rollouts %lld, protocol %s, checkpoint %s, init %s, ",
                         (long long)hb_folder_newest(run->folder), (long long)config->settings.eval.rollouts,
                         hb_config_value(config, "eval.protocol"), hb_config_value(config, "eval.checkpoint"),
                         hb_config_value(config, "eval.init"));
    for (size_t k = 0; k < sizeof others / sizeof *others && n < HB_TEXT; k++)
        if (!hb_config_is_default(config, others[k]))
            n += (size_t)snprintf(out + n, HB_TEXT - n, "%s %s, ", others[k] + 5, hb_config_value(config, others[k]));
    if (n < HB_TEXT) snprintf(out + n, HB_TEXT - n, "unseen %s", hb_config_value(config, "env.held_out"));
}

static void add_row(void *context, const hb_evaluation *e) {
    hb_study_run *run = context;
    hb_evaluation *row = realloc(run->row, (size_t)(run->n_rows + 1) * sizeof *row);
    char(*text)[2][64] = row ? realloc(run->text, (size_t)(run->n_rows + 1) * sizeof *text) : NULL;
    if (row) run->row = row;
    if (text) run->text = text;
    if (!row || !text) return; // the table lacks the row then
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
        hb_csv_put(memory, true, run->text[k][0]);
        hb_csv_put(memory, false, run->text[k][1]);
        fprintf(memory, ",%d,%lld,%.9g,%.9g,%.9g,%.9g,%lld\n", e->held_out, (long long)e->rollouts, e->mean, e->sd,
                e->standard_error, e->steps, (long long)e->diverged);
    }
    fclose(memory);
    hb_path(path, run->folder, "evaluation.csv");
    const hb_status status = hb_file_write(path, text, n, error);
    free(text);
    return status;
}

// One row of a saved evaluation; false if it is not whole.
static bool load_row(const hb_csv *csv, int row, hb_evaluation *e) {
    double held_out, rollouts, diverged;
    *e = (hb_evaluation){.variation = hb_csv_text(csv, row, hb_csv_column(csv, "variation")),
                         .protocol = hb_csv_text(csv, row, hb_csv_column(csv, "protocol"))};
    if (!hb_csv_number(csv, row, hb_csv_column(csv, "held_out"), &held_out) ||
        !hb_csv_number(csv, row, hb_csv_column(csv, "rollouts"), &rollouts) ||
        !hb_csv_number(csv, row, hb_csv_column(csv, "mean"), &e->mean) ||
        !hb_csv_number(csv, row, hb_csv_column(csv, "sd"), &e->sd) ||
        !hb_csv_number(csv, row, hb_csv_column(csv, "standard_error"), &e->standard_error) ||
        !hb_csv_number(csv, row, hb_csv_column(csv, "steps"), &e->steps) ||
        !hb_csv_number(csv, row, hb_csv_column(csv, "diverged"), &diverged))
        return false;
    e->held_out = held_out != 0, e->rollouts = (int64_t)rollouts, e->diverged = (int64_t)diverged;
    return true;
}

// Loads the rows of an evaluation of the same checkpoint with the same settings; false if there is none.
static bool load_evaluation(hb_study_run *run, const char *stamp) {
    char path[HB_PATH];
    hb_csv csv;
    hb_path(path, run->folder, "evaluation.csv");
    if (hb_csv_read(path, 1 << 24, &csv, NULL) != HB_OK) return false;
    bool same = csv.comment && strcmp(csv.comment, stamp) == 0;
    for (int k = 0; k < csv.n_rows && same; k++) {
        hb_evaluation e;
        same = load_row(&csv, k, &e);
        if (same) add_row(run, &e);
    }
    hb_csv_free(&csv);
    return same && run->n_rows > 0;
}

hb_status hb_study_evaluate(hb_study_runs *s, int k, hb_error *error) {
    hb_study_run *run = &s->run[k];
    hb_config *config;
    hb_status status = hb_study_config(s, run, &config, error);
    if (status != HB_OK) return status;
    char stamp[HB_TEXT];
    evaluation_stamp(run, config, stamp);
    if (!load_evaluation(run, stamp)) {
        run->n_rows = 0;
        hb_study_set_state(s, k, HB_STUDY_EVALUATES);
        status = hb_evaluate_as(config, run->folder, add_row, run, s->stop, error);
        if (status == HB_OK && run->n_rows == 0) status = hb_fail(error, HB_FAILED, "out of memory evaluating");
        if (status == HB_OK) status = save_evaluation(run, stamp, error);
    }
    hb_config_close(config);
    return status;
}

hb_status hb_study_live(hb_study_runs *s, int k, hb_error *error) {
    if (s->run[k].skipped) {
        hb_study_say(s, "%-40s skipped: its folder holds no run that can be continued", s->run[k].name);
        return HB_OK;
    }
    hb_status status = train_run(s, k, error);
    if (status == HB_OK && hb_study_stopped(s))
        status = hb_fail(error, HB_INTERRUPTED, "stopped on request before an evaluation");
    if (status == HB_OK) status = hb_study_evaluate(s, k, error);
    if (status == HB_OK) hb_study_set_state(s, k, HB_STUDY_DONE);
    return status;
}
