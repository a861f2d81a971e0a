#include "host/base/png.h"

#include <png.h>
#include <stdlib.h>

hb_status hb_png_write(const char *path, const uint8_t *rgb, int32_t width, int32_t height, hb_error *error) {
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t n = 0;
    if (!png_image_write_to_memory(&image, NULL, &n, 0, rgb, 0, NULL))
        return hb_fail(error, HB_FAILED, "%s: %s", path, image.message);
    void *data = malloc(n ? n : 1);
    if (!data) return hb_fail(error, HB_FAILED, "out of memory writing %s", path);
    hb_status status = HB_OK;
    if (!png_image_write_to_memory(&image, data, &n, 0, rgb, 0, NULL))
        status = hb_fail(error, HB_FAILED, "%s: %s", path, image.message);
    if (status == HB_OK) status = hb_file_write(path, data, n, error);
    free(data);
    return status;
}
