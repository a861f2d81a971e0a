"""The library's environments as Gymnasium's, many or one."""

import ctypes

import numpy as np

from . import _abi
from ._library import LIBRARY, BadInput, Handle, call, config_text, raise_kept, settings_of, words
from .evolution import array_of, pointer


def _gymnasium():
    try:
        import gymnasium
    except ImportError:
        raise ImportError("make_vec needs Gymnasium: pip install gymnasium") from None
    return gymnasium


def make_vec(env="ant", num_envs=1, *, config=None, autoreset="disabled", reward="fitness", render_mode=None, size=(640, 480),
             settings=None, **more):
    """num_envs environments of this library as one gymnasium.vector.VectorEnv, stepped by run.threads threads (all cores).

    env: "ant", "car", or a shared object's path; config: a YAML file instead of the defaults. settings: keys of env, such as
    engine="mujoco", profile="light", and of run. autoreset: "disabled": an episode that is over stays so until reset(options={"reset_mask":
    mask}); "next_step": it starts anew with the next step. reward: "fitness", what evolutions are ranked by, or "reward", the
    environment's own. render_mode="rgb_array": render() gives a picture (height, width, 3) of each, and nothing is computed in lanes
    together; size: width and height. reset(seed=S) gives environment k the seed S + k; options={"variation": NAME} another body or road.

    Raises BadInput for a setting that does not exist, ImportError without Gymnasium.
    """
    return _classes()[0](env, num_envs, config, autoreset, reward, render_mode, size, {**(settings or {}), **more})


def make(env="ant", *, config=None, reward="fitness", render_mode=None, size=(640, 480), settings=None, **more):
    """One environment of this library as a gymnasium.Env: make_vec's, alone, with its bits. reset(seed=S) has the seed S, without a seed the
    next episode of the last; options={"variation": NAME}."""
    return _classes()[1](make_vec(env, 1, config=config, reward=reward, render_mode=render_mode, size=size, settings=settings, **more))


_made = []


