// Whole runs through the public header: the same bits whatever the threads, rollout, build and interruptions;
// and what happens to a run when files are torn, foreign or cannot be written.
#include "tests/check.h"

#include "host/hebbes.h"

#include <dirent.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Small runs

enum { MOST_SETS = 16 };

typedef struct {
    const char *item[MOST_SETS];
    int n;
} sets;

// A population of 6 Ants, 3 generations; then the test's own sets.
static sets small(const char *const *more, int n) {
    sets s = {{"search.population=6", "run.generations=3", "run.checkpoint_every=1", "run.threads=2"}, 4};
    for (int k = 0; k < n; k++) s.item[s.n++] = more[k];
    return s;
}

static int remove_tree(const char *path) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

static hb_status train(const char *folder, const char *const *more, int n, const hb_hooks *hooks, hb_error *error) {
    char out[512];
    snprintf(out, sizeof out, "run.out=%s", folder);
    sets s = small(more, n);
    s.item[s.n++] = out;
    hb_config *config;
    hb_status status = hb_config_open(NULL, s.item, s.n, &config, error);
    if (status != HB_OK) return status;
    status = hb_train(config, hooks, error);
    hb_config_close(config);
    return status;
}

static void digest_of(const char *folder, char digest[33]) {
    hb_error error;
    check_ok(hb_digest(folder, NULL, 0, digest, &error), error);
}

// The digest of a fresh small run.
static void train_digest(const char *const *more, int n, char digest[33]) {
    hb_error error;
    remove_tree("test_run_a");
    check_ok(train("test_run_a", more, n, NULL, &error), error);
    digest_of("test_run_a", digest);
    remove_tree("test_run_a");
}

#define TRAIN(digest, ...)                                                                                           \
    do {                                                                                                             \
        const char *const train_sets[] = {__VA_ARGS__};                                                              \
        train_digest(train_sets, (int)(sizeof train_sets / sizeof *train_sets), digest);                             \
    } while (0)

// ---------------------------------------------------------------------------------------------------
// The same bits

static void threads_rollouts_builds(void **state) {
    (void)state;
    char first[33], other[33];
    TRAIN(first, "run.threads=1");
    TRAIN(other, "run.threads=2");
    assert_string_equal(first, other);
    TRAIN(other, "run.threads=5");
    assert_string_equal(first, other);
    TRAIN(other, "run.rollout=batched", "run.group=1");
    assert_string_equal(first, other);
    TRAIN(other, "run.rollout=batched", "run.group=4");
    assert_string_equal(first, other);
    TRAIN(other, "run.rollout=batched", "run.group=4", "run.threads=3");
    assert_string_equal(first, other);
    TRAIN(other, "run.rollout=batched", "run.group=50");
    assert_string_equal(first, other);
    TRAIN(other, "run.seed=2");
    assert_string_not_equal(first, other); // a digest of nothing would agree with everything
    TRAIN(other, "run.variant=generic");
    assert_string_equal(first, other);
    const char *const builds[] = {"run.variant=avx2", "run.variant=avx512"};
    for (int k = 0; k < 2; k++) {
        hb_error error;
        hb_config *config;
        const char *const probe[] = {builds[k], "search.population=2", "run.generations=0", "run.out=test_run_probe"};
        check_ok(hb_config_open(NULL, probe, 4, &config, &error), error);
        const hb_status status = hb_train(config, NULL, &error);
        hb_config_close(config);
        remove_tree("test_run_probe");
        if (status != HB_OK) {
            print_message("[  SKIPPED ] %s: %s\n", builds[k], error.message);
            continue;
        }
        TRAIN(other, builds[k]);
        assert_string_equal(first, other);
    }
}

static void threads_and_builds_of_the_mixture(void **state) {
    (void)state;
    char first[33], other[33];
    TRAIN(first, "search.kind=gmm", "search.rules=100", "run.threads=1");
    const char *const ways[] = {"run.threads=2", "run.threads=5", "run.variant=generic", "search.gradient=dense",
                                "run.scratch=."};
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        TRAIN(other, "search.kind=gmm", "search.rules=100", ways[k]);
        assert_string_equal(other, first);
    }
}

