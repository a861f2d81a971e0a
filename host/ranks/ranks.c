#define _GNU_SOURCE // dladdr, sched_getaffinity
#include "host/ranks/ranks.h"
#include "kernels/error.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// The launcher

// What launchers tell each process: how many there are, and its number. SLURM_STEP_NUM_TASKS is set by srun alone; in a batch script
// without srun there is one process, whatever SLURM_NTASKS says.
static const char *const launchers[][2] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                           {"PMI_SIZE", "PMI_RANK"},
                                           {"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},
                                           {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};

static int number_of(const char *name, int fallback) {
    const char *text = getenv(name);
    return text && *text ? atoi(text) : fallback;
}

int hb_launcher_size(void) {
    for (size_t k = 0; k < sizeof launchers / sizeof *launchers; k++)
        if (getenv(launchers[k][0])) return number_of(launchers[k][0], 1);
    return 1;
}

int hb_launcher_rank(void) {
    for (size_t k = 0; k < sizeof launchers / sizeof *launchers; k++)
        if (getenv(launchers[k][0])) return number_of(launchers[k][1], 0);
    return 0;
}

// ---------------------------------------------------------------------------------------------------
// Join, leave

// Where the plugin may be, from the folder of the library, or of a program that has the library's code in it (hebbes-bench).
static const char *const places[] = {"", "hebbes/", "../lib/", "../lib/hebbes/"};
enum { PLACES = sizeof places / sizeof *places };

// The plugin's path: HB_LINK, or libhebbes_mpi.so in that place.
static void plugin_path(int place, char out[4096]) {
    Dl_info self;
    char own[2048] = "";
    const char *given = getenv("HB_LINK");
    if (given) {
        snprintf(out, 4096, "%s", given);
        return;
    }
    if (dladdr(__extension__(void *) hb_ranks_join, &self) && strstr(self.dli_fname, ".so"))
        snprintf(own, sizeof own, "%s", self.dli_fname);
    else if (readlink("/proc/self/exe", own, sizeof own - 1) < 0)
        own[0] = '\0';
    char *slash = strrchr(own, '/');
    snprintf(out, 4096, "%.*s/%slibhebbes_mpi.so", slash ? (int)(slash - own) : 1, slash ? own : ".", places[place]);
}

static hb_status open_link(hb_ranks *ranks, hb_error *error) {
    char path[4096], first[256] = "";
    void *library = NULL;
    for (int place = 0; place < PLACES && !library; place++) {
        plugin_path(place, path);
        library = dlopen(path, RTLD_NOW | RTLD_GLOBAL); // MPI opens parts of its own that need its names
        if (!library && !*first) snprintf(first, sizeof first, "%s", dlerror());
    }
    if (!library)
        return hb_fail(
            error, HB_BAD_INPUT,
            "%d processes were started by a launcher, but the MPI plugin cannot be opened (%s); build it with "
            "this machine's MPI (docs/clusters.md), or start one process",
            hb_launcher_size(), first);
    hb_link_export_function *export;
    *(void **)&export = dlsym(library, HB_LINK_EXPORT);
    ranks->link = export ? export() : NULL;
    if (ranks->link && ranks->link->abi == HB_LINK_ABI) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "%s: built for another version of hebbes; compile it against this one", path);
}

static hb_status gather_hosts(hb_ranks *ranks, hb_error *error) {
    char name[HB_HOST] = "";
    gethostname(name, sizeof name - 1);
    ranks->host = (char(*)[HB_HOST])hb_ranks_gather(ranks, name, HB_HOST);
    return ranks->host ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for %d ranks", ranks->seat.size);
}

// How many ranks of this machine give the same text as this one, and how many of them come before it.
static hb_status count_alike(hb_ranks *ranks, const char *text, size_t length, int32_t *before, int32_t *alike,
                             hb_error *error) {
    char *all = hb_ranks_gather(ranks, text, length);
    if (!all) return hb_fail(error, HB_FAILED, "out of memory for %d ranks", ranks->seat.size);
    const int32_t own = ranks->seat.rank;
    for (int32_t r = 0; r < ranks->seat.size; r++) {
        const bool same = strcmp(ranks->host[r], ranks->host[own]) == 0 &&
                          strcmp(all + (size_t)r * length, all + (size_t)own * length) == 0;
        *alike += same;
        *before += same && r < own;
    }
    free(all);
    return HB_OK;
}

