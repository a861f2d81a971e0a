#include "host/run/lead.h"
#include "host/base/files.h"
#include "host/base/stop.h"
#include "host/run/checkpoint.h"
#include "host/train/meet.h"

#include <stdio.h>

enum { PATIENCE = 60 }; // s, of a spread search: its updates take ranks that long, one more than another

static bool is_spread(const hb_trainer *trainer) {
    for (int32_t k = 0; k < trainer->search.n_arrays; k++)
        if (trainer->search.array[k].is_spread) return trainer->ranks != NULL;
    return false;
}

hb_status hb_lead_begin(hb_trainer *trainer, const hb_hooks *hooks, hb_error *error) {
    if (!trainer->ranks) return HB_OK;
    trainer->ranks->stop = hb_stop_flag(hooks->stop);
    trainer->ranks->patience = is_spread(trainer) ? PATIENCE : HB_LINK_PATIENCE;
    return hb_meet(trainer, error);
}

// ---------------------------------------------------------------------------------------------------
// Rank 0

hb_status hb_lead(hb_trainer *trainer, hb_order order, hb_error *error) {
    uint64_t word = (uint64_t)order;
    return trainer->ranks ? hb_ranks_order(trainer->ranks, &word, error) : HB_OK;
}

hb_status hb_lead_load(hb_trainer *trainer, const char *path, hb_error *error) {
    char text[HB_PATH] = "";
    if (!is_spread(trainer)) return HB_OK;
    const hb_status status = hb_lead(trainer, HB_ORDER_LOAD, error);
    snprintf(text, sizeof text, "%s", path);
    if (status == HB_OK) trainer->ranks->link->share(text, sizeof text);
    return status;
}

hb_status hb_lead_save(hb_trainer *trainer, hb_error *error) {
    return is_spread(trainer) ? hb_lead(trainer, HB_ORDER_SAVE, error) : HB_OK;
}

bool hb_lead_is_lost(const hb_trainer *trainer) {
    return is_spread(trainer) && trainer->ranks->lost;
}

// ---------------------------------------------------------------------------------------------------
// The others

bool hb_follows(const hb_hooks *hooks) {
    return hooks && hb_ranks_number(hooks->ranks) > 0;
}

// A note of this rank goes to its caller; rank 0 alone has a log.
static void note_only(void *context, const char *line) {
    const hb_hooks *hooks = context;
    if (hooks->note) hooks->note(hooks->context, line);
}

static hb_status load(hb_trainer *trainer, hb_error *error) {
    char path[HB_PATH], difference[HB_DIFFERENCE]; // rank 0 says it
    const hb_run_settings *s = &trainer->settings->run;
    trainer->ranks->link->share(path, sizeof path);
    return *path ? hb_checkpoint_load(trainer, path, error)
                 : hb_checkpoint_start(trainer, s->from, s->from_digest, difference, error);
}

typedef struct {
    hb_trainer trainer;
    const hb_hooks *hooks;
    hb_generation report; // of the last rollout, whose update follows
} follower;

static hb_status obey(follower *f, hb_order order, hb_error *error) {
    switch (order) {
    case HB_ORDER_MEET:
        return hb_meet_share(&f->trainer, error);
    case HB_ORDER_LOAD:
        return load(&f->trainer, error);
    case HB_ORDER_SAVE:
        return hb_checkpoint_give(&f->trainer, error);
    case HB_ORDER_LIVE:
        return hb_trainer_rollout(&f->trainer, &f->report, hb_stop_flag(f->hooks->stop), error);
    case HB_ORDER_UPDATE:
        return hb_trainer_update(&f->trainer, &f->report, error);
    case HB_ORDER_END:
        break;
    }
    return HB_OK;
}

// Until rank 0 ends it. A rollout that was stopped is not the end: rank 0 saves then.
static hb_status obey_all(follower *f, hb_error *error) {
    hb_status status = HB_OK;
    for (uint64_t order = 0; order != HB_ORDER_END;) {
        hb_error why = {""};
        hb_status done = hb_ranks_order(f->trainer.ranks, &order, &why);
        if (done == HB_OK) done = obey(f, (hb_order)order, &why);
        if (done == HB_OK) continue;
        status = done;
        if (error) *error = why;
        if (status != HB_INTERRUPTED || f->trainer.ranks->lost) return status;
    }
    return status;
}

hb_status hb_follow(const hb_config *config, const hb_hooks *hooks, hb_error *error) {
    follower f = {.hooks = hooks};
    hb_status status = hb_trainer_open_rank(config, hooks->ranks, &f.trainer, error);
    if (status != HB_OK) return status;
    f.trainer.note = note_only;
    f.trainer.note_context = (void *)(uintptr_t)hooks;
    status = hb_lead_begin(&f.trainer, hooks, error);
    if (status == HB_OK) status = hb_trainer_ready(&f.trainer, error);
    if (status == HB_OK) status = obey_all(&f, error);
    hb_trainer_close(&f.trainer);
    return status;
}
