#include "kernels/error.h"

#include <stdarg.h>
#include <stdio.h>

void hb_error_write(hb_error *error, const char *format, ...) {
    if (!error) return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    // The message is one line, whatever it quotes.
    for (char *c = error->message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
}
