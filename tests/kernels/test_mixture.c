// Mixtures of shared rules: the float64 oracle against the published small case and finite differences, every
// device against the oracle, and bits against bits: sparse and dense, in ranges, device by device.
#include "tests/kernels/devices.h"

#ifdef HB_CUDA_ON_CPU
#include "tests/cuda_on_cpu/ptx.h"
#endif

static const hb_noise noise_id = {.seed = 5, .stream = HB_STREAM_SEARCH, .generation = 2};
static const hb_noise choice_id = {.seed = 5, .stream = HB_STREAM_CHOICE, .generation = 2};

// ---------------------------------------------------------------------------------------------------
// The oracle: log p(x) of one synapse and its gradients, by the textbook

typedef struct {
    int32_t m, c;
    double sigma;
    double *lambda, *mu; // (m), (m, c)
} mixture64;

static double log_p(const mixture64 *mix, const double *x) {
    double top = -INFINITY, sum = 0, largest = -INFINITY, total = 0;
    for (int32_t k = 0; k < mix->m; k++) largest = fmax(largest, mix->lambda[k]);
    for (int32_t k = 0; k < mix->m; k++) total += exp(mix->lambda[k] - largest);
    for (int pass = 0; pass < 2; pass++)
        for (int32_t k = 0; k < mix->m; k++) {
            double distance = 0;
            for (int32_t c = 0; c < mix->c; c++) distance += pow(x[c] - mix->mu[k * mix->c + c], 2);
            const double e = mix->lambda[k] - largest - log(total) - distance / (2 * mix->sigma * mix->sigma) -
                             mix->c * 0.5 * log(2 * acos(-1) * mix->sigma * mix->sigma);
            if (pass == 0) top = fmax(top, e);
            if (pass == 1) sum += exp(e - top);
        }
    return top + log(sum);
}

// r (m) and pi (m) at x.
static void responsibilities64(const mixture64 *mix, const double *x, double *r, double *pi) {
    double top = -INFINITY, sum = 0, largest = -INFINITY, total = 0;
    for (int32_t k = 0; k < mix->m; k++) {
        double distance = 0;
        for (int32_t c = 0; c < mix->c; c++) distance += pow(x[c] - mix->mu[k * mix->c + c], 2);
        r[k] = mix->lambda[k] - distance / (2 * mix->sigma * mix->sigma);
        top = fmax(top, r[k]);
        largest = fmax(largest, mix->lambda[k]);
    }
    for (int32_t k = 0; k < mix->m; k++) {
        sum += r[k] = exp(r[k] - top);
        total += pi[k] = exp(mix->lambda[k] - largest);
    }
    for (int32_t k = 0; k < mix->m; k++) r[k] /= sum, pi[k] /= total;
}

// docs/equations.md, "Mixture": M = 2, one coefficient.
static void oracle_small_case(void **state) {
    (void)state;
    double lambda[2] = {1, 0}, mu[2] = {1, 3}, r[2], pi[2];
    const double x = 1;
    const mixture64 mix = {2, 1, 1.0, lambda, mu};
    responsibilities64(&mix, &x, r, pi);
    const double expected_pi[2] = {0.7310586, 0.2689414}, expected_r[2] = {0.9525741, 0.0474259};
    for (int k = 0; k < 2; k++) {
        check_close(pi[k], expected_pi[k], 1e-6);
        check_close(r[k], expected_r[k], 1e-6);
        check_close(r[k] - pi[k], k ? -0.2215155 : 0.2215155, 1e-6);
        check_close(r[k] * (x - mu[k]), k ? -0.0948517 : 0, 1e-6);
    }
}

