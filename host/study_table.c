// One table of a study: every configuration on every variation, spread over rollouts and over seeds, the published numbers
// beside ours, and which claims our runs bear out.
#include "host/study.h"

#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// All seeds of one configuration (and fold) on one variation under one protocol.
typedef struct {
    const char *config, *fold, *variation, *protocol;
    bool held_out;
    int seeds;
    double mean;        // over the seeds
    double sd;          // over all rollouts
    double seed_spread; // standard deviation of the seeds' means, unbiased; 0 of one seed
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
            c->seeds++;
        }
    const double n = c->seeds;
    c->mean = sum / n;
    c->sd = sqrt(fmax(0, squares / n - c->mean * c->mean));
    c->seed_spread = n > 1 ? sqrt(fmax(0, (means - n * c->mean * c->mean) / (n - 1))) : 0;
}

// The cells in the order in which runs and their evaluations name them.
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
// Published numbers: lines "config,variation,mean,sd", of PNR's protocol and the configuration's own fold

static hb_status read_published(const hb_study_file *file, char **text, hb_error *error) {
    *text = NULL;
    if (!*file->published) return HB_OK;
    char copy[HB_PATH], path[HB_PATH];
    snprintf(copy, sizeof copy, "%s", file->path);
    if (*file->published == '/')
        snprintf(path, sizeof path, "%s", file->published);
    else
        hb_path(path, dirname(copy), file->published);
    void *data = NULL;
    size_t n = 0;
    const hb_status status = hb_file_read(path, 1 << 20, &data, &n, error);
    *text = data;
    return status;
}

static bool published(const char *text, const cell *c, double *mean, double *sd) {
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char config[HB_TEXT], variation[HB_TEXT];
        if (sscanf(line, "%255[^,\n],%255[^,\n],%lf,%lf", config, variation, mean, sd) == 4 &&
            strcmp(config, c->config) == 0 && strcmp(variation, c->variation) == 0 && !*c->fold &&
            strcmp(c->protocol, "sample") == 0)
            return true;
    }
    return false;
}

// ---------------------------------------------------------------------------------------------------
// Claims: "LABEL: A > B on trained", or "held_out"; A and B are configurations

// The mean over a configuration's variations of that kind, by PNR's protocol; NAN where there is none.
static double standing(const cells *all, const char *config, bool held_out) {
    double sum = 0;
    int n = 0;
    for (int k = 0; k < all->n; k++) {
        const cell *c = &all->cell[k];
        if (strcmp(c->config, config) != 0 || c->held_out != held_out || strcmp(c->protocol, "sample") != 0) continue;
        sum += c->mean;
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

typedef struct {
    char label[HB_TEXT], a[HB_TEXT], b[HB_TEXT];
    bool held_out;
} claim;

static hb_status read_claim(const hb_study_file *file, int32_t k, claim *c, hb_error *error) {
    char where[HB_TEXT];
    if (sscanf(file->claims.item[k], "%255[^:]: %255s > %255s on %255s", c->label, c->a, c->b, where) != 4 ||
        (strcmp(where, "trained") != 0 && strcmp(where, "held_out") != 0))
        return hb_fail(error, HB_BAD_INPUT, "%s: claims: expected 'LABEL: A > B on trained|held_out', found '%s'",
                       file->path, file->claims.item[k]);
    c->held_out = strcmp(where, "held_out") == 0;
    return HB_OK;
}

hb_status hb_study_check(const hb_study_file *file, hb_error *error) {
    claim c;
    char *text = NULL;
    hb_status status = read_published(file, &text, error);
    free(text);
    for (int32_t k = 0; k < file->claims.n && status == HB_OK; k++) status = read_claim(file, k, &c, error);
    return status;
}

static hb_status write_claims(FILE *md, const hb_study_file *file, const cells *all, hb_error *error) {
    if (file->claims.n > 0) fprintf(md, "\n## Claims\n\n| claim | ours | borne out |\n|---|---|---|\n");
    for (int32_t k = 0; k < file->claims.n; k++) {
        claim c;
        const hb_status status = read_claim(file, k, &c, error);
        if (status != HB_OK) return status;
        const double ours = standing(all, c.a, c.held_out), other = standing(all, c.b, c.held_out);
        fprintf(md, "| %s: %s > %s on %s variations | %.0f, %.0f | %s |\n", c.label, c.a, c.b,
                c.held_out ? "unseen" : "trained", ours, other,
                isnan(ours) || isnan(other) ? "not run"
                : ours > other              ? "yes"
                                            : "no");
    }
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Writing

static void write_cells(FILE *md, FILE *csv, const cells *all, const char *text) {
    fprintf(md, "| configuration | variation | seen | protocol | mean ± sd over rollouts | sd of seeds' means | "
                "seeds | published |\n"
                "|---|---|---|---|---:|---:|---:|---:|\n");
    fprintf(csv,
            "config,without,variation,held_out,protocol,mean,sd,seed_spread,seeds,published_mean,published_sd\n");
    for (int k = 0; k < all->n; k++) {
        const cell *c = &all->cell[k];
        double mean, sd;
        char beside[64] = "", columns[64] = ",";
        if (published(text, c, &mean, &sd)) {
            snprintf(beside, sizeof beside, "%.0f ± %.0f", mean, sd);
            snprintf(columns, sizeof columns, "%.9g,%.9g", mean, sd);
        }
        char spread[32] = "–";
        if (c->seeds > 1) snprintf(spread, sizeof spread, "%.0f", c->seed_spread);
        fprintf(md, "| %s%s%s | %s | %s | %s | %.0f ± %.0f | %s | %d | %s |\n", c->config,
                *c->fold ? " without " : "", c->fold, c->variation, c->held_out ? "no" : "yes", c->protocol, c->mean,
                c->sd, spread, c->seeds, beside);
        fprintf(csv, "%s,%s,%s,%d,%s,%.9g,%.9g,%.9g,%d,%s\n", c->config, c->fold, c->variation, c->held_out,
                c->protocol, c->mean, c->sd, c->seed_spread, c->seeds, columns);
    }
}

static void write_head(FILE *md, const hb_study_file *file) {
    fprintf(md, "# %s\n\nMade by `hebbes study %s`. Settings beyond the configurations':", file->out, file->path);
    for (int32_t k = 0; k < file->sets.n; k++) fprintf(md, " `%s`", file->sets.item[k]);
    fprintf(md, "%s.\n\n", file->sets.n ? "" : " none");
}

hb_status hb_study_table(const hb_study_runs *study, hb_error *error) {
    char *text = NULL, *md_text = NULL, *csv_text = NULL, path[HB_PATH];
    size_t md_bytes = 0, csv_bytes = 0;
    cells all = {0, NULL};
    hb_status status = collect(study, &all, error);
    if (status == HB_OK) status = read_published(&study->file, &text, error);
    FILE *md = open_memstream(&md_text, &md_bytes), *csv = open_memstream(&csv_text, &csv_bytes);
    if (status == HB_OK && (!md || !csv)) status = hb_fail(error, HB_FAILED, "out of memory making a table");
    if (status == HB_OK) {
        write_head(md, &study->file);
        write_cells(md, csv, &all, text);
        status = write_claims(md, &study->file, &all, error);
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
    free(text);
    free(md_text);
    free(csv_text);
    return status;
}
