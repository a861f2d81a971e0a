#include "envs/car/track.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;
static const double track_radius = 150.0;    // 900 / 6
static const double detail_step = 3.5;       // 21 / 6
static const double turn_rate = 0.31;        // rad a step, at most
static const double half_width = 40.0 / 6.0; // of the road
static const double kerb_width = 8.0 / 6.0;
static const int kerb_least = 4; // turning pieces in a row that make a kerb
static const int max_walk = HB_CAR_MAX_TILES;

typedef struct {
    double alpha, x, y;
} checkpoint;

static void place_checkpoints(const double *noise, const double *radius, checkpoint *out) {
    for (int c = 0; c < HB_CAR_CHECKPOINTS; c++) {
        const bool end = c == 0 || c == HB_CAR_CHECKPOINTS - 1;
        const double turn = 2 * pi * c / HB_CAR_CHECKPOINTS;
        const double alpha = end ? turn : turn + noise[c];
        const double r = end ? 1.5 * track_radius : radius[c];
        out[c] = (checkpoint){alpha, r * cos(alpha), r * sin(alpha)};
    }
}

// Where the walk is.
typedef struct {
    double x, y, beta;
    int target; // checkpoint, counted through all laps
    int laps;
    bool other_side;
} walker;

// The next checkpoint whose angle is not behind; alpha is reduced by 2 pi after every scan that finds none.
static const checkpoint *next_checkpoint(const checkpoint *list, walker *w, double *alpha) {
    for (;;) {
        do {
            const checkpoint *c = &list[w->target % HB_CAR_CHECKPOINTS];
            if (*alpha <= c->alpha) return c;
            w->target++;
        } while (w->target % HB_CAR_CHECKPOINTS != 0);
        *alpha -= 2 * pi;
    }
}

// One piece of the walk: turns towards the next checkpoint and goes on by a step.
static hb_car_point walk(const checkpoint *list, walker *w) {
    double alpha = atan2(w->y, w->x);
    if (w->other_side && alpha > 0) {
        w->laps++;
        w->other_side = false;
    }
    if (alpha < 0) {
        w->other_side = true;
        alpha += 2 * pi;
    }
    const checkpoint *target = next_checkpoint(list, w, &alpha);
    const double r[2] = {cos(w->beta), sin(w->beta)}, p[2] = {-r[1], r[0]};
    const double across = r[0] * (target->x - w->x) + r[1] * (target->y - w->y);
    while (w->beta - alpha > 1.5 * pi) w->beta -= 2 * pi;
    while (w->beta - alpha < -1.5 * pi) w->beta += 2 * pi;
    const double before = w->beta, pull = 6.0 * across;
    const double turn = fmin(turn_rate, fabs(0.001 * pull));
    if (pull > 0.3) w->beta -= turn;
    if (pull < -0.3) w->beta += turn;
    w->x += p[0] * detail_step;
    w->y += p[1] * detail_step;
    return (hb_car_point){alpha, before * 0.5 + w->beta * 0.5, w->x, w->y};
}

// The last whole lap of a walk of n points: those between its last two passes of the start. False where there are not two.
static bool last_lap(const hb_car_point *walked, int n, int *first, int *end) {
    const double start = -pi / HB_CAR_CHECKPOINTS;
    int passes[2], found = 0;
    for (int i = n - 1; i > 0 && found < 2; i--)
        if (walked[i].alpha > start && walked[i - 1].alpha <= start) passes[found++] = i;
    if (found < 2) return false;
    *first = passes[1];
    *end = passes[0] - 1;
    return *end > *first;
}

static double sign(double x) {
    return (x > 0) - (x < 0);
}

void hb_car_track_mark(hb_car_track *track) {
    const int n = track->n;
    for (int i = 0; i < n; i++) {
        bool sharp = true;
        double side = 0;
        for (int k = 0; k < kerb_least; k++) {
            const double turn = track->point[(i - k + n) % n].beta - track->point[(i - k - 1 + n) % n].beta;
            sharp = sharp && fabs(turn) > turn_rate * 0.2;
            side += sign(turn);
        }
        track->border[i] = sharp && fabs(side) == kerb_least;
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < kerb_least; k++) {
            const int j = (i - k + n) % n;
            track->border[j] = track->border[j] || track->border[i];
        }
}

bool hb_car_track_build(hb_car_track *track, const double noise[HB_CAR_CHECKPOINTS],
                        const double radius[HB_CAR_CHECKPOINTS]) {
    checkpoint list[HB_CAR_CHECKPOINTS];
    place_checkpoints(noise, radius, list);
    walker w = {.x = 1.5 * track_radius};
    int n = 0, first, end;
    track->n = 0;
    while (n < max_walk && w.laps <= 4) track->point[n++] = walk(list, &w);
    if (!last_lap(track->point, n, &first, &end)) return false;
    memmove(track->point, track->point + first, (size_t)(end - first) * sizeof *track->point);
    const hb_car_point *a = &track->point[0], *z = &track->point[end - first - 1];
    const double gap_x = cos(a->beta) * (a->x - z->x), gap_y = sin(a->beta) * (a->y - z->y);
    if (sqrt(gap_x * gap_x + gap_y * gap_y) > detail_step) return false;
    track->n = end - first;
    // A kerb looks back over several points; a track with fewer is refused.
    if (track->n <= kerb_least) return track->n = 0, false;
    hb_car_track_mark(track);
    return true;
}

int32_t hb_car_track_draw(hb_car_track *track, hb_env_random *random) {
    for (int32_t tries = 1;; tries++) {
        double noise[HB_CAR_CHECKPOINTS], radius[HB_CAR_CHECKPOINTS];
        for (int c = 0; c < HB_CAR_CHECKPOINTS; c++) {
            noise[c] = hb_env_uniform(random) * 2 * pi / HB_CAR_CHECKPOINTS;
            radius[c] = track_radius / 3 + hb_env_uniform(random) * track_radius * 2 / 3;
        }
        if (hb_car_track_build(track, noise, radius)) return tries;
    }
}

static void put(double corner[2], const hb_car_point *p, double across) {
    corner[0] = p->x + across * cos(p->beta);
    corner[1] = p->y + across * sin(p->beta);
}

void hb_car_tile(const hb_car_track *track, int32_t i, double corner[4][2]) {
    const hb_car_point *one = &track->point[i], *two = &track->point[(i - 1 + track->n) % track->n];
    put(corner[0], one, -half_width);
    put(corner[1], one, half_width);
    put(corner[2], two, half_width);
    put(corner[3], two, -half_width);
}

void hb_car_kerb(const hb_car_track *track, int32_t i, double corner[4][2]) {
    const hb_car_point *one = &track->point[i], *two = &track->point[(i - 1 + track->n) % track->n];
    const double side = sign(two->beta - one->beta);
    put(corner[0], one, side * half_width);
    put(corner[1], one, side * (half_width + kerb_width));
    put(corner[2], two, side * (half_width + kerb_width));
    put(corner[3], two, side * half_width);
}
