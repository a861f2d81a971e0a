"""The container image (Containerfile): built from a Debian made here, it trains to the bundle's digest, by one process and by two ranks,
and draws.

usage: test_image.py SOURCE          exit code 77: no buildah, debootstrap or Debian packages here"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()
SMALL = ["--set", "run.generations=2", "--set", "search.population=32"]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def make_base(folder):
    """A Debian 12 with this machine's ways to its packages."""
    root = folder / "debian"
    done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root, "http://deb.debian.org/debian"], capture_output=True, text=True)
    if done.returncode != 0:
        skip("debootstrap cannot make a Debian here: " + (done.stdout.splitlines() or [""])[-1])
    for file in pathlib.Path("/etc/apt/apt.conf.d").glob("*"):
        shutil.copy(file, root / "etc/apt/apt.conf.d")
    return root


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        subprocess.run([SOURCE / "dev", "bundle"], check=True, capture_output=True)
        root = make_base(pathlib.Path(cls.folder.name))
        base = cls.buildah("from", "scratch")
        cls.buildah("copy", "-q", base, str(root), "/")
        cls.buildah("commit", "-q", "--rm", base, "localhost/debian")
        cls.buildah("bud", "--build-arg", "BASE=localhost/debian", "-t", "hebbes", str(SOURCE))
        cls.container = cls.buildah("from", "hebbes")

    @classmethod
    def buildah(cls, *words):
        done = subprocess.run(["buildah", "--root", cls.folder.name + "/store", "--storage-driver", "overlay", *words], capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BUILDAH_ISOLATION": "chroot", "HOME": cls.folder.name})
        if done.returncode != 0:
            raise AssertionError(done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""

    def inside(self, *words):
        return self.buildah("run", "--env", "OMPI_ALLOW_RUN_AS_ROOT=1", "--env", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "--env",
                            "OMPI_MCA_rmaps_base_oversubscribe=1", "--env", "OMPI_MCA_btl_vader_single_copy_mechanism=none", self.container, "--", *words)

    def test_it_trains(self):
        config = "/opt/hebbes/configs/ant/quickstart.yaml"
        with tempfile.TemporaryDirectory() as here:
            subprocess.run([SOURCE / "build/release/hebbes", "train", SOURCE / "configs/ant/quickstart.yaml", *SMALL, "--out", here + "/run"],
                           check=True, capture_output=True)
            expected = subprocess.run([SOURCE / "build/release/hebbes", "digest", here + "/run"], capture_output=True, text=True).stdout.strip()
        self.inside("hebbes", "train", config, *SMALL, "--out", "/work/one")
        self.assertEqual(self.inside("hebbes", "digest", "/work/one"), expected)
        self.inside("mpirun", "-n", "2", "hebbes", "train", config, *SMALL, "--out", "/work/two")
        self.assertEqual(self.inside("hebbes", "digest", "/work/two"), expected)
        self.assertRegex(self.inside("hebbes", "plot", "/work/one", "--out", "/work/curve.png"), r"wrote|curve\.png")


if __name__ == "__main__":
    if not shutil.which("buildah") or not shutil.which("debootstrap"):
        skip("no buildah, or no debootstrap")
    unittest.main()
