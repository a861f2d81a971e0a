// A generation on an environment whose returns are known: fitness, penalty, reports, the start of the search, a device that
// one thread serves, and integers of a checkpoint.
#define _GNU_SOURCE // memmem
#include "tests/check.h"

#include "host/base/files.h"
#include "host/hebbes.h"
#include "host/run/checkpoint.h"
#include "host/train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { POPULATION = 6 };

typedef struct {
    hb_config *config;
    hb_trainer trainer;
} scene;

static scene *open_scene(const char *const *more, int n) {
    const char *sets[16] = {"env.name=" HB_KNOWN, "search.population=6", "policy.hidden=5", "run.threads=2"};
    int count = 4;
    for (int k = 0; k < n; k++) sets[count++] = more[k];
    scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    hb_error error;
    check_ok(hb_config_open(NULL, sets, count, &s->config, &error), error);
    check_ok(hb_trainer_open(s->config, &s->trainer, &error), error);
    return s;
}

static void close_scene(scene *s) {
    hb_trainer_close(&s->trainer);
    hb_config_close(s->config);
    free(s);
}

// mean(h^2) of individual s over the coefficients, in double precision from the scalar functions.
static double mean_square(const hb_trainer *trainer, int64_t s) {
    hb_genome genome;
    trainer->search.method->genome(&trainer->search, s, &genome);
    double sum = 0;
    for (int64_t d = 0; d < trainer->net.n_penalised; d++) {
        const double h =
            (double)fmaf(genome.sigma, hb_noise_normal(genome.noise, (uint64_t)d), hb_floats(genome.mean)[d]);
        sum += h * h;
    }
    return sum / (double)trainer->net.n_penalised;
}

static void fitness_is_mean_return_minus_penalty(void **state) {
    (void)state;
    for (int clip = 0; clip < 2; clip++)
        for (int batched = 0; batched < 2; batched++) {
            const char *const sets[] = {"env.variations=plus,minus,broken", "search.l2=0.5",
                                        clip ? "search.clip_negative=true" : "search.clip_negative=false",
                                        batched ? "run.rollout=batched" : "run.rollout=resident"};
            scene *s = open_scene(sets, 4);
            hb_generation report;
            hb_error error;
            check_ok(hb_trainer_rollout(&s->trainer, &report, NULL, &error), error);
            const double minus = clip ? 0 : -10;
            double mean = 0, max = -1e300, squares = 0, f[POPULATION];
            for (int64_t k = 0; k < POPULATION; k++) {
                const double penalty = 0.5 * mean_square(&s->trainer, k);
                f[k] = (12 + minus + 7) / 3 - penalty;
                check_close(s->trainer.fitness[k], f[k], 1e-5);
                mean += f[k] / POPULATION;
                max = larger(max, f[k]);
                assert_true(penalty > 0.1);
            }
            for (int64_t k = 0; k < POPULATION; k++) squares += (f[k] - mean) * (f[k] - mean);
            check_close(report.mean, mean, 1e-5);
            check_close(report.max, max, 1e-5);
            check_close(report.sd, sqrt(squares / (POPULATION - 1)), 1e-5);
            check_close(report.variation_mean[0] - report.variation_mean[1], 12 - minus, 1e-5);
            assert_int_equal(report.env_steps, POPULATION * (4 + 2 + 2));
            assert_int_equal(report.diverged, POPULATION); // the broken ones, with the fitness they had
            check_close(report.reward, (4 + 2 + 1) / 3.0, 1e-9);
            close_scene(s);
        }
}

// Where steps cost, a life that ends at once by leaving the numbers is no better than the worst that lasts.
static void nothing_is_gained_by_diverging(void **state) {
    (void)state;
    const char *const sets[] = {"env.variations=costly,plus", "search.l2=0", "search.population=16"};
    scene *s = open_scene(sets, 3);
    hb_generation report;
    hb_error error;
    check_ok(hb_trainer_rollout(&s->trainer, &report, NULL, &error), error);
    assert_in_range(report.diverged, 1, 15);
    for (int64_t k = 0; k < 16; k++) check_close(s->trainer.fitness[k], (-9 + 12) / 2.0, 1e-9);
    check_close(report.variation_max[0], -9, 1e-9);
    close_scene(s);
}

static void stillborn_lives_count_as_diverged(void **state) {
    (void)state;
    const char *const sets[] = {"env.variations=stillborn", "search.l2=0"};
    scene *s = open_scene(sets, 2);
    hb_generation report;
    hb_error error;
    check_ok(hb_trainer_rollout(&s->trainer, &report, NULL, &error), error);
    assert_int_equal(report.diverged, POPULATION);
    assert_int_equal(report.env_steps, 0);
    check_close(report.mean, 0, 0);
    close_scene(s);
}