// The search in files: the same bits, also through a checkpoint in several parts (12,288 x 100 numbers); what cannot be
// made there is told.
static void search_in_files(void **state) {
    (void)state;
    hb_error error;
    char in_memory[33], in_files[33];
    const char *const gmm[] = {"search.kind=gmm", "search.rules=100", "search.optimiser=adam", "run.scratch=."};
    check_ok(train("test_run_a", gmm, 3, NULL, &error), error);
    digest_of("test_run_a", in_memory);
    check_ok(train("test_run_b", gmm, 4, NULL, &error), error);
    const char *const more[] = {"run.generations=3"};
    check_ok(hb_resume("test_run_b", more, 1, NULL, &error), error);
    digest_of("test_run_b", in_files);
    assert_string_equal(in_memory, in_files);
    remove_tree("test_run_a");
    remove_tree("test_run_b");
    const char *const nowhere[] = {"run.scratch=/nowhere"};
    assert_int_equal(train("test_run_a", nowhere, 1, NULL, &error), HB_BAD_INPUT);
    assert_string_equal(error.message, "/nowhere: no file can be made there: No such file or directory");
    struct rlimit before, small = {1 << 20, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(train("test_run_a", gmm, 4, NULL, &error), HB_FAILED);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_string_equal(error.message, ".: no room for 4915200 bytes: File too large");
    assert_int_not_equal(access("test_run_a", F_OK), 0);
}

#define CAR "env.name=car", "env.time_limit=25", "policy.last=linear", "policy.normalise=true"

// From pixels: a life keeps its bits in every way of living it.
static void threads_rollouts_builds_of_the_car(void **state) {
    (void)state;
    char first[33], other[33];
    TRAIN(first, CAR, "run.threads=1");
    const char *const ways[][2] = {{"run.threads=3", "run.rollout=resident"},
                                   {"run.threads=2", "run.rollout=batched"},
                                   {"run.rollout=batched", "run.group=3"},
                                   {"run.variant=generic", "run.threads=2"}};
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        TRAIN(other, CAR, ways[k][0], ways[k][1]);
        assert_string_equal(other, first);
    }
    TRAIN(other, CAR, "env.render=later");
    assert_string_not_equal(other, first);
    TRAIN(other, CAR, "env.variations=default,pushed_left", "policy.vision=fixed");
    assert_string_not_equal(other, first);
}

static void every_kind_of_policy(void **state) {
    (void)state;
    const char *const kinds[] = {"policy.kind=lstm",
                                 "policy.rule=A",
                                 "policy.rule=AD",
                                 "policy.rule=AD_lr",
                                 "policy.rule=ABC",
                                 "policy.rule=ABC_lr",
                                 "policy.rule=ABCD",
                                 "policy.rule=ABCD_lr",
                                 "policy.rule=ABCD_lr_D_out",
                                 "policy.rule=ABCD_lr_D_in_and_out",
                                 "policy.kind=static",
                                 "policy.normalise=true",
                                 "policy.init=coevolve",
                                 "policy.init=sparse",
                                 "search.optimiser=adam",
                                 "search.kind=shared",
                                 "search.kind=gmm",
                                 "policy.planes=float16",
                                 "search.antithetic=false",
                                 "search.shaping=none",
                                 "env.variations=default,palm_long_back"};
    char all[sizeof kinds / sizeof *kinds][33] = {""}, batched[33];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
#ifdef __SANITIZE_THREAD__ // rules differ in what a thread computes, not in what threads share
        if (strncmp(kinds[k], "policy.rule=", 12) == 0 || k % 2 == 1) continue;
#endif
        TRAIN(all[k], kinds[k], "run.generations=2", "search.population=4");
        TRAIN(batched, kinds[k], "run.generations=2", "search.population=4", "run.rollout=batched", "run.group=3");
        if (strcmp(all[k], batched) != 0) print_error("%s\n", kinds[k]);
        assert_string_equal(all[k], batched);
        for (size_t i = 0; i < k; i++) assert_string_not_equal(all[k], all[i]);
    }
}

