#include "kernels/device.h"
#include "kernels/cpu/cpu.h"
#ifdef HB_WITH_CUDA
extern const hb_device_table hb_cuda_device; // kernels/cuda/device.cu
#endif

#include <string.h>

// Best first: "auto" takes the first one that works.
const hb_device_table *const hb_devices[] = {
#ifdef HB_WITH_CUDA
    &hb_cuda_device,
#endif
    &hb_cpu_device};
const int32_t hb_n_devices = sizeof hb_devices / sizeof *hb_devices;

hb_status hb_device_find(const char *name, const hb_device_table **table, hb_error *error) {
    const bool any = strcmp(name, "auto") == 0;
    const size_t n = strcspn(name, ":"); // "cuda:1": a card of it
    for (int32_t k = 0; k < hb_n_devices; k++) {
        if (!any && (strncmp(hb_devices[k]->name, name, n) != 0 || hb_devices[k]->name[n] != '\0')) continue;
        hb_error why = {""};
        const hb_status status = hb_devices[k]->probe(&why);
        if (status == HB_OK) {
            *table = hb_devices[k];
            return HB_OK;
        }
        if (!any) return hb_fail(error, status, "device '%s' cannot be used: %s", name, why.message);
    }
    return hb_fail(error, HB_BAD_INPUT, "no device is called '%s' in this build", name);
}

hb_status hb_device_map(hb_device *device, const char *folder, size_t n, hb_memory *out, hb_error *error) {
    const hb_device_table *table = hb_table_of(device);
    if (!table->map)
        return hb_fail(error, HB_BAD_INPUT, "run.scratch: device '%s' keeps no arrays in files", table->name);
    return table->map(device, folder, n, out, error);
}

void hb_device_unmap(hb_device *device, hb_memory memory, size_t n) {
    hb_table_of(device)->unmap(device, memory, n);
}
