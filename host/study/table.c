// One table of a study: every configuration on every variation, spread over rollouts and over seeds, the published numbers
// beside ours, and which claims our runs bear out.
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
// Published numbers: lines "config,variation,protocol,mean,sd" of the configuration's own fold; '#' begins a comment

typedef struct {
    char config[HB_TEXT], variation[HB_TEXT], protocol[16];
    double mean, sd;
} number;

typedef struct {
    int n;
    number *number;
} numbers;

static hb_status read_number(const char *path, int line_number, const char *line, number *out, hb_error *error) {
    char rest;
    if (sscanf(line, "%255[^,],%255[^,],%15[^,],%lf,%lf%c", out->config, out->variation, out->protocol, &out->mean,
               &out->sd, &rest) != 5 ||
        (strcmp(out->protocol, "mean") != 0 && strcmp(out->protocol, "sample") != 0))
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: expected config,variation,mean|sample,mean,sd, found '%s'", path,
                       line_number, line);
    return HB_OK;
}

static hb_status read_published(const hb_study_file *file, numbers *out, hb_error *error) {
    *out = (numbers){0, NULL};
    if (!*file->published) return HB_OK;
    char copy[HB_PATH], path[HB_PATH];
    snprintf(copy, sizeof copy, "%s", file->path);
    if (*file->published == '/')
        snprintf(path, sizeof path, "%s", file->published);
    else
        hb_path(path, dirname(copy), file->published);
    void *data = NULL;
    size_t n = 0;
    hb_status status = hb_file_read(path, 1 << 20, &data, &n, error);
    if (status != HB_OK) return status;
    int lines = 1;
    for (const char *at = data; *at; at++) lines += *at == '\n';
    out->number = calloc((size_t)lines, sizeof *out->number);
    if (!out->number) status = hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    char *next = data;
    for (int k = 1; next && status == HB_OK; k++) {
        char *line = strsep(&next, "\n");
        if (!*line || *line == '#' || strcmp(line, "config,variation,protocol,mean,sd") == 0) continue;
        status = read_number(path, k, line, &out->number[out->n++], error);
    }
    free(data);
    return status;
}

