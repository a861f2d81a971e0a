// scalar.h against long double, Random123 and closed forms.
#include "tests/check.h"

#include "kernels/scalar.h"

#include <math.h>
#include <Random123/philox.h>
#include <stdlib.h>
#include <string.h>

// The error of `got` in units of the last place of the float nearest to `exact`.
static double ulps(float got, long double exact) {
    const float nearest = (float)exact;
    if (isinf(nearest) || isinf(got)) return got == nearest ? 0 : INFINITY;
    const float magnitude = fabsf(nearest) < 1.17549435e-38f ? 1.17549435e-38f : fabsf(nearest);
    const long double unit = (long double)(nextafterf(magnitude, INFINITY) - magnitude);
    return (double)(fabsl((long double)got - exact) / unit);
}

// The largest error over every `stride`-th float of [low, high].
static double worst(float (*f)(float), long double (*exact)(long double), float low, float high, uint32_t stride) {
    double largest = 0;
    for (int side = 0; side < 2; side++) {
        const uint32_t sign = side ? 0x80000000u : 0u;
        for (uint32_t bits = 0; bits <= 0x7f800000u - stride; bits += stride) {
            const float x = hb_from_bits(bits | sign);
            if (!(x >= low && x <= high)) continue;
            const double error = ulps(f(x), exact((long double)x));
            largest = larger(largest, error);
        }
    }
    return largest;
}

static float exp_function(float x) {
    return hb_exp(x);
}
static float tanh_function(float x) {
    return hb_tanh(x);
}
static float log_function(float x) {
    return hb_log(x);
}

static void accuracy(void **state) {
    (void)state;
    const uint32_t stride = 3001;
    const double exp_error = worst(exp_function, expl, -103.0f, 88.7f, stride);
    const double tanh_error = worst(tanh_function, tanhl, -20.0f, 20.0f, stride);
    const double log_error = worst(log_function, logl, 1e-45f, 3e38f, stride);
    print_message("largest errors in ulps: exp %.3f, tanh %.3f, log %.3f\n", exp_error, tanh_error, log_error);
    assert_true(exp_error < 1.5); // the result is rounded, then scaled: one rounding more below 2^-126
    assert_true(tanh_error < 2.5);
    assert_true(log_error < 1.5);
}

static float sine_function(float x) {
    float s, c;
    hb_sincos(x, &s, &c);
    return s;
}
static float cosine_function(float x) {
    float s, c;
    hb_sincos(x, &s, &c);
    return c;
}
static float asin_function(float x) {
    return hb_asin(x);
}

// Near a zero of the sine its relative error grows with x: there the error is counted in ulps of 1.
static double worst_of_unit(float (*f)(float), long double (*exact)(long double), float bound) {
    double largest = 0;
    for (uint32_t k = 0; k < 4000000; k++) {
        const float x = hb_uniform_within(hb_uniform(k * 2654435761u), bound);
        const double error = (double)fabsl((long double)f(x) - exact((long double)x)) / 1.1920929e-07;
        largest = larger(largest, error);
    }
    return largest;
}

static void angles(void **state) {
    (void)state;
    const double sine = worst(sine_function, sinl, -3.1f, 3.1f, 3001);
    const double cosine = worst(cosine_function, cosl, -1.5f, 1.5f, 3001);
    const double far = larger(worst_of_unit(sine_function, sinl, 3000), worst_of_unit(cosine_function, cosl, 3000));
    const double asin_error = worst(asin_function, asinl, -1.0f, 1.0f, 1001);
    double atan2_error = 0;
    for (uint32_t k = 0; k < 4000000; k++) {
        const hb_philox_block block = hb_philox(k, 0, 0, 0, 1, 2);
        const float scale = hb_exp2_int((int32_t)(block.word[2] % 41) - 20);
        const float x = hb_uniform_within(hb_uniform(block.word[0]), 1.0f);
        const float y = scale * hb_uniform_within(hb_uniform(block.word[1]), 1.0f);
        const double error = ulps(hb_atan2(y, x), atan2l((long double)y, (long double)x));
        atan2_error = larger(atan2_error, error);
    }
    print_message("largest errors in ulps: sin %.3f, cos %.3f, both to 3000 %.3f of 1, asin %.3f, atan2 %.3f\n", sine,
                  cosine, far, asin_error, atan2_error);
    assert_true(sine < 1.75 && cosine < 1.75 && far < 1.0);
    assert_true(asin_error < 2.5);
    assert_true(atan2_error < 2.5);
}

