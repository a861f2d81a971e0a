#include "envs/plugin.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Those that were added, the newest first; none is ever taken out.
typedef struct addition {
    const hb_env_table *env;
    const struct addition *next;
} addition;
static const addition *_Atomic additions;

const hb_env_table *hb_env_number(int k) {
    int builtin = 0;
    while (hb_envs[builtin]) builtin++;
    if (k < builtin) return hb_envs[k];
    const addition *a = additions;
    for (int left = k - builtin; a && left > 0; left--) a = a->next;
    return a ? a->env : NULL;
}

const hb_env_table *hb_env_find(const char *name) {
    const hb_env_table *env;
    for (int k = 0; (env = hb_env_number(k)); k++)
        if (strcmp(env->name, name) == 0) return env;
    return NULL;
}

bool hb_env_is_library(const char *name) {
    const size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

// ---------------------------------------------------------------------------------------------------
// Checks of a table from outside

bool hb_env_is_name(const char *name) {
    const size_t n = name ? strlen(name) : 0;
    return n > 0 && n < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

// Of the names before k, is one the same?
static bool is_earlier(const char *const *names, int k) {
    for (int j = 0; j < k; j++)
        if (strcmp(names[j], names[k]) == 0) return true;
    return false;
}

static bool has_proper_fields(const hb_env_field *fields) {
    for (const hb_env_field *f = fields; f && f->name; f++)
        if (!hb_env_is_name(f->name) || f->length < 1) return false;
    return true;
}

static const char *fault_of_names(const hb_env_table *env) {
    if (env->variations && !env->variations[0]) return "it has no variations";
    for (int k = 0; env->variations && env->variations[k]; k++)
        if (!hb_env_is_name(env->variations[k]) || is_earlier(env->variations, k))
            return "a variation has no proper name";
    for (const hb_env_option *o = env->options; o && o->name; o++)
        if (!hb_env_is_name(o->name) || (unsigned)o->type > HB_OPTION_FILE || !o->fallback || !o->help ||
            strcmp(o->name, "name") == 0 || strcmp(o->name, "variations") == 0 || strcmp(o->name, "held_out") == 0)
            return "an option is incomplete or has a name that is taken";
    return has_proper_fields(env->fields) ? NULL : "a field has no proper name or length";
}

// What is wrong with a table, or NULL.
static const char *fault_of(const hb_env_table *env) {
    if (!env || env->abi != HB_ENV_ABI)
        return "it is built for another version of the contract (envs/env.h); compile it against this one";
    if (!hb_env_is_name(env->name) || !env->summary) return "it has no proper name or summary";
    if (!env->world_create || !env->world_destroy || !env->body_create || !env->body_destroy || !env->reset ||
        !env->shape || !env->step || (env->fields && !env->snapshot) || !env->reset_lane != !env->step_lanes ||
        (env->library && !env->library_version))
        return "functions are missing";
    return fault_of_names(env);
}

static bool has_proper_variations(const hb_env_shape *shape) {
    if (!shape->variations || !shape->variations[0] || strcmp(shape->variations[0], "default") != 0) return false;
    for (int k = 0; shape->variations[k]; k++)
        if (!hb_env_is_name(shape->variations[k])) return false;
    return true;
}

const char *hb_env_fault_of_shape(const hb_env_table *env, const hb_env_shape *shape) {
    if (!has_proper_fields(shape->fields) || (shape->fields && !env->snapshot))
        return "a field has no proper name or length, or there is no snapshot";
    if (!env->variations && !has_proper_variations(shape)) return "its variations have no proper names";
    const int32_t *picture = shape->picture;
    for (int k = 0; k < 3; k++)
        if (picture[k] < 0 || picture[k] > 256) return "its pictures are out of range";
    const int32_t largest = picture[0] > 0 ? 1 << 24 : HB_ENV_MOST_NUMBERS;
    if (shape->observation_size < 1 || shape->observation_size > largest || shape->action_size < 1 ||
        shape->action_size > HB_ENV_MOST_NUMBERS || shape->max_steps < 1)
        return "its sizes are out of range";
    if (picture[0] > 0 && picture[0] * picture[1] * picture[2] != shape->observation_size)
        return "its observation is not of its pictures' size";
    if (shape->width < 1 || shape->width > 64 || (shape->width > 1 && !env->step_lanes))
        return "its width is out of range";
    if (shape->width > 1 && hb_env_observation_bytes(shape) % sizeof(float) != 0)
        return "its lanes' pictures are not a multiple of 4 bytes";
    return NULL;
}

// ---------------------------------------------------------------------------------------------------
// Add, load

hb_status hb_env_append(const hb_env_table *env, hb_error *error) {
    const char *fault = fault_of(env);
    for (int k = 0; !fault && hb_envs[k]; k++)
        if (strcmp(hb_envs[k]->name, env->name) == 0) fault = "an environment of this build has that name";
    if (fault)
        return hb_fail(error, HB_BAD_INPUT, "environment '%s' cannot be used: %s", env && env->name ? env->name : "",
                       fault);
    addition *a = malloc(sizeof *a);
    if (!a) return hb_fail(error, HB_FAILED, "out of memory for environment '%s'", env->name);
    *a = (addition){env, additions};
    while (!atomic_compare_exchange_weak(&additions, &a->next, a)) continue;
    return HB_OK;
}

hb_status hb_env_load(const char *name, const hb_env_table **env, void **library, hb_error *error) {
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s%s", strchr(name, '/') ? "" : "./", name);
    void *handle = length < (int)sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!handle) return hb_fail(error, HB_BAD_INPUT, "cannot load '%s': %s", name, dlerror());
    const hb_env_table *(*export)(void);
    *(void **)&export = dlsym(handle, HB_ENV_EXPORT);
    const hb_env_table *table = export ? export() : NULL;
    const char *fault = export ? fault_of(table) : NULL;
    if (export && !fault) {
        *env = table;
        *library = handle;
        return HB_OK;
    }
    dlclose(handle);
    return export ? hb_fail(error, HB_BAD_INPUT, "'%s' cannot be used: %s", name, fault)
                  : hb_fail(error, HB_BAD_INPUT, "'%s' does not export %s()", name, HB_ENV_EXPORT);
}

void hb_env_unload(void *library) {
    if (library) dlclose(library);
}
