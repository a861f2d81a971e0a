// Writing errors.
#ifndef HB_ERROR_H
#define HB_ERROR_H

#include "kernels/status.h"

// Writes one line into *error (nullable); control characters become blanks.
#ifdef __cplusplus
extern "C"
#endif
    void
    hb_error_write(hb_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Writes the error and evaluates to `status`: return hb_fail(error, HB_FAILED, "...", ...). A macro, so that compilers and analysers
// see which status it is.
#define hb_fail(error, status, ...) (hb_error_write((error), __VA_ARGS__), (status))

#endif
