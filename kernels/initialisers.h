// How the weights of a life are drawn at its start.
#ifndef HB_INITIALISERS_H
#define HB_INITIALISERS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { HB_DRAW_UNIFORM, HB_DRAW_NORMAL, HB_DRAW_SPARSE, HB_DRAW_CONSTANT, HB_DRAW_GENOME } hb_draw;

// UNIFORM draws U(-s, s); NORMAL draws N(0, s^2); SPARSE the same with ceil(0.8 O) zeros in each input's fan-out; CONSTANT is s; GENOME
// takes the weights from the end of the genome ("coevolve"). The scale s is scale sqrt(fan / (in_weight I + out_weight O)), or
// just scale if both weights are 0.
typedef struct {
    const char *name;
    const char *summary;
    hb_draw draw;
    float scale;
    float fan, in_weight, out_weight;
} hb_initialiser;

// The initialisers (docs/equations.md, "Initial weights").
extern const hb_initialiser hb_initialisers[];
extern const int32_t hb_n_initialisers;

const hb_initialiser *hb_initialiser_find(const char *name);

// The scale s for a layer of I inputs and O outputs.
float hb_initialiser_scale(const hb_initialiser *init, int32_t inputs, int32_t outputs);

#ifdef __cplusplus
}
#endif

#endif
