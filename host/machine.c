#include "host/machine.h"

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
