"""Runs: trained, loaded, judged, watched."""

import base64
import ctypes
import dataclasses
import os
import pathlib

import numpy as np

from . import _abi
from ._library import LIBRARY, Stop, as_text, as_word, call, config_text, interruptible, raise_kept, settings_of, words
from .evolution import Evolution, Statistics


@dataclasses.dataclass(frozen=True)
class Row:
    """One variation under one protocol: the mean and standard deviation of the returns, penalty included, and the returns themselves."""

    variation: str
    protocol: str
    held_out: bool
    rollouts: int
    mean: float
    sd: float
    standard_error: float
    returns: np.ndarray

    def __str__(self):
        return f"{self.variation} ({self.protocol}{', held out' if self.held_out else ''}): {self.mean:.4g} ± {self.sd:.4g}"


@dataclasses.dataclass(frozen=True)
class Progress(Statistics):
    """Of a generation in train or resume."""

    steps_per_second: float
    seconds: float

    def __str__(self):
        return f"{super().__str__()}  {self.steps_per_second:.3g} steps/s"


def _variation(name):
    return None if name is None else as_word(name, "variation")


class Picture(type(pathlib.Path())):
    """The path of a film or a picture, which a notebook shows."""

    def _repr_mimebundle_(self, include=None, exclude=None):
        if not self.is_file():
            return {"text/plain": repr(self)}
        kind, data = self.suffix.lower().lstrip("."), self.read_bytes()
        if kind == "svg":
            return {"image/svg+xml": data.decode()}
        coded = base64.b64encode(data).decode()
        if kind in ("mp4", "webm"):
            return {"text/html": f'<video controls loop src="data:video/{kind};base64,{coded}"></video>'}
        return {f"image/{kind}": coded}


class Policy:
    """A run's mean individual, living: act(observation) is a step of its life, and changes its weights."""

    def __init__(self, folder, sets, seed):
        self._evolution = Evolution._of_run(folder, sets)
        self._lives = self._evolution.lives(1)
        self._views = {}
        self.reset(seed)

    def reset(self, seed=0):
        """Is born again, with the initial weights of that birth, 0 to 65535, and learns."""
        self._frozen = None
        self._lives.begin([0], [-1], seed)
        self._refresh()

    def act(self, observation, reward=None):
        """Observation (obs,) or (1, obs), to action (act,) or (1, act) float32. reward: what the last step added to the return, where the
        network takes rewards; none in the first step."""
        seen = np.asarray(observation)
        one = seen.ndim == 1 or (self._lives.picture and seen.ndim == 3)
        action = self._lives.act(seen[None] if one else seen, rewards=None if reward is None else [reward])
        if self._frozen is not None:
            self._lives.put_weights(0, self._frozen)
        self._refresh()
        return action[0] if one else action

    def freeze(self, frozen=True):
        """From now on its weights stay as they are; freeze(False): it learns again."""
        weights = [self._lives.weights(0, layer) for layer in range(1, self._lives.layers + 1)] if frozen else None
        if frozen:
            self._lives.put_weights(0, weights)  # refuses what does not learn
        self._frozen = weights

    def put_weights(self, weights):
        """Changes them: an array (inputs, outputs) for each layer."""
        self._lives.put_weights(0, weights)
        if self._frozen is not None:
            self.freeze()
        self._refresh()

    def _refresh(self):
        for layer, view in self._views.items():
            view[:] = self._lives.weights(0, layer)

    def weights(self, layer):
        """The weights of a layer, counted from 1, (inputs, outputs) float32: an array that changes as it lives."""
        view = self._views.setdefault(layer, self._lives.weights(0, layer))[:]
        view.flags.writeable = False  # a picture of them: writing would change nothing
        return view


