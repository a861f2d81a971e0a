// A run's folder: where it is, what stands in it, and what an interrupted start leaves there.
#ifndef HB_FOLDER_H
#define HB_FOLDER_H

#include "host/base/files.h"
#include "host/config/config.h"

#include <dirent.h>

// Makes a folder, with its parents. Fails with HB_BAD_INPUT if it exists; for a run the message says how to resume it.
hb_status hb_folder_make(const char *path, hb_error *error);

// The folder that run.out names.
void hb_folder_named(const hb_config *config, char folder[HB_PATH]);

// Makes the first of runs/NAME-seedS, runs/NAME-seedS-2, ... that does not exist, in one step, so that two processes never get the
// same one.
hb_status hb_folder_claim(const hb_config *config, char folder[HB_PATH], hb_error *error);

// The run's checkpoints, oldest first, as scandir: their number, or -1; the caller frees the entries and the list.
int hb_folder_checkpoints(const char *folder, struct dirent ***list);
int64_t hb_folder_generation(const struct dirent *checkpoint);

// The generation of the newest checkpoint, from its file name; -1 if there is none.
int64_t hb_folder_newest(const char *folder);

// The path of a file among the run's checkpoints.
void hb_folder_checkpoint_path(const char *folder, const char *name, char path[HB_PATH]);

// Removes all but the last `keep` checkpoints up to that generation, and those of later generations.
void hb_folder_prune(const char *folder, int64_t generation, int64_t keep);

// True if the folder is empty or contains only files of an interrupted initialisation: no configuration, an empty log.
bool hb_folder_is_remains(const char *folder);

// Removes these files and the folder.
void hb_folder_remove_remains(const char *folder);

#endif