// The columns of metrics.csv that do not tell the time.
static void read_metrics(const char *folder, char *out, size_t n) {
    char path[600], line[4096];
    snprintf(path, sizeof path, "%s/metrics.csv", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t at = 0;
    while (fgets(line, sizeof line, file)) {
        int commas = 0;
        for (char *c = line; *c; c++)
            if (*c == ',' && ++commas == 10) *c = '\0'; // up to and with `diverged`
        at += (size_t)snprintf(out + at, n - at, "%s\n", line);
    }
    fclose(file);
}

// Settings end with NULL.
static void resume_is_straight(const char *const *settings) {
    hb_error error;
    char straight[33], resumed[33], a[4096], b[4096];
    const char *one[8] = {"run.generations=1"};
    int32_t n = 0;
    for (; settings[n]; n++) one[n + 1] = settings[n];
    check_ok(train("test_run_a", settings, n, NULL, &error), error);
    check_ok(train("test_run_b", one, n + 1, NULL, &error), error);
    const char *const two[] = {"run.generations=2", "run.threads=1"};
    const char *const three[] = {"run.generations=3", "run.rollout=batched"};
    check_ok(hb_resume("test_run_b", two, 2, NULL, &error), error);
    check_ok(hb_resume("test_run_b", three, 2, NULL, &error), error);
    digest_of("test_run_a", straight);
    digest_of("test_run_b", resumed);
    assert_string_equal(straight, resumed);
    read_metrics("test_run_a", a, sizeof a);
    read_metrics("test_run_b", b, sizeof b);
    assert_string_equal(a, b);
    remove_tree("test_run_a");
    remove_tree("test_run_b");
}

static void straight_and_resumed(void **state) {
    (void)state;
    static const char *const runs[][7] = {{"search.optimiser=adam", "search.shaping=ranks"},
                                          {"search.kind=shared", "search.assignment=merge", "search.merge_every=1",
                                           "search.merge_rules=40,20", "search.merge_parts=3"},
                                          {"search.kind=gmm", "search.rules=100"},
                                          {"env.name=car", "env.time_limit=25"},
                                          {"policy.kind=lstm", "policy.hidden=9,4"}};
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++) resume_is_straight(runs[k]);
}

// ---------------------------------------------------------------------------------------------------
// Interruptions

typedef struct {
    hb_stop *stop;
    int64_t stop_at;  // generation
    int64_t quota_at; // from which on no file may grow beyond 1000 bytes
    char notes[4096];
} watcher;

static void on_progress(void *context, const hb_progress *progress) {
    watcher *w = context;
    if (progress->generation == w->stop_at) hb_stop_request(w->stop);
    if (progress->generation == w->quota_at) {
        struct rlimit limit;
        getrlimit(RLIMIT_FSIZE, &limit);
        limit.rlim_cur = 1000;
        setrlimit(RLIMIT_FSIZE, &limit);
    }
}

static void on_note(void *context, const char *line) {
    watcher *w = context;
    const size_t n = strlen(w->notes);
    snprintf(w->notes + n, sizeof w->notes - n, "%s\n", line);
}

static void lift_quota(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void stopped_on_request(void **state) {
    (void)state;
    hb_error error;
    char straight[33], resumed[33];
    TRAIN(straight, "run.checkpoint_every=100");
    watcher w = {.stop = hb_stop_create(), .stop_at = 2};
    const hb_hooks hooks = {.progress = on_progress, .context = &w, .stop = w.stop};
    const char *const rare[] = {"run.checkpoint_every=100"};
    assert_int_equal(train("test_run_b", rare, 1, &hooks, &error), HB_INTERRUPTED);
    assert_non_null(strstr(error.message, "after 2 generations"));
    hb_stop_destroy(w.stop);
    check_ok(hb_resume("test_run_b", NULL, 0, NULL, &error), error);
    digest_of("test_run_b", resumed);
    assert_string_equal(straight, resumed);
    remove_tree("test_run_b");
}

static void full_disk(void **state) {
    (void)state;
    hb_error error;
    char straight[33], resumed[33];
    TRAIN(straight, "run.checkpoint_every=1");
    signal(SIGXFSZ, SIG_IGN);
    watcher w = {.quota_at = 2};
    const hb_hooks hooks = {.progress = on_progress, .note = on_note, .context = &w};
    const hb_status status = train("test_run_b", NULL, 0, &hooks, &error);
    lift_quota();
    assert_int_equal(status, HB_FAILED);
    assert_non_null(strstr(error.message, "gen-000002.h5: cannot be written: File too large"));
    assert_int_equal(access("test_run_b/checkpoints/gen-000001.h5", F_OK), 0);
    assert_int_not_equal(access("test_run_b/checkpoints/gen-000002.h5", F_OK), 0);
    check_ok(hb_resume("test_run_b", NULL, 0, NULL, &error), error);
    digest_of("test_run_b", resumed);
    assert_string_equal(straight, resumed);
    remove_tree("test_run_b");
}

// ---------------------------------------------------------------------------------------------------
// Damaged checkpoints

static void cut_file(const char *path, long bytes_off) {
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size - bytes_off), 0);
}

