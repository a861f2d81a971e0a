"""Evolutions that are asked and told."""

import ctypes
import dataclasses
import operator
import os
import weakref

import numpy as np

from . import _abi
from ._library import LIBRARY, BadInput, Handle, Stop, as_text, call, config_text, interruptible, settings_of, words


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Of a generation that was told: returns with the penalty search.l2 subtracted."""

    generation: int
    generations: int
    mean: float
    sd: float
    max: float
    best_mean: float

    def __str__(self):
        return f"generation {self.generation}/{self.generations}  mean {self.mean:.4g}  sd {self.sd:.4g}  max {self.max:.4g}"


def pointer(array, kind):
    return array.ctypes.data_as(ctypes.POINTER(kind))


def array_of(value, shape, dtype, what):
    """`value` as a contiguous array of that shape and type; numbers are converted, nothing else is, and only whole ones to whole ones."""
    array = np.asarray(value)
    whole = np.dtype(dtype).kind in "iu"
    if array.dtype.kind not in ("iub" if whole else "fiub"):
        raise BadInput(f"{what}: expected {'whole ' if whole else ''}numbers, found {array.dtype}")
    if array.dtype.kind == "u" and np.dtype(dtype).kind == "i" and array.size and array.max() > np.iinfo(dtype).max:
        raise BadInput(f"{what}: expected numbers up to {np.iinfo(dtype).max}, found {array.max()}")
    if array.shape != shape:
        raise BadInput(f"{what}: expected shape {shape}, found {array.shape}")
    return np.ascontiguousarray(array, dtype=dtype)


_open = weakref.WeakValueDictionary()  # folder: the evolution that has it


def _refuse_open(out):
    other = _open.get(os.path.realpath(out))
    if other is not None and other._handle is not None:
        raise BadInput(f"{os.fsdecode(out)}: another Evolution of this process has it open; close() that one, or del it")


class Evolution(Handle):
    """A search over rules (or weights) that you ask for individuals and tell their returns.

    config: a YAML file, or None for the defaults. obs, act: numbers of an observation, or (channels, rows, columns) of a picture, and of an action
    of your own environment; without them the configured environment is used, which gen.live() steps. out: the run's folder; if a run of the same settings is there the evolution
    goes on with it; None: nothing is written. settings: any key of hb.keys(), such as population=256, hidden=[64, 32], rule="ABCD_lr",
    lr=0.1, seed=2; with its section where two share a name, as settings={"eval.seed": 3}.

    Iterating gives generations until run.generations or stop_mean; leaving the loop, also by Ctrl-C, saves. Raises BadInput for a setting that
    does not exist or does not fit, naming the nearest. close(), or `with`, frees the folder.
    """

    def __init__(self, config=None, *, obs=None, act=None, out=None, settings=None, **more):
        super().__init__()
        chosen = {**(settings or {}), **more}
        if (obs is None) != (act is None):
            raise BadInput("expected obs and act, or neither")
        if obs is not None:
            if "env" in chosen or "env.name" in chosen:
                raise BadInput("expected obs and act, or env, found both")
            try:
                seen = {"env.picture": [operator.index(n) for n in obs]} if np.ndim(obs) else {"env.observation_size": operator.index(obs)}
                chosen = {"env.name": "outside", **seen, "env.action_size": operator.index(act), **chosen}
            except TypeError:
                raise BadInput(f"obs, act: expected whole numbers, found {obs!r}, {act!r}") from None
        if out is not None:
            chosen["run.out"] = os.fsdecode(out)
            as_text(out)  # refuses a 0 byte
            _refuse_open(out)
        self._stop = Stop()
        self._hooks = _abi.hb_hooks(stop=self._stop.handle)
        self._lives = []  # cells of handles that must be closed before this one
        handle = ctypes.c_void_p()
        call("hb_evolution_open", config_text(config), *words(settings_of(chosen)), ctypes.byref(self._hooks), ctypes.byref(handle))
        self._handle = handle
        if out is not None:
            _open[os.path.realpath(out)] = self

    @classmethod
    def _of_run(cls, folder, sets):
        self = cls.__new__(cls)
        Handle.__init__(self)
        self._stop, self._lives = Stop(), []
        handle = ctypes.c_void_p()
        call("hb_evolution_load", as_text(folder), *words(sets), ctypes.byref(handle))
        self._handle = handle
        return self

    def about(self):
        """Sizes and state, as a dictionary: population, generation, genome_size, observation_size, lr, sigma, ..."""
        about = _abi.hb_evolution_about()
        with self._use() as handle:
            LIBRARY.hb_evolution_describe(handle, ctypes.byref(about))
        return {name: getattr(about, name) for name, _ in about._fields_}

    def __getitem__(self, key):
        """The value of "section.key" as text."""
        with self._use() as handle:
            value = LIBRARY.hb_evolution_value(handle, key.encode())
        if value is None:
            raise KeyError(key)
        return value.decode()

    def __iter__(self):
        try:
            while not self.about()["over"]:
                generation = Generation(self)
                yield generation
                if not generation.told:
                    raise BadInput(f"generation {generation.number} was not told")
        finally:
            if self._handle is not None:
                self.save()

    def lives(self, lanes):
        """Lives in `lanes` lanes: see Lives."""
        return Lives(self, lanes)

    def mean(self):
        """The search's mean, without noise: (genome_size,) float32, in the layout of docs/export.md."""
        return self._genomes(-1, 1)[0]

    def _genomes(self, first, n):
        out = np.empty((n, self.about()["genome_size"]), np.float32)
        with self._use() as handle:
            call("hb_evolution_genomes", handle, first, n, pointer(out, ctypes.c_float))
        return out

    def digest(self):
        """32 hexadecimal digits of the search's state."""
        out = ctypes.create_string_buffer(33)
        with self._use() as handle:
            call("hb_evolution_digest", handle, out)
        return out.value.decode()

    def save(self):
        with self._use() as handle:
            call("hb_evolution_save", handle)

    def close(self):
        """Saves the run and closes; lives of it are closed, too. Closing again does nothing."""
        if self._handle is None:
            return
        with self._use() as handle:
            for cell in self._lives:
                _close_lives(cell)
            self._handle = None
            call("hb_evolution_close", handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        try:
            self.close()
        except Exception:  # nobody is there to hear it
            pass


class Generation:
    """A generation under way: ask, then tell. number counts from 1; seed is a number for your environments' resets, another one each
    generation and the same in a run that is resumed."""

    def __init__(self, evolution):
        about = evolution.about()
        self.evolution = evolution
        self.number = about["generation"] + 1
        self.population = about["population"]
        self.seed = (about["seed"] * 1000003 + self.number * 7919) % 2**31
        self.told = self._lived = False

    def _check(self):
        if self.told:
            raise BadInput(f"generation {self.number} was told before")

    def ask(self, birth=0):
        """All individuals, newborn, as Lives in lanes 0 to population - 1; birth: which of each individual's births, 0 to 65535."""
        self._check()
        lives = self.evolution.__dict__.get("_population")
        if lives is None or lives._handle is None:
            lives = self.evolution.__dict__["_population"] = Lives(self.evolution, self.population)
        lives.begin(np.arange(self.population), np.arange(self.population), birth)
        return lives

    def genomes(self):
        """All individuals as numbers, (population, genome_size) float32, for networks of your own; the layout is that of docs/export.md."""
        self._check()
        return self.evolution._genomes(0, self.population)

    def live(self):
        """Lives the generation in the configured environment; (population,) float64: returns, the penalty search.l2 subtracted already. Then
        tell(), without them."""
        self._check()
        out = np.empty(self.population)

        def work():
            with self.evolution._use() as handle:
                call("hb_evolution_live", handle, pointer(out, ctypes.c_double))

        interruptible(self.evolution._stop, work)
        self._lived = True
        return out

    def tell(self, returns=None):
        """The returns (population,), larger is better, without penalty; None after live(). Moves the search and gives Statistics. Raises
        BadInput where nothing was asked, where it was told before, or for a wrong shape or a number that is not finite."""
        self._check()
        if self._lived and returns is not None:
            raise BadInput("tell: expected nothing after live(), which knows the returns")
        values = None if returns is None else array_of(returns, (self.population,), np.float64, "tell")
        progress = _abi.hb_progress()
        with self.evolution._use() as handle:
            call("hb_evolution_tell", handle, None if values is None else pointer(values, ctypes.c_double), self.population,
                 ctypes.byref(progress))
        self.told = True
        return Statistics(progress.generation, progress.generations, progress.mean, progress.sd, progress.max, progress.best_mean)


def _close_lives(cell):
    if cell[0] is not None:
        LIBRARY.hb_lives_close(cell[0])
        cell[0] = None


class Lives(Handle):
    """Networks that live in environments of yours, one in each lane. They are born by begin, and every act is a step of their lives: their
    rules change their weights."""

    def __init__(self, evolution, lanes):
        super().__init__()
        about = evolution.about()
        self.evolution, self.lanes = evolution, int(lanes)
        self.observation, self.picture = about["observation_size"], about["picture"]
        self.actions, self.layers = about["action_size"], about["layers"]
        handle = ctypes.c_void_p()
        with evolution._use() as owner:
            call("hb_lives_open", owner, self.lanes, ctypes.byref(handle))
        self._handle = handle
        evolution._lives.append(self._cell)

    def begin(self, lanes, individuals, births=0):
        """Births: individuals, a number or (n,), of the generation under way, -1 being the mean, in lanes (n,). births: a number or (n,), 0 to
        65535; each is another draw of initial weights."""
        lanes = array_of(np.atleast_1d(lanes), (np.size(lanes),), np.int64, "lanes")
        spread = [np.broadcast_to(a, lanes.shape) if np.ndim(a) == 0 else a for a in (individuals, births)]
        individuals, births = (array_of(a, lanes.shape, np.int64, what) for a, what in zip(spread, ("individuals", "births")))
        with self.evolution._use(), self._use() as handle:
            call("hb_lives_begin", handle, lanes.size, *[pointer(a, ctypes.c_int64) for a in (lanes, individuals, births)])

    def act(self, observations, alive=None, rewards=None):
        """One step: observations (lanes, obs), to actions (lanes, act) float32. alive (lanes,): lanes where it is false do nothing, and their
        actions are 0. rewards (lanes,): what the last step of each life added to its return, where the network takes rewards
        (policy.sees_reward, policy.modulate); 0 in a life's first step, whatever is given. Raises BadInput for another shape, a number that is not finite, or a lane without a life of this generation."""
        kind = np.uint8 if self.picture else np.float32
        seen = np.asarray(observations)
        if self.picture and seen.dtype != np.uint8:
            raise BadInput(f"observations: expected uint8 pictures, found {seen.dtype}")
        seen = array_of(seen.reshape(len(seen), -1) if seen.ndim > 2 else seen, (self.lanes, self.observation), kind, "observations")
        living = None if alive is None else array_of(alive, (self.lanes,), np.uint8, "alive")
        earned = None if rewards is None else array_of(rewards, (self.lanes,), np.float32, "rewards")
        out = np.empty((self.lanes, self.actions), np.float32)
        with self.evolution._use(), self._use() as handle:
            call("hb_lives_step", handle, seen.ctypes.data, None if earned is None else pointer(earned, ctypes.c_float),
                 None if living is None else pointer(living, ctypes.c_uint8), pointer(out, ctypes.c_float))
        return out

    def weights(self, lane, layer):
        """A copy of the weights of a layer, counted from 1, after the update of the last step: (inputs, outputs) float32."""
        inputs, outputs = ctypes.c_int64(), ctypes.c_int64()
        with self.evolution._use() as owner, self._use() as handle:
            if not LIBRARY.hb_evolution_layer(owner, int(layer) - 1, ctypes.byref(inputs), ctypes.byref(outputs)):
                raise BadInput(f"weights: expected a layer from 1 to {self.layers}, found {layer}")
            out = np.empty((inputs.value, outputs.value), np.float32)
            call("hb_lives_weights", handle, int(lane), int(layer) - 1, pointer(out, ctypes.c_float))
        return out

    def put_weights(self, lane, weights):
        """Changes a life under way: weights, an array (inputs, outputs) for each layer. Raises BadInput where a shape does not fit, a number is
        not finite, or the network does not learn."""
        weights = list(weights)
        if len(weights) != self.layers:
            raise BadInput(f"weights: expected {self.layers} layers, found {len(weights)}")
        parts, inputs, outputs = [], ctypes.c_int64(), ctypes.c_int64()
        with self.evolution._use() as owner, self._use() as handle:
            for k, part in enumerate(weights):
                LIBRARY.hb_evolution_layer(owner, k, ctypes.byref(inputs), ctypes.byref(outputs))
                parts.append(array_of(part, (inputs.value, outputs.value), np.float32, f"weights of layer {k + 1}").ravel())
            call("hb_lives_put_weights", handle, int(lane), pointer(np.concatenate(parts), ctypes.c_float))

    def close(self):
        if self._handle is None:
            return
        with self.evolution._use(), self._use():
            _close_lives(self._cell)
            self.evolution._lives[:] = [cell for cell in self.evolution._lives if cell is not self._cell]

    def __del__(self):
        try:
            self.close()
        except Exception:
            pass
