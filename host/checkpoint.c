#include "host/checkpoint.h"
#include "host/files.h"
#include "host/hebbes.h"

#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MOST_BYTES ((size_t)1 << 36)
#define IDENTITY   8192

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
// Scalars, as attributes

static bool put(hid_t file, const char *name, hid_t type, const void *value) {
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    return ok;
}

static bool put_text(hid_t file, const char *name, const char *text) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    const bool ok = put(file, name, type, text);
    H5Tclose(type);
    return ok;
}

// A scalar attribute of the class and size that `type` has; anything else is refused.
static bool get(hid_t file, const char *name, hid_t type, void *value) {
    if (H5Aexists(file, name) <= 0) return false;
    const hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    if (attribute < 0) return false;
    const hid_t space = H5Aget_space(attribute), found = H5Aget_type(attribute);
    const bool ok = H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(found) == H5Tget_class(type) &&
                    H5Aread(attribute, type, value) >= 0;
    H5Tclose(found);
    H5Sclose(space);
    H5Aclose(attribute);
    return ok;
}

static bool get_text(hid_t file, const char *name, char *text, size_t n) {
    memset(text, 0, n);
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, n);
    const bool ok = get(file, name, type, text);
    H5Tclose(type);
    return ok && memchr(text, '\0', n);
}

// ---------------------------------------------------------------------------------------------------
// Save

static bool put_array(hid_t file, const hb_search_array *array, const float *host) {
    const hsize_t n = array->n;
    const hid_t space = H5Screate_simple(1, &n, NULL);
    const hid_t set =
        H5Dcreate2(file, array->name, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, host) >= 0;
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    return ok;
}

static bool put_state(hid_t file, const hb_trainer *trainer) {
    const hb_search *search = &trainer->search;
    char identity[IDENTITY];
    hb_config_identity(trainer->config, identity, sizeof identity);
    const int64_t format = 1;
    return put(file, "format", H5T_NATIVE_INT64, &format) && put_text(file, "version", HB_VERSION) &&
           put(file, "generation", H5T_NATIVE_INT64, &search->generation) &&
           put(file, "seed", H5T_NATIVE_INT64, &trainer->settings->seed) &&
           put(file, "lr", H5T_NATIVE_DOUBLE, &search->lr) &&
           put(file, "sigma", H5T_NATIVE_DOUBLE, &search->sigma) &&
           put(file, "best_mean", H5T_NATIVE_DOUBLE, &trainer->best_mean) &&
           put_text(file, "identity", identity);
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
        const bool ok = put_array(file, &search->array[k], host);
        free(host);
        if (!ok) return hb_fail(error, HB_FAILED, "HDF5 cannot hold '%s'", search->array[k].name);
    }
    return HB_OK;
}

// The file's bytes with their trailer; the caller frees them.
static hb_status image_of(hid_t file, void **data, size_t *n, hb_error *error) {
    const ssize_t size = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    char *bytes = size < 0 ? NULL : malloc((size_t)size + sizeof(trailer));
    if (!bytes || H5Fget_file_image(file, bytes, (size_t)size) != size) {
        free(bytes);
        return hb_fail(error, HB_FAILED, "HDF5 cannot build the checkpoint");
    }
    const trailer t = seal(bytes, (size_t)size);
    memcpy(bytes + size, &t, sizeof t);
    *data = bytes;
    *n = (size_t)size + sizeof t;
    return HB_OK;
}

// A file in memory: nothing on disk is opened under that name.
static hid_t memory_access(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); // its errors are ours to tell
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    return access;
}

