#define _GNU_SOURCE // fopencookie
#include "host/base/writer.h"

#include "kernels/error.h"

static ssize_t pass_on(void *cookie, const char *text, size_t size) {
    const hb_writer *writer = cookie;
    writer->write(writer->context, text, (int64_t)size);
    return (ssize_t)size;
}

FILE *hb_writer_open(const hb_writer *writer) {
    FILE *file = fopencookie((void *)(uintptr_t)writer, "w", (cookie_io_functions_t){.write = pass_on});
    if (file) setvbuf(file, NULL, _IOLBF, BUFSIZ);
    return file;
}

hb_status hb_writer_close(FILE *file, hb_status status, hb_error *error) {
    if (!file) return hb_fail(error, HB_FAILED, "out of memory for a page");
    fclose(file);
    return status;
}
