#include "host/base/csv.h"
#include "host/base/files.h"

#include <stdlib.h>
#include <string.h>

void hb_csv_free(hb_csv *csv) {
    free(csv->data);
    free(csv->field);
    free(csv->line);
    *csv = (hb_csv){.data = NULL};
}

// ---------------------------------------------------------------------------------------------------
// Reading

// Cuts one field off *at, in place. *at moves behind the comma, to the end after the last field, or becomes NULL if a quoted field
// has no proper end.
static char *cut_field(char **at, bool *last) {
    char *text = *at, *to = text, *from = text;
    const bool quoted = *from == '"';
    if (quoted) from++;
    while (*from && (quoted ? *from != '"' || from[1] == '"' : *from != ',')) {
        if (quoted && *from == '"') from++; // a doubled quote
        *to++ = *from++;
    }
    if (quoted && *from == '"')
        from++;
    else if (quoted)
        *at = NULL;
    *last = *from == '\0';
    if (*from && *from != ',') *at = NULL;
    *to = '\0';
    if (*at) *at = *last ? from : from + 1;
    return text;
}

// The number of fields of a line; those below `room` go to field. -1 if a quoted field has no proper end.
static int cut_line(char *line, char **field, int room) {
    int n = 0;
    for (bool last = false; !last; n++) {
        char *text = cut_field(&line, &last);
        if (!line) return -1;
        if (n < room) field[n] = text;
    }
    return n;
}

static int most_fields(const char *line) {
    int n = 1;
    for (; *line; line++) n += *line == ',';
    return n;
}

static hb_status take_line(hb_csv *csv, const char *path, int number, char *line, hb_error *error) {
    const int row = csv->n_rows; // of the table with its header; the header is counted last
    if (!csv->field) {
        csv->n_columns = most_fields(line);
        csv->field = calloc((size_t)csv->n_columns, sizeof *csv->field);
    } else {
        char **grown = realloc(csv->field, (size_t)(row + 1) * (size_t)csv->n_columns * sizeof *grown);
        if (!grown) return hb_fail(error, HB_FAILED, "out of memory reading %s", path);
        csv->field = grown;
    }
    int *lines = realloc(csv->line, (size_t)(row + 1) * sizeof *lines);
    if (lines) csv->line = lines;
    if (!csv->field || !lines) return hb_fail(error, HB_FAILED, "out of memory reading %s", path);
    const int n = cut_line(line, csv->field + (size_t)row * (size_t)csv->n_columns, csv->n_columns);
    if (n < 0) return hb_fail(error, HB_BAD_INPUT, "%s:%d: a quoted field has no end", path, number);
    if (row == 0) csv->n_columns = n; // a quoted comma is no separator
    if (n != csv->n_columns)
        return hb_fail(error, HB_BAD_INPUT, "%s:%d: expected %d fields, found %d", path, number, csv->n_columns, n);
    csv->line[row] = number;
    csv->n_rows++;
    return HB_OK;
}

hb_status hb_csv_read(const char *path, size_t most, hb_csv *csv, hb_error *error) {
    *csv = (hb_csv){.data = NULL};
    void *data = NULL;
    size_t n = 0;
    hb_status status = hb_file_read(path, most, &data, &n, error);
    if (status != HB_OK) return status;
    csv->data = data;
    char *end, *at = csv->data;
    if (strncmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; // a byte order mark, as spreadsheets write it
    for (int number = 1; status == HB_OK && (end = strchr(at, '\n')); at = end + 1, number++) {
        *end = '\0';
        if (end > at && end[-1] == '\r') end[-1] = '\0';
        if (*at == '#' && number == 1) csv->comment = at;
        if (*at != '#' && *at) status = take_line(csv, path, number, at, error);
    }
    if (status == HB_OK && csv->n_rows == 0)
        status = hb_fail(error, HB_BAD_INPUT, "%s: expected a line with the names of columns, found none", path);
    if (status != HB_OK)
        hb_csv_free(csv);
    else
        csv->n_rows--; // without the header
    return status;
}

int hb_csv_column(const hb_csv *csv, const char *name) {
    for (int k = 0; k < csv->n_columns; k++)
        if (strcmp(csv->field[k], name) == 0) return k;
    return -1;
}

const char *hb_csv_text(const hb_csv *csv, int row, int column) {
    return column < 0 ? "" : csv->field[(size_t)(row + 1) * (size_t)csv->n_columns + (size_t)column];
}

bool hb_csv_number(const hb_csv *csv, int row, int column, double *value) {
    const char *text = hb_csv_text(csv, row, column);
    char *end;
    const double found = strtod(text, &end);
    if (end == text || *end) return false;
    *value = found;
    return true;
}

// ---------------------------------------------------------------------------------------------------
// Writing

void hb_csv_put(FILE *file, bool first, const char *text) {
    if (!first) fputc(',', file);
    if (!strpbrk(text, ",\"\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, file);
    fputc('"', file);
}
