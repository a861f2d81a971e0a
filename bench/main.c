// hebbes-bench: measures parts of a run, each figure beside its limit on this machine.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/policy/policy.h"
#include "host/train/world.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *summary;
    hb_status (*run)(const hb_bench *bench, hb_error *error);
    bool not_in_all; // needs a device of its own
} benchmarks[] = {
    {"step", "a policy step of one life, against the bytes it moves", hb_bench_step, false},
    {"es", "the update of the normal search, against its random numbers", hb_bench_es, false},
    {"gmm", "the update of the mixture by the number of rules, against its random numbers", hb_bench_gmm, false},
    {"products", "matrix products of a library, against the fused operations", hb_bench_products, true},
    {"robots", "the lanes' physics on a device, against its arithmetic alone", hb_bench_robots, false},
    {"env", "an environment's step, against its physics", hb_bench_env, false},
    {"vec", "a step of 256 environments through the door, against the bodies alone", hb_bench_vec, false},
    {"generation", "a whole generation, against its physics", hb_bench_generation, false},
    {"scale",
     "a generation by the ranks of a launcher (mpirun -n R hebbes bench scale), against the model of plan --ranks",
     hb_bench_scale, true},
};
enum { BENCHMARKS = sizeof benchmarks / sizeof *benchmarks, MOST_SETS = 64 };

// ---------------------------------------------------------------------------------------------------
// What benchmarks share

hb_status hb_bench_config(const hb_bench *bench, const char *const *more, int n_more, hb_config **config,
                          hb_error *error) {
    const char *sets[2 * MOST_SETS];
    int n = 0;
    for (int k = 0; k < bench->n_sets; k++) sets[n++] = bench->sets[k];
    for (int k = 0; k < n_more && n < 2 * MOST_SETS; k++) sets[n++] = more[k];
    return hb_config_open(bench->path, sets, n, config, error);
}

hb_status hb_bench_net(const hb_config *config, hb_net *net, hb_error *error) {
    hb_world world;
    hb_status status = hb_world_open(config, NULL, &world, error);
    if (status != HB_OK) return status;
    status = hb_policy_build(&config->settings.policy, &world.shape, net, error);
    hb_world_close(&world);
    return status;
}

void hb_bench_print(const hb_bench *bench, const char *name, double value, const char *unit, double limit,
                    const char *limit_is, int64_t repeats) {
    if (bench->json) {
        printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", ", name, value, unit);
        if (limit >= 0) printf("\"limit\": %.6g, \"limit_is\": \"%s\", ", limit, limit_is);
        printf("\"repeats\": %lld}\n", (long long)repeats);
    } else {
        printf("%-32s %12.4g %-10s", name, value, unit);
        if (limit >= 0) printf(" limit %10.4g  %s", limit, limit_is);
        putchar('\n');
    }
    fflush(stdout);
}

double hb_bench_fastest(void (*work)(void *context), void *context, double seconds, int64_t *repeats) {
    work(context);
    double fastest = 1e300;
    const double begun = hb_now();
    for (*repeats = 0; *repeats < 3 || hb_now() - begun < seconds; ++*repeats) {
        const double start = hb_now();
        work(context);
        const double taken = hb_now() - start;
        fastest = taken < fastest ? taken : fastest;
    }
    return fastest;
}

// ---------------------------------------------------------------------------------------------------
// Command line

typedef struct {
    hb_bench bench;
    const char *what;
    const char *sets[MOST_SETS];
    char text[MOST_SETS][512];
} arguments;

enum { KEY_JSON = 1000, KEY_SEED, KEY_ENV, KEY_DEVICE };

static const struct argp_option options[] = {
    {"set", 's', "KEY=VALUE", 0, "set a key of the configuration, such as search.population=100; repeats", 0},
    {"config", 'c', "FILE", 0, "the configuration to measure; default: the keys' defaults", 0},
    {"threads", 't', "N", 0, "the same as --set run.threads=N", 0},
    {"seed", KEY_SEED, "N", 0, "the same as --set run.seed=N", 0},
    {"env", KEY_ENV, "NAME", 0, "the same as --set env.name=NAME", 0},
    {"device", KEY_DEVICE, "NAME", 0, "the same as --set run.device=NAME", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object per line", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static void add_set(struct argp_state *state, const char *key, const char *value) {
    arguments *a = state->input;
    if (a->bench.n_sets == MOST_SETS) argp_error(state, "too many settings");
    char *text = a->text[a->bench.n_sets];
    snprintf(text, sizeof a->text[0], "%s%s", key, value);
    a->sets[a->bench.n_sets++] = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    arguments *a = state->input;
    switch (key) {
    case 's':
        add_set(state, "", text);
        return 0;
    case 't':
        add_set(state, "run.threads=", text);
        return 0;
    case KEY_SEED:
        add_set(state, "run.seed=", text);
        return 0;
    case KEY_ENV:
        add_set(state, "env.name=", text);
        return 0;
    case KEY_DEVICE:
        add_set(state, "run.device=", text);
        return 0;
    case 'c':
        a->bench.path = text;
        return 0;
    case KEY_JSON:
        a->bench.json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->what) argp_error(state, "unexpected argument '%s'", text);
        a->what = text;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *help_text(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC) return (char *)(uintptr_t)text;
    char *out = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&out, &n);
    if (!memory) return NULL;
    fprintf(memory, "Benchmarks (default: all but products and scale):\n");
    for (int k = 0; k < BENCHMARKS; k++) fprintf(memory, "  %-10s %s\n", benchmarks[k].name, benchmarks[k].summary);
    fclose(memory);
    return out;
}

static hb_status run(const arguments *a, hb_error *error) {
    const char *what = a->what ? a->what : "all";
    const bool all = strcmp(what, "all") == 0;
    bool found = false;
    hb_status status = HB_OK;
    for (int k = 0; k < BENCHMARKS && status == HB_OK; k++) {
        if (all ? benchmarks[k].not_in_all : strcmp(what, benchmarks[k].name) != 0) continue;
        found = true;
        status = benchmarks[k].run(&a->bench, error);
    }
    if (found) return status;
    return hb_fail(error, HB_BAD_INPUT,
                   "bench: expected step, es, gmm, products, robots, env, generation, scale or all, found '%s'",
                   what);
}

int main(int argc, char **argv) {
    static arguments a;
    const struct argp parser = {.options = options,
                                .parser = parse_option,
                                .args_doc = "[WHAT]",
                                .doc = "Measure parts of a run, each figure beside its limit on this machine.\v",
                                .help_filter = help_text};
    argp_err_exit_status = HB_BAD_INPUT;
    argp_parse(&parser, argc, argv, 0, NULL, &a);
    a.bench.sets = a.sets;
    hb_error error = {""};
    const hb_status status = run(&a, &error);
    if (status != HB_OK) fprintf(stderr, "hebbes: %s\n", error.message);
    return (int)status;
}
