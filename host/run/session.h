// A run whose lives its caller lives: the folder, records and checkpoints of hb_train, for evolutions that are asked and told
// (host/door/evolution.c).
#ifndef HB_SESSION_H
#define HB_SESSION_H

#include "host/hebbes.h"
#include "host/train/trainer.h"

typedef struct hb_session hb_session;

// Begins the run in the folder that run.out names, or goes on with the one that is there if it has this configuration (fails with
// HB_BAD_INPUT if it has another); without run.out nothing is written. config and hooks (nullable) must outlive the session, which the
// caller closes.
hb_status hb_session_open(const hb_config *config, const hb_hooks *hooks, hb_session **session, hb_error *error);
hb_trainer *hb_session_trainer(hb_session *session);

// Ends a generation whose results stand in the trainer (hb_trainer_gather has filled the report): keeps the best, moves the search, writes
// records and checkpoints, calls hooks->progress.
hb_status hb_session_generation(hb_session *session, hb_generation *report, hb_error *error);

// The report as callers see it.
void hb_session_describe(const hb_session *session, const hb_generation *report, hb_progress *progress);

// True if no generation is left: run.generations or search.stop_mean is reached.
bool hb_session_is_over(const hb_session *session);

hb_status hb_session_save(hb_session *session, hb_error *error);

// Saves and closes; accepts NULL. The session is gone whatever is returned.
hb_status hb_session_close(hb_session *session, hb_error *error);

#endif
