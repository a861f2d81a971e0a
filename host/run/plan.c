// Estimates a run's memory and time before it starts (scale.c: by several ranks).
#include "host/run/plan.h"
#include "host/base/clock.h"
#include "host/base/locale.h"
#include "host/base/writer.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const hb_trainer *trainer;
    int32_t n_lives;
} sample;

static void print_bytes(void *file, const char *what, double bytes, double naive, const char *why) {
    static const char *const unit[] = {"B ", "KB", "MB", "GB", "TB"};
    int a = 0, b = 0;
    for (; bytes >= 1000 && a < 4; a++) bytes /= 1000;
    for (; naive >= 1000 && b < 4; b++) naive /= 1000;
    fprintf(file, "  %-22s %8.1f %s %8.1f %s   %s\n", what, bytes, unit[a], naive, unit[b], why);
}

// The bytes of the search's arrays, one by one, and what the papers' code would keep in addition for these individuals: noise and
// genome of each, and, for a mixture, a gradient by lambda of each.
static void print_search(FILE *file, const hb_trainer *trainer) {
    const hb_settings *s = trainer->settings;
    const hb_search *search = &trainer->search;
    const double genome = 4.0 * (double)trainer->net.genome_size, population = (double)s->search.population;
    const int32_t threads = hb_pool_threads(trainer->machine.pool);
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const double bytes = 4.0 * (double)search->array[k].n;
        print_bytes(file, search->array[k].name, bytes, bytes, "state");
    }
    if (search->method->memory) {
        search->method->memory(search, print_bytes, file);
    } else {
        print_bytes(file, "gradient", 4.0 * (double)search->array[0].n, 4.0 * (double)search->array[0].n,
                    "one at a time");
    }
    print_bytes(file, "noise", 256.0 * threads, genome * population, "regenerated 64 numbers at a time; P x D");
    print_bytes(file, "genomes", genome * threads, genome * population, "one a thread while it is expanded; P x D");
}

static void print_memory(FILE *file, const hb_trainer *trainer) {
    const hb_settings *s = trainer->settings;
    const hb_machine *machine = &trainer->machine;
    const double genome = 4.0 * (double)trainer->net.genome_size;
    const double population = (double)s->search.population;
    const double weights = 4.0 * (double)trainer->net.n_weights;
    const int32_t lanes = hb_rollout_lanes(trainer->rollout);
    fprintf(file, "memory                       here          naive: everything of all individuals at once\n");
    print_search(file, trainer);
    print_bytes(file, "lanes", (double)hb_device_group_bytes(machine->device, &trainer->net, lanes),
                (genome + weights) * population * trainer->n_variations, "weights and planes; all lives at once");
    print_bytes(file, "results", (double)sizeof(hb_episode_result) * population * trainer->n_variations,
                8.0 * population * trainer->n_variations, "one record a life: fitness, steps, how it ended");
}

static void sample_episode(const void *context, int64_t k, hb_episode *episode) {
    const sample *s = context;
    hb_trainer_episode(s->trainer, k % s->n_lives, episode);
}

static void print_time(FILE *file, const char *what, double seconds, double generations) {
    const double total = seconds * generations;
    fprintf(file, "  %-42s %8.2f s a generation, %6.2f h for %.0f\n", what, seconds, total / 3600, generations);
}

enum { MOST_TOLD = 2000 }; // individuals whose update is timed

// Seconds of asking and telling in a generation, with made-up fitness; the search has moved then. A large population's are those of a
// part of it, times the rest.
static hb_status time_search(const hb_trainer *trainer, double *seconds, hb_error *error) {
    const hb_config *config = trainer->config;
    hb_config *part = malloc(sizeof *part);
    double *fitness = calloc(MOST_TOLD, sizeof *fitness);
    hb_search search = {.machine = NULL};
    *seconds = 0;
    hb_status status = part && fitness ? HB_OK : hb_fail(error, HB_FAILED, "out of memory");
    if (status == HB_OK) {
        *part = *config;
        if (part->settings.search.population > MOST_TOLD) part->settings.search.population = MOST_TOLD;
        status = hb_search_create(&search, trainer->search.machine, NULL, &part->settings.search,
                                  (uint32_t)part->settings.run.seed, &trainer->net, error);
    }
    if (status == HB_OK) {
        const int64_t n = part->settings.search.population;
        for (int64_t k = 0; k < n; k++) fitness[k] = (double)k;
        const double begun = hb_now();
        status = hb_search_prepare(&search, n, 0, error);
        if (status == HB_OK) status = hb_search_tell(&search, fitness, error);
        *seconds = (hb_now() - begun) * (double)config->settings.search.population / (double)n;
    }
    if (search.machine) hb_search_destroy(&search);
    free(part);
    free(fitness);
    return status;
}

