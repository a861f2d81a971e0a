// Searches with shared rules: maps, merging, estimators against float64 loops, and that they climb.
#include "tests/host/scene.h"

#include "host/search/kmeans.h"
#include "host/search/shaping.h"

#include <stdlib.h>
#include <string.h>

enum { P = 8, C = 5 };

enum { MOST_SETS = 24 };

// A Hebbian network of two layers, 6 to 4 to 3: 36 synapses, 180 coefficients; then the test's own sets.
static scene *open_search(const char *kind, const char *assignment, int64_t rules, const char *init,
                          const char *const *more, int n) {
    char text[4][64];
    const char *sets[MOST_SETS] = {text[0],
                                   text[1],
                                   text[2],
                                   text[3],
                                   "run.threads=2",
                                   "search.population=8",
                                   "search.rho=4",
                                   "search.merge_every=1",
                                   "search.merge_rules=9,4",
                                   "search.sigma_decay=1",
                                   "search.lr_decay=1"};
    int count = 11;
    snprintf(text[0], sizeof text[0], "search.kind=%s", kind);
    snprintf(text[1], sizeof text[1], "search.assignment=%s", *assignment ? assignment : "random");
    snprintf(text[2], sizeof text[2], "search.rules=%lld", (long long)rules);
    snprintf(text[3], sizeof text[3], "policy.init=%s", init);
    for (int k = 0; k < n; k++) sets[count++] = more[k];
    const hb_net_def def = {
        .inputs = 6, .outputs = 3, .n_hidden = 1, .hidden = {4}, .last = HB_TANH, .rule = "ABCD_lr", .init = init};
    return open_scene(&def, sets, count);
}

static const hb_search_array *array_of(const scene *s, const char *name) {
    for (int32_t k = 0; k < s->search.n_arrays; k++)
        if (strcmp(s->search.array[k].name, name) == 0) return &s->search.array[k];
    fail();
    return NULL;
}

static const uint32_t *map_of(const scene *s, const char *name) {
    return hb_integers(array_of(s, name)->data);
}

// ---------------------------------------------------------------------------------------------------
// Maps

static void how_many_rules(void **state) {
    (void)state;
    const struct {
        const char *assignment;
        int64_t rules, expected;
    } known[] = {{"random", 0, 9}, {"random", 7, 7},  {"pre", 0, 10},  {"post", 0, 7},
                 {"sides", 0, 17}, {"neuron", 0, 13}, {"merge", 0, 36}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        scene *s = open_search("shared", known[k].assignment, known[k].rules, "uni", NULL, 0);
        start_search(s);
        assert_int_equal(array_of(s, "mean")->n, known[k].expected * C);
        const uint32_t *map = map_of(s, "rule");
        for (int i = 0; i < 36; i++) assert_true(map[i] < (uint32_t)known[k].expected);
        close_scene(s);
    }
    const char *const by_code[] = {"search.m_formula=code"}; // 45 rules, more than synapses
    scene *s = open_search("shared", "random", 0, "uni", by_code, 1);
    assert_int_equal(try_search(s, NULL), HB_BAD_INPUT);
    s->search.machine = NULL;
    close_scene(s);
}

