// Gymnasium's tasks on MuJoCo, version 5: their models and what they observe, reward and end by.
#ifndef HB_MJCF_PRESETS_H
#define HB_MJCF_PRESETS_H

typedef struct {
    const char *name;  // Gymnasium's
    const char *model; // MJCF; see models/
    int frame_skip;
    const char *observe, *reward, *alive, *reset; // program.h
} hb_mjcf_preset;

extern const hb_mjcf_preset hb_mjcf_presets[]; // ends with a NULL name

// The models in models/, written into C by cmake/models.cmake.
extern const char hb_mjcf_ant[], hb_mjcf_half_cheetah[], hb_mjcf_hopper[], hb_mjcf_humanoid[],
    hb_mjcf_inverted_pendulum[], hb_mjcf_swimmer[], hb_mjcf_walker2d[];

#endif