static const number *published(const numbers *all, const cell *c) {
    for (int k = 0; k < all->n && !*c->fold; k++) {
        const number *one = &all->number[k];
        if (strcmp(one->config, c->config) == 0 && strcmp(one->variation, c->variation) == 0 &&
            strcmp(one->protocol, c->protocol) == 0)
            return one;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------
// Claims: "LABEL: A > B on WHERE". A is a configuration, B another or a number; WHERE is trained, held_out or a variation.

typedef struct {
    char label[HB_TEXT], a[HB_TEXT], b[HB_TEXT], where[HB_TEXT];
    bool more;     // than B, or less
    bool is_bound; // B is a number
    double bound;
} claim;

// The first run of a configuration, or NULL.
static const hb_study_run *run_of(const hb_study_runs *study, const char *name) {
    for (int k = 0; k < study->n_runs; k++)
        if (strcmp(study->run[k].config_name, name) == 0) return &study->run[k];
    return NULL;
}

static const char *config_name(const void *context, int k) {
    const hb_study_runs *study = context;
    return k < study->n_runs ? study->run[k].config_name : NULL;
}

static bool is_among(const char *name, const hb_words *words) {
    for (int32_t k = 0; k < words->n; k++)
        if (strcmp(words->item[k], name) == 0) return true;
    return false;
}

// Will there be numbers of that configuration there?
static hb_status check_place(const hb_study_runs *study, const hb_study_run *run, const char *where,
                             hb_error *error) {
    hb_config *config;
    const hb_status status = hb_study_config(study, run, &config, error);
    if (status != HB_OK) return status;
    const hb_settings *s = &config->settings;
    const bool known = strcmp(where, "trained") == 0 || (strcmp(where, "held_out") == 0 && s->held_out.n > 0) ||
                       is_among(where, &s->variations) || is_among(where, &s->held_out);
    hb_config_close(config);
    return known ? HB_OK
                 : hb_fail(error, HB_BAD_INPUT,
                           "%s: claims: expected trained, held_out or a variation that '%s' meets, found '%s'",
                           study->file.path, run->config_name, where);
}

static hb_status read_claim(const hb_study_file *file, int32_t k, claim *c, hb_error *error) {
    char sign, *end;
    int length = 0;
    const char *text = file->claims.item[k];
    const int n =
        sscanf(text, "%255[^:]: %255s %c %255s on %255s %n", c->label, c->a, &sign, c->b, c->where, &length);
    if (n != 5 || text[length] || (sign != '>' && sign != '<'))
        return hb_fail(error, HB_BAD_INPUT,
                       "%s: claims: expected 'LABEL: A > B on trained|held_out|VARIATION', found '%s'", file->path,
                       text);
    c->more = sign == '>';
    c->bound = strtod(c->b, &end);
    c->is_bound = end != c->b && !*end && isfinite(c->bound) && strspn(c->b, "+-.0123456789e") == strlen(c->b);
    return HB_OK;
}

static hb_status check_claim(const hb_study_runs *study, int32_t k, hb_error *error) {
    claim c;
    hb_status status = read_claim(&study->file, k, &c, error);
    const char *const names[] = {c.a, c.b};
    for (int side = 0; side < 2 && status == HB_OK; side++) {
        const hb_study_run *run = run_of(study, names[side]);
        char near[HB_SUGGESTION];
        if (!run && side == 1 && c.is_bound) continue;
        hb_suggest(near, names[side], config_name, study);
        status = run ? check_place(study, run, c.where, error)
                     : hb_fail(error, HB_BAD_INPUT, "%s: claims: no configuration of this study is called '%s'%s",
                               study->file.path, names[side], near);
    }
    return status;
}

hb_status hb_study_check(const hb_study_runs *study, hb_error *error) {
    numbers all;
    hb_status status = read_published(&study->file, &all, error);
    free(all.number);
    for (int32_t k = 0; k < study->file.claims.n && status == HB_OK; k++) status = check_claim(study, k, error);
    return status;
}

// A configuration's runs of one seed: the mean over the variations of that place and over folds, by PNR's protocol, or by NR's
// where it alone was evaluated; n: of how many rows.
typedef struct {
    double mean;
    int n;
    bool by_mean;
} place;

static place standing(const hb_study_runs *study, const char *config, int64_t seed, const char *where) {
    double sum[2] = {0, 0};
    int n[2] = {0, 0};
    const bool trained = strcmp(where, "trained") == 0, held_out = strcmp(where, "held_out") == 0;
    for (int r = 0; r < study->n_runs; r++) {
        const hb_study_run *run = &study->run[r];
        if (run->seed != seed || strcmp(run->config_name, config) != 0) continue;
        for (int k = 0; k < run->n_rows; k++) {
            const bool unseen = run->row[k].held_out;
            if (trained ? unseen : held_out ? !unseen : strcmp(run->text[k][0], where) != 0) continue;
            const int by_mean = strcmp(run->text[k][1], "mean") == 0;
            sum[by_mean] += run->row[k].mean;
            n[by_mean]++;
        }
    }
    const int by = n[0] == 0;
    return (place){n[by] > 0 ? sum[by] / n[by] : NAN, n[by], by == 1};
}

// Mean and spread over the seeds that there are.
typedef struct {
    int n;
    double sum, squares;
} seeds;

static void seeds_add(seeds *s, double value) {
    s->n++;
    s->sum += value;
    s->squares += value * value;
}

static void write_standing(FILE *md, const seeds *s) {
    const double mean = s->sum / s->n;
    fprintf(md, s->n > 0 ? "%.0f" : "–", mean);
    if (s->n > 1) fprintf(md, " ± %.0f", sqrt(fmax(0, (s->squares - s->n * mean * mean) / (s->n - 1))));
}

// A text in a cell of a table.
static void write_escaped(FILE *md, const char *text) {
    for (; *text; text++) fprintf(md, *text == '|' ? "\\|" : "%c", *text);
}

// Borne out where every seed says so; in the mean, where the seeds' means do and not every seed.
static void write_claim(FILE *md, const hb_study_runs *study, const claim *c) {
    seeds ours = {0, 0, 0}, other = {0, 0, 0};
    int agree = 0;
    for (int32_t k = 0; k < study->file.seeds.n; k++) {
        const place a = standing(study, c->a, study->file.seeds.item[k], c->where);
        place b = {c->bound, a.n, a.by_mean};
        if (!c->is_bound) b = standing(study, c->b, study->file.seeds.item[k], c->where);
        if (a.n == 0 || a.n != b.n || a.by_mean != b.by_mean) continue; // like with like
        seeds_add(&ours, a.mean);
        seeds_add(&other, b.mean);
        agree += c->more ? a.mean > b.mean : a.mean < b.mean;
    }
    const bool in_mean = c->more ? ours.sum > other.sum : ours.sum < other.sum;
    fprintf(md, "| ");
    write_escaped(md, c->label);
    fprintf(md, ": %s %c %s on %s | ", c->a, c->more ? '>' : '<', c->b, c->where);
    write_standing(md, &ours);
    fprintf(md, " | ");
    write_standing(md, &other);
    fprintf(md, " | %d of %d | %s |\n", agree, ours.n,
            ours.n == 0       ? "not run"
            : agree == ours.n ? "yes"
            : in_mean         ? "in the mean"
                              : "no");
}

static hb_status write_claims(FILE *md, const hb_study_runs *study, hb_error *error) {
    const hb_study_file *file = &study->file;
    if (file->claims.n > 0)
        fprintf(md, "\n## Claims\n\nMeans over variations ± standard deviation over seeds.\n\n"
                    "| claim | ours | against | seeds that agree | borne out |\n|---|---:|---:|---:|---|\n");
    for (int32_t k = 0; k < file->claims.n; k++) {
        claim c;
        const hb_status status = read_claim(file, k, &c, error);
        if (status != HB_OK) return status;
        write_claim(md, study, &c);
    }
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Writing

static void write_cells(FILE *md, FILE *csv, const cells *all, const numbers *known) {
    fprintf(md,
            "| configuration | generations | variation | seen | protocol | mean ± sd over rollouts | s.e. | sd of "
            "seeds' means | seeds | rollouts | published |\n"
            "|---|---:|---|---|---|---:|---:|---:|---:|---:|---:|\n");
    fprintf(csv, "config,without,variation,held_out,protocol,mean,sd,standard_error,seed_spread,seeds,rollouts,"
                 "generations,published_mean,published_sd\n");
    for (int k = 0; k < all->n; k++) {
        const cell *c = &all->cell[k];
        const number *paper = published(known, c);
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
        fprintf(csv, "%s,%s,%s,%d,%s,%.9g,%.9g,%.9g,%.9g,%d,%lld,%lld,%s\n", c->config, c->fold, c->variation,
                c->held_out, c->protocol, c->mean, c->sd, error, c->seed_spread, c->seeds, (long long)c->rollouts,
                (long long)c->generations, columns);
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
    numbers known = {0, NULL};
    hb_status status = collect(study, &all, error);
    if (status == HB_OK) status = read_published(&study->file, &known, error);
    FILE *md = open_memstream(&md_text, &md_bytes), *csv = open_memstream(&csv_text, &csv_bytes);
    if (status == HB_OK && (!md || !csv)) status = hb_fail(error, HB_FAILED, "out of memory making a table");
    if (status == HB_OK) {
        write_head(md, study);
        write_cells(md, csv, &all, &known);
        status = write_claims(md, study, error);
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
    free(known.number);
    free(md_text);
    free(csv_text);
    return status;
}
