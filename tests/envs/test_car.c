// CarRacing: tracks against what is known of Gym's, the physics against a Box2D world built as Gym builds it, bit for bit,
// the rasteriser against its definition, rewards and ends of episodes by hand. tests/envs/test_gymnasium.py compares with
// Gymnasium itself.
#include "tests/envs/car_oracle.h"
#include "tests/envs/options.h"

#include "envs/car/car.h"
#include "envs/car/draw.h"
#include "envs/car/raster.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    hb_env_random base;
    uint64_t state;
} lcg;

static uint32_t lcg_next(hb_env_random *base) {
    lcg *r = (lcg *)base;
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 32);
}

static double uniform(lcg *random, double low, double high) {
    return low + (high - low) * hb_env_uniform(&random->base);
}

// ---------------------------------------------------------------------------------------------------
// Opening

static const char *option(void *context, const char *name) {
    return value_of(&hb_env_car, context, name);
}

typedef struct {
    void *world, *body;
    uint8_t observation[3 * 84 * 84];
    hb_env_step out;
} car;

static car *open_car(choice *choices) {
    car *c = calloc(1, sizeof *c);
    char message[256];
    const hb_env_settings settings = {option, choices, &hb_env_car};
    assert_non_null(c);
    assert_int_equal(hb_env_car.world_create(&settings, &c->world, message, sizeof message), 0);
    assert_int_equal(hb_env_car.body_create(c->world, 1, &c->body, message, sizeof message), 0);
    return c;
}

static void close_car(car *c) {
    hb_env_car.body_destroy(c->body);
    hb_env_car.world_destroy(c->world);
    free(c);
}

static hb_env_outcome drive(car *c, double steer, double gas, double brake) {
    const float action[3] = {(float)steer, (float)gas, (float)brake};
    return hb_env_car.step(c->body, action, c->observation, &c->out);
}

// ---------------------------------------------------------------------------------------------------
// Tracks

static void tracks_are_loops(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 1};
    double sum = 0, squares = 0, kerbs = 0;
    int tries = 0;
    enum { TRACKS = 2000 };
    for (int k = 0; k < TRACKS; k++) {
        tries += hb_car_track_draw(&track, &random.base);
        sum += track.n;
        squares += (double)track.n * track.n;
        assert_true(track.n > 150 && track.n < 500);
        for (int i = 1; i < track.n; i++) {
            const hb_car_point *a = &track.point[i - 1], *b = &track.point[i];
            check_close(hypot(b->x - a->x, b->y - a->y), 3.5, 1e-9);
            assert_true(fabs(remainder(b->beta - a->beta, 2 * M_PI)) <= 0.31 + 1e-9);
        }
        const hb_car_point *a = &track.point[0], *z = &track.point[track.n - 1];
        // All that Gym asks of the last gap: its part along x and along y, each weighed by the first point's direction.
        assert_true(hypot(cos(a->beta) * (a->x - z->x), sin(a->beta) * (a->y - z->y)) <= 3.5);
        for (int i = 0; i < track.n; i++) kerbs += (double)track.border[i] / track.n;
    }
    const double mean = sum / TRACKS, sd = sqrt(squares / TRACKS - mean * mean);
    print_message("tracks: %.1f tiles, sd %.1f, %.3f of tries close, %.3f of tiles have kerbs\n", mean, sd,
                  (double)TRACKS / tries, kerbs / TRACKS);
    // car.md section 2, over 300 tracks: 291 sd 23, 0.93, about 0.2; three standard errors of the 300.
    check_close(mean, 291, 3 * 23 / sqrt(300));
    check_close(sd, 23, 3 * 23 / sqrt(600));
    check_close((double)TRACKS / tries, 0.93, 3 * sqrt(0.93 * 0.07 / 300));
    check_close(kerbs / TRACKS, 0.2, 0.03);
}

