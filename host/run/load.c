// Which checkpoint of a run is loaded.
#include "host/base/files.h"
#include "host/run/checkpoint.h"
#include "host/run/folder.h"
#include "host/run/run.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

// Tries checkpoint k of the list; a file whose name and generation disagree is not valid.
static hb_status try_checkpoint(hb_trainer *trainer, const char *folder, const struct dirent *entry, hb_error *why) {
    char path[HB_PATH];
    hb_folder_checkpoint_path(folder, entry->d_name, path);
    const hb_status status = hb_checkpoint_load(trainer, path, why);
    if (status != HB_OK || trainer->search.generation == hb_folder_generation(entry)) return status;
    return hb_fail(why, HB_BAD_INPUT, "%s: holds generation %lld", path, (long long)trainer->search.generation);
}

// The newest of the listed checkpoints that is valid, into *why otherwise. *vanished: one was removed before it could be read.
static hb_status load_newest(hb_trainer *trainer, const char *folder,
                             void (*skipped)(void *context, const char *line), void *context, bool *vanished,
                             hb_error *why) {
    struct dirent **list;
    const int n = hb_folder_checkpoints(folder, &list);
    *vanished = false;
    if (n < 0) return hb_fail(why, HB_BAD_INPUT, "%s: expected a run's folder with checkpoints in it", folder);
    bool refused = false; // the one before; the last refusal is the caller's error
    hb_status status = hb_fail(why, HB_BAD_INPUT, "%s: no checkpoint is there", folder);
    for (int k = n - 1; k >= 0; k--) {
        char path[HB_PATH];
        hb_folder_checkpoint_path(folder, list[k]->d_name, path);
        if (status == HB_BAD_INPUT) { // out of memory an older one would be no better
            if (refused && skipped) skipped(context, why->message);
            status = try_checkpoint(trainer, folder, list[k], why);
            refused = status == HB_BAD_INPUT && access(path, F_OK) == 0;
            *vanished = *vanished || (status != HB_OK && access(path, F_OK) != 0);
        }
        free(list[k]);
    }
    free(list);
    return status;
}

// Where the best cannot be had, says so, and whether the last one could.
static hb_status load_best(hb_trainer *trainer, const char *folder, const char *path, hb_error *error) {
    hb_error why = {""}, other;
    bool vanished = false;
    const hb_status status = hb_checkpoint_load(trainer, path, &why);
    if (status == HB_OK) return HB_OK;
    const bool last = status == HB_BAD_INPUT && load_newest(trainer, folder, NULL, NULL, &vanished, &other) == HB_OK;
    return hb_fail(error, status, "%s%s", why.message, last ? "; --set eval.checkpoint=last takes the last one" : "");
}

hb_status hb_run_load(hb_trainer *trainer, const char *folder, hb_which_checkpoint which,
                      void (*skipped)(void *context, const char *line), void *context, hb_error *error) {
    enum { TRIES = 20 }; // beside a run under way, whose checkpoints come and go
    char best[HB_PATH];
    hb_folder_checkpoint_path(folder, "best.h5", best);
    if (which == HB_CHECKPOINT_BEST && access(best, F_OK) == 0) return load_best(trainer, folder, best, error);
    hb_error why = {""};
    bool vanished = true;
    hb_status status = HB_FAILED;
    for (int k = 0; k < TRIES && status != HB_OK && vanished; k++)
        status = load_newest(trainer, folder, skipped, context, &vanished, &why);
    if (status != HB_OK) return hb_fail(error, status, "%s", why.message);
    if (which == HB_CHECKPOINT_BEST && trainer->search.generation > 0)
        return hb_fail(error, HB_BAD_INPUT, "%s is missing; --set eval.checkpoint=last takes the last one", best);
    return HB_OK;
}

hb_status hb_run_load_chosen(hb_trainer *trainer, const char *folder, hb_error *error) {
    const hb_settings *s = trainer->settings;
    if (*s->eval.file) return hb_checkpoint_load(trainer, s->eval.file, error);
    const int64_t newest = hb_folder_newest(folder); // before: a run under way goes on
    const hb_status status = hb_run_load(trainer, folder, s->eval.checkpoint, NULL, NULL, error);
    if (status == HB_OK && s->eval.checkpoint == HB_CHECKPOINT_LAST && newest > trainer->search.generation &&
        !hb_run_is_under_way(folder))
        return hb_fail(error, HB_BAD_INPUT,
                       "%s: the checkpoint of generation %lld is torn or damaged; resume the run", folder,
                       (long long)newest);
    return status;
}
