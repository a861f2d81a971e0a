"""docs/tour.ipynb, executed, and an environment of numba's functions; in an environment apart with what notebooks have.

usage: test_notebook.py PACKAGES FOLDER          FOLDER keeps that environment"""

import os
import pathlib
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import apart  # noqa: E402

apart.enter(sys.argv[2], ["nbclient", "ipykernel", "ipywidgets", "tqdm", "numpy", "pandas", "matplotlib", "numba", "gymnasium==1.4.0"],
            "nbclient, ipykernel, ipywidgets, tqdm, pandas, matplotlib, numba, gymnasium")
PACKAGES = str(pathlib.Path(sys.argv[1]).resolve())
sys.path.insert(0, PACKAGES)
del sys.argv[1:]

import nbclient  # noqa: E402
import nbformat  # noqa: E402
import numba  # noqa: E402
import numpy as np  # noqa: E402

import hebbes as hb  # noqa: E402


class Tour(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ["PYTHONPATH"] = PACKAGES
        cls.notebook = nbformat.read(ROOT / "docs/tour.ipynb", as_version=4)
        nbformat.validate(cls.notebook)
        with tempfile.TemporaryDirectory() as folder:
            client = nbclient.NotebookClient(cls.notebook, timeout=600, allow_errors=True, resources={"metadata": {"path": folder}})
            begun = time.time()
            client.execute()
        print(f"the tour took {time.time() - begun:.0f} s")

    def outputs(self, start):
        """What the cell shows that has that line."""
        return next(cell.outputs for cell in self.notebook.cells if cell.cell_type == "code" and start in cell.source)

    def kinds(self, start):
        return {kind for output in self.outputs(start) for kind in output.get("data", {})}

    def test_no_cell_fails(self):
        for cell in self.notebook.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error" and "OpenGL" not in output.evalue:
                    self.fail(f"{cell.source}\n{output.ename}: {output.evalue}")

    def test_what_is_shown(self):
        self.assertIn("image/png", self.kinds("metrics.plot"))
        self.assertIn("image/png", self.kinds("imshow"))
        film = self.outputs("run.film")
        if film and film[0].output_type == "error":
            print("skipped:", film[0].evalue)
        elif "text/html" in self.kinds("run.film"):
            self.assertIn("<video", "".join(output.data["text/html"] for output in film if "text/html" in output.get("data", {})))

    def test_freezing_matters(self):
        """What it is for: a life that learns earns more than one that was frozen at birth."""
        text = "".join(output.text for output in self.outputs("frozen at birth") if output.output_type == "stream" and output.name == "stdout")
        print(text)
        means = [float(line.split("±")[0].split()[-1]) for line in text.splitlines() if "±" in line]
        self.assertGreater(means[0], means[1])


class Numba(unittest.TestCase):
    def test_functions_of_numba(self):
        """They live as their Python versions do, without Python."""

        def reset(state, variation, seed, observation):
            state[0] = float(seed % np.uint64(1000)) / 1000  # numba makes a float64 of a uint64 with another integer
            observation[0] = state[0]

        def step(state, action, observation, reward):
            state[0] += 0.125 * float(action[0])
            observation[0] = state[0]
            reward[0] = -abs(state[0])
            return 0

        hb.add_environment("jitted", numba.cfunc("void(CPointer(float64), int32, uint64, CPointer(float32))")(reset),
                           numba.cfunc("int32(CPointer(float64), CPointer(float32), CPointer(float32), CPointer(float64))")(step),
                           obs=1, act=1, steps=50, state=1)
        hb.add_environment("slow", reset, step, obs=1, act=1, steps=50, state=1)
        returns, seconds = {}, {}
        for name in ("jitted", "slow"):
            with hb.Evolution(env=name, population=200, hidden=[4], generations=1) as evo:
                begun = time.perf_counter()
                returns[name] = next(iter(evo)).live()
                seconds[name] = time.perf_counter() - begun
        np.testing.assert_array_equal(returns["jitted"], returns["slow"])
        print(f"a generation of 200 lives: numba {seconds['jitted']:.3f} s, Python {seconds['slow']:.3f} s")


unittest.main()