// A walk that cannot close is refused, not turned into a short track.
static void hopeless_checkpoints(void **state) {
    (void)state;
    static hb_car_track track;
    double noise[HB_CAR_CHECKPOINTS] = {0}, radius[HB_CAR_CHECKPOINTS] = {0};
    const double radii[] = {0, 1e-9, 1e9, NAN, INFINITY, -100};
    for (size_t k = 0; k < sizeof radii / sizeof *radii; k++) {
        for (int c = 0; c < HB_CAR_CHECKPOINTS; c++) radius[c] = radii[k], noise[c] = (double)(c % 3) * 0.1;
        assert_false(hb_car_track_build(&track, noise, radius));
        assert_int_equal(track.n, 0);
    }
    for (int c = 0; c < HB_CAR_CHECKPOINTS; c++) radius[c] = 225, noise[c] = 0;
    assert_true(hb_car_track_build(&track, noise, radius));
    check_close(track.n, 2 * M_PI * 225 / 3.5, 25); // all but a circle
}

// ---------------------------------------------------------------------------------------------------
// Physics

static bool same_pose(hb_car_pose a, hb_car_pose b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

// Our world against one with a sensor body for each tile: motion, visits and colours, in every variation.
static void motion_is_gyms(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 2};
    const hb_car_push pushes[] = {{1, 0, 0}, {0.5, 0, 0}, {2, 0, 0}, {1, -10, 0}, {1, 10, 0}, {1, 0, 300}};
    hb_car_world *world = hb_car_world_create();
    assert_non_null(world);
    int visits = 0, road = 0;
    for (int life = 0; life < 20; life++) {
        hb_car_track_draw(&track, &random.base);
        car_oracle *oracle = car_oracle_create(&track);
        const hb_car_push *push = &pushes[life % 6];
        double physics = 0, steer = 0;
        int fresh = 0;
        hb_car_world_place(world, &track);
        for (int t = 0; t < 300; t++) {
            if (t % 20 == 0) steer = uniform(&random, -0.3, 0.3);
            // Now and then beyond what an action may be, and hard enough on the brake to lock the wheels.
            const bool wild = t % 50 > 44;
            const double gas = uniform(&random, wild ? -0.5 : 0, wild ? 1.5 : 0.6);
            const double brake = uniform(&random, -0.1, wild ? 1.2 : 0.2);
            if (t > 0) hb_car_world_control(world, steer, gas, brake); // the first step comes without action
            fresh += hb_car_world_step(world, push, &physics);
            car_oracle_step(oracle, t > 0 ? steer : 0, t > 0 ? gas : 0, t > 0 ? brake : 0, push);
            hb_car_state ours;
            hb_car_world_state(world, &ours);
            assert_true(same_pose(ours.hull, car_oracle_pose(oracle, 0)));
            for (int w = 0; w < 4; w++) {
                assert_true(same_pose(ours.wheel[w].pose, car_oracle_pose(oracle, w + 1)));
                assert_true(ours.wheel[w].omega == car_oracle_omega(oracle, w));
                assert_true(ours.wheel[w].phase == car_oracle_phase(oracle, w));
                road += ours.wheel[w].on_road;
            }
            int visited = 0;
            for (int i = 0; i < track.n; i++) {
                assert_int_equal(hb_car_world_visited(world, i), car_oracle_visited(oracle, i));
                assert_int_equal(hb_car_world_plain(world, i), car_oracle_plain(oracle, i));
                visited += hb_car_world_visited(world, i);
            }
            assert_int_equal(visited, fresh);
        }
        visits += fresh;
        car_oracle_destroy(oracle);
    }
    print_message("20 lives of 300 steps: %d tiles visited, %.0f %% of wheels on the road\n", visits,
                  100.0 * road / (20 * 300 * 4));
    assert_true(visits > 200 && road > 1000 && road < 20 * 300 * 4 - 1000);
    hb_car_world_destroy(world);
}