class Run:
    """A run's folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.digest()  # there is a run

    @property
    def metrics(self):
        """metrics.csv: a pandas DataFrame where pandas is installed, else a dictionary of arrays."""
        path = self.folder / "metrics.csv"
        try:
            import pandas
        except ImportError:
            table = np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True))
            return {name: table[name] for name in table.dtype.names}
        return pandas.read_csv(path)

    def digest(self):
        """32 hexadecimal digits of the search's state in the last checkpoint."""
        out = ctypes.create_string_buffer(33)
        call("hb_digest", as_text(self.folder), *words([]), out)
        return out.value.decode()

    def evaluate(self, rollouts=100, *, settings=None, **more):
        """Lives of the best checkpoint on every variation, trained and held out; a list of Row. settings: keys of eval (engine="lanes",
        checkpoint="last") and, where eval has none of that name, of env, for other worlds (friction=0.8)."""
        sets = self._sets({**(settings or {}), **more, "eval.rollouts": rollouts})
        rows, stop = [], Stop()

        def add(_, about):
            e = about.contents
            returns = np.array([e.life[k].fitness for k in range(e.rollouts)])
            rows.append(Row(e.variation.decode(), e.protocol.decode(), e.held_out, e.rollouts, e.mean, e.sd, e.standard_error, returns))

        kind = next(arguments[3] for name, _, arguments in _abi.FUNCTIONS if name == "hb_evaluate")
        callback = kind(add)
        interruptible(stop, lambda: call("hb_evaluate", as_text(self.folder), *words(sets), callback, None, stop.handle))
        return rows

    def policy(self, seed=0, *, settings=None, **more):
        """The best checkpoint's mean individual with the initial weights of birth `seed`, 0 to 65535: see Policy."""
        return Policy(self.folder, self._sets({**(settings or {}), **more}), seed)

    def film(self, out, *, steps=100000, width=640, height=480, individual=-1, variation=None, settings=None, **more):
        """A film (.mp4, .webm, .gif), a strip (.png), or a folder of pictures of one life; returns the path that was written, a Picture, which a
        notebook shows. individual: -1: the mean; variation: a name."""
        stop = Stop()
        shape = _abi.hb_render_def(steps=steps, individual=individual, variation=_variation(variation), out=as_text(out), width=width, height=height, moments=8,
                                   stop=stop.handle)
        rendered = _abi.hb_rendered()
        sets = self._sets({**(settings or {}), **more})
        interruptible(stop, lambda: call("hb_render", as_text(self.folder), *words(sets), ctypes.byref(shape), ctypes.byref(rendered)))
        return Picture(rendered.wrote.decode())

    def trace(self, out, *, steps=200, individual=-1, variation=None, settings=None, **more):
        """One life as HDF5: observations, actions, rewards, every weight of every step; returns the path. individual: -1: the mean."""
        shape = _abi.hb_trace_def(steps=steps, individual=individual, variation=_variation(variation), out=as_text(out))
        call("hb_trace", as_text(self.folder), *words(self._sets({**(settings or {}), **more})), ctypes.byref(shape))
        raise_kept()
        return pathlib.Path(out)

    def export(self, out, *, individual=-1, settings=None, **more):
        """The network as a NumPy archive (docs/export.md); returns the path. individual: -1: the mean."""
        call("hb_export", as_text(self.folder), *words(self._sets({**(settings or {}), **more})), individual, as_text(out))
        return pathlib.Path(out)

    def probe(self, what, out, *, steps=0, individual=-1, at=0, variation=None, settings=None, **more):
        """An analysis of lives into the folder `out`, data and a picture: "freeze", "saturate", "zero", "init", "images", "pca" (hebbes probe
        --help); returns the folder. settings: as of evaluate."""
        stop = Stop()
        shape = _abi.hb_probe_def(what=as_word(what, "what"), out=as_text(out), steps=steps, individual=individual, at=at,
                                  variation=_variation(variation), stop=stop.handle)
        probed = _abi.hb_probed()
        sets = self._sets({**(settings or {}), **more})
        interruptible(stop, lambda: call("hb_probe", as_text(self.folder), *words(sets), ctypes.byref(shape), ctypes.byref(probed)))
        return pathlib.Path(out)

    def resume(self, generations=None, *, progress=None, settings=None, **more):
        """Trains on to that generation, with the bits of an uninterrupted run; returns the run."""
        sets = self._sets({**(settings or {}), **more, **({} if generations is None else {"run.generations": generations})})
        _train(lambda hooks: call("hb_resume", as_text(self.folder), *words(sets), hooks), progress)
        return self

    def _sets(self, settings):
        with Evolution._of_run(self.folder, []) as evolution:
            return settings_of(settings, evolution["env.name"], ("eval", "env", "run"))

    def __repr__(self):
        return f"hebbes.Run({str(self.folder)!r})"


def load(folder):
    """The run in that folder. Raises BadInput where there is none."""
    return Run(folder)


def plot(*sources, out, coefficients=False):
    """A picture by gnuplot, out (.png, .svg), of runs' curves, or a run's coefficients, or a study's table.csv; returns it, a Picture."""
    names = [as_text(getattr(source, "folder", source)) for source in sources]
    shape = _abi.hb_plot_def(sources=(ctypes.c_char_p * max(len(names), 1))(*names), n_sources=len(names), coefficients=coefficients, out=as_text(out))
    call("hb_plot", ctypes.byref(shape))
    return Picture(os.fsdecode(out))


def _bar():
    """Progress as tqdm's bar, or as lines."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return print
    bars = []

    def show(p):
        if not bars:
            bars.append(tqdm(total=p.generations, initial=p.generation - 1, unit="generation"))
        bars[0].set_postfix(mean=f"{p.mean:.4g}", max=f"{p.max:.4g}", refresh=False)
        bars[0].update()
        if p.generation == p.generations:
            bars[0].close()

    return show


def _train(start, progress):
    """Calls start(hooks) in a thread that Ctrl-C stops: the run is saved then. An exception in progress stops the training, too."""
    stop, raised, kinds = Stop(), [], dict(_abi.hb_hooks._fields_)
    progress = _bar() if progress is True else progress

    def on_progress(_, about):
        try:
            progress(Progress(*[getattr(about.contents, field.name) for field in dataclasses.fields(Progress)]))
        except BaseException as error:
            raised.append(error)
            stop.request()

    hooks = _abi.hb_hooks(stop=stop.handle)
    if progress is not None:
        hooks.progress = kinds["progress"](on_progress)
    try:
        interruptible(stop, lambda: start(ctypes.byref(hooks)))
    except KeyboardInterrupt:
        if not raised:
            raise
    if raised:
        raise raised[0]


def train(config=None, *, out, progress=None, settings=None, **more):
    """Trains a configuration (a YAML file, or the defaults) into the folder `out`, or goes on with the run that is there; returns the Run, whose
    bits are those of the command line. settings as of Evolution. progress(p): called with a Progress after every generation; True: a bar by tqdm where that is installed, else a line for each. Ctrl-C saves the run and raises KeyboardInterrupt; an exception of
    progress saves it and goes on its way."""
    chosen = {**(settings or {}), **more, "run.out": out}
    handle = ctypes.c_void_p()
    call("hb_config_open", config_text(config), *words(settings_of(chosen)), ctypes.byref(handle))
    try:
        _train(lambda hooks: call("hb_train_on", handle, hooks), progress)
    finally:
        LIBRARY.hb_config_close(handle)
    return Run(out)
