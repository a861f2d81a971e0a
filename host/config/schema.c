// The keys of all modules, in the order in which they are shown and saved.
#include "envs/plugin.h"
#include "host/config/config.h"

#include <stdio.h>
#include <string.h>

// ---------------------------------------------------------------------------------------------------
// Keys of the rooms above

static const char *const rollouts[] = {"auto", "resident", "batched", NULL};
static const char *const protocols[] = {"both", "mean", "sample", NULL};
static const char *const checkpoints[] = {"best", "last", NULL};

static const char *eval_init_word(int k) {
    return k == 0 ? "same" : k <= hb_n_initialisers ? hb_initialisers[k - 1].name : NULL;
}

static const hb_key run_keys[] = {
    HB_KEY(hb_run_settings, seed, INT, "1", 0, 4294967295.0, "seed of every random number"),
    HB_KEY(hb_run_settings, generations, INT, "500", 0, 999999, "where training stops", .same_bits = true),
    HB_KEY_OF(hb_run_settings, rollout, rollouts, "auto",
              "resident: a thread keeps a life to its end; batched: groups of lives; same bits", .same_bits = true),
    HB_KEY(hb_run_settings, width, INT, "0", 0, 64,
           "lives that a thread steps together when resident, at most what the environment does best; 0: as many; "
           "same bits",
           .same_bits = true),
    HB_KEY(hb_run_settings, group, INT, "0", 0, 1e6, "lanes of a group when batched; 0: what suits the device",
           .same_bits = true),
    HB_KEY(hb_run_settings, patience, INT, "30", 0, 1e6,
           "seconds that a call of the environment may last before a line says which life it is for; 0: any time",
           .same_bits = true),
    HB_KEY(hb_run_settings, out, TEXT, "", 0, 0, "the run's folder; default: runs/NAME-seedS", .same_bits = true),
    HB_KEY(hb_run_settings, from, TEXT, "", 0, 0, "checkpoint that the search starts from: train --from writes it"),
    HB_KEY(hb_run_settings, from_digest, TEXT, "", 0, 0, "of that checkpoint"),
    HB_KEY(hb_run_settings, checkpoint_every, INT, "10", 1, 1e6, "generations between checkpoints",
           .same_bits = true),
    HB_KEY(hb_run_settings, keep_checkpoints, INT, "3", 1, 1e6, "how many of the last are kept, beside the best",
           .same_bits = true),
    {.name = NULL}};

static const hb_key env_keys[] = {
    HB_KEY(hb_env_choice, name, LIBRARY, "ant", 0, 0, "an environment, or a shared object's path"),
    HB_KEY(hb_env_choice, variations, WORDS, "", 0, 0,
           "met by every individual in training; default: the environment's first"),
    HB_KEY(hb_env_choice, held_out, WORDS, "", 0, 0, "met in evaluation only", .same_bits = true),
    {.name = NULL}};

static const hb_key eval_keys[] = {
    HB_KEY(hb_eval_settings, rollouts, INT, "100", 1, 1e6, "episodes per variation", .same_bits = true),
    HB_KEY_OF(hb_eval_settings, protocol, protocols, "both",
              "mean: the search's mean (NR); sample: individuals drawn around it (PNR)", .same_bits = true),
    HB_KEY_OF(hb_eval_settings, checkpoint, checkpoints, "best", "best: the best population mean; last",
              .same_bits = true),
    HB_KEY(hb_eval_settings, file, TEXT, "", 0, 0, "a checkpoint's file instead", .same_bits = true),
    HB_KEY(hb_eval_settings, seed, INT, "0", 0, 4294967295.0, "other births and resets: each number has its own",
           .same_bits = true),
    HB_KEY(
        hb_eval_settings, sigma, REAL, "0", 0, 1e6,
        "spread of the individuals drawn around the mean, times each number's own where the search has such; 0: the "
        "checkpoint's own",
        .same_bits = true),
    HB_KEY_NAMED(hb_eval_settings, init, eval_init_word, "same", "initial weights at test time", .same_bits = true),
    HB_KEY(hb_eval_settings, engine, TEXT, "mujoco", 0, 0,
           "who judges, where the environment has engines: one of them, or same: as in training", .same_bits = true),
    {.name = NULL}};

// ---------------------------------------------------------------------------------------------------
// Binding

static hb_status add_key(hb_config *config, const char *section, const hb_key *key, void *settings, hb_error *error) {
    if (config->n_entries == HB_MAX_KEYS)
        return hb_fail(error, HB_BAD_INPUT, "env.name: '%s' has too many options", config->env->name);
    config->entry[config->n_entries++] =
        (hb_config_entry){.section = section, .key = *key, .field = settings ? (char *)settings + key->offset : NULL};
    return HB_OK;
}