// Of the oracle's hull, which moves as ours does.
static void the_cars_masses(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 3};
    double hull[4];
    hb_car_track_draw(&track, &random.base);
    car_oracle *oracle = car_oracle_create(&track);
    car_oracle_hull(oracle, hull);
    check_close(hull[0], 7.06, 0.005);
    check_close(hull[1], 0, 1e-6);
    check_close(hull[2], -0.0825, 0.0001);
    check_close(hull[3], 18.26, 0.01);
    car_oracle_destroy(oracle);
}

// ---------------------------------------------------------------------------------------------------
// Episodes

// Steps, sum of rewards and the last outcome of a constant action.
static double live(car *c, double steer, double gas, double brake, int *steps, hb_env_outcome *outcome) {
    double sum = 0;
    *steps = 0;
    do {
        *outcome = drive(c, steer, gas, brake);
        sum += c->out.fitness;
        (*steps)++;
    } while (*outcome == HB_ENV_RUNNING);
    return sum;
}

static void ends_of_episodes(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 4};
    hb_car_track_draw(&track, &random.base);
    const struct {
        choice choices[3];
        int steps;
    } known[] = {{{{NULL, NULL}}, 21},
                 {{{"early_stop", "21"}, {NULL, NULL}}, 22},
                 {{{"early_stop", "0"}, {NULL, NULL}}, 1000},
                 {{{"early_stop", "0"}, {"time_limit", "7"}, {NULL, NULL}}, 7}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        car *c = open_car((choice *)known[k].choices);
        int steps;
        hb_env_outcome outcome;
        hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
        // Two tiles lie under the car; their reward comes with the first step.
        const double sum = live(c, 0, 0, 0, &steps, &outcome);
        assert_int_equal(outcome, HB_ENV_DONE);
        assert_int_equal(steps, known[k].steps);
        check_close(sum, 2 * 1000.0 / track.n - 0.1 * steps, 1e-9);
        close_car(c);
    }
    car *c = open_car((choice[]){{"early_stop", "0"}, {NULL, NULL}});
    int steps;
    hb_env_outcome outcome;
    hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
    hb_car_state there;
    hb_car_world_state(hb_car_world_of(c->body), &there);
    const float shift = 332.0f - there.hull.x;
    there.hull.x += shift, there.hull.vx = 60.0f;
    for (int w = 0; w < 4; w++) there.wheel[w].pose.x += shift, there.wheel[w].pose.vx = 60.0f;
    hb_car_world_set(hb_car_world_of(c->body), &there);
    live(c, 0, 0, 0, &steps, &outcome); // 1.3 units to the edge of the field, 1.2 a step
    assert_int_equal(outcome, HB_ENV_DONE);
    assert_int_equal(steps, 2);
    assert_true(c->out.fitness == -100);
    const float wrong[][3] = {{NAN, 0, 0}, {0, INFINITY, 0}, {0, 0, -INFINITY}};
    for (int k = 0; k < 3; k++) {
        hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
        assert_int_equal(hb_env_car.step(c->body, wrong[k], c->observation, &c->out), HB_ENV_DIVERGED);
        assert_true(c->out.fitness == 0);
    }
    // Actions beyond their range do what the car's parts allow.
    hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
    for (int t = 0; t < 100; t++) assert_int_equal(drive(c, -1e30, 1e30, -1e30), HB_ENV_RUNNING);
    close_car(c);
}

