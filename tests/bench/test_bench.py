"""The benchmarks, short."""

import json
import subprocess
import sys
import unittest

HEBBES = sys.argv.pop(1)
CONFIG = "configs/ant/pnr-replicate.yaml"


class Benchmarks(unittest.TestCase):
    def test_every_benchmark(self):
        """Each runs, names its figures, and is consistent with its own limit."""
        small = ["--set", "search.population=4", "--set", "run.device=cpu"]
        steps = ["abcd_lr", "abcd_lr.normalised", "static", "lstm"]
        rules = ["M1", "M12", "M96", "M192", "M384", "M768", "M1536", "M3072", "M6144", "M12288", "M768.dense"]
        shares = [f"generation.ant.{part}" for part in ("physics", "env", "policy", "expand", "update", "other")]
        for what, names in (
            ("step", [f"step.ant.{kind}" for kind in steps]),
            ("es", ["es.ant.4x61440.update", "es.ant.4x61440.ask", "es.normal"]),
            ("env", ["env.ant.mujoco", "env.ant.mujoco.substep", "env.ant.lanes", "env.ant.lanes.substep"]),
            ("generation", ["generation.ant.seconds", *shares, "generation.ant.env_steps"]),
            ("gmm", [name for m in rules for name in (f"gmm.ant.{m}", f"gmm.ant.{m.split('.')[0]}.choose")]),
        ):
            done = subprocess.run([HEBBES, "bench", what, "--json", "--config", CONFIG, *small], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            row = {}
            for r in map(json.loads, done.stdout.splitlines()):
                row.setdefault(r["name"], r)
            self.assertEqual(list(row), list(dict.fromkeys(names)))
            self.assertTrue(all(r["value"] > 0 and r["repeats"] > 0 for r in row.values()), row)
            if what == "step":  # no step is much faster than its bytes; a static one has a fifth of them
                for name in names:
                    self.assertEqual(row[name]["unit"], "us")
                    self.assertGreater(row[name]["value"], row[name]["limit"] / 4)
                self.assertLess(row["step.ant.static"]["value"], row["step.ant.abcd_lr"]["value"])
            if what == "env":
                for engine in ("mujoco", "lanes"):
                    limit = row[f"env.ant.{engine}"]["limit"]
                    self.assertAlmostEqual(4 * row[f"env.ant.{engine}.substep"]["value"], limit, delta=1e-4 * limit)
                    self.assertGreater(row[f"env.ant.{engine}"]["value"], limit)
            if what == "generation":
                self.assertAlmostEqual(sum(row[name]["value"] for name in shares), 100, places=1)
                self.assertGreater(row["generation.ant.seconds"]["value"], row["generation.ant.seconds"]["limit"])


if __name__ == "__main__":
    unittest.main()
