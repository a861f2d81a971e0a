// libFuzzer: any bytes as a checkpoint. With a first byte of 1 the rest is written over a good checkpoint, 4
// bytes at a time at a position of 4 bytes, and sealed anew: so damage gets past the checksum and reaches our
// reading of well-formed HDF5. Structural bytes of the file are left alone: parsing those is the HDF5
// library's business, and the checksum is what protects it. What was accepted is then used: the map's integers are
// indices, so the address sanitizer sees any that should have been refused.
#define _GNU_SOURCE // memmem
#include "host/hebbes.h"
#include "host/run/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static hb_config *config;
static hb_trainer trainer;
static uint8_t *good;
static size_t good_size;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    const char *const sets[] = {"search.kind=shared", "policy.hidden=", "search.population=2", "run.threads=1",
                                "run.device=cpu"};
    hb_error error;
    if (hb_config_open(NULL, sets, 5, &config, &error) != HB_OK) abort();
    if (hb_trainer_open(config, &trainer, &error) != HB_OK) abort();
    char path[64];
    snprintf(path, sizeof path, "/tmp/fuzz_checkpoint_%ld.h5", (long)getpid());
    if (hb_checkpoint_save(&trainer, path, &error) != HB_OK) abort();
    FILE *file = fopen(path, "rb");
    good = malloc(1 << 20);
    if (!file || !good) abort();
    good_size = fread(good, 1, 1 << 20, file);
    fclose(file);
    unlink(path);
    return 0;
}

static size_t find(const void *bytes, size_t n) {
    const uint8_t *at = memmem(good, good_size, bytes, n);
    if (!at) abort();
    return (size_t)(at - good);
}

// Where raw numbers and attribute values stand: the arrays' numbers and the text of the identity.
static size_t payload(size_t k) {
    static size_t identity, at[HB_MAX_ARRAYS];
    const hb_search *search = &trainer.search;
    if (!identity) {
        identity = find("run.seed=", 9);
        for (int32_t a = 0; a < search->n_arrays; a++) at[a] = find(hb_floats(search->array[a].data), 32);
    }
    const int32_t a = (int32_t)(k % (size_t)(search->n_arrays + 1));
    if (a == search->n_arrays) return identity + k % 400;
    return at[a] + k % (4 * search->array[a].n - 3);
}

static void use(void) {
    const size_t n = (size_t)trainer.net.genome_size;
    hb_device *device = trainer.machine.device;
    hb_genome genome;
    hb_memory h;
    if (hb_device_alloc(device, n, &h, NULL) != HB_OK) abort();
    hb_search_mean_genome(&trainer.search, &genome);
    if (hb_device_sample(device, &genome, h, 0, n, NULL) != HB_OK) abort();
    hb_device_free(device, h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hb_error error;
    if (size == 0 || data[0] != 1) {
        hb_checkpoint_parse(&trainer, "fuzz", data, size, &error);
        return 0;
    }
    uint8_t *bytes = malloc(good_size);
    if (!bytes) abort();
    memcpy(bytes, good, good_size);
    for (size_t k = 1; k + 8 <= size; k += 8) {
        uint32_t at;
        memcpy(&at, data + k, sizeof at);
        memcpy(bytes + payload(at), data + k + 4, 4);
    }
    const size_t length = good_size - 32;
    const XXH128_hash_t hash = XXH3_128bits(bytes, length);
    memcpy(bytes + good_size - 16, &hash.low64, 8);
    memcpy(bytes + good_size - 8, &hash.high64, 8);
    if (hb_checkpoint_parse(&trainer, "fuzz", bytes, good_size, &error) == HB_OK) use();
    free(bytes);
    return 0;
}
