"""Whole runs: --device cuda on the interpreter gives the digest of --device cpu, rule by rule."""

import os
import subprocess
import sys
import tempfile
import unittest

HEBBES, ON_CPU = sys.argv[1:3]
del sys.argv[1:3]

RULES = ["A", "AD", "AD_lr", "ABC", "ABC_lr", "ABCD", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out"]
COMMON = ["search.population=4", "run.threads=2"]


class Runs(unittest.TestCase):
    config = "configs/ant/pnr-replicate.yaml"

    def digest(self, program, device, sets):
        with tempfile.TemporaryDirectory() as folder:
            command = [program, "train", self.config, "--device", device, "--out", folder + "/run"]
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


class Digests(Runs):
    def test_three_generations(self):
        self.equal("policy.hidden=32,16", "run.generations=3")
        self.equal("policy.hidden=32,16", "run.generations=3", "policy.normalise=true")
        self.equal("policy.hidden=32,16", "run.generations=3", "policy.kind=static")

    def test_every_rule(self):
        # Unshaped, so that fitness itself moves the search: ranks of four lives may agree between rules.
        common = ["policy.hidden=9", "run.generations=1", "search.shaping=none"]
        digests = [self.equal(*common, f"policy.rule={rule}") for rule in RULES]
        self.assertEqual(len(set(digests)), len(RULES))

    def test_search_and_starts(self):
        self.equal("policy.hidden=7", "run.generations=2", "search.optimiser=adam", "policy.init=coevolve")
        self.equal("policy.hidden=7", "run.generations=2", "policy.planes=float16")
        self.equal("policy.hidden=7,5", "run.generations=2", "policy.kind=lstm")
        self.equal("policy.hidden=7", "run.generations=2", "search.kind=shared", "search.assignment=neuron")
        self.equal("policy.hidden=7", "run.generations=2", "search.kind=shared", "search.noise=synapse")
        self.equal("policy.hidden=3", "run.generations=2", "search.kind=gmm", "search.rules=70")
        self.equal("policy.hidden=3", "run.generations=2", "search.kind=gmm", "search.rules=9",
                   "search.optimiser=adam", "search.shaping=none", "search.lambda_step=natural")
        self.equal("policy.hidden=7", "run.generations=3", "search.kind=shared", "search.assignment=merge",
                   "search.merge_every=1", "search.merge_rules=20,9", "search.merge_by=planes", "search.optimiser=adam", "policy.init=coevolve")
        self.equal("policy.hidden=7", "run.generations=3", "search.kind=shared", "search.assignment=merge",
                   "search.merge_every=1", "search.merge_rules=30,20", "search.merge_parts=3")
        self.equal("policy.hidden=7", "run.generations=1", "policy.init=sparse", "search.antithetic=false", "run.group=3")


class CarDigests(Runs):
    """From pixels: two steps a life, because the interpreter takes a second for each."""

    config = "configs/car/pnr-replicate.yaml"

    def test_vision(self):
        short = ["env.time_limit=2", "search.population=2", "policy.hidden=3"]
        evolved = self.equal("run.generations=2", *short)
        self.assertNotEqual(evolved, self.equal("run.generations=2", "policy.vision=fixed", *short))
        self.equal("run.generations=1", "policy.kind=lstm", *short)


class Bench(unittest.TestCase):
    """Products of matrices beside the fused kernels: the benchmark runs to its end."""

    def test_products(self):
        command = [ON_CPU, "bench", "products", "--device", "cuda", "--set", "search.population=2", "--set", "policy.hidden=2"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"products\.static\.2 .*\nproducts\.gradient\.1x360 ")


class Failures(unittest.TestCase):
    """Any call of the device may fail: one line with operation, file and line, exit code 1, the last checkpoint whole."""

    def run_on_cpu(self, *arguments, fail=0):
        env = {**os.environ, "HB_CUDA_FAIL": str(fail)}
        return subprocess.run([ON_CPU, *arguments], capture_output=True, text=True, env=env)

    def test_calls_that_fail(self):
        self.fail_at([*range(1, 46, 4), 60, 90, 130, 200, 300], 5)

    def test_calls_of_a_mixture_that_fail(self):
        self.fail_at([*range(14, 60, 3)], 1, "search.kind=gmm", "search.rules=70")

    def fail_at(self, calls, least_resumed, *more):
        sets = ["policy.hidden=3", "run.generations=2", "run.checkpoint_every=1", *more, *COMMON]
        options = [item for s in sets for item in ("--set", s)]
        with tempfile.TemporaryDirectory() as folder:
            command = ["train", "configs/ant/pnr-replicate.yaml", "--device", "cuda", *options]
            self.assertEqual(self.run_on_cpu(*command, "--out", folder + "/straight").returncode, 0)
            straight = self.run_on_cpu("digest", folder + "/straight").stdout
            resumed = 0
            for fail in calls:
                run = f"{folder}/{fail}"
                done = self.run_on_cpu(*command, "--out", run, fail=fail)
                self.assertEqual(done.returncode, 1, f"call {fail}: {done.stderr}")
                self.assertRegex(done.stderr, r"^hebbes: cuda: .*: (out of memory|unspecified launch failure) \(.*\.cu:\d+\).*\n$")
                if os.path.exists(run):
                    self.assertEqual(self.run_on_cpu("resume", run).returncode, 0, f"call {fail}")
                    self.assertEqual(self.run_on_cpu("digest", run).stdout, straight)
                    resumed += 1
            self.assertGreater(resumed, least_resumed)


if __name__ == "__main__":
    unittest.main()
