// A whole generation on all configured threads, after one to warm up. Limit: its physics alone, perfectly spread.
#include "bench/bench.h"
#include "host/train/trainer.h"

hb_status hb_bench_generation(const hb_bench *bench, hb_error *error) {
    hb_config *config;
    hb_status status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status != HB_OK) return status;
    hb_trainer trainer;
    status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) {
        hb_config_close(config);
        return status;
    }
    hb_generation report = {.generation = 0};
    for (int k = 0; k < 2 && status == HB_OK; k++) {
        status = hb_trainer_rollout(&trainer, &report, NULL, error);
        if (status == HB_OK) status = hb_trainer_update(&trainer, &report, error);
    }
    if (status == HB_OK) {
        char name[96];
        snprintf(name, sizeof name, "generation.%s.seconds", config->env->name);
        hb_bench_print(bench, name, report.seconds, "s", report.physics, "physics alone", 1);
        const struct {
            const char *name;
            double seconds;
        } phases[] = {{"physics", report.physics}, {"env", report.env},       {"policy", report.policy},
                      {"expand", report.expand},   {"update", report.update}, {"other", report.other}};
        for (size_t k = 0; k < sizeof phases / sizeof *phases; k++) {
            snprintf(name, sizeof name, "generation.%s.%s", config->env->name, phases[k].name);
            hb_bench_print(bench, name, 100 * phases[k].seconds / report.seconds, "%", -1, "", 1);
        }
        snprintf(name, sizeof name, "generation.%s.env_steps", config->env->name);
        hb_bench_print(bench, name, (double)report.env_steps / report.seconds, "1/s",
                       (double)report.env_steps / report.physics, "physics alone", 1);
    }
    hb_trainer_close(&trainer);
    hb_config_close(config);
    return status;
}
