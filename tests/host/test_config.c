// Configurations: what is read, and the one line that bad ones get.
#include "tests/check.h"

#include "host/config/config.h"
#include "host/hebbes.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "test_config.yaml"

static void write_file(const char *text) {
    FILE *file = fopen(FILE_NAME, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

// Opening `text` with one --set (nullable) must fail with exactly `expected`.
static void refuses(const char *text, const char *set, const char *expected) {
    hb_config *config = NULL;
    hb_error error = {""};
    write_file(text);
    const hb_status status = hb_config_open(FILE_NAME, set ? &set : NULL, set != NULL, &config, &error);
    remove(FILE_NAME);
    assert_int_equal(status, HB_BAD_INPUT);
    assert_string_equal(error.message, expected);
}

static void bad_files(void **state) {
    (void)state;
    refuses("run:\n  seed: 1\nsearch:\n  sigma: 0.1\n  sigma_decey: 0.9\n", NULL,
            "test_config.yaml:5: no key is called 'search.sigma_decey'; did you mean 'sigma_decay'?");
    refuses("serch:\n  sigma: 0.1\n", NULL, "test_config.yaml:1: no key is called 'serch'; did you mean 'search'?");
    refuses("run:\n  seed: 1\nenv:\n  profil: light\n", NULL,
            "test_config.yaml:4: no key is called 'env.profil'; did you mean 'profile'?");
    refuses("\nsearch:\n  population: many\n", NULL,
            "test_config.yaml:3: search.population: expected a whole number from 2 to 10000000, found 'many'");
    refuses("search:\n  population: 501\n", NULL,
            "test_config.yaml:2: search.population: expected an even number with search.antithetic, found 501");
    refuses("search:\n  sigma: -1\n", NULL,
            "test_config.yaml:2: search.sigma: expected a number from 1e-12 to 1000000, found '-1'");
    refuses("search:\n  sigma: nan\n", NULL,
            "test_config.yaml:2: search.sigma: expected a number from 1e-12 to 1000000, found 'nan'");
    refuses("search:\n  antithetic: yes\n", NULL,
            "test_config.yaml:2: search.antithetic: expected true or false, found 'yes'");
    refuses("run:\n  threads: -1\n", NULL,
            "test_config.yaml:2: run.threads: expected a whole number from 0 to 1024, found '-1'");
    refuses("policy:\n  rule: ABCD_rl\n", NULL,
            "test_config.yaml:2: policy.rule: expected one of A, AD, AD_lr, ABC, ABC_lr, ABCD, ABCD_lr, "
            "ABCD_lr_D_out, ABCD_lr_D_in_and_out, BCM_lr, found 'ABCD_rl'; did you mean 'ABCD_lr'?");
    refuses("env:\n  variations: [default, palm_damage_lift]\n", NULL,
            "test_config.yaml:2: env.variations: expected one of default, palm_damage_left, palm_damage_right, "
            "palm_long_back, palm_long_front, najarro_damage_left, najarro_damage_right, found "
            "'palm_damage_lift'; "
            "did you mean 'palm_damage_left'?");
    refuses("env:\n  variations: [default, default]\n", NULL,
            "test_config.yaml:2: env.variations: expected each entry once, found 'default,default'");
    refuses("env:\n  variations: []\n", NULL,
            "test_config.yaml:2: env.variations: expected at least one variation, found none");
    refuses("env:\n  held_out: [default]\n", NULL, "test_config.yaml:2: env.held_out: 'default' is also trained on");
    refuses("env:\n  name: ent\n", NULL,
            "test_config.yaml:2: env.name: expected an environment or a .so file, found 'ent'; did you mean "
            "'ant'?");
    refuses("policy:\n  hidden: [128, 0]\n", NULL,
            "test_config.yaml:2: policy.hidden: expected a whole number from 1 to 4096, found '0'");
    refuses("run:\n  seed: [1]\n", NULL, "test_config.yaml:2: run.seed: expected a single value, found a list");
    refuses("env:\n  variations: default\n", NULL,
            "test_config.yaml:2: env.variations: expected a list, such as [a, b], found a single value");
    refuses("run:\n  seed: 1\n  seed: 2\n", NULL,
            "test_config.yaml:3: run.seed: expected once, found on line 2, too");
    refuses("run: 5\n", NULL, "test_config.yaml:1: run: expected a section of keys, found a value");
    refuses("policy:\n  kind: static\n  average: 3\n", NULL,
            "test_config.yaml:3: policy.average: policy.kind 'static' has no rule that it would change");
    refuses("policy:\n  kind: lstm\n", "policy.bias=true", "--set: policy.bias: an LSTM cell has biases of its own");
    refuses("policy:\n  trace: 1\n", NULL,
            "test_config.yaml:2: policy.trace: expected a number from 0 to 0.999999, found '1'");
    refuses(
        "policy:\n  modulate: rewards\n", NULL,
        "test_config.yaml:2: policy.modulate: expected one of none, reward, output, found 'rewards'; did you mean "
        "'reward'?");
    refuses("search:\n  kind: shared\n  combine: product\n", NULL,
            "test_config.yaml:3: search.combine: 'product' needs search.assignment sides or neuron, found 'random'");
    refuses("run:\n  seed: 1\n seed: : 4\n", NULL, "test_config.yaml:3:2: not valid YAML: did not find expected key");
}

// Documents of another shape, each with its line and column.
static void bad_documents(void **state) {
    (void)state;
    refuses("- run\n- seed\n", NULL,
            "test_config.yaml:1:1: expected keys with values, found a single value or a list");
    refuses("run\n", NULL, "test_config.yaml:1:1: expected keys with values, found a single value or a list");
    refuses("run:\n  seed: 1\n---\nrun:\n  seed: 2\n", NULL,
            "test_config.yaml:3:1: expected one document, found another");
    refuses("run: &a\n  seed: 1\n", NULL, "test_config.yaml:1:6: anchors and aliases are not supported");
    refuses("run:\n  seed: *a\n", NULL, "test_config.yaml:2:9: anchors and aliases are not supported");
    refuses("run:\n  seed:\n    deep: 1\n", NULL,
            "test_config.yaml:3:5: expected a value or a list, found a section");
    refuses("policy:\n  hidden: [1, [2]]\n", NULL,
            "test_config.yaml:2:15: expected a value in a list, found a list or a section");
    refuses("run:\n  [a]: 1\n", NULL, "test_config.yaml:2:3: expected a key");
    refuses("run:\n  out: \"a\\0b\"\n", NULL, "test_config.yaml:2:8: a value contains a zero byte");
    refuses("run:\n  out: \"a\n", NULL, "test_config.yaml:3:1: not valid YAML: found unexpected end of stream");
    refuses("run:\n  seed: 1\nrun:\n  threads: 1\n", NULL,
            "test_config.yaml:3: run: expected once, found on line 1, too");
    refuses("base: [a]\n", NULL, "test_config.yaml:1: base: expected a single value, found a list");
    hb_config *config;
    hb_error error;
    write_file("# nothing\n\nrun:\nsearch: {}\n"); // empty sections change nothing
    check_ok(hb_config_open(FILE_NAME, NULL, 0, &config, &error), error);
    hb_config_close(config);
    remove(FILE_NAME);
}

static void bad_sets(void **state) {
    (void)state;
    refuses("", "search.populaton=4",
            "--set: no key is called 'search.populaton'; did you mean 'search.population'?");
    refuses("", "population", "--set population: expected section.key=value");
    refuses("", "search.population=3",
            "--set: search.population: expected an even number with search.antithetic, found 3");
    refuses("", "run.threads=-1", "--set: run.threads: expected a whole number from 0 to 1024, found '-1'");
    refuses("", "run.rollout=batch",
            "--set: run.rollout: expected one of auto, resident, batched, found 'batch'; did you mean 'batched'?");
    refuses("", "env.name=./none.so",
            "--set: env.name: cannot load './none.so': ./none.so: cannot open shared object file: No such "
            "file or "
            "directory");
    refuses("", "policy.hidden=1,2,3,4,5,6,7,8", "--set: policy.hidden: expected at most 7 layers, found 8");
    hb_config *config;
    hb_error error;
    assert_int_equal(hb_config_open("no-such-file.yaml", NULL, 0, &config, &error), HB_BAD_INPUT);
    assert_string_equal(error.message, "no-such-file.yaml: cannot be read: No such file or directory");
}

static void values_and_settings(void **state) {
    (void)state;
    write_file(
        "run:\n  seed: 4294967295\nenv:\n  variations: [palm_long_back, default]\n  friction: 1.5\n"
        "policy:\n  hidden: [7, 9]\n  normalise: true\n  rule: ABC_lr\nsearch:\n  lr: 2.5e-2\n  optimiser: adam\n");
    hb_config *config;
    hb_error error;
    const char *const sets[] = {"search.lr=0.5", "env.held_out=[palm_long_front]", "env.profile=bullet"};
    check_ok(hb_config_open(FILE_NAME, sets, 3, &config, &error), error);
    const hb_settings *s = &config->settings;
    assert_int_equal(s->run.seed, 4294967295);
    assert_int_equal(s->env.variations.n, 2);
    assert_string_equal(s->env.variations.item[0], "palm_long_back");
    assert_string_equal(s->env.held_out.item[0], "palm_long_front");
    assert_int_equal(s->policy.hidden.n, 2);
    assert_int_equal(s->policy.hidden.item[1], 9);
    assert_true(s->policy.normalise && s->search.antithetic);
    assert_string_equal(hb_rules[s->policy.rule].name, "ABC_lr"); // words are indices
    assert_int_equal(s->search.optimiser, HB_ADAM);
    check_close(s->search.lr, 0.5, 0);
    check_close(s->search.sigma, 0.1, 0); // a default
    assert_string_equal(hb_config_value(config, "env.friction"), "1.5");
    assert_string_equal(hb_config_value(config, "env.profile"), "bullet");
    assert_null(hb_config_value(config, "env.nonsense"));
    hb_config_close(config);
    remove(FILE_NAME);
}

// A configuration written and read again says the same.
// Numbers are kept in one form, however they were written: 4e1 burn-in steps are 40, and 0.20 is no other run than 0.2.
static void canonical_numbers(void **state) {
    (void)state;
    hb_config *config;
    hb_error error;
    const char *const sets[] = {"env.burn_in=4e1", "search.lr=0.20", "search.sigma=1e-1", "search.l2=-0.0"};
    check_ok(hb_config_open(NULL, sets, 4, &config, &error), error);
    assert_string_equal(hb_config_value(config, "env.burn_in"), "40");
    assert_string_equal(hb_config_value(config, "search.lr"), "0.2");
    assert_string_equal(hb_config_value(config, "search.sigma"), "0.1");
    assert_string_equal(hb_config_value(config, "search.l2"), "0");
    hb_config_close(config);
}

static void round_trip(void **state) {
    (void)state;
    hb_config *first, *second;
    hb_error error;
    const char *const sets[] = {"run.out=a folder/with blanks", "env.variations=default,palm_damage_left",
                                "policy.hidden=", "search.sigma=1e-3"};
    check_ok(hb_config_open(NULL, sets, 4, &first, &error), error);
    FILE *file = fopen(FILE_NAME, "w");
    check_ok(hb_config_print(first, file, &error), error);
    fclose(file);
    check_ok(hb_config_open(FILE_NAME, NULL, 0, &second, &error), error);
    assert_int_equal(first->n_entries, second->n_entries);
    for (int32_t k = 0; k < first->n_entries; k++) assert_string_equal(first->entry[k].value, second->entry[k].value);
    hb_config_close(first);
    hb_config_close(second);
    remove(FILE_NAME);
}

static void write_named(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

// A file that changes another one: what it says wins, what it does not say is the other's, bases in a row.
static void bases(void **state) {
    (void)state;
    mkdir("test_bases", 0777);
    write_named("test_bases/one.yaml", "env:\n  name: car\n  render: later\nsearch:\n  lr: 0.5\n  sigma: 0.3\n");
    write_named("test_bases/two.yaml", "base: one.yaml\nsearch:\n  lr: 0.25\n");
    write_named("test_three.yaml", "# changes two\nsearch:\n  l2: 0\nbase: test_bases/two.yaml\n");
    write_named("test_loop.yaml", "base: test_loop.yaml\n");
    write_named("test_lost.yaml", "run:\n  seed: 3\nbase: nowhere.yaml\n");
    write_named("test_wrong.yaml", "base: test_bases/worse.yaml\n");
    write_named("test_bases/worse.yaml", "search:\n  lr: fast\n");
    hb_config *config;
    hb_error error;
    check_ok(hb_config_open("test_three.yaml", NULL, 0, &config, &error), error);
    assert_string_equal(hb_config_value(config, "env.name"), "car");
    assert_string_equal(hb_config_value(config, "env.render"), "later");
    assert_string_equal(hb_config_value(config, "search.lr"), "0.25");
    assert_string_equal(hb_config_value(config, "search.sigma"), "0.3");
    assert_string_equal(hb_config_value(config, "search.l2"), "0");
    assert_string_equal(config->path, "test_three.yaml");
    hb_config_close(config);
    const char *const known[][2] = {
        {"test_loop.yaml", "test_loop.yaml:1: base: expected at most 8 files in a row, found more"},
        {"test_lost.yaml", "test_lost.yaml:3: base: cannot read 'nowhere.yaml'"},
        {"test_wrong.yaml", "test_bases/worse.yaml:2: search.lr: expected a number"}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        assert_int_equal(hb_config_open(known[k][0], NULL, 0, &config, &error), HB_BAD_INPUT);
        if (strncmp(error.message, known[k][1], strlen(known[k][1])) != 0)
            fail_msg("expected %s, found %s", known[k][1], error.message);
    }
    const char *const all[] = {"test_three.yaml",      "test_loop.yaml",      "test_lost.yaml",
                               "test_wrong.yaml",      "test_bases/one.yaml", "test_bases/two.yaml",
                               "test_bases/worse.yaml"};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) remove(all[k]);
    rmdir("test_bases");
}

// Every study that is shipped names configurations that are there, numbers that can be read, and claims about them.
static void check_studies(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (!strstr(entry->d_name, ".yaml")) continue;
        char path[4096];
        hb_error error = {""};
        const hb_study_def def = {.path = path, .tasks = 1, .dry_run = true};
        hb_stop *stop = hb_stop_create();
        hb_stop_request(stop); // reads all of it and measures nothing
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_int_equal(hb_study(&def, stop, &error), HB_INTERRUPTED);
        assert_string_equal(error.message, "stopped on request; nothing was to be done");
        hb_stop_destroy(stop);
        n++;
    }
    closedir(dir);
    assert_true(n >= 6);
}

static int check_folder(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.') continue;
        if (strcmp(entry->d_name, "studies") == 0) {
            check_studies(path);
        } else if (entry->d_type == DT_DIR) {
            n += check_folder(path);
        } else if (strstr(entry->d_name, ".yaml")) {
            hb_config *config;
            hb_error error;
            check_ok(hb_config_open(path, NULL, 0, &config, &error), error);
            hb_config_close(config);
            n++;
        }
    }
    closedir(dir);
    return n;
}

