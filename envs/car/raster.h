// Filled convex polygons on a canvas of palette indices, and pictures made from it. Anti-aliasing is by samples alone: a canvas
// with s x s samples per pixel is averaged.
#ifndef HB_CAR_RASTER_H
#define HB_CAR_RASTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HB_PALETTE         16
#define HB_PICTURE_CORNERS 8
#define HB_CANVAS_WIDTH    8192 // at most

// index (height, width): row 0 on top. The caller owns it.
typedef struct {
    int32_t width, height;
    uint8_t *index;
} hb_canvas;

// Paints every sample whose middle (column + 0.5, row + 0.5) lies in the convex polygon of n corners (x right, y down, in
// samples; either way round); what lies outside the canvas is cut off. A middle on a left or upper edge is inside.
void hb_canvas_fill(hb_canvas *canvas, const double (*corner)[2], int32_t n, uint8_t colour);

// planes (3, height / s, width / s): red, green and blue of each pixel, the mean of its s x s samples' colours, rounded half
// up; s is at most 16, the canvas at most HB_CANVAS_WIDTH wide. Where s does not divide the canvas, the remainder is ignored.
void hb_canvas_planes(const hb_canvas *canvas, int32_t s, const uint8_t palette[HB_PALETTE][3], uint8_t *planes);

// The same as a picture: rgb (height / s, width / s, 3). Returns 0, or -1 where memory is short.
int hb_canvas_picture(const hb_canvas *canvas, int32_t s, const uint8_t palette[HB_PALETTE][3], uint8_t *rgb);

// to (3, 84, 84) from planes (3, 96, 96): each pixel is the area-weighted mean of the 8/7 x 8/7 pixels that it covers,
// rounded half up. Equals OpenCV's INTER_AREA to one unit in the last place.
void hb_planes_84(const uint8_t *planes, uint8_t *to);

#ifdef __cplusplus
}
#endif

#endif
