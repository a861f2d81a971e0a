// The machine that a run computes on: an open device and the host's threads.
#ifndef HB_MACHINE_H
#define HB_MACHINE_H

#include "host/base/keys.h"
#include "host/base/pool.h"
#include "kernels/device.h"

// Its settings, keys of section `run`.
typedef struct {
    int64_t threads;
    int32_t device;  // index of its word: auto, the devices, the numbered cards of those that have cards
    int32_t variant; // of the cpu device: index into hb_machine_variants
    hb_text scratch; // folder for the search's arrays; "": memory
} hb_machine_settings;

extern const hb_key hb_machine_keys[]; // ends with a NULL name
extern const char *const hb_machine_variants[];

typedef struct {
    hb_device *device;
    hb_pool *pool;
    const char *scratch; // of the settings
} hb_machine;

// This process among those of the same training, on its machine. All 0 is one that is alone.
typedef struct {
    int32_t sharers;       // may run on the same cores: without run.threads each takes its share of them
    int32_t place, places; // its number among those that see the same cards, and how many they are
} hb_place;

// Opens the device and the threads that the settings name; the caller closes the machine. The settings must outlive it.
hb_status hb_machine_open(hb_machine *machine, const hb_machine_settings *settings, hb_place place, hb_error *error);
void hb_machine_close(hb_machine *machine);

// The cores that this process may run on, at least 1.
long hb_usable_cores(void);

// A long-lived array of n words, zeroed: in the device's memory, or, if the settings name a scratch folder, in a file there.
// The caller releases it.
hb_status hb_machine_keep(const hb_machine *machine, size_t n, hb_memory *out, hb_error *error);
void hb_machine_release(const hb_machine *machine, hb_memory memory, size_t n);

// Samples numbers 0..n of an individual's genome into h, host memory.
hb_status hb_machine_sample(const hb_machine *machine, const hb_genome *genome, float *h, size_t n, hb_error *error);

// Copies n words of host memory to newly allocated device memory. The caller frees *out.
hb_status hb_machine_send(const hb_machine *machine, const void *from, size_t n, hb_memory *out, hb_error *error);

// Runs part(context, begin, end, error) over [0, n): on a device with host_parallel one range per thread, with boundaries that
// are multiples of `grain`; on any other device a single range. Returns the first failure and its line.
hb_status hb_machine_split(const hb_machine *machine, size_t n, size_t grain,
                           hb_status (*part)(const void *context, size_t begin, size_t end, hb_error *error),
                           const void *context, hb_error *error);

#endif
