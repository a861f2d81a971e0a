#include "envs/car/car.h"
#include "envs/car/draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int frame = 96;        // side of Gym's picture
static const int later_samples = 4; // a side of a pixel
static const double step_seconds = 0.02;
static const double field = 2000.0 / 6.0; // half of the playfield

typedef struct {
    bool later, slip, score;
    double push;
    int early_stop, time_limit;
    double lap_complete;
} car_world;

typedef struct {
    const car_world *options;
    hb_car_world *world;
    hb_car_push push;
    hb_car_track track;
    hb_car_road road;
    hb_car_state state;
    int step, visited, without_reward;
    double time, reward, reward_before;
    bool lap_done;  // tile 0 was reached again when enough tiles had been visited
    uint8_t *index; // (96 s, 96 s)
    uint8_t planes[3 * 96 * 96];
} car_body;

// ---------------------------------------------------------------------------------------------------
// World

static const char *const renders[] = {"v0", "later", NULL};
static const char *const push_modes[] = {"wheel_slip", "world_force", NULL};

static const hb_env_option options[] = {
    {"render", HB_OPTION_CHOICE, "v0", 0, 0, renders,
     "frames as Gym 0.17 draws them (v0), or Gymnasium (later: smoothed, the camera turns with the car)", NULL},
    {"push_mode", HB_OPTION_CHOICE, "wheel_slip", 0, 0, push_modes,
     "what pushes: sideways slip of every wheel (the papers' code), or a force on the hull along x", NULL},
    {"push", HB_OPTION_REAL, "10", 0, 10000, NULL,
     "of the pushed variations: units/s (wheel_slip) or force (world_force)", NULL},
    {"score", HB_OPTION_BOOL, "false", 0, 0, NULL,
     "show the reward so far in the frame, in digits of 3 x 5 pixels; Gym's own font is 11 x 6 and not to be had",
     NULL},
    {"early_stop", HB_OPTION_INT, "20", 0, 1000, NULL,
     "steps in a row without reward that end an episode: 20 (PNR), 21 (NR's code), 0 never", NULL},
    {"time_limit", HB_OPTION_INT, "1000", 1, 1000, NULL, "steps of an episode, at most", NULL},
    {"lap_complete", HB_OPTION_REAL, "0", 0, 1, NULL,
     "share of tiles after which driving onto tile 0 again ends an episode; 0 never. (Gymnasium means this at 0.95, "
     "but asks for tile "
     "0's first visit, which is the reset's)",
     NULL},
    {NULL, HB_OPTION_TEXT, NULL, 0, 0, NULL, NULL, NULL},
};

static int car_world_create(const hb_env_settings *settings, void **out, char *message, size_t size) {
    car_world *world = calloc(1, sizeof *world);
    if (!world) return snprintf(message, size, "out of memory"), -1;
    world->later = strcmp(hb_env_setting(settings, "render"), "later") == 0;
    world->slip = strcmp(hb_env_setting(settings, "push_mode"), "wheel_slip") == 0;
    world->score = strcmp(hb_env_setting(settings, "score"), "true") == 0;
    world->push = strtod(hb_env_setting(settings, "push"), NULL);
    world->early_stop = atoi(hb_env_setting(settings, "early_stop"));
    world->time_limit = atoi(hb_env_setting(settings, "time_limit"));
    world->lap_complete = strtod(hb_env_setting(settings, "lap_complete"), NULL);
    *out = world;
    return 0;
}

// ---------------------------------------------------------------------------------------------------
// Body

static void car_body_destroy(void *handle) {
    car_body *body = handle;
    if (!body) return;
    hb_car_world_destroy(body->world);
    free(body->index);
    free(body);
}

static int car_body_create(const void *world, int32_t width, void **out, char *message, size_t size) {
    (void)width; // 1, as the shape says
    const size_t side = (size_t)frame * (size_t)later_samples;
    car_body *body = calloc(1, sizeof *body);
    if (!body) return snprintf(message, size, "out of memory"), -1;
    body->options = world;
    body->world = hb_car_world_create();
    body->index = malloc(side * side);
    if (!body->world || !body->index) {
        car_body_destroy(body);
        return snprintf(message, size, "out of memory"), -1;
    }
    *out = body;
    return 0;
}

