#include "host/train/exchange.h"

#include <stdlib.h>
#include <string.h>

enum { PER_LIFE = 5, PER_RANK = 6 }; // words

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void pack(const hb_episode_result *r, uint64_t *word) {
    word[0] = bits_of(r->fitness);
    word[1] = bits_of(r->reward);
    word[2] = bits_of(r->sum_of_squares);
    word[3] = (uint64_t)(uint32_t)r->steps << 32 | (uint32_t)r->backward_steps;
    word[4] = r->diverged;
}

static hb_episode_result unpack(const uint64_t *word) {
    return (hb_episode_result){.fitness = double_of(word[0]),
                               .reward = double_of(word[1]),
                               .sum_of_squares = double_of(word[2]),
                               .steps = (int32_t)(word[3] >> 32),
                               .backward_steps = (int32_t)(uint32_t)word[3],
                               .diverged = word[4]};
}

static void pack_own(const hb_exchange_own *own, uint64_t *word) {
    const hb_rollout_times *t = own->times;
    const double times[] = {t->physics, t->env, t->policy, t->expand, own->seconds};
    word[0] = (uint64_t)own->status;
    for (int k = 0; k < 5; k++) word[1 + k] = bits_of(times[k]);
}

static void sum_times(const uint64_t *word, int32_t size, hb_rollout_times *times) {
    double longest = 0, shortest = 0;
    *times = (hb_rollout_times){.waiting = 0};
    for (int32_t r = 0; r < size; r++, word += PER_RANK) {
        const double seconds = double_of(word[5]);
        times->physics += double_of(word[1]);
        times->env += double_of(word[2]);
        times->policy += double_of(word[3]);
        times->expand += double_of(word[4]);
        longest = seconds > longest ? seconds : longest;
        if (r > 0 && seconds >= shortest) continue;
        shortest = seconds;
        times->waiting = r;
    }
    times->waited = longest > 0 ? 1 - shortest / longest : 0;
}

// The first rank that has failed, or -1.
static int32_t failed_rank(const uint64_t *word, int32_t size) {
    for (int32_t r = 0; r < size; r++) {
        const hb_status status = (hb_status)word[(size_t)r * PER_RANK];
        if (status != HB_OK && status != HB_INTERRUPTED) return r;
    }
    return -1;
}

// Collective: every rank learns what that rank has to say.
static hb_status take_failure(const hb_ranks *ranks, int32_t r, hb_status status, bool own, hb_error *error) {
    hb_error why = {""};
    char *all = hb_ranks_gather(ranks, own && error ? error->message : "", sizeof why.message);
    (void)hb_fail(&why, status, "rank %d on %s: %s", r, ranks->host[r],
                  all ? all + (size_t)r * sizeof why.message : "failed");
    free(all);
    if (error) *error = why;
    return status;
}

static hb_status gravest(const hb_ranks *ranks, const uint64_t *word, hb_status own, hb_error *error) {
    const int32_t failed = failed_rank(word, ranks->seat.size);
    if (failed >= 0)
        return take_failure(ranks, failed, (hb_status)word[(size_t)failed * PER_RANK], failed == ranks->seat.rank,
                            error);
    for (int32_t r = 0; r < ranks->seat.size; r++)
        if (word[(size_t)r * PER_RANK] == HB_INTERRUPTED)
            return own == HB_INTERRUPTED ? own : hb_fail(error, HB_INTERRUPTED, "stopped on request");
    return HB_OK;
}

hb_status hb_exchange_results(hb_ranks *ranks, int64_t n, hb_episode_result *results, hb_exchange_own own,
                              hb_error *error) {
    const size_t lives = (size_t)n * PER_LIFE, size = (size_t)ranks->seat.size;
    uint64_t *word = calloc(lives + size * PER_RANK, sizeof *word);
    if (!word) return hb_fail(error, HB_FAILED, "out of memory exchanging %lld results", (long long)n);
    for (int64_t k = 0; k < n; k++) pack(&results[k], word + k * PER_LIFE);
    pack_own(&own, word + lives + (size_t)ranks->seat.rank * PER_RANK);
    hb_status there = hb_ranks_combine(ranks, word, lives + size * PER_RANK, error);
    if (there == HB_OK) there = hb_ranks_restart(ranks, error); // of the counter, for the next rollout
    if (there != HB_OK) return there; // an exchange may still write to `word`; the process ends soon
    for (int64_t k = 0; k < n; k++) results[k] = unpack(word + k * PER_LIFE);
    sum_times(word + lives, ranks->seat.size, own.times);
    const hb_status status = gravest(ranks, word + lives, own.status, error);
    free(word);
    return status;
}
