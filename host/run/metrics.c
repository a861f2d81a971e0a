#include "host/run/metrics.h"
#include "host/base/files.h"
#include "host/run/tensorboard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_COLUMNS (21 + 2 * HB_MAX_LIST + HB_MAX_NUMBERS)

struct hb_metrics {
    const hb_trainer *trainer;
    FILE *csv;
    hb_events *events;
};

// One row as names and values: the header, the csv and TensorBoard all come from here.
typedef struct {
    int n;
    char name[MAX_COLUMNS][96];
    const char *group[MAX_COLUMNS]; // of TensorBoard's tags
    double value[MAX_COLUMNS];
} row;

static void add(row *r, const char *group, const char *name, const char *suffix, double value) {
    snprintf(r->name[r->n], sizeof r->name[0], "%s%s", name, suffix);
    r->group[r->n] = group;
    r->value[r->n++] = value;
}

static void fill(row *r, const hb_trainer *trainer, const hb_generation *g, double save) {
    r->n = 0;
    add(r, "fitness", "generation", "", (double)g->generation);
    add(r, "fitness", "mean", "", g->mean);
    add(r, "fitness", "sd", "", g->sd);
    add(r, "fitness", "max", "", g->max);
    add(r, "fitness", "reward", "", g->reward);
    for (int32_t v = 0; v < trainer->n_variations; v++) {
        add(r, "fitness", "mean_", trainer->settings->env.variations.item[v], g->variation_mean[v]);
        add(r, "fitness", "max_", trainer->settings->env.variations.item[v], g->variation_max[v]);
    }
    for (int32_t k = 0; k < trainer->search.n_numbers; k++)
        add(r, "search", trainer->search.number[k].name, "", trainer->search.number[k].value);
    add(r, "search", "lr", "", g->lr);
    add(r, "search", "sigma", "", g->sigma);
    add(r, "lives", "env_steps", "", (double)g->env_steps);
    add(r, "lives", "diverged", "", (double)g->diverged);
    add(r, "time", "env_steps_per_s", "", g->seconds > 0 ? (double)g->env_steps / g->seconds : 0);
    add(r, "time", "seconds", "", g->seconds + save);
    add(r, "time", "physics_s", "", g->physics);
    add(r, "time", "env_s", "", g->env);
    add(r, "time", "policy_s", "", g->policy);
    add(r, "time", "expand_s", "", g->expand);
    add(r, "time", "ask_s", "", g->ask);
    add(r, "time", "update_s", "", g->update);
    add(r, "time", "save_s", "", save);
    add(r, "time", "other_s", "", g->other);
}

// ---------------------------------------------------------------------------------------------------
// Open

