// A training by several ranks: rank 0 decides what comes next and writes the run; the others do their part of what it says.
#ifndef HB_LEAD_H
#define HB_LEAD_H

#include "host/hebbes.h"
#include "host/train/trainer.h"

// What rank 0 says:
typedef enum {
    HB_ORDER_MEET = 1, // receive the search
    HB_ORDER_LOAD,     // load the parts of a spread search
    HB_ORDER_SAVE,     // give them to a checkpoint
    HB_ORDER_LIVE,     // a rollout
    HB_ORDER_UPDATE,
    HB_ORDER_END
} hb_order;

// For every rank, after its trainer is open: stops as the hooks say, and checks that all ranks compute the same (hb_meet). Nothing without
// ranks, as all of these.
hb_status hb_lead_begin(hb_trainer *trainer, const hb_hooks *hooks, hb_error *error);

// Rank 0's: tells the others, who wait for it. HB_INTERRUPTED where one does not answer after a stop.
hb_status hb_lead(hb_trainer *trainer, hb_order order, hb_error *error);

// Rank 0's, after it has loaded that checkpoint, or (path "") started from run.from: the others load their parts of a spread search.
hb_status hb_lead_load(hb_trainer *trainer, const char *path, hb_error *error);

// Rank 0's, before a checkpoint is saved: the others give their parts of a spread search.
hb_status hb_lead_save(hb_trainer *trainer, hb_error *error);

// True if a rank that does not answer has a part of the search, which cannot be saved then.
bool hb_lead_is_lost(const hb_trainer *trainer);

// True for ranks beside rank 0, which follow it and write nothing.
bool hb_follows(const hb_hooks *hooks);
hb_status hb_follow(const hb_config *config, const hb_hooks *hooks, hb_error *error);

#endif
