"""The wheel in fresh environments of the Pythons that are here: the program trains to the build's digest, the package to the program's.

usage: test_wheel.py SOURCE          exit code 77: no pip, or no packages from outside"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
SMALL = ["--set", "run.generations=2", "--set", "search.population=32"]
USE = """
import hebbes as hb, sys
run = hb.train(sys.argv[1], out=sys.argv[2], generations=2, population=32)
print(run.digest())
evo = hb.Evolution(obs=3, act=2, population=4, generations=2)
for gen in evo:
    gen.tell(gen.ask().act([[1, 2, 3]] * 4).sum(1))
"""


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)


def pythons():
    """The system's, and the newest other one that is there."""
    others = sorted(pathlib.Path.home().glob(".pyenv/versions/3.*/bin/python3"), key=lambda p: [int(n) for n in re.findall(r"\d+", p.parent.parent.name)])
    return ["/usr/bin/python3", *others[-1:]]


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = run(SOURCE / "dev", "wheel")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        cls.wheel = re.search(r"wrote (\S+\.whl)", done.stdout)[1]

    def fresh(self, python):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        venv = pathlib.Path(folder.name) / "venv"
        self.assertEqual(run(python, "-m", "venv", venv).returncode, 0)
        done = run(venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", self.wheel)
        if done.returncode != 0 and "No matching distribution found for numpy" in done.stderr:
            print("skipped: NumPy cannot be had here")
            sys.exit(77)
        self.assertEqual(done.returncode, 0, done.stderr)
        return venv, pathlib.Path(folder.name)

    def test_in_fresh_environments(self):
        quick = SOURCE / "configs/ant/quickstart.yaml"
        for python in pythons():
            with self.subTest(python):
                venv, folder = self.fresh(python)
                run(SOURCE / "build/release/hebbes", "train", quick, *SMALL, "--out", folder / "build", check=True)
                expected = run(SOURCE / "build/release/hebbes", "digest", folder / "build").stdout.strip()
                run(venv / "bin/hebbes", "train", quick, *SMALL, "--out", folder / "program", check=True)
                self.assertEqual(run(venv / "bin/hebbes", "digest", folder / "program").stdout.strip(), expected)
                done = run(venv / "bin/python", "-c", USE, quick, folder / "package", cwd=folder)
                self.assertEqual(done.stdout.strip(), expected, done.stderr)

    def test_auditwheel(self):
        """No library is asked for that the tag does not promise, and none of a newer glibc."""
        venv = tempfile.TemporaryDirectory()
        self.addCleanup(venv.cleanup)
        run("/usr/bin/python3", "-m", "venv", venv.name, check=True)
        if run(venv.name + "/bin/pip", "install", "--quiet", "auditwheel", "setuptools").returncode != 0:
            self.skipTest("auditwheel cannot be had here")
        done = run(venv.name + "/bin/auditwheel", "show", self.wheel)
        self.assertRegex(done.stdout.replace("\n", " "), r'consistent with the following platform tag: +"manylinux_2_(2\d|3[0-4])_', done.stdout + done.stderr)


if __name__ == "__main__":
    if not shutil.which("pip3") and not pathlib.Path("/usr/bin/pip3").exists():
        print("skipped: no pip here")
        sys.exit(77)
    unittest.main()
