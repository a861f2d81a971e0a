"""Replays traced lives in NumPy.

Every weight of every step must agree to 1e-5 of its layer's largest weight over 200 steps, for each rule. The weights
are the replay's own from the first step to the last, so errors of the rule add up. Activations come from the traced
weights (a plastic network is chaotic: two replays that differ in a last bit part for good), with sums as kernels/ops.h
defines them, float32, ascending, one rounding each: weights grow into the hundreds, their sums into the thousands, and
there any other order moves an unsaturated output by 1e-3. All else is double precision.
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

HEBBES = sys.argv.pop(1)
STEPS = 200
RULES = ["A", "AD", "AD_lr", "ABC", "ABC_lr", "ABCD", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out", "BCM_lr"]


def text(value):
    return value.decode().rstrip("\0") if isinstance(value, bytes) else str(value).rstrip("\0")


def change(coefficients, names, pre, post):
    """The rule's change of w for inputs pre (I) and outputs post (O), from the formulas of docs/equations.md."""
    c = {name: coefficients[:, :, k] for k, name in enumerate(names)}
    zero = np.zeros(coefficients.shape[:2])
    post = post**2 if SQUARES else post
    inside = c.get("A", zero) * np.outer(pre, post) + c.get("B", zero) * pre[:, None] + c.get("C", zero) * post[None, :]
    outside = zero
    if "D_in" in c:
        inside, outside = inside + c["D_in"], c["D_out"]
    elif RULE_D_OUT:
        outside = c["D"]
    else:
        inside = inside + c.get("D", zero)
    return c.get("eta", 1.0) * inside + outside


def forward(w, x):
    """tanh(sum_i w_ij x_i); a float32 product is exact in float64, so each addition below rounds once as fma does."""
    sums = np.zeros(w.shape[1], np.float32)
    for row, value in zip(w.astype(np.float32), x.astype(np.float32)):
        sums = (row.astype(float) * float(value) + sums).astype(np.float32)
    return np.tanh(sums.astype(float)).astype(np.float32).astype(float)


def trace_life(test, config, individual, *sets):
    """The trace of a life of STEPS steps, open until the test ends."""
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    path = Path(folder.name) / "life.h5"
    command = [HEBBES, "trace", config, "--steps", str(STEPS), "--individual", individual, "--out", str(path)]
    for item in sets:
        command += ["--set", item]
    subprocess.run(command, check=True, capture_output=True)
    return h5py.File(path, "r")


