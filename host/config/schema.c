// The table of keys. A new key is one line here and one field in hb_settings.
#include "host/config/config.h"
#include "host/policy/policy.h"
#include "host/search/search.h"
#include "kernels/device.h"

#include <stddef.h>

static const char *rule_word(int k) {
    return k < hb_n_rules ? hb_rules[k].name : NULL;
}

static const char *init_word(int k) {
    return k < hb_n_initialisers ? hb_initialisers[k].name : NULL;
}

static const char *eval_init_word(int k) {
    return k == 0 ? "same" : init_word(k - 1);
}

static const char *device_word(int k) {
    return k == 0 ? "auto" : k <= hb_n_devices ? hb_devices[k - 1]->name : NULL;
}

static const char *policy_word(int k) {
    return hb_policies[k].name;
}

static const char *search_word(int k) {
    return hb_searches[k] ? hb_searches[k]->name : NULL;
}

static const char *const variants[] = {"auto", "avx512", "avx2", "generic", NULL};
static const char *const rollouts[] = {"auto", "resident", "batched", NULL};
static const char *const activations[] = {"tanh", "linear", NULL};
static const char *const precisions[] = {"float32", "float16", NULL};
static const char *const optimisers[] = {"sgd", "adam", NULL};
static const char *const shapings[] = {"ranks", "ranks_unbiased", "none", NULL};
static const char *const starts[] = {"normal", "u01", "u11", "fan_in", NULL};
static const char *const assignments[] = {"random", "layer", "pre", "post", "sides", "neuron", "merge", NULL};
static const char *const noises[] = {"rule", "synapse", NULL};
static const char *const gradients[] = {"auto", "dense", NULL};
static const char *const responsibilities[] = {"soft", "hard", NULL};
static const char *const lambda_steps[] = {"plain", "natural", NULL};
static const char *const visions[] = {"evolved", "fixed", NULL};
static const char *const merge_bys[] = {"coefficients", "planes", NULL};
static const char *const formulas[] = {"text", "code", NULL};
static const char *const protocols[] = {"both", "mean", "sample", NULL};
static const char *const checkpoints[] = {"best", "last", NULL};

#define AT(field) offsetof(hb_settings, field)

