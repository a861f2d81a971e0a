// Drives an environment whose state can be put for tests in other languages: mjcf, classic. Arguments: its name; NAME=VALUE options of it; variation=K; steps=S. First it writes a
// line: numbers of positions, speeds, commands, of an observation. Then it answers records of float64 (nq + nv) and float32 (S, nu) from standard
// input: that state, and S steps from it; with, for each step, float64: reward, 0 while it goes on, and the observation.
#include "tests/envs/walk.h"

#include "envs/classic/classic.h"
#include "envs/mjcf/mjcf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next_word(hb_env_random *random) {
    static uint32_t word = 1;
    (void)random;
    return word = word * 1664525u + 1013904223u;
}

static void live(const hb_env_table *env, void *body, const hb_env_shape *shape, int32_t nq, int32_t nv,
                 int32_t steps) {
    const size_t state = (size_t)(nq + nv), actions = (size_t)(steps * shape->action_size),
                 seen = (size_t)shape->observation_size;
    double *start = calloc(state, sizeof *start), *out = calloc(seen + 2, sizeof *out);
    float *action = calloc(actions, sizeof *action), *observation = calloc(seen, sizeof *observation);
    while (fread(start, sizeof *start, state, stdin) == state &&
           fread(action, sizeof *action, actions, stdin) == actions) {
        if (env == &hb_env_mjcf)
            hb_mjcf_put(body, start, start + nq);
        else
            hb_classic_put(body, start);
        for (int32_t t = 0; t < steps; t++) {
            hb_env_step step;
            out[1] = (double)env->step(body, action + t * shape->action_size, observation, &step);
            out[0] = step.reward;
            for (size_t k = 0; k < seen; k++) out[2 + k] = (double)observation[k];
            fwrite(out, sizeof *out, seen + 2, stdout);
        }
        fflush(stdout);
    }
    free(start);
    free(out);
    free(action);
    free(observation);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const hb_env_table *env = strcmp(argv[1], "mjcf") == 0 ? &hb_env_mjcf : &hb_env_classic;
    walker w = {env, argv + 2};
    const hb_env_settings settings = {walker_option, &w, env};
    void *world = NULL, *body = NULL;
    char message[512] = "";
    if (env->world_create(&settings, &world, message, sizeof message) != 0 ||
        env->body_create(world, 1, &body, message, sizeof message) != 0)
        return fprintf(stderr, "%s\n", message), 2;
    hb_env_shape shape;
    int32_t nq = HB_CLASSIC_STATE, nv = 0;
    env->shape(world, &shape);
    if (env == &hb_env_mjcf) hb_mjcf_sizes(world, &nq, &nv);
    printf("%d %d %d %d\n", nq, nv, shape.action_size, shape.observation_size);
    fflush(stdout);
    float *first = calloc((size_t)shape.observation_size, sizeof *first);
    hb_env_random random = {next_word};
    hb_env_step step;
    if (first) env->reset(body, atoi(walker_option(&w, "variation")), &random, first, &step);
    live(env, body, &shape, nq, nv, atoi(walker_option(&w, "steps")));
    free(first);
    env->body_destroy(body);
    env->world_destroy(world);
    return 0;
}