static void oracle_is_the_gradient(void **state) {
    (void)state;
    enum { M = 7, C = 3 };
    double lambda[M], mu[M * C], r[M], pi[M], x[C] = {0.3, -0.2, 0.5};
    for (int k = 0; k < M; k++) lambda[k] = sin(k * 1.7);
    for (int e = 0; e < M * C; e++) mu[e] = cos(e * 2.3);
    const mixture64 mix = {M, C, 0.4, lambda, mu};
    responsibilities64(&mix, x, r, pi);
    const double step = 1e-5;
    for (int k = 0; k < M; k++) {
        const double kept = lambda[k];
        lambda[k] = kept + step;
        const double above = log_p(&mix, x);
        lambda[k] = kept - step;
        check_close((above - log_p(&mix, x)) / (2 * step), r[k] - pi[k], 1e-8);
        lambda[k] = kept;
        for (int c = 0; c < C; c++) {
            const double at = mu[k * C + c];
            mu[k * C + c] = at + step;
            const double up = log_p(&mix, x);
            mu[k * C + c] = at - step;
            check_close((up - log_p(&mix, x)) / (2 * step), r[k] * (x[c] - at) / (0.4 * 0.4), 1e-7);
            mu[k * C + c] = at;
        }
    }
}

// ---------------------------------------------------------------------------------------------------
// A scene: N synapses, M rules, P individuals

// CLUSTERED: three heaps of a fifth of the rules each, and one of the rest, which is too large to be listed.
// UNLIKELY: extreme rows, and rules chosen that hardly ever would be, so that lists do not reach.
typedef enum { SPREAD, COINCIDENT, APART, EXTREME, CLUSTERED, UNLIKELY } placing;

typedef struct {
    int64_t n;
    int32_t m, c, p;
    float sigma;
    placing placing;
    bool z_sums, natural, hard; // z does not sum to 0; ways of the step
} scene_def;

typedef struct {
    scene_def def;
    float *lambda, *mu, *z;
} scene;

static scene make_scene(scene_def def) {
    scene s = {.def = def};
    const size_t m = (size_t)def.m, numbers = m * (size_t)def.c, size = (size_t)def.n * m;
    s.lambda = floats(size), s.mu = floats(numbers), s.z = floats((size_t)def.p);
    const float width = def.placing == COINCIDENT ? 0.0f : def.placing == APART ? 100.0f : 1.0f;
    for (size_t e = 0; e < numbers; e++) s.mu[e] = width * hb_noise_normal(choice_id, e);
    for (size_t e = 0; e < numbers && def.placing == CLUSTERED; e++) {
        const size_t heap = e / (size_t)def.c / (m / 5);
        s.mu[e] = 0.3f * def.sigma * s.mu[e] + 20.0f * (float)(heap < 3 ? heap : 3);
    }
    for (size_t e = 0; e < size; e++)
        s.lambda[e] = (def.placing == EXTREME    ? 12.0f
                       : def.placing == UNLIKELY ? 20.0f
                                                 : 0.5f) *
                      hb_noise_normal(noise_id, e + 1000000);
    // Half of the rows draw from the small heaps alone.
    for (size_t e = 0; e < size && def.placing == CLUSTERED; e++)
        if (e / m % 2 == 0 && e % m >= 3 * (m / 5)) s.lambda[e] -= 40.0f;
    for (int32_t p = 0; p < def.p; p++) s.z[p] = (float)p - (def.z_sums ? 1.0f : 0.5f * (float)(def.p - 1));
    return s;
}

static void free_scene(scene *s) {
    free(s->lambda);
    free(s->mu);
    free(s->z);
}

typedef struct {
    uint32_t *choice; // (P, N)
    float *gradient;  // (N, M)
    float *g;         // (M, C)
    float *moved;     // (N, M): lambda after a step of rate 0.25
    double *row_norm; // (N)
    hb_mixture_counts counts;
} outcome;

static void free_outcome(outcome *o) {
    free(o->choice);
    free(o->gradient);
    free(o->g);
    free(o->moved);
    free(o->row_norm);
}