class Replay(unittest.TestCase):
    def trace(self, *sets):
        return trace_life(self, "configs/ant/pnr-replicate.yaml", "3", "env.profile=light", "env.engine=mujoco", "env.early_stop=false", *sets)

    def replay(self, *sets):
        global RULE_D_OUT, SQUARES
        file = self.trace(*sets)
        SQUARES = text(file.attrs["squares_post"]) == "true"
        rule = text(file.attrs["rule"])
        RULE_D_OUT = rule == "ABCD_lr_D_out"
        observations = file["obs"][:].astype(float)
        self.assertEqual(observations.shape, (STEPS, 28))
        self.assertEqual(file["action"].shape, (STEPS, 8))
        self.assertEqual(file["qpos"].shape, (STEPS, 15))
        self.assertEqual(file["qvel"].shape, (STEPS, 14))
        layers = [file[f"layer{l}"] for l in (1, 2, 3)]
        traced = [layer["w"][:].astype(float) for layer in layers]
        weights = [w[0].copy() for w in traced]
        plastic = rule != "static"
        if plastic:
            coefficients = [layer["coefficients"][:].astype(float) for layer in layers]
            names = text(layers[0]["coefficients"].attrs["names"]).split()
        worst = 0.0
        for t in range(STEPS):
            activations = [observations[t]]
            for l in range(3):
                activations.append(forward(traced[l][t], activations[l]))
            np.testing.assert_allclose(file["action"][t], activations[3], rtol=0, atol=1e-5)
            for l in range(3):
                if plastic:
                    weights[l] = weights[l] + change(coefficients[l], names, activations[l], activations[l + 1])
                    if file.attrs["normalise"]:
                        weights[l] = weights[l] / np.abs(weights[l]).max()
                scale = np.maximum(np.abs(weights[l]), np.abs(weights[l]).max())
                error = np.abs(weights[l] - traced[l][t + 1]) / scale
                worst = np.maximum(worst, error.max())  # NaN stays, max would lose it
        print(f"{' '.join(sets):60s} largest relative error {worst:.2e}")
        self.assertLess(worst, 1e-5)
        self.assertGreater(np.abs(traced[0][-1] - traced[0][0]).max(), 0.0 if not plastic else 1e-3)

    def test_every_rule(self):
        for rule in RULES:
            with self.subTest(rule=rule):
                self.replay(f"policy.rule={rule}")

    def test_normalised(self):
        for rule in RULES:
            with self.subTest(rule=rule):
                self.replay(f"policy.rule={rule}", "policy.normalise=true")

    def test_static_never_changes(self):
        file = self.trace("policy.kind=static")
        for l in (1, 2, 3):
            w = file[f"layer{l}/w"][:]
            self.assertTrue((w == w[0]).all())
            self.assertNotIn("coefficients", file[f"layer{l}"])

    def test_order_of_coefficients(self):
        names = {"ABCD_lr": "A B C eta D", "AD_lr": "A D eta", "ABCD_lr_D_in_and_out": "A B C eta D_in D_out"}
        for rule, expected in names.items():
            file = self.trace(f"policy.rule={rule}")
            self.assertEqual(text(file["layer2/coefficients"].attrs["names"]), expected)
            self.assertEqual(file["layer2/coefficients"].shape, (128, 64, len(expected.split())))

    def test_start_of_life(self):
        file = self.trace()
        for l in (1, 2, 3):
            w = file[f"layer{l}/w"][0]
            self.assertLessEqual(np.abs(w).max(), 0.1)
            self.assertAlmostEqual(w.std(), 0.1 / np.sqrt(3), delta=0.003)
        self.assertEqual(int(file.attrs["seed"]), 1)
        self.assertEqual(text(file.attrs["variation"]), "default")


def convolve(x, w, stride):
    """A convolution with tanh, pooled by 2: (C, H, W) and (O, C, K, K) to (O, rows, columns)."""
    side = w.shape[2]
    high, wide = (x.shape[1] - side) // stride + 1, (x.shape[2] - side) // stride + 1
    z = np.zeros((w.shape[0], high, wide))
    for a in range(side):
        for b in range(side):
            part = x[:, a : a + stride * high : stride, b : b + stride * wide : stride][:, :high, :wide]
            z += np.einsum("oc,chw->ohw", w[:, :, a, b], part)
    rows, columns = high // 2, wide // 2
    return np.tanh(z)[:, : 2 * rows, : 2 * columns].reshape(-1, rows, 2, columns, 2).max(axis=(2, 4))


