// HDF5 files that are built and read in memory: a full disk or a torn file never reaches the HDF5 library.
#ifndef HB_HDF_H
#define HB_HDF_H

#include "kernels/status.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

// A new, empty file in memory, or one over n bytes that must outlive it; negative on failure. Close with H5Fclose.
hid_t hb_hdf_create(void);
hid_t hb_hdf_open(const void *data, size_t n);

// The file's bytes, with `spare` more behind them that the caller fills; the caller frees *data. *n counts both.
hb_status hb_hdf_image(hid_t file, size_t spare, void **data, size_t *n, hb_error *error);

// Adds a dataset of that shape, or an attribute: scalar, or a text of fixed length.
bool hb_hdf_put_array(hid_t place, const char *name, hid_t type, int rank, const hsize_t *shape, const void *data);
bool hb_hdf_put(hid_t place, const char *name, hid_t type, const void *value);
bool hb_hdf_put_text(hid_t place, const char *name, const char *text);

// Reads a scalar attribute of the class that `type` has, a text of at most n - 1 letters, or a dataset of
// exactly n numbers (float32, or, as integers, uint32); false where there is none such.
bool hb_hdf_get(hid_t place, const char *name, hid_t type, void *value);
bool hb_hdf_get_text(hid_t place, const char *name, char *text, size_t n);
bool hb_hdf_get_array(hid_t place, const char *name, bool integers, void *data, size_t n);

#endif