hb_car_world *hb_car_world_of(void *body) {
    return ((car_body *)body)->world;
}

static void draw(const car_body *body, hb_canvas *canvas) {
    const hb_car_scene scene = {.road = &body->road,
                                .world = body->world,
                                .state = &body->state,
                                .time = body->time,
                                .turns_with_car = body->options->later,
                                .shows_score = body->options->score,
                                .reward = body->reward};
    hb_car_draw(&scene, canvas);
}

static const uint8_t (*palette_of(const car_body *body))[3] {
    return body->options->later ? hb_car_palette_later : hb_car_palette_v0;
}

static void observe(car_body *body, uint8_t *observation) {
    const int s = body->options->later ? later_samples : 1;
    hb_canvas canvas = {frame * s, frame * s, body->index};
    draw(body, &canvas);
    hb_canvas_planes(&canvas, s, palette_of(body), body->planes);
    hb_planes_84(body->planes, observation);
}

// ---------------------------------------------------------------------------------------------------
// Episodes

// friction, and which way it is pushed.
static const double effects[][2] = {{1, 0}, {0.5, 0}, {2, 0}, {1, -1}, {1, 1}};

static hb_car_push effect_of(const car_world *world, int32_t variation) {
    const double push = world->push * effects[variation][1];
    return (hb_car_push){effects[variation][0], world->slip ? push : 0, world->slip ? 0 : push};
}

// One step of the world; what tiles it brings is added to the reward.
static void advance(car_body *body, hb_env_step *out) {
    const bool was_at_start = hb_car_world_at_start(body->world);
    const int fresh = hb_car_world_step(body->world, &body->push, &out->physics);
    for (int k = 0; k < fresh; k++) body->reward += 1000.0 / body->track.n;
    body->visited += fresh;
    body->time += step_seconds;
    hb_car_world_state(body->world, &body->state);
    const double complete = body->options->lap_complete;
    if (complete > 0 && !was_at_start && hb_car_world_at_start(body->world))
        body->lap_done = (double)body->visited / body->track.n > complete;
    out->substeps++;
}

hb_env_outcome hb_car_reset_on(void *handle, int32_t variation, const hb_car_track *track, uint8_t *observation,
                               hb_env_step *out) {
    car_body *body = handle;
    *out = (hb_env_step){.fitness = 0};
    if (track != &body->track) body->track = *track;
    hb_car_world_place(body->world, &body->track);
    hb_car_road_make(&body->road, &body->track);
    body->push = effect_of(body->options, variation);
    body->step = body->visited = body->without_reward = 0;
    body->time = body->reward = body->reward_before = 0;
    advance(body, out); // its tiles count into the first step's reward
    body->lap_done = false;
    observe(body, observation);
    return HB_ENV_RUNNING;
}

static hb_env_outcome car_reset(void *handle, int32_t variation, hb_env_random *random, void *observation,
                                hb_env_step *out) {
    car_body *body = handle;
    hb_car_track_draw(&body->track, random);
    return hb_car_reset_on(body, variation, &body->track, observation, out);
}

// This step's reward, and whether the world ends the episode.
static double score(car_body *body, bool *done) {
    body->reward -= 0.1;
    const double reward = body->reward - body->reward_before;
    body->reward_before = body->reward;
    *done = body->visited == body->track.n || body->lap_done;
    if (fabs((double)body->state.hull.x) <= field && fabs((double)body->state.hull.y) <= field) return reward;
    *done = true;
    return -100;
}

