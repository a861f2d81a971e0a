// What every cmocka test includes, in the order cmocka asks for; and comparisons in which NaN fails.
#ifndef HB_TESTS_CHECK_H
#define HB_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>

// |a - b| <= tolerance, or the test fails and says where and by how much.
#define check_close(a, b, tolerance)                                                                                 \
    do {                                                                                                             \
        const double check_a = (a), check_b = (b), check_t = (tolerance);                                            \
        if (!(check_a - check_b <= check_t && check_b - check_a <= check_t)) {                                       \
            print_error("%s = %.17g, expected %.17g within %g\n", #a, check_a, check_b, check_t);                    \
            fail();                                                                                                  \
        }                                                                                                            \
    } while (0)

#define check_ok(status, error)                                                                                      \
    do {                                                                                                             \
        if ((status) != HB_OK) {                                                                                     \
            print_error("%s\n", (error).message);                                                                    \
            fail();                                                                                                  \
        }                                                                                                            \
    } while (0)

// The larger of two, NaN if one is: what fmax loses, a bound on the result then finds.
static inline double larger(double a, double b) {
    return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
}

// x rounded to half precision, ties to even, from the format's definition alone.
static inline double nearest_half(double x) {
    if (x == 0 || !isfinite(x)) return x;
    const int exponent = ilogb(x) < -14 ? -14 : ilogb(x);
    const double quantum = ldexp(1.0, exponent - 10), rounded = rint(x / quantum) * quantum;
    return fabs(rounded) > 65504 ? copysign((double)INFINITY, x) : rounded;
}

#endif
