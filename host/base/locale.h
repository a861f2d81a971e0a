// Numbers are read and written with a point, whatever the locale of the program that the library serves.
#ifndef HB_LOCALE_H
#define HB_LOCALE_H

#include <locale.h>

// The calling thread's locale is "C" until the block is left. Every function of hebbes.h that reads or writes numbers begins with it.
typedef struct {
    locale_t before;
} hb_locale;

hb_locale hb_locale_enter(void);
void hb_locale_leave(hb_locale *locale);

#define HB_NUMBERS_WITH_POINTS                                                                                       \
    __attribute__((cleanup(hb_locale_leave), unused)) hb_locale hb_locale_here = hb_locale_enter()

#endif