static void shipped_configs_are_good(void **state) {
    (void)state;
    assert_true(check_folder(HB_CONFIGS) >= 3);
}

// An environment from a shared object brings its own keys and variations, and not the Ant's.
static void plugin_environment(void **state) {
    (void)state;
    hb_config *config;
    hb_error error;
    const char *const sets[] = {"env.name=" HB_POINTMASS, "env.variations=left,right", "env.drag=0.5"};
    check_ok(hb_config_open(NULL, sets, 3, &config, &error), error);
    assert_string_equal(config->env->name, "pointmass");
    assert_string_equal(hb_config_value(config, "env.drag"), "0.5");
    assert_null(hb_config_value(config, "env.profile"));
    hb_config_close(config);
    const char *const wrong[] = {"env.name=" HB_POINTMASS, "env.profile=light"};
    assert_int_equal(hb_config_open(NULL, wrong, 2, &config, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "no key is called 'env.profile'"));
}

// Keys that came later than a run had their defaults then.
// What a search declares fits the room that the settings have for it, and no key of one hides that of another.
static void searches_declare_what_fits(void **state) {
    (void)state;
    const char *names[128];
    int n = 0, searches = 0;
    for (const hb_key *key = hb_search_keys; key->name; key++) names[n++] = key->name;
    for (; hb_searches[searches]; searches++) {
        const hb_search_method *method = hb_searches[searches];
        assert_true(method->settings_size <= HB_SEARCH_OWN);
        for (const hb_key *key = method->keys; key && key->name; key++) {
            assert_true(key->offset < method->settings_size);
            assert_true(n < 128);
            for (int k = 0; k < n; k++) assert_string_not_equal(names[k], key->name);
            names[n++] = key->name;
        }
    }
    assert_true(searches <= HB_MAX_SEARCHES);
}

