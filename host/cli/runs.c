// Commands that report on a configuration or a run: hebbes eval, plan, digest, info, bench
#include "host/cli/cli.h"
#include "kernels/error.h"

#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// eval

static void print_evaluation(void *context, const hb_evaluation *e) {
    bool *header = context;
    if (*header)
        printf("%-22s %-8s %-8s %8s %8s %8s %7s %9s %8s\n", "variation", "trained", "protocol", "mean", "sd", "s.e.",
               "steps", "backward", "diverged");
    *header = false;
    printf("%-22s %-8s %-8s %8.1f %8.1f %8.2f %7.0f %8.0f%% %8lld\n", e->variation, e->held_out ? "no" : "yes",
           e->protocol, e->mean, e->sd, e->standard_error, e->steps, 100 * e->backward_share, (long long)e->diverged);
}

static hb_status run_eval(const hb_cli *cli, hb_error *error) {
    bool header = true;
    return hb_evaluate(cli->argument[0], cli->sets, cli->n_sets, print_evaluation, &header, hb_stop_on_signals(),
                       error);
}

static const hb_cli_option eval_options[] = {HB_CLI_SET, HB_CLI_THREADS, HB_CLI_DEVICE, {.name = NULL}};
const hb_command hb_command_eval = {
    "eval", "RUN", 1, 1, "rollouts of the best (or last) checkpoint on every variation", eval_options, run_eval};

// ---------------------------------------------------------------------------------------------------
// plan

static hb_status run_plan(const hb_cli *cli, hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(cli->argument[0], cli->sets, cli->n_sets, &config, error);
    if (status != HB_OK) return status;
    status = hb_plan(config, stdout, error);
    hb_config_close(config);
    return status;
}

static const hb_cli_option plan_options[] = {HB_CLI_SET, HB_CLI_THREADS, HB_CLI_SEED,
                                             HB_CLI_ENV, HB_CLI_DEVICE,  {.name = NULL}};
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
    (void)cli, (void)error;
    hb_info(stdout);
    return HB_OK;
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
