#include "host/train/world.h"
#include "envs/plugin.h"

#include <stdio.h>
#include <string.h>

// The configuration's options, with another engine.
typedef struct {
    hb_env_settings settings;
    const char *engine;
} replaced;

static const char *option(void *context, const char *name) {
    const replaced *r = context;
    if (r->engine && strcmp(name, "engine") == 0) return r->engine;
    return r->settings.option(r->settings.context, name);
}

// What an environment refuses can be set otherwise.
static hb_status status_of(const char *message) {
    return strncmp(message, "out of memory", 13) == 0 ? HB_FAILED : HB_BAD_INPUT;
}

// Those of a table were checked with the configuration.
static hb_status check_variations(const hb_config *config, const hb_world *world, const char *key,
                                  const hb_words *names, hb_error *error) {
    char known[512] = "";
    for (int32_t k = 0; k < names->n; k++) {
        if (hb_world_variation(world, names->item[k]) >= 0) continue;
        for (int32_t j = 0; world->variations[j]; j++)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", j ? ", " : "",
                     world->variations[j]);
        return hb_config_complain(config, key, error, "expected one of %s, found '%s'", known, names->item[k]);
    }
    return HB_OK;
}

hb_status hb_world_open(const hb_config *config, const char *engine, hb_world *world, hb_error *error) {
    const hb_env_table *env = config->env;
    replaced r = {hb_config_env_settings(config), engine};
    const hb_env_settings settings = {option, &r, env};
    char message[512] = "";
    *world = (hb_world){.env = env};
    if (env->world_create(&settings, &world->handle, message, sizeof message) != 0)
        return hb_fail(error, status_of(message), "environment '%s': %s", env->name, message);
    env->shape(world->handle, &world->shape);
    world->fields = world->shape.fields ? world->shape.fields : env->fields;
    world->variations = env->variations ? env->variations : world->shape.variations;
    const char *fault = hb_env_fault_of_shape(env, &world->shape);
    hb_status status = HB_OK;
    if (fault) status = hb_fail(error, HB_BAD_INPUT, "environment '%s' cannot be used: %s", env->name, fault);
    if (status == HB_OK)
        status = check_variations(config, world, "env.variations", &config->settings.env.variations, error);
    if (status == HB_OK)
        status = check_variations(config, world, "env.held_out", &config->settings.env.held_out, error);
    if (status != HB_OK) hb_world_close(world);
    return status;
}

int32_t hb_world_variation(const hb_world *world, const char *name) {
    for (int32_t k = 0; world->variations[k]; k++)
        if (strcmp(world->variations[k], name) == 0) return k;
    return -1;
}

const char *const *hb_world_engines(const hb_env_table *env) {
    for (const hb_env_option *o = env->options; o && o->name; o++)
        if (strcmp(o->name, "engine") == 0) return o->words;
    return NULL;
}

void hb_world_close(hb_world *world) {
    if (world->handle) world->env->world_destroy(world->handle);
    world->handle = NULL;
}

int32_t hb_world_width(const hb_world *world, int64_t wanted) {
    return wanted > 0 && wanted < world->shape.width ? (int32_t)wanted : world->shape.width;
}

hb_status hb_world_body(const hb_world *world, int32_t width, void **body, hb_error *error) {
    char message[512] = "";
    if (world->env->body_create(world->handle, width, body, message, sizeof message) == 0) return HB_OK;
    return hb_fail(error, status_of(message), "environment '%s': %s", world->env->name, message);
}
