// One life, lived step by step for whoever wants to look at it: traces, pictures.
#ifndef HB_LIFE_H
#define HB_LIFE_H

#include "host/train/rollout.h"
#include "host/train/trainer.h"

// Which life. individual: -1 is the search's mean, K the one that the next generation would hold; variation: nullable, the
// first of env.variations.
typedef struct {
    int64_t individual;
    const char *variation;
} hb_life_def;

typedef struct {
    hb_config *config;
    const hb_stop *stop; // nullable: steps return HB_INTERRUPTED after a request
    hb_trainer trainer;
    int32_t variation;
    int64_t individual; // of the definition
    hb_birth birth;
    hb_noise reset;
    hb_group *group;
    void *body;
    hb_env_step step;       // the last one's
    int32_t steps;          // policy steps since hb_life_begin
    hb_env_outcome outcome; // DIVERGED, too, where fitness or observation are not finite, as in training
    double sum_of_squares;  // of the penalised genome, after the first step
    float earned;           // the reward that networks may take: the last step's fitness
    float *observation;     // what comes next: hb_net_observation_words
    float *seen;            // the same, as the network sees it (search.observations)
    float *output;          // of the network in the last step
    float *action;          // what the environment was given for it
} hb_life;

// Opens the life of a configuration's or of a run's search, there of the checkpoint that eval.checkpoint names, with initial
// weights as eval.init says; the caller closes it, whatever is returned.
hb_status hb_life_open(const char *source, const char *const *sets, int n_sets, const hb_life_def *def, hb_life *life,
                       hb_error *error);
void hb_life_close(hb_life *life);

// Is born: weights drawn, environment reset. Then step by step while outcome is HB_ENV_RUNNING. Births other than 0 draw other
// weights and resets, those of the rollouts of an evaluation.
hb_status hb_life_begin(hb_life *life, int64_t number, hb_error *error);
hb_status hb_life_step(hb_life *life, hb_error *error);

// The two halves of a step: what the network puts out, and what the environment makes of it.
hb_status hb_life_think(hb_life *life, hb_error *error);
void hb_life_act(hb_life *life);

// What no step changes, of an individual's genome: the weights of convolution k, [maps][channels][side][side], which the caller frees (NULL
// when out of memory); and the name of a layer's activation.
float *hb_life_convolution(const hb_life *life, const float *genome, int32_t k);
const char *hb_life_activation(const hb_layer *layer);

// How changes enter the network's weights: names and values, as those of their keys (and "squares_post": the rule takes post squared), for files that
// others replay. Returns how many there are, at most HB_LIFE_TEXTS.
enum { HB_LIFE_TEXTS = 12 };
typedef struct {
    const char *name;
    char value[32];
} hb_life_text;
int hb_life_plasticity(const hb_net *net, hb_life_text text[HB_LIFE_TEXTS]);

// The weights of all layers after the update of the last step: w (N).
hb_status hb_life_weights(const hb_life *life, float *w, hb_error *error);

#endif