static hb_status add_keys(hb_config *config, const char *section, const hb_key *keys, void *settings,
                          hb_error *error) {
    hb_status status = HB_OK;
    for (; keys && keys->name && status == HB_OK; keys++) status = add_key(config, section, keys, settings, error);
    return status;
}

static hb_status add_env_options(hb_config *config, hb_error *error) {
    static const hb_key_type type[] = {HB_KEY_BOOL, HB_KEY_INT, HB_KEY_REAL, HB_KEY_WORD, HB_KEY_TEXT, HB_KEY_FILE};
    hb_status status = HB_OK;
    for (const hb_env_option *o = config->env->options; o && o->name && status == HB_OK; o++) {
        const hb_key key = {.name = o->name,
                            .type = type[o->type],
                            .fallback = o->fallback,
                            .before = o->before,
                            .least = o->least,
                            .most = o->most,
                            .words = o->words,
                            .help = o->help};
        status = add_key(config, "env", &key, NULL, error);
    }
    return status;
}

// Every search's own keys are there, whichever is chosen.
static hb_status add_search_keys(hb_config *config, hb_error *error) {
    hb_status status = add_keys(config, "search", hb_search_keys, &config->settings.search, error);
    for (int k = 0; hb_searches[k] && status == HB_OK; k++)
        status = add_keys(config, "search", hb_searches[k]->keys, config->search_own[k], error);
    return status;
}

static hb_status add_all(hb_config *config, hb_error *error) {
    hb_settings *s = &config->settings;
    hb_status status = add_keys(config, "run", run_keys, &s->run, error);
    if (status == HB_OK) status = add_keys(config, "run", hb_machine_keys, &s->machine, error);
    if (status == HB_OK) status = add_keys(config, "env", env_keys, &s->env, error);
    if (status == HB_OK) status = add_env_options(config, error);
    if (status == HB_OK) status = add_keys(config, "policy", hb_policy_keys, &s->policy, error);
    if (status == HB_OK) status = add_search_keys(config, error);
    return status == HB_OK ? add_keys(config, "eval", eval_keys, &s->eval, error) : status;
}

static const char *env_name(const void *context, int k) {
    (void)context;
    const hb_env_table *env = hb_env_number(k);
    return env ? env->name : NULL;
}

static hb_status find_env(hb_config *config, const char *name, const char *source, hb_error *error) {
    config->env = hb_env_find(name);
    if (config->env) return HB_OK;
    if (hb_env_is_library(name)) {
        hb_error why;
        const hb_status status = hb_env_load(name, &config->env, &config->env_library, &why);
        return status == HB_OK ? HB_OK : hb_fail(error, status, "%s: env.name: %s", source, why.message);
    }
    char near[HB_SUGGESTION];
    hb_suggest(near, name, env_name, NULL);
    return hb_fail(error, HB_BAD_INPUT, "%s: env.name: expected an environment or a .so file, found '%s'%s", source,
                   name, near);
}

// Defaults that are known only here: of the environment.
static void standard_text(const hb_config *config, const hb_config_entry *entry, const char *env, hb_text out) {
    const hb_settings *s = &config->settings;
    snprintf(out, HB_TEXT, "%s", entry->key.fallback);
    if (entry->field == &s->env.variations)
        snprintf(out, HB_TEXT, "%s", config->env->variations ? config->env->variations[0] : "default");
    if (entry->field == s->env.name) snprintf(out, HB_TEXT, "%s", env);
}

hb_status hb_config_bind(hb_config *config, const char *name, const char *source, hb_error *error) {
    hb_status status = find_env(config, name, source, error);
    if (status == HB_OK) status = add_all(config, error);
    for (int32_t k = 0; k < config->n_entries && status == HB_OK; k++) {
        hb_config_entry *entry = &config->entry[k];
        hb_text text;
        if (entry->key.type == HB_KEY_WORDS) entry->key.words = config->env->variations;
        standard_text(config, entry, name, text);
        status = hb_config_assign(config, k, text, "default", error);
        memcpy(entry->standard, entry->value, HB_TEXT);
    }
    return status;
}

static const char *env_option_value(void *context, const char *name) {
    const hb_config *config = context;
    hb_text dotted;
    snprintf(dotted, sizeof dotted, "env.%s", name);
    const int32_t k = hb_config_find(config, dotted);
    return k < 0 ? "" : config->entry[k].value;
}

hb_env_settings hb_config_env_settings(const hb_config *config) {
    return (hb_env_settings){env_option_value, (void *)(uintptr_t)config, config->env};
}
