// A run's numbers: metrics.csv for people and scripts, event files for TensorBoard.
#ifndef HB_METRICS_H
#define HB_METRICS_H

#include "host/train/trainer.h"

typedef struct hb_metrics hb_metrics;

// Opens folder/metrics.csv, keeping the rows up to the search's generation and dropping later ones, and a
// new TensorBoard event file. The caller closes it.
hb_status hb_metrics_open(const hb_trainer *trainer, const char *folder, hb_metrics **metrics, hb_error *error);
void hb_metrics_close(hb_metrics *metrics);

// Appends one generation to both and flushes them. `save`: seconds spent on checkpoints since the row before.
hb_status hb_metrics_add(hb_metrics *metrics, const hb_generation *report, double save, hb_error *error);

#endif
