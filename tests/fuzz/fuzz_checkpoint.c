// libFuzzer: any bytes as a checkpoint. With a first byte of 1 the rest is written over a good checkpoint, 4
// bytes at a time at a position of 4 bytes, and sealed anew: so damage gets past the checksum and reaches our
// reading of well-formed HDF5. Structural bytes of the file are left alone: parsing those is the HDF5
// library's business, and the checksum is what protects it.
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
    const char *const sets[] = {"policy.kind=static", "policy.hidden=", "search.population=2", "run.threads=1"};
    hb_error error;
    if (hb_config_open(NULL, sets, 4, &config, &error) != HB_OK) abort();
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

// Where raw numbers and attribute values stand: the mean's 224 floats and the text of the identity.
static size_t payload(size_t k) {
    static size_t mean, identity;
    if (!identity) {
        const uint8_t *at = memmem(good, good_size, "run.seed=", 9);
        identity = at ? (size_t)(at - good) : 0;
        const uint8_t *numbers = memmem(good, good_size, trainer.search.array[0].data, 32);
        mean = numbers ? (size_t)(numbers - good) : 0;
        if (!mean || !identity) abort();
    }
    return k % 2 ? mean + k % 890 : identity + k % 400;
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
    hb_checkpoint_parse(&trainer, "fuzz", bytes, good_size, &error);
    free(bytes);
    return 0;
}