// A search that overflows stops with a line instead of training on NaN.
static void overflow_is_an_error(void **state) {
    (void)state;
    const char *const sets[] = {"search.l2=1"};
    scene *s = open_scene(sets, 1);
    hb_floats(s->trainer.search.array[0].data)[3] = 1e38f;
    hb_generation report;
    hb_error error;
    assert_int_equal(hb_trainer_rollout(&s->trainer, &report, NULL, &error), HB_FAILED);
    assert_non_null(strstr(error.message, "generation 1: the fitness of individual"));
    close_scene(s);
}

static void starts(void **state) {
    (void)state;
    const struct {
        const char *set;
        double low, high, mean, sd;
    } known[] = {{"search.start=normal", -5, 5, 0, 1},
                 {"search.start=u01", 0, 1, 0.5, sqrt(1.0 / 12)},
                 {"search.start=u11", -1, 1, 0, sqrt(1.0 / 3)}};
    for (size_t k = 0; k < 3; k++) {
        const char *const sets[] = {known[k].set, "policy.hidden=100,100"};
        scene *s = open_scene(sets, 2);
        const size_t n = s->trainer.search.array[0].n;
        double sum = 0, squares = 0;
        for (size_t d = 0; d < n; d++) {
            const double h = (double)hb_floats(s->trainer.search.array[0].data)[d];
            assert_true(h >= known[k].low && h <= known[k].high);
            sum += h;
            squares += h * h;
        }
        check_close(sum / (double)n, known[k].mean, 0.03);
        check_close(sqrt(squares / (double)n - sum * sum / (double)n / (double)n), known[k].sd, 0.03);
        close_scene(s);
    }
    const char *const fan_in[] = {"search.start=fan_in", "policy.kind=static", "policy.hidden=100,25"};
    scene *s = open_scene(fan_in, 3);
    const float *w = hb_floats(s->trainer.search.array[0].data);
    const int64_t first[] = {0, 100, 2600, 2625};
    const double bound[] = {1, 0.1, 0.2};
    for (int l = 0; l < 3; l++) {
        double largest = 0;
        for (int64_t d = first[l]; d < first[l + 1]; d++) largest = larger(largest, fabs((double)w[d]));
        assert_true(largest <= bound[l] && largest > 0.8 * bound[l]);
    }
    close_scene(s);
    const char *const car[] = {"env.name=car", "search.start=fan_in", "policy.kind=static", "policy.hidden=3"};
    s = open_scene(car, 4);
    w = hb_floats(s->trainer.search.array[0].data) + hb_net_vision_offset(&s->trainer.net);
    assert_int_equal(s->trainer.search.array[0].n, 648 * 3 + 3 * 3 + 162 + 1200);
    double largest[2] = {0, 0};
    for (int e = 0; e < 1362; e++) largest[e >= 162] = larger(largest[e >= 162], fabs((double)w[e]));
    assert_true(largest[0] <= 1 / sqrt(27) && largest[0] > 0.8 / sqrt(27));
    assert_true(largest[1] <= 1 / sqrt(150) && largest[1] > 0.8 / sqrt(150));
    close_scene(s);
}

// The CPU device as one that must not be called from two threads at a time and that does nothing before it is waited
// for: the batched path has to keep to that, with the same bits.
static hb_device_table lonely;
static const hb_device_table *cpu;
static atomic_int inside;

typedef struct {
    hb_group *group;
    int32_t n_fresh, n;
    const int32_t *fresh, *lane;
    const hb_birth *birth;
    double *squares;
    const float *observation, *reward;
    float *action;
} pending;

static pending waiting[2];
static int deepest; // how many groups were under way at once

static pending *pending_of(hb_group *group) {
    for (int k = 0; k < 2; k++)
        if (waiting[k].group == group) return &waiting[k];
    pending *free_one = waiting[0].group ? &waiting[1] : &waiting[0];
    assert_null(free_one->group);
    *free_one = (pending){.group = group};
    deepest = waiting[0].group && waiting[1].group ? 2 : deepest;
    return free_one;
}

static hb_status lonely_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                               double *squares, hb_error *error) {
    (void)error;
    assert_int_equal(atomic_fetch_add(&inside, 1), 0);
    pending *p = pending_of(group);
    p->n_fresh = count, p->fresh = lane, p->birth = birth, p->squares = squares;
    atomic_fetch_sub(&inside, 1);
    return HB_OK;
}

static hb_status lonely_step(hb_group *group, int32_t count, const int32_t *lane, const float *observation,
                             const float *reward, float *action, hb_error *error) {
    (void)error;
    assert_int_equal(atomic_fetch_add(&inside, 1), 0);
    pending *p = pending_of(group);
    p->n = count, p->lane = lane, p->observation = observation, p->reward = reward, p->action = action;
    atomic_fetch_sub(&inside, 1);
    return HB_OK;
}

