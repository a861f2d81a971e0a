#include "host/train/world.h"
#include "envs/plugin.h"

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

hb_status hb_world_open(const hb_config *config, const char *engine, hb_world *world, hb_error *error) {
    const hb_env_table *env = config->env;
    replaced r = {hb_config_env_settings(config), engine};
    const hb_env_settings settings = {option, &r, env};
    char message[512] = "";
    *world = (hb_world){.env = env};
    if (env->world_create(&settings, &world->handle, message, sizeof message) != 0)
        return hb_fail(error, status_of(message), "environment '%s': %s", env->name, message);
    env->shape(world->handle, &world->shape);
    const char *fault = hb_env_fault_of_shape(env, &world->shape);
    if (!fault) return HB_OK;
    hb_world_close(world);
    return hb_fail(error, HB_BAD_INPUT, "environment '%s' cannot be used: %s", env->name, fault);
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
