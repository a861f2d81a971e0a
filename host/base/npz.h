// NumPy's archives: a ZIP file, uncompressed, of arrays in the .npy format (NumPy Enhancement Proposal 1), which numpy.load reads.
#ifndef HB_NPZ_H
#define HB_NPZ_H

#include "kernels/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct hb_npz hb_npz;

// An empty archive in memory; NULL when out of memory. hb_npz_close frees it and accepts NULL.
hb_npz *hb_npz_create(void);
void hb_npz_close(hb_npz *npz);

// Adds the array `name`: of floats, row by row, of `rank` (at most 8) dimensions; or one of n texts. A failure is kept until hb_npz_write.
void hb_npz_add(hb_npz *npz, const char *name, int rank, const int64_t *shape, const float *data);
void hb_npz_add_texts(hb_npz *npz, const char *name, int n, const char *const *texts);

// Writes the archive as hb_file_write does.
hb_status hb_npz_write(hb_npz *npz, const char *path, hb_error *error);

#endif