static void identities_of_older_runs(void **state) {
    (void)state;
    hb_config *config;
    hb_error error;
    char older[HB_IDENTITY], said[HB_DIFFERENCE] = "";
    const char *const sets[] = {"search.lr=0.3"};
    check_ok(hb_config_open(NULL, sets, 1, &config, &error), error);
    const char *const vision = strstr(config->identity, "policy.vision=evolved\n");
    assert_non_null(vision);
    assert_false(hb_config_differs(config, config->identity, said));
    snprintf(older, sizeof older, "%.*s%s", (int)(vision - config->identity), config->identity,
             strchr(vision, '\n') + 1);
    assert_false(hb_config_differs(config, older, said));
    char *const lr = strstr(older, "search.lr=0.3\n");
    memcpy(lr, "search.lr=0.4\n", 14);
    assert_true(hb_config_differs(config, older, said));
    assert_string_equal(said, "expected search.lr=0.3, found search.lr=0.4");
    memmove(lr, lr + 14, strlen(lr + 14) + 1);
    assert_true(hb_config_differs(config, older, said));
    assert_string_equal(said, "expected search.lr=0.3, found nothing");
    snprintf(older, sizeof older, "%spolicy.tomorrow=1\n", config->identity);
    assert_true(hb_config_differs(config, older, said));
    assert_string_equal(said, "expected nothing, found policy.tomorrow=1");
    hb_config_close(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files),
        cmocka_unit_test(bad_documents),
        cmocka_unit_test(bad_sets),
        cmocka_unit_test(canonical_numbers),
        cmocka_unit_test(values_and_settings),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(bases),
        cmocka_unit_test(shipped_configs_are_good),
        cmocka_unit_test(plugin_environment),
        cmocka_unit_test(searches_declare_what_fits),
        cmocka_unit_test(identities_of_older_runs),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
