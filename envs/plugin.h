// Finding environments: those of this build, and those in shared objects.
#ifndef HB_PLUGIN_H
#define HB_PLUGIN_H

#include "envs/env.h"
#include "kernels/error.h"

#include <stdbool.h>

// The environment of this build with that name, or NULL.
const hb_env_table *hb_env_builtin(const char *name);

// True if the name is that of a shared object: it ends with ".so".
bool hb_env_is_library(const char *name);

// Loads the environment that a shared object exports, and checks its table. A name without a slash is a file of the current
// folder. *library is what hb_env_unload closes when nothing of the environment is in use any more. Fails with HB_BAD_INPUT.
hb_status hb_env_load(const char *name, const hb_env_table **env, void **library, hb_error *error);
void hb_env_unload(void *library); // accepts NULL

// What is wrong with the shape of a world, or NULL.
const char *hb_env_fault_of_shape(const hb_env_table *env, const hb_env_shape *shape);

#endif