static void flip_byte(const char *path, long at) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    const int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

// Damages the newest checkpoint of a finished run in turn; resume must tell, fall back, and reach the same bits.
static void torn_damaged_foreign(void **state) {
    (void)state;
    hb_error error;
    char straight[33], resumed[33];
    check_ok(train("test_run_b", NULL, 0, NULL, &error), error);
    digest_of("test_run_b", straight);
    const char *const other_seed[] = {"run.seed=9"};
    check_ok(train("test_run_a", other_seed, 1, NULL, &error), error);
    const char *const newest = "test_run_b/checkpoints/gen-000003.h5";
    const char *const said[] = {"torn", "damaged: its checksum", "another configuration: expected run.seed=1, found"};
    for (int k = 0; k < 3; k++) {
        watcher w = {.notes = ""};
        const hb_hooks hooks = {.note = on_note, .context = &w};
        if (k == 0) cut_file(newest, 1000);
        if (k == 1) flip_byte(newest, 3000);
        if (k == 2) assert_int_equal(system("cp test_run_a/checkpoints/gen-000003.h5 test_run_b/checkpoints/"), 0);
        check_ok(hb_resume("test_run_b", NULL, 0, &hooks, &error), error);
        if (!strstr(w.notes, said[k])) print_error("%s\n", w.notes);
        assert_non_null(strstr(w.notes, said[k]));
        assert_non_null(strstr(w.notes, newest));
        digest_of("test_run_b", resumed);
        assert_string_equal(straight, resumed);
    }
    for (int g = 0; g <= 3; g++) {
        char path[100];
        snprintf(path, sizeof path, "test_run_b/checkpoints/gen-%06d.h5", g);
        if (access(path, F_OK) == 0) cut_file(path, 5);
    }
    assert_int_equal(hb_resume("test_run_b", NULL, 0, NULL, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "torn"));
    remove_tree("test_run_a");
    remove_tree("test_run_b");
}

static void refusals(void **state) {
    (void)state;
    hb_error error;
    char before[33], after[33];
    check_ok(train("test_run_b", NULL, 0, NULL, &error), error);
    digest_of("test_run_b", before);
    assert_int_equal(train("test_run_b", NULL, 0, NULL, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "hebbes resume test_run_b"));
    const char *const other[] = {"search.lr=0.3"};
    assert_int_equal(hb_resume("test_run_b", other, 1, NULL, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "another run"));
    digest_of("test_run_b", after);
    assert_string_equal(before, after);
    assert_int_equal(hb_resume("test_run_none", NULL, 0, NULL, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "test_run_none/config.yaml"));
    assert_int_equal(hb_digest("test_run_none", NULL, 0, after, &error), HB_BAD_INPUT);
    remove_tree("test_run_b");
    const char *const model[] = {"env.model=/nonexistent.xml"};
    assert_int_equal(train("test_run_b", model, 1, NULL, &error), HB_BAD_INPUT);
    assert_int_not_equal(access("test_run_b", F_OK), 0); // nothing left behind
}

static void change_library(void *context, const hb_progress *progress) {
    (void)context;
    if (progress->generation == 1) assert_int_equal(system("printf x >> test_run_env.so"), 0);
}

// The bytes of an environment's library are part of the run: another build of it is another run, also when the file
// changes while the run goes on with the library that it has loaded.
static void another_library_is_another_run(void **state) {
    (void)state;
    hb_error error;
    assert_int_equal(system("cp " HB_POINTMASS " test_run_env.so"), 0);
    const char *const point[] = {"env.name=./test_run_env.so", "env.variations=left", "search.population=2"};
    check_ok(train("test_run_b", point, 3, NULL, &error), error);
    check_ok(hb_resume("test_run_b", NULL, 0, NULL, &error), error);
    assert_int_equal(system("printf x >> test_run_env.so"), 0);
    assert_int_equal(hb_resume("test_run_b", NULL, 0, NULL, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "another configuration: expected env.name=/"));
    assert_non_null(strstr(error.message, "/test_run_env.so ("));
    remove_tree("test_run_b");
    const hb_hooks hooks = {.progress = change_library};
    check_ok(train("test_run_b", point, 3, &hooks, &error), error);
    assert_int_equal(hb_resume("test_run_b", NULL, 0, NULL, &error), HB_BAD_INPUT);
    assert_non_null(strstr(error.message, "another configuration"));
    remove("test_run_env.so");
    remove_tree("test_run_b");
}

