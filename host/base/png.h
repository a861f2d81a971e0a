// PNG files.
#ifndef HB_PNG_H
#define HB_PNG_H

#include "host/base/files.h"

#include <stdint.h>

// Writes rgb (height, width, 3) as a PNG file, atomically (hb_file_write).
hb_status hb_png_write(const char *path, const uint8_t *rgb, int32_t width, int32_t height, hb_error *error);

#endif