// One gradient; lambda on the device moves where gradient is NULL. Ranges are split where the device may be split.
static void take_gradient(const opened *d, const hb_mixture *mixture, const hb_mixture_step *step, float *g,
                          hb_mixture_counts *counts) {
    hb_mixture_work *work;
    hb_error error = {""};
    const bool split = hb_table_of(d->device)->host_parallel;
    const int32_t half_rules = split ? mixture->n_rules / 3 : 0;
    const int64_t half = split ? mixture->n_synapses / 2 / 64 * 64 : 0;
    check_ok(hb_mixture_begin(d->device, mixture, step, &work, &error), error);
    check_ok(hb_mixture_prepare(work, half_rules, mixture->n_rules, &error), error);
    check_ok(hb_mixture_prepare(work, 0, half_rules, &error), error);
    check_ok(hb_mixture_rows(work, half, mixture->n_synapses, &error), error);
    check_ok(hb_mixture_rows(work, 0, half, &error), error);
    check_ok(hb_mixture_end(work, g, counts, &error), error);
}

// -sum pi ln pi of every row.
static void check_entropy(const scene *s, const float *entropy) {
    const int32_t m = s->def.m;
    for (int64_t i = 0; i < s->def.n; i++) {
        const float *row = s->lambda + i * m;
        double top = row[0], total = 0, weighted = 0;
        for (int32_t k = 1; k < m; k++) top = larger(top, row[k]);
        for (int32_t k = 0; k < m; k++) {
            const double e = exp(row[k] - top);
            total += e;
            weighted += e * (row[k] - top);
        }
        check_close((double)entropy[i], log(total) - weighted / total, 1e-4);
    }
}

static outcome run_scene(const opened *d, const scene *s, bool dense) {
    const scene_def *def = &s->def;
    const size_t n = (size_t)def->n, m = (size_t)def->m, size = n * m, numbers = m * (size_t)def->c;
    const size_t choices = (size_t)def->p * n;
    hb_error error = {""};
    outcome o = {.choice = (uint32_t *)floats(choices), .gradient = floats(size), .g = floats(numbers)};
    o.moved = floats(size);
    o.row_norm = calloc(n, sizeof *o.row_norm);
    const hb_memory lambda = uploaded(d, s->lambda, size), mu = uploaded(d, s->mu, numbers);
    const hb_memory choice = uploaded(d, o.choice, choices), gradient = uploaded(d, o.gradient, size);
    float *entropy = floats(n);
    const hb_mixture mixture = {lambda, 0, mu, def->sigma, def->n, def->m, def->c};
    check_ok(hb_mixture_choose(d->device, &mixture, def->p, choice_id, choice, entropy, 0, def->n, &error), error);
    download(d, o.choice, choice, choices);
    for (size_t e = 0; e < choices && def->placing == UNLIKELY; e++) o.choice[e] = (uint32_t)(e * 7 % m);
    check_ok(hb_device_upload(d->device, choice, o.choice, choices, &error), error);
    float z_sum = 0;
    for (int32_t p = 0; def->z_sums && p < def->p; p++) z_sum += s->z[p];
    hb_mixture_step step = {.choice = choice,
                            .z = s->z,
                            .n_individuals = def->p,
                            .noise = noise_id,
                            .z_sum = z_sum,
                            .dense = dense,
                            .hard = def->hard,
                            .natural = def->natural,
                            .gradient = gradient,
                            .row_norm = o.row_norm};
    take_gradient(d, &mixture, &step, o.g, &o.counts);
    download(d, o.gradient, gradient, size);
    step.gradient = (hb_memory){NULL};
    step.rate = 0.25f;
    hb_mixture_counts again;
    float *g = floats(numbers);
    take_gradient(d, &mixture, &step, g, &again);
    assert_memory_equal(g, o.g, numbers * sizeof *g);
    download(d, o.moved, lambda, size);
    for (size_t e = 0; e < size; e++)
        assert_true(o.moved[e] == (o.gradient[e] != 0.0f ? fmaf(0.25f, o.gradient[e], s->lambda[e]) : s->lambda[e]));
    check_entropy(s, entropy);
    free(g);
    free(entropy);
    const hb_memory all[] = {lambda, mu, choice, gradient};
    for (int a = 0; a < 4; a++) hb_device_free(d->device, all[a]);
    return o;
}

