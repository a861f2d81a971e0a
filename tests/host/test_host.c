// The host's parts: shaping, the search on problems with known answers, threads, files.
#include "tests/host/scene.h"

#include "host/base/files.h"
#include "host/search/shaping.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Shaping

static void shaping_closed_forms(void **state) {
    (void)state;
    const double fitness[5] = {3.0, -1.0, 3.5, 10.0, 2.0}, tied[5] = {3.0, -1.0, 3.0, 10.0, 2.0},
                 flat[5] = {7, 7, 7, 7, 7};
    const int rank[5] = {2, 0, 3, 4, 1};
    const double shared[5] = {2.5, 0, 2.5, 4, 1}; // equals share the mean of their ranks
    float z[5];
    assert_int_equal(hb_shape_fitness(HB_RANKS, fitness, 5, z, NULL), HB_OK);
    double sum = 0, squares = 0;
    for (int s = 0; s < 5; s++) {
        check_close(z[s], (rank[s] - 2.0) / sqrt(24.0 / 12), 1e-6);
        sum += (double)z[s];
        squares += (double)z[s] * (double)z[s];
    }
    check_close(sum, 0, 1e-6);
    check_close(squares / 5, 1, 1e-6); // standardised by the population's sd
    assert_int_equal(hb_shape_fitness(HB_RANKS_UNBIASED, fitness, 5, z, NULL), HB_OK);
    squares = 0;
    for (int s = 0; s < 5; s++) squares += (double)z[s] * (double)z[s];
    check_close(squares / 4, 1, 1e-6);
    for (int shaping = 0; shaping < 2; shaping++) {
        const hb_shaping how = shaping ? HB_RANKS_UNBIASED : HB_RANKS;
        assert_int_equal(hb_shape_fitness(how, tied, 5, z, NULL), HB_OK);
        for (int s = 0; s < 5; s++) check_close(z[s], (shared[s] - 2.0) / sqrt((shaping ? 30.0 : 24.0) / 12), 1e-6);
        assert_int_equal(hb_shape_fitness(how, flat, 5, z, NULL), HB_OK);
        for (int s = 0; s < 5; s++) assert_true(z[s] == 0);
    }
    assert_int_equal(hb_shape_fitness(HB_UNSHAPED, fitness, 5, z, NULL), HB_OK);
    for (int s = 0; s < 5; s++) assert_true(z[s] == (float)fitness[s]);
}

// ---------------------------------------------------------------------------------------------------
// Search

// A static network of 130 weights.
static scene *open_normal(const char *optimiser, bool antithetic, int64_t population, int32_t threads) {
    char text[3][64];
    snprintf(text[0], sizeof text[0], "search.optimiser=%s", optimiser);
    snprintf(text[1], sizeof text[1], "search.population=%lld", (long long)population);
    snprintf(text[2], sizeof text[2], "run.threads=%d", threads);
    const char *const sets[] = {text[0],
                                text[1],
                                text[2],
                                antithetic ? "search.antithetic=true" : "search.antithetic=false",
                                strcmp(optimiser, "adam") == 0 ? "search.lr=0.05" : "search.lr=0.2",
                                "policy.kind=static"};
    const hb_net_def def = {.inputs = 10, .outputs = 13, .last = HB_TANH};
    scene *s = open_scene(&def, sets, 6);
    start_search(s);
    return s;
}

// One generation on f(h) = -sum (h_d - 0.5)^2 with h made by the scalar functions.
static double generation(scene *s) {
    double *fitness = calloc((size_t)s->settings->population, sizeof *fitness);
    assert_non_null(fitness);
    double mean = 0;
    for (int64_t k = 0; k < s->settings->population; k++) {
        hb_genome genome;
        s->search.method->genome(&s->search, k, &genome);
        for (int64_t d = 0; d < s->net.genome_size; d++) {
            const double h =
                (double)fmaf(genome.sigma, hb_noise_normal(genome.noise, (uint64_t)d), hb_floats(genome.mean)[d]);
            fitness[k] -= (h - 0.5) * (h - 0.5);
        }
        mean += fitness[k] / (double)s->settings->population;
    }
    assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
    free(fitness);
    return mean;
}

