// hebbes train, hebbes resume
#include "host/cli/cli.h"
#include "kernels/error.h"

#include <string.h>

static hb_status train_one(const hb_cli *cli, const char *const *sets, int n_sets,
                           hb_status (*how)(const hb_config *config, const hb_hooks *hooks, hb_error *error),
                           hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(cli->argument[0], sets, n_sets, &config, error);
    if (status != HB_OK) return status;
    hb_screen screen;
    const hb_hooks hooks = hb_screen_hooks(&screen, cli->ranks);
    status = hb_screen_finish(&screen, cli->program, how(config, &hooks, error));
    hb_config_close(config);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Folds

// OUT-without-FOLD, or runs/NAME-without-FOLD-seedS.
static void fold_folder(const hb_cli *cli, const hb_config *config, const char *fold, char out[4096]) {
    const char *own = hb_cli_value(cli, "out") ? hb_cli_value(cli, "out") : hb_config_value(config, "run.out");
    size_t n = strlen(own);
    while (n > 1 && own[n - 1] == '/') n--;
    if (n > 0) {
        snprintf(out, 4096, "%.*s-without-%s", (int)n, own, fold);
        return;
    }
    const char *slash = strrchr(cli->argument[0], '/'), *name = slash ? slash + 1 : cli->argument[0];
    const char *dot = strrchr(name, '.');
    snprintf(out, 4096, "runs/%.*s-without-%s-seed%s", dot && dot != name ? (int)(dot - name) : (int)strlen(name),
             name, fold, hb_config_value(config, "run.seed"));
}

// A fold that exists is resumed, so that the same command can be repeated.
static hb_status train_fold(const hb_cli *cli, const hb_config *config, const char *fold, hb_error *error) {
    const char *sets[HB_CLI_MOST_SETS + 3];
    char held_out[HB_FOLD], variations[HB_FOLD], out[4096], set[4200];
    int n = cli->n_sets;
    memcpy(sets, cli->sets, (size_t)n * sizeof *sets);
    hb_config_fold_sets(config, fold, variations, held_out);
    fold_folder(cli, config, fold, out);
    snprintf(set, sizeof set, "run.out=%s", out);
    sets[n++] = held_out;
    sets[n++] = variations;
    sets[n++] = set;
    printf("fold without %s\n", fold);
    return train_one(cli, sets, n, hb_train_on, error);
}

static hb_status train_folds(const hb_cli *cli, hb_error *error) {
    hb_config *config = NULL;
    hb_status status = hb_config_open(cli->argument[0], cli->sets, cli->n_sets, &config, error);
    if (status != HB_OK) return status;
    char all[HB_FOLD] = "";
    const char *fold;
    bool found = false;
    for (int k = 0; status == HB_OK && (fold = hb_config_fold(config, k)); k++) {
        const size_t at = strlen(all);
        snprintf(all + at, sizeof all - at, "%s%s", k ? "," : "", fold);
        if (strcmp(hb_cli_value(cli, "fold"), "all") != 0 && strcmp(hb_cli_value(cli, "fold"), fold) != 0) continue;
        found = true;
        status = train_fold(cli, config, fold, error);
    }
    hb_config_close(config);
    return found || status != HB_OK ? status
                                    : hb_fail(error, HB_BAD_INPUT, "--fold: expected all or one of %s, found '%s'",
                                              all, hb_cli_value(cli, "fold"));
}

// ---------------------------------------------------------------------------------------------------
// Commands

// The settings that --out and --from stand for, behind those of --set.
typedef struct {
    char out[4200], from[4200], digest[64];
    const char *item[HB_CLI_MOST_SETS + 3];
    int n;
} settings;

static hb_status all_settings(const hb_cli *cli, settings *s, hb_error *error) {
    const char *out = hb_cli_value(cli, "out"), *from = hb_cli_value(cli, "from");
    hb_status status = HB_OK;
    memcpy(s->item, cli->sets, (size_t)cli->n_sets * sizeof *s->item);
    s->n = cli->n_sets;
    if (out) {
        snprintf(s->out, sizeof s->out, "run.out=%s", out);
        s->item[s->n++] = s->out;
    }
    if (from) {
        status = hb_start_from(from, s->from, s->digest, error);
        s->item[s->n++] = s->from;
        s->item[s->n++] = s->digest;
    }
    return status;
}

static hb_status run_train(const hb_cli *cli, hb_error *error) {
    static settings s;
    if (hb_cli_value(cli, "fold") && hb_cli_value(cli, "from"))
        return hb_fail(error, HB_BAD_INPUT, "train: expected --fold or --from, found both");
    if (hb_cli_value(cli, "fold")) return train_folds(cli, error);
    const hb_status status = all_settings(cli, &s, error);
    return status == HB_OK ? train_one(cli, s.item, s.n, hb_train, error) : status;
}

static hb_status run_resume(const hb_cli *cli, hb_error *error) {
    static settings s;
    const hb_status status = all_settings(cli, &s, error);
    if (status != HB_OK) return status;
    hb_screen screen;
    const hb_hooks hooks = hb_screen_hooks(&screen, cli->ranks);
    return hb_screen_finish(&screen, cli->program, hb_resume(cli->argument[0], s.item, s.n, &hooks, error));
}

static const hb_cli_option train_options[] = {
    HB_CLI_SET,
    HB_CLI_THREADS,
    HB_CLI_SEED,
    HB_CLI_ENV,
    HB_CLI_DEVICE,
    {"out", 'o', "FOLDER", NULL, "the run's folder (run.out) [runs/NAME-seedS]"},
    {"from", 0, "RUN|FILE.h5", NULL,
     "start from the distribution of that run's best checkpoint, or of that checkpoint"},
    {"fold", 0, "NAME|all", NULL,
     "hold out this one of the configuration's variations and train on the others; all: each in turn"},
    {.name = NULL}};
const hb_command hb_command_train = {"train",       "CONFIG", 1, 1, "evolve a population into a new run folder",
                                     train_options, run_train};

static const hb_cli_option resume_options[] = {HB_CLI_SET,
                                               HB_CLI_THREADS,
                                               HB_CLI_DEVICE,
                                               {"out", 'o', "FOLDER", NULL, "refused: a run stays where it is"},
                                               {.name = NULL}};
const hb_command hb_command_resume = {
    "resume", "RUN", 1, 1, "continue a run, bit-identical to an uninterrupted one", resume_options, run_resume};
