"""The bundle on a bare machine: a root with glibc, libstdc++ and a shell, an ordinary user, no network, other libraries of none.

usage: test_bundle.py SOURCE          exit code 77: no Debian packages or namespaces here"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1))
BASE = ["libc6", "libgcc-s1", "libstdc++6", "dash", "bash", "libtinfo6", "grep", "sed", "coreutils", "libselinux1", "libpcre2-8-0", "libacl1", "libattr1", "libgmp10", "libssl3"]
NEWEST_GLIBC = (2, 34)


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def bare_root(folder):
    """Packages unpacked, not installed."""
    packages = folder / "packages"
    packages.mkdir()
    packages.chmod(0o777)
    if not shutil.which("apt-get") or run("apt-get", "download", "-qq", *BASE, cwd=packages).returncode != 0:
        skip("Debian's packages cannot be had here")
    root = folder / "root"
    root.mkdir()
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    (root / "proc").mkdir(exist_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o777)
    return root


class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = bare_root(pathlib.Path(cls.folder.name))
        done = run(SOURCE / "dev", "bundle")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        archive = SOURCE / re.search(r"wrote (build/\S+)", done.stdout)[1]
        subprocess.run(["tar", "-xzf", archive, "-C", cls.root / "tmp"], check=True)
        cls.bundle = "/tmp/" + archive.name.removesuffix(".tar.gz")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def inside(self, *words, code=0, program=None):
        """In the root, as nobody, without a network: the program in /tmp, or another one in the bundle."""
        command = ["unshare", "-nm", "sh", "-c", 'mount --bind /proc "$0/proc" && exec chroot --userspec=65534:65534 "$0" "$@"', self.root,
                   "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "HOME=/tmp", "/bin/dash", "-c", f'cd {self.bundle if program else "/tmp"} && "$0" "$@"',
                   program or f"{self.bundle}/hebbes", *words]
        done = run(*command)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_a_run_on_a_bare_machine(self):
        words = [f"{self.bundle}/configs/ant/quickstart.yaml", "--set", "run.generations=2", "--set", "search.population=32"]
        self.inside("train", *words, "--out", "run")
        with tempfile.TemporaryDirectory() as here:
            words[0] = SOURCE / "configs/ant/quickstart.yaml"
            subprocess.run([SOURCE / "build/release/hebbes", "train", *words, "--out", here + "/run"], check=True, capture_output=True)
            self.assertEqual(self.inside("digest", "run").stdout, run(SOURCE / "build/release/hebbes", "digest", here + "/run").stdout)
        self.assertIn("default", self.inside("eval", "run", "--set", "eval.rollouts=2").stdout)
        self.inside("trace", "run", "--out", "life.h5", "--steps", 3)
        self.inside("export", "run", "--out", "net.npz")
        self.assertRegex(self.inside("plot", "run", "--out", "curve.png", code=1).stderr, "hebbes: .*gnuplot")
        self.inside("train", f"{self.bundle}/configs/car/pnr-replicate.yaml", "--set", "run.generations=1", "--set", "search.population=2",
                    "--set", "env.time_limit=1", "--out", "car")
        self.assertIn("limit", self.inside("bench", "step").stdout)

    def test_a_card_is_asked_for(self):
        """Without a driver bench/gpu.sh ends with one line that says why; the tests that it would run are whole."""
        done = self.inside("bench/gpu.sh", code=1, program="/bin/bash")
        self.assertRegex(done.stdout, r"^hebbes gpu: nothing was measured: .*not usable: .*\n$")
        done = self.inside("-c", "HB_QUICK=1 LD_LIBRARY_PATH=lib/hebbes libexec/hebbes/test_mixture", program="/bin/bash")
        self.assertIn("PASSED", done.stdout + done.stderr)

    def test_nothing_newer_than_it_says(self):
        """No file asks for a glibc beyond 2.34, nor for another library of the machine."""
        for path in [*(self.root / self.bundle[1:]).rglob("*.so*"), *(self.root / self.bundle[1:] / "bin").iterdir()]:
            if path.is_symlink():
                continue
            versions = re.findall(r"GLIBC_(\d+)\.(\d+)", run("objdump", "-T", path).stdout)
            newest = max((tuple(map(int, v)) for v in versions), default=(0, 0))
            self.assertLessEqual(newest, NEWEST_GLIBC, path.name)


if __name__ == "__main__":
    if os.geteuid() != 0 or run("unshare", "-n", "true").returncode != 0:
        skip("no namespaces here")
    unittest.main()
