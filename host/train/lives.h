// Lives under way, for all kinds of rollout: lives.c begins, steps and ends them; resident.c, lanes.c and batched.c schedule.
#ifndef HB_LIVES_H
#define HB_LIVES_H

#include "host/train/queue.h"
#include "host/train/rollout.h"
#include "host/train/watch.h"

#include <pthread.h>

// The life in a lane, and the body that it moves.
typedef struct {
    void *body;
    int64_t number; // of its episode; lanes.c: -1 for none
    bool fresh;     // the device has not expanded it yet
    bool starting;  // lanes.c: there is no first observation yet
    float earned;   // the fitness of its last step: the reward that networks may take
    hb_birth birth;
    hb_episode_result result;
} hb_living;

// Lanes that the device serves together, with their bodies and buffers. Active lives are rows 0 to n - 1 of observations and actions;
// row r is lane lane[r]. Rows whose lane has no further episode are marked as ended, and one thread removes them between two
// turns (batched.c, compact).
typedef struct {
    hb_group *group;
    int32_t n_lanes, n;
    hb_living *living;           // (n_lanes), by lane
    int32_t *lane;               // (n_lanes), by row
    float *observation, *action; // (n_lanes, size), by row, the device's host memory
    float *reward;               // (n_lanes), by row, the same; NULL where the network takes none
    bool *ended;                 // (n_lanes), by row: there was no further episode for this row
    // Lanes of one body (lanes.c): the body, and what its steps return, by lane, which is the row. Otherwise NULL.
    void *body;
    hb_env_step *step;
    hb_env_outcome *outcome;
    bool served; // the device has been given a step of these rows, in this call
    // Arguments of hb_group_expand. A caller that serves rows [first, end) uses elements from `first` on, so that threads with
    // different rows use different elements.
    int32_t *fresh;        // (n_lanes): lanes
    hb_birth *fresh_birth; // (n_lanes)
    double *fresh_squares; // (n_lanes)
    int32_t n_fresh;       // how many, where one thread serves all rows and takes the results later
} hb_batch;

// A thread of a call.
typedef struct {
    hb_rollout_times times;
    hb_watched *watched;
    int64_t *seen; // of its lives in this call; NULL where observations are taken as they are
} hb_worker;

// Resident: one batch per thread, of one lane, or of the lanes of a body. Batched: two batches that take turns.
struct hb_rollout {
    hb_rollout_def def;
    int32_t width;  // lives of a body; more than 1: lanes.c
    hb_queue queue; // of the call under way
    int32_t n_threads, n_batches;
    hb_batch *batches;
    hb_worker *workers;  // (n_threads)
    hb_watched *watched; // (n_threads)
    int64_t *seen;       // (n_threads, hb_standard_words), or NULL
    pthread_barrier_t barrier;
};

// A call of hb_rollout_run.
typedef struct {
    hb_rollout *rollout;
    int64_t n;
    hb_episode_function *episode;
    const void *context;
    hb_episode_result *results;
    const atomic_bool *stop;
    atomic_int failed; // a status
    pthread_mutex_t mutex;
    hb_error *error;
    bool finished; // batched: written by one thread between two barriers
} hb_rollout_call;

float *hb_batch_observation(const hb_rollout *rollout, const hb_batch *b, int32_t row);
float *hb_batch_action(const hb_rollout *rollout, const hb_batch *b, int32_t row);

// True once the call has failed or was asked to stop.
bool hb_call_halted(const hb_rollout_call *call);

// True if status is HB_OK. Otherwise it becomes the call's failure, unless the call has one already.
bool hb_call_check(hb_rollout_call *call, hb_status status, const hb_error *error);

// Begins the next episode in the row: resets its environment. An episode that diverges in its reset is recorded and the one after it
// taken. False if none is left.
bool hb_life_begin_in(hb_rollout_call *call, hb_batch *b, int32_t row, hb_worker *worker);

// One environment step of the row. False if its life has ended; its result is recorded, and the caller begins the next one.
bool hb_life_step_in(hb_rollout_call *call, hb_batch *b, int32_t row, hb_worker *worker);

// Counts a policy step in the life's result and says how the life goes on (hb_step_outcome).
hb_env_outcome hb_life_count(const hb_env_shape *shape, hb_living *living, hb_env_outcome outcome,
                             const void *observation, hb_env_step *step);

// Rows [first, end) of a batch, on the device. False: the call has failed; hb_rollout_run waits for all groups before it returns.
// Queues the expansion of the fresh lives among the rows; *n_fresh receives their number.
bool hb_batch_queue_expansion(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, int32_t *n_fresh);
// Copies the results of n_fresh expansions, which the device has finished, to their lives.
void hb_batch_take_expansion(hb_batch *b, int32_t first, int32_t n_fresh);
// Queues a step of the rows, whose observations become what networks see.
bool hb_batch_queue_step(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, hb_worker *worker);

// All three, on a device with host_parallel, where the work is done on return.
bool hb_batch_serve(hb_rollout_call *call, hb_batch *b, int32_t first, int32_t end, hb_worker *worker);

// What worker w of a call does. context is the hb_rollout_call.
void hb_resident_worker(void *context, int32_t w);
void hb_batched_worker(void *context, int32_t w);
void hb_lanes_worker(void *context, int32_t w);

#endif
