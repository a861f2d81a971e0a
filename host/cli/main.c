// hebbes: finds the command, reads its options, runs it, prints its error, and exits with its status.
#include "host/cli/cli.h"
#include "kernels/error.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const hb_command *const commands[] = {
    &hb_command_train, &hb_command_resume, &hb_command_eval,   &hb_command_plan,  &hb_command_bench,
    &hb_command_trace, &hb_command_export, &hb_command_render, &hb_command_study, &hb_command_probe,
    &hb_command_plot,  &hb_command_digest, &hb_command_info};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const hb_command *find_command(const char *name) {
    for (int k = 0; name && k < COMMANDS; k++)
        if (strcmp(commands[k]->name, name) == 0) return commands[k];
    return NULL;
}

static bool asks_for(int n, char **words, const char *option) {
    for (int k = 1; k < n && strcmp(words[k], "--") != 0; k++)
        if (strcmp(words[k], option) == 0) return true;
    return false;
}

// The word behind an option, or NULL.
static const char *word_after(int n, char **words, const char *option) {
    for (int k = 1; k + 1 < n; k++)
        if (strcmp(words[k], option) == 0) return words[k + 1];
    return NULL;
}

static void to_standard_output(void *context, const void *text, int64_t size) {
    (void)context;
    fwrite(text, 1, (size_t)size, stdout);
}

const hb_writer hb_cli_page = {to_standard_output, NULL};

// The keys of the configuration with that environment; of the others only those of section env, as the rest is the same.
static hb_status print_keys(const char *env, bool only_env, hb_error *error) {
    char set[4200];
    const char *const sets[] = {set};
    hb_config *config = NULL;
    snprintf(set, sizeof set, "env.name=%s", env ? env : "");
    hb_status status = hb_config_open(NULL, sets, env != NULL, &config, error);
    if (status == HB_OK) status = hb_config_describe(config, only_env ? "env" : NULL, &hb_cli_page, error);
    hb_config_close(config);
    return status;
}

// The commands, and every key of the configuration with every environment; or with the one that --env names.
static hb_status print_help(const char *env, hb_error *error) {
    printf("usage: hebbes COMMAND [ARGUMENT] [options]\n\nEvolve networks that learn while they live.\n\nCommands "
           "(hebbes "
           "COMMAND --help lists the options):\n");
    for (int k = 0; k < COMMANDS; k++)
        printf("  %-7s %-16s %s\n", commands[k]->name, commands[k]->arguments, commands[k]->summary);
    printf("\nConfiguration keys, with their defaults in brackets:\n");
    hb_status status = print_keys(env, false, error);
    for (int k = 1; !env && status == HB_OK && hb_environment(k); k++) {
        printf("\nWith env.name=%s:\n", hb_environment(k));
        status = print_keys(hb_environment(k), true, error);
    }
    if (!env) printf("\nThose of an environment from a shared object: hebbes --help --env FILE.so\n");
    return status;
}

static hb_status refuse_command(const char *name, hb_error *error) {
    char names[256] = "";
    for (int k = 0; k < COMMANDS; k++) {
        const size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", k ? ", " : "", commands[k]->name);
    }
    return hb_fail(error, HB_BAD_INPUT, "expected a command (%s), found '%s'; see hebbes --help", names,
                   name ? name : "nothing");
}

// Joins the launcher's processes. Those beside rank 0 have nothing to say on standard output.
static hb_status join_ranks(hb_cli *cli, hb_error *error) {
    if (hb_launcher_size() <= 1) return HB_OK;
    if (cli->command != &hb_command_train && cli->command != &hb_command_resume)
        return hb_fail(
            error, HB_BAD_INPUT,
            "%s: %d processes were started by a launcher, but one does this; start it without mpirun or srun, "
            "or with one task",
            cli->command->name, hb_launcher_size());
    hb_stop_on_signals(); // before MPI, which takes its time to start
    const hb_status status = hb_ranks_join(&cli->ranks, error);
    if (status == HB_OK && hb_ranks_number(cli->ranks) > 0 && !freopen("/dev/null", "w", stdout))
        return hb_fail(error, HB_FAILED, "/dev/null cannot be opened");
    return status;
}

static hb_status run(hb_cli *cli, int n, char **words, hb_error *error) {
    if (n > 1 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-?") == 0))
        return print_help(word_after(n, words, "--env"), error);
    if (n > 1 && (strcmp(words[1], "--version") == 0 || strcmp(words[1], "-V") == 0))
        return puts("hebbes " HB_VERSION), HB_OK;
    *cli = (hb_cli){.program = words[0], .command = find_command(words[1])};
    if (!cli->command) return refuse_command(words[1], error);
    if (cli->command == &hb_command_bench) return hb_bench_start(words + 1, error);
    if (asks_for(n - 1, words + 1, "--help")) return hb_cli_help(cli->command, stdout), HB_OK;
    hb_status status = hb_cli_parse(cli, n - 1, words + 1, error);
    if (status == HB_OK) status = join_ranks(cli, error);
    return status == HB_OK ? cli->command->run(cli, error) : status;
}

// A closed standard stream must not become one of the run's files.
static void open_standard_streams(void) {
    for (int k = 0; k <= 2; k++)
        if (fcntl(k, F_GETFD) < 0 && open("/dev/null", k ? O_WRONLY : O_RDONLY) != k) _exit(HB_FAILED);
}

// What fails on all ranks fails on rank 0, which says it for all and ends them. A rank beside it that still lives a while later, and that
// the launcher has not signalled, is the only one.
static void report(const hb_cli *cli, hb_status status, const hb_error *error) {
    enum { PATIENCE = 2 }; // s
    const int rank = cli->ranks ? hb_ranks_number(cli->ranks) : hb_launcher_rank();
    if (rank == 0) {
        fprintf(stderr, "hebbes: %s\n", error->message);
        return;
    }
    const hb_stop *stop = hb_stop_on_signals();
    if (status != HB_INTERRUPTED && sleep(PATIENCE) == 0 && !(stop && hb_stop_requested(stop)))
        fprintf(stderr, "hebbes: rank %d: %s\n", rank, error->message);
}

int main(int argc, char **argv) {
    open_standard_streams();
    signal(SIGXFSZ, SIG_IGN); // a file that grows too large is a write error
    static hb_cli cli;
    hb_error error = {""};
    hb_status status = run(&cli, argc, argv, &error);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == HB_OK)
        status = hb_fail(&error, HB_FAILED, "standard output: cannot be written");
    if (status != HB_OK) report(&cli, status, &error);
    hb_ranks_leave(cli.ranks, status);
    return (int)status;
}
