// What a run computes on: an open device and the host's threads.
#ifndef HB_MACHINE_H
#define HB_MACHINE_H

#include "host/base/pool.h"
#include "host/config/config.h"
#include "kernels/device.h"

typedef struct {
    const hb_device_table *table;
    hb_device *device;
    hb_pool *pool;
} hb_machine;

// Opens the device and the threads that the settings name; the caller closes the machine.
hb_status hb_machine_open(hb_machine *machine, const hb_settings *settings, hb_error *error);
void hb_machine_close(hb_machine *machine);

// Numbers 0..n of an individual's genome, into h in host memory.
hb_status hb_machine_sample(const hb_machine *machine, const hb_genome *genome, float *h, size_t n, hb_error *error);

// Runs part(context, begin, end, error) over [0, n): on a device with host_parallel in a range per thread, boundaries
// being multiples of `grain`, on another in one. Returns a failure of one of them, and its line.
hb_status hb_machine_split(const hb_machine *machine, size_t n, size_t grain,
                           hb_status (*part)(const void *context, size_t begin, size_t end, hb_error *error),
                           const void *context, hb_error *error);

#endif
