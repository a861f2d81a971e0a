// Between the files of the door: what an evolution is inside.
#ifndef HB_EVOLUTION_H
#define HB_EVOLUTION_H

#include "host/hebbes.h"
#include "host/run/session.h"

typedef enum { HB_PREPARED_NONE, HB_PREPARED_POPULATION, HB_PREPARED_MEAN } hb_prepared;

struct hb_evolution {
    hb_config *config;
    hb_hooks hooks;
    hb_session *session; // NULL: of a run that is only looked at
    hb_trainer loaded;   // of that
    hb_trainer *trainer;
    hb_prepared prepared;
    bool asked;      // individuals of the generation under way were handed out
    bool lived;      // all of them have lived here
    double *squares; // (P): sum of squares of each individual's penalised numbers; NAN: not known yet
};

// Prepares genomes of the population, or of the mean, unless they are.
hb_status hb_evolution_prepare(hb_evolution *evolution, hb_prepared what, hb_error *error);

#endif
