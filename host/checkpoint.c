#include "host/checkpoint.h"
#include "host/files.h"
#include "host/hdf.h"
#include "host/hebbes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MOST_BYTES ((size_t)1 << 36)

typedef struct {
    char magic[8];
    uint64_t length;
    uint64_t low, high; // of XXH3-128
} trailer;

static const char magic[8] = {'H', 'E', 'B', 'B', 'E', 'S', '\0', '\1'};

static trailer seal(const void *data, size_t n) {
    const XXH128_hash_t hash = XXH3_128bits(data, n);
    trailer t = {.length = n, .low = hash.low64, .high = hash.high64};
    memcpy(t.magic, magic, sizeof magic);
    return t;
}

// ---------------------------------------------------------------------------------------------------
// Save

static bool put_state(hid_t file, const hb_trainer *trainer) {
    const hb_search *search = &trainer->search;
    const int64_t format = 1;
    return hb_hdf_put(file, "format", H5T_NATIVE_INT64, &format) && hb_hdf_put_text(file, "version", HB_VERSION) &&
           hb_hdf_put(file, "generation", H5T_NATIVE_INT64, &search->generation) &&
           hb_hdf_put(file, "seed", H5T_NATIVE_INT64, &trainer->settings->seed) &&
           hb_hdf_put(file, "lr", H5T_NATIVE_DOUBLE, &search->lr) &&
           hb_hdf_put(file, "sigma", H5T_NATIVE_DOUBLE, &search->sigma) &&
           hb_hdf_put(file, "best_mean", H5T_NATIVE_DOUBLE, &trainer->best_mean) &&
           hb_hdf_put_text(file, "identity", trainer->config->identity);
}

// Copies an array to the host; the caller frees it.
static hb_status fetch(const hb_search *search, const hb_search_array *array, float **host, hb_error *error) {
    *host = malloc(array->n * sizeof **host);
    if (!*host) return hb_fail(error, HB_FAILED, "out of memory saving '%s'", array->name);
    const hb_status status =
        search->machine->table->download(search->machine->device, *host, array->data, array->n, error);
    if (status != HB_OK) free(*host);
    return status;
}

static hb_status put_arrays(hid_t file, const hb_search *search, hb_error *error) {
    for (int32_t k = 0; k < search->n_arrays; k++) {
        float *host;
        const hb_status status = fetch(search, &search->array[k], &host, error);
        if (status != HB_OK) return status;
        const hsize_t length = search->array[k].n;
        const hid_t type = search->array[k].below ? H5T_NATIVE_UINT32 : H5T_NATIVE_FLOAT;
        const bool ok = hb_hdf_put_array(file, search->array[k].name, type, 1, &length, host);
        free(host);
        if (!ok) return hb_fail(error, HB_FAILED, "HDF5 cannot hold '%s'", search->array[k].name);
    }
    return HB_OK;
}

hb_status hb_checkpoint_save(const hb_trainer *trainer, const char *path, hb_error *error) {
    const hid_t file = hb_hdf_create();
    if (file < 0) return hb_fail(error, HB_FAILED, "%s: HDF5 cannot create it", path);
    void *data = NULL;
    size_t n = 0;
    hb_status status = HB_OK;
    if (!put_state(file, trainer)) status = hb_fail(error, HB_FAILED, "%s: HDF5 cannot hold the state", path);
    if (status == HB_OK) status = put_arrays(file, &trainer->search, error);
    if (status == HB_OK) status = hb_hdf_image(file, sizeof(trailer), &data, &n, error);
    H5Fclose(file);
    if (status == HB_OK) {
        const trailer t = seal(data, n - sizeof t);
        memcpy((char *)data + n - sizeof t, &t, sizeof t);
    }
    if (status == HB_OK) status = hb_file_write(path, data, n, error);
    free(data);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Load

typedef struct {
    int64_t format, generation;
    double lr, sigma, best_mean;
    char identity[HB_IDENTITY];
    float *array[HB_MAX_ARRAYS];
} state;

static hb_status get_state(hid_t file, const hb_trainer *trainer, const char *name, state *s, hb_error *error) {
    if (!hb_hdf_get(file, "format", H5T_NATIVE_INT64, &s->format) || s->format != 1)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected checkpoint format 1, found %lld", name,
                       (long long)s->format);
    if (!hb_hdf_get_text(file, "identity", s->identity, sizeof s->identity))
        return hb_fail(error, HB_BAD_INPUT, "%s: the checkpoint does not say of which configuration it is", name);
    char difference[HB_DIFFERENCE];
    if (hb_config_differs(trainer->config, s->identity, difference))
        return hb_fail(error, HB_BAD_INPUT, "%s: a checkpoint of another configuration: %s", name, difference);
    const bool ok = hb_hdf_get(file, "generation", H5T_NATIVE_INT64, &s->generation) &&
                    hb_hdf_get(file, "lr", H5T_NATIVE_DOUBLE, &s->lr) &&
                    hb_hdf_get(file, "sigma", H5T_NATIVE_DOUBLE, &s->sigma) &&
                    hb_hdf_get(file, "best_mean", H5T_NATIVE_DOUBLE, &s->best_mean);
    if (!ok || s->generation < 0 || s->generation > UINT32_MAX || !isfinite(s->lr) || !isfinite(s->sigma))
        return hb_fail(error, HB_BAD_INPUT, "%s: the checkpoint's attributes are damaged", name);
    for (int32_t k = 0; k < trainer->search.n_arrays; k++) {
        const hb_search_array *array = &trainer->search.array[k];
        s->array[k] = malloc(array->n * sizeof **s->array);
        if (!s->array[k]) return hb_fail(error, HB_FAILED, "out of memory reading %s", name);
        if (!hb_hdf_get_array(file, array->name, array->below > 0, s->array[k], array->n))
            return hb_fail(error, HB_BAD_INPUT, "%s: expected %zu numbers '%s'", name, array->n, array->name);
        for (size_t i = 0; array->below && i < array->n; i++)
            if (hb_integers(s->array[k])[i] >= array->below)
                return hb_fail(error, HB_BAD_INPUT, "%s: expected numbers below %u in '%s'", name, array->below,
                               array->name);
    }
    return HB_OK;
}

