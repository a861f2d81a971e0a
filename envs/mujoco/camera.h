// Pictures of a MuJoCo simulation without a screen: MuJoCo's own renderer in an OpenGL context of EGL's, which is loaded
// when the first picture is wanted.
#ifndef HB_MUJOCO_CAMERA_H
#define HB_MUJOCO_CAMERA_H

#include <mujoco/mujoco.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hb_mujoco_camera hb_mujoco_camera;

// A camera that follows `body` of the model from that distance, m. NULL, with one line in message (size bytes), where there is no EGL or it has no
// OpenGL. The caller closes it. Any thread may use it, one at a time.
hb_mujoco_camera *hb_mujoco_camera_open(const mjModel *model, int body, double distance, char *message, size_t size);
void hb_mujoco_camera_close(hb_mujoco_camera *camera);

// rgb (height, width, 3) of the state, on a floor of squares of 1 m, with a caption in the corner. Returns 0, or -1 with a line.
int hb_mujoco_camera_take(hb_mujoco_camera *camera, mjData *data, int32_t width, int32_t height, const char *caption,
                          uint8_t *rgb, char *message, size_t size);

#endif
