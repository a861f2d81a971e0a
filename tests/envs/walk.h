// Options of a walker: a program that drives an environment for tests in other languages. Its arguments are NAME=VALUE.
#ifndef HB_TESTS_WALK_H
#define HB_TESTS_WALK_H

#include "envs/env.h"

#include <string.h>

typedef struct {
    const hb_env_table *env;
    char **given; // "NAME=VALUE", NULL-terminated, as main's
} walker;

// The option of hb_env_settings, context being a walker: as given, the default, or "0" for what only the walker knows.
static inline const char *walker_option(void *context, const char *name) {
    const walker *w = context;
    const size_t n = strlen(name);
    for (char **text = w->given; *text; text++)
        if (strncmp(*text, name, n) == 0 && (*text)[n] == '=') return *text + n + 1;
    for (const hb_env_option *o = w->env->options; o->name; o++)
        if (strcmp(o->name, name) == 0) return o->fallback;
    return "0";
}

#endif
