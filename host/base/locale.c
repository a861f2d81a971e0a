#define _GNU_SOURCE // uselocale
#include "host/base/locale.h"

#include <pthread.h>

static locale_t c_locale;

static void make(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

// Out of memory the locale stays what it is.
hb_locale hb_locale_enter(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make);
    return (hb_locale){.before = c_locale ? uselocale(c_locale) : (locale_t)0};
}

void hb_locale_leave(hb_locale *locale) {
    if (locale->before) uselocale(locale->before);
}
