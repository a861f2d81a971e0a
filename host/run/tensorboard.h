// TensorBoard event files: TFRecord frames around Event messages of the protocol-buffer wire format, scalars and hyperparameters. A
// frame is uint64 length, uint32 masked CRC-32C of the length, the bytes, uint32 masked CRC-32C of the bytes.
#ifndef HB_TENSORBOARD_H
#define HB_TENSORBOARD_H

#include "kernels/error.h"

#include <stdint.h>

typedef struct hb_events hb_events;

// Creates folder/events.out.tfevents.TIME.PID of a run after `generation` generations: steps that earlier files have beyond are void. The
// caller closes it.
hb_status hb_events_open(const char *folder, int64_t generation, hb_events **events, hb_error *error);
void hb_events_close(hb_events *events);
// A setting of the run, for TensorBoard's table of hyperparameters: a number, or a text.
typedef struct {
    const char *name, *text; // text NULL: a number
    double number;
} hb_event_setting;
hb_status hb_events_settings(hb_events *events, const hb_event_setting *setting, int n, hb_error *error);

// One scalar at one step. The tag has at most 127 letters.
hb_status hb_events_add(hb_events *events, const char *tag, int64_t step, double value, hb_error *error);
hb_status hb_events_flush(hb_events *events, hb_error *error);

#endif
