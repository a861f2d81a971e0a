#include "kernels/status.h"

#include <stdarg.h>
#include <stdio.h>

void hb_tell(hb_error *error, const char *format, ...) {
    if (!error) return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
}
