// The options of a world in a test: some are chosen, the others have their defaults.
#ifndef HB_TESTS_OPTIONS_H
#define HB_TESTS_OPTIONS_H

#include "tests/check.h"

#include "envs/env.h"

#include <string.h>

typedef struct {
    const char *name, *value; // the last of an array has no name
} choice;

// The value of an option under those choices (nullable). A name that the environment does not know fails the test.
static inline const char *value_of(const hb_env_table *env, const choice *choices, const char *name) {
    for (const choice *c = choices; c && c->name; c++)
        if (strcmp(c->name, name) == 0) return c->value;
    for (const hb_env_option *o = env->options; o->name; o++)
        if (strcmp(o->name, name) == 0) return o->fallback;
    fail_msg("no option is called %s", name);
    return NULL;
}

#endif