// ---------------------------------------------------------------------------------------------------
// Against the oracle

static void check_choices(const scene *s, const outcome *o) {
    const scene_def *def = &s->def;
    for (int64_t i = 0; i < def->n; i++) {
        const float *row = s->lambda + i * def->m;
        float largest = row[0];
        for (int32_t k = 1; k < def->m; k++) largest = row[k] > largest ? row[k] : largest;
        uint64_t total = 0;
        for (int32_t k = 0; k < def->m; k++) total += (uint64_t)(hb_exp(row[k] - largest) * 0x1p30f);
        hb_noise id = choice_id;
        id.individual = (uint32_t)i;
        for (int32_t p = 0; p < def->p; p++) {
            const uint64_t threshold = (uint64_t)((unsigned __int128)hb_noise_word(id, (uint64_t)p) * total >> 32);
            uint64_t sum = 0;
            uint32_t k = 0;
            while ((sum += (uint64_t)(hb_exp(row[k] - largest) * 0x1p30f)) <= threshold) k++;
            assert_int_equal(o->choice[p * def->n + i], k);
        }
    }
}

static void check_gradients(const scene *s, const outcome *o) {
    const scene_def *def = &s->def;
    const size_t m = (size_t)def->m, numbers = m * (size_t)def->c;
    double *lambda = calloc(m, sizeof *lambda), *mu = calloc(numbers, sizeof *mu), *r = calloc(m, sizeof *r);
    double *pi = calloc(m, sizeof *pi), *expected = calloc(m, sizeof *expected), *g = calloc(numbers, sizeof *g);
    assert_true(lambda && mu && r && pi && expected && g);
    for (size_t e = 0; e < numbers; e++) mu[e] = (double)s->mu[e];
    double z_all = 0, z_sum = 0, scale = 0;
    for (int32_t p = 0; p < def->p; p++) z_all += fabs((double)s->z[p]), z_sum += (double)s->z[p];
    for (int64_t i = 0; i < def->n; i++) {
        for (size_t k = 0; k < m; k++) lambda[k] = (double)s->lambda[(size_t)i * m + k], expected[k] = 0;
        const mixture64 mix = {def->m, def->c, (double)def->sigma, lambda, mu};
        for (int32_t p = 0; p < def->p; p++) {
            double x[HB_MAX_COEFFICIENTS];
            hb_noise id = noise_id;
            id.individual = (uint32_t)p;
            const uint32_t chosen = o->choice[p * def->n + i];
            for (int32_t c = 0; c < def->c; c++)
                x[c] = (double)fmaf(def->sigma, hb_noise_normal(id, (uint64_t)(i * def->c + c)),
                                    s->mu[(size_t)chosen * (size_t)def->c + (size_t)c]);
            responsibilities64(&mix, x, r, pi);
            for (size_t k = 0; k < m; k++) {
                const double weight = def->hard ? k == chosen : r[k];
                expected[k] += (double)s->z[p] * weight;
                for (int32_t c = 0; c < def->c; c++) {
                    const double term = (double)s->z[p] * weight * (x[c] - mu[k * (size_t)def->c + (size_t)c]) /
                                        (double)(def->sigma * def->sigma);
                    g[k * (size_t)def->c + (size_t)c] += term;
                    scale += fabs(term);
                }
            }
        }
        double norm = 0;
        for (size_t k = 0; k < m; k++) {
            double value = expected[k] - (def->z_sums ? z_sum * pi[k] : 0);
            const double by = def->natural ? fmax(pi[k], 1e-3) : 1;
            check_close(o->gradient[(size_t)i * m + k], value / by, 4e-5 * z_all / by); // exponents of some 100
            norm += pow((double)o->gradient[(size_t)i * m + k], 2);
        }
        check_close(o->row_norm[i], norm, 1e-5 * norm); // for people
    }
    for (size_t e = 0; e < numbers; e++) check_close(o->g[e], g[e], 2e-5 * scale / sqrt((double)m) + 1e-30);
    free(lambda);
    free(mu);
    free(r);
    free(pi);
    free(expected);
    free(g);
}