static hb_status lonely_wait(hb_group *group, hb_error *error) {
    assert_int_equal(atomic_fetch_add(&inside, 1), 0);
    hb_status status = HB_OK;
    for (int k = 0; k < 2; k++) {
        pending *p = &waiting[k];
        if (p->group != group) continue;
        if (p->n_fresh) status = cpu->group_expand(group, p->n_fresh, p->fresh, p->birth, p->squares, error);
        if (status == HB_OK && p->n)
            status = cpu->group_step(group, p->n, p->lane, p->observation, p->reward, p->action, error);
        *p = (pending){.group = NULL};
    }
    atomic_fetch_sub(&inside, 1);
    return status;
}

static void device_served_by_one_thread(void **state) {
    (void)state;
    double fitness[2][POPULATION];
    assert_int_equal(hb_device_find("cpu", &cpu, NULL), HB_OK);
    for (int k = 0; k < 2; k++) {
        const char *const sets[] = {
            "env.variations=plus,minus", "run.threads=3", "run.rollout=batched", "run.group=4", "run.device=cpu",
            "policy.sees_reward=true"};
        scene *s = open_scene(sets, 6);
        lonely = *cpu;
        lonely.host_parallel = false;
        lonely.group_expand = lonely_expand;
        lonely.group_step = lonely_step;
        lonely.group_wait = lonely_wait;
        // A device begins with its table.
        if (k == 1) *(const hb_device_table **)(void *)s->trainer.machine.device = &lonely;
        hb_generation report;
        for (int g = 0; g < 3; g++) {
            assert_int_equal(hb_trainer_rollout(&s->trainer, &report, NULL, NULL), HB_OK);
            assert_int_equal(hb_trainer_update(&s->trainer, &report, NULL), HB_OK);
        }
        memcpy(fitness[k], s->trainer.fitness, sizeof fitness[k]);
        *(const hb_device_table **)(void *)s->trainer.machine.device = cpu;
        close_scene(s);
    }
    assert_memory_equal(fitness[0], fitness[1], sizeof fitness[0]);
    assert_int_equal(deepest, 2); // one group is served while the other's environments step
}

// A map of a shared search, sealed with a rule that does not exist: refused, and nothing of it is taken over.
static void integers_of_a_checkpoint(void **state) {
    (void)state;
    const char *const sets[] = {"search.kind=shared", "search.rules=3", "run.device=cpu"};
    scene *s = open_scene(sets, 3);
    const hb_search_array *map = &s->trainer.search.array[1];
    hb_error error;
    char before[33], after[33];
    void *data;
    size_t n;
    assert_string_equal(map->name, "rule");
    assert_int_equal(map->below, 3);
    check_ok(hb_checkpoint_save(&s->trainer, "test_trainer.h5", &error), error);
    check_ok(hb_file_read("test_trainer.h5", 1 << 20, &data, &n, &error), error);
    remove("test_trainer.h5");
    check_ok(hb_checkpoint_digest(&s->trainer, before, &error), error);
    uint8_t *rule = memmem(data, n, hb_integers(map->data), map->n * sizeof(uint32_t));
    assert_non_null(rule);
    for (uint32_t bad = 2; bad < 4; bad++) { // 2 is a rule, 3 is not
        memcpy(rule + (map->n - 1) * sizeof bad, &bad, sizeof bad);
        const XXH128_hash_t hash = XXH3_128bits(data, n - 32);
        memcpy((uint8_t *)data + n - 16, &hash.low64, 8);
        memcpy((uint8_t *)data + n - 8, &hash.high64, 8);
        const hb_status status = hb_checkpoint_parse(&s->trainer, "sealed", data, n, &error);
        assert_int_equal(status, bad < 3 ? HB_OK : HB_BAD_INPUT);
        check_ok(hb_checkpoint_digest(&s->trainer, bad < 3 ? before : after, &error), error);
    }
    assert_string_equal(error.message, "sealed: expected numbers below 3 in 'rule'");
    assert_string_equal(before, after);
    free(data);
    close_scene(s);
}

