"""Runs the reader of docs/export.md, as it stands there, beside traced lives."""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

HEBBES = sys.argv.pop(1)
exec(re.search(r"```python\n(.*?)```", Path("docs/export.md").read_text(), re.S)[1])
ANT = ["configs/ant/pnr-replicate.yaml", "policy.hidden=24,12"]
CAR = ["configs/car/pnr-replicate.yaml", "policy.hidden=24,12"]
STEPS = 40


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def hebbes(self, command, config, *sets, out, more=()):
        words = [HEBBES, command, config, "--individual", "3", "--out", str(self.folder / out), *more]
        for item in sets:
            words += ["--set", item]
        return subprocess.run(words, capture_output=True, text=True)

    def networks(self, config, *sets):
        """The reader's network and the trace of a life of the same individual."""
        for name in ("net.npz", "life.h5"):
            (self.folder / name).unlink(missing_ok=True)
        self.hebbes("export", config, *sets, out="net.npz").check_returncode()
        self.hebbes("trace", config, *sets, out="life.h5", more=["--steps", str(STEPS)]).check_returncode()
        return Network(self.folder / "net.npz"), h5py.File(self.folder / "life.h5")

    def compare(self, config, *sets):
        network, life = self.networks(config, *sets)
        seen = life["obs"][:] if "obs" in life else life["frame"][:].transpose(0, 3, 1, 2) / 255
        traced = [life[f"layer{k}/w"][:] for k in network.layers]
        worst = 0.0
        for t in range(len(seen)):
            # From the traced weights of each step, so that roundings do not add up.
            if network.plastic and t == 0:
                network.reset(weights=[w[0] for w in traced])
            elif network.plastic:
                network.w = [w[t].astype(float) for w in traced]
            elif t == 0:
                network.reset()
                for w, first in zip(network.w, traced):
                    np.testing.assert_array_equal(w, first[0])
            out = network.step(seen[t], life["fitness"][t - 1] if t > 0 else 0.0)
            size = max(1.0, np.abs(life["output"][t]).max())
            worst = np.maximum(worst, np.abs(out - life["output"][t]).max() / size)
            if network.plastic:
                for w, after in zip(network.w, traced):
                    worst = np.maximum(worst, np.abs(w - after[t + 1]).max() / np.abs(after[t + 1]).max())
        self.assertLess(worst, 1e-3 if network.plastic else 1e-5, sets)
        self.assertGreater(np.abs(life["output"][-1] - life["output"][0]).max(), 1e-4)

    def test_rules(self):
        for rule in ("A", "AD_lr", "ABC", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out"):
            with self.subTest(rule=rule):
                self.compare(*ANT, f"policy.rule={rule}")

    def test_other_networks(self):
        for sets in (["policy.normalise=true"], ["policy.kind=static"], ["policy.kind=lstm", "policy.hidden=9,5"],
                     ["search.kind=shared", "search.rules=7"], ["search.kind=gmm", "search.rules=5"]):
            with self.subTest(sets=sets):
                self.compare(ANT[0], ANT[1], *sets)

    def test_plasticity(self):
        """Each way that a change enters the weights, and all of them together."""
        ways = {"average": "4", "every": "3", "decay": "0.1", "oja": "0.05", "trace": "0.7", "modulate": "output", "bias": "true", "sees_reward": "true",
                "normalise": "true"}
        for sets in [[f"policy.{key}={value}"] for key, value in ways.items()] + [
                ["policy.modulate=reward"], ["policy.rule=BCM_lr"], [f"policy.{key}={value}" for key, value in ways.items()],
                [f"policy.{key}={value}" for key, value in {**ways, "modulate": "reward", "rule": "BCM_lr"}.items()],
                ["policy.kind=static", "policy.bias=true", "policy.sees_reward=true"],
                ["search.kind=shared", "search.assignment=neuron", "search.combine=product", "policy.bias=true"]]:
            with self.subTest(sets=sets):
                self.compare(*ANT, *sets)

    def test_standardised_observations(self):
        """Of a run, whose state knows what was seen."""
        sets = ["search.observations=standard", "search.population=8", "run.generations=2"]
        run = str(self.folder / "run")
        subprocess.run([HEBBES, "train", ANT[0], "--out", run, *[w for s in [ANT[1], *sets] for w in ("--set", s)]], check=True, capture_output=True)
        self.compare(run, "eval.checkpoint=last")
        mean = np.load(self.folder / "net.npz")["observed_mean"]
        self.assertGreater(np.abs(mean).max(), 0.1)

    def test_the_state_of_a_model(self):
        """A trace of env.name=mjcf has its positions and speeds, of which the preset shows all but the first."""
        (self.folder / "life.h5").unlink(missing_ok=True)
        self.hebbes("trace", "configs/mjcf/half-cheetah.yaml", out="life.h5", more=["--steps", "20"]).check_returncode()
        life = h5py.File(self.folder / "life.h5")
        self.assertEqual(life["qpos"].shape, (20, 9))
        np.testing.assert_array_equal(life["obs"], np.hstack([life["qpos"][:, 1:], life["qvel"][:]]).astype(np.float32))

    def test_pictures(self):
        for vision in ("evolved", "fixed"):
            with self.subTest(vision=vision):
                self.compare(*CAR, f"policy.vision={vision}", "env.early_stop=0")

    def test_initial_weights(self):
        """Drawn as the program draws them: evolved ones to the bit, the others in their statistics."""
        network, life = self.networks(*ANT, "policy.init=coevolve")
        network.reset()
        for w, traced in zip(network.w, (life[f"layer{k}/w"][0] for k in network.layers)):
            np.testing.assert_array_equal(w.astype(np.float32), traced)
        for init in ("uni", "normal_wide", "xa_uni", "ka_uni", "default", "sparse", "ones"):
            with self.subTest(init=init):
                network, life = self.networks(*ANT, f"policy.init={init}")
                network.reset(np.random.default_rng(1))
                for k, w in zip(network.layers, network.w):
                    traced = life[f"layer{k}/w"][0]
                    self.assertEqual(w.shape, traced.shape)
                    self.assertEqual((w == 0).sum(), (traced == 0).sum())
                    self.assertAlmostEqual(w.std(), traced.std(), delta=0.25 * traced.std() + 1e-9)

    def test_coefficients_and_refusals(self):
        network, life = self.networks(*ANT)
        self.assertEqual(network.about["rule"], "ABCD_lr")
        self.assertEqual(b" ".join(network.file["coefficient_names"]), b"A B C eta D")
        for k in network.layers:
            np.testing.assert_array_equal(network.file[f"coefficients{k}"], life[f"layer{k}/coefficients"])
        said = self.hebbes("export", *ANT, out="net.npz")
        self.assertEqual(said.returncode, 2)
        self.assertIn("expected a file that does not exist yet", said.stderr)


if __name__ == "__main__":
    unittest.main()