static uint64_t bits_of(const scene *s, const outcome *o) {
    const size_t size = (size_t)s->def.n * (size_t)s->def.m, numbers = (size_t)s->def.m * (size_t)s->def.c;
    uint64_t bits = hash(1, (const float *)o->choice, (size_t)s->def.p * (size_t)s->def.n);
    bits = hash(bits, o->gradient, size);
    return hash(hash(bits, o->g, numbers), o->moved, size);
}

static void check_everywhere(scene_def def, bool oracle) {
    opened list[8];
    const int n = open_all(list);
    scene s = make_scene(def);
    uint64_t first = 0;
    hb_mixture_counts counts[2];
    const int from = def.m > 10000 ? n - 1 : 0; // so many rules on the quickest build only
    for (int k = from; k < n; k++)
        for (int dense = 0; dense < 2; dense++) {
            outcome o = run_scene(&list[k], &s, dense);
            const uint64_t bits = bits_of(&s, &o);
            if (k == from) counts[dense] = o.counts;
            if (k == from && dense == 0) {
                first = bits;
                if (def.placing != UNLIKELY) check_choices(&s, &o);
                if (oracle) check_gradients(&s, &o);
            }
            if (bits != first)
                print_error("M %d placing %d: device %d dense %d differs\n", def.m, (int)def.placing, k, dense);
            assert_true(bits == first);
            const int64_t samples = def.n * def.p;
            assert_true(o.counts.live == counts[0].live && o.counts.live >= samples);
            assert_true(o.counts.dense == counts[dense].dense && o.counts.dense <= samples);
            // Where the lists reach, they are used.
            const bool listed = !dense && def.m >= HB_MIXTURE_FEWEST && !def.hard;
            if (listed && def.placing == SPREAD && def.sigma < 0.15f && def.m <= 2000)
                assert_true(o.counts.dense < samples / 10);
            if (listed && (def.placing == CLUSTERED || def.placing == UNLIKELY))
                assert_true(o.counts.dense > samples / 10 && o.counts.dense < samples / 2);
            free_outcome(&o);
        }
    free_scene(&s);
    close_all(list, n);
}

static bool quick(void) {
    return getenv("HB_QUICK") != NULL;
}

static void numbers_of_rules(void **state) {
    (void)state;
    const int32_t rules[] = {1, 2, 3, 63, 64, 65, 500, 2000};
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (quick() && rules[k] > 70) continue;
        check_everywhere((scene_def){.n = rules[k] > 100 ? 9 : 130, .m = rules[k], .c = 5, .p = 12, .sigma = 0.1f},
                         true);
    }
}

static void placings(void **state) {
    (void)state;
    for (placing p = SPREAD; p <= EXTREME; p++)
        for (int wide = 0; wide < 2; wide++)
            check_everywhere((scene_def){.n = quick() ? 3 : 20,
                                         .m = quick() ? 70 : 300,
                                         .c = wide ? 3 : 5,
                                         .p = 9,
                                         .sigma = wide ? 0.6f : 0.1f,
                                         .placing = p},
                             true);
}

