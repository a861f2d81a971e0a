// The start of a training by several ranks: do they compute the same, and where does the search stand?
#ifndef HB_MEET_H
#define HB_MEET_H

#include "host/train/trainer.h"

// Collective: fails with HB_BAD_INPUT on every rank if one has another configuration, build, or physics: a life of 50 steps on each,
// because C libraries choose their sine by processor. The line names the rank and its machine.
hb_status hb_meet(hb_trainer *trainer, hb_error *error);

// Collective: the search of every rank becomes rank 0's, but for arrays that are spread over ranks (host/search/rows.h).
hb_status hb_meet_share(hb_trainer *trainer, hb_error *error);

#endif
