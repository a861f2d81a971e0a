"""Probes that disturb a life, against the same life in NumPy.

The point mass of envs/example, with longer lives, lives here once more, in double precision, with the network that learns:
initial weights, coefficients and the start come from a trace of the same life, all else is the replay's own.
"""

import csv
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

HEBBES = sys.argv.pop(1)
STEPS = 160
SETTINGS = ["env.variations=left", "policy.hidden=9", "policy.normalise=true", "search.l2=0"]


def sets(*more):
    return [part for item in [*SETTINGS, *more] for part in ("--set", item)]


def build_environment(folder):
    source = Path("envs/example/pointmass.c").read_text()
    assert source.count("episode_steps = 100;") == source.count(".max_steps = 100,") == 1
    source = source.replace("episode_steps = 100;", f"episode_steps = {STEPS};").replace(".max_steps = 100,", f".max_steps = {STEPS},")
    (folder / "point.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-I.", folder / "point.c", "-o", folder / "point.so"], check=True)
    return folder / "point.so"


class Life:
    """One life from its trace; live() goes through it, disturbed or not."""

    def __init__(self, file):
        self.start = file["obs"][0].astype(float)
        self.weights = [file[f"layer{k}/w"][0].astype(float) for k in (1, 2)]
        self.coefficients = [file[f"layer{k}/coefficients"][:].astype(float) for k in (1, 2)]  # A B C eta D

    def live(self, before=None, output=None, frozen_after=STEPS):
        """Rewards and the weights before each step. before(t, weights) may change them, output(t) gives what the network
        puts out instead, and whether the update takes it."""
        position, speed = self.start
        weights = [w.copy() for w in self.weights]
        rewards, history = [], []
        for t in range(STEPS):
            if before:
                before(t, weights)
            history.append(np.concatenate([w.ravel() for w in weights]))
            x = [np.array([position, speed])]
            for w in weights:
                x.append(np.tanh(x[-1] @ w))
            action, felt = (x[2], False) if output is None or output(t) is None else output(t)
            if felt:
                x[2] = action
            speed += 0.05 * (action[0] - 0.1 * speed)
            position += 0.05 * speed
            rewards.append(-position * position * 0.05)
            if t >= frozen_after:
                continue
            for k, (c, w) in enumerate(zip(self.coefficients, weights)):
                a, b, cc, eta, d = (c[:, :, n] for n in range(5))
                w += eta * (a * np.outer(x[k], x[k + 1]) + b * x[k][:, None] + cc * x[k + 1][None, :] + d)
                w /= np.abs(w).max()
        return np.array(rewards), np.array(history)


def zero_band(weights):
    for w in weights:
        third = (w.shape[1] + 2) // 3
        first = (w.shape[1] - third) // 2
        w[:, first : first + third] = 0