static void angles_at_the_edges(void **state) {
    (void)state;
    const float edge[] = {0.0f, -0.0f, 1.0f, -1.0f, 1e-40f, -1e-40f, 3e38f, -3e38f};
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            const float got = hb_atan2(edge[i], edge[j]);
            const double exact = atan2((double)edge[i], (double)edge[j]);
            assert_true(fabs((double)got - exact) <= 3e-7);
            assert_int_equal(signbit(got) != 0, signbit(exact) != 0);
        }
    assert_true(isnan(hb_atan2(NAN, 1)) && isnan(hb_atan2(1, NAN)) && isnan(hb_asin(NAN)));
    assert_true(isnan(hb_asin(1.0000001f)) && isnan(hb_asin(-2.0f)));
    assert_true(hb_asin(1.0f) == 1.57079633f && hb_asin(-1.0f) == -1.57079633f);
    assert_true(hb_asin(0.0f) == 0 && signbit(hb_asin(-0.0f)));
    float s, c;
    hb_sincos(NAN, &s, &c);
    assert_true(isnan(s) && isnan(c));
    hb_sincos(-0.0f, &s, &c);
    assert_true(s == 0 && c == 1.0f);
}

static void special_values(void **state) {
    (void)state;
    assert_true(isnan(hb_exp(NAN)) && isnan(hb_tanh(NAN)) && isnan(hb_log(NAN)));
    assert_true(isnan(hb_log(-1.0f)) && isnan(hb_log(-INFINITY)) && isnan(hb_log(-1e-45f)));
    assert_true(hb_log(0.0f) == -INFINITY && hb_log(-0.0f) == -INFINITY && hb_log(INFINITY) == INFINITY);
    assert_true(hb_log(1.0f) == 0.0f && hb_exp(0.0f) == 1.0f);
    assert_true(hb_exp(INFINITY) == INFINITY && hb_exp(89.0f) == INFINITY && hb_exp(-INFINITY) == 0.0f);
    assert_true(hb_tanh(INFINITY) == 1.0f && hb_tanh(-INFINITY) == -1.0f && hb_tanh(-30.0f) == -1.0f);
    assert_true(hb_bits(hb_tanh(-0.0f)) == 0x80000000u && hb_bits(hb_tanh(0.0f)) == 0);
}

// tanh never leaves [-1, 1], is odd to the bit, and never falls as x rises.
static void tanh_shape(void **state) {
    (void)state;
    float last = 0.0f;
    for (uint32_t bits = 0; bits < 0x41a00000u; bits += 977) {
        const float x = hb_from_bits(bits), y = hb_tanh(x);
        assert_true(y <= 1.0f && hb_bits(hb_tanh(-x)) == (hb_bits(y) | 0x80000000u));
        assert_true(y >= last - 1.2e-7f); // one ulp below 1: the polynomial is not monotone to the bit
        last = y;
    }
}

// Known answers of Random123's own test suite (kat_vectors, philox4x32 10 rounds).
static void philox_known_answers(void **state) {
    (void)state;
    const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const uint32_t *c = known[k].counter;
        const hb_philox_block b = hb_philox(c[0], c[1], c[2], c[3], known[k].key[0], known[k].key[1]);
        assert_memory_equal(b.word, known[k].answer, sizeof b.word);
    }
}

static void philox_is_random123(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        const philox4x32_ctr_t counter = {{i, i * 2654435761u, ~i, i * i}};
        const philox4x32_key_t key = {{i * 40503u, i ^ 0xdeadbeefu}};
        const philox4x32_ctr_t expected = philox4x32(counter, key);
        const hb_philox_block b =
            hb_philox(counter.v[0], counter.v[1], counter.v[2], counter.v[3], key.v[0], key.v[1]);
        assert_memory_equal(b.word, expected.v, sizeof b.word);
    }
}

// The words of a sequence are the blocks' words in the order that scalar.h states.
static void noise_order(void **state) {
    (void)state;
    const hb_noise id = {.seed = 7, .stream = 3, .generation = 11, .individual = 5, .episode = 2};
    for (uint32_t i = 0; i < 200; i++) {
        const philox4x32_ctr_t counter = {{i / 64 * 16 + i % 16, 5, 11, 2}};
        const philox4x32_key_t key = {{7, 3}};
        assert_int_equal(hb_noise_word(id, i), philox4x32(counter, key).v[i % 64 / 16]);
    }
}

