// A run is a folder: config.yaml (resolved, with versions), metrics.csv, TensorBoard events, log.txt, and
// checkpoints/ with gen-NNNNNN.h5 (the last k) and best.h5 (the search as it was when its population did best).
#ifndef HB_RUN_H
#define HB_RUN_H

#include "host/hebbes.h"
#include "host/train/trainer.h"

// Loads the newest valid checkpoint of this configuration (LAST), or the best one (BEST), into the trainer. Calls note (nullable)
// for each file that is skipped. Fails with HB_BAD_INPUT if none is left.
hb_status hb_run_load(hb_trainer *trainer, const char *folder, hb_which_checkpoint which,
                      void (*note)(void *context, const char *line), void *context, hb_error *error);

// Loads the checkpoint that eval.file or eval.checkpoint names: what evaluations, traces, films, exports and probes start from. Fails with
// HB_BAD_INPUT also where the last one is asked for, is damaged, and no process trains the run.
hb_status hb_run_load_chosen(hb_trainer *trainer, const char *folder, hb_error *error);

// True if a run can start in the folder: it does not exist, is empty, or contains only files of an interrupted initialisation.
bool hb_run_may_begin(const char *folder);

// True if a process trains the run now.
bool hb_run_is_under_way(const char *folder);

// Opens folder/config.yaml with `sets` applied; refuses sets that would change the run's bits.
hb_status hb_run_config(const char *folder, const char *const *sets, int n_sets, hb_config **config, hb_error *error);

// hb_evaluate by a configuration, which is the run's.
hb_status hb_evaluate_as(const hb_config *config, const char *folder,
                         void (*row)(void *context, const hb_evaluation *evaluation), void *context,
                         const hb_stop *stop, hb_error *error);

#endif