// How many ranks of this machine have the same cores: all where the launcher binds nobody, one where each has its own. And the same for
// cards, which launchers choose by CUDA_VISIBLE_DEVICES.
static hb_status count_sharers(hb_ranks *ranks, hb_error *error) {
    cpu_set_t cores;
    char text[2 * sizeof cores + 1] = "";
    int32_t before = 0;
    CPU_ZERO(&cores);
    sched_getaffinity(0, sizeof cores, &cores);
    for (size_t k = 0; k < sizeof cores; k++) snprintf(text + 2 * k, 3, "%02x", ((const unsigned char *)&cores)[k]);
    const hb_status status = count_alike(ranks, text, sizeof text, &before, &ranks->sharers, error);
    if (status != HB_OK) return status;
    const char *cards = getenv("CUDA_VISIBLE_DEVICES");
    return count_alike(ranks, cards ? cards : "all", sizeof text, &ranks->place, &ranks->places, error);
}

// An MPI that does not understand the launcher makes every process rank 0 of one.
static hb_status check_size(const hb_ranks *ranks, hb_error *error) {
    const int started = hb_launcher_size();
    if (ranks->seat.size == started) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT,
                   "the launcher has started %d processes, but %s knows of %d: build the plugin with the MPI that "
                   "belongs to the "
                   "launcher, or try srun --mpi=list (docs/clusters.md)",
                   started, ranks->link->name, ranks->seat.size);
}

hb_status hb_ranks_join(hb_ranks **out, hb_error *error) {
    hb_ranks *ranks = calloc(1, sizeof *ranks);
    if (!ranks) return hb_fail(error, HB_FAILED, "out of memory");
    ranks->patience = HB_LINK_PATIENCE;
    char message[256] = "";
    hb_status status = open_link(ranks, error);
    if (status == HB_OK && ranks->link->join(&ranks->seat, message, sizeof message) != 0)
        status = hb_fail(error, HB_FAILED, "%s: %s", ranks->link->name, message);
    if (status == HB_OK) status = check_size(ranks, error);
    if (status == HB_OK) status = gather_hosts(ranks, error);
    if (status == HB_OK) status = count_sharers(ranks, error);
    if (status != HB_OK) {
        free(ranks->host);
        free(ranks);
        return status;
    }
    *out = ranks;
    return HB_OK;
}

int hb_ranks_number(const hb_ranks *ranks) {
    return ranks ? ranks->seat.rank : 0;
}

int hb_ranks_size(const hb_ranks *ranks) {
    return ranks ? ranks->seat.size : 1;
}

const char *hb_ranks_host(const hb_ranks *ranks, int rank) {
    return ranks->host[rank];
}

void hb_ranks_leave(hb_ranks *ranks, hb_status status) {
    if (!ranks) return;
    if (ranks->lost || (status != HB_OK && status != HB_INTERRUPTED)) ranks->link->end_all((int)status);
    ranks->link->leave(); // MPI's library stays open: it has threads and exit handlers of its own
    free(ranks->host);
    free(ranks);
}

// ---------------------------------------------------------------------------------------------------
// Exchange

static hb_status heard(hb_ranks *ranks, int result, hb_error *error) {
    if (result == 0) return HB_OK;
    ranks->lost = true;
    return hb_fail(error, HB_INTERRUPTED, "stopped on request; another rank does not answer");
}

hb_status hb_ranks_combine(hb_ranks *ranks, uint64_t *words, size_t n, hb_error *error) {
    return heard(ranks, ranks->link->combine(words, n, ranks->stop, ranks->patience), error);
}

hb_status hb_ranks_add(hb_ranks *ranks, int64_t *words, size_t n, hb_error *error) {
    return heard(ranks, ranks->link->add(words, n, ranks->stop, ranks->patience), error);
}

hb_status hb_ranks_restart(hb_ranks *ranks, hb_error *error) {
    return heard(ranks, ranks->link->restart(ranks->stop, ranks->patience), error);
}

hb_status hb_ranks_order(hb_ranks *ranks, uint64_t *order, hb_error *error) {
    static uint64_t word; // stays where it is
    word = ranks->seat.rank == 0 ? *order : 0;
    const hb_status status = hb_ranks_combine(ranks, &word, 1, error);
    *order = word;
    return status;
}

char *hb_ranks_gather(const hb_ranks *ranks, const char *text, size_t length) {
    const size_t words = (length + 7) / 8 * (size_t)ranks->seat.size;
    uint64_t *all = calloc(words, sizeof *all);
    if (!all) return NULL;
    const size_t n = strlen(text);
    memcpy((char *)all + (size_t)ranks->seat.rank * length, text, n < length ? n : length - 1);
    ranks->link->combine(all, words, NULL, 0);
    return (char *)all;
}
