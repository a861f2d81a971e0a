// Checkpoints: the state of a search as an HDF5 file, with a checksum behind it.
//
// Layout: attributes format, version, generation, seed, lr, sigma, best_mean, identity (the keys that decide
// the bits); one dataset per array of the search, float32 or uint32, in compressed chunks above 1 GB. After HDF5's end
// follow 32 bytes: "HEBBES\0\1", the length of the HDF5 part as uint64, its XXH3-128, little-endian; HDF5 readers ignore
// them. A torn or altered file is refused before HDF5 sees it.
#ifndef HB_CHECKPOINT_H
#define HB_CHECKPOINT_H

#include "host/train/trainer.h"

// Saves the trainer's state to `path` (atomically, see files.h). Where arrays are spread over ranks, the other ranks give theirs meanwhile.
hb_status hb_checkpoint_save(const hb_trainer *trainer, const char *path, hb_error *error);
hb_status hb_checkpoint_give(const hb_trainer *trainer, hb_error *error);

// The checksum of the file as 32 hexadecimal digits. HB_OK if the file is whole: its length and checksum are those that it was written
// with; what it holds is not looked at.
hb_status hb_checkpoint_seal(const char *path, char digest[33], hb_error *error);

// Starts the trainer's search from the arrays of another run's checkpoint, which must have the same names and lengths; Adam's moments
// stay 0. difference: of hb_config_other_meaning. Fails with HB_BAD_INPUT unless the checkpoint has that digest.
hb_status hb_checkpoint_start(hb_trainer *trainer, const char *path, const char *digest,
                              char difference[HB_DIFFERENCE], hb_error *error);

// Puts a checkpoint's state into the trainer. HB_BAD_INPUT on a torn file or one of another configuration;
// the trainer is unchanged then. trainer->loaded names the file that was loaded.
hb_status hb_checkpoint_load(hb_trainer *trainer, const char *path, hb_error *error);

// The same from n bytes in memory; `name` stands for the file in messages.
hb_status hb_checkpoint_parse(hb_trainer *trainer, const char *name, const void *data, size_t n, hb_error *error);

// 32 hexadecimal digits: XXH3-128 of generation, seed, lr, sigma and every array of the search, in that order.
hb_status hb_checkpoint_digest(const hb_trainer *trainer, char digest[33], hb_error *error);

#endif
