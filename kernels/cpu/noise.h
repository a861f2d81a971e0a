// Blocks of noise as the vectoriser wants them: the 64 words, or normals, of block `block` of a sequence.
#ifndef HB_CPU_NOISE_H
#define HB_CPU_NOISE_H

#include "kernels/scalar.h"

static inline void hb_words_block(hb_noise id, uint32_t block, uint32_t *restrict out) {
    for (uint32_t k = 0; k < 16; k++) {
        const hb_philox_block b = hb_noise_words(id, block * 16 + k);
        out[k] = b.word[0];
        out[16 + k] = b.word[1];
        out[32 + k] = b.word[2];
        out[48 + k] = b.word[3];
    }
}

static inline void hb_normals_block(hb_noise id, uint32_t block, float *restrict out) {
    for (uint32_t k = 0; k < 16; k++) {
        const hb_philox_block b = hb_noise_words(id, block * 16 + k);
        hb_normal_pair(b.word[0], b.word[1], &out[k], &out[16 + k]);
        hb_normal_pair(b.word[2], b.word[3], &out[32 + k], &out[48 + k]);
    }
}

#endif
