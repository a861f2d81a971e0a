// HDF5 files that are built and read in memory: a full disk or a torn file never reaches the HDF5 library.
#ifndef HB_HDF5_H
#define HB_HDF5_H

#include "kernels/error.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

// HDF5 is not thread-safe everywhere (Debian's is not): whoever uses it, from the first call to the last, holds this lock.
void hb_hdf_lock(void);
void hb_hdf_unlock(void);

// A new, empty file in memory, or one over n bytes that must outlive it; negative on failure. Close with H5Fclose.
hid_t hb_hdf_create(void);
hid_t hb_hdf_open(const void *data, size_t n);

// The file's bytes, with `spare` more behind them that the caller fills; the caller frees *data. *n counts both.
hb_status hb_hdf_image(hid_t file, size_t spare, void **data, size_t *n, hb_error *error);

// Adds a dataset of that shape, or an attribute: scalar, or a text of fixed length.
bool hb_hdf_put_array(hid_t place, const char *name, hid_t type, int rank, const hsize_t *shape, const void *data);

// The same of n numbers of 32 bits, in parts of at most HB_HDF_PART: part(context, begin, count, data, error) fills count of
// them. Above HB_HDF_LONG, 1 GB, they are compressed: slow, but so long an array is mostly zeros, and would not fit memory
// otherwise. Returns a failure of `part`.
#define HB_HDF_PART ((size_t)1 << 20)
#define HB_HDF_LONG ((size_t)1 << 28)
typedef hb_status hb_hdf_part(void *context, size_t begin, size_t count, void *data, hb_error *error);
hb_status hb_hdf_put_parts(hid_t place, const char *name, bool integers, size_t n, hb_hdf_part *part, void *context,
                           hb_error *error);
bool hb_hdf_put(hid_t place, const char *name, hid_t type, const void *value);
bool hb_hdf_put_text(hid_t place, const char *name, const char *text);

// Reads a scalar attribute of the class that `type` has, or a text of at most n - 1 letters; false where there is none such.
bool hb_hdf_get(hid_t place, const char *name, hid_t type, void *value);
bool hb_hdf_get_text(hid_t place, const char *name, char *text, size_t n);

// True if there is a dataset of exactly n integers, or floats. get_parts reads such a dataset part by part.
bool hb_hdf_has_array(hid_t place, const char *name, bool integers, size_t n);
hb_status hb_hdf_get_parts(hid_t place, const char *name, bool integers, size_t n, hb_hdf_part *part, void *context,
                           hb_error *error);

#endif
