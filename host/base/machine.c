#include "host/base/machine.h"

#include <stdatomic.h>

hb_status hb_machine_open(hb_machine *machine, const hb_settings *settings, hb_error *error) {
    *machine = (hb_machine){.table = NULL};
    hb_status status = hb_device_find(settings->device, &machine->table, error);
    if (status == HB_OK) status = machine->table->open(settings->variant, &machine->device, error);
    if (status == HB_OK) status = hb_pool_open((int32_t)settings->threads, &machine->pool, error);
    if (status != HB_OK) hb_machine_close(machine);
    return status;
}

void hb_machine_close(hb_machine *machine) {
    hb_pool_close(machine->pool);
    if (machine->device) machine->table->close(machine->device);
    *machine = (hb_machine){.table = NULL};
}

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
    if (machine->table->host_parallel)
        hb_pool_split(machine->pool, n, grain, run_part, &s);
    else
        run_part(&s, 0, n);
    return (hb_status)atomic_load(&s.failed);
}

hb_status hb_machine_sample(const hb_machine *machine, const hb_genome *genome, float *h, size_t n, hb_error *error) {
    float *there = NULL;
    hb_status status = machine->table->alloc(machine->device, n, &there, error);
    if (status == HB_OK) status = machine->table->sample(machine->device, genome, there, 0, n, error);
    if (status == HB_OK) status = machine->table->download(machine->device, h, there, n, error);
    machine->table->free(machine->device, there);
    return status;
}
