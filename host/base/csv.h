// CSV files: one reader and one writer (RFC 4180 without line breaks in fields: a field with commas or quotes is quoted).
#ifndef HB_CSV_H
#define HB_CSV_H

#include "kernels/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// A table: a header and rows of as many fields. Texts are owned by the table.
typedef struct {
    char *data;    // the file, cut into fields
    char *comment; // the first line if it begins with '#'; otherwise NULL
    int n_columns, n_rows;
    char **field; // (1 + n_rows, n_columns), the header first
    int *line;    // (1 + n_rows): line of the file, from 1
} hb_csv;

// Reads a file of at most `most` bytes. Lines that begin with '#' are comments. A last line without its newline is incomplete and
// ignored. Fails with HB_BAD_INPUT and "path:line: ..." if a row has another number of fields than the header, or a quoted field
// has no end. The caller frees *csv, on success only.
hb_status hb_csv_read(const char *path, size_t most, hb_csv *csv, hb_error *error);
void hb_csv_free(hb_csv *csv);

// The index of a column, or -1.
int hb_csv_column(const hb_csv *csv, const char *name);

// The field of a row, from 0, and of a column (as hb_csv_column gives it); "" if column is -1.
const char *hb_csv_text(const hb_csv *csv, int row, int column);

// The same as a number. False, and *value unchanged, if the field is no number.
bool hb_csv_number(const hb_csv *csv, int row, int column, double *value);

// Writes a field, after a comma unless it is the first of its row.
void hb_csv_put(FILE *file, bool first, const char *text);

#endif
