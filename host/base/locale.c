#define _GNU_SOURCE // uselocale
#include "host/base/locale.h"

// Out of memory the locale stays what it is.
hb_locale hb_locale_enter(void) {
    hb_locale locale = {.before = uselocale((locale_t)0)};
    locale_t base = duplocale(locale.before);
    locale.ours = base ? newlocale(LC_NUMERIC_MASK, "C", base) : (locale_t)0;
    if (base && !locale.ours) freelocale(base);
    if (locale.ours) uselocale(locale.ours);
    return locale;
}

void hb_locale_leave(hb_locale *locale) {
    if (!locale->ours) return;
    uselocale(locale->before);
    freelocale(locale->ours);
}
