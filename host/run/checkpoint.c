#include "host/run/checkpoint.h"
#include "host/base/files.h"
#include "host/base/hdf5.h"
#include "host/hebbes.h"
#include "host/search/rows.h"

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
           hb_hdf_put(file, "seed", H5T_NATIVE_INT64, &trainer->settings->run.seed) &&
           hb_hdf_put(file, "lr", H5T_NATIVE_DOUBLE, &search->lr) &&
           hb_hdf_put(file, "sigma", H5T_NATIVE_DOUBLE, &search->sigma) &&
           hb_hdf_put(file, "best_mean", H5T_NATIVE_DOUBLE, &trainer->best_mean) &&
           hb_hdf_put_text(file, "identity", trainer->config->identity);
}

// An array that is saved or loaded in parts: a copy of the whole may not fit memory.
typedef struct {
    const hb_search *search;
    const hb_search_array *array;
    const char *name; // of the checkpoint
} transfer;

static hb_status fetch_part(void *context, size_t begin, size_t count, void *data, hb_error *error) {
    const transfer *t = context;
    if (t->array->is_spread) return hb_rows_gather(t->search, t->array, begin, count, data, error);
    return hb_device_download(t->search->machine->device, data, hb_memory_at(t->array->data, begin), count, error);
}

// The same, but a state that is not finite is never saved: the last good checkpoint stays.
static hb_status fetch_finite_part(void *context, size_t begin, size_t count, void *data, hb_error *error) {
    const transfer *t = context;
    const hb_status status = fetch_part(context, begin, count, data, error);
    if (status != HB_OK || t->array->below > 0) return status;
    const float *number = data;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(number[i]))
            return hb_fail(
                error, HB_FAILED,
                "the search's '%s' is not finite after generation %lld (number %zu is %g): its step was too "
                "large (search.lr, search.sigma%s); the last good checkpoint stays",
                t->array->name, (long long)t->search->generation, begin + i, (double)number[i],
                t->search->settings->optimiser == HB_ADAM ? ", search.epsilon" : "");
    return HB_OK;
}

static hb_status put_arrays(hid_t file, const hb_search *search, hb_error *error) {
    hb_status status = HB_OK;
    for (int32_t k = 0; k < search->n_arrays && status == HB_OK; k++) {
        const hb_search_array *array = &search->array[k];
        transfer t = {.search = search, .array = array};
        status = hb_hdf_put_parts(file, array->name, array->below > 0, array->whole, fetch_finite_part, &t, error);
    }
    return status;
}

hb_status hb_checkpoint_give(const hb_trainer *trainer, hb_error *error) {
    const hb_search *search = &trainer->search;
    hb_status status = HB_OK;
    float *data = malloc(HB_HDF_PART * sizeof *data);
    if (!data) return hb_fail(error, HB_FAILED, "out of memory saving the search");
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const hb_search_array *array = &search->array[k];
        for (size_t begin = 0; array->is_spread && begin < array->whole && status == HB_OK; begin += HB_HDF_PART)
            status =
                hb_rows_gather(search, array, begin,
                               array->whole - begin < HB_HDF_PART ? array->whole - begin : HB_HDF_PART, data, error);
    }
    free(data);
    return status;
}

// The file's bytes with room for the trailer.
static hb_status make_image(const hb_trainer *trainer, const char *path, void **data, size_t *n, hb_error *error) {
    hb_hdf_lock();
    const hid_t file = hb_hdf_create();
    hb_status status = file < 0 ? hb_fail(error, HB_FAILED, "%s: HDF5 cannot create it", path) : HB_OK;
    if (status == HB_OK && !put_state(file, trainer))
        status = hb_fail(error, HB_FAILED, "%s: HDF5 cannot hold the state", path);
    if (status == HB_OK) status = put_arrays(file, &trainer->search, error);
    if (status == HB_OK) status = hb_hdf_image(file, sizeof(trailer), data, n, error);
    if (file >= 0) H5Fclose(file);
    hb_hdf_unlock();
    return status;
}

hb_status hb_checkpoint_save(const hb_trainer *trainer, const char *path, hb_error *error) {
    void *data = NULL;
    size_t n = 0;
    hb_status status = make_image(trainer, path, &data, &n, error);
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
} state;

