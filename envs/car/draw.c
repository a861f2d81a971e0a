#include "envs/car/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double window_width = 1000, window_height = 800; // window units
static const double far_zoom = 0.6, near_zoom = 16.2;         // window units a world unit: 0.1 x 6 and 2.7 x 6
static const double field = 2000.0 / 6.0;                     // half of the playfield
static const double patch = 2000.0 / 6.0 / 20.0;              // side of a patch of grass

enum { BLACK, FIELD, GRASS, ROAD, ROAD_1, ROAD_2, WHITE, RED, BAND, HULL, BLUE, VIOLET, GREEN };

#define SAME_COLOURS                                                                                                 \
    [BLACK] = {0, 0, 0}, [FIELD] = {102, 204, 102}, [GRASS] = {102, 230, 102}, [ROAD] = {102, 102, 102},             \
    [ROAD_2] = {107, 107, 107}, [WHITE] = {255, 255, 255}, [RED] = {255, 0, 0}, [BAND] = {77, 77, 77},               \
    [HULL] = {204, 0, 0}, [BLUE] = {0, 0, 255}, [VIOLET] = {51, 0, 255}, [GREEN] = {0, 255, 0}
// Gymnasium cuts where Gym rounds.
const uint8_t hb_car_palette_v0[HB_PALETTE][3] = {SAME_COLOURS, [ROAD_1] = {105, 105, 105}};
const uint8_t hb_car_palette_later[HB_PALETTE][3] = {SAME_COLOURS, [ROAD_1] = {104, 104, 104}};

void hb_car_road_make(hb_car_road *road, const hb_car_track *track) {
    road->n = track->n;
    for (int32_t i = 0; i < track->n; i++) {
        hb_car_tile(track, i, road->tile[i]);
        road->has_kerb[i] = track->border[i];
        if (track->border[i]) hb_car_kerb(track, i, road->kerb[i]);
    }
}

// World to samples of the canvas: x' = xx x + xy y + x0, y' = yx x + yy y + y0 (y' downwards).
typedef struct {
    hb_canvas *canvas;
    double xx, xy, x0, yx, yy, y0;
    double middle[2], reach; // of what can be seen, in world units
} camera;

static camera look(const hb_car_scene *scene, hb_canvas *canvas) {
    const hb_car_pose *hull = &scene->state->hull;
    const double vx = (double)hull->vx, vy = (double)hull->vy;
    double angle = -(double)hull->angle;
    if (!scene->turns_with_car && sqrt(vx * vx + vy * vy) > 0.5) angle = atan2(vx, vy);
    const double zoom = far_zoom * fmax(1 - scene->time, 0) + near_zoom * fmin(scene->time, 1);
    const double wide = canvas->width / window_width, high = canvas->height / window_height;
    const double c = zoom * cos(angle), s = zoom * sin(angle), x = (double)hull->x, y = (double)hull->y;
    camera eye = {.canvas = canvas, .xx = wide * c, .xy = -wide * s, .yx = -high * s, .yy = -high * c};
    eye.x0 = wide * window_width / 2 - eye.xx * x - eye.xy * y;
    eye.y0 = high * window_height * 3 / 4 - eye.yx * x - eye.yy * y;
    eye.middle[0] = x, eye.middle[1] = y;
    eye.reach = sqrt(500.0 * 500.0 + 600.0 * 600.0) / zoom; // the car is at (500, 200) of 1000 x 800
    return eye;
}

static void paint(const camera *eye, const double (*corner)[2], int32_t n, uint8_t colour) {
    double there[HB_PICTURE_CORNERS][2];
    for (int32_t k = 0; k < n; k++) {
        there[k][0] = eye->xx * corner[k][0] + eye->xy * corner[k][1] + eye->x0;
        there[k][1] = eye->yx * corner[k][0] + eye->yy * corner[k][1] + eye->y0;
    }
    hb_canvas_fill(eye->canvas, (const double(*)[2])there, n, colour);
}