// More friction gets a car away faster, a push drives it sideways, a force along x.
static void variations(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 5};
    hb_car_track_draw(&track, &random.base);
    track.point[0].beta = 0; // forward is +y, right is +x
    double moved[5][2];
    for (int v = 0; v < 5; v++) {
        car *c = open_car((choice[]){{"early_stop", "0"}, {NULL, NULL}});
        hb_car_state s;
        hb_car_reset_on(c->body, v, &track, c->observation, &c->out);
        for (int t = 0; t < 40; t++) drive(c, 0, 1, 0);
        hb_car_world_state(hb_car_world_of(c->body), &s);
        moved[v][0] = (double)s.hull.x - track.point[0].x, moved[v][1] = (double)s.hull.y - track.point[0].y;
        close_car(c);
    }
    assert_true(moved[1][1] < moved[0][1] && moved[0][1] < moved[2][1]);
    check_close(moved[0][0], 0, 0.05);
    assert_true(moved[3][0] < -1 && moved[4][0] > 1);
    car *c = open_car((choice[]){{"early_stop", "0"}, {"push_mode", "world_force"}, {"push", "500"}, {NULL, NULL}});
    hb_car_state s;
    hb_car_reset_on(c->body, 4, &track, c->observation, &c->out);
    for (int t = 0; t < 40; t++) drive(c, 0, 0, 0);
    hb_car_world_state(hb_car_world_of(c->body), &s);
    assert_true((double)s.hull.x - track.point[0].x > 0.1);
    close_car(c);
}

static uint64_t hash(uint64_t h, const void *data, size_t n) {
    const uint8_t *bytes = data;
    for (size_t k = 0; k < n; k++) h = (h ^ bytes[k]) * 1099511628211u;
    return h;
}

static uint64_t hash_life(car *c, const hb_car_track *track, int variation) {
    lcg random = {{lcg_next}, 7};
    uint64_t h = 1;
    hb_car_reset_on(c->body, variation, track, c->observation, &c->out);
    for (int t = 0; t < 100; t++) {
        const hb_env_outcome outcome =
            drive(c, uniform(&random, -1, 1), uniform(&random, 0, 1), uniform(&random, 0, 0.2));
        assert_int_equal(outcome, HB_ENV_RUNNING);
        h = hash(h, c->observation, sizeof c->observation);
        h = hash(h, &c->out.fitness, sizeof c->out.fitness);
    }
    return h;
}

// A body that has lived ten thousand lives is as good as new, and no larger.
static void many_resets(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 6};
    hb_car_track_draw(&track, &random.base);
    car *old = open_car((choice[]){{"early_stop", "0"}, {NULL, NULL}});
    const uint64_t before = hash_life(old, &track, 3);
    hb_env_car.reset(old->body, 0, &random.base, old->observation, &old->out);
    const size_t bytes = mallinfo2().uordblks;
    const int resets = getenv("HB_QUICK") ? 1000 : 100000;
    for (int k = 0; k < resets; k++) {
        hb_env_car.reset(old->body, k % 5, &random.base, old->observation, &old->out);
        if (k % 10 == 0) drive(old, 0.5, 1, 0);
    }
    print_message("%d resets: %zd bytes more\n", resets, (ssize_t)(mallinfo2().uordblks - bytes));
    assert_true(mallinfo2().uordblks <= bytes + 65536);
    assert_true(hash_life(old, &track, 3) == before);
    car *fresh = open_car((choice[]){{"early_stop", "0"}, {NULL, NULL}});
    assert_true(hash_life(fresh, &track, 3) == before);
    close_car(fresh);
    close_car(old);
}

// ---------------------------------------------------------------------------------------------------
// Rasteriser

// Is the point in the convex polygon? Positive on the same side of all edges, whichever way round it is given.
static bool inside(const double (*corner)[2], int n, double x, double y) {
    int left = 0, right = 0;
    for (int k = 0; k < n; k++) {
        const double *a = corner[k], *b = corner[(k + 1) % n];
        const double side = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
        left += side > 0;
        right += side < 0;
    }
    return left == 0 || right == 0;
}

