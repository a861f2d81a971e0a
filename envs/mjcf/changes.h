// Variations of a model, from a line of text: "ice: friction 0.5; weak: gear[2] 0; short: length[left_leg_geom] 0.5; heavy: mass 2, mass[torso] 1.5".
#ifndef HB_MJCF_CHANGES_H
#define HB_MJCF_CHANGES_H

#include <mujoco/mujoco.h>

enum { HB_MJCF_VARIATIONS = 32 };

// The names in `text`, behind "default"; NULL-terminated, HB_MJCF_VARIATIONS at most with it; in names, which points into a copy that the
// caller frees by hb_mjcf_variations_free. Returns how many there are, or -1 with a line.
int hb_mjcf_variations(const char *text, char *names[HB_MJCF_VARIATIONS + 1], char *message, size_t size);
void hb_mjcf_variations_free(char *names[HB_MJCF_VARIATIONS + 1]);

// Makes the changes of variation k (0: none) to a specification, before it is compiled. Returns 0, or -1 with a line.
int hb_mjcf_change(const char *text, int k, mjSpec *spec, char *message, size_t size);

#endif
