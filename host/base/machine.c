#define _GNU_SOURCE // CPU_COUNT
#include "host/base/machine.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Keys

enum { CARDS = 16 }; // that can be named

// auto, the devices, then NAME:K for each that has cards.
static const char *device_word(int k) {
    static const char *const cuda[CARDS] = {"cuda:0",  "cuda:1",  "cuda:2",  "cuda:3", "cuda:4",  "cuda:5",
                                            "cuda:6",  "cuda:7",  "cuda:8",  "cuda:9", "cuda:10", "cuda:11",
                                            "cuda:12", "cuda:13", "cuda:14", "cuda:15"};
    if (k <= hb_n_devices) return k == 0 ? "auto" : hb_devices[k - 1]->name;
    const int card = k - hb_n_devices - 1;
    return card < CARDS && hb_devices[0]->has_cards ? cuda[card] : NULL;
}

const char *const hb_machine_variants[] = {"auto", "avx512", "avx2", "generic", NULL};

#define FIELDS hb_machine_settings
const hb_key hb_machine_keys[] = {
    HB_KEY(FIELDS, threads, INT, "0", 0, 1024, "host threads; 0: as many as there are cores for this process",
           .same_bits = true),
    HB_KEY_NAMED(FIELDS, device, device_word, "auto",
                 "where the population is computed; cuda alone deals the cards out to the processes of a machine",
                 .same_bits = true),
    HB_KEY_OF(FIELDS, variant, hb_machine_variants, "auto", "build of the cpu device; all give the same bits",
              .same_bits = true),
    HB_KEY(FIELDS, scratch, TEXT, "", 0, 0,
           "folder for the search's arrays, for searches larger than memory; default: memory", .same_bits = true),
    {.name = NULL}};

// ---------------------------------------------------------------------------------------------------
// Open, close

// The processors' worth of time that a control group allows, rounded up: "QUOTA PERIOD" of cgroup v2, or a file each in v1. 0: no limit.
static long quota_of(const char *quota_path, const char *period_path) {
    double quota = 0, period = 0;
    FILE *file = fopen(quota_path, "re");
    if (!file) return 0;
    const int n = fscanf(file, "%lf %lf", &quota, &period); // "max" is no number
    fclose(file);
    file = n == 1 && period_path ? fopen(period_path, "re") : NULL;
    if (file && fscanf(file, "%lf", &period) != 1) period = 0;
    if (file) fclose(file);
    return quota > 0 && period > 0 ? (long)((quota + period - 1) / period) : 0;
}

static long quota(void) {
    const char *folder = getenv("HB_CGROUP"); // tests
    char path[2][4096];
    snprintf(path[0], sizeof path[0], "%s/cpu.max", folder ? folder : "/sys/fs/cgroup");
    const long n = quota_of(path[0], NULL);
    if (n > 0) return n;
    snprintf(path[0], sizeof path[0], "%s/cpu/cpu.cfs_quota_us", folder ? folder : "/sys/fs/cgroup");
    snprintf(path[1], sizeof path[1], "%s/cpu/cpu.cfs_period_us", folder ? folder : "/sys/fs/cgroup");
    return quota_of(path[0], path[1]);
}

long hb_usable_cores(void) {
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    const long allowed = quota();
    if (allowed > 0 && allowed < n) n = allowed;
    return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

static hb_status open_device(hb_machine *machine, const hb_machine_settings *settings, hb_place place,
                             hb_error *error) {
    const char *word = device_word(settings->device), *colon = strchr(word, ':');
    const hb_device_table *table = NULL;
    const hb_device_choice choice = {.variant = hb_machine_variants[settings->variant],
                                     .card = colon ? atoi(colon + 1) : -1,
                                     .place = place.place,
                                     .places = place.places};
    hb_error why = {""};
    hb_status status = hb_device_find(word, &table, error);
    if (status != HB_OK) return status;
    status = hb_device_open(table, &choice, &machine->device, &why);
    return status == HB_OK ? HB_OK : hb_fail(error, status, "%s%s", colon ? "run.device: " : "", why.message);
}

hb_status hb_machine_open(hb_machine *machine, const hb_machine_settings *settings, hb_place place, hb_error *error) {
    *machine = (hb_machine){.scratch = settings->scratch};
    const long sharers = place.sharers > 0 ? place.sharers : 1;
    const long threads =
        settings->threads > 0 ? (long)settings->threads : (hb_usable_cores() + sharers - 1) / sharers;
    hb_status status = open_device(machine, settings, place, error);
    if (status == HB_OK) status = hb_pool_open((int32_t)threads, &machine->pool, error);
    if (status != HB_OK) hb_machine_close(machine);
    return status;
}

void hb_machine_close(hb_machine *machine) {
    hb_pool_close(machine->pool);
    hb_device_close(machine->device);
    *machine = (hb_machine){.device = NULL};
}

// ---------------------------------------------------------------------------------------------------
// Arrays

hb_status hb_machine_keep(const hb_machine *machine, size_t n, hb_memory *out, hb_error *error) {
    if (*machine->scratch) return hb_device_map(machine->device, machine->scratch, n, out, error);
    hb_error why = {""};
    const hb_status status = hb_device_alloc(machine->device, n, out, &why);
    if (status == HB_OK) return HB_OK;
    const bool maps = hb_table_of(machine->device)->map;
    return hb_fail(error, status, "%s%s", why.message,
                   maps ? "; run.scratch=FOLDER keeps the search in files there" : "");
}

void hb_machine_release(const hb_machine *machine, hb_memory memory, size_t n) {
    if (*machine->scratch)
        hb_device_unmap(machine->device, memory, n);
    else
        hb_device_free(machine->device, memory);
}

hb_status hb_machine_sample(const hb_machine *machine, const hb_genome *genome, float *h, size_t n, hb_error *error) {
    hb_memory there = {NULL};
    hb_status status = hb_device_alloc(machine->device, n, &there, error);
    if (status == HB_OK) status = hb_device_sample(machine->device, genome, there, 0, n, error);
    if (status == HB_OK) status = hb_device_download(machine->device, h, there, n, error);
    hb_device_free(machine->device, there);
    return status;
}

hb_status hb_machine_send(const hb_machine *machine, const void *from, size_t n, hb_memory *out, hb_error *error) {
    hb_status status = hb_device_alloc(machine->device, n, out, error);
    if (status == HB_OK) status = hb_device_upload(machine->device, *out, from, n, error);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Ranges on all threads

typedef struct {
    hb_status (*part)(const void *context, size_t begin, size_t end, hb_error *error);
    const void *context;
    atomic_int failed; // a status
    hb_error *error;   // of the first failure
} splitting;

static void run_part(void *context, size_t begin, size_t end) {
    splitting *s = context;
    hb_error error;
    const hb_status status = s->part(s->context, begin, end, &error);
    int none = HB_OK;
    if (status != HB_OK && atomic_compare_exchange_strong(&s->failed, &none, (int)status) && s->error)
        *s->error = error;
}

hb_status hb_machine_split(const hb_machine *machine, size_t n, size_t grain,
                           hb_status (*part)(const void *context, size_t begin, size_t end, hb_error *error),
                           const void *context, hb_error *error) {
    splitting s = {.part = part, .context = context, .error = error};
    if (hb_table_of(machine->device)->host_parallel)
        hb_pool_split(machine->pool, n, grain, run_part, &s);
    else
        run_part(&s, 0, n);
    return (hb_status)atomic_load(&s.failed);
}
