#include "kernels/status.h"

#include <stdarg.h>
#include <stdio.h>

hb_status hb_fail(hb_error *error, hb_status status, const char *format, ...) {
    if (error) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->message, sizeof error->message, format, args);
        va_end(args);
    }
    return status;
}