hb_status hb_plan_time(hb_trainer *trainer, hb_plan_timing *t, hb_error *error) {
    const hb_settings *s = trainer->settings;
    const int64_t all = s->search.population * trainer->n_variations;
    t->threads = hb_pool_threads(trainer->machine.pool);
    // Bodies of several lives are timed full; the last lives of a generation leave lanes empty.
    enum { THREADS = 2 }; // of a rank, which all ranks must count alike
    const int32_t width = hb_world_width(&trainer->world, trainer->settings->run.width),
                  threads = trainer->ranks ? THREADS * hb_ranks_size(trainer->ranks) : t->threads,
                  most = threads * (width > 1 ? 8 * width : 12);
    t->lives = (int32_t)(all < most ? all : most);
    const sample lives = {trainer, t->lives};
    hb_episode_result *results = calloc((size_t)t->lives, sizeof *results);
    if (!results) return hb_fail(error, HB_FAILED, "out of memory");
    hb_rollout_times times = {.physics = 0};
    hb_status status = hb_trainer_ready(trainer, error);
    if (status == HB_OK) status = hb_search_prepare(&trainer->search, t->lives, 0, error);
    const double begun = hb_now();
    if (status == HB_OK)
        status =
            hb_rollout_run(trainer->rollout, t->lives, sample_episode, &lives, results, NULL, &times, NULL, error);
    t->seconds = hb_now() - begun;
    double steps = 0;
    for (int32_t k = 0; k < t->lives; k++) steps += results[k].steps;
    free(results);
    if (status != HB_OK) return status;
    steps = steps > 0 ? steps : 1;
    t->per_step = (times.physics + times.env + times.policy + times.expand) / steps;
    t->steps = steps / t->lives;
    t->physics = times.physics / (t->per_step * steps);
    t->policy = times.policy / (t->per_step * steps);
    t->search = 0;
    if (!trainer->ranks) status = time_search(trainer, &t->search, error);
    t->shortest = t->search + t->per_step * t->steps * (double)all / t->threads;
    t->longest = t->search + t->per_step * trainer->world.shape.max_steps * (double)all / t->threads;
    return status;
}

// How many numbers evolve: those of the search's arrays but Adam's moments, deviations, and what searches count. Shared rules are fewer than the genome, a mixture's weights more.
static double evolved(const hb_search *search) {
    double n = 0;
    for (int32_t k = 0; k < search->n_arrays; k++) {
        const hb_search_array *array = &search->array[k];
        const bool evolves = array->role == HB_ARRAY_TAKEN && !array->is_fixed && array->below == 0;
        if (evolves && !hb_search_is_moment(array)) n += (double)array->n;
    }
    return n;
}

static hb_status print_times(FILE *file, hb_trainer *trainer, hb_error *error) {
    hb_plan_timing t;
    const hb_status status = hb_plan_time(trainer, &t, error);
    if (status != HB_OK) return status;
    fprintf(file,
            "time, from %d lives in %.2f s on %d threads: %.1f us a step, of it physics %.0f %%, policy %.0f "
            "%%\n",
            t.lives, t.seconds, t.threads, 1e6 * t.per_step, 100 * t.physics, 100 * t.policy);
    const double generations = (double)trainer->settings->run.generations;
    print_time(file, "lives as short as at the start", t.shortest, generations);
    print_time(file, "every life to its last step", t.longest, generations);
    print_time(file, "of it, the search", t.search, generations);
    return HB_OK;
}

hb_status hb_plan_numbers(const hb_config *config, hb_plan_figures *figures, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    hb_trainer trainer;
    hb_plan_timing t = {.lives = 0};
    hb_status status = hb_trainer_open(config, &trainer, error);
    if (status == HB_OK) status = hb_trainer_ready(&trainer, error);
    if (status != HB_OK) {
        hb_trainer_close(&trainer);
        return status;
    }
    const hb_machine *machine = &trainer.machine;
    double bytes = (double)hb_device_group_bytes(machine->device, &trainer.net, hb_rollout_lanes(trainer.rollout));
    for (int32_t k = 0; k < trainer.search.n_arrays; k++) bytes += 4.0 * (double)trainer.search.array[k].n;
    status = hb_plan_time(&trainer, &t, error);
    *figures = (hb_plan_figures){bytes, t.shortest, t.longest};
    hb_trainer_close(&trainer);
    return status;
}

static hb_status plan(const hb_config *config, FILE *file, hb_error *error) {
    hb_trainer trainer;
    hb_status status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) return status;
    const hb_settings *s = trainer.settings;
    fprintf(file,
            "%s on %s: P = %lld, V = %d, N = %lld weights, D = %lld numbers of a genome, from %.0f evolved numbers\n",
            hb_policies[s->policy.kind].name, config->env->name, (long long)s->search.population,
            trainer.n_variations, (long long)trainer.net.n_weights, (long long)trainer.net.genome_size,
            evolved(&trainer.search));
    status = hb_trainer_ready(&trainer, error);
    if (status == HB_OK) print_memory(file, &trainer);
    if (status == HB_OK) status = print_times(file, &trainer, error);
    hb_trainer_close(&trainer);
    return status;
}

hb_status hb_plan(const hb_config *config, const hb_writer *writer, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    FILE *file = hb_writer_open(writer);
    return hb_writer_close(file, file ? plan(config, file, error) : HB_FAILED, error);
}