class Probes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("gnuplot"):
            raise unittest.SkipTest("pictures of probes need gnuplot")
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        cls.config = cls.folder / "point.yaml"
        cls.config.write_text(f"run:\n  seed: 5\nenv:\n  name: {build_environment(cls.folder)}\n")
        path = cls.folder / "life.h5"
        cls.call("trace", cls.config, "--out", path, "--steps", STEPS, *sets())
        cls.life = Life(h5py.File(path))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @staticmethod
    def call(*arguments):
        return subprocess.run([HEBBES, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def probe(self, what, *more, source=None):
        """The rows of its data, and that there is its picture."""
        out = self.folder / f"{what}-{self.id().split('.')[-1]}"
        self.call("probe", source or self.config, "--what", what, "--out", out, *more)
        self.assertEqual((out / f"{what}.png").read_bytes()[:4], b"\x89PNG")
        return list(csv.DictReader((out / f"{what}.csv").read_text().splitlines()))

    def test_freeze(self):
        rows = self.probe("freeze", *sets("eval.rollouts=1"))
        self.assertEqual([r["updates"] for r in rows], "0 1 2 5 10 20 30 40 60 80 100 150 200 all".split())
        returns = []
        for row in rows:
            after = STEPS if row["updates"] == "all" else int(row["updates"])
            returns.append(self.life.live(frozen_after=after)[0].sum())
            np.testing.assert_allclose(float(row["mean"]), returns[-1], rtol=1e-4)
        self.assertGreater(np.ptp(returns), 0.1)  # learning, or not, makes a difference

    def test_saturate(self):
        rows = self.probe("saturate", "--at", 30, *sets("eval.rollouts=1"))
        self.assertEqual(len(rows), STEPS)
        one = np.ones(1)
        for kind, output in (
            ("undisturbed", None),
            ("saturated", lambda t: (one, True) if 30 <= t < 130 else None),
            ("action_only", lambda t: (one, False) if 30 <= t < 130 else None),
        ):
            expected = self.life.live(output=output)[0]
            np.testing.assert_allclose([float(r[kind]) for r in rows], expected, rtol=1e-4, atol=1e-5)
            self.assertEqual({r[kind + "_living"] for r in rows}, {"1"})

    def test_zero(self):
        rows = self.probe("zero", "--at", 40, *sets("eval.rollouts=1"))
        alone, twins = self.life.live()
        zeroed, weights = self.life.live(before=lambda t, w: zero_band(w) if t == 40 else None)
        np.testing.assert_allclose([float(r["undisturbed"]) for r in rows], alone, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose([float(r["zeroed"]) for r in rows], zeroed, rtol=1e-4, atol=1e-5)
        distance = np.linalg.norm(weights - twins, axis=1) / np.linalg.norm(twins, axis=1)
        self.assertEqual({r["weights_distance"] for r in rows[:40]}, {""})
        np.testing.assert_allclose([float(r["weights_distance"]) for r in rows[40:141]], distance[40:141], rtol=1e-4, atol=1e-4)
        self.assertEqual({r["weights_distance"] for r in rows[141:]}, {""})
        self.assertGreater(distance[40], 0.3)

    def test_means_are_those_of_an_evaluation(self):
        run = self.folder / "run"
        self.call("train", self.config, "--out", run, *sets("run.generations=2", "search.population=4"))
        for row in self.probe("init", "--set", "eval.rollouts=7", source=run):
            init = [] if row["init"] == "uni" else ["--set", "eval.init=" + row["init"]]
            told = self.call("eval", run, "--set", "eval.rollouts=7", "--set", "eval.protocol=mean", *init).splitlines()[1]
            mean, sd = map(float, told.split()[3:5])
            self.assertAlmostEqual(float(row["mean"]), mean, delta=0.051)
            self.assertAlmostEqual(float(row["sd"]), sd, delta=0.051)
        whole = self.probe("freeze", "--set", "eval.rollouts=7", source=run)[-1]
        told = self.call("eval", run, "--set", "eval.rollouts=7", "--set", "eval.protocol=mean").splitlines()[1]
        self.assertAlmostEqual(float(whole["mean"]), float(told.split()[3]), delta=0.051)

    def test_refusals(self):
        def refused(what, *more):
            out = self.folder / "refused"
            done = subprocess.run([HEBBES, "probe", self.config, "--what", what, "--out", out, *map(str, more)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse(out.exists())
            return done.stderr

        self.assertIn("a network that learns, found policy.kind 'static'", refused("freeze", *sets("policy.kind=static")))
        self.assertIn("evolved ones (policy.init)", refused("init", *sets("policy.init=coevolve")))
        self.assertIn("no life reaches step 500", refused("zero", *sets("eval.rollouts=1")))
        self.assertIn("no life reaches step 160", refused("saturate", "--at", STEPS, *sets("eval.rollouts=1")))
        self.assertIn("freeze, saturate, zero, init, found 'dreams'", refused("dreams", *sets()))


if __name__ == "__main__":
    unittest.main()
