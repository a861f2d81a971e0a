// What other languages need to know of this header as data: the layout of structs, and the keys of a configuration.
#include "host/config/config.h"

#include <stddef.h>

#define FIELD(S, field)                                                                                              \
    { #S, #field, offsetof(S, field), sizeof(((S *)NULL)->field) }

const hb_layout_row *hb_layout(void) {
    static const hb_layout_row rows[] = {FIELD(hb_error, message),
                                         FIELD(hb_progress, generation),
                                         FIELD(hb_progress, generations),
                                         FIELD(hb_progress, mean),
                                         FIELD(hb_progress, sd),
                                         FIELD(hb_progress, max),
                                         FIELD(hb_progress, steps_per_second),
                                         FIELD(hb_progress, seconds),
                                         FIELD(hb_progress, physics_share),
                                         FIELD(hb_progress, policy_share),
                                         FIELD(hb_progress, update_share),
                                         FIELD(hb_progress, best_mean),
                                         FIELD(hb_progress, diverged),
                                         FIELD(hb_progress, lives),
                                         FIELD(hb_hooks, started),
                                         FIELD(hb_hooks, progress),
                                         FIELD(hb_hooks, note),
                                         FIELD(hb_hooks, context),
                                         FIELD(hb_hooks, stop),
                                         FIELD(hb_hooks, ranks),
                                         FIELD(hb_render_def, steps),
                                         FIELD(hb_render_def, individual),
                                         FIELD(hb_render_def, variation),
                                         FIELD(hb_render_def, out),
                                         FIELD(hb_render_def, width),
                                         FIELD(hb_render_def, height),
                                         FIELD(hb_render_def, moments),
                                         FIELD(hb_render_def, stop),
                                         FIELD(hb_rendered, wrote),
                                         FIELD(hb_rendered, without_ffmpeg),
                                         FIELD(hb_rendered, steps),
                                         FIELD(hb_eval_life, fitness),
                                         FIELD(hb_eval_life, reward),
                                         FIELD(hb_eval_life, steps),
                                         FIELD(hb_eval_life, diverged),
                                         FIELD(hb_evaluation, variation),
                                         FIELD(hb_evaluation, protocol),
                                         FIELD(hb_evaluation, held_out),
                                         FIELD(hb_evaluation, rollouts),
                                         FIELD(hb_evaluation, mean),
                                         FIELD(hb_evaluation, sd),
                                         FIELD(hb_evaluation, standard_error),
                                         FIELD(hb_evaluation, steps),
                                         FIELD(hb_evaluation, backward_share),
                                         FIELD(hb_evaluation, diverged),
                                         FIELD(hb_evaluation, life),
                                         FIELD(hb_evaluation, changed),
                                         FIELD(hb_evolution_about, population),
                                         FIELD(hb_evolution_about, generation),
                                         FIELD(hb_evolution_about, generations),
                                         FIELD(hb_evolution_about, seed),
                                         FIELD(hb_evolution_about, genome_size),
                                         FIELD(hb_evolution_about, observation_size),
                                         FIELD(hb_evolution_about, action_size),
                                         FIELD(hb_evolution_about, layers),
                                         FIELD(hb_evolution_about, variations),
                                         FIELD(hb_evolution_about, threads),
                                         FIELD(hb_evolution_about, lr),
                                         FIELD(hb_evolution_about, sigma),
                                         FIELD(hb_evolution_about, best_mean),
                                         FIELD(hb_evolution_about, picture),
                                         FIELD(hb_evolution_about, plastic),
                                         FIELD(hb_evolution_about, over),
                                         FIELD(hb_vec_about, n),
                                         FIELD(hb_vec_about, observation_size),
                                         FIELD(hb_vec_about, action_size),
                                         FIELD(hb_vec_about, picture),
                                         FIELD(hb_vec_about, max_steps),
                                         FIELD(hb_vec_about, width),
                                         FIELD(hb_vec_about, threads),
                                         FIELD(hb_vec_about, step_seconds),
                                         FIELD(hb_functions, name),
                                         FIELD(hb_functions, summary),
                                         FIELD(hb_functions, variations),
                                         FIELD(hb_functions, range),
                                         FIELD(hb_functions, observation_size),
                                         FIELD(hb_functions, action_size),
                                         FIELD(hb_functions, max_steps),
                                         FIELD(hb_functions, state_bytes),
                                         FIELD(hb_functions, step_seconds),
                                         FIELD(hb_functions, reset),
                                         FIELD(hb_functions, step),
                                         FIELD(hb_writer, write),
                                         FIELD(hb_writer, context),
                                         FIELD(hb_trace_def, steps),
                                         FIELD(hb_trace_def, individual),
                                         FIELD(hb_trace_def, variation),
                                         FIELD(hb_trace_def, out),
                                         FIELD(hb_probe_def, what),
                                         FIELD(hb_probe_def, out),
                                         FIELD(hb_probe_def, steps),
                                         FIELD(hb_probe_def, individual),
                                         FIELD(hb_probe_def, at),
                                         FIELD(hb_probe_def, variation),
                                         FIELD(hb_probe_def, stop),
                                         FIELD(hb_probed, lives),
                                         FIELD(hb_probed, steps),
                                         FIELD(hb_plot_def, sources),
                                         FIELD(hb_plot_def, n_sources),
                                         FIELD(hb_plot_def, sets),
                                         FIELD(hb_plot_def, n_sets),
                                         FIELD(hb_plot_def, coefficients),
                                         FIELD(hb_plot_def, out),
                                         FIELD(hb_key_about, section),
                                         FIELD(hb_key_about, name),
                                         FIELD(hb_key_about, type),
                                         FIELD(hb_key_about, value),
                                         FIELD(hb_key_about, standard),
                                         FIELD(hb_key_about, help),
                                         FIELD(hb_key_about, least),
                                         FIELD(hb_key_about, most),
                                         FIELD(hb_key_about, same_bits),
                                         {NULL, NULL, 0, 0}};
    return rows;
}

const char *hb_version(void) {
    return HB_VERSION;
}

bool hb_config_key(const hb_config *config, int k, hb_key_about *about) {
    static const char *const types[] = {"bool", "int", "real", "word", "text", "file", "library", "words", "ints"};
    if (k < 0 || k >= config->n_entries) return false;
    const hb_config_entry *entry = &config->entry[k];
    *about = (hb_key_about){.section = entry->section,
                            .name = entry->key.name,
                            .type = types[entry->key.type],
                            .value = entry->value,
                            .standard = entry->standard,
                            .help = entry->key.help,
                            .least = entry->key.least,
                            .most = entry->key.most,
                            .same_bits = entry->key.same_bits};
    return true;
}

const char *hb_config_word(const hb_config *config, int k, int word) {
    if (k < 0 || k >= config->n_entries || word < 0) return NULL;
    for (int j = 0; j < word; j++)
        if (!hb_key_word(&config->entry[k].key, j)) return NULL;
    return hb_key_word(&config->entry[k].key, word);
}
