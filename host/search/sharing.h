// What searches that share rules among synapses have in common.
#ifndef HB_SEARCH_SHARING_H
#define HB_SEARCH_SHARING_H

#include "host/search/search.h"

// The number of shared rules M: search.rules, or N / rho by search.m_formula (docs/equations.md, "Shared rules"); at least 1.
int64_t hb_sharing_rules(const hb_search *search);

// hb_search_fits for settings of shared rules: the subject must have coefficients, and the start must not depend on a fan-in.
bool hb_sharing_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault);

#endif