static const hb_key schema[] = {
    {"run", "seed", HB_KEY_INT, "1", 0, 4294967295.0, NULL, NULL, AT(seed), "every random number follows from it"},
    {"run", "generations", HB_KEY_INT, "500", 0, 999999, NULL, NULL, AT(generations), "where training stops"},
    {"run", "threads", HB_KEY_INT, "auto", 1, 1024, NULL, NULL, AT(threads), "host threads; default: all cores"},
    {"run", "device", HB_KEY_WORD, "auto", 0, 0, device_word, NULL, AT(device), "where the population is computed"},
    {"run", "variant", HB_KEY_WORD, "auto", 0, 0, NULL, variants, AT(variant), "build of the cpu device; same bits"},
    {"run", "rollout", HB_KEY_WORD, "auto", 0, 0, NULL, rollouts, AT(rollout),
     "resident: a thread keeps a lane for its life; batched: groups of lanes; same bits"},
    {"run", "group", HB_KEY_INT, "0", 0, 1e6, NULL, NULL, AT(group),
     "lanes of a group when batched; 0: what the device likes"},
    {"run", "out", HB_KEY_TEXT, "", 0, 0, NULL, NULL, AT(out), "the run's folder; default: runs/NAME-seedS"},
    {"run", "scratch", HB_KEY_TEXT, "", 0, 0, NULL, NULL, AT(scratch),
     "a folder for the search's arrays, where memory does not hold them; default: memory"},
    {"run", "checkpoint_every", HB_KEY_INT, "10", 1, 1e6, NULL, NULL, AT(checkpoint_every), "generations"},
    {"run", "keep_checkpoints", HB_KEY_INT, "3", 1, 1e6, NULL, NULL, AT(keep_checkpoints),
     "how many of the last are kept, beside the best"},

    {"env", "name", HB_KEY_TEXT, "ant", 0, 0, NULL, NULL, AT(env), "an environment, or a shared object's path"},
    {"env", "variations", HB_KEY_WORDS, "", 0, 0, NULL, NULL, AT(variations),
     "met by every individual in training; default: the environment's first"},
    {"env", "held_out", HB_KEY_WORDS, "", 0, 0, NULL, NULL, AT(held_out), "met in evaluation only"},

    {"policy", "kind", HB_KEY_WORD, "hebbian", 0, 0, policy_word, NULL, AT(policy), "what an individual is"},
    {"policy", "rule", HB_KEY_WORD, "ABCD_lr", 0, 0, rule_word, NULL, AT(rule), "plasticity rule"},
    {"policy", "init", HB_KEY_WORD, "uni", 0, 0, init_word, NULL, AT(init), "initial weights of an episode"},
    {"policy", "hidden", HB_KEY_INTS, "128,64", 1, 4096, NULL, NULL, AT(hidden), "widths of the hidden layers"},
    {"policy", "last", HB_KEY_WORD, "tanh", 0, 0, NULL, activations, AT(last), "activation of the last layer"},
    {"policy", "vision", HB_KEY_WORD, "evolved", 0, 0, NULL, visions, AT(vision),
     "convolutions before the layers where pictures are seen: evolved, or random and fixed for the run"},
    {"policy", "planes", HB_KEY_WORD, "float32", 0, 0, NULL, precisions, AT(planes),
     "what a rule's folded coefficients are rounded to; float16: a card moves 16 bytes a synapse, not 24"},
    {"policy", "normalise", HB_KEY_BOOL, "false", 0, 0, NULL, NULL, AT(normalise),
     "divide each layer's weights by their largest magnitude after every update"},

    {"search", "kind", HB_KEY_WORD, "normal", 0, 0, search_word, NULL, AT(search), "search distribution"},
    {"search", "population", HB_KEY_INT, "500", 2, 10e6, NULL, NULL, AT(population), "individuals"},
    {"search", "sigma", HB_KEY_REAL, "0.1", 1e-12, 1e6, NULL, NULL, AT(sigma), "standard deviation at the start"},
    {"search", "sigma_decay", HB_KEY_REAL, "0.999", 1e-6, 1, NULL, NULL, AT(sigma_decay), "per generation"},
    {"search", "sigma_floor", HB_KEY_REAL, "0.01", 0, 1e6, NULL, NULL, AT(sigma_floor), "decays only above it"},
    {"search", "lr", HB_KEY_REAL, "0.2", 0, 1e6, NULL, NULL, AT(lr), "learning rate at the start"},
    {"search", "lr_decay", HB_KEY_REAL, "0.995", 1e-6, 1, NULL, NULL, AT(lr_decay), "per generation"},
    {"search", "lr_floor", HB_KEY_REAL, "0.001", 0, 1e6, NULL, NULL, AT(lr_floor), "decays only above it"},
    {"search", "optimiser", HB_KEY_WORD, "sgd", 0, 0, NULL, optimisers, AT(optimiser), "what takes the gradient"},
    {"search", "beta1", HB_KEY_REAL, "0.9", 0, 0.999999, NULL, NULL, AT(beta1), "Adam's first moment"},
    {"search", "beta2", HB_KEY_REAL, "0.999", 0, 0.999999, NULL, NULL, AT(beta2), "Adam's second moment"},
    {"search", "epsilon", HB_KEY_REAL, "1e-8", 0, 1, NULL, NULL, AT(epsilon), "Adam's denominator"},
    {"search", "antithetic", HB_KEY_BOOL, "true", 0, 0, NULL, NULL, AT(antithetic),
     "individuals come in pairs mean +- sigma eps"},
    {"search", "shaping", HB_KEY_WORD, "ranks", 0, 0, NULL, shapings, AT(shaping),
     "fitness shaping: standardised ranks (NR), with unbiased sd (PNR), none"},
    {"search", "l2", HB_KEY_REAL, "0.01", 0, 1e6, NULL, NULL, AT(l2), "fitness -= l2 mean(h^2)"},
    {"search", "clip_negative", HB_KEY_BOOL, "false", 0, 0, NULL, NULL, AT(clip_negative),
     "a negative return counts 0 (NR's first code)"},
    {"search", "start", HB_KEY_WORD, "normal", 0, 0, NULL, starts, AT(start),
     "where the mean starts: N(0,1), U[0,1], U[-1,1], U(+-1/sqrt(I))"},
    {"search", "start_scale", HB_KEY_REAL, "1", 0, 1e6, NULL, NULL, AT(start_scale),
     "multiplies the start of the rules' coefficients"},
    {"search", "rho", HB_KEY_REAL, "32", 1, 1e9, NULL, NULL, AT(rho),
     "shared rules: synapses per rule; their number is M = N / rho"},
    {"search", "rules", HB_KEY_INT, "0", 0, 1e7, NULL, NULL, AT(rules), "shared rules: M itself; 0: by rho"},
    {"search", "m_formula", HB_KEY_WORD, "text", 0, 0, NULL, formulas, AT(m_formula),
     "text: M = N / rho (PNR's text); code: M = C N / rho (PNR's Ant code), C coefficients a rule"},
    {"search", "assignment", HB_KEY_WORD, "random", 0, 0, NULL, assignments, AT(assignment),
     "which synapse has which of the shared rules: at random, within layers, one per pre- or post-neuron, "
     "the sum of a part per neuron and side or per neuron, or merged from rules of their own"},
    {"search", "noise", HB_KEY_WORD, "rule", 0, 0, NULL, noises, AT(noise),
     "shared rules: each rule or each synapse is varied"},
    {"search", "merge_every", HB_KEY_INT, "25", 1, 1e6, NULL, NULL, AT(merge_every),
     "generations between merges of rules"},
    {"search", "merge_rules", HB_KEY_INTS, "3072,1536,768,384", 1, 1e7, NULL, NULL, AT(merge_rules),
     "how many rules each merge leaves"},
    {"search", "merge_by", HB_KEY_WORD, "coefficients", 0, 0, NULL, merge_bys, AT(merge_by),
     "what makes rules alike: their coefficients, or the planes that these fold into"},
    {"search", "merge_parts", HB_KEY_INT, "1", 1, 16, NULL, NULL, AT(merge_parts),
     "of how many merged rules a synapse's is the sum, one of each equal part of them: more keep more of what was "
     "learned"},
    {"search", "merge_step", HB_KEY_REAL, "1", 1e-6, 1e6, NULL, NULL, AT(merge_step),
     "multiplies sigma and lr once rules have been merged"},
    {"search", "lr_lambda", HB_KEY_REAL, "0", 0, 1e6, NULL, NULL, AT(lr_lambda),
     "gmm: lambda's learning rate at the start, decaying like lr; 0: the same as lr"},
    {"search", "lambda_step", HB_KEY_WORD, "plain", 0, 0, NULL, lambda_steps, AT(lambda_step),
     "gmm: natural divides lambda's gradient by each rule's probability"},
    {"search", "responsibility", HB_KEY_WORD, "soft", 0, 0, NULL, responsibilities, AT(responsibility),
     "gmm: soft marginalises the rule (PNR); hard takes the one that was drawn"},
    {"search", "alternate", HB_KEY_INT, "0", 0, 1e6, NULL, NULL, AT(alternate),
     "gmm: lambda and the rules (with convolutions) move in turns of so many generations; 0: both always"},
    {"search", "gradient", HB_KEY_WORD, "auto", 0, 0, NULL, gradients, AT(gradient),
     "gmm: dense looks at every rule for every sample; the same bits, slower"},
    {"search", "stop_mean", HB_KEY_REAL, "1e300", -1e300, 1e300, NULL, NULL, AT(stop_mean),
     "stop when the population mean exceeds this"},

    {"eval", "rollouts", HB_KEY_INT, "100", 1, 1e6, NULL, NULL, AT(rollouts), "episodes per variation"},
    {"eval", "protocol", HB_KEY_WORD, "both", 0, 0, NULL, protocols, AT(protocol),
     "mean: the search's mean (NR); sample: individuals drawn around it (PNR)"},
    {"eval", "checkpoint", HB_KEY_WORD, "best", 0, 0, NULL, checkpoints, AT(eval_checkpoint),
     "best: of the best population mean; last"},
    {"eval", "init", HB_KEY_WORD, "same", 0, 0, eval_init_word, NULL, AT(eval_init), "initial weights at test time"},
};

const hb_key *hb_schema(int32_t *n) {
    *n = sizeof schema / sizeof *schema;
    return schema;
}