static hb_env_outcome car_step(void *handle, const float *action, void *observation, hb_env_step *out) {
    car_body *body = handle;
    *out = (hb_env_step){.fitness = 0};
    const double steer = (double)action[0], gas = (double)action[1], brake = (double)action[2];
    if (!isfinite(steer) || !isfinite(gas) || !isfinite(brake)) return HB_ENV_DIVERGED;
    hb_car_world_control(body->world, steer, gas, brake);
    advance(body, out);
    if (!isfinite(body->state.hull.x) || !isfinite(body->state.hull.y)) return HB_ENV_DIVERGED;
    observe(body, observation); // Gym draws before it counts this step
    bool done;
    out->fitness = out->reward = score(body, &done);
    body->without_reward = out->reward < 0 ? body->without_reward + 1 : 0;
    const int patience = body->options->early_stop;
    if (patience > 0 && body->without_reward >= patience) done = true;
    if (++body->step >= body->options->time_limit) done = true;
    return done ? HB_ENV_DONE : HB_ENV_RUNNING;
}

// ---------------------------------------------------------------------------------------------------
// Traces and pictures

static const hb_env_field fields[] = {{"hull", 6},        // x, y, angle, their speeds
                                      {"wheel_angle", 4}, // rad, against the hull
                                      {"wheel_omega", 4}, // rad/s
                                      {"tiles", 1},       // visited
                                      {NULL, 0}};

static void car_snapshot(const void *handle, double *state) {
    const car_body *body = handle;
    const hb_car_pose *hull = &body->state.hull;
    const float pose[] = {hull->x, hull->y, hull->angle, hull->vx, hull->vy, hull->spin};
    for (int k = 0; k < 6; k++) *state++ = (double)pose[k];
    for (int k = 0; k < HB_CAR_WHEELS; k++) *state++ = (double)body->state.wheel[k].joint;
    for (int k = 0; k < HB_CAR_WHEELS; k++) *state++ = body->state.wheel[k].omega;
    *state = body->visited;
}

static const double *car_constant(const void *handle, int32_t k, const char **name, int32_t *rows, int32_t *columns) {
    const car_body *body = handle;
    if (k > 0) return NULL;
    *name = "track"; // alpha, beta, x, y of every point
    *rows = body->track.n;
    *columns = 4;
    return &body->track.point[0].alpha;
}

static int car_picture(void *handle, int32_t width, int32_t height, int32_t samples, uint8_t *rgb, char *message,
                       size_t size) {
    const car_body *body = handle;
    const size_t n = (size_t)width * (size_t)height * (size_t)samples * (size_t)samples;
    if (width * samples > HB_CANVAS_WIDTH)
        return snprintf(message, size, "a picture has at most %d samples a row", HB_CANVAS_WIDTH), -1;
    hb_canvas canvas = {width * samples, height * samples, malloc(n)};
    if (!canvas.index) return snprintf(message, size, "out of memory drawing %d x %d", width, height), -1;
    draw(body, &canvas);
    const int result = hb_canvas_picture(&canvas, samples, palette_of(body), rgb);
    free(canvas.index);
    return result == 0 ? 0 : (snprintf(message, size, "out of memory drawing %d x %d", width, height), -1);
}

static const char *box2d_version(void) {
    return "2.4.1";
}

static const hb_action_range ranges[] = {HB_ACTION_SIGNED, HB_ACTION_UNIT, HB_ACTION_UNIT};
static const char *const variations[] = {"default",     "half_friction", "double_friction",
                                         "pushed_left", "pushed_right",  NULL};

static void car_shape(const void *world, hb_env_shape *shape) {
    (void)world;
    *shape = (hb_env_shape){.observation_size = 3 * 84 * 84,
                            .picture = {3, 84, 84},
                            .action_size = 3,
                            .action_range = ranges,
                            .max_steps = 1000,
                            .step_seconds = 0.02,
                            .width = 1};
}

const hb_env_table hb_env_car = {.abi = HB_ENV_ABI,
                                 .name = "car",
                                 .summary = "CarRacing from 84 x 84 pixels, Box2D",
                                 .library = "Box2D",
                                 .library_version = box2d_version,
                                 .variations = variations,
                                 .options = options,
                                 .fields = fields,
                                 .world_create = car_world_create,
                                 .world_destroy = free,
                                 .shape = car_shape,
                                 .body_create = car_body_create,
                                 .body_destroy = car_body_destroy,
                                 .reset = car_reset,
                                 .step = car_step,
                                 .snapshot = car_snapshot,
                                 .constant = car_constant,
                                 .picture = car_picture};