// The update is mean + lr / (n sigma) sum z eps, by a double-precision loop over all individuals.
static void update_is_the_estimator(void **state) {
    (void)state;
    for (int antithetic = 0; antithetic < 2; antithetic++) {
        scene *s = open_normal("sgd", antithetic, 8, 1);
        const double fitness[8] = {3, 1, 4, 1.5, 9, 2, 6, 5};
        float z[8];
        double expected[130];
        hb_shape_fitness(HB_RANKS, fitness, 8, z, NULL);
        for (int d = 0; d < 130; d++) {
            expected[d] = (double)array_data(s, 0)[d];
            for (int k = 0; k < 8; k++) {
                hb_genome genome;
                s->search.method->genome(&s->search, k, &genome);
                const double sign = genome.sigma < 0 ? -1 : 1;
                expected[d] +=
                    0.2 / (8 * 0.1) * (double)z[k] * sign * (double)hb_noise_normal(genome.noise, (uint64_t)d);
            }
        }
        assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
        for (int d = 0; d < 130; d++) check_close(array_data(s, 0)[d], expected[d], 2e-6);
        check_close(s->search.lr, 0.2 * 0.995, 1e-15);
        check_close(s->search.sigma, 0.1 * 0.999, 1e-15);
        assert_int_equal(s->search.generation, 1);
        close_scene(s);
    }
}

static void search_climbs(void **state) {
    (void)state;
    const char *const optimisers[] = {"sgd", "adam"};
    for (int k = 0; k < 2; k++) {
        scene *s = open_normal(optimisers[k], true, 40, 2);
        const double first = generation(s);
        double last = 0;
        for (int g = 0; g < 300; g++) last = generation(s);
        print_message("%s: %.2f to %.2f\n", optimisers[k], first, last);
        assert_true(last > 0.1 * first && last < 0);
        close_scene(s);
    }
}

static void floors_stop_the_decay(void **state) {
    (void)state;
    scene *s = open_normal("sgd", true, 2, 1);
    s->search.lr = 0.001001;
    s->search.sigma = 0.01;
    generation(s);
    check_close(s->search.lr, 0.001001 * 0.995, 1e-15); // one step below is possible
    check_close(s->search.sigma, 0.01, 0);              // at the floor: no step
    generation(s);
    check_close(s->search.lr, 0.001001 * 0.995, 1e-15);
    close_scene(s);
}

static void threads_change_no_bit(void **state) {
    (void)state;
    float means[3][130];
    for (int t = 0; t < 3; t++) {
        scene *s = open_normal("adam", true, 10, t + 1);
        for (int g = 0; g < 5; g++) generation(s);
        memcpy(means[t], array_data(s, 0), sizeof means[t]);
        close_scene(s);
    }
    assert_memory_equal(means[0], means[1], sizeof means[0]);
    assert_memory_equal(means[0], means[2], sizeof means[0]);
}

// ---------------------------------------------------------------------------------------------------
// Threads

typedef struct {
    atomic_int seen[1000];
} coverage;

static void cover(void *context, size_t begin, size_t end) {
    coverage *c = context;
    assert_int_equal(begin % 64, 0);
    for (size_t k = begin; k < end; k++) atomic_fetch_add(&c->seen[k], 1);
}

static void split_covers_once(void **state) {
    (void)state;
    const size_t sizes[] = {1, 63, 64, 65, 128, 999, 1000};
    for (int32_t threads = 1; threads <= 5; threads++) {
        hb_pool *pool;
        assert_int_equal(hb_pool_open(threads, &pool, NULL), HB_OK);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            static coverage c;
            for (size_t i = 0; i < 1000; i++) atomic_store(&c.seen[i], 0);
            hb_pool_split(pool, sizes[k], 64, cover, &c);
            for (size_t i = 0; i < 1000; i++) assert_int_equal(atomic_load(&c.seen[i]), i < sizes[k]);
        }
        hb_pool_close(pool);
    }
}

// ---------------------------------------------------------------------------------------------------
// Files

static void files_are_whole_or_old(void **state) {
    (void)state;
    hb_error error;
    void *data;
    size_t n;
    check_ok(hb_file_write("test_host_file", "first", 5, &error), error);
    // A quota of 3 bytes stands for a full disk: the second write must fail and leave the first.
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 3;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const hb_status status = hb_file_write("test_host_file", "second one", 10, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, HB_FAILED);
    assert_non_null(strstr(error.message, "test_host_file"));
    check_ok(hb_file_read("test_host_file", 100, &data, &n, &error), error);
    assert_int_equal(n, 5);
    assert_memory_equal(data, "first", 6);
    free(data);
    assert_int_not_equal(access("test_host_file.part", F_OK), 0);
    assert_int_equal(hb_file_read("test_host_file", 4, &data, &n, &error), HB_BAD_INPUT);
    assert_int_equal(hb_file_read("test_host_no_file", 4, &data, &n, &error), HB_BAD_INPUT);
    assert_int_equal(hb_file_read(".", 4, &data, &n, &error), HB_BAD_INPUT);
    remove("test_host_file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaping_closed_forms),   cmocka_unit_test(update_is_the_estimator),
        cmocka_unit_test(search_climbs),          cmocka_unit_test(floors_stop_the_decay),
        cmocka_unit_test(threads_change_no_bit),  cmocka_unit_test(split_covers_once),
        cmocka_unit_test(files_are_whole_or_old),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