static void polygons_by_definition(void **state) {
    (void)state;
    enum { WIDE = 37, HIGH = 23 };
    lcg random = {{lcg_next}, 8};
    uint8_t index[WIDE * HIGH + 32];
    for (int round = 0; round < 3000; round++) {
        // Corners on a circle in order of their angle are convex.
        double corner[8][2], angle[8];
        const int n = 3 + (int)uniform(&random, 0, 6);
        const double x = uniform(&random, -20, 60), y = uniform(&random, -20, 40);
        const double r = round % 3 ? uniform(&random, 0.1, 20) : uniform(&random, 0.1, 2000);
        for (int k = 0; k < n; k++) angle[k] = 2 * M_PI * (k + uniform(&random, 0, 0.9)) / n;
        for (int k = 0; k < n; k++) {
            const int j = round % 2 ? n - 1 - k : k;
            corner[j][0] = x + r * cos(angle[k]), corner[j][1] = y + r * sin(angle[k]);
        }
        memset(index, 7, sizeof index);
        hb_canvas canvas = {WIDE, HIGH, index + 16};
        hb_canvas_fill(&canvas, (const double(*)[2])corner, n, 3);
        for (int row = 0; row < HIGH; row++)
            for (int column = 0; column < WIDE; column++)
                assert_int_equal(canvas.index[row * WIDE + column],
                                 inside((const double(*)[2])corner, n, column + 0.5, row + 0.5) ? 3 : 7);
        for (int k = 0; k < 16; k++) assert_true(index[k] == 7 && index[16 + WIDE * HIGH + k] == 7);
    }
    // Two squares that share an edge through middles of samples paint each sample once.
    const double one[4][2] = {{2.5, 2.5}, {5.5, 2.5}, {5.5, 6.5}, {2.5, 6.5}};
    const double two[4][2] = {{5.5, 2.5}, {8.5, 2.5}, {8.5, 6.5}, {5.5, 6.5}};
    memset(index, 0, sizeof index);
    hb_canvas canvas = {WIDE, HIGH, index};
    hb_canvas_fill(&canvas, one, 4, 1);
    hb_canvas_fill(&canvas, two, 4, 2);
    int painted[3] = {0};
    for (int k = 0; k < WIDE * HIGH; k++) painted[index[k]]++;
    assert_int_equal(painted[1], 12);
    assert_int_equal(painted[2], 12);
    // Nonsense paints nothing outside and does not end the process.
    const double nonsense[3][2] = {{NAN, 1}, {1e300, -1e300}, {INFINITY, 5}};
    hb_canvas_fill(&canvas, nonsense, 3, 1);
}

static void pictures_by_definition(void **state) {
    (void)state;
    lcg random = {{lcg_next}, 9};
    static uint8_t index[96 * 96 * 16], planes[3 * 96 * 96], rgb[3 * 96 * 96], small[3 * 84 * 84];
    uint8_t palette[HB_PALETTE][3];
    for (int k = 0; k < HB_PALETTE; k++)
        for (int c = 0; c < 3; c++) palette[k][c] = (uint8_t)(lcg_next(&random.base) >> 24);
    for (size_t k = 0; k < sizeof index; k++) index[k] = (uint8_t)(lcg_next(&random.base) >> 28);
    for (int s = 1; s <= 4; s++) {
        const int wide = 40 * s + s / 2, high = 13 * s; // what is left over is not looked at
        const hb_canvas canvas = {wide, high, index};
        hb_canvas_planes(&canvas, s, palette, planes);
        assert_int_equal(hb_canvas_picture(&canvas, s, palette, rgb), 0);
        for (int p = 0; p < 40 * 13; p++)
            for (int c = 0; c < 3; c++) {
                double sum = 0;
                for (int a = 0; a < s * s; a++)
                    sum += palette[index[(p / 40 * s + a / s) * wide + p % 40 * s + a % s]][c];
                check_close(planes[c * 40 * 13 + p], floor(sum / (s * s) + 0.5), 0);
                assert_int_equal(planes[c * 40 * 13 + p], rgb[3 * p + c]);
            }
    }
    for (size_t k = 0; k < sizeof planes; k++) planes[k] = (uint8_t)(lcg_next(&random.base) >> 24);
    hb_planes_84(planes, small);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 84; i++)
            for (int j = 0; j < 84; j++) {
                double sum = 0;
                for (int a = 0; a < 96; a++)
                    for (int b = 0; b < 96 && a < 8 * (i + 1) / 7.0; b++) {
                        const double high = fmin(a + 1, 8 * (i + 1) / 7.0) - fmax(a, 8 * i / 7.0);
                        const double wide = fmin(b + 1, 8 * (j + 1) / 7.0) - fmax(b, 8 * j / 7.0);
                        if (high > 0 && wide > 0) sum += high * wide * planes[(c * 96 + a) * 96 + b];
                    }
                check_close(small[(c * 84 + i) * 84 + j], sum * 49 / 64, 0.5 + 1e-9);
            }
}