hb_status hb_checkpoint_save(const hb_trainer *trainer, const char *path, hb_error *error) {
    const hid_t access = memory_access();
    const hid_t file = H5Fcreate("checkpoint", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    if (file < 0) return hb_fail(error, HB_FAILED, "%s: HDF5 cannot create it", path);
    void *data = NULL;
    size_t n = 0;
    hb_status status = HB_OK;
    if (!put_state(file, trainer)) status = hb_fail(error, HB_FAILED, "%s: HDF5 cannot hold the state", path);
    if (status == HB_OK) status = put_arrays(file, &trainer->search, error);
    if (status == HB_OK) status = image_of(file, &data, &n, error);
    H5Fclose(file);
    if (status == HB_OK) status = hb_file_write(path, data, n, error);
    free(data);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Load

typedef struct {
    int64_t format, generation, seed;
    double lr, sigma, best_mean;
    char identity[IDENTITY];
    float *array[HB_MAX_ARRAYS];
} state;

static bool get_array(hid_t file, const hb_search_array *array, float **host) {
    if (H5Lexists(file, array->name, H5P_DEFAULT) <= 0) return false;
    const hid_t set = H5Dopen2(file, array->name, H5P_DEFAULT);
    if (set < 0) return false;
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    bool ok = H5Sget_simple_extent_npoints(space) == (hssize_t)array->n && H5Tget_class(type) == H5T_FLOAT;
    *host = ok ? malloc(array->n * sizeof **host) : NULL;
    ok = *host && H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, *host) >= 0;
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return ok;
}

// The first line in which the checkpoint's identity differs from the configuration's.
static void first_difference(const char *ours, const char *theirs, char *out, size_t n) {
    while (*ours && *theirs) {
        const size_t a = strcspn(ours, "\n"), b = strcspn(theirs, "\n");
        if (a != b || memcmp(ours, theirs, a) != 0) break;
        ours += a + (ours[a] == '\n');
        theirs += b + (theirs[b] == '\n');
    }
    snprintf(out, n, "expected %.*s, found %.*s", (int)strcspn(ours, "\n"), *ours ? ours : "nothing",
             (int)strcspn(theirs, "\n"), *theirs ? theirs : "nothing");
}

static hb_status get_state(hid_t file, const hb_trainer *trainer, const char *name, state *s,
                           hb_error *error) {
    if (!get(file, "format", H5T_NATIVE_INT64, &s->format) || s->format != 1)
        return hb_fail(error, HB_BAD_INPUT, "%s: expected checkpoint format 1, found %lld", name,
                       (long long)s->format);
    if (!get_text(file, "identity", s->identity, sizeof s->identity))
        return hb_fail(error, HB_BAD_INPUT, "%s: the checkpoint does not say of which configuration it is",
                       name);
    char ours[IDENTITY], difference[512];
    hb_config_identity(trainer->config, ours, sizeof ours);
    first_difference(ours, s->identity, difference, sizeof difference);
    if (strcmp(ours, s->identity) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: a checkpoint of another configuration: %s", name,
                       difference);
    const bool ok = get(file, "generation", H5T_NATIVE_INT64, &s->generation) &&
                    get(file, "lr", H5T_NATIVE_DOUBLE, &s->lr) &&
                    get(file, "sigma", H5T_NATIVE_DOUBLE, &s->sigma) &&
                    get(file, "best_mean", H5T_NATIVE_DOUBLE, &s->best_mean);
    if (!ok || s->generation < 0 || s->generation > UINT32_MAX || !isfinite(s->lr) || !isfinite(s->sigma))
        return hb_fail(error, HB_BAD_INPUT, "%s: the checkpoint's attributes are damaged", name);
    for (int32_t k = 0; k < trainer->search.n_arrays; k++)
        if (!get_array(file, &trainer->search.array[k], &s->array[k]))
            return hb_fail(error, HB_BAD_INPUT, "%s: expected %zu numbers '%s'", name,
                           trainer->search.array[k].n, trainer->search.array[k].name);
    return HB_OK;
}

static hb_status adopt(hb_trainer *trainer, const state *s, hb_error *error) {
    hb_search *search = &trainer->search;
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const hb_search_array *array = &search->array[k];
        const hb_status status = search->machine->table->upload(search->machine->device, array->data,
                                                                s->array[k], array->n, error);
        if (status != HB_OK) return status;
    }
    search->generation = s->generation;
    search->lr = s->lr;
    search->sigma = s->sigma;
    trainer->best_mean = s->best_mean;
    return HB_OK;
}

hb_status hb_checkpoint_parse(hb_trainer *trainer, const char *name, const void *data, size_t n,
                              hb_error *error) {
    trailer t;
    if (n < sizeof t) return hb_fail(error, HB_BAD_INPUT, "%s: torn: only %zu bytes", name, n);
    const size_t length = n - sizeof t;
    memcpy(&t, (const char *)data + length, sizeof t);
    const trailer expected = seal(data, length);
    if (memcmp(t.magic, magic, sizeof magic) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: torn, or no checkpoint: its last bytes are missing", name);
    if (memcmp(&t, &expected, sizeof t) != 0)
        return hb_fail(error, HB_BAD_INPUT, "%s: damaged: its checksum does not fit", name);
    const hid_t access = memory_access();
    H5Pset_file_image(access, (void *)(uintptr_t)data, length);
    const hid_t file = H5Fopen("checkpoint", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file < 0) return hb_fail(error, HB_BAD_INPUT, "%s: not an HDF5 file", name);
    state *s = calloc(1, sizeof *s);
    hb_status status = s ? get_state(file, trainer, name, s, error)
                         : hb_fail(error, HB_FAILED, "out of memory reading %s", name);
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
    snprintf(digest, 33, "%016llx%016llx", (unsigned long long)result.high64,
             (unsigned long long)result.low64);
    return status;
}
