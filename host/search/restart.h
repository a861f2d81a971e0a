// Restarts: a search whose population mean has not risen for search.restart generations begins anew, from another random start and with the step
// sizes of the settings; its best checkpoint stays. What is counted is part of the search's state, the array "restart": the best mean since the
// search began, generations since then, the generation in which it began, and how many restarts there were.
#ifndef HB_RESTART_H
#define HB_RESTART_H

#include "host/search/search.h"

// Adds the state to a search.
hb_status hb_restart_create(hb_search *search, hb_error *error);

// Reads search->begun: before a generation, and after a checkpoint was loaded.
hb_status hb_restart_prepare(hb_search *search, hb_error *error);

// After a generation was counted: takes its fitness into the state, and restarts the search if it is time.
hb_status hb_restart_tell(hb_search *search, const double *fitness, hb_error *error);

#endif