// The camera: before the first step the whole field, later the road ahead with the car in its place.
static void what_the_camera_sees(void **state) {
    (void)state;
    static hb_car_track track;
    static uint8_t rgb[96 * 96 * 3];
    lcg random = {{lcg_next}, 10};
    hb_car_track_draw(&track, &random.base);
    car *c = open_car((choice[]){{"early_stop", "0"}, {NULL, NULL}});
    hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
    for (int t = 0; t < 60; t++) drive(c, 0, 0, 0);
    assert_int_equal(hb_env_car.picture(c->body, 96, 96, 1, rgb, NULL, 0), 0);
    // At full zoom a pixel is 0.64 x 0.51 units; the car is at column 48, 24 rows above the bottom: red.
    const uint8_t *hull = rgb + ((96 - 24) * 96 + 48) * 3, *foot = rgb + (95 * 96 + 2) * 3;
    assert_true(hull[0] == 204 && hull[1] == 0 && hull[2] == 0);
    assert_true(foot[0] == 0 && foot[1] == 0 && foot[2] == 0);
    int road = 0, grass = 0;
    for (int column = 0; column < 96; column++) {
        const uint8_t *p = rgb + ((96 - 24 - 8) * 96 + column) * 3;
        road += p[0] == p[1] && p[1] == p[2] && p[0] >= 102 && p[0] <= 107;
        grass += p[0] == 102 && p[1] > 200;
    }
    assert_int_equal(road + grass, 96);
    check_close(road, 2 * 40.0 / 6 / 0.643, 2); // the road's width, the car on its middle
    close_car(c);
}

// The whole car at a point of the track, at rest.
static void put_at(car *c, const hb_car_point *p) {
    static const double wheel[4][2] = {{-1.1, 1.6}, {1.1, 1.6}, {-1.1, -1.64}, {1.1, -1.64}};
    hb_car_state s = {.hull = {(float)p->x, (float)p->y, (float)p->beta, 0, 0, 0}};
    const double across = cos(p->beta), along = sin(p->beta);
    for (int w = 0; w < 4; w++) {
        const double x = wheel[w][0], y = wheel[w][1];
        s.wheel[w].pose = (hb_car_pose){
            (float)(p->x + across * x - along * y), (float)(p->y + along * x + across * y), (float)p->beta, 0, 0, 0};
    }
    hb_car_world_set(hb_car_world_of(c->body), &s);
}

// A lap in jumps from tile to tile: each is worth 1000 / N once, and the last one ends the episode.
static void a_whole_lap(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 12};
    hb_car_track_draw(&track, &random.base);
    car *c = open_car((choice[]){{"early_stop", "0"}, {NULL, NULL}});
    hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
    double sum = 0;
    int steps = 0;
    hb_env_outcome outcome = HB_ENV_RUNNING;
    for (int i = 0; i < track.n && outcome == HB_ENV_RUNNING; i++) {
        put_at(c, &track.point[i]);
        outcome = drive(c, 0, 0, 0);
        sum += c->out.fitness;
        steps++;
    }
    assert_int_equal(outcome, HB_ENV_DONE);
    check_close(sum, 1000 - 0.1 * steps, 1e-6);
    close_car(c);
}

