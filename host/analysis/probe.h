// Analyses of a life (docs/equations.md, "Evaluation"), each a file and an entry of the table in probe.c.
#ifndef HB_PROBE_H
#define HB_PROBE_H

#include "host/analysis/life.h"
#include "host/base/files.h"

// An analysis under way.
typedef struct {
    const hb_probe_def *def;
    const char *source; // with sets: what the life was opened from
    const char *const *sets;
    int n_sets;
    hb_life *life;
    char folder[HB_PATH]; // where files are written until all are there
    int64_t most;         // steps of a life: def->steps, or the environment's most
    int64_t at;           // def->at, or the probe's own
    int64_t lives, steps; // lived so far
} hb_probe_run;

// Each writes its data and a picture of it into the folder.
hb_status hb_probe_images(hb_probe_run *p, hb_error *error);
hb_status hb_probe_pca(hb_probe_run *p, hb_error *error);
hb_status hb_probe_freeze(hb_probe_run *p, hb_error *error);
hb_status hb_probe_saturate(hb_probe_run *p, hb_error *error);
hb_status hb_probe_zero(hb_probe_run *p, hb_error *error);
hb_status hb_probe_init(hb_probe_run *p, hb_error *error);

// The birth, of the first ten, that is the first to live `steps` steps, or, where none does, the longest life.
hb_status hb_probe_long_life(hb_probe_run *p, int64_t steps, int64_t *birth, hb_error *error);

// The path of a file in the folder.
void hb_probe_file(const hb_probe_run *p, const char *name, char path[HB_PATH]);

// layerL.png, L from 1: the weights of layer l as grey at n moments side by side; weights (n, N).
hb_status hb_probe_layer(const hb_probe_run *p, int32_t l, const float *weights, int n, hb_error *error);

#endif