static void paint_square(const camera *eye, double x, double y, double side, uint8_t colour) {
    const double corner[4][2] = {{x, y}, {x + side, y}, {x + side, y + side}, {x, y + side}};
    paint(eye, corner, 4, colour);
}

// ---------------------------------------------------------------------------------------------------
// Ground and road

// The first even patch from -20 on that ends at or beyond x.
static int first_patch(double x) {
    const int k = (int)fmax(floor(x / (2 * patch)) * 2, -20);
    return k > 20 ? 20 : k;
}

static void draw_ground(const camera *eye) {
    paint_square(eye, -field, -field, 2 * field, FIELD);
    const double *m = eye->middle;
    for (int x = first_patch(m[0] - eye->reach); x < 20 && patch * x <= m[0] + eye->reach; x += 2)
        for (int y = first_patch(m[1] - eye->reach); y < 20 && patch * y <= m[1] + eye->reach; y += 2)
            paint_square(eye, patch * x, patch * y, patch, GRASS);
}

static void draw_road(const camera *eye, const hb_car_scene *scene) {
    const hb_car_road *road = scene->road;
    // From corner 0 to any other of a tile or its kerb: 17 at most, but 20 where the last gap of the loop is wide.
    const double reach = eye->reach + 20;
    for (int32_t i = 0; i < road->n; i++) {
        const double dx = road->tile[i][0][0] - eye->middle[0], dy = road->tile[i][0][1] - eye->middle[1];
        if (dx * dx + dy * dy > reach * reach) continue;
        const bool plain = hb_car_world_plain(scene->world, i);
        paint(eye, (const double(*)[2])road->tile[i], 4, plain ? ROAD : (uint8_t)(ROAD + i % 3));
        if (road->has_kerb[i]) paint(eye, (const double(*)[2])road->kerb[i], 4, i % 2 == 0 ? WHITE : RED);
    }
}

// ---------------------------------------------------------------------------------------------------
// Car

static void paint_part(const camera *eye, const hb_car_pose *pose, const double (*corner)[2], int32_t n,
                       uint8_t colour) {
    const double c = cos((double)pose->angle), s = sin((double)pose->angle);
    double there[HB_PICTURE_CORNERS][2];
    for (int32_t k = 0; k < n; k++) {
        there[k][0] = (double)pose->x + c * corner[k][0] - s * corner[k][1];
        there[k][1] = (double)pose->y + s * corner[k][0] + c * corner[k][1];
    }
    paint(eye, (const double(*)[2])there, n, colour);
}

static double sign(double x) {
    return (x > 0) - (x < 0);
}

// The wheel's band is a line across it that rolls with it: seen from above while it is on the upper side.
static void draw_wheel(const camera *eye, const hb_car_wheel *wheel) {
    const double w = 14 * HB_CAR_SIZE, r = 27 * HB_CAR_SIZE;
    const double box[4][2] = {{-w, r}, {w, r}, {w, -r}, {-w, -r}};
    paint_part(eye, &wheel->pose, box, 4, BLACK);
    const double s1 = sin(wheel->phase), s2 = sin(wheel->phase + 1.2);
    double c1 = cos(wheel->phase), c2 = cos(wheel->phase + 1.2);
    if (s1 > 0 && s2 > 0) return;
    if (s1 > 0) c1 = sign(c1);
    if (s2 > 0) c2 = sign(c2);
    const double band[4][2] = {{-w, r * c1}, {w, r * c1}, {w, r * c2}, {-w, r * c2}};
    paint_part(eye, &wheel->pose, band, 4, BAND);
}

static void draw_car(const camera *eye, const hb_car_state *state) {
    for (int k = 0; k < HB_CAR_WHEELS; k++) draw_wheel(eye, &state->wheel[k]);
    for (int32_t k = 0; k < HB_CAR_HULL_PARTS; k++) {
        double corner[8][2];
        const int32_t n = hb_car_hull_part(k, corner);
        paint_part(eye, &state->hull, (const double(*)[2])corner, n, HULL);
    }
}

