// The table of a study: every configuration on every variation, with the spread over rollouts and over seeds, and the published
// numbers beside ours.
#include "host/base/csv.h"
#include "host/study/study.h"

#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// All seeds of one configuration (and fold) on one variation under one protocol.
typedef struct {
    const char *config, *fold, *variation, *protocol;
    bool held_out;
    int seeds;
    int64_t rollouts;    // of all seeds
    int64_t generations; // the fewest that a seed's run has
    double mean;         // over the seeds
    double sd;           // over all rollouts
    double seed_spread;  // standard deviation of the seeds' means, unbiased; 0 of one seed
} cell;

typedef struct {
    int n;
    cell *cell;
} cells;

static bool belongs(const cell *c, const hb_study_run *run, int row) {
    return strcmp(c->config, run->config_name) == 0 && strcmp(c->fold, run->fold) == 0 &&
           strcmp(c->variation, run->text[row][0]) == 0 && strcmp(c->protocol, run->text[row][1]) == 0;
}

static void summarise(const hb_study_runs *study, cell *c) {
    double sum = 0, squares = 0, means = 0;
    c->seeds = 0;
    for (int r = 0; r < study->n_runs; r++)
        for (int k = 0; k < study->run[r].n_rows; k++) {
            if (!belongs(c, &study->run[r], k)) continue;
            const hb_evaluation *e = &study->run[r].row[k];
            sum += e->mean;
            means += e->mean * e->mean;
            squares += e->sd * e->sd + e->mean * e->mean;
            c->rollouts += e->rollouts;
            const int64_t generations = study->row[r].generation;
            c->generations = c->seeds == 0 || generations < c->generations ? generations : c->generations;
            c->seeds++;
        }
    const double n = c->seeds;
    c->mean = sum / n;
    c->sd = sqrt(fmax(0, squares / n - c->mean * c->mean));
    c->seed_spread = n > 1 ? sqrt(fmax(0, (means - n * c->mean * c->mean) / (n - 1))) : 0;
}

// The cells, in the order of the runs and of their evaluations.
static hb_status collect(const hb_study_runs *study, cells *out, hb_error *error) {
    int rows = 0;
    for (int r = 0; r < study->n_runs; r++) rows += study->run[r].n_rows;
    *out = (cells){0, calloc((size_t)rows + 1, sizeof *out->cell)};
    if (!out->cell) return hb_fail(error, HB_FAILED, "out of memory making a table");
    for (int r = 0; r < study->n_runs; r++) {
        const hb_study_run *run = &study->run[r];
        for (int k = 0; k < run->n_rows; k++) {
            int known = 0;
            while (known < out->n && !belongs(&out->cell[known], run, k)) known++;
            if (known < out->n) continue;
            cell *c = &out->cell[out->n++];
            *c = (cell){.config = run->config_name,
                        .fold = run->fold,
                        .variation = run->text[k][0],
                        .protocol = run->text[k][1],
                        .held_out = run->row[k].held_out};
            summarise(study, c);
        }
    }
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Published numbers

static hb_status take_number(const hb_csv *csv, const char *path, int row, hb_published *out, hb_error *error) {
    snprintf(out->config, sizeof out->config, "%s", hb_csv_text(csv, row, hb_csv_column(csv, "config")));
    snprintf(out->variation, sizeof out->variation, "%s", hb_csv_text(csv, row, hb_csv_column(csv, "variation")));
    snprintf(out->protocol, sizeof out->protocol, "%s", hb_csv_text(csv, row, hb_csv_column(csv, "protocol")));
    if ((strcmp(out->protocol, "mean") == 0 || strcmp(out->protocol, "sample") == 0) &&
        hb_csv_number(csv, row, hb_csv_column(csv, "mean"), &out->mean) &&
        hb_csv_number(csv, row, hb_csv_column(csv, "sd"), &out->sd))
        return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "%s:%d: expected config,variation,mean|sample,mean,sd, found '%s'", path,
                   csv->line[row + 1], out->config);
}

hb_status hb_study_published(const hb_study_file *file, hb_published **numbers, int *n, hb_error *error) {
    *numbers = NULL;
    *n = 0;
    if (!*file->published) return HB_OK;
    char copy[HB_PATH], path[HB_PATH];
    hb_csv csv;
    snprintf(copy, sizeof copy, "%s", file->path);
    if (*file->published == '/')
        snprintf(path, sizeof path, "%s", file->published);
    else
        hb_path(path, dirname(copy), file->published);
    hb_status status = hb_csv_read(path, 1 << 20, &csv, error);
    if (status != HB_OK) return status;
    *numbers = calloc((size_t)csv.n_rows + 1, sizeof **numbers);
    if (!*numbers) status = hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    for (int k = 0; k < csv.n_rows && status == HB_OK; k++)
        status = take_number(&csv, path, k, &(*numbers)[(*n)++], error);
    hb_csv_free(&csv);
    return status;
}