static hb_status adopt(hb_trainer *trainer, const state *s, hb_error *error) {
    hb_search *search = &trainer->search;
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const hb_search_array *array = &search->array[k];
        const hb_status status =
            search->machine->table->upload(search->machine->device, array->data, s->array[k], array->n, error);
        if (status != HB_OK) return status;
    }
    search->generation = s->generation;
    search->lr = s->lr;
    search->sigma = s->sigma;
    trainer->best_mean = s->best_mean;
    return HB_OK;
}

hb_status hb_checkpoint_parse(hb_trainer *trainer, const char *name, const void *data, size_t n, hb_error *error) {
    trailer t;
    if (n < sizeof t) return hb_fail(error, HB_BAD_INPUT, "%s: torn: only %zu bytes", name, n);
    const size_t length = n - sizeof t;
    memcpy(&t, (const char *)data + length, sizeof t);
    const trailer expected = seal(data, length);
    if (memcmp(t.magic, magic, sizeof magic) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: torn, or no checkpoint: its last bytes are missing", name);
    if (memcmp(&t, &expected, sizeof t) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: damaged: its checksum does not fit", name);
    const hid_t file = hb_hdf_open(data, length);
    if (file < 0) return hb_fail(error, HB_BAD_INPUT, "%s: not an HDF5 file", name);
    state *s = calloc(1, sizeof *s);
    hb_status status =
        s ? get_state(file, trainer, name, s, error) : hb_fail(error, HB_FAILED, "out of memory reading %s", name);
    H5Fclose(file);
    if (status == HB_OK) status = adopt(trainer, s, error);
    for (int32_t k = 0; s && k < HB_MAX_ARRAYS; k++) free(s->array[k]);
    free(s);
    return status;
}

hb_status hb_checkpoint_load(hb_trainer *trainer, const char *path, hb_error *error) {
    void *data;
    size_t n;
    hb_status status = hb_file_read(path, MOST_BYTES, &data, &n, error);
    if (status != HB_OK) return status;
    status = hb_checkpoint_parse(trainer, path, data, n, error);
    free(data);
    return status;
}

hb_status hb_checkpoint_digest(const hb_trainer *trainer, char digest[33], hb_error *error) {
    const hb_search *search = &trainer->search;
    XXH3_state_t *hash = XXH3_createState();
    if (!hash) return hb_fail(error, HB_FAILED, "out of memory for a digest");
    XXH3_128bits_reset(hash);
    XXH3_128bits_update(hash, &search->generation, sizeof search->generation);
    XXH3_128bits_update(hash, &trainer->settings->seed, sizeof trainer->settings->seed);
    XXH3_128bits_update(hash, &search->lr, sizeof search->lr);
    XXH3_128bits_update(hash, &search->sigma, sizeof search->sigma);
    hb_status status = HB_OK;
    for (int32_t k = 0; k < search->n_arrays && status == HB_OK; k++) {
        float *host;
        status = fetch(search, &search->array[k], &host, error);
        if (status != HB_OK) break;
        XXH3_128bits_update(hash, host, search->array[k].n * sizeof *host);
        free(host);
    }
    const XXH128_hash_t result = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    snprintf(digest, 33, "%016llx%016llx", (unsigned long long)result.high64, (unsigned long long)result.low64);
    return status;
}
