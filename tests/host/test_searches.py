"""The searches pgpe, snes and sep_cma beside evosax's: from the state of a run and the same samples, the state after a generation to 1e-6 of its
largest number; on a sphere, a sphere that is far away, and Rosenbrock's function, which they descend.

evosax comes from PyPI into a throw-away environment; where it cannot be had the test is skipped.

usage: test_searches.py PYTHON FOLDER          PYTHON has the package hebbes, FOLDER keeps the environment
"""

import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import apart  # noqa: E402

apart.enter(sys.argv[2], ["evosax==0.3.2", "h5py", "numpy"], "evosax, h5py")
sys.path.insert(0, sys.argv[1])
del sys.argv[1:]
os.environ.update(JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1")

import h5py  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from evosax.algorithms import PGPE, SNES, Sep_CMA_ES  # noqa: E402

import hebbes as hb  # noqa: E402

KEY = jax.random.key(0)
N = 9  # coefficients of the network


def sphere(x):
    return (x**2).sum(-1)


def far(x):
    return ((x - 200) ** 2).sum(-1)


def rosenbrock(x):
    return (100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2).sum(-1)


class Run:
    """An evolution whose individuals are points, and what stands in its checkpoints."""

    def __init__(self, folder, kind, population, generations, **settings):
        sets = {"search.kind": kind, "search.l2": 0, "search.sigma": 0.5, "search.lr_decay": 1, "run.checkpoint_every": 1, **settings}
        self.folder = folder
        self.evolution = hb.Evolution(obs=2, act=1, hidden=[3], rule="A", population=population, generations=generations, out=folder, settings=sets)

    def state(self):
        with h5py.File(sorted((self.folder / "checkpoints").glob("gen-*.h5"))[-1]) as file:
            return {"sigma": float(file.attrs["sigma"]), **{name: file[name][:].astype(float) for name in file if file[name].ndim == 1}}

    def generations(self, function):
        """(the state before, the points, their values, the state after), from the second generation on."""
        before = None
        for gen in self.evolution:
            points = gen.genomes().astype(float)
            gen.ask()
            gen.tell(-function(points))
            after = self.state()
            if before is not None:
                yield before, points, function(points), after
            before = after


class Searches(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.count = 0

    def run_of(self, kind, population=16, generations=12, **settings):
        self.count += 1
        return Run(self.folder / f"run{self.count}", kind, population, generations, **settings)

    def near(self, ours, theirs, what):
        theirs = np.asarray(theirs)
        self.assertLess(np.abs(ours - theirs).max() / np.abs(theirs).max(), 1e-6, what)

    def compare(self, kind, step, **settings):
        """step(state, points, values, generation): evosax's (mean, deviations, ...) after the generation."""
        for function in (sphere, far, rosenbrock):
            moved = 0
            for g, (before, points, values, after) in enumerate(self.run_of(kind, **settings).generations(function), 1):
                self.assertEqual(points.shape, (16, N))
                theirs = step(before, points, values, g)
                ours = [after["mean"], after["sigma"] * after["spread"], *[after[name] for name in ("path_sigma", "path_covariance") if name in after]]
                for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                    self.near(a, b, (kind, function.__name__, g, k))
                moved = max(moved, np.abs(after["mean"] - before["mean"]).max())
            self.assertGreater(moved, 1e-3)

    def test_snes(self):
        es = SNES(population_size=16, solution=jnp.zeros(N))
        start = es.init(KEY, jnp.zeros(N), es.default_params)

        def step(before, points, values, _):
            state = start.replace(mean=jnp.asarray(before["mean"]), std=jnp.asarray(before["sigma"] * before["spread"]))
            state, _ = es.tell(KEY, jnp.asarray(points), jnp.asarray(values), state, es.default_params)
            return state.mean, state.std

        for antithetic in ("true", "false"):
            self.compare("snes", step, **{"search.antithetic": antithetic})

    def test_pgpe(self):
        es = PGPE(population_size=16, solution=jnp.zeros(N), optimizer=optax.sgd(0.2))
        start = es.init(KEY, jnp.zeros(N), es.default_params)

        def step(before, points, values, _):
            pairs = np.r_[points[0::2], points[1::2]]  # all with +, then all with -
            state = start.replace(mean=jnp.asarray(before["mean"]), std=jnp.asarray(before["sigma"] * before["spread"]))
            state, _ = es.tell(KEY, jnp.asarray(pairs), jnp.asarray(np.r_[values[0::2], values[1::2]]), state, es.default_params)
            return state.mean, state.std

        self.compare("pgpe", step, **{"search.shaping": "ranks_centered"})

    def test_sep_cma(self):
        es = Sep_CMA_ES(population_size=16, solution=jnp.zeros(N))
        start = es.init(KEY, jnp.zeros(N), es.default_params)
        plain = es.default_params
        faster = plain.replace(c_1=plain.c_1 * (N + 2) / 3, c_mu=plain.c_mu * (N + 2) / 3)

        stalled = []  # generations in which the path is long, so that the covariance's does not move

        for fast, params in (("false", plain), ("true", faster)):
            def step(before, points, values, g):
                spread = jnp.asarray(before["spread"])
                state = start.replace(mean=jnp.asarray(before["mean"]), std=jnp.asarray(before["sigma"]), C=spread**2, D=spread, generation_counter=g,
                                      p_std=jnp.asarray(before["path_sigma"]), p_c=jnp.asarray(before["path_covariance"]))
                state, _ = es.tell(KEY, jnp.asarray(points), jnp.asarray(values), state, params)
                length = jnp.linalg.norm(state.p_std) / jnp.sqrt(1 - (1 - params.c_std) ** (2 * (g + 2)))
                stalled.append(bool(length > (1.4 + 2 / (N + 1)) * params.chi_n))
                return state.mean, state.std * jnp.sqrt(state.C), state.p_std, state.p_c

            self.compare("sep_cma", step, **{"search.sep_cma_fast": fast, "search.antithetic": "false"})
        self.assertTrue(any(stalled) and not all(stalled))

    def test_restarts(self):
        """Where the mean never rises a search begins anew every third generation, as if it were new; between restarts it is as without."""
        es = Sep_CMA_ES(population_size=16, solution=jnp.zeros(N))
        start = es.init(KEY, jnp.zeros(N), es.default_params)
        worse, means, restarts = [0.0], [], 0

        def function(points):
            worse[0] += 1e6
            return sphere(points) + worse[0]

        run = self.run_of("sep_cma", 16, 20, **{"search.restart": 3, "search.sep_cma_fast": "false", "search.antithetic": "false", "search.lr_decay": 0.5})
        for g, (before, points, _, after) in enumerate(run.generations(function), 1):
            best, since, begun, count = after["restart"]
            if count > restarts:
                restarts = count
                means.append(after["mean"])
                self.assertEqual((after["sigma"], begun, since), (0.5, g + 1, 0))
                for name, value in (("spread", 1), ("path_sigma", 0), ("path_covariance", 0)):
                    np.testing.assert_array_equal(after[name], value)
                continue
            spread = jnp.asarray(before["spread"])
            state = start.replace(mean=jnp.asarray(before["mean"]), std=jnp.asarray(before["sigma"]), C=spread**2, D=spread,
                                  generation_counter=g - int(before["restart"][2]), p_std=jnp.asarray(before["path_sigma"]),
                                  p_c=jnp.asarray(before["path_covariance"]))
            state, _ = es.tell(KEY, jnp.asarray(points), jnp.asarray(sphere(points)), state, es.default_params)
            for ours, theirs in ((after["mean"], state.mean), (after["path_sigma"], state.p_std), (after["sigma"] * after["spread"], state.std * jnp.sqrt(state.C))):
                self.near(ours, theirs, g)
        self.assertGreaterEqual(restarts, 4)
        self.assertEqual(len({tuple(m) for m in means}), len(means))
        self.assertTrue(0.5 < np.std(means) < 1.5)
        self.assertEqual(list(hb.load(run.folder).metrics["restarts"])[-1], restarts)

    def test_nothing_to_learn(self):
        """Where all points are as good, nothing moves; where values are random, step sizes neither grow nor shrink, pairs or not."""
        for kind in ("snes", "sep_cma"):
            for before, _, _, after in self.run_of(kind, 32, 5).generations(lambda x: np.ones(len(x))):
                for name, value in after.items():
                    np.testing.assert_array_equal(value, before[name], err_msg=name)
        random = np.random.default_rng(1)
        for antithetic in ("true", "false"):
            states = [after for *_, after in self.run_of("sep_cma", 32, 300, **{"search.antithetic": antithetic}).generations(lambda x: random.normal(size=len(x)))]
            drift = np.log(states[-1]["sigma"] * states[-1]["spread"].mean() / 0.5) / len(states)
            self.assertLess(abs(drift), 0.015, antithetic)  # -0.03 where pairs count as independent points

    def test_they_descend(self):
        """To the minimum of the sphere, and down Rosenbrock's valley."""
        for kind, generations, sphere_end, valley_end in (("snes", 300, 1e-8, 10), ("sep_cma", 200, 1e-8, 10), ("pgpe", 300, 1e-2, 30)):
            for function, end in ((sphere, sphere_end), (rosenbrock, valley_end)):
                values = [values.mean() for *_, values, _ in self.run_of(kind, 32, generations).generations(function)]
                self.assertLess(values[-1], end, (kind, function.__name__, values[0]))
                self.assertGreater(values[0], 4, (kind, function.__name__))


if __name__ == "__main__":
    unittest.main()
