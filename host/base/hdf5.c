#include "host/base/hdf5.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static H5E_auto2_t printer; // of whoever else uses HDF5 in this process
static void *printer_data;

// Errors are reported by status; HDF5 must not print.
void hb_hdf_lock(void) {
    pthread_mutex_lock(&lock);
    H5Eget_auto2(H5E_DEFAULT, &printer, &printer_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void hb_hdf_unlock(void) {
    H5Eset_auto2(H5E_DEFAULT, printer, printer_data);
    pthread_mutex_unlock(&lock);
}

static hid_t memory_access(void) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, 0);
    return access;
}

// The name of a file in memory is never opened on disk.
hid_t hb_hdf_create(void) {
    const hid_t access = memory_access();
    const hid_t file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    return file;
}

hid_t hb_hdf_open(const void *data, size_t n) {
    const hid_t access = memory_access();
    H5Pset_file_image(access, (void *)(uintptr_t)data, n);
    const hid_t file = H5Fopen("memory", H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

hb_status hb_hdf_image(hid_t file, size_t spare, void **data, size_t *n, hb_error *error) {
    const ssize_t size = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    char *bytes = size < 0 ? NULL : malloc((size_t)size + spare);
    if (!bytes || H5Fget_file_image(file, bytes, (size_t)size) != size) {
        free(bytes);
        return hb_fail(error, HB_FAILED, "HDF5 cannot build the file");
    }
    *data = bytes;
    *n = (size_t)size + spare;
    return HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// Put

bool hb_hdf_put_array(hid_t place, const char *name, hid_t type, int rank, const hsize_t *shape, const void *data) {
    const hid_t space = H5Screate_simple(rank, shape, NULL);
    const hid_t set = H5Dcreate2(place, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    return ok;
}

// Writes or reads numbers begin.. of a dataset.
static bool move_part(hid_t set, bool write, bool integers, size_t begin, size_t count, void *data) {
    const hsize_t at = begin, n = count;
    const hid_t type = integers ? H5T_NATIVE_UINT32 : H5T_NATIVE_FLOAT;
    const hid_t file = H5Dget_space(set), memory = H5Screate_simple(1, &n, NULL);
    H5Sselect_hyperslab(file, H5S_SELECT_SET, &at, NULL, &n, NULL);
    const herr_t done = write ? H5Dwrite(set, type, memory, file, H5P_DEFAULT, data)
                              : H5Dread(set, type, memory, file, H5P_DEFAULT, data);
    H5Sclose(memory);
    H5Sclose(file);
    return done >= 0;
}

hb_status hb_hdf_put_parts(hid_t place, const char *name, bool integers, size_t n, hb_hdf_part *part, void *context,
                           hb_error *error) {
    const hsize_t length = n, chunk = HB_HDF_PART;
    const hid_t space = H5Screate_simple(1, &length, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    if (n > HB_HDF_LONG) {
        H5Pset_chunk(how, 1, &chunk);
        H5Pset_shuffle(how);
        H5Pset_deflate(how, 1);
    }
    const hid_t set = H5Dcreate2(place, name, integers ? H5T_NATIVE_UINT32 : H5T_NATIVE_FLOAT, space, H5P_DEFAULT,
                                 how, H5P_DEFAULT);
    H5Pclose(how);
    H5Sclose(space);
    void *data = malloc(HB_HDF_PART * 4);
    hb_status status = set >= 0 && data ? HB_OK : hb_fail(error, HB_FAILED, "HDF5 cannot hold '%s'", name);
    for (size_t begin = 0; begin < n && status == HB_OK; begin += HB_HDF_PART) {
        const size_t count = n - begin < HB_HDF_PART ? n - begin : HB_HDF_PART;
        status = part(context, begin, count, data, error);
        if (status == HB_OK && !move_part(set, true, integers, begin, count, data))
            status = hb_fail(error, HB_FAILED, "HDF5 cannot hold '%s'", name);
    }
    free(data);
    if (set >= 0) H5Dclose(set);
    return status;
}

bool hb_hdf_put(hid_t place, const char *name, hid_t type, const void *value) {
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(place, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    return ok;
}

bool hb_hdf_put_text(hid_t place, const char *name, const char *text) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    const bool ok = hb_hdf_put(place, name, type, text);
    H5Tclose(type);
    return ok;
}

// ---------------------------------------------------------------------------------------------------
// Get

bool hb_hdf_get(hid_t place, const char *name, hid_t type, void *value) {
    if (H5Aexists(place, name) <= 0) return false;
    const hid_t attribute = H5Aopen(place, name, H5P_DEFAULT);
    if (attribute < 0) return false;
    const hid_t space = H5Aget_space(attribute), found = H5Aget_type(attribute);
    const bool ok = H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(found) == H5Tget_class(type) &&
                    H5Aread(attribute, type, value) >= 0;
    H5Tclose(found);
    H5Sclose(space);
    H5Aclose(attribute);
    return ok;
}

bool hb_hdf_get_text(hid_t place, const char *name, char *text, size_t n) {
    memset(text, 0, n);
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, n);
    const bool ok = hb_hdf_get(place, name, type, text);
    H5Tclose(type);
    return ok && memchr(text, '\0', n);
}

bool hb_hdf_has_array(hid_t place, const char *name, bool integers, size_t n) {
    if (H5Lexists(place, name, H5P_DEFAULT) <= 0) return false;
    const hid_t set = H5Dopen2(place, name, H5P_DEFAULT);
    if (set < 0) return false;
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    const bool ok = H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_npoints(space) == (hssize_t)n &&
                    H5Tget_class(type) == (integers ? H5T_INTEGER : H5T_FLOAT);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return ok;
}

hb_status hb_hdf_get_parts(hid_t place, const char *name, bool integers, size_t n, hb_hdf_part *part, void *context,
                           hb_error *error) {
    const hid_t set = H5Dopen2(place, name, H5P_DEFAULT);
    void *data = malloc(HB_HDF_PART * 4);
    hb_status status = set >= 0 && data ? HB_OK : hb_fail(error, HB_FAILED, "HDF5 cannot read '%s'", name);
    for (size_t begin = 0; begin < n && status == HB_OK; begin += HB_HDF_PART) {
        const size_t count = n - begin < HB_HDF_PART ? n - begin : HB_HDF_PART;
        if (!move_part(set, false, integers, begin, count, data))
            status = hb_fail(error, HB_BAD_INPUT, "HDF5 cannot read '%s'", name);
        if (status == HB_OK) status = part(context, begin, count, data, error);
    }
    free(data);
    if (set >= 0) H5Dclose(set);
    return status;
}
