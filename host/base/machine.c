#define _GNU_SOURCE // CPU_COUNT
#include "host/base/machine.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

// ---------------------------------------------------------------------------------------------------
// Keys

static const char *device_word(int k) {
    return k == 0 ? "auto" : k <= hb_n_devices ? hb_devices[k - 1]->name : NULL;
}

const char *const hb_machine_variants[] = {"auto", "avx512", "avx2", "generic", NULL};

#define FIELDS hb_machine_settings
const hb_key hb_machine_keys[] = {
    HB_KEY(FIELDS, threads, INT, "auto", 1, 1024, "host threads; default: all cores", .same_bits = true),
    HB_KEY_NAMED(FIELDS, device, device_word, "auto", "where the population is computed", .same_bits = true),
    HB_KEY_OF(FIELDS, variant, hb_machine_variants, "auto", "build of the cpu device; all give the same bits",
              .same_bits = true),
    HB_KEY(FIELDS, scratch, TEXT, "", 0, 0,
           "folder for the search's arrays, for searches larger than memory; default: memory", .same_bits = true),
    {.name = NULL}};

// ---------------------------------------------------------------------------------------------------
// Open, close

long hb_usable_cores(void) {
    cpu_set_t set;
    const long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : n;
}

hb_status hb_machine_open(hb_machine *machine, const hb_machine_settings *settings, hb_error *error) {
    const hb_device_table *table = NULL;
    *machine = (hb_machine){.scratch = settings->scratch};
    hb_status status = hb_device_find(device_word(settings->device), &table, error);
    if (status == HB_OK)
        status = hb_device_open(table, hb_machine_variants[settings->variant], &machine->device, error);
    if (status == HB_OK) status = hb_pool_open((int32_t)settings->threads, &machine->pool, error);
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