// ---------------------------------------------------------------------------------------------------
// Instruments, in window units: a place is 25 wide

static void paint_bar(hb_canvas *canvas, double x0, double x1, double y0, double y1, uint8_t colour) {
    const double wide = canvas->width / window_width, high = canvas->height / window_height;
    const double left = wide * x0, right = wide * x1, low = high * (window_height - y0);
    const double top = high * (window_height - y1);
    const double corner[4][2] = {{left, low}, {right, low}, {right, top}, {left, top}};
    hb_canvas_fill(canvas, corner, 4, colour);
}

static void draw_instruments(hb_canvas *canvas, const hb_car_state *state) {
    const double place = 25, h = 20, vx = (double)state->hull.vx, vy = (double)state->hull.vy;
    paint_bar(canvas, 0, window_width, 0, 5 * h, BLACK);
    const struct {
        double value;
        int at;
        uint8_t colour;
    } upright[] = {{0.02 * sqrt(vx * vx + vy * vy), 5, WHITE},
                   {0.01 * state->wheel[0].omega, 7, BLUE},
                   {0.01 * state->wheel[1].omega, 8, BLUE},
                   {0.01 * state->wheel[2].omega, 9, VIOLET},
                   {0.01 * state->wheel[3].omega, 10, VIOLET}},
      flat[] = {{-10.0 * (double)state->wheel[0].joint, 20, GREEN}, {-0.8 * (double)state->hull.spin, 30, RED}};
    for (int k = 0; k < 5; k++)
        paint_bar(canvas, upright[k].at * place, (upright[k].at + 1) * place, h, h + h * upright[k].value,
                  upright[k].colour);
    for (int k = 0; k < 2; k++)
        paint_bar(canvas, flat[k].at * place, (flat[k].at + flat[k].value) * place, 2 * h, 4 * h, flat[k].colour);
}

// Rows of three pixels, the left one in the highest bit: 0 to 9, minus.
static const uint8_t glyphs[11][5] = {{7, 5, 5, 5, 7}, {2, 6, 2, 2, 7}, {7, 1, 7, 4, 7}, {7, 1, 7, 1, 7},
                                      {5, 5, 7, 1, 1}, {7, 4, 7, 1, 7}, {7, 4, 7, 5, 7}, {7, 1, 1, 1, 1},
                                      {7, 5, 7, 5, 7}, {7, 5, 7, 1, 7}, {0, 0, 7, 0, 0}};

// In columns 2 to 13 and rows 88 to 92 of 96.
static void draw_score(hb_canvas *canvas, double reward) {
    char text[16];
    const double pixel_x = window_width / 96, pixel_y = window_height / 96;
    snprintf(text, sizeof text, "%04d", (int)fmin(fmax(reward, -999), 9999));
    for (int k = 0; k < 4; k++)
        for (int row = 0; row < 5; row++)
            for (int column = 0; column < 3; column++) {
                if (!(glyphs[text[k] == '-' ? 10 : text[k] - '0'][row] >> (2 - column) & 1)) continue;
                const double x = (2 + 3 * k + column) * pixel_x, y = (96 - 88 - row) * pixel_y;
                paint_bar(canvas, x, x + pixel_x, y - pixel_y, y, WHITE);
            }
}

void hb_car_draw(const hb_car_scene *scene, hb_canvas *canvas) {
    const camera eye = look(scene, canvas);
    memset(canvas->index, BLACK, (size_t)canvas->width * (size_t)canvas->height);
    draw_ground(&eye);
    draw_road(&eye, scene);
    draw_car(&eye, scene->state);
    draw_instruments(canvas, scene->state);
    if (scene->shows_score) draw_score(canvas, scene->reward);
}