// With env.lap_complete a lap that leaves out a few tiles ends at the start, and only there; without it goes on.
static void a_lap_with_gaps(void **state) {
    (void)state;
    static hb_car_track track;
    lcg random = {{lcg_next}, 12};
    hb_car_track_draw(&track, &random.base);
    const char *const shares[] = {"0.9", "0.999", "0"};
    for (int k = 0; k < 3; k++) {
        car *c = open_car((choice[]){{"early_stop", "0"}, {"lap_complete", shares[k]}, {NULL, NULL}});
        hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
        hb_env_outcome outcome = HB_ENV_RUNNING;
        for (int i = 0; i < track.n; i++) {
            if (i % 30 >= 13 && i % 30 <= 14) continue; // a jump leaves tiles out
            put_at(c, &track.point[i]);
            outcome = drive(c, 0, 0, 0);
            if (i < track.n - 1) assert_int_equal(outcome, HB_ENV_RUNNING);
        }
        put_at(c, &track.point[0]);
        if (outcome == HB_ENV_RUNNING) outcome = drive(c, 0, 0, 0);
        assert_int_equal(outcome, k == 0 ? HB_ENV_DONE : HB_ENV_RUNNING);
        close_car(c);
    }
}

static const uint8_t *pixel(const uint8_t *rgb, int row, int column) {
    return rgb + (row * 96 + column) * 3;
}

// v0's camera looks along the velocity, later's along the car; the instruments show what they should.
static void the_camera_and_the_instruments(void **state) {
    (void)state;
    static hb_car_road road = {.n = 1, .has_kerb = {true}};
    static uint8_t index[96 * 96], rgb[96 * 96 * 3];
    hb_car_world *world = hb_car_world_create();
    assert_non_null(world);
    const hb_canvas canvas = {96, 96, index};
    // 50 units/s towards (0.6, 0.8); the car itself looks along (-sin 0.5, cos 0.5).
    hb_car_state s = {.hull = {10, 20, 0.5f, 30, 40, -1.0f}};
    const double ahead[2][2] = {{0.6, 0.8}, {-sin(0.5), cos(0.5)}};
    for (int later = 0; later < 2; later++) {
        // A white square of a unit and a half, 20 units ahead of what the camera looks along.
        const double x = 10 + 20 * ahead[later][0], y = 20 + 20 * ahead[later][1], half = 0.75;
        const double corner[4][2] = {
            {x - half, y - half}, {x + half, y - half}, {x + half, y + half}, {x - half, y + half}};
        memcpy(road.kerb[0], corner, sizeof corner);
        memcpy(road.tile[0], corner, sizeof corner);
        for (int w = 0; w < 4; w++) {
            s.wheel[w].omega = w < 2 ? 100 : -50;
            s.wheel[w].joint = 0.2f;
        }
        const hb_car_scene scene = {
            .road = &road, .world = world, .state = &s, .time = 5, .turns_with_car = later == 1};
        hb_car_draw(&scene, (hb_canvas *)&canvas);
        assert_int_equal(hb_canvas_picture(&canvas, 1, hb_car_palette_v0, rgb), 0);
        // 20 units at 16.2 window units each are 324 of 800: 39 rows above the car, which is 24 above the bottom.
        int whites = 0;
        for (int row = 0; row < 80; row++)
            for (int column = 0; column < 96; column++) {
                if (pixel(rgb, row, column)[2] != 255) continue;
                assert_true(abs(row - (96 - 24 - 39)) <= 3 && abs(column - 48) <= 2);
                whites++;
            }
        assert_true(whites >= 4);
        // Upright bars stand on row 93.6 (y = 20): speed 0.02 * 50 and omega 0.01 * 100 are 20 units high, rows 91 to 93;
        // omega -0.5 hangs down 10 units, row 94. A place is 2.4 columns wide.
        const struct {
            int row, column;
            uint8_t colour[3];
        } known[] = {{91, 12, {255, 255, 255}},
                     {93, 13, {255, 255, 255}},
                     {90, 12, {0, 0, 0}},
                     {91, 17, {0, 0, 255}},
                     {93, 20, {0, 0, 255}},
                     {90, 17, {0, 0, 0}},
                     {94, 22, {51, 0, 255}},
                     {94, 25, {51, 0, 255}},
                     {92, 22, {0, 0, 0}},
                     // Flat bars in rows 86.4 to 91.2: joint -10 * 0.2 to the left of place 20 (column 48), spin
                     // -0.8 * -1 to the right of place 30 (column 72).
                     {88, 44, {0, 255, 0}},
                     {88, 47, {0, 255, 0}},
                     {88, 48, {0, 0, 0}},
                     {88, 42, {0, 0, 0}},
                     {88, 72, {255, 0, 0}},
                     {88, 73, {255, 0, 0}},
                     {88, 71, {0, 0, 0}},
                     {88, 75, {0, 0, 0}}};
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (memcmp(pixel(rgb, known[k].row, known[k].column), known[k].colour, 3) != 0)
                fail_msg("row %d column %d", known[k].row, known[k].column);
    }
    hb_car_world_destroy(world);
}

