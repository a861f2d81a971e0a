"""The judge by PyBullet (bench/bullet.py): its bodies are ours, its lives can be repeated, and a network that walks in MuJoCo moves there.

usage: test_bullet.py HEBBES          skipped where PyBullet cannot be installed"""

import csv
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HEBBES = sys.argv.pop(1)
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "bench/bullet.py"


def judged(folder, episodes):
    done = subprocess.run([sys.executable, SCRIPT, folder, "--episodes", str(episodes), "--hebbes", HEBBES], capture_output=True, text=True)
    if "skipped: " in done.stdout:
        print(done.stdout)
        sys.exit(0)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    with open(folder / "bullet.csv", newline="") as file:
        return list(csv.DictReader(file))


class Bullet(unittest.TestCase):
    def test_bodies(self):
        """The extents of the feet are those of envs/ant/model.c."""
        model, script = (ROOT / "envs/ant/model.c").read_text(), SCRIPT.read_text()
        ours = re.findall(r'{"(\w+)", {([\d., ]+)}}', model)
        theirs = re.findall(r'"(\w+)": \(([\d., ]+)\)', script)
        self.assertEqual(len(ours), 7)
        self.assertEqual(sorted(ours), sorted(theirs))

    def test_lives(self):
        with tempfile.TemporaryDirectory() as folder:
            run = pathlib.Path(folder, "static-seed4")
            words = ["--set", "env.held_out=palm_long_front", "--set", "policy.kind=static", "--set", "run.generations=12", "--out", run]
            subprocess.run([HEBBES, "train", ROOT / "configs/ant/quickstart.yaml", *words], check=True, capture_output=True)
            rows = judged(run, 3)
            self.assertEqual([(r["configuration"], r["seed"], r["variation"], r["held_out"]) for r in rows],
                             [("static", "4", "default", "0"), ("static", "4", "palm_long_front", "1")])
            self.assertNotEqual(rows[0]["mean"], rows[1]["mean"])  # bodies differ
            for row in rows:
                self.assertGreater(abs(float(row["mean"])), 0.01)
                self.assertGreater(float(row["sd"]), 0)
            self.assertEqual(judged(run, 3), rows)


if __name__ == "__main__":
    unittest.main()
