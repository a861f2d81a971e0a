// A search on a small network, for tests: settings come from a configuration as a user would write it.
#ifndef HB_TESTS_SCENE_H
#define HB_TESTS_SCENE_H

#include "tests/check.h"

#include "host/config/config.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    hb_config *config;
    const hb_search_settings *settings;
    hb_machine machine;
    hb_net net;
    hb_search search;
} scene;

// Opens the configuration of the defaults and `sets`, on the CPU with seed 3, and the network. The search is started apart.
static inline scene *open_scene(const hb_net_def *def, const char *const *sets, int n) {
    scene *s = calloc(1, sizeof *s);
    const char *all[32] = {"run.seed=3", "run.device=cpu"};
    hb_error error;
    assert_non_null(s);
    for (int k = 0; k < n; k++) all[2 + k] = sets[k];
    check_ok(hb_config_open(NULL, all, n + 2, &s->config, &error), error);
    s->settings = &s->config->settings.search;
    check_ok(hb_net_init(&s->net, def, &error), error);
    check_ok(hb_machine_open(&s->machine, &s->config->settings.machine, (hb_place){0}, &error), error);
    return s;
}

static inline hb_status try_search(scene *s, hb_error *error) {
    return hb_search_create(&s->search, &s->machine, NULL, s->settings, (uint32_t)s->config->settings.run.seed,
                            &s->net, error);
}

static inline void start_search(scene *s) {
    hb_error error;
    check_ok(try_search(s, &error), error);
}

static inline void close_scene(scene *s) {
    if (s->search.machine) hb_search_destroy(&s->search);
    hb_machine_close(&s->machine);
    hb_config_close(s->config);
    free(s);
}

// A search's array, which the CPU device keeps in memory that a test may read.
static inline float *array_data(const scene *s, int32_t k) {
    return hb_floats(s->search.array[k].data);
}

#endif