class Probes(unittest.TestCase):
    """Analyses of a life against NumPy's, from the trace of the same life."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_on_life(self, command, *more):
        life = ["configs/ant/pnr-replicate.yaml", "--individual", "2", "--set", "env.early_stop=false"]
        return subprocess.run([HEBBES, command, *life, *more], capture_output=True, text=True)

    def test_pca(self):
        path = self.folder / "life.h5"
        self.run_on_life("trace", "--out", str(path), "--steps", "60").check_returncode()
        done = self.run_on_life("probe", "--what", "pca", "--steps", "60", "--out", str(self.folder / "pca"))
        if not shutil.which("gnuplot"):
            self.assertIn("plots need gnuplot", done.stderr)
            self.assertFalse((self.folder / "pca").exists())
            return
        self.assertEqual((self.folder / "pca/pca.png").read_bytes()[:4], b"\x89PNG")
        file = h5py.File(path)
        weights = np.concatenate([file[f"layer{k}/w"][:].reshape(61, -1) for k in (1, 2, 3)], 1).astype(float)
        left, scale, _ = np.linalg.svd(weights - weights.mean(0), full_matrices=False)
        lines = (self.folder / "pca/pca.csv").read_text().splitlines()
        shares = (self.folder / "pca/explained.csv").read_text().splitlines()
        self.assertEqual([lines[0], shares[0]], ["step,pc1,pc2,pc3", "component,explained_variance"])
        explained = [float(line.split(",")[1]) for line in shares[1:]]
        np.testing.assert_allclose(explained, (scale**2 / (scale**2).sum())[:3], atol=1e-4)
        found = np.array([[float(v) for v in line.split(",")[1:]] for line in lines[1:]])
        for c in range(3):
            expected = left[:, c] * scale[c]
            sign = np.sign(expected @ found[:, c])
            np.testing.assert_allclose(sign * found[:, c], expected, rtol=0, atol=1e-6 * np.abs(expected).max())

    def test_images(self):
        self.run_on_life("probe", "--what", "images", "--out", str(self.folder / "images")).check_returncode()
        sizes = []
        for k in (1, 2, 3):
            data = (self.folder / f"images/layer{k}.png").read_bytes()
            sizes.append((int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")))
        # Eight moments, gaps of 4: 28 wide and 128 high, 64 and 128, 8 and 64 (NR Figs. 1, 6).
        self.assertEqual(sizes, [(8 * 28 + 28, 128), (8 * 64 + 28, 128), (8 * 8 + 28, 64)])

    def test_refusals(self):
        self.assertIn("--what: expected one of images, pca", self.run_on_life("probe", "--out", str(self.folder / "x")).stderr)
        self.assertIn("does not exist yet", self.run_on_life("probe", "--what", "pca", "--out", str(self.folder)).stderr)


class CarReplay(unittest.TestCase):
    """From pixels: features, outputs, bounded actions and 200 updates of every weight in double precision, each step from
    the traced weights before it."""

    def replay(self, *sets):
        file = trace_life(self, "configs/car/pnr-replicate.yaml", "1", "env.early_stop=0", *sets)
        self.assertEqual(file["frame"].shape, (STEPS, 84, 84, 3))
        self.assertEqual(file["frame96"].shape, (STEPS, 96, 96, 3))
        self.assertEqual(file["track"].shape[1], 4)
        vision = [file["convolution1"][:].astype(float), file["convolution2"][:].astype(float)]
        layers = [file[f"layer{k}"] for k in (1, 2, 3)]
        weights = [layer["w"][:].astype(float) for layer in layers]
        coefficients = [layer["coefficients"][:].astype(float) for layer in layers]
        names = text(layers[0]["coefficients"].attrs["names"]).split()
        for t in range(STEPS):
            features = convolve(convolve(file["frame"][t].transpose(2, 0, 1) / 255.0, vision[0], 1), vision[1], 2)
            self.assertEqual(features.shape, (8, 9, 9))
            activations = [features.ravel()]
            for k in range(3):
                sums = activations[k] @ weights[k][t]
                activations.append(sums if k == 2 else np.tanh(sums))
            np.testing.assert_allclose(file["output"][t], activations[3], rtol=0, atol=2e-5)
            steer, gas, brake = activations[3]
            bounded = [np.tanh(steer), 1 / (1 + np.exp(-gas)), 1 / (1 + np.exp(-brake))]
            np.testing.assert_allclose(file["action"][t], bounded, rtol=0, atol=1e-5)
            for k in range(3):
                w = weights[k][t] + change(coefficients[k], names, activations[k], activations[k + 1])
                np.testing.assert_allclose(weights[k][t + 1], w / np.abs(w).max(), rtol=0, atol=1e-5)
        return vision

    def test_car(self):
        global RULE_D_OUT, SQUARES
        RULE_D_OUT = SQUARES = False
        evolved = self.replay()
        fixed = self.replay("policy.vision=fixed")
        self.assertGreater(np.abs(evolved[0]).max(), 1)
        self.assertLess(np.abs(fixed[0]).max(), 27**-0.5 + 1e-6)
        self.assertGreater(fixed[1].std(), 0.9 * 150**-0.5 / 3**0.5)


if __name__ == "__main__":
    unittest.main()