// Normals are Box and Muller's of the words, to float32 accuracy.
static void normals_are_box_muller(void **state) {
    (void)state;
    const hb_noise id = {.seed = 1, .stream = 1};
    for (uint32_t i = 0; i < 100000; i++) {
        if (i % 32 >= 16) continue;
        const double w0 = hb_noise_word(id, i), w1 = hb_noise_word(id, i + 16);
        const double u = (floor(w0 / 2) + 0.5) / 2147483648.0, angle = 2 * M_PI * w1 / 4294967296.0;
        const double radius = sqrt(-2 * log(u));
        check_close(hb_noise_normal(id, i), radius * cos(angle), 3e-6 + 1e-7 / radius);
        check_close(hb_noise_normal(id, i + 16), radius * sin(angle), 3e-6 + 1e-7 / radius);
    }
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Moments and the distance of Kolmogorov and Smirnov from N(0, 1) for 10^6 numbers; bounds are 5 standard
// errors, or a probability of 10^-6.
static void normals_are_normal(void **state) {
    (void)state;
    enum { N = 1000000 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    const hb_noise id = {.seed = 1, .stream = 1, .generation = 3};
    double moment[5] = {0};
    for (uint32_t i = 0; i < N; i++) {
        x[i] = hb_noise_normal(id, i);
        double power = 1;
        for (int m = 1; m < 5; m++) moment[m] += (power *= (double)x[i]) / N;
    }
    check_close(moment[1], 0, 5 / sqrt(N));
    check_close(moment[2], 1, 5 * sqrt(2.0 / N));
    check_close(moment[3], 0, 5 * sqrt(15.0 / N));
    check_close(moment[4], 3, 5 * sqrt(96.0 / N));
    qsort(x, N, sizeof *x, ascending);
    double distance = 0;
    for (int i = 0; i < N; i++) {
        const double normal = 0.5 * erfc(-(double)x[i] / sqrt(2));
        distance = larger(distance, larger(fabs(normal - (double)i / N), fabs(normal - (i + 1.0) / N)));
    }
    check_close(distance, 0, 2.7 / sqrt(N));
    free(x);
}

// Every half, and floats of every exponent.
static void halves(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint32_t exponent = h >> 10 & 31u, mantissa = h & 1023u;
        const double magnitude = exponent == 31  ? (mantissa ? (double)NAN : (double)INFINITY)
                                 : exponent == 0 ? ldexp(mantissa, -24)
                                                 : ldexp(1024 + mantissa, (int)exponent - 25);
        const float got = hb_half_value((uint16_t)h);
        if (isnan(magnitude))
            assert_true(isnan(got) && isnan(hb_half_value(hb_half_bits(got))));
        else
            assert_true((double)got == (h & 0x8000u ? -magnitude : magnitude) && hb_half_bits(got) == h);
    }
    for (uint64_t bits = 0; bits < 0x7f800000u; bits += 4097) {
        const float x = hb_from_bits((uint32_t)bits), y = hb_half_value(hb_half_bits(x));
        assert_true((double)y == nearest_half((double)x));
        assert_true(hb_half_value(hb_half_bits(-x)) == -y);
    }
}

// Every byte, to the bit; and the logistic function against its definition.
static void pixels_and_logistic(void **state) {
    (void)state;
    for (int u = 0; u < 256; u++) assert_true(hb_pixel((uint8_t)u) == (float)u / 255.0f);
    for (float x = -30; x < 30; x += 0.01f) check_close(hb_logistic(x), 1 / (1 + exp(-(double)x)), 1e-7);
    assert_true(hb_logistic(-100.0f) == 0.0f && hb_logistic(100.0f) == 1.0f && isnan(hb_logistic(NAN)));
    assert_true(hb_larger(1.0f, 2.0f) == 2.0f && hb_larger(2.0f, 1.0f) == 2.0f && hb_larger(NAN, 1.0f) == 1.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves),
        cmocka_unit_test(accuracy),
        cmocka_unit_test(angles),
        cmocka_unit_test(angles_at_the_edges),
        cmocka_unit_test(special_values),
        cmocka_unit_test(tanh_shape),
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(philox_is_random123),
        cmocka_unit_test(noise_order),
        cmocka_unit_test(normals_are_box_muller),
        cmocka_unit_test(normals_are_normal),
        cmocka_unit_test(pixels_and_logistic),
    };
    return cmocka_run_group_tests_name("scalar", tests, NULL, NULL);
}
