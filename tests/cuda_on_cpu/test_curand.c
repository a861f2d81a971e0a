// cuRAND's device generator gives the bits of our Philox, and so of Random123's (test_scalar.c).
#include "tests/check.h"

#include "kernels/scalar.h"

int hb_test_curand(uint32_t *out, unsigned long long seed, int32_t elements, int32_t blocks);

// Block b of element i of curand_init(seed, i, 0) is Philox of counter (b, 0, i_lo, i_hi) under the seed's halves.
static void curand_is_philox(void **state) {
    (void)state;
    enum { ELEMENTS = 256, BLOCKS = 5 };
    static uint32_t words[ELEMENTS * BLOCKS * 4];
    const unsigned long long seeds[] = {0, 1, 0x123456789abcdef0ull, ~0ull};
    for (int s = 0; s < 4; s++) {
        assert_int_equal(hb_test_curand(words, seeds[s], ELEMENTS, BLOCKS), 0);
        for (uint32_t i = 0; i < ELEMENTS; i++)
            for (uint32_t b = 0; b < BLOCKS; b++) {
                const hb_philox_block expected =
                    hb_philox(b, 0, i, 0, (uint32_t)seeds[s], (uint32_t)(seeds[s] >> 32));
                assert_memory_equal(words + (i * BLOCKS + b) * 4, expected.word, sizeof expected.word);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(curand_is_philox)};
    return cmocka_run_group_tests_name("curand", tests, NULL, NULL);
}
