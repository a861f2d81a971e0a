"""The library's environments under Gymnasium's names: gym.make("hebbes.gym:hebbes/Ant-v0"), gym.make_vec(..., num_envs=256)."""

import gymnasium

for _name in ("ant", "car"):
    gymnasium.register(f"hebbes/{_name.capitalize()}-v0", entry_point="hebbes.vector:make", vector_entry_point="hebbes.vector:make_vec", kwargs={"env": _name})
