// Finding environments: those of this build, those that the process has added, and those in shared objects.
#ifndef HB_PLUGIN_H
#define HB_PLUGIN_H

#include "envs/env.h"
#include "kernels/error.h"

#include <stdbool.h>

// Environment k: first those of this build, then those that were added, the newest first. NULL past the last one.
const hb_env_table *hb_env_number(int k);

// The environment of this build, or the newest that was added, with that name; or NULL.
const hb_env_table *hb_env_find(const char *name);

// Adds a table, which stays valid as long as the process. Of several with one name the newest is found. Fails with HB_BAD_INPUT where it is
// incomplete or has the name of one of this build. Any thread may call it.
hb_status hb_env_append(const hb_env_table *env, hb_error *error);

// True of letters, digits and _, 1 to 63 of them: names of environments, variations and options stand in YAML and in files' formats.
bool hb_env_is_name(const char *name);

// True if the name is that of a shared object: it ends with ".so".
bool hb_env_is_library(const char *name);

// Loads the environment that a shared object exports, and checks its table. A name without a slash is a file of the current
// folder. *library is what hb_env_unload closes when nothing of the environment is in use any more. Fails with HB_BAD_INPUT.
hb_status hb_env_load(const char *name, const hb_env_table **env, void **library, hb_error *error);
void hb_env_unload(void *library); // accepts NULL

// What is wrong with the shape of a world, or NULL.
const char *hb_env_fault_of_shape(const hb_env_table *env, const hb_env_shape *shape);

#endif
