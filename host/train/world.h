// A configuration's environment, opened: its world, and the sizes that follow from it.
#ifndef HB_WORLD_H
#define HB_WORLD_H

#include "envs/env.h"
#include "host/config/config.h"

typedef struct {
    const hb_env_table *env;
    void *handle; // NULL until it is open
    hb_env_shape shape;
    const hb_env_field *fields;    // the table's, or the world's own; nullable
    const char *const *variations; // the table's, or the world's own; NULL-terminated
} hb_world;

// Builds the world of config, which must outlive it. engine: the word that replaces the environment's option `engine`, where it has
// one; NULL: as configured. Fails with HB_BAD_INPUT, also where env.variations or env.held_out name one that the world does not have; the caller closes it on success.
hb_status hb_world_open(const hb_config *config, const char *engine, hb_world *world, hb_error *error);
void hb_world_close(hb_world *world); // accepts one that is not open

// The words of the environment's option `engine`, NULL-terminated; NULL where it has no such option.
const char *const *hb_world_engines(const hb_env_table *env);

// The number of the variation of that name, or -1.
int32_t hb_world_variation(const hb_world *world, const char *name);

// How many lives a body shall step where `wanted` are asked for: at most the shape's width, which is also what 0 gives.
int32_t hb_world_width(const hb_world *world, int64_t wanted);

// A body of `width` lives. The caller destroys it with the environment's body_destroy.
hb_status hb_world_body(const hb_world *world, int32_t width, void **body, hb_error *error);

#endif