static void ways_of_the_step(void **state) {
    (void)state;
    const scene_def base = {.n = 20, .m = 70, .c = 5, .p = 9, .sigma = 0.2f};
    scene_def ways[4] = {base, base, base, base};
    ways[0].z_sums = true;
    ways[1].natural = true;
    ways[2].hard = true;
    ways[3].z_sums = ways[3].hard = ways[3].natural = true;
    for (int k = 0; k < 4; k++) check_everywhere(ways[k], true);
}

// Many rules near each sample, others too many to list, more samples than a device takes at a time.
static void clusters(void **state) {
    (void)state;
    check_everywhere((scene_def){.n = 4, .m = 70, .c = 5, .p = 260, .sigma = 0.2f, .placing = CLUSTERED}, true);
    check_everywhere((scene_def){.n = 9, .m = 70, .c = 5, .p = 12, .sigma = 0.1f, .placing = UNLIKELY}, true);
    check_everywhere((scene_def){.n = 3, .m = 300, .c = 5, .p = 5, .sigma = 0.1f},
                     true); // more than a block has threads
}

static void many_rules(void **state) {
    (void)state;
    if (quick()) return;
    check_everywhere((scene_def){.n = 2, .m = 70000, .c = 2, .p = 3, .sigma = 0.02f}, false);
}

// Draws follow the softmax.
static void choices_are_fair(void **state) {
    (void)state;
    enum { M = 5, P = 20000 };
    if (quick()) return;
    opened list[8];
    const int n = open_all(list);
    const opened *d = &list[n - 1]; // a CPU build: 20,000 individuals are much for an interpreter
    float lambda[M] = {0, 1, -1, 2, -30}, mu[M] = {0};
    const hb_memory there = uploaded(d, lambda, M), rules = uploaded(d, mu, M);
    uint32_t *choice = (uint32_t *)floats(P);
    const hb_memory chosen = uploaded(d, choice, P);
    const hb_mixture mixture = {there, 0, rules, 1.0f, 1, M, 1};
    hb_error error;
    check_ok(hb_mixture_choose(d->device, &mixture, P, choice_id, chosen, NULL, 0, 1, &error), error);
    download(d, choice, chosen, P);
    double total = 0;
    int count[M] = {0};
    for (int k = 0; k < M; k++) total += exp((double)lambda[k]);
    for (int p = 0; p < P; p++) count[choice[p]]++;
    for (int k = 0; k < M; k++) {
        const double share = exp((double)lambda[k]) / total;
        check_close(count[k], P * share, 4.5 * sqrt(P * share) + 1e-9);
    }
    free(choice);
    const hb_memory all[] = {there, rules, chosen};
    for (int a = 0; a < 3; a++) hb_device_free(d->device, all[a]);
    close_all(list, n);
}

// What a gradient of two samples of one synapse with rules mu says at its end.
static hb_status two_samples(const opened *d, int32_t m, const float *mu, float sigma, const float z[2], bool dense,
                             hb_error *error) {
    float *lambda = floats((size_t)m), *g = floats((size_t)m);
    const uint32_t choice[2] = {0, m > 1};
    const hb_memory there = uploaded(d, lambda, (size_t)m), rules = uploaded(d, mu, (size_t)m);
    const hb_memory chosen = uploaded(d, choice, 2);
    const hb_mixture mixture = {there, 0, rules, sigma, 1, m, 1};
    const hb_mixture_step step = {
        .choice = chosen, .z = z, .n_individuals = 2, .noise = noise_id, .rate = 1.0f, .dense = dense};
    hb_mixture_work *work;
    hb_mixture_counts counts;
    check_ok(hb_mixture_begin(d->device, &mixture, &step, &work, error), *error);
    check_ok(hb_mixture_prepare(work, 0, m, error), *error);
    check_ok(hb_mixture_rows(work, 0, 1, error), *error);
    const hb_status status = hb_mixture_end(work, g, &counts, error);
    const hb_memory all[] = {there, rules, chosen};
    for (int a = 0; a < 3; a++) hb_device_free(d->device, all[a]);
    free(lambda);
    free(g);
    return status;
}

