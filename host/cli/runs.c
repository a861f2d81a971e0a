// Commands that report on a configuration or a run: hebbes eval, plan, digest, info, bench
#include "host/cli/cli.h"
#include "kernels/error.h"

#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// eval

typedef enum { TABLE, CSV, JSON } form;

// How rows are printed.
typedef struct {
    form form;
    bool each, begun; // a row for each rollout; something was printed
} printer;

static void print_table_row(printer *p, const hb_evaluation *e) {
    if (!p->begun && *e->changed) printf("elsewhere: %s\n", e->changed);
    if (!p->begun)
        printf("%-22s %-8s %-8s %8s %8s %8s %7s %9s %8s\n", "variation", "trained", "protocol", "mean", "sd", "s.e.",
               "steps", "backward", "diverged");
    char backward[16] = "-";
    if (!isnan(e->backward_share)) snprintf(backward, sizeof backward, "%.0f%%", 100 * e->backward_share);
    printf("%-22s %-8s %-8s %8.1f %8.1f %8.2f %7.0f %9s %8lld\n", e->variation, e->held_out ? "no" : "yes",
           e->protocol, e->mean, e->sd, e->standard_error, e->steps, backward, (long long)e->diverged);
}

static void print_csv_row(printer *p, const hb_evaluation *e) {
    if (!p->begun) puts("variation,trained,protocol,rollouts,mean,sd,standard_error,steps,backward,diverged");
    printf("%s,%s,%s,%lld,%.9g,%.9g,%.9g,%.9g,", e->variation, e->held_out ? "no" : "yes", e->protocol,
           (long long)e->rollouts, e->mean, e->sd, e->standard_error, e->steps);
    if (!isnan(e->backward_share)) printf("%.9g", e->backward_share);
    printf(",%lld\n", (long long)e->diverged);
}

// Names of variations and settings have neither quotes nor control characters; paths may have backslashes.
static void print_json_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static void print_json_row(const hb_evaluation *e) {
    printf("{\"variation\": \"%s\", \"trained\": %s, \"protocol\": \"%s\", \"rollouts\": %lld, \"mean\": %.9g, "
           "\"sd\": %.9g, \"standard_error\": %.9g, \"steps\": %.9g, ",
           e->variation, e->held_out ? "false" : "true", e->protocol, (long long)e->rollouts, e->mean, e->sd,
           e->standard_error, e->steps);
    if (!isnan(e->backward_share)) printf("\"backward\": %.9g, ", e->backward_share);
    printf("\"diverged\": %lld, \"elsewhere\": ", (long long)e->diverged);
    print_json_text(e->changed);
    puts("}");
}

// One row for each rollout.
static void print_each(printer *p, const hb_evaluation *e) {
    if (!p->begun && p->form == TABLE && *e->changed) printf("elsewhere: %s\n", e->changed);
    if (!p->begun && p->form == TABLE)
        printf("%-22s %-8s %7s %9s %9s %6s\n", "variation", "protocol", "rollout", "fitness", "reward", "steps");
    if (!p->begun && p->form == CSV) puts("variation,protocol,rollout,fitness,reward,steps,diverged");
    for (int64_t k = 0; k < e->rollouts; k++) {
        const hb_eval_life *l = &e->life[k];
        const long long rollout = k, steps = l->steps;
        if (p->form == TABLE)
            printf("%-22s %-8s %7lld %9.2f %9.2f %6lld%s\n", e->variation, e->protocol, rollout, l->fitness,
                   l->reward, steps, l->diverged ? "  diverged" : "");
        else if (p->form == CSV)
            printf("%s,%s,%lld,%.9g,%.9g,%lld,%s\n", e->variation, e->protocol, rollout, l->fitness, l->reward, steps,
                   l->diverged ? "yes" : "no");
        else
            printf("{\"variation\": \"%s\", \"protocol\": \"%s\", \"rollout\": %lld, \"fitness\": %.9g, "
                   "\"reward\": %.9g, \"steps\": %lld, \"diverged\": %s}\n",
                   e->variation, e->protocol, rollout, l->fitness, l->reward, steps, l->diverged ? "true" : "false");
    }
}

static void print_evaluation(void *context, const hb_evaluation *e) {
    printer *p = context;
    if (p->each)
        print_each(p, e);
    else if (p->form == TABLE)
        print_table_row(p, e);
    else if (p->form == CSV)
        print_csv_row(p, e);
    else
        print_json_row(e);
    p->begun = true;
    fflush(stdout);
}

static hb_status run_eval(const hb_cli *cli, hb_error *error) {
    const bool json = hb_cli_value(cli, "json"), csv = hb_cli_value(cli, "csv");
    if (json && csv) return hb_fail(error, HB_BAD_INPUT, "eval: expected --json or --csv, found both");
    printer p = {.form = json ? JSON : csv ? CSV : TABLE, .each = hb_cli_value(cli, "each")};
    return hb_evaluate(cli->argument[0], cli->sets, cli->n_sets, print_evaluation, &p, hb_stop_on_signals(), error);
}

