// A run is a folder: config.yaml (resolved, with versions), metrics.csv, TensorBoard events, log.txt, and
// checkpoints/ with gen-NNNNNN.h5 (the last k) and best.h5 (the search as it was when its population did best).
#ifndef HB_RUN_H
#define HB_RUN_H

#include "host/hebbes.h"
#include "host/train/trainer.h"

// What a stop switches, for loops to look at; NULL where there is no stop.
const atomic_bool *hb_stop_flag(const hb_stop *stop);

// Loads the newest checkpoint that is whole and of this configuration ("last"), or the best one ("best"), into the
// trainer. Files passed over are told to note (nullable). Fails with HB_BAD_INPUT where none is left.
hb_status hb_run_load(hb_trainer *trainer, const char *folder, const char *which,
                      void (*note)(void *context, const char *line), void *context, hb_error *error);

// Could a run begin in that folder: is it not there, or empty, or with what a killed beginning left?
bool hb_run_may_begin(const char *folder);

// The generation of the newest checkpoint, by its name; -1 where there is none.
int64_t hb_run_generation(const char *folder);

// Opens folder/config.yaml with `sets` applied; refuses sets that would change the run's bits.
hb_status hb_run_config(const char *folder, const char *const *sets, int n_sets, hb_config **config, hb_error *error);

// hb_evaluate by a configuration, which is the run's.
hb_status hb_evaluate_as(const hb_config *config, const char *folder,
                         void (*row)(void *context, const hb_evaluation *evaluation), void *context,
                         const hb_stop *stop, hb_error *error);

#endif
