#include "host/search/sharing.h"

#include <stdio.h>

int64_t hb_sharing_rules(const hb_search *search) {
    const hb_search_settings *s = search->settings;
    if (s->rules > 0) return s->rules;
    const int64_t n = s->m_formula == HB_RULES_BY_CODE ? search->net->n_penalised : search->net->n_weights;
    const int64_t m = (int64_t)((double)n / s->rho);
    return m < 1 ? 1 : m;
}

bool hb_sharing_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault) {
    const char *name = hb_searches[settings->kind]->name;
    if (!subject.has_rules) {
        fault->key = "search.kind";
        snprintf(fault->reason, sizeof fault->reason, "'%s' shares plasticity rules; this policy.kind has none",
                 name);
        return false;
    }
    if (settings->start == HB_START_FAN_IN) {
        fault->key = "search.start";
        snprintf(fault->reason, sizeof fault->reason,
                 "'fan_in' does not fit search.kind '%s': synapses of different fan-in share a rule", name);
        return false;
    }
    return true;
}