// Numbers that no search has: refused, whichever it is, and nothing is taken over.
static void numbers_of_a_checkpoint(void **state) {
    (void)state;
    const char *const sets[] = {"run.device=cpu"};
    scene *s = open_scene(sets, 1);
    const hb_trainer good = s->trainer;
    hb_error error;
    for (int k = 0; k < 9; k++) {
        hb_search *search = &s->trainer.search;
        s->trainer = good;
        const double bad[] = {NAN, (double)INFINITY, -1};
        if (k < 3) search->sigma = bad[k];
        if (k >= 3 && k < 6) search->lr = bad[k - 3];
        if (k == 6) search->generation = -1;
        if (k == 7) search->generation = (int64_t)UINT32_MAX + 1;
        if (k == 8) s->trainer.best_mean = NAN;
        check_ok(hb_checkpoint_save(&s->trainer, "test_trainer.h5", &error), error);
        s->trainer = good;
        assert_int_equal(hb_checkpoint_load(&s->trainer, "test_trainer.h5", &error), HB_BAD_INPUT);
        assert_string_equal(error.message, "test_trainer.h5: the checkpoint's attributes are damaged");
        assert_true(search->sigma == good.search.sigma && search->lr == good.search.lr && search->generation == 0);
        remove("test_trainer.h5");
    }
    close_scene(s);
}

static bool same_noise(hb_noise a, hb_noise b) {
    return a.seed == b.seed && a.stream == b.stream && a.generation == b.generation && a.individual == b.individual &&
           a.episode == b.episode;
}

// Who shares births and resets: nobody, a pair, everybody; never two variations, and never the search's own noise.
static void common_births(void **state) {
    (void)state;
    const char *const sets[] = {"env.variations=plus,minus", "search.common=none", "run.device=cpu"};
    const char *const common[] = {"search.common=none", "search.common=pair", "search.common=generation"};
    for (int c = 0; c < 3; c++) {
        const char *const these[] = {sets[0], common[c], sets[2]};
        scene *s = open_scene(these, 3);
        for (int64_t a = 0; a < 12; a++)
            for (int64_t b = 0; b < a; b++) {
                hb_episode one, two;
                hb_trainer_episode(&s->trainer, a, &one);
                hb_trainer_episode(&s->trainer, b, &two);
                const int64_t i = a / 2, j = b / 2; // individuals, of two variations each
                const bool shared = a % 2 == b % 2 && (c == 0 ? i == j : c == 1 ? i / 2 == j / 2 : true);
                assert_int_equal(same_noise(one.birth.weights, two.birth.weights), shared);
                assert_int_equal(same_noise(one.reset, two.reset), shared);
                assert_int_equal(same_noise(one.birth.genome.noise, two.birth.genome.noise), i / 2 == j / 2);
                assert_false(same_noise(one.birth.weights, one.reset));
            }
        close_scene(s);
    }
    const char *const odd[][2] = {{"search.antithetic=false", "search.common=pair"},
                                  {"search.kind=gmm", "search.common=pair"}};
    for (int k = 0; k < 2; k++) {
        hb_config *config;
        hb_error error;
        assert_int_equal(hb_config_open(NULL, odd[k], 2, &config, &error), HB_BAD_INPUT);
        assert_non_null(strstr(error.message, "search.common"));
    }
}

static void first_episode(const void *context, int64_t k, hb_episode *episode) {
    (void)k;
    hb_trainer_episode(context, 0, episode);
}

// The noise floor: 64 copies of one individual with one birth and one reset live the same life, however they are scheduled.
static void copies_spread_by_nothing(void **state) {
    (void)state;
    const char *const ways[] = {"run.width=1", "run.width=16", "run.rollout=batched"};
    for (int way = 0; way < 3; way++) {
        const char *const sets[] = {"env.name=ant", ways[way], "run.device=cpu"};
        scene *s = open_scene(sets, 3);
        hb_error error;
        hb_episode_result result[64];
        hb_rollout_times times = {.physics = 0};
        check_ok(hb_trainer_ready(&s->trainer, &error), error);
        check_ok(hb_search_prepare(&s->trainer.search, 6, 0, &error), error);
        check_ok(
            hb_rollout_run(s->trainer.rollout, 64, first_episode, &s->trainer, result, NULL, &times, NULL, &error),
            error);
        for (int k = 1; k < 64; k++) {
            assert_true(result[k].fitness == result[0].fitness && result[k].reward == result[0].reward);
            assert_int_equal(result[k].steps, result[0].steps);
        }
        assert_true(result[0].fitness != 0 && result[0].steps > 50);
        close_scene(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fitness_is_mean_return_minus_penalty),
        cmocka_unit_test(nothing_is_gained_by_diverging),
        cmocka_unit_test(stillborn_lives_count_as_diverged),
        cmocka_unit_test(overflow_is_an_error),
        cmocka_unit_test(starts),
        cmocka_unit_test(device_served_by_one_thread),
        cmocka_unit_test(integers_of_a_checkpoint),
        cmocka_unit_test(numbers_of_a_checkpoint),
        cmocka_unit_test(common_births),
        cmocka_unit_test(copies_spread_by_nothing),
    };
    return cmocka_run_group_tests_name("trainer", tests, NULL, NULL);
}