static const hb_published *published(const hb_published *all, int n, const cell *c) {
    for (int k = 0; k < n && !*c->fold; k++)
        if (strcmp(all[k].config, c->config) == 0 && strcmp(all[k].variation, c->variation) == 0 &&
            strcmp(all[k].protocol, c->protocol) == 0)
            return &all[k];
    return NULL;
}

// ---------------------------------------------------------------------------------------------------
// Writing

static void write_cells(FILE *md, FILE *csv, const cells *all, const hb_published *known, int n_known) {
    fprintf(md,
            "| configuration | generations | variation | seen | protocol | mean ± sd over rollouts | s.e. | sd of "
            "seeds' means | seeds | rollouts | published |\n"
            "|---|---:|---|---|---|---:|---:|---:|---:|---:|---:|\n");
    fprintf(csv, "config,without,variation,held_out,protocol,mean,sd,standard_error,seed_spread,seeds,rollouts,"
                 "generations,published_mean,published_sd\n");
    for (int k = 0; k < all->n; k++) {
        const cell *c = &all->cell[k];
        const hb_published *paper = published(known, n_known, c);
        const double error = c->sd / sqrt((double)c->rollouts);
        char beside[64] = "", columns[64] = ",", spread[32] = "–";
        if (paper) {
            snprintf(beside, sizeof beside, "%.0f ± %.0f", paper->mean, paper->sd);
            snprintf(columns, sizeof columns, "%.9g,%.9g", paper->mean, paper->sd);
        }
        if (c->seeds > 1) snprintf(spread, sizeof spread, "%.0f", c->seed_spread);
        fprintf(md, "| %s%s%s | %lld | %s | %s | %s | %.0f ± %.0f | %.1f | %s | %d | %lld | %s |\n", c->config,
                *c->fold ? " without " : "", c->fold, (long long)c->generations, c->variation,
                c->held_out ? "no" : "yes", c->protocol, c->mean, c->sd, error, spread, c->seeds,
                (long long)c->rollouts, beside);
        hb_csv_put(csv, true, c->config);
        hb_csv_put(csv, false, c->fold);
        hb_csv_put(csv, false, c->variation);
        fprintf(csv, ",%d,%s,%.9g,%.9g,%.9g,%.9g,%d,%lld,%lld,%s\n", c->held_out, c->protocol, c->mean, c->sd, error,
                c->seed_spread, c->seeds, (long long)c->rollouts, (long long)c->generations, columns);
    }
}

static void write_head(FILE *md, const hb_study_runs *study) {
    const hb_study_file *file = &study->file;
    fprintf(md, "# %s\n\nMade by `hebbes study %s`. Settings beyond the configurations':", file->out, file->path);
    for (int32_t k = 0; k < file->sets.n; k++) fprintf(md, " `%s`", file->sets.item[k]);
    for (int k = 0; k < study->def->n_sets; k++) fprintf(md, " `%s`", study->def->sets[k]);
    fprintf(md, "%s.\n\n", file->sets.n + study->def->n_sets > 0 ? "" : " none");
    int missing = 0;
    for (int k = 0; k < study->n_runs; k++)
        if (study->run[k].n_rows == 0) fprintf(md, "%s %s", missing++ ? "," : "Not in it:", study->run[k].name);
    if (missing) fprintf(md, ".\n\n");
}

hb_status hb_study_table(const hb_study_runs *study, hb_error *error) {
    char *md_text = NULL, *csv_text = NULL, path[HB_PATH];
    size_t md_bytes = 0, csv_bytes = 0;
    cells all = {0, NULL};
    hb_published *known = NULL;
    int n_known = 0;
    hb_status status = collect(study, &all, error);
    if (status == HB_OK) status = hb_study_published(&study->file, &known, &n_known, error);
    FILE *md = open_memstream(&md_text, &md_bytes), *csv = open_memstream(&csv_text, &csv_bytes);
    if (status == HB_OK && (!md || !csv)) status = hb_fail(error, HB_FAILED, "out of memory making a table");
    if (status == HB_OK) {
        write_head(md, study);
        write_cells(md, csv, &all, known, n_known);
        status = hb_study_write_claims(md, study, error);
    }
    if (md) fclose(md);
    if (csv) fclose(csv);
    if (status == HB_OK) {
        hb_path(path, study->file.out, "table.md");
        status = hb_file_write(path, md_text, md_bytes, error);
    }
    if (status == HB_OK) {
        hb_path(path, study->file.out, "table.csv");
        status = hb_file_write(path, csv_text, csv_bytes, error);
    }
    free(all.cell);
    free(known);
    free(md_text);
    free(csv_text);
    return status;
}
