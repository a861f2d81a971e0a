// Drives the Car for tests in other languages. From standard input: the number of points of a track and, for each, alpha,
// beta, x, y; or 0 and, for each of 12 checkpoints, noise and radius, to which it answers with the track (a count of 0 where
// none closes); then lines of
//     step STEER GAS BRAKE          one step; answers "REWARD OUTCOME VISITED" and the state
//     set STATE                     all bodies there, with joints that remember nothing; answers the state
//     frame WIDTH HEIGHT SAMPLES    answers with that many bytes of red, green, blue
//     look                          answers with the 84 x 84 observation's bytes, channel by channel
// A state is, of the hull: x y angle vx vy spin; then of each wheel the same and joint omega phase gas road.
// Arguments: NAME=VALUE options of the environment, variation=K.
#include "tests/envs/walk.h"

#include "envs/car/car.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_pose(const hb_car_pose *p) {
    printf(" %.9g %.9g %.9g %.9g %.9g %.9g", (double)p->x, (double)p->y, (double)p->angle, (double)p->vx,
           (double)p->vy, (double)p->spin);
}

static void print_state(void *body) {
    hb_car_state s;
    hb_car_world_state(hb_car_world_of(body), &s);
    print_pose(&s.hull);
    for (int k = 0; k < HB_CAR_WHEELS; k++) {
        const hb_car_wheel *w = &s.wheel[k];
        print_pose(&w->pose);
        printf(" %.9g %.17g %.17g %.17g %d", (double)w->joint, w->omega, w->phase, w->gas, w->on_road);
    }
    printf("\n");
}

static int read_pose(hb_car_pose *p) {
    return scanf("%f %f %f %f %f %f", &p->x, &p->y, &p->angle, &p->vx, &p->vy, &p->spin) == 6;
}

static int read_state(hb_car_state *s) {
    memset(s, 0, sizeof *s);
    int ok = read_pose(&s->hull), road;
    for (int k = 0; ok && k < HB_CAR_WHEELS; k++) {
        hb_car_wheel *w = &s->wheel[k];
        ok = read_pose(&w->pose) && scanf("%f %lf %lf %lf %d", &w->joint, &w->omega, &w->phase, &w->gas, &road) == 5;
        w->on_road = road != 0;
    }
    return ok;
}

static int build_track(hb_car_track *track) {
    double noise[HB_CAR_CHECKPOINTS], radius[HB_CAR_CHECKPOINTS];
    for (int c = 0; c < HB_CAR_CHECKPOINTS; c++)
        if (scanf("%lf %lf", &noise[c], &radius[c]) != 2) return 0;
    hb_car_track_build(track, noise, radius);
    printf("%d", track->n);
    for (int i = 0; i < track->n; i++) {
        const hb_car_point *p = &track->point[i];
        printf(" %.17g %.17g %.17g %.17g %d", p->alpha, p->beta, p->x, p->y, track->border[i]);
    }
    printf("\n");
    return track->n > 0;
}

static int read_track(hb_car_track *track) {
    if (scanf("%d", &track->n) != 1) return 0;
    if (track->n == 0) return build_track(track);
    if (track->n < 5 || track->n > HB_CAR_MAX_TILES) return 0;
    for (int i = 0; i < track->n; i++) {
        hb_car_point *p = &track->point[i];
        if (scanf("%lf %lf %lf %lf", &p->alpha, &p->beta, &p->x, &p->y) != 4) return 0;
    }
    hb_car_track_mark(track);
    return 1;
}

static void obey(void *body, const char *word, uint8_t *observation) {
    static uint8_t rgb[1000 * 800 * 3];
    int width, height, samples;
    float action[3];
    hb_car_state state;
    hb_env_step out;
    if (strcmp(word, "step") == 0 && scanf("%f %f %f", &action[0], &action[1], &action[2]) == 3) {
        const hb_env_outcome outcome = hb_env_car.step(body, action, observation, &out);
        double fields[15];
        hb_env_car.snapshot(body, fields);
        printf("%.17g %d %.0f", out.reward, outcome, fields[14]);
        print_state(body);
    } else if (strcmp(word, "set") == 0 && read_state(&state)) {
        hb_car_world_set(hb_car_world_of(body), &state);
        print_state(body);
    } else if (strcmp(word, "frame") == 0 && scanf("%d %d %d", &width, &height, &samples) == 3) {
        if (hb_env_car.picture(body, width, height, samples, rgb, NULL, 0) != 0) exit(1);
        fwrite(rgb, 3, (size_t)(width * height), stdout);
    } else if (strcmp(word, "look") == 0) {
        fwrite(observation, 1, (size_t)3 * 84 * 84, stdout);
    } else {
        fprintf(stderr, "car_walk: what is '%s'?\n", word);
        exit(2);
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    (void)argc;
    static hb_car_track track;
    static uint8_t observation[3 * 84 * 84];
    char message[512], word[16];
    void *world, *body;
    hb_env_step out;
    walker w = {&hb_env_car, argv + 1};
    const hb_env_settings settings = {walker_option, &w, &hb_env_car};
    if (!read_track(&track) || hb_env_car.world_create(&settings, &world, message, sizeof message) != 0 ||
        hb_env_car.body_create(world, 1, &body, message, sizeof message) != 0)
        return 2;
    hb_car_reset_on(body, atoi(walker_option(&w, "variation")), &track, observation, &out);
    print_state(body);
    fflush(stdout);
    while (scanf("%15s", word) == 1) obey(body, word, observation);
    hb_env_car.body_destroy(body);
    hb_env_car.world_destroy(world);
    return 0;
}