// Only the last k and the best stay.
static void old_checkpoints_go(void **state) {
    (void)state;
    hb_error error;
    const char *const keep[] = {"run.keep_checkpoints=2", "run.generations=5", "search.population=2"};
    check_ok(train("test_run_b", keep, 3, NULL, &error), error);
    DIR *dir = opendir("test_run_b/checkpoints");
    assert_non_null(dir);
    int generations = 0, best = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        generations += strncmp(entry->d_name, "gen-", 4) == 0;
        best += strcmp(entry->d_name, "best.h5") == 0;
    }
    closedir(dir);
    assert_int_equal(generations, 2);
    assert_int_equal(best, 1);
    remove_tree("test_run_b");
}

// ---------------------------------------------------------------------------------------------------
// Evaluation and other environments

typedef struct {
    int n;
    hb_evaluation row[16];
    char variation[16][64]; // the row's own text lasts for the call only
} rows;

static void keep_row(void *context, const hb_evaluation *row) {
    rows *r = context;
    snprintf(r->variation[r->n], sizeof r->variation[0], "%s", row->variation);
    r->row[r->n++] = *row;
}

static void evaluation(void **state) {
    (void)state;
    hb_error error;
    const char *const held[] = {"env.held_out=palm_long_front", "eval.rollouts=5"};
    check_ok(train("test_run_b", held, 2, NULL, &error), error);
    rows first = {.n = 0}, second = {.n = 0}, other_init = {.n = 0};
    const char *const one_thread[] = {"run.threads=1", "run.rollout=batched"};
    check_ok(hb_evaluate("test_run_b", NULL, 0, keep_row, &first, NULL, &error), error);
    check_ok(hb_evaluate("test_run_b", one_thread, 2, keep_row, &second, NULL, &error), error);
    assert_int_equal(first.n, 4); // two protocols, two variations
    for (int k = 0; k < 4; k++) {
        assert_int_equal(first.row[k].rollouts, 5);
        assert_int_equal(first.row[k].held_out, k % 2);
        check_close(first.row[k].mean, second.row[k].mean, 0);
        check_close(first.row[k].sd, second.row[k].sd, 0);
        check_close(first.row[k].standard_error, first.row[k].sd / 2.2360679774997896, 1e-12);
    }
    const char *const init[] = {"eval.init=normal_wide", "eval.protocol=mean"};
    check_ok(hb_evaluate("test_run_b", init, 2, keep_row, &other_init, NULL, &error), error);
    assert_int_equal(other_init.n, 2);
    assert_true(other_init.row[0].mean != first.row[0].mean);
    const char *const coevolve[] = {"eval.init=coevolve"};
    assert_int_equal(hb_evaluate("test_run_b", coevolve, 1, keep_row, &other_init, NULL, &error), HB_BAD_INPUT);
    remove_tree("test_run_b");
}

// Known returns come back exactly: 12 in 4 steps forward, -10 in 2 steps backward.
static void evaluation_of_known_returns(void **state) {
    (void)state;
    hb_error error;
    const char *const known[] = {"env.name=" HB_KNOWN, "env.variations=plus", "env.held_out=minus",
                                 "eval.rollouts=4",    "search.l2=0",         "search.population=2"};
    check_ok(train("test_run_b", known, 6, NULL, &error), error);
    rows found = {.n = 0};
    check_ok(hb_evaluate("test_run_b", NULL, 0, keep_row, &found, NULL, &error), error);
    assert_int_equal(found.n, 4);
    for (int k = 0; k < 4; k++) {
        check_close(found.row[k].mean, k % 2 ? -10 : 12, 0);
        check_close(found.row[k].sd, 0, 0);
        check_close(found.row[k].steps, k % 2 ? 2 : 4, 0);
        check_close(found.row[k].backward_share, k % 2, 0);
        assert_string_equal(found.variation[k], k % 2 ? "minus" : "plus");
        assert_string_equal(found.row[k].protocol, k < 2 ? "mean" : "sample");
    }
    remove_tree("test_run_b");
    // Solved at the first generation, and still so when resumed.
    const char *const solved[] = {"env.name=" HB_KNOWN, "env.variations=plus", "search.l2=0", "search.stop_mean=11"};
    char before[33], after[33];
    check_ok(train("test_run_b", solved, 4, NULL, &error), error);
    digest_of("test_run_b", before);
    check_ok(hb_resume("test_run_b", NULL, 0, NULL, &error), error);
    digest_of("test_run_b", after);
    assert_string_equal(before, after);
    remove_tree("test_run_b");
}

