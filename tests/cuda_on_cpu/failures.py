"""The CUDA device on the interpreter, from the command line: its benchmark of products, and calls that fail."""

import os
import subprocess
import sys
import tempfile
import unittest

ON_CPU = sys.argv.pop(1)
COMMON = ["search.population=4", "run.threads=2"]


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