static hb_status check_part(void *context, size_t begin, size_t count, void *data, hb_error *error) {
    (void)begin;
    const transfer *t = context;
    const uint32_t *integer = data;
    for (size_t i = 0; i < count; i++)
        if (integer[i] >= t->array->below)
            return hb_fail(error, HB_BAD_INPUT, "%s: expected numbers below %u in '%s'", t->name, t->array->below,
                           t->array->name);
    return HB_OK;
}

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
    if (!ok || s->generation < 0 || s->generation > UINT32_MAX || !(s->lr >= 0 && isfinite(s->lr)) ||
        !(s->sigma >= 0 && isfinite(s->sigma)) || isnan(s->best_mean))
        return hb_fail(error, HB_BAD_INPUT, "%s: the checkpoint's attributes are damaged", name);
    for (int32_t k = 0; k < trainer->search.n_arrays; k++) {
        const hb_search_array *array = &trainer->search.array[k];
        if (!hb_hdf_has_array(file, array->name, array->below > 0, array->whole))
            return hb_fail(error, HB_BAD_INPUT, "%s: expected %zu numbers '%s'", name, array->whole, array->name);
        transfer t = {.array = array, .name = name};
        if (array->below == 0) continue;
        const hb_status status = hb_hdf_get_parts(file, array->name, true, array->whole, check_part, &t, error);
        if (status != HB_OK) return status;
    }
    return HB_OK;
}

static hb_status adopt_part(void *context, size_t begin, size_t count, void *data, hb_error *error) {
    const transfer *t = context;
    return hb_rows_scatter(t->search, t->array, begin, count, data, error);
}

static hb_status adopt(hb_trainer *trainer, hid_t file, const state *s, hb_error *error) {
    hb_search *search = &trainer->search;
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const hb_search_array *array = &search->array[k];
        transfer t = {.search = search, .array = array};
        const hb_status status =
            hb_hdf_get_parts(file, array->name, array->below > 0, array->whole, adopt_part, &t, error);
        if (status != HB_OK) return status;
    }
    search->generation = s->generation;
    search->lr = s->lr;
    search->sigma = s->sigma;
    trainer->best_mean = s->best_mean;
    return HB_OK;
}