static const hb_cli_option eval_options[] = {HB_CLI_SET,
                                             HB_CLI_THREADS,
                                             HB_CLI_DEVICE,
                                             {"each", 0, NULL, NULL, "a row for each rollout"},
                                             {"csv", 0, NULL, NULL, "rows of a CSV file"},
                                             {"json", 0, NULL, NULL, "a JSON object per row"},
                                             {.name = NULL}};
const hb_command hb_command_eval = {
    "eval",
    "RUN",
    1,
    1,
    "rollouts of a checkpoint on every variation, and in other worlds (--set env.friction=0.8)",
    eval_options,
    run_eval};

// ---------------------------------------------------------------------------------------------------
// plan

enum { MOST_RANKS = 32 }; // rows

// --ranks 1,16,128
static hb_status read_ranks(const char *text, int64_t ranks[MOST_RANKS], int *n, hb_error *error) {
    const char *at = text;
    for (*n = 0; *n < MOST_RANKS; at++) {
        char *end;
        ranks[*n] = strtoll(at, &end, 10);
        if (end == at || ranks[*n] < 1 || ranks[*n] > 1000000 || (*end && *end != ',')) break;
        ++*n;
        at = end;
        if (!*end) return HB_OK;
    }
    return hb_fail(error, HB_BAD_INPUT,
                   "--ranks: expected whole numbers from 1 to 1000000, as in 1,16,128, found '%s'", text);
}

static hb_status read_positive(const hb_cli *cli, const char *name, double *out, hb_error *error) {
    const char *text = hb_cli_value(cli, name);
    char *end;
    if (!text) return HB_OK;
    *out = strtod(text, &end);
    if (end != text && !*end && *out > 0 && *out < 1e9) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "--%s: expected a number above 0, found '%s'", name, text);
}

static hb_status run_plan(const hb_cli *cli, hb_error *error) {
    hb_config *config = NULL;
    hb_plan_network network = {.latency_us = 20, .bandwidth_gb_s = 1};
    int64_t ranks[MOST_RANKS];
    int n = 0;
    const char *text = hb_cli_value(cli, "ranks");
    hb_status status = text ? read_ranks(text, ranks, &n, error) : HB_OK;
    if (status == HB_OK) status = read_positive(cli, "latency", &network.latency_us, error);
    if (status == HB_OK) status = read_positive(cli, "bandwidth", &network.bandwidth_gb_s, error);
    if (status == HB_OK) status = hb_config_open(cli->argument[0], cli->sets, cli->n_sets, &config, error);
    if (status != HB_OK) return status;
    status =
        n > 0 ? hb_plan_ranks(config, &network, ranks, n, &hb_cli_page, error) : hb_plan(config, &hb_cli_page, error);
    hb_config_close(config);
    return status;
}

static const hb_cli_option plan_options[] = {
    HB_CLI_SET,
    HB_CLI_THREADS,
    HB_CLI_SEED,
    HB_CLI_ENV,
    HB_CLI_DEVICE,
    {"ranks", 0, "R,R,...", NULL, "time and memory by so many ranks of a cluster, with as many threads each as here"},
    {"latency", 0, "US", NULL, "of its network: microseconds of a small message [20]"},
    {"bandwidth", 0, "GB/S", NULL, "of its network [1]; mpirun -n R hebbes bench scale measures both"},
    {.name = NULL}};
const hb_command hb_command_plan = {"plan",       "CONFIG", 1, 1, "memory and time of a run, before it runs",
                                    plan_options, run_plan};

// ---------------------------------------------------------------------------------------------------
// digest, info

static hb_status run_digest(const hb_cli *cli, hb_error *error) {
    char digest[33];
    const hb_status status = hb_digest(cli->argument[0], cli->sets, cli->n_sets, digest, error);
    if (status == HB_OK) puts(digest);
    return status;
}

static const hb_cli_option digest_options[] = {HB_CLI_SET, {.name = NULL}};
const hb_command hb_command_digest = {"digest",       "RUN",     1, 1, "one hexadecimal digest of the search's state",
                                      digest_options, run_digest};

static hb_status run_info(const hb_cli *cli, hb_error *error) {
    (void)cli;
    return hb_info(&hb_cli_page, error);
}

static const hb_cli_option info_options[] = {{.name = NULL}};
const hb_command hb_command_info = {"info",       "",      0, 0, "versions, devices, environments, rules",
                                    info_options, run_info};

// ---------------------------------------------------------------------------------------------------
// bench: a program of its own, beside this one, which main.c starts before it reads any option

hb_status hb_bench_start(char **words, hb_error *error) {
    char self[PATH_MAX], path[PATH_MAX + 16];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "%s/hebbes-bench", dirname(self));
    execv(path, words);
    return hb_fail(error, HB_FAILED, "bench: cannot start %s: %m", path);
}

static const hb_cli_option bench_options[] = {{.name = NULL}};
const hb_command hb_command_bench = {
    "bench", "[WHAT]", 0, 0, "each part against its limit; see hebbes bench --help", bench_options, NULL};
