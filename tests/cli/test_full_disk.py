"""Every writer on a disk that is full after 0, 1, 2, ... blocks: an error line, exit code 1, nothing that looks finished, and the same
command works once there is room. The disk is a tmpfs of that size, in a mount namespace of its own.

usage: test_full_disk.py HEBBES     exit code 77: this machine allows no mount namespaces"""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HEBBES = os.path.abspath(sys.argv.pop(1))
PAGE = os.sysconf("SC_PAGE_SIZE")
ROOMY = 1 << 14  # pages
SMALL = ["--threads", "1", "--set", "run.device=cpu"]


def run(*words, cwd="/"):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, timeout=120)


class FullDisk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work, self.disk = os.path.join(folder.name, "work"), os.path.join(folder.name, "disk")
        os.makedirs(self.work)
        os.makedirs(self.disk)
        self.addCleanup(run, "umount", self.disk)  # where a test has failed
        with open(os.path.join(self.work, "small.yaml"), "w") as file:
            file.write("env:\n  engine: mujoco\npolicy:\n  hidden: [16]\nsearch:\n  population: 2\nrun:\n  generations: 2\n"
                       "  checkpoint_every: 1\neval:\n  rollouts: 1\n")
        done = self.hebbes("train", "small.yaml", "--out", "run", *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)

    def hebbes(self, *words):
        return run(HEBBES, *words, cwd=self.work)

    def mount(self, pages):
        self.assertEqual(run("mount", "-t", "tmpfs", "-o", f"size={max(1, pages) * PAGE}", "none", self.disk).returncode, 0)
        if pages == 0:
            with open(os.path.join(self.disk, "taken"), "wb") as file:
                file.write(bytes(PAGE))

    def grow(self):
        done = run("mount", "-o", f"remount,size={ROOMY * PAGE}", self.disk)
        self.assertEqual(done.returncode, 0, done.stderr)

    def unmount(self):
        self.assertEqual(run("umount", self.disk).returncode, 0)

    def left(self):
        return sorted(name for name in os.listdir(self.disk) if name != "taken")

    def sizes(self):
        """All sizes from 0 on up to the first that is enough, which the loop's body tells by returning True through `enough`."""
        self.enough = False
        for pages in range(1000):
            self.mount(pages)
            yield pages
            self.unmount()
            if self.enough:
                self.assertGreater(pages, 0)
                return
        self.fail("1000 pages are not enough")

    def refused(self, done):
        """True if the command failed for want of room; False if it had enough."""
        if done.returncode == 0:
            self.enough = True
            return False
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotRegex(done.stdout, "(?m)^done|^wrote (?!.*table)")  # a study that fails writes what it has
        self.assertRegex(done.stderr.splitlines()[-1], r"^hebbes: .*(No space left on device|only a part of it was)")
        return True

    def write(self, name, *words):
        """A command with one output of that name."""
        words += ("--out", os.path.join(self.disk, name))
        for _ in self.sizes():
            if self.refused(self.hebbes(*words)):
                self.assertEqual(self.left(), [])
                self.grow()
                done = self.hebbes(*words)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.left(), [name])

    def test_trace(self):
        self.write("life.h5", "trace", "run", "--steps", 3)

    def test_export(self):
        self.write("net.npz", "export", "run")

    def test_strip(self):
        self.write("strip.png", "render", "run", "--steps", 8, "--moments", 2)

    @unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg is not installed")
    def test_film(self):
        self.write("film.gif", "render", "run", "--steps", 2, "--size", "64x64")

    def test_pictures(self):
        self.write("pictures", "render", "run", "--steps", 2)

    def test_probe(self):
        self.write("freeze", "probe", "run", "--what", "freeze", "--set", "eval.rollouts=1")

    @unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
    def test_plot(self):
        self.write("curve.png", "plot", "run")

    def rows(self, folder):
        with open(os.path.join(folder, "metrics.csv"), newline="") as file:
            return [(row["generation"], row["mean"], row["max"]) for row in csv.DictReader(file)]

    def goes_on(self, folder):
        """Whatever a training left behind can be finished, to the bits of an unbroken one."""
        begun = os.path.exists(os.path.join(folder, "config.yaml"))
        done = self.hebbes("resume", folder) if begun else self.hebbes("train", "small.yaml", "--out", folder, *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)

    def finished(self, folder):
        self.assertEqual(self.hebbes("digest", folder).stdout, self.hebbes("digest", "run").stdout)
        self.assertEqual(self.rows(folder), self.rows(os.path.join(self.work, "run")))
        self.assertEqual([name for name in os.listdir(folder) if name.endswith(".tmp")], [])

    def test_train(self):
        folder = os.path.join(self.disk, "run")
        for _ in self.sizes():
            if self.refused(self.hebbes("train", "small.yaml", "--out", folder, *SMALL)):
                self.grow()
                self.goes_on(folder)
            self.finished(folder)

    def test_resume(self):
        """The disk fills up while a run of one generation is made longer: what it had stays."""
        folder = os.path.join(self.disk, "run")
        part = os.path.join(self.work, "part")
        self.hebbes("train", "small.yaml", "--out", folder, *SMALL, "--set", "run.generations=1")
        shutil.move(folder, part)
        used = sum((os.path.getsize(os.path.join(place, name)) + PAGE - 1) // PAGE for place, _, names in os.walk(part) for name in names)
        for pages in self.sizes():
            if pages == 0:
                os.remove(os.path.join(self.disk, "taken"))
            run("mount", "-o", f"remount,size={(used + pages) * PAGE}", self.disk)
            shutil.copytree(part, folder)
            before = self.hebbes("digest", folder).stdout
            if self.refused(self.hebbes("resume", folder, "--set", "run.generations=2")):
                self.assertIn(self.hebbes("digest", folder).stdout, (before, self.hebbes("digest", "run").stdout))
                self.grow()
                self.assertEqual(self.hebbes("resume", folder, "--set", "run.generations=2").returncode, 0)
            self.finished(folder)

    def test_study(self):
        with open(os.path.join(self.work, "study.yaml"), "w") as file:
            file.write(f"out: {self.disk}/study\nconfigs: [small.yaml]\nseeds: [1]\nset: [run.threads=1, run.device=cpu, eval.engine=same]\n")
        for _ in self.sizes():
            if self.refused(self.hebbes("study", "study.yaml")):
                tables = self.tables()
                self.grow()
                done = self.hebbes("study", "study.yaml")
                self.assertEqual(done.returncode, 0, done.stderr)
                for name, text in tables.items():
                    said = {line for line in text.splitlines() if not line.startswith("Not in it: ")}
                    self.assertLessEqual(said, set(self.tables()[name].splitlines()))  # whole, of the runs there were
            self.assertEqual(len(self.tables()["table.csv"].splitlines()), 3)

    def tables(self):
        folder = os.path.join(self.disk, "study")
        names = [name for name in ("table.csv", "table.md") if os.path.exists(os.path.join(folder, name))]
        texts = {}
        for name in names:
            with open(os.path.join(folder, name)) as file:
                texts[name] = file.read()
        return texts


if __name__ == "__main__":
    if os.environ.get("HB_IN_NAMESPACE") != "1":
        if run("unshare", "-rm", "true").returncode != 0:
            print("skipped: no mount namespaces here")
            sys.exit(77)
        os.environ["HB_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, __file__, HEBBES, *sys.argv[1:]])
    unittest.main()
