// A whole generation on all configured threads, after one to warm up. Limit: its physics alone, perfectly spread.
#include "bench/bench.h"
#include "host/train/trainer.h"

hb_status hb_bench_generation(const hb_config *config, const hb_bench_out *out, hb_error *error) {
    hb_trainer trainer;
    hb_status status = hb_trainer_open(config, &trainer, error);
    if (status != HB_OK) return status;
    hb_generation report = {.generation = 0};
    for (int k = 0; k < 2 && status == HB_OK; k++) {
        status = hb_trainer_live(&trainer, &report, NULL, error);
        if (status == HB_OK) status = hb_trainer_update(&trainer, &report, error);
    }
    if (status == HB_OK) {
        char name[96];
        snprintf(name, sizeof name, "generation.%s.seconds", config->env->name);
        hb_bench_row_out(out, name, report.seconds, "s", report.physics, "physics alone", 1);
        const struct {
            const char *name;
            double seconds;
        } phases[] = {{"physics", report.physics}, {"env", report.env},       {"policy", report.policy},
                      {"expand", report.expand},   {"update", report.update}, {"other", report.other}};
        for (size_t k = 0; k < sizeof phases / sizeof *phases; k++) {
            snprintf(name, sizeof name, "generation.%s.%s", config->env->name, phases[k].name);
            hb_bench_row_out(out, name, 100 * phases[k].seconds / report.seconds, "%", -1, "", 1);
        }
        snprintf(name, sizeof name, "generation.%s.env_steps", config->env->name);
        hb_bench_row_out(out, name, (double)report.env_steps / report.seconds, "1/s",
                         (double)report.env_steps / report.physics, "physics alone", 1);
    }
    hb_trainer_close(&trainer);
    return status;
}
