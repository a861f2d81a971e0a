#include "host/run/folder.h"
#include "host/base/files.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Making, choosing

hb_status hb_folder_make(const char *path, hb_error *error) {
    char parent[HB_PATH];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(parent, 0755);
        *slash = '/';
    }
    if (mkdir(path, 0755) == 0) return HB_OK;
    if (errno != EEXIST) return hb_fail(error, HB_BAD_INPUT, "%s: cannot be created: %s", path, strerror(errno));
    char config[HB_PATH];
    hb_path(config, path, "config.yaml");
    if (access(config, F_OK) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected a folder that does not exist yet", path);
    return hb_fail(error, HB_BAD_INPUT,
                   "%s: expected a folder that does not exist yet, found a run; 'hebbes resume %s' goes on with it",
                   path, path);
}

void hb_folder_named(const hb_config *config, char folder[HB_PATH]) {
    snprintf(folder, HB_PATH, "%s", config->settings.run.out);
    for (size_t n = strlen(folder); n > 1 && folder[n - 1] == '/'; n--) folder[n - 1] = '\0';
}

hb_status hb_folder_claim(const hb_config *config, char folder[HB_PATH], hb_error *error) {
    enum { MOST = 10000 };
    char copy[HB_TEXT], name[HB_TEXT];
    snprintf(copy, sizeof copy, "%s", *config->path ? config->path : config->env->name);
    snprintf(name, sizeof name, "%s", basename(copy));
    char *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = '\0';
    mkdir("runs", 0755);
    for (int k = 1; k <= MOST; k++) {
        char again[16] = "";
        if (k > 1) snprintf(again, sizeof again, "-%d", k);
        snprintf(folder, HB_PATH, "runs/%s-seed%lld%s", name, (long long)config->settings.run.seed, again);
        if (mkdir(folder, 0755) == 0) return HB_OK;
        if (errno != EEXIST)
            return hb_fail(error, HB_BAD_INPUT, "%s: cannot be created: %s", folder, strerror(errno));
    }
    return hb_fail(error, HB_BAD_INPUT, "%s: the names up to this one exist; choose another with --out", folder);
}

// ---------------------------------------------------------------------------------------------------
// Checkpoints

// gen-NNNNNN.h5: names sort like generations.
static int is_checkpoint(const struct dirent *entry) {
    const char *name = entry->d_name;
    return strncmp(name, "gen-", 4) == 0 && strspn(name + 4, "0123456789") == 6 && strcmp(name + 10, ".h5") == 0;
}

static int64_t generation_of(const char *name) {
    return strtoll(name + 4, NULL, 10);
}

int hb_folder_checkpoints(const char *folder, struct dirent ***list) {
    char checkpoints[HB_PATH];
    hb_path(checkpoints, folder, "checkpoints");
    return scandir(checkpoints, list, is_checkpoint, alphasort);
}

int64_t hb_folder_generation(const struct dirent *checkpoint) {
    return generation_of(checkpoint->d_name);
}

void hb_folder_checkpoint_path(const char *folder, const char *name, char path[HB_PATH]) {
    char checkpoints[HB_PATH];
    hb_path(checkpoints, folder, "checkpoints");
    hb_path(path, checkpoints, name);
}

void hb_folder_prune(const char *folder, int64_t generation, int64_t keep) {
    struct dirent **list;
    const int n = hb_folder_checkpoints(folder, &list);
    int64_t kept = 0;
    for (int k = n - 1; k >= 0; k--) {
        char path[HB_PATH];
        hb_folder_checkpoint_path(folder, list[k]->d_name, path);
        const bool later = generation_of(list[k]->d_name) > generation; // damaged or foreign: it was skipped
        if (later || kept++ >= keep) unlink(path);
        free(list[k]);
    }
    if (n >= 0) free(list);
}

int64_t hb_folder_newest(const char *folder) {
    struct dirent **list;
    const int n = hb_folder_checkpoints(folder, &list);
    const int64_t generation = n > 0 ? generation_of(list[n - 1]->d_name) : -1;
    for (int k = 0; k < n; k++) free(list[k]);
    if (n >= 0) free(list);
    return generation;
}

// ---------------------------------------------------------------------------------------------------
// What an interrupted initialisation leaves

void hb_folder_remove_remains(const char *folder) {
    static const char *const names[] = {"checkpoints/gen-000000.h5" HB_PARTIAL,
                                        "checkpoints/gen-000000.h5",
                                        "checkpoints",
                                        "config.yaml" HB_PARTIAL,
                                        "config.yaml",
                                        "log.txt",
                                        ""};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[HB_PATH];
        hb_path(path, folder, names[k]);
        remove(path);
    }
}

static int is_foreign(const struct dirent *entry) {
    static const char *const ours[] = {
        ".", "..", "checkpoints", "gen-000000.h5", "gen-000000.h5" HB_PARTIAL, "config.yaml" HB_PARTIAL, "log.txt"};
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
        if (strcmp(entry->d_name, ours[k]) == 0) return 0;
    return 1;
}

// The number of foreign entries in a folder; -1 if it cannot be read.
static int count_foreign(const char *folder) {
    struct dirent **list;
    const int n = scandir(folder, &list, is_foreign, NULL);
    for (int k = 0; k < n; k++) free(list[k]);
    if (n >= 0) free(list);
    return n;
}

bool hb_folder_is_remains(const char *folder) {
    char checkpoints[HB_PATH], log[HB_PATH];
    struct stat about;
    hb_path(checkpoints, folder, "checkpoints");
    hb_path(log, folder, "log.txt");
    return count_foreign(folder) == 0 && (access(checkpoints, F_OK) != 0 || count_foreign(checkpoints) == 0) &&
           (stat(log, &about) != 0 || about.st_size == 0);
}