// Checks the trailer behind `length` bytes.
static hb_status check_seal(const char *name, const void *data, size_t n, size_t *length, trailer *t,
                            hb_error *error) {
    if (n < sizeof *t) return hb_fail(error, HB_BAD_INPUT, "%s: torn: only %zu bytes", name, n);
    *length = n - sizeof *t;
    memcpy(t, (const char *)data + *length, sizeof *t);
    const trailer expected = seal(data, *length);
    if (memcmp(t->magic, magic, sizeof magic) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: torn, or no checkpoint: its last bytes are missing", name);
    if (memcmp(t, &expected, sizeof *t) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: damaged: its checksum does not fit", name);
    return HB_OK;
}

hb_status hb_checkpoint_parse(hb_trainer *trainer, const char *name, const void *data, size_t n, hb_error *error) {
    size_t length;
    trailer t;
    hb_status status = check_seal(name, data, n, &length, &t, error);
    if (status != HB_OK) return status;
    hb_hdf_lock();
    const hid_t file = hb_hdf_open(data, length);
    state *s = calloc(1, sizeof *s);
    if (file < 0) status = hb_fail(error, HB_BAD_INPUT, "%s: not an HDF5 file", name);
    if (status == HB_OK && !s) status = hb_fail(error, HB_FAILED, "out of memory reading %s", name);
    if (status == HB_OK) status = get_state(file, trainer, name, s, error);
    if (status == HB_OK) status = adopt(trainer, file, s, error);
    if (file >= 0) H5Fclose(file);
    hb_hdf_unlock();
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
    if (status == HB_OK) snprintf(trainer->loaded, sizeof trainer->loaded, "%s", path);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Start

// The file's bytes, whose seal fits, and its checksum. The caller frees *data.
static hb_status read_sealed(const char *path, void **data, size_t *length, char digest[33], hb_error *error) {
    size_t n;
    trailer t;
    hb_status status = hb_file_read(path, MOST_BYTES, data, &n, error);
    if (status != HB_OK) return status;
    status = check_seal(path, *data, n, length, &t, error);
    if (status == HB_OK)
        snprintf(digest, 33, "%016llx%016llx", (unsigned long long)t.high, (unsigned long long)t.low);
    else
        free(*data);
    return status;
}

hb_status hb_checkpoint_seal(const char *path, char digest[33], hb_error *error) {
    void *data;
    size_t length;
    const hb_status status = read_sealed(path, &data, &length, digest, error);
    if (status == HB_OK) free(data);
    return status;
}

static hb_status start_arrays(hb_trainer *trainer, hid_t file, const char *path, hb_error *error) {
    hb_search *search = &trainer->search;
    hb_status status = HB_OK;
    for (int32_t k = 0; k < search->n_arrays && status == HB_OK; k++) {
        const hb_search_array *array = &search->array[k];
        transfer t = {.search = search, .array = array, .name = path};
        if (hb_search_is_moment(array) || array->role == HB_ARRAY_ANEW) continue;
        const bool there = hb_hdf_has_array(file, array->name, array->below > 0, array->whole);
        if (!there && array->role == HB_ARRAY_OPTIONAL) continue;
        if (array->role == HB_ARRAY_OPTIONAL &&
            !hb_hdf_get(file, "sigma", H5T_NATIVE_DOUBLE, &search->sigma)) // their unit
            return hb_fail(error, HB_BAD_INPUT, "run.from: %s: expected 'sigma', found none", path);
        if (!there)
            return hb_fail(error, HB_BAD_INPUT, "run.from: %s: expected %zu numbers '%s', as this search has", path,
                           array->whole, array->name);
        if (array->below > 0) status = hb_hdf_get_parts(file, array->name, true, array->whole, check_part, &t, error);
        if (status == HB_OK)
            status = hb_hdf_get_parts(file, array->name, array->below > 0, array->whole, adopt_part, &t, error);
    }
    return status;
}

static hb_status compare_meaning(const hb_trainer *trainer, hid_t file, char difference[HB_DIFFERENCE],
                                 hb_error *error) {
    char *identity = malloc(HB_IDENTITY);
    if (!identity) return hb_fail(error, HB_FAILED, "out of memory reading a checkpoint");
    if (hb_hdf_get_text(file, "identity", identity, HB_IDENTITY))
        hb_config_other_meaning(trainer->config, identity, difference);
    free(identity);
    return HB_OK;
}

hb_status hb_checkpoint_start(hb_trainer *trainer, const char *path, const char *digest,
                              char difference[HB_DIFFERENCE], hb_error *error) {
    void *data;
    size_t length;
    char found[33];
    hb_status status = read_sealed(path, &data, &length, found, error);
    if (status != HB_OK) return status;
    if (strcmp(found, digest) != 0) {
        status = hb_fail(error, HB_BAD_INPUT, "run.from_digest: expected %s, found '%s'; train --from writes it",
                         found, digest);
    } else {
        hb_hdf_lock();
        const hid_t file = hb_hdf_open(data, length);
        status = file < 0 ? hb_fail(error, HB_BAD_INPUT, "%s: not an HDF5 file", path)
                          : start_arrays(trainer, file, path, error);
        difference[0] = '\0';
        if (status == HB_OK) status = compare_meaning(trainer, file, difference, error);
        if (file >= 0) H5Fclose(file);
        hb_hdf_unlock();
    }
    free(data);
    return status;
}

static hb_status hash_arrays(const hb_search *search, XXH3_state_t *hash, float *data, hb_error *error) {
    for (int32_t k = 0; k < search->n_arrays; k++) {
        transfer t = {.search = search, .array = &search->array[k]};
        const size_t n = t.array->whole;
        for (size_t begin = 0; begin < n; begin += HB_HDF_PART) {
            const size_t count = n - begin < HB_HDF_PART ? n - begin : HB_HDF_PART;
            const hb_status status = fetch_part(&t, begin, count, data, error);
            if (status != HB_OK) return status;
            XXH3_128bits_update(hash, data, count * sizeof *data);
        }
    }
    return HB_OK;
}

hb_status hb_checkpoint_digest(const hb_trainer *trainer, char digest[33], hb_error *error) {
    const hb_search *search = &trainer->search;
    XXH3_state_t *hash = XXH3_createState();
    float *data = malloc(HB_HDF_PART * sizeof *data);
    if (!hash || !data) {
        XXH3_freeState(hash);
        free(data);
        return hb_fail(error, HB_FAILED, "out of memory for a digest");
    }
    XXH3_128bits_reset(hash);
    XXH3_128bits_update(hash, &search->generation, sizeof search->generation);
    XXH3_128bits_update(hash, &trainer->settings->run.seed, sizeof trainer->settings->run.seed);
    XXH3_128bits_update(hash, &search->lr, sizeof search->lr);
    XXH3_128bits_update(hash, &search->sigma, sizeof search->sigma);
    const hb_status status = hash_arrays(search, hash, data, error);
    const XXH128_hash_t result = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    free(data);
    snprintf(digest, 33, "%016llx%016llx", (unsigned long long)result.high64, (unsigned long long)result.low64);
    return status;
}