def _classes():
    if _made:
        return _made[0]
    gymnasium = _gymnasium()
    modes = gymnasium.vector.AutoresetMode

    class VectorEnv(gymnasium.vector.VectorEnv, Handle):
        def __init__(self, env, num_envs, config, autoreset, reward, render_mode, size, settings):
            Handle.__init__(self)
            if autoreset not in ("disabled", "next_step"):
                raise BadInput(f"autoreset: expected disabled or next_step, found {autoreset!r}")
            if reward not in ("fitness", "reward"):
                raise BadInput(f"reward: expected fitness or reward, found {reward!r}")
            if render_mode not in (None, "rgb_array"):
                raise BadInput(f"render_mode: expected None or rgb_array, found {render_mode!r}")
            if not isinstance(num_envs, (int, np.integer)):
                raise BadInput(f"num_envs: expected a whole number, found {num_envs!r}")
            chosen = {**({} if config is not None else {"env.name": env}), **({"run.width": 1} if render_mode else {}), **settings}
            handle = ctypes.c_void_p()
            call("hb_vec_open", config_text(config), *words(settings_of(chosen, env)), int(num_envs), ctypes.byref(handle))
            self._handle = handle
            self._mode = modes.DISABLED if autoreset == "disabled" else modes.NEXT_STEP
            self.metadata = {"autoreset_mode": self._mode, "render_modes": ["rgb_array"]}
            self.render_mode, self._size = render_mode, array_of(size, (2,), np.int32, "size")
            self._by_fitness = reward == "fitness"
            self.num_envs = int(num_envs)
            self._describe(gymnasium)
            self._seeds = np.zeros(self.num_envs, np.uint64)
            self._over = np.ones(self.num_envs, bool)
            self._variation, self._episodes, self._begun = 0, np.zeros(self.num_envs, np.uint64), False

        def _describe(self, gymnasium):
            about = _abi.hb_vec_about()
            LIBRARY.hb_vec_describe(self._handle, ctypes.byref(about))
            if about.step_seconds > 0:
                self.metadata["render_fps"] = 1 / about.step_seconds
            self.variations = []
            while (name := LIBRARY.hb_vec_variation(self._handle, len(self.variations))) is not None:
                self.variations.append(name.decode())
            box, batch = gymnasium.spaces.Box, gymnasium.vector.utils.batch_space
            if about.picture[0] > 0:
                self.single_observation_space = box(0, 255, tuple(about.picture), np.uint8)
            else:
                self.single_observation_space = box(-np.inf, np.inf, (about.observation_size,), np.float32)
            least, most, bounds = ctypes.c_double(), ctypes.c_double(), []
            while LIBRARY.hb_vec_bounds(self._handle, len(bounds), ctypes.byref(least), ctypes.byref(most)):
                bounds.append((least.value, most.value))
            low, high = np.array(bounds, np.float32).T
            self.single_action_space = box(low, high, dtype=np.float32)
            self.observation_space, self.action_space = batch(self.single_observation_space, self.num_envs), batch(self.single_action_space, self.num_envs)

        def _start(self, mask):
            which = mask.astype(np.uint8)
            seeds = self._seeds + (self._episodes << np.uint64(32))
            seen = np.empty(self.observation_space.shape, self.single_observation_space.dtype)
            with self._use() as handle:
                call("hb_vec_reset", handle, pointer(which, ctypes.c_uint8), pointer(seeds, ctypes.c_uint64), self._variation, seen.ctypes.data)
            raise_kept()
            self._over[mask] = False
            self._begun = True
            return seen

        def reset(self, *, seed=None, options=None):
            options = dict(options or {})
            mask = options.pop("reset_mask", None)
            mask = np.ones(self.num_envs, bool) if mask is None else array_of(mask, (self.num_envs,), bool, "reset_mask")
            if not mask.any():
                raise BadInput("reset_mask: expected one environment at least")
            variation = options.pop("variation", None)
            if variation is not None and variation not in self.variations:
                raise BadInput(f"variation: expected one of {', '.join(self.variations)}, found {variation!r}")
            if options:
                raise BadInput(f"options: expected reset_mask and variation, found {next(iter(options))!r}")
            if seed is None and not self._begun:
                seed = int(np.random.SeedSequence().generate_state(1)[0])
            if isinstance(seed, (int, np.integer)):
                seed = [int(seed) + k for k in range(self.num_envs)]
            if seed is None:
                self._episodes[mask] += np.uint64(1)  # the next episode of the same seed
            else:
                given = [None] * self.num_envs if seed is None else list(seed)
                if len(given) != self.num_envs:
                    raise BadInput(f"seed: expected a number or {self.num_envs} of them, found {len(given)}")
                for k in np.flatnonzero(mask):
                    if given[k] is not None:
                        self._seeds[k], self._episodes[k] = given[k] % 2**32, 0
            if variation is not None:
                self._variation = self.variations.index(variation)
            return self._start(mask), {}

        def step(self, actions):
            values = array_of(actions, self.action_space.shape, np.float32, "actions")
            again = self._over.copy() if self._mode == modes.NEXT_STEP and self._begun else None
            seen = np.empty(self.observation_space.shape, self.single_observation_space.dtype)
            fitness, reward = np.empty(self.num_envs), np.empty(self.num_envs)
            terminated, truncated = np.empty(self.num_envs, np.uint8), np.empty(self.num_envs, np.uint8)
            with self._use() as handle:
                call("hb_vec_step", handle, pointer(values, ctypes.c_float), seen.ctypes.data, pointer(fitness, ctypes.c_double),
                     pointer(reward, ctypes.c_double), pointer(terminated, ctypes.c_uint8), pointer(truncated, ctypes.c_uint8))
            raise_kept()
            given, terminated, truncated = fitness if self._by_fitness else reward, terminated.astype(bool), truncated.astype(bool)
            self._over = terminated | truncated
            if again is not None and again.any():
                self._episodes[again] += np.uint64(1)
                seen = self._start(again)
                given[again], terminated[again], truncated[again] = 0, False, False
            other = reward if self._by_fitness else fitness
            return seen, given, terminated, truncated, {"reward" if self._by_fitness else "fitness": other}

        def render(self):
            """A picture (height, width, 3) uint8 of each environment; None without a render_mode."""
            if self.render_mode is None:
                return None
            width, height = map(int, self._size)
            pictures = np.empty((self.num_envs, height, width, 3), np.uint8)
            with self._use() as handle:
                for k, picture in enumerate(pictures):
                    call("hb_vec_picture", handle, k, width, height, pointer(picture, ctypes.c_uint8))
            return tuple(pictures)

        def close_extras(self, **_):
            if self._handle is None:
                return
            with self._use() as handle:
                self._handle = None
                LIBRARY.hb_vec_close(handle)

        def __del__(self):
            try:
                self.close_extras()
            except Exception:
                pass

    class Env(gymnasium.Env):
        def __init__(self, vec):
            self._vec = vec
            self.observation_space, self.action_space = vec.single_observation_space, vec.single_action_space
            self.render_mode, self.variations = vec.render_mode, vec.variations
            self.metadata = {name: value for name, value in vec.metadata.items() if name != "autoreset_mode"}

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            observation, info = self._vec.reset(seed=seed, options=options)
            return observation[0], info

        def step(self, action):
            observation, reward, terminated, truncated, info = self._vec.step(np.asarray(action)[None])
            return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {name: float(value[0]) for name, value in info.items()}

        def render(self):
            pictures = self._vec.render()
            return None if pictures is None else pictures[0]

        def close(self):
            self._vec.close()

    _made.append((VectorEnv, Env))
    return _made[0]
