#include "host/train/lives.h"
#include "host/base/clock.h"
#include "host/policy/policy.h"
#include "host/train/outcome.h"

// ---------------------------------------------------------------------------------------------------
// A call and its failures

bool hb_call_halted(const hb_rollout_call *call) {
    return atomic_load_explicit(&call->failed, memory_order_relaxed) != HB_OK ||
           (call->stop && atomic_load_explicit(call->stop, memory_order_relaxed));
}

bool hb_call_check(hb_rollout_call *call, hb_status status, const hb_error *error) {
    if (status == HB_OK) return true;
    pthread_mutex_lock(&call->mutex);
    if (atomic_load(&call->failed) == HB_OK) {
        atomic_store(&call->failed, (int)status);
        if (call->error) *call->error = *error;
    }
    pthread_mutex_unlock(&call->mutex);
    return false;
}

// ---------------------------------------------------------------------------------------------------
// The environment's side: a life in row `row` of a batch

float *hb_batch_observation(const hb_rollout *rollout, const hb_batch *b, int32_t row) {
    return b->observation + (size_t)row * hb_net_observation_words(rollout->def.net);
}

float *hb_batch_action(const hb_rollout *rollout, const hb_batch *b, int32_t row) {
    return b->action + (size_t)row * (size_t)rollout->def.world->shape.action_size;
}

bool hb_life_begin_in(hb_rollout_call *call, hb_batch *b, int32_t row, hb_worker *worker) {
    const hb_world *world = call->rollout->def.world;
    hb_living *living = &b->living[b->lane[row]];
    float *observation = hb_batch_observation(call->rollout, b, row);
    for (;;) {
        const int64_t number = hb_call_halted(call) ? -1 : hb_queue_take(&call->rollout->queue, 0);
        if (number < 0) return false;
        hb_episode episode;
        call->episode(call->context, number, &episode);
        *living = (hb_living){.body = living->body, .number = number, .birth = episode.birth, .fresh = true};
        const double begun = hb_now();
        hb_random random;
        hb_random_start(&random, episode.reset);
        hb_env_step spent;
        hb_watch_enter(worker->watched, number);
        const hb_env_outcome outcome =
            world->env->reset(living->body, episode.variation, &random.base, observation, &spent);
        hb_watch_leave(worker->watched);
        worker->times.physics += spent.physics;
        worker->times.env += hb_now() - begun - spent.physics;
        if (hb_reset_outcome(&world->shape, outcome, observation) == HB_ENV_RUNNING) return true;
        // The reset failed: count the episode as diverged and start the next one.
        living->result.diverged = true;
        call->results[number] = living->result;
    }
}

hb_env_outcome hb_life_count(const hb_env_shape *shape, hb_living *living, hb_env_outcome outcome,
                             const void *observation, hb_env_step *step) {
    hb_episode_result *result = &living->result;
    result->steps++;
    outcome = hb_step_outcome(shape, outcome, observation, result->steps, step);
    result->fitness += step->fitness;
    living->earned = (float)step->fitness;
    result->reward += step->reward;
    result->backward_steps += step->fitness < 0;
    return outcome;
}

bool hb_life_step_in(hb_rollout_call *call, hb_batch *b, int32_t row, hb_worker *worker) {
    const hb_world *world = call->rollout->def.world;
    hb_living *living = &b->living[b->lane[row]];
    float *observation = hb_batch_observation(call->rollout, b, row),
          *action = hb_batch_action(call->rollout, b, row);
    const double begun = hb_now();
    hb_env_step step;
    hb_policy_bound(&world->shape, action);
    hb_watch_enter(worker->watched, living->number);
    hb_env_outcome outcome = world->env->step(living->body, action, observation, &step);
    hb_watch_leave(worker->watched);
    worker->times.env += hb_now() - begun - step.physics;
    worker->times.physics += step.physics;
    outcome = hb_life_count(&world->shape, living, outcome, observation, &step);
    if (outcome == HB_ENV_RUNNING) return true;
    living->result.diverged = outcome == HB_ENV_DIVERGED;
    call->results[living->number] = living->result;
    return false;
}

// ---------------------------------------------------------------------------------------------------
// The device's side: rows [first, end) of a batch

bool hb_batch_queue_expansion(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, int32_t *n_fresh) {
    int32_t n = 0;
    for (int32_t row = first; row < end; row++) {
        const hb_living *living = &b->living[b->lane[row]];
        if (!living->fresh) continue;
        b->fresh[first + n] = b->lane[row];
        b->fresh_birth[first + n] = living->birth;
        n++;
    }
    *n_fresh = n;
    if (n == 0) return true;
    hb_error error;
    const hb_status status =
        hb_group_expand(b->group, n, b->fresh + first, b->fresh_birth + first, b->fresh_squares + first, &error);
    return hb_call_check(call, status, &error);
}

void hb_batch_take_expansion(hb_batch *b, int32_t first, int32_t n_fresh) {
    for (int32_t k = first; k < first + n_fresh; k++) {
        hb_living *living = &b->living[b->fresh[k]];
        living->fresh = false;
        living->result.sum_of_squares = b->fresh_squares[k];
    }
}

bool hb_batch_queue_step(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, hb_worker *worker) {
    const hb_standard *standard = call->rollout->def.standard;
    if (first >= end) return true;
    for (int32_t row = first; standard && row < end; row++)
        hb_standardise(standard, worker->seen, hb_batch_observation(call->rollout, b, row));
    for (int32_t row = first; b->reward && row < end; row++) b->reward[row] = b->living[b->lane[row]].earned;
    hb_error error;
    const hb_status status =
        hb_group_step(b->group, end - first, b->lane + first, hb_batch_observation(call->rollout, b, first),
                      b->reward ? b->reward + first : NULL, hb_batch_action(call->rollout, b, first), &error);
    return hb_call_check(call, status, &error);
}

bool hb_batch_serve(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, hb_worker *worker) {
    const double begun = hb_now();
    int32_t n_fresh;
    if (!hb_batch_queue_expansion(call, b, first, end, &n_fresh)) return false;
    hb_batch_take_expansion(b, first, n_fresh);
    const double expanded = hb_now();
    const bool ok = hb_batch_queue_step(call, b, first, end, worker);
    worker->times.expand += expanded - begun;
    worker->times.policy += hb_now() - expanded;
    return ok;
}
