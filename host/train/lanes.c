// Resident rollouts of environments whose bodies step several lives: a thread keeps a body of lives, all of one variation, and
// serves their networks one after the other, upwards and downwards in turn, so that the last ones are still in its cache. When a
// life ends, its lane takes the next one of the variation; a thread without lives takes those of the variation with most of
// them left.
#include "host/base/clock.h"
#include "host/policy/policy.h"
#include "host/train/lives.h"
#include "host/train/outcome.h"

// ---------------------------------------------------------------------------------------------------
// A body of lives

typedef struct {
    hb_rollout_call *call;
    hb_batch *b;
    hb_worker *worker;
    int32_t variation, n_lives;
    bool up;
} group;

static bool is_busy(const hb_living *living) {
    return living->number >= 0;
}

// The lane takes the variation's next episode, or stays without.
static void begin(group *g, int32_t lane) {
    hb_rollout_call *call = g->call;
    hb_living *living = &g->b->living[lane];
    const bool was_busy = is_busy(living);
    const int64_t number = hb_call_halted(call) ? -1 : hb_queue_take(&call->rollout->queue, g->variation);
    *living = (hb_living){.number = number, .fresh = true, .starting = true};
    g->n_lives += (number >= 0) - was_busy;
    if (number < 0) return;
    hb_episode episode;
    hb_random random;
    call->episode(call->context, number, &episode);
    living->birth = episode.birth;
    hb_random_start(&random, episode.reset);
    hb_watch_enter(g->worker->watched, number);
    call->rollout->def.world->env->reset_lane(g->b->body, lane, episode.variation, &random.base);
    hb_watch_leave(g->worker->watched);
}

static void end(group *g, int32_t lane, bool diverged) {
    hb_living *living = &g->b->living[lane];
    living->result.diverged = diverged;
    g->call->results[living->number] = living->result;
    begin(g, lane);
}

// What a step brought to a lane.
static void settle(group *g, int32_t lane) {
    const hb_env_shape *shape = &g->call->rollout->def.world->shape;
    hb_living *living = &g->b->living[lane];
    const float *observation = hb_batch_observation(g->call->rollout, g->b, lane);
    hb_env_step *step = &g->b->step[lane];
    if (living->starting) {
        if (g->b->outcome[lane] == HB_ENV_STARTING) return;
        living->starting = false;
        if (hb_reset_outcome(shape, g->b->outcome[lane], observation) != HB_ENV_RUNNING) end(g, lane, true);
        return;
    }
    const hb_env_outcome outcome = hb_life_count(shape, living, g->b->outcome[lane], observation, step);
    if (outcome != HB_ENV_RUNNING) end(g, lane, outcome == HB_ENV_DIVERGED);
}

static void step_body(group *g) {
    hb_batch *b = g->b;
    const hb_world *world = g->call->rollout->def.world;
    const double begun = hb_now();
    int64_t first = 0; // of the body's lives
    for (int32_t k = b->n_lanes - 1; k >= 0; k--) {
        if (!is_busy(&b->living[k])) continue;
        first = b->living[k].number;
        if (!b->living[k].starting) hb_policy_bound(&world->shape, hb_batch_action(g->call->rollout, b, k));
    }
    hb_watch_enter(g->worker->watched, first);
    world->env->step_lanes(b->body, b->action, b->observation, b->step, b->outcome);
    hb_watch_leave(g->worker->watched);
    double physics = 0;
    for (int32_t k = 0; k < b->n_lanes; k++) {
        if (!is_busy(&b->living[k])) continue;
        physics += b->step[k].physics;
        settle(g, k);
    }
    g->worker->times.physics += physics;
    g->worker->times.env += hb_now() - begun - physics;
}

static bool serve(group *g) {
    hb_batch *b = g->b;
    const double begun = hb_now();
    for (int32_t k = 0; k < b->n_lanes; k++) {
        int32_t n_fresh;
        if (!is_busy(&b->living[k]) || b->living[k].starting || !b->living[k].fresh) continue;
        if (!hb_batch_queue_expansion(g->call, b, k, k + 1, &n_fresh)) return false;
        hb_batch_take_expansion(b, k, n_fresh);
    }
    const double expanded = hb_now();
    for (int32_t i = 0; i < b->n_lanes; i++) {
        const int32_t k = g->up ? i : b->n_lanes - 1 - i;
        if (is_busy(&b->living[k]) && !b->living[k].starting && !hb_batch_queue_step(g->call, b, k, k + 1, g->worker))
            return false;
    }
    g->up = !g->up;
    g->worker->times.expand += expanded - begun;
    g->worker->times.policy += hb_now() - expanded;
    return true;
}

void hb_lanes_worker(void *context, int32_t w) {
    hb_rollout_call *call = context;
    group g = {.call = call, .b = &call->rollout->batches[w], .worker = &call->rollout->workers[w]};
    for (int32_t k = 0; k < g.b->n_lanes; k++) {
        g.b->lane[k] = k;
        g.b->living[k].number = -1;
    }
    // With few lives each thread, of all ranks, fills only its share of lanes.
    const int64_t threads = (int64_t)call->rollout->n_threads * hb_ranks_size(call->rollout->def.ranks);
    const int64_t share = (call->n + threads - 1) / threads;
    const int32_t lanes = share < g.b->n_lanes ? (int32_t)share : g.b->n_lanes;
    while (!hb_call_halted(call) && (g.variation = hb_queue_choose(&call->rollout->queue)) >= 0) {
        for (int32_t k = 0; k < lanes; k++) begin(&g, k);
        while (g.n_lives > 0) {
            if (hb_call_halted(call)) return;
            step_body(&g);
            if (!serve(&g)) return;
        }
    }
}
