// Claims about a study's results: "LABEL: A > B on WHERE". A is a configuration, B another one or a number; WHERE is trained,
// held_out or a variation.
#include "host/study/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

// Fails unless the configuration is evaluated there.
static hb_status check_place(const hb_study_runs *study, const hb_study_run *run, const char *where,
                             hb_error *error) {
    hb_config *config;
    const hb_status status = hb_study_config(study, run, &config, error);
    if (status != HB_OK) return status;
    const hb_settings *s = &config->settings;
    const bool known = strcmp(where, "trained") == 0 || (strcmp(where, "held_out") == 0 && s->env.held_out.n > 0) ||
                       is_among(where, &s->env.variations) || is_among(where, &s->env.held_out);
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
    c->is_bound = end != c->b && !*end && isfinite(c->bound) && strspn(c->b, "+-.0123456789eE") == strlen(c->b);
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
    hb_published *numbers = NULL;
    int n = 0;
    hb_status status = hb_study_published(&study->file, &numbers, &n, error);
    free(numbers);
    for (int32_t k = 0; k < study->file.claims.n && status == HB_OK; k++) status = check_claim(study, k, error);
    return status;
}

// The result of a configuration's runs of one seed: the mean over the variations of that place and over folds, by PNR's protocol,
// or by NR's if it is the only one evaluated. n: number of rows.
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

// Sums over the seeds, for mean and spread.
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

// Text in a cell of a Markdown table.
static void write_escaped(FILE *md, const char *text) {
    for (; *text; text++) fprintf(md, *text == '|' ? "\\|" : "%c", *text);
}

// "yes" if it holds for every seed; "in the mean" if it only holds for the mean over seeds.
static void write_claim(FILE *md, const hb_study_runs *study, const claim *c) {
    seeds ours = {0, 0, 0}, other = {0, 0, 0};
    int agree = 0;
    for (int32_t k = 0; k < study->file.seeds.n; k++) {
        const place a = standing(study, c->a, study->file.seeds.item[k], c->where);
        place b = {c->bound, a.n, a.by_mean};
        if (!c->is_bound) b = standing(study, c->b, study->file.seeds.item[k], c->where);
        if (a.n == 0 || a.n != b.n || a.by_mean != b.by_mean) continue; // compare the same rows and protocol only
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

hb_status hb_study_write_claims(FILE *md, const hb_study_runs *study, hb_error *error) {
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
