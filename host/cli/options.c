#include "host/cli/cli.h"
#include "kernels/error.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Parsing

static hb_status add_set(hb_cli *cli, const hb_cli_option *option, const char *value, hb_error *error) {
    if (cli->n_sets == HB_CLI_MOST_SETS || cli->n_text == 16)
        return hb_fail(error, HB_BAD_INPUT, "%s: too many settings", cli->command->name);
    if (!*option->key) { // --set itself
        cli->sets[cli->n_sets++] = value;
        return HB_OK;
    }
    char *text = cli->text[cli->n_text++];
    snprintf(text, sizeof cli->text[0], "%s=%s", option->key, value);
    cli->sets[cli->n_sets++] = text;
    return HB_OK;
}

// The word that getopt_long has just refused.
static hb_status refuse(const hb_cli *cli, char **words, int what, hb_error *error) {
    const char *name = cli->command->name;
    const char *word = optind > 0 ? words[optind - 1] : "";
    if (what == ':') return hb_fail(error, HB_BAD_INPUT, "%s: %s: expected a value", name, word);
    if (optopt > 0 && optopt < 256)
        return hb_fail(error, HB_BAD_INPUT, "%s: no option of it is called -%c; see hebbes %s --help", name, optopt,
                       name);
    return hb_fail(error, HB_BAD_INPUT, "%s: no option of it is called %.*s; see hebbes %s --help", name,
                   (int)strcspn(word, "="), word, name);
}

static hb_status take_options(hb_cli *cli, int n, char **words, hb_error *error) {
    struct option list[HB_CLI_MOST_OPTIONS + 1] = {{NULL, 0, NULL, 0}};
    char letters[2 * HB_CLI_MOST_OPTIONS + 2] = ":";
    for (int k = 0; cli->command->options[k].name; k++) {
        const hb_cli_option *o = &cli->command->options[k];
        list[k] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, 256 + k};
        if (o->letter) snprintf(letters + strlen(letters), 3, "%c%s", o->letter, o->argument ? ":" : "");
    }
    opterr = 0;
    optind = 1;
    int found;
    while ((found = getopt_long(n, words, letters, list, NULL)) != -1) {
        if (found == '?' || found == ':') return refuse(cli, words, found, error);
        int k = found - 256;
        for (int j = 0; found < 256 && cli->command->options[j].name; j++)
            if (cli->command->options[j].letter == found) k = j;
        const hb_cli_option *o = &cli->command->options[k];
        cli->value[k] = optarg ? optarg : "";
        const hb_status status = o->key ? add_set(cli, o, optarg, error) : HB_OK;
        if (status != HB_OK) return status;
    }
    return HB_OK;
}

hb_status hb_cli_parse(hb_cli *cli, int n, char **words, hb_error *error) {
    const hb_command *command = cli->command;
    const hb_status status = take_options(cli, n, words, error);
    if (status != HB_OK) return status;
    for (int k = optind; k < n; k++) {
        if (cli->n_arguments == command->most || cli->n_arguments == HB_CLI_MOST_ARGUMENTS)
            return hb_fail(error, HB_BAD_INPUT, "%s: unexpected argument '%s'", command->name, words[k]);
        cli->argument[cli->n_arguments++] = words[k];
    }
    if (cli->n_arguments < command->least)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected %s; see hebbes %s --help", command->name,
                       command->arguments, command->name);
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Help

// Writes text in lines of at most 100 letters, indented by 28.
static void print_wrapped(FILE *file, const char *text) {
    size_t column = 28;
    while (*text) {
        const size_t n = strcspn(text, " ");
        if (column + n > 100 && column > 28) {
            fprintf(file, "\n%28s", "");
            column = 28;
        }
        fprintf(file, "%.*s ", (int)n, text);
        column += n + 1;
        text += n + (text[n] == ' ');
    }
    fputc('\n', file);
}

void hb_cli_help(const hb_command *command, FILE *file) {
    fprintf(file, "usage: hebbes %s %s [options]\n\n%s\n\n", command->name, command->arguments, command->summary);
    for (const hb_cli_option *o = command->options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s --%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                 o->letter ? "," : " ", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        fprintf(file, "%-27s ", left);
        print_wrapped(file, o->help);
    }
    if (command->options[0].name && strcmp(command->options[0].name, "set") == 0)
        fprintf(file, "\nhebbes --help lists the keys of the configuration.\n");
}

// ---------------------------------------------------------------------------------------------------
// Values

const char *hb_cli_value(const hb_cli *cli, const char *name) {
    for (int k = 0; cli->command->options[k].name; k++)
        if (strcmp(cli->command->options[k].name, name) == 0) return cli->value[k];
    return NULL;
}

hb_status hb_cli_count(const hb_cli *cli, const char *name, int64_t least, int64_t most, int64_t fallback,
                       int64_t *out, hb_error *error) {
    const char *text = hb_cli_value(cli, name);
    char *end;
    *out = fallback;
    if (!text) return HB_OK;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (end != text && !*end && *out >= least && *out <= most && errno != ERANGE) return HB_OK;
    if (most == INT64_MAX)
        return hb_fail(error, HB_BAD_INPUT, "--%s: expected a whole number from %lld, found '%s'", name,
                       (long long)least, text);
    return hb_fail(error, HB_BAD_INPUT, "--%s: expected a whole number from %lld to %lld, found '%s'", name,
                   (long long)least, (long long)most, text);
}

hb_status hb_cli_individual(const hb_cli *cli, int64_t *individual, hb_error *error) {
    const char *text = hb_cli_value(cli, "individual");
    *individual = -1;
    if (!text || strcmp(text, "mean") == 0) return HB_OK;
    return hb_cli_count(cli, "individual", 0, INT64_MAX, -1, individual, error);
}

hb_status hb_cli_out(const hb_cli *cli, const char *what, const char **out, hb_error *error) {
    *out = hb_cli_value(cli, "out");
    return *out ? HB_OK : hb_fail(error, HB_BAD_INPUT, "%s: expected --out %s", cli->command->name, what);
}
