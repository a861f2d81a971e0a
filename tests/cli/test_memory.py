"""Every allocation of a generation, a save, a resume, an evaluation, an export, a trace and a plot fails once: an error line each, exit
code 1, no crash, and a run that can be resumed to the bits of an unbroken one.

usage: test_memory.py HEBBES_FAILING KNOWN_ENV [--all]     without --all about forty of each command's"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HEBBES, KNOWN = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
ALL = "--all" in sys.argv
if ALL:
    sys.argv.remove("--all")
PLANNED = 40
SETS = ["--threads", "2", "--set", "run.device=cpu"]


class Memory(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(self.path("small.yaml"), "w") as file:
            file.write("env:\n  variations: [default, palm_long_back]\npolicy:\n  hidden: [3]\nsearch:\n  population: 4\n"
                       "run:\n  generations: 2\n  checkpoint_every: 1\n")
        with open(self.path("known.yaml"), "w") as file:
            file.write(f"env:\n  name: {KNOWN}\npolicy:\n  hidden: [3]\nsearch:\n  population: 4\n  kind: gmm\n  rules: 3\n"
                       "run:\n  generations: 2\n  checkpoint_every: 1\n")
        os.makedirs(self.path("bin"))
        with open(self.path("bin/gnuplot"), "w") as file: # writes a picture's end
            file.write("#!/bin/sh\nout=$(sed -n \"s/^set output '\\(.*\\)'/\\1/p\")\n/usr/bin/printf 'IEND\\xae\\x42\\x60\\x82' > \"$out\"\n")
        os.chmod(self.path("bin/gnuplot"), 0o755)

    def path(self, name):
        return os.path.join(self.folder, name)

    def hebbes(self, *words, fail_at=0):
        options = {**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"]}
        if fail_at is not None:
            options |= {"FAIL_AT": str(fail_at), "FAIL_COUNT": self.path("count")}
        return subprocess.run([HEBBES, *words], capture_output=True, text=True, cwd=self.folder, env=options, timeout=120)

    def remove(self, *names):
        for name in names:
            if os.path.isdir(self.path(name)):
                shutil.rmtree(self.path(name))
            elif os.path.exists(self.path(name)):
                os.remove(self.path(name))

    def fail_each(self, words, before, after):
        """before() makes ready, after(done) checks what is left."""
        before()
        done = self.hebbes(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("count")) as file:
            count = int(file.read())
        self.assertGreater(count, 5)
        step = 1 if ALL else max(1, count // PLANNED)
        survived = 0
        for k in range(1, count + 1, step):
            before()
            done = self.hebbes(*words, fail_at=k)
            self.assertIn(done.returncode, (0, 1), f"allocation {k} of {count}: {done.returncode}\n{done.stderr[-300:]}")
            survived += done.returncode == 0
            if done.returncode == 1:
                self.assertRegex(done.stderr, r"(?m)^hebbes: .*(memory|cannot|HDF5)", f"allocation {k} of {count}")
            after(done)
        self.assertLess(survived, len(range(1, count + 1, step)) / 2, "hardly any allocation failed")
        print(f"{words[0]}: {count} allocations, one in {step} failed, {survived} of them without harm", file=sys.stderr)

    def digest(self, run):
        done = self.hebbes("digest", run, fail_at=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def train_whole(self, config):
        self.remove("whole")
        self.assertEqual(self.hebbes("train", config, *SETS, "--out", "whole", fail_at=None).returncode, 0)
        return self.digest("whole")

    def test_train(self):
        for config in ("small.yaml", "known.yaml"):
            with self.subTest(config):
                expected = self.train_whole(config)

                def check(done):
                    if os.path.exists(self.path("run/config.yaml")):
                        self.assertEqual(self.hebbes("resume", "run", fail_at=None).returncode, 0)
                        self.assertEqual(self.digest("run"), expected)
                    else:
                        self.assertEqual(done.returncode, 1)
                        self.assertFalse(os.path.exists(self.path("run")), "a start that failed leaves nothing")

                self.fail_each(["train", config, *SETS, "--out", "run"], lambda: self.remove("run"), check)

    def test_resume(self):
        self.train_whole("known.yaml")
        self.assertEqual(self.hebbes("train", "known.yaml", *SETS, "--set", "run.generations=4", "--out", "four", fail_at=None).returncode, 0)
        expected = self.digest("four")

        def before():
            self.remove("run")
            shutil.copytree(self.path("whole"), self.path("run"))

        def check(done):
            self.assertEqual(self.hebbes("resume", "run", "--set", "run.generations=4", fail_at=None).returncode, 0)
            self.assertEqual(self.digest("run"), expected)

        self.fail_each(["resume", "run", "--set", "run.generations=4"], before, check)

    def test_looks(self):
        """What only reads leaves a run alone, and writes whole files or none."""
        digest = self.train_whole("small.yaml")
        looks = {"eval": ["--set", "eval.rollouts=2"], "export": ["--out", "out"], "trace": ["--out", "out", "--steps", "3"],
                 "plot": ["--out", "out.png"], "plan": []}
        for command, more in looks.items():
            with self.subTest(command):

                def check(done):
                    made = os.path.exists(self.path(more[1])) if "--out" in more else None
                    self.assertIn(made, (None, done.returncode == 0))
                    self.assertEqual([n for n in os.listdir(self.folder) if n.endswith(".part")], [])

                source = "small.yaml" if command == "plan" else "whole"
                self.fail_each([command, source, *more], lambda: self.remove("out", "out.png"), check)
        self.assertEqual(self.digest("whole"), digest)


if __name__ == "__main__":
    unittest.main()
