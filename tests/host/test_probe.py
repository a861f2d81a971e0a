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
import zlib
from pathlib import Path

import h5py
import numpy as np

HEBBES = sys.argv.pop(1)
KNOWN = Path(HEBBES).resolve().parent / "tests/known_env.so"
STEPS = 160
SETTINGS = ["env.variations=left", "policy.hidden=9", "policy.normalise=true", "search.l2=0"]


def sets(*more):
    return [part for item in [*SETTINGS, *more] for part in ("--set", item)]


def build_environment(folder):
    source = Path("envs/example/pointmass.c").read_text()
    assert source.count("episode_steps = 100;") == 1
    source = source.replace("episode_steps = 100;", f"episode_steps = {STEPS};")
    (folder / "point.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-I.", folder / "point.c", "-o", folder / "point.so"], check=True)
    return folder / "point.so"


def grey_image(path):
    """The first channel of a PNG of 8-bit RGB."""
    data, at, pixels = path.read_bytes(), 8, b""
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
        if kind == b"IDAT":
            pixels += body
        at += size + 12
    rows = np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(height, 1 + 3 * width).astype(int)
    image = np.zeros((height + 1, 3 * (width + 1)), int)  # a row above and a pixel to the left of 0
    for y, row in enumerate(rows, 1):
        for x in range(3, 3 * (width + 1)):
            left, above, corner = image[y, x - 3], image[y - 1, x], image[y - 1, x - 3]
            paeth = min((left, above, corner), key=lambda v: abs(left + above - corner - v))
            image[y, x] = (row[x - 2] + (0, left, above, (left + above) // 2, paeth)[row[0]]) % 256
    return image[1:, 3::3]

# Every way to draw initial weights, in the order of the table.
INITS = ["uni", "uni_big", "normal", "normal_wide", "xa_uni", "xa_uni_big", "ka_uni", "default", "sparse", "ones", "zeros"]


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

    def probe(self, what, *more, source=None, name=""):
        """The rows of its data, and that there is its picture."""
        out = self.folder / f"{what}-{self.id().split('.')[-1]}{name}"
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

    def test_images_of_what_was_lost(self):
        out = self.folder / "images-of-zero"
        self.call("probe", self.config, "--what", "zero", "--at", 40, "--out", out, *sets("eval.rollouts=1"))
        alone = self.life.live()[1]
        zeroed = self.life.live(before=lambda t, w: zero_band(w) if t == 40 else None)[1]
        image = grey_image(out / "layer1.png")  # 2 inputs across, 9 outputs down, gaps of 4
        self.assertEqual(image.shape, (9, 3 * 2 + 2 * 4))
        self.assertTrue((image[:, 2:6] == 255).all())
        for k, weights in enumerate((alone[40], zeroed[40], zeroed[50])):
            w = weights[:18].reshape(2, 9).T
            expected = 127.5 + 127.5 * np.clip(w / (3 * np.sqrt((w**2).mean())), -1, 1)
            np.testing.assert_allclose(image[:, 6 * k : 6 * k + 2], np.floor(expected), atol=1)

    def test_means_are_those_of_an_evaluation(self):
        run = self.folder / "run"
        self.call("train", self.config, "--out", run, *sets("run.generations=2", "search.population=4", "search.l2=40"))
        rows = self.probe("init", "--set", "eval.rollouts=7", source=run)
        self.assertEqual([row["init"] for row in rows], INITS)
        for row in rows:
            init = [] if row["init"] == "uni" else ["--set", "eval.init=" + row["init"]]
            told = self.call("eval", run, "--set", "eval.rollouts=7", "--set", "eval.protocol=mean", *init).splitlines()[1]
            mean, sd = map(float, told.split()[3:5])
            self.assertAlmostEqual(float(row["mean"]), mean, delta=0.051)
            self.assertAlmostEqual(float(row["sd"]), sd, delta=0.051)
        whole = self.probe("freeze", "--set", "eval.rollouts=7", source=run)[-1]
        told = self.call("eval", run, "--set", "eval.rollouts=7", "--set", "eval.protocol=mean").splitlines()[1]
        self.assertAlmostEqual(float(whole["mean"]), float(told.split()[3]), delta=0.051)

    def test_lives_that_diverge(self):
        """Returns 7 and then NaN: 7 counts, as in training."""
        known = ["--set", f"env.name={KNOWN}", "--set", "search.l2=40", "--set", "eval.rollouts=2"]
        rows = {v: self.probe("init", "--variation", v, *known, name=v)[0] for v in ("broken", "minus", "stillborn")}
        penalty = 7 - float(rows["broken"]["mean"])
        self.assertGreater(penalty, 1)
        self.assertAlmostEqual(float(rows["minus"]["mean"]), -10 - penalty, places=5)
        self.assertEqual(float(rows["stillborn"]["mean"]), 0)  # it never lived
        done = subprocess.run([HEBBES, "probe", self.config, "--what", "zero", "--at", "5", "--variation", "minus",
                               "--out", self.folder / "short", *known], capture_output=True, text=True)
        self.assertEqual((done.returncode, (self.folder / "short").exists()), (2, False))
        self.assertIn("zero: no life reaches step 5", done.stderr)

    def test_refusals(self):
        def refused(what, *more):
            out = self.folder / "refused"
            done = subprocess.run([HEBBES, "probe", self.config, "--what", what, "--out", out, *map(str, more)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse(out.exists())
            return done.stderr

        self.assertIn("a network that learns, found policy.kind 'static'", refused("freeze", *sets("policy.kind=static")))
        self.assertIn("evolved ones (policy.init)", refused("init", *sets("policy.init=coevolve")))
        self.assertIn("a life has 160 steps, and is to be disturbed at 500", refused("zero", *sets()))
        self.assertIn("a life has 9 steps, and is to be disturbed at 9", refused("zero", "--at", 9, "--steps", 9, *sets()))
        self.assertIn("--at: 'freeze' does not disturb a life at one step", refused("freeze", "--at", 9, *sets()))
        there = self.folder / "there"
        there.mkdir()
        done = subprocess.run([HEBBES, "probe", self.config, "--what", "pca", "--out", there], capture_output=True, text=True)
        self.assertIn("does not exist yet", done.stderr)
        self.assertTrue(there.exists())
        self.assertIn("freeze, saturate, zero, init, found 'dreams'", refused("dreams", *sets()))


if __name__ == "__main__":
    unittest.main()
