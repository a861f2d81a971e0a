// Requests to stop (hb_stop of hebbes.h), as loops read them.
#ifndef HB_STOP_H
#define HB_STOP_H

#include "host/hebbes.h"

#include <stdatomic.h>

// The flag that hb_stop_request sets; NULL if stop is NULL. Owned by the stop.
const atomic_bool *hb_stop_flag(const hb_stop *stop);

#endif
