// The command line: a file per group of commands, which declares their options beside their code; main.c lists the commands. They
// use the library through host/hebbes.h alone.
#ifndef HB_CLI_H
#define HB_CLI_H

#include "host/hebbes.h"

#include <stdio.h>

typedef struct hb_cli hb_cli;

typedef struct {
    const char *name;     // --name
    int letter;           // -l, or 0
    const char *argument; // NULL: a switch
    const char *key;      // the key of the configuration that it sets, or NULL
    const char *help;
} hb_cli_option;

extern const hb_writer hb_cli_page; // standard output

// Options of most commands.
#define HB_CLI_SET                                                                                                   \
    { "set", 's', "KEY=VALUE", "", "set a key of the configuration, such as search.lr=0.1; repeats" }
#define HB_CLI_THREADS                                                                                               \
    { "threads", 't', "N", "run.threads", "the same as --set run.threads=N" }
#define HB_CLI_SEED                                                                                                  \
    { "seed", 0, "N", "run.seed", "the same as --set run.seed=N" }
#define HB_CLI_ENV                                                                                                   \
    { "env", 0, "NAME", "env.name", "the same as --set env.name=NAME" }
#define HB_CLI_DEVICE                                                                                                \
    { "device", 0, "NAME", "run.device", "the same as --set run.device=NAME" }
// Of commands that look at one life:
#define HB_CLI_INDIVIDUAL                                                                                            \
    { "individual", 0, "mean|K", NULL, "the search's mean, or individual K [mean]" }
#define HB_CLI_VARIATION                                                                                             \
    { "variation", 0, "NAME", NULL, "the environment's variation [the first of env.variations]" }
#define HB_CLI_STEPS                                                                                                 \
    { "steps", 0, "T", NULL, "policy steps at most [the whole life]" }

typedef struct {
    const char *name, *arguments; // "train", "CONFIG"
    int least, most;              // how many arguments
    const char *summary;
    const hb_cli_option *options; // ends with a NULL name
    hb_status (*run)(const hb_cli *cli, hb_error *error);
} hb_command;

extern const hb_command hb_command_train, hb_command_resume, hb_command_eval, hb_command_plan, hb_command_bench,
    hb_command_trace, hb_command_export, hb_command_render, hb_command_study, hb_command_probe, hb_command_plot,
    hb_command_digest, hb_command_info;

enum { HB_CLI_MOST_SETS = 128, HB_CLI_MOST_ARGUMENTS = 64, HB_CLI_MOST_OPTIONS = 24 };

// A command as it was called.
struct hb_cli {
    const char *program; // as it was called, for commands that a user can copy
    const hb_command *command;
    const char *argument[HB_CLI_MOST_ARGUMENTS];
    int n_arguments;
    const char *sets[HB_CLI_MOST_SETS + 4]; // "section.key=value"; room for a few more
    int n_sets;
    const char *value[HB_CLI_MOST_OPTIONS]; // by the option's index; "" for a switch; NULL: not given
    char text[16][512];                     // sets made from --threads and its like
    int n_text;
    hb_ranks *ranks; // of a command that trains, under a launcher; otherwise NULL
};

// Reads the words after the command. Fails with HB_BAD_INPUT on an option that the command does not have, a missing value, or too
// few or too many arguments.
hb_status hb_cli_parse(hb_cli *cli, int n, char **words, hb_error *error);

// Prints the command's arguments and options.
void hb_cli_help(const hb_command *command, FILE *file);

// The value of an option of the command; NULL if it is not given.
const char *hb_cli_value(const hb_cli *cli, const char *name);

// The value as a whole number from least to most, or `fallback` if it is not given.
hb_status hb_cli_count(const hb_cli *cli, const char *name, int64_t least, int64_t most, int64_t fallback,
                       int64_t *out, hb_error *error);

// --individual: -1 for the mean, the default.
hb_status hb_cli_individual(const hb_cli *cli, int64_t *individual, hb_error *error);

// --out, which the command needs; `what` describes it: "FILE.h5".
hb_status hb_cli_out(const hb_cli *cli, const char *what, const char **out, hb_error *error);

// Starts the program hebbes-bench, which stands beside this one, with these words; returns only on failure.
hb_status hb_bench_start(char **words, hb_error *error);

// ---------------------------------------------------------------------------------------------------
// Progress, and stops by signals (progress.c)

// Training's lines: on a terminal one line, as wide as the terminal, rewritten; one stays now and then.
typedef struct {
    bool live;
    double generation_seconds; // smoothed
    char folder[4096];
    hb_ranks *ranks; // nullable
} hb_screen;

// Hooks that write to the screen, and stop on signals.
hb_hooks hb_screen_hooks(hb_screen *screen, hb_ranks *ranks);

// Prints what can be done next with a run that is done. Returns status.
hb_status hb_screen_finish(const hb_screen *screen, const char *program, hb_status status);

// Catches SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU: the first requests a stop, the third ends the process. Ignores SIGPIPE
// and SIGXFSZ, which are write errors then. A signal that was ignored before, as nohup does, stays so. Returns the stop (NULL when out of memory).
const hb_stop *hb_stop_on_signals(void);

// "12m05s" or "3h20m".
void hb_format_time(double seconds, char out[32]);

#endif