static void maps_by_neuron(void **state) {
    (void)state;
    for (int l = 0; l < 2; l++) {
        const int inputs = l ? 4 : 6, outputs = l ? 3 : 4;
        const char *const ways[] = {"pre", "post", "sides", "neuron", "layer"};
        for (int way = 0; way < 5; way++) {
            scene *s = open_search("shared", ways[way], 12, "uni", NULL, 0);
            start_search(s);
            const uint32_t *rule = map_of(s, "rule") + (l ? 24 : 0);
            const uint32_t *second = way == 2 || way == 3 ? map_of(s, "rule") + 36 + (l ? 24 : 0) : NULL;
            for (int i = 0; i < inputs; i++)
                for (int j = 0; j < outputs; j++) {
                    const uint32_t pre = (uint32_t)(l ? 6 + i : i), post = (uint32_t)(l ? 4 + j : j);
                    const uint32_t k = rule[i * outputs + j];
                    if (way == 4) // 12 rules in proportion 24 : 12
                        assert_true(l ? k >= 8 : k < 8);
                    else
                        assert_int_equal(k, way == 1 ? post : pre);
                    if (way == 2) assert_int_equal(second[i * outputs + j], 10 + post);
                    if (way == 3) assert_int_equal(second[i * outputs + j], 6 + post);
                }
            close_scene(s);
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// Estimators

static const double fitness[P] = {3, 1, 4, 1.5, 9, 2, 6, 5};

static void shared_update_is_the_estimator(void **state) {
    (void)state;
    for (int synapse = 0; synapse < 2; synapse++) {
        const char *const noise[] = {synapse ? "search.noise=synapse" : "search.noise=rule"};
        scene *s = open_search("shared", "random", 7, "coevolve", noise, 1);
        start_search(s);
        float z[P];
        double expected[7 * C + 36];
        const hb_search_array *mean = array_of(s, "mean");
        assert_int_equal(mean->n, 7 * C + 36); // the evolved weights behind the rules
        const uint32_t *map = map_of(s, "rule");
        hb_shape_fitness(HB_RANKS, fitness, P, z, NULL);
        for (size_t e = 0; e < mean->n; e++) expected[e] = (double)hb_floats(mean->data)[e];
        for (int k = 0; k < P; k++) {
            hb_genome genome;
            s->search.method->genome(&s->search, k, &genome);
            const double step = 0.2 / (P * 0.1) * (double)z[k] * (genome.sigma < 0 ? -1 : 1);
            if (!synapse)
                for (size_t e = 0; e < mean->n; e++) expected[e] += step * (double)hb_noise_normal(genome.noise, e);
            for (size_t d = 0; synapse && d < 36 * C + 36; d++) {
                const size_t e = d < 36 * C ? map[d / C] * C + d % C : 7 * C + d - 36 * C;
                expected[e] += step * (double)hb_noise_normal(genome.noise, d);
            }
        }
        assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
        for (size_t e = 0; e < mean->n; e++) check_close(hb_floats(mean->data)[e], expected[e], 5e-6);
        close_scene(s);
    }
}

// Convolutions beside a mixture: they start at 0 and follow the plain estimator, without twins.
static void convolutions_beside_a_mixture(void **state) {
    (void)state;
    const char *const sets[] = {"search.antithetic=false"};
    scene *s = open_search("gmm", "random", 5, "uni", sets, 1);
    const hb_net_def def = {.picture = {3, 16, 16}, .outputs = 2, .rule = "ABCD_lr", .init = "uni"};
    hb_error error;
    check_ok(hb_net_init(&s->net, &def, &error), error);
    start_search(s);
    const hb_search_array *mean = array_of(s, "mean");
    const size_t own = 1362, first = mean->n - own, noise = (size_t)s->net.n_penalised;
    assert_int_equal(first, 5 * C);
    assert_int_equal(s->net.genome_size, noise + own);
    float z[P];
    hb_shape_fitness(HB_RANKS, fitness, P, z, NULL);
    double *expected = calloc(own, sizeof *expected);
    assert_non_null(expected);
    check_ok(hb_search_prepare(&s->search, P, 0, &error), error);
    for (int k = 0; k < P; k++) {
        hb_genome genome;
        s->search.method->genome(&s->search, k, &genome);
        for (size_t e = 0; e < own; e++) {
            assert_true(hb_floats(mean->data)[first + e] == 0.0f);
            expected[e] += 0.2 / (P * 0.1) * (double)z[k] * (double)hb_noise_normal(genome.noise, noise + e);
        }
    }
    check_ok(hb_search_tell(&s->search, fitness, &error), error);
    for (size_t e = 0; e < own; e++) check_close(hb_floats(mean->data)[first + e], expected[e], 5e-6);
    free(expected);
    close_scene(s);
}

// The mixture's step is lr / P times what the device's gradient says; lambda in turn with mu where asked.
static void gmm_update_is_the_gradient(void **state) {
    (void)state;
    for (int alternate = 0; alternate < 2; alternate++) {
        const char *const sets[] = {alternate ? "search.alternate=1" : "search.alternate=0", "search.lr_lambda=0.5"};
        scene *s = open_search("gmm", "random", 5, "uni", sets, 2);
        start_search(s);
        const hb_search_array *mean = array_of(s, "mean"), *lambda = array_of(s, "lambda");
        assert_int_equal(lambda->n, 36 * 5);
        for (size_t e = 0; e < lambda->n; e++) hb_floats(lambda->data)[e] = sinf((float)e);
        float mu[5 * C], before[36 * 5], gradient[36 * 5], g[5 * C], z[P];
        memcpy(mu, hb_floats(mean->data), sizeof mu);
        memcpy(before, hb_floats(lambda->data), sizeof before);
        assert_int_equal(hb_search_prepare(&s->search, P, 0, NULL), HB_OK);
        hb_genome first;
        s->search.method->genome(&s->search, 0, &first);
        assert_true(first.sharing.noise_per_synapse && first.sharing.n_rules == 5);
        hb_shape_fitness(HB_RANKS, fitness, P, z, NULL);
        const hb_mixture mixture = {lambda->data, 0, mean->data, 0.1f, 36, 5, C};
        const hb_mixture_step step = {
            .choice = first.sharing.rule, .z = z, .n_individuals = P, .noise = first.noise, .gradient = {gradient}};
        hb_mixture_work *work;
        hb_mixture_counts counts;
        memset(gradient, 0, sizeof gradient);
        assert_int_equal(hb_mixture_begin(s->machine.device, &mixture, &step, &work, NULL), HB_OK);
        assert_int_equal(hb_mixture_prepare(work, 0, 5, NULL), HB_OK);
        assert_int_equal(hb_mixture_rows(work, 0, 36, NULL), HB_OK);
        assert_int_equal(hb_mixture_end(work, g, &counts, NULL), HB_OK);
        assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
        for (int e = 0; e < 36 * 5; e++)
            check_close(hb_floats(lambda->data)[e], before[e] + 0.5f / P * gradient[e], 1e-6);
        for (int e = 0; e < 5 * C; e++) // with turns of one generation lambda moves first, and mu rests
            check_close(hb_floats(mean->data)[e], alternate ? mu[e] : mu[e] + 0.2f / P * g[e],
                        1e-5 * (1 + fabsf(g[e])));
        close_scene(s);
    }
}

// ---------------------------------------------------------------------------------------------------
// Merging

static void clusters_are_found(void **state) {
    (void)state;
    // Three heaps of rules around 0, 10 and 20; the other arrays say which heap a rule is of.
    enum { RULES = 30 };
    float numbers[RULES * 2], heap[RULES * 2];
    uint32_t cluster[RULES];
    double weight[RULES];
    for (int k = 0; k < RULES; k++)
        for (int c = 0; c < 2; c++) {
            numbers[k * 2 + c] = 10.0f * (float)(k % 3) + 0.01f * (float)(k / 3);
            heap[k * 2 + c] = (float)(k % 3);
        }
    float alone[RULES];
    for (int k = 0; k < RULES; k++) alone[k] = (float)(k % 3), weight[k] = 3;
    const hb_kmeans job = {.features = numbers,
                           .n_features = 2,
                           .numbers = {heap},
                           .n_arrays = 1,
                           .n_coefficients = 2,
                           .single = alone,
                           .weight = weight,
                           .cluster = cluster,
                           .noise = {.seed = 1, .stream = HB_STREAM_ASSIGNMENT}};
    assert_int_equal(hb_kmeans_merge(&job, RULES, 5, NULL), HB_OK); // five, so that no start misses a heap
    for (int k = 0; k < RULES; k++) {
        assert_true(cluster[k] < 5);
        check_close(numbers[cluster[k] * 2], 10.0 * (k % 3), 0.1);
        check_close(heap[cluster[k] * 2 + 1], k % 3, 1e-6);
        check_close(alone[cluster[k]], k % 3, 1e-6);
    }
}

// Rules that are all the same leave clusters without rules, which take one.
static void equal_rules_merge(void **state) {
    (void)state;
    float numbers[6] = {2, 2, 2, 2, 2, 2};
    uint32_t cluster[6];
    const double weight[6] = {1, 1, 1, 0, 1, 1};
    float alone[6] = {0};
    const hb_kmeans job = {
        .features = numbers, .n_features = 1, .single = alone, .weight = weight, .cluster = cluster};
    assert_int_equal(hb_kmeans_merge(&job, 6, 4, NULL), HB_OK);
    for (int i = 0; i < 6; i++) assert_true(cluster[i] < 4);
    for (int k = 0; k < 4; k++) assert_true(numbers[k] == 2.0f);
}

// What a merge keeps: the mean over synapses of every plane, whatever the rule.
static void merging_keeps_the_mean_planes(void **state) {
    (void)state;
    for (int32_t r = 0; r < hb_n_rules; r++) {
        const char *const sets[] = {"search.lr=0", "search.merge_by=planes"}; // nothing but the merge
        scene *s = open_search("shared", "merge", 0, "uni", sets, 2);
        hb_net_def def = {
            .inputs = 6, .outputs = 3, .n_hidden = 1, .hidden = {4}, .rule = hb_rules[r].name, .init = "uni"};
        assert_int_equal(hb_net_init(&s->net, &def, NULL), HB_OK);
        start_search(s);
        double mean[2][HB_N_PLANES] = {{0}};
        for (int after = 0; after < 2; after++) {
            hb_genome genome;
            s->search.method->genome(&s->search, -1, &genome);
            for (int i = 0; i < 36; i++) {
                float plane[HB_N_PLANES];
                hb_rule_fold(&hb_rules[r],
                             hb_floats(genome.mean) +
                                 hb_integers(genome.sharing.rule)[i] * (uint32_t)hb_rules[r].n_coefficients,
                             plane);
                for (int p = 0; p < HB_N_PLANES; p++) mean[after][p] += (double)plane[p] / 36;
            }
            if (after == 0) assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
        }
        for (int p = 0; p < HB_N_PLANES; p++) check_close(mean[1][p], mean[0][p], 1e-5);
        uint32_t most = 0;
        hb_genome genome;
        s->search.method->genome(&s->search, -1, &genome);
        for (int i = 0; i < 36; i++)
            most = hb_integers(genome.sharing.rule)[i] > most ? hb_integers(genome.sharing.rule)[i] : most;
        assert_true(most < 35); // it has merged
        close_scene(s);
    }
}

// Every synapse's rule, the sum of its parts.
static void rules_of(const scene *s, double rule[36][C]) {
    hb_genome genome;
    s->search.method->genome(&s->search, -1, &genome);
    for (int i = 0; i < 36; i++)
        for (int c = 0; c < C; c++) {
            rule[i][c] = 0;
            for (int r = 0; r < genome.sharing.n_maps; r++)
                rule[i][c] +=
                    (double)hb_floats(genome.mean)[hb_integers(genome.sharing.rule)[r * 36 + i] * C + (uint32_t)c];
        }
}

// The parts of `left` (36, C) that merging to m rules has made of it; what is left over is left.
static void check_parts(const scene *s, int parts, int m, double left[36][C]) {
    const uint32_t *map = map_of(s, "rule");
    const float *mean = hb_floats(array_of(s, "mean")->data);
    for (int r = 0; r < parts; r++) {
        double sum[18][C] = {{0}};
        int count[18] = {0};
        for (int i = 0; i < 36; i++) {
            const uint32_t k = map[r * 36 + i];
            assert_true(k >= (uint32_t)(m * r / parts) && k < (uint32_t)(m * (r + 1) / parts));
            count[k]++;
            for (int c = 0; c < C; c++) sum[k][c] += left[i][c];
        }
        for (int k = m * r / parts; k < m * (r + 1) / parts; k++)
            for (int c = 0; c < C && count[k] > 0; c++) check_close(mean[k * C + c], sum[k][c] / count[k], 1e-6);
        for (int i = 0; i < 36; i++)
            for (int c = 0; c < C; c++) left[i][c] -= (double)mean[map[r * 36 + i] * C + (uint32_t)c];
    }
}

// A rule's moments are those of its synapses, on average; `before` (36, C) are the synapses' own.
static void check_moments(const scene *s, const char *name, int parts, int m, double before[36][C]) {
    const uint32_t *map = map_of(s, "rule");
    const float *moment = hb_floats(array_of(s, name)->data);
    for (int k = 0; k < m; k++) {
        double sum[C] = {0};
        int count = 0;
        for (int r = 0; r < parts; r++)
            for (int i = 0; i < 36; i++) {
                count += map[r * 36 + i] == (uint32_t)k;
                for (int c = 0; c < C && map[r * 36 + i] == (uint32_t)k; c++) sum[c] += before[i][c];
            }
        for (int c = 0; c < C && count > 0; c++) check_close(moment[k * C + c], sum[c] / count, 1e-5);
    }
}

// Each part's rules are the means of what the parts before have left over, at the first merge and at the second; Adam's
// moments follow their rules; what else is evolved stays; and what is left in the end gets less with more parts.
static void parts_take_what_is_left(void **state) {
    (void)state;
    double left_over[4] = {0};
    const double nothing[P] = {0};
    for (int parts = 1; parts <= 3; parts++) {
        char number[64];
        snprintf(number, sizeof number, "search.merge_parts=%d", parts);
        // Without shaping and with equal fitness there is no gradient: moments shrink, and that is all.
        const char *const sets[] = {"search.optimiser=adam",   "search.shaping=none", "search.lr=0",
                                    "search.beta1=0.5",        "search.beta2=0.5",    number,
                                    "search.merge_rules=18,10"};
        scene *s = open_search("shared", "merge", 0, parts == 1 ? "coevolve" : "uni", sets, 7);
        start_search(s);
        const size_t own = parts == 1 ? 36 : 0;
        float *const moments[2] = {hb_floats(array_of(s, "adam_m")->data), hb_floats(array_of(s, "adam_v")->data)};
        for (size_t e = 0; e < 36 * C + own; e++) moments[0][e] = (float)(e % 7), moments[1][e] = (float)(e % 11);
        float kept[3][36];
        for (int a = 0; a < 3; a++) memcpy(kept[a], array_data(s, a) + 36 * C, own * sizeof(float));
        for (int merges = 0; merges < 2; merges++) {
            const int m = merges ? 10 : 18, maps = merges ? parts : 1;
            double left[36][C], moment[2][36][C] = {{{0}}};
            rules_of(s, left);
            const uint32_t *map = map_of(s, "rule");
            for (int i = 0; i < 36; i++)
                for (int c = 0; c < C; c++)
                    for (int r = 0; r < maps; r++)
                        for (int a = 0; a < 2; a++)
                            moment[a][i][c] += 0.5 * (double)moments[a][map[r * 36 + i] * C + (uint32_t)c] / maps;
            assert_int_equal(hb_search_tell(&s->search, nothing, NULL), HB_OK);
            check_parts(s, parts, m, left);
            check_moments(s, "adam_m", parts, m, moment[0]);
            check_moments(s, "adam_v", parts, m, moment[1]);
            for (int a = 0; a < 3; a++)
                for (size_t e = 0; e < own; e++)
                    check_close(array_data(s, a)[(size_t)m * C + e],
                                kept[a][e] * (a ? powf(0.5f, (float)(merges + 1)) : 1.0f), 1e-6);
            for (int i = 0; merges == 0 && i < 36; i++)
                for (int c = 0; c < C; c++) left_over[parts] += left[i][c] * left[i][c];
        }
        close_scene(s);
    }
    assert_true(left_over[3] < left_over[2] && left_over[2] < left_over[1]);
}

// A sum of parts varies by sigma, and a part moves by lr / parts along its gradient, times what both are multiplied by.
static void parts_take_smaller_steps(void **state) {
    (void)state;
    const char *const sets[] = {"search.merge_parts=3", "search.merge_step=1.5", "search.merge_rules=9"};
    scene *s = open_search("shared", "merge", 0, "uni", sets, 3);
    start_search(s);
    assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
    const hb_search_array *mean = array_of(s, "mean");
    const double sigma = 1.5 * 0.1 / sqrt(3);
    double expected[9 * C];
    float z[P];
    hb_shape_fitness(HB_RANKS, fitness, P, z, NULL);
    for (int e = 0; e < 9 * C; e++) expected[e] = (double)hb_floats(mean->data)[e];
    for (int k = 0; k < P; k++) {
        hb_genome genome;
        s->search.method->genome(&s->search, k, &genome);
        assert_int_equal(genome.sharing.n_maps, 3);
        check_close(fabsf(genome.sigma), sigma, 1e-8);
        hb_genome evaluated;
        hb_search_eval_genome(&s->search, k, &evaluated);
        assert_true(evaluated.sigma == fabsf(genome.sigma));
        const double step = 1.5 * 0.2 / 3 / (P * sigma) * (double)z[k] * (genome.sigma < 0 ? -1 : 1);
        for (size_t e = 0; e < 9 * C; e++) expected[e] += step * (double)hb_noise_normal(genome.noise, e);
    }
    assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
    for (size_t e = 0; e < 9 * C; e++) check_close(hb_floats(mean->data)[e], expected[e], 5e-6);
    close_scene(s);
}

// A base is a part of every synapse's own: N(0, 1), in no individual's noise, never moved.
static void a_base_stays(void **state) {
    (void)state;
    const char *const sets[] = {"search.base=random", "search.start_scale=0"};
    scene *s = open_search("shared", "random", 7, "uni", sets, 2);
    start_search(s);
    const hb_search_array *base = array_of(s, "base"), *mean = array_of(s, "mean");
    assert_int_equal(base->n, 36 * C);
    assert_int_equal(mean->n, 7 * C);
    float before[36 * C];
    double squares = 0;
    memcpy(before, hb_floats(base->data), sizeof before);
    for (int d = 0; d < 36 * C; d++) squares += (double)before[d] * (double)before[d];
    assert_true(fabs(squares / (36 * C) - 1) < 0.4); // four standard errors of the variance of 180 normals
    for (int e = 0; e < 7 * C; e++) assert_true(hb_floats(mean->data)[e] == 0.0f);
    assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
    assert_memory_equal(before, hb_floats(base->data), sizeof before);
    hb_genome genome;
    hb_search_mean_genome(&s->search, &genome);
    for (int d = 0; d < 36 * C; d++) {
        const float moved = hb_floats(mean->data)[map_of(s, "rule")[d / C] * C + (uint32_t)(d % C)];
        assert_true(moved != 0.0f);
        assert_true(hb_sharing_value(genome.sharing, hb_floats(mean->data), d) == moved + before[d]);
    }
    close_scene(s);
}

static void merging_follows_the_schedule(void **state) {
    (void)state;
    const char *const adam[] = {"search.optimiser=adam"};
    scene *s = open_search("shared", "merge", 0, "coevolve", adam, 1);
    start_search(s);
    const hb_search_array *mean = array_of(s, "mean");
    const int rules[] = {36, 9, 4, 4};
    for (int g = 0; g < 4; g++) {
        hb_genome genome;
        s->search.method->genome(&s->search, 0, &genome);
        assert_int_equal(genome.sharing.n_rules, rules[g]);
        assert_int_equal(genome.sharing.n_numbers, rules[g] * C + 36);
        double weights = 0;
        for (int e = 0; e < 36; e++) weights += fabs((double)hb_floats(mean->data)[rules[g] * C + e]);
        assert_true(weights > 1); // the evolved weights have moved along
        for (size_t e = (size_t)rules[g] * C + 36; e < mean->n; e++) assert_true(hb_floats(mean->data)[e] == 0.0f);
        for (int i = 0; i < 36; i++) assert_true(hb_integers(genome.sharing.rule)[i] < (uint32_t)rules[g]);
        assert_int_equal(hb_search_tell(&s->search, fitness, NULL), HB_OK);
        check_close(s->search.number[0].value, rules[g], 0);
    }
    close_scene(s);
}

// ---------------------------------------------------------------------------------------------------
// Climbing: f(h) = -sum (h_d - 0.5)^2, with h sampled by the device

static double generation(scene *s, double *result) {
    const size_t size = (size_t)s->net.genome_size;
    hb_memory there = {NULL};
    double mean = 0;
    assert_int_equal(hb_device_alloc(s->machine.device, size, &there, NULL), HB_OK);
    const float *h = hb_floats(there);
    assert_int_equal(hb_search_prepare(&s->search, s->settings->population, 0, NULL), HB_OK);
    for (int64_t k = 0; k < s->settings->population; k++) {
        hb_genome genome;
        s->search.method->genome(&s->search, k, &genome);
        assert_int_equal(hb_device_sample(s->machine.device, &genome, there, 0, size, NULL), HB_OK);
        result[k] = 0;
        for (size_t d = 0; d < size; d++) result[k] -= ((double)h[d] - 0.5) * ((double)h[d] - 0.5);
        mean += result[k] / (double)s->settings->population;
    }
    assert_int_equal(hb_search_tell(&s->search, result, NULL), HB_OK);
    hb_device_free(s->machine.device, there);
    return mean;
}

static void searches_climb(void **state) {
    (void)state;
    const char *const kinds[][2] = {{"shared", "random"}, {"shared", "neuron"}, {"gmm", ""}};
    for (int k = 0; k < 3; k++) {
        const char *const sets[] = {"search.population=40", k == 2 ? "search.lr=0.02" : "search.lr=0.1"};
        scene *s = open_search(kinds[k][0], kinds[k][1], 6, "uni", sets, 2);
        double result[40];
        start_search(s);
        const double first = generation(s, result);
        double last = 0;
        for (int g = 0; g < 150; g++) last = generation(s, result);
        print_message("%s %s: %.1f to %.1f\n", kinds[k][0], kinds[k][1], first, last);
        assert_true(last > (k == 2 ? 0.03 : 0.1) * first && last < 0);
        close_scene(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_many_rules),
        cmocka_unit_test(maps_by_neuron),
        cmocka_unit_test(shared_update_is_the_estimator),
        cmocka_unit_test(convolutions_beside_a_mixture),
        cmocka_unit_test(gmm_update_is_the_gradient),
        cmocka_unit_test(clusters_are_found),
        cmocka_unit_test(equal_rules_merge),
        cmocka_unit_test(parts_take_what_is_left),
        cmocka_unit_test(parts_take_smaller_steps),
        cmocka_unit_test(merging_keeps_the_mean_planes),
        cmocka_unit_test(a_base_stays),
        cmocka_unit_test(merging_follows_the_schedule),
        cmocka_unit_test(searches_climb),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