static void header_of(const hb_trainer *trainer, char *out, size_t size) {
    const hb_generation none = {.generation = 0};
    row header;
    fill(&header, trainer, &none, 0);
    size_t n = 0;
    for (int k = 0; k < header.n && n < size; k++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", k ? "," : "", header.name[k]);
    if (n < size) snprintf(out + n, size - n, "\n");
}

// The length of the row at `text` if it is whole and of a generation after `last` and up to `most`, else 0.
static size_t good_row(const char *text, int64_t last, int64_t most) {
    const size_t digits = strspn(text, "0123456789"), line = strcspn(text, "\n");
    const int64_t generation = strtoll(text, NULL, 10);
    const bool good =
        digits > 0 && text[digits] == ',' && text[line] == '\n' && generation > last && generation <= most;
    return good ? line + 1 : 0;
}

// Keeps the header and the rows up to the checkpoint's generation; writes the header where it
// is missing or torn.
static hb_status keep_rows(const hb_trainer *trainer, const char *path, hb_error *error) {
    char header[MAX_COLUMNS * 100];
    header_of(trainer, header, sizeof header);
    void *data = NULL;
    size_t n = 0;
    const bool there = access(path, F_OK) == 0;
    hb_status status = there ? hb_file_read(path, (size_t)1 << 30, &data, &n, error) : HB_OK;
    if (status != HB_OK) return status;
    const char *text = data;
    if (!there || !strchr(text, '\n')) {
        status = hb_file_write(path, header, strlen(header), error);
    } else if (strncmp(text, header, strlen(header)) != 0) {
        status = hb_fail(error, HB_BAD_INPUT,
                         "%s:1: expected the columns of this run, found '%.60s...'; move it away", path, text);
    } else {
        size_t kept = strlen(header), length;
        int64_t last = 0;
        while ((length = good_row(text + kept, last, trainer->search.generation)) > 0) {
            last = strtoll(text + kept, NULL, 10);
            kept += length;
        }
        status = hb_file_write(path, text, kept, error);
    }
    free(data);
    return status;
}

// What makes the run the run it is, as TensorBoard's hyperparameters.
static hb_status add_settings(hb_metrics *metrics, hb_error *error) {
    const hb_config *config = metrics->trainer->config;
    char name[HB_MAX_KEYS][96];
    hb_event_setting setting[HB_MAX_KEYS];
    int n = 0;
    for (int32_t k = 0; k < config->n_entries; k++) {
        const hb_config_entry *entry = &config->entry[k];
        const bool number = entry->key.type == HB_KEY_INT || entry->key.type == HB_KEY_REAL;
        if (entry->key.same_bits || !*entry->value) continue;
        snprintf(name[n], sizeof name[n], "%s.%s", entry->section, entry->key.name);
        setting[n] = (hb_event_setting){
            .name = name[n], .text = number ? NULL : entry->value, .number = number ? strtod(entry->value, NULL) : 0};
        n++;
    }
    return hb_events_settings(metrics->events, setting, n, error);
}

hb_status hb_metrics_open(const hb_trainer *trainer, const char *folder, hb_metrics **out, hb_error *error) {
    char path[HB_PATH];
    hb_path(path, folder, "metrics.csv");
    hb_status status = keep_rows(trainer, path, error);
    if (status != HB_OK) return status;
    hb_metrics *metrics = calloc(1, sizeof *metrics);
    if (!metrics) return hb_fail(error, HB_FAILED, "out of memory opening the metrics");
    metrics->trainer = trainer;
    metrics->csv = fopen(path, "ae");
    if (!metrics->csv) {
        free(metrics);
        return hb_fail(error, HB_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    }
    status = hb_events_open(folder, trainer->search.generation, &metrics->events, error);
    if (status == HB_OK) status = add_settings(metrics, error);
    if (status != HB_OK) {
        hb_metrics_close(metrics);
        return status;
    }
    *out = metrics;
    return HB_OK;
}

void hb_metrics_close(hb_metrics *metrics) {
    if (!metrics) return;
    if (metrics->csv) fclose(metrics->csv);
    hb_events_close(metrics->events);
    free(metrics);
}

// ---------------------------------------------------------------------------------------------------
// Add

hb_status hb_metrics_add(hb_metrics *metrics, const hb_generation *report, double save, hb_error *error) {
    row r;
    fill(&r, metrics->trainer, report, save);
    for (int k = 0; k < r.n; k++) fprintf(metrics->csv, "%s%.9g", k ? "," : "", r.value[k]);
    fputc('\n', metrics->csv);
    if (fflush(metrics->csv) != 0 || ferror(metrics->csv))
        return hb_fail(error, HB_FAILED, "metrics.csv: cannot be written: %s", strerror(errno));
    hb_status status = HB_OK;
    for (int k = 1; k < r.n && status == HB_OK; k++) {
        char tag[128];
        snprintf(tag, sizeof tag, "%s/%s", r.group[k], r.name[k]);
        status = hb_events_add(metrics->events, tag, report->generation, r.value[k], error);
    }
    return status == HB_OK ? hb_events_flush(metrics->events, error) : status;
}
