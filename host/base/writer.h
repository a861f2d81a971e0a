// Text that goes to a caller's function, written as to a file.
#ifndef HB_WRITER_H
#define HB_WRITER_H

#include "host/hebbes.h"

#include <stdio.h>

// A file whose lines go to writer, which must outlive it; the caller closes it by hb_writer_close. NULL when out of memory.
FILE *hb_writer_open(const hb_writer *writer);

// Closes it, and passes status on: HB_FAILED where file is NULL.
hb_status hb_writer_close(FILE *file, hb_status status, hb_error *error);

#endif
