// Files that appear whole or not at all.
#ifndef HB_FILES_H
#define HB_FILES_H

#include "kernels/error.h"

#include <stdbool.h>
#include <stddef.h>

#define HB_PATH    4096
#define HB_PARTIAL ".part" // behind the name of a file under way

// Writes n bytes to `path` so that a reader, or the machine after a crash, finds either the old file or the
// new one: a temporary name beside it, fsync, rename, fsync of the folder. On failure the old file is
// untouched, the temporary one gone.
hb_status hb_file_write(const char *path, const void *data, size_t n, hb_error *error);

// Makes a folder of results appear whole or not at all: begin makes a new folder `part` beside `out`, which must not exist; finish
// renames it to `out`, or, where status is not HB_OK, removes it with the files in it. A folder that a killed process left is taken
// over. finish returns status, or its own failure.
hb_status hb_folder_begin(const char *out, char part[HB_PATH], hb_error *error);
hb_status hb_folder_finish(const char *part, const char *out, hb_status status, hb_error *error);

// True if the file at `path` has an end, as a file of the kind that `name` ends with has one (.png, .svg, .gif, .mp4); of any other
// kind: if it holds anything.
bool hb_file_is_whole(const char *path, const char *name);

// The same for one file that another program writes: renames `part` to `out` if it is whole, else removes it.
hb_status hb_file_finish(const char *part, const char *out, hb_status status, hb_error *error);

// Reads a whole file of at most `most` bytes; the caller frees *data, which has a 0 byte behind its end.
hb_status hb_file_read(const char *path, size_t most, void **data, size_t *n, hb_error *error);

// True if `text` is longer than `ending` and ends with it, as file names do with ".png".
bool hb_ends_with(const char *text, const char *ending);

// Joins folder and name into path (HB_PATH); a path too long is cut and will not exist.
void hb_path(char path[HB_PATH], const char *folder, const char *name);

#endif