// A checkpoint of a later name that is no checkpoint must not push the good ones out.
static void junk_does_not_displace_good_checkpoints(void **state) {
    (void)state;
    hb_error error;
    char straight[33], resumed[33];
    TRAIN(straight, "run.generations=5");
    check_ok(train("test_run_b", NULL, 0, NULL, &error), error);
    assert_int_equal(system("echo junk > test_run_b/checkpoints/gen-900000.h5"), 0);
    assert_int_equal(system("cp test_run_b/checkpoints/gen-000001.h5 test_run_b/checkpoints/gen-000900.h5"), 0);
    const char *const on[] = {"run.generations=5", "run.keep_checkpoints=1"};
    watcher w = {.notes = ""};
    const hb_hooks hooks = {.note = on_note, .context = &w};
    check_ok(hb_resume("test_run_b", on, 2, &hooks, &error), error);
    assert_non_null(strstr(w.notes, "gen-900000.h5: torn"));
    assert_non_null(strstr(w.notes, "gen-000900.h5: holds generation 1"));
    digest_of("test_run_b", resumed);
    assert_string_equal(straight, resumed);
    // What resume was told is part of the run now.
    check_ok(hb_resume("test_run_b", NULL, 0, NULL, &error), error);
    digest_of("test_run_b", resumed);
    assert_string_equal(straight, resumed);
    remove_tree("test_run_b");
}

// A network without hidden layers learns to push the example's point to 0.
static void plugin_learns(void **state) {
    (void)state;
    hb_error error;
    char metrics[65536];
    const char *const point[] = {
        "env.name=" HB_POINTMASS, "env.variations=left,right", "policy.kind=static", "policy.hidden=",
        "search.population=40",   "run.generations=60",        "search.l2=0"};
    check_ok(train("test_run_b", point, 7, NULL, &error), error);
    read_metrics("test_run_b", metrics, sizeof metrics);
    double first = 0, last = 0;
    for (char *line = strtok(metrics, "\n"); line; line = strtok(NULL, "\n")) {
        double mean;
        int generation;
        if (sscanf(line, "%d,%lf", &generation, &mean) != 2) continue;
        if (generation == 1) first = mean;
        last = mean;
    }
    print_message("pointmass: %.2f to %.2f\n", first, last);
    assert_true(last > -2.4 && last > 0.8 * first);
    remove_tree("test_run_b");
}

// ---------------------------------------------------------------------------------------------------
// A program that serves more than one training

typedef struct {
    const char *folder, *seed;
    hb_status status;
    hb_error error;
    char digest[33];
} task;

static void ignore_row(void *context, const hb_evaluation *row) {
    (void)context, (void)row;
}

static void *train_task(void *context) {
    task *t = context;
    const char *const more[] = {t->seed, "search.kind=shared", "search.rules=9", "policy.hidden=7"};
    t->status = train(t->folder, more, 4, NULL, &t->error);
    if (t->status == HB_OK) t->status = hb_digest(t->folder, NULL, 0, t->digest, &t->error);
    if (t->status == HB_OK) {
        const char *const rollouts[] = {"eval.rollouts=2"};
        t->status = hb_evaluate(t->folder, rollouts, 1, ignore_row, NULL, NULL, &t->error);
    }
    return NULL;
}

