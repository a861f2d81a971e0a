// A generation by several ranks, on paper. With L lives, R ranks of T threads, W lives that a thread steps together, lives of s steps, and c
// seconds of a thread a life's step, of which the share b is the body's, which costs the same for any number of its lives:
//
//     a life with k beside it     D(k) = s c (b W + (1 - b) k)
//     rollout                     L s c / (R T) + D(W) / 2        while lives wait for a thread, the last ones half a life longer
//                                 D(ceil(L / (R T)))              otherwise
//     chunks                      4 (1 + ln(L / (4 R chunk))) questions to rank 0, which looks for them every ms
//     exchange of n bytes         2 ceil(log2 R) latency + 2 n (R - 1) / (R bandwidth)        reduce, then broadcast
//     update                      that of one rank / R
#include "host/base/locale.h"
#include "host/base/writer.h"
#include "host/run/plan.h"

#include <math.h>

enum { LIFE_BYTES = 40, CHUNK = 4 }; // of a life's record; lives a thread

static double exchange(const hb_plan_network *network, double ranks, double bytes) {
    if (ranks < 2) return 0;
    return 2 * ceil(log2(ranks)) * 1e-6 * network->latency_us +
           2 * bytes * (ranks - 1) / ranks / (1e9 * network->bandwidth_gb_s);
}

static double rollout(double lives, double lanes, double width, double share, double step, double steps) {
    const double life = steps * step * (share * width + (1 - share) * width);
    if (lives > lanes * width) return lives * steps * step / lanes + life / 2;
    return steps * step * (share * width + (1 - share) * ceil(lives / lanes));
}

hb_plan_scaled hb_plan_scale(const hb_trainer *trainer, const hb_plan_timing *t, const hb_plan_network *network,
                             int64_t ranks, double steps) {
    const hb_search *search = &trainer->search;
    const double r = (double)ranks, lives = (double)(search->settings->population * trainer->n_variations),
                 width = hb_world_width(&trainer->world, trainer->settings->run.width);
    const double results = LIFE_BYTES * lives, numbers = search->method->exchanged ? search->method->exchanged(search)
                                                                                   : 4.0 * (double)search->array[0].n;
    const double chunk = CHUNK * t->threads, share = lives / (4 * r * chunk);
    const double questions = ranks > 1 ? 4 * (1 + log(share > 1 ? share : 1)) : 0;
    const double messages = questions * (1e-3 + 2e-6 * network->latency_us) + exchange(network, r, results) +
                            exchange(network, r, numbers) + 2 * exchange(network, r, 8);
    return (hb_plan_scaled){
        .seconds = rollout(lives, r * t->threads, width, width > 1 ? t->physics : 0, t->per_step, steps) + messages +
                   t->search / r,
        .exchange = messages,
        .exchanged = ranks > 1 ? results + numbers : 0};
}

// What a rank holds: a share of a spread array, the whole of the others, its lanes, and working memory.
static double rank_bytes(const hb_trainer *trainer, int64_t ranks) {
    const hb_search *search = &trainer->search;
    const int32_t lanes = hb_rollout_lanes(trainer->rollout);
    double bytes =
        (double)hb_device_group_bytes(trainer->machine.device, &trainer->net, lanes) +
        (double)sizeof(hb_episode_result) * (double)(search->settings->population * trainer->n_variations) +
        4.0 * (double)search->array[0].n;
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const hb_search_array *array = &search->array[k];
        const double own = 4.0 * (double)array->whole / (array->is_spread ? (double)ranks : 1);
        bytes += own;
        if (array->is_spread && hb_search_is_moment(array)) bytes += own / 2; // a gradient beside two moments
    }
    return search->method->exchanged ? bytes + search->method->exchanged(search) : bytes;
}

static void print_row(FILE *file, const hb_trainer *trainer, const hb_plan_timing *t, const hb_plan_network *network,
                      int64_t ranks) {
    const double most = trainer->world.shape.max_steps, r = (double)ranks;
    const hb_plan_scaled early = hb_plan_scale(trainer, t, network, ranks, t->steps),
                         late = hb_plan_scale(trainer, t, network, ranks, most),
                         early_alone = hb_plan_scale(trainer, t, network, 1, t->steps),
                         late_alone = hb_plan_scale(trainer, t, network, 1, most);
    fprintf(file, "  %5lld %7lld   %9.4f to %9.4f   %4.0f to %3.0f %%   %7.4f   %9.3f MB   %9.3f MB\n",
            (long long)ranks, (long long)ranks * t->threads, early.seconds, late.seconds,
            100 * early_alone.seconds / (r * early.seconds), 100 * late_alone.seconds / (r * late.seconds),
            late.exchange, 1e-6 * rank_bytes(trainer, ranks), 1e-6 * late.exchanged);
}

static hb_status plan(const hb_config *config, const hb_plan_network *network, const int64_t *ranks, int n,
                      FILE *file, hb_error *error) {
    hb_trainer trainer;
    hb_plan_timing t = {.lives = 0};
    hb_status status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) return status;
    status = hb_plan_time(&trainer, &t, error);
    if (status == HB_OK) {
        fprintf(file,
                "by ranks of %d threads, as fast as this machine's, that exchange with %g us and %g GB/s; lives as "
                "short as at the start, and all to their last step\n"
                "  ranks threads       s a generation          efficiency   messages  memory a rank   exchanged\n",
                t.threads, network->latency_us, network->bandwidth_gb_s);
        for (int k = 0; k < n; k++) print_row(file, &trainer, &t, network, ranks[k]);
    }
    hb_trainer_close(&trainer);
    return status;
}

hb_status hb_plan_ranks(const hb_config *config, const hb_plan_network *network, const int64_t *ranks, int n,
                        const hb_writer *writer, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    FILE *file = hb_writer_open(writer);
    return hb_writer_close(file, file ? plan(config, network, ranks, n, file, error) : HB_FAILED, error);
}
