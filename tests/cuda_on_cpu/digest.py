"""Whole runs: --device cuda on the interpreter gives the digest of --device cpu, rule by rule."""

import subprocess
import sys
import tempfile
import unittest

HEBBES, ON_CPU = sys.argv[1:3]
del sys.argv[1:3]

RULES = ["A", "AD", "AD_lr", "ABC", "ABC_lr", "ABCD", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out"]
COMMON = ["search.population=4", "run.threads=2"]


class Digests(unittest.TestCase):
    def digest(self, program, device, sets):
        with tempfile.TemporaryDirectory() as folder:
            command = [program, "train", "configs/ant/pnr-replicate.yaml", "--device", device, "--out", folder + "/run"]
            for item in COMMON + sets:
                command += ["--set", item]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = subprocess.run([program, "digest", folder + "/run", ], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

    def equal(self, *sets):
        with self.subTest(sets=sets):
            on_cpu = self.digest(HEBBES, "cpu", list(sets))
            self.assertEqual(self.digest(ON_CPU, "cuda", list(sets)), on_cpu)
            return on_cpu

    def test_three_generations(self):
        self.equal("policy.hidden=32,16", "run.generations=3")
        self.equal("policy.hidden=32,16", "run.generations=3", "policy.normalise=true")
        self.equal("policy.hidden=32,16", "run.generations=3", "policy.kind=static")

    def test_every_rule(self):
        digests = [self.equal("policy.hidden=9", "run.generations=1", f"policy.rule={rule}") for rule in RULES]
        self.assertEqual(len(set(digests)), len(RULES))

    def test_search_and_starts(self):
        self.equal("policy.hidden=7", "run.generations=2", "search.optimiser=adam", "policy.init=coevolve")
        self.equal("policy.hidden=7", "run.generations=1", "policy.init=sparse", "search.antithetic=false", "run.group=3")


if __name__ == "__main__":
    unittest.main()