// A rule that is 1000 away from a sample it explains, or that is no number, or no sigma: the sums would not hold, and that is
// said.
static void overflow_is_an_error(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    const float z[2] = {1, -1};
    for (int k = 0; k < n; k++) {
        hb_error error = {""};
        float far[2] = {0, 0}, rules[70], some[5] = {0, 1, 2, 3, 4};
        assert_int_equal(two_samples(&list[k], 2, far, 3000.0f, z, false, &error), HB_FAILED);
        assert_non_null(strstr(error.message, "overflows"));
        assert_int_equal(two_samples(&list[k], 5, some, 1e-24f, z, false, &error), HB_FAILED);
        for (int kind = 0; kind < 4; kind++) {
            for (int r = 0; r < 70; r++) rules[r] = (float)r;
            rules[0] = kind < 2 ? NAN : INFINITY;
            assert_int_equal(two_samples(&list[k], 70, rules, 0.1f, z, kind % 2, &error), HB_FAILED);
            assert_int_equal(two_samples(&list[k], 1 + kind, rules, 0.1f, z, false, &error), HB_FAILED);
        }
    }
    close_all(list, n);
}

// Each term below the bound, but so many of them that a sum could overflow all the same.
static void overflow_by_number(void **state) {
    (void)state;
    const hb_mixture mixture = {.sigma = 1.0f, .n_synapses = 1 << 20, .n_rules = 1, .n_coefficients = 1};
    const int64_t sum = 3 << 20;
    float g;
    hb_error error;
    for (int32_t p = 15; p <= 17; p++) { // 2^27 2^20 2^p against 2^63
        const hb_mixture_step step = {.n_individuals = 1 << p};
        const hb_mixture_sums sums = {&sum, 1, hb_bits(0x1p27f), 0x1p20f};
        hb_mixture_counts counts = {0, 0};
        const hb_status status = hb_mixture_finish(&mixture, &step, &sums, &counts, &g, &error);
        assert_int_equal(status, p < 16 ? HB_OK : HB_FAILED);
    }
    assert_true(g == 3.0f);
    assert_non_null(strstr(error.message, "overflows"));
}

// Terms so small that their sums are zeros of either sign count as nothing, once.
static void smallest_terms(void **state) {
    (void)state;
    opened list[8];
    const int n = open_all(list);
    enum { P = 64 };
    float z[P];
    for (int p = 0; p < P; p++) z[p] = -1e-45f;
    for (int k = 0; k < n; k++) {
        scene s = {.def = {.n = 3, .m = 2, .c = 1, .p = P, .sigma = 1.0f}};
        float lambda[6] = {0, 1, 0, 0.5f, 0, 0.1f}, mu[2] = {0, 0.1f};
        s.lambda = lambda, s.mu = mu, s.z = z;
        outcome o = run_scene(&list[k], &s, false);
        for (int e = 0; e < 6; e++) assert_true(o.gradient[e] != 0.0f || hb_bits(o.gradient[e]) == 0);
        free_outcome(&o);
    }
    close_all(list, n);
}

// test_mixture [ORDER]: as test_ops.
int main(int argc, char **argv) {
#ifdef HB_CUDA_ON_CPU
    ptx_order = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
#else
    (void)argc, (void)argv;
#endif
    name_single_build();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oracle_small_case),    cmocka_unit_test(oracle_is_the_gradient),
        cmocka_unit_test(numbers_of_rules),     cmocka_unit_test(placings),
        cmocka_unit_test(ways_of_the_step),     cmocka_unit_test(clusters),
        cmocka_unit_test(many_rules),           cmocka_unit_test(choices_are_fair),
        cmocka_unit_test(overflow_is_an_error), cmocka_unit_test(overflow_by_number),
        cmocka_unit_test(smallest_terms),
    };
    return cmocka_run_group_tests_name("mixture", tests, NULL, NULL);
}