// Two trainings in two threads have the digests of one after the other.
static void two_at_a_time(void **state) {
    (void)state;
    static task one[2] = {{.folder = "test_run_a", .seed = "run.seed=1"},
                          {.folder = "test_run_b", .seed = "run.seed=2"}},
                two[2];
    memcpy(two, one, sizeof two);
    for (int together = 0; together < 2; together++) {
        task *tasks = together ? two : one;
        pthread_t thread[2];
        for (int k = 0; k < 2; k++) {
            remove_tree(tasks[k].folder);
            assert_int_equal(pthread_create(&thread[k], NULL, train_task, &tasks[k]), 0);
            if (!together) pthread_join(thread[k], NULL);
        }
        for (int k = 0; together && k < 2; k++) pthread_join(thread[k], NULL);
        for (int k = 0; k < 2; k++) check_ok(tasks[k].status, tasks[k].error);
    }
    for (int k = 0; k < 2; k++) assert_string_equal(one[k].digest, two[k].digest);
    assert_string_not_equal(one[0].digest, one[1].digest);
    for (int k = 0; k < 2; k++) remove_tree(one[k].folder);
}

// A locale whose numbers have a comma, made here where the machine has none.
static bool use_comma(void) {
    if (setlocale(LC_ALL, "de_DE.UTF-8")) return true;
    if (system("mkdir -p test_locale && localedef -i de_DE -f UTF-8 test_locale/de_DE.UTF-8 >/dev/null 2>&1") != 0)
        return false;
    setenv("LOCPATH", "test_locale", 1);
    return setlocale(LC_ALL, "de_DE.UTF-8");
}

// A host program under it gets the same digests, and files that anybody can read.
static void a_locale_with_commas(void **state) {
    (void)state;
    static const char *const lr[] = {"search.lr=0.25"};
    char before[33], after[33], row[4096], text[16];
    hb_error error;
    train_digest(lr, 1, before);
    if (!use_comma()) {
        print_message("skipped: no locale de_DE here, nor localedef with its sources\n");
        skip();
    }
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5");
    train_digest(lr, 1, after);
    assert_string_equal(before, after);
    remove_tree("test_run_a");
    check_ok(train("test_run_a", lr, 1, NULL, &error), error);
    check_ok(hb_resume("test_run_a", NULL, 0, NULL, &error), error);
    FILE *file = fopen("test_run_a/metrics.csv", "r");
    assert_non_null(file);
    int columns[2] = {0};
    for (int line = 0; line < 2; line++) {
        assert_non_null(fgets(row, sizeof row, file));
        for (const char *c = row; *c; c++) columns[line] += *c == ',';
    }
    fclose(file);
    assert_int_equal(columns[0], columns[1]);
    snprintf(text, sizeof text, "%.1f", 0.5); // and the program keeps its locale
    assert_string_equal(text, "0,5");
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    remove_tree("test_run_a");
}

// What succeeds says nothing, also where a damaged checkpoint was passed over.
static void success_leaves_the_error_alone(void **state) {
    (void)state;
    hb_error error = {"untouched"};
    char digest[33];
    remove_tree("test_run_a");
    check_ok(train("test_run_a", NULL, 0, NULL, NULL), error);
    assert_int_equal(truncate("test_run_a/checkpoints/gen-000003.h5", 100), 0);
    check_ok(hb_resume("test_run_a", NULL, 0, NULL, &error), error);
    assert_string_equal(error.message, "untouched");
    assert_int_equal(truncate("test_run_a/checkpoints/gen-000003.h5", 100), 0);
    check_ok(hb_digest("test_run_a", NULL, 0, digest, &error), error);
    assert_string_equal(error.message, "untouched");
    remove_tree("test_run_a");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_at_a_time),
        cmocka_unit_test(a_locale_with_commas),
        cmocka_unit_test(success_leaves_the_error_alone),
        cmocka_unit_test(threads_rollouts_builds),
        cmocka_unit_test(threads_and_builds_of_the_mixture),
        cmocka_unit_test(search_in_files),
        cmocka_unit_test(threads_rollouts_builds_of_the_car),
        cmocka_unit_test(every_kind_of_policy),
        cmocka_unit_test(straight_and_resumed),
        cmocka_unit_test(stopped_on_request),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(torn_damaged_foreign),
        cmocka_unit_test(refusals),
        cmocka_unit_test(old_checkpoints_go),
        cmocka_unit_test(another_library_is_another_run),
        cmocka_unit_test(evaluation),
        cmocka_unit_test(evaluation_of_known_returns),
        cmocka_unit_test(junk_does_not_displace_good_checkpoints),
        cmocka_unit_test(plugin_learns),
    };
    remove_tree("test_run_a");
    remove_tree("test_run_b");
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
