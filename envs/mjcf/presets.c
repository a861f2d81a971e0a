#include "envs/mjcf/presets.h"

#include <stddef.h>

// gymnasium/envs/mujoco/*_v5.py. An episode has 1,000 steps.
const hb_mjcf_preset hb_mjcf_presets[] = {
    {"Ant-v5", hb_mjcf_ant, 5, "qpos[2:], qvel, clip(cfrc_ext[1:], 1)",
     "forward 1 of xpos[torso][0]; alive 1; control 0.5; contact 5e-4 clip 1", "finite; qpos[2] 0.2 1",
     "qpos uniform 0.1; qvel normal 0.1"},
    {"HalfCheetah-v5", hb_mjcf_half_cheetah, 5, "qpos[1:], qvel", "forward 1 of qpos[0]; control 0.1", "",
     "qpos uniform 0.1; qvel normal 0.1"},
    {"Hopper-v5", hb_mjcf_hopper, 4, "qpos[1:], clip(qvel, 10)", "forward 1 of qpos[0]; alive 1; control 1e-3",
     "finite; state[2:] -100 100; qpos[1] 0.7 inf; qpos[2] -0.2 0.2", "qpos uniform 5e-3; qvel uniform 5e-3"},
    {"Walker2d-v5", hb_mjcf_walker2d, 4, "qpos[1:], clip(qvel, 10)", "forward 1 of qpos[0]; alive 1; control 1e-3",
     "qpos[1] 0.8 2; qpos[2] -1 1", "qpos uniform 5e-3; qvel uniform 5e-3"},
    {"Swimmer-v5", hb_mjcf_swimmer, 4, "qpos[2:], qvel", "forward 1 of qpos[0]; control 1e-4", "",
     "qpos uniform 0.1; qvel uniform 0.1"},
    {"Humanoid-v5", hb_mjcf_humanoid, 5, "qpos[2:], qvel, cinert[1:], cvel[1:], qfrc_actuator[6:], cfrc_ext[1:]",
     "forward 1.25 of mass; alive 5; control 0.1; contact 5e-7 most 10", "qpos[2] 1 2",
     "qpos uniform 0.01; qvel uniform 0.01"},
    {"InvertedPendulum-v5", hb_mjcf_inverted_pendulum, 2, "qpos, qvel", "alive 1", "finite; qpos[1] -0.2 0.2",
     "qpos uniform 0.01; qvel uniform 0.01"},
    {NULL, NULL, 0, NULL, NULL, NULL, NULL}};