// The score in its place, and nowhere else.
static void the_score(void **state) {
    (void)state;
    static hb_car_track track;
    static uint8_t with[96 * 96 * 3], without[96 * 96 * 3];
    lcg random = {{lcg_next}, 11};
    do hb_car_track_draw(&track, &random.base);
    while ((int)(2000.0 / track.n - 0.2) !=
           6); // two tiles; the third step is not counted yet when it is drawn: "0006"
    const char *const values[] = {"false", "true"};
    for (int k = 0; k < 2; k++) {
        car *c = open_car((choice[]){{"early_stop", "0"}, {"score", values[k]}, {NULL, NULL}});
        hb_car_reset_on(c->body, 0, &track, c->observation, &c->out);
        for (int t = 0; t < 3; t++) drive(c, 0, 0, 0);
        assert_int_equal(hb_env_car.picture(c->body, 96, 96, 1, k ? with : without, NULL, 0), 0);
        close_car(c);
    }
    char read[5][13];
    for (int row = 0; row < 96; row++)
        for (int column = 0; column < 96; column++) {
            const uint8_t *a = with + (row * 96 + column) * 3, *b = without + (row * 96 + column) * 3;
            const bool here = row >= 88 && row < 93 && column >= 2 && column < 14;
            if (here)
                read[row - 88][column - 2] = a[0] == 255 && a[1] == 255 && a[2] == 255 ? '#' : '.';
            else
                assert_memory_equal(a, b, 3);
        }
    for (int row = 0; row < 5; row++) read[row][12] = '\0';
    const char *const digits[5] = {"############", "#.##.##.##..", "#.##.##.####", "#.##.##.##.#", "############"};
    for (int row = 0; row < 5; row++) assert_string_equal(read[row], digits[row]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tracks_are_loops),
        cmocka_unit_test(hopeless_checkpoints),
        cmocka_unit_test(motion_is_gyms),
        cmocka_unit_test(the_cars_masses),
        cmocka_unit_test(ends_of_episodes),
        cmocka_unit_test(variations),
        cmocka_unit_test(many_resets),
        cmocka_unit_test(polygons_by_definition),
        cmocka_unit_test(pictures_by_definition),
        cmocka_unit_test(what_the_camera_sees),
        cmocka_unit_test(the_score),
        cmocka_unit_test(a_whole_lap),
        cmocka_unit_test(a_lap_with_gaps),
        cmocka_unit_test(the_camera_and_the_instruments),
    };
    return cmocka_run_group_tests_name("car", tests, NULL, NULL);
}
