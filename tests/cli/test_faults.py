"""What people broke: runs whose folder goes away, batch systems' signals, file systems without locks, states that are not numbers. Each
test asserts what a person would want, and failed on the program before.

usage: test_faults.py HEBBES KNOWN_ENV NOFLOCK POINTMASS"""

import csv
import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import h5py
import numpy as np

HEBBES, KNOWN, NOFLOCK, POINTMASS = (os.path.abspath(sys.argv.pop(1)) for _ in range(4))
CONFIG = "small.yaml"
SMALL = ["--threads", "1"]
DIED = 75  # interrupted, and can be resumed


def sets(*pairs):
    return [word for pair in pairs for word in ("--set", pair)]


class Faults(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.run_folder = os.path.join(self.folder, "run")
        with open(os.path.join(self.folder, CONFIG), "w") as file:
            file.write(f"env:\n  name: {KNOWN}\n  variations: [plus, minus]\npolicy:\n  hidden: [3]\n"
                       "search:\n  population: 4\n")

    def hebbes(self, *words, code=0, **how):
        done = subprocess.run([HEBBES, *map(str, words)], capture_output=True, text=True, cwd=self.folder, **how)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def start(self, *words, **how):
        process = subprocess.Popen([HEBBES, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   cwd=self.folder, **how)
        self.addCleanup(process.kill)
        return process

    def start_endless(self, *words, **how):
        """A training that has finished its first generation and will not end by itself."""
        out = open(os.path.join(self.folder, "out.txt"), "w+")
        self.addCleanup(out.close)
        process = subprocess.Popen([HEBBES, "train", CONFIG, "--out", self.run_folder, *SMALL, "--set", "run.generations=999999", *words],
                                   stdout=out, stderr=subprocess.PIPE, text=True, cwd=self.folder, **how)
        self.addCleanup(process.kill)
        for _ in range(600):
            with open(out.name) as file:
                if re.search(r"^generation", file.read(10000), re.M):
                    return process
            if process.poll() is not None:
                self.fail(process.stderr.read())
            time.sleep(0.05)
        self.fail("no generation within 30 s")

    def log(self):
        with open(os.path.join(self.run_folder, "log.txt")) as file:
            return file.read()

    # -----------------------------------------------------------------------------------------------
    # Lost or wrong without a word

    def test_folder_replaced(self):
        """A process whose folder was removed and made again leaves the new run alone."""
        first = self.start_endless("--set", "run.checkpoint_every=1")
        os.rename(self.run_folder, os.path.join(self.folder, "gone"))
        second = self.start("train", CONFIG, "--out", self.run_folder, *SMALL, "--seed", 2, *sets("run.generations=30", "run.checkpoint_every=10"))
        _, said = first.communicate(timeout=60)
        self.assertEqual(first.returncode, 1)
        self.assertIn("folder was removed or replaced", said)
        _, said = second.communicate(timeout=60)
        self.assertEqual(second.returncode, 0, said)
        self.hebbes("train", CONFIG, "--out", "alone", *SMALL, "--seed", 2, "--set", "run.generations=30")
        self.assertEqual(self.hebbes("digest", self.run_folder).stdout, self.hebbes("digest", "alone").stdout)
        self.assertEqual(self.hebbes("resume", self.run_folder).returncode, 0)

    def test_state_that_is_not_finite(self):
        """It is never saved: the last good checkpoint stays, and the message names the cause."""
        flat = ["env.variations=plus", "search.l2=0", "search.optimiser=adam", "search.epsilon=0", "run.generations=1"]
        for kind in (["search.kind=gmm", "search.rules=3"], ["search.kind=normal"], ["search.kind=shared", "search.rules=3"]):
            with self.subTest(kind):
                shutil.rmtree(self.run_folder, ignore_errors=True)
                done = self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, *sets(*flat, *kind), code=1)
                self.assertRegex(done.stderr, r"is not finite after generation 1 .*search\.epsilon.*last good checkpoint stays")
                self.assertIn("stopped: ", self.log())
                self.assertEqual(len(self.hebbes("digest", self.run_folder).stdout), 33)

    def test_flat_landscape(self):
        """Where all are equally good, nothing moves, whatever the search."""
        flat = ["env.variations=plus", "search.l2=0", "run.generations=3"]
        for kind in (["search.kind=gmm", "search.rules=3"], ["search.kind=normal"], ["search.kind=shared", "search.rules=3"]):
            for shaping in ("ranks", "ranks_unbiased"):
                with self.subTest(kind=kind, shaping=shaping):
                    shutil.rmtree(self.run_folder, ignore_errors=True)
                    self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, *sets(*flat, *kind, "search.shaping=" + shaping))
                    checkpoints = [os.path.join(self.run_folder, "checkpoints", name) for name in ("gen-000000.h5", "gen-000003.h5")]
                    first, last = (h5py.File(path, "r") for path in checkpoints)
                    for name in first:
                        np.testing.assert_array_equal(first[name], last[name])

    def test_all_lives_diverge(self):
        done = self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, *sets("env.variations=stillborn", "run.generations=2"))
        self.assertEqual(done.stderr.count("all 4 lives diverged"), 1, done.stderr)
        self.assertEqual(len(re.findall(r"^generation .*4 of 4 lives diverged", done.stdout, re.M)), 2, done.stdout)
        self.assertIn("all 4 lives diverged", self.log())

    def test_a_call_that_does_not_return(self):
        """A line says which life the environment keeps; the run goes on when it returns."""
        said = r"life [1-4] of 4: the environment 'known', variation 'slow', has not returned from a call for 1 s"
        for way in (["run.rollout=resident"], ["run.rollout=batched", "run.group=4"]):
            with self.subTest(way):
                shutil.rmtree(self.run_folder, ignore_errors=True)
                done = self.hebbes("train", CONFIG, "--out", self.run_folder, "--threads", 2,
                                   *sets("env.variations=slow", "run.patience=1", "run.generations=1", *way))
                self.assertEqual(sorted(set(re.findall(said, done.stderr))), sorted(set(re.findall(said, self.log()))))
                self.assertEqual(len(re.findall(said, done.stderr)), 4, done.stderr)
                self.assertEqual(len(set(re.findall(said, done.stderr))), 4, done.stderr)
        patient = self.hebbes("train", CONFIG, "--out", "patient", "--threads", 4,
                              *sets("env.variations=slow", "run.generations=1"))
        self.assertNotIn("returned", patient.stderr)

    # -----------------------------------------------------------------------------------------------
    # Output: whole or not at all

    def stub(self, name, script):
        """A program of that name, first on the path."""
        folder = os.path.join(self.folder, "bin")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(os.path.join(folder, name), 0o755)
        return {**os.environ, "PATH": folder + ":" + os.environ["PATH"]}

    def test_plot_that_does_not_fit(self):
        """gnuplot says nothing on a full disk; what it left is no picture."""
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, "--set", "run.generations=2")
        for part in ("", "\\211PNG and a little more"):
            full = self.stub("gnuplot", "out=$(sed -n \"s/^set output '\\(.*\\)'/\\1/p\")\nprintf '" + part + "' > \"$out\"\n")
            done = self.hebbes("plot", self.run_folder, "--out", "curve.png", code=1, env=full)
            self.assertIn("curve.png: cannot be written: only a part of it was", done.stderr)
            self.assertNotIn("wrote", done.stdout)
            self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("curve")], [])
        if shutil.which("gnuplot"):
            self.hebbes("plot", self.run_folder, "--out", "curve.png")

    ANT = [os.path.abspath("configs/ant/quickstart.yaml"), "--set", "policy.hidden=3", "--threads", "1", "--steps", "3"]

    def test_film_that_does_not_fit(self):
        for part in ("", "only a beginning"):
            full = self.stub("ffmpeg", "cat >/dev/null\nfor out; do :; done\nprintf '" + part + "' > \"${out#file:}\"\n")
            done = self.hebbes("render", *self.ANT, "--size", "32x32", "--out", "film.mp4", code=1, env=full)
            self.assertIn("film.mp4: cannot be written: only a part of it was", done.stderr)
            self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("film")], [])

    @unittest.skipUnless(shutil.which("ffmpeg"), "no ffmpeg")
    def test_film_of_any_name(self):
        for name in ("film.mp4", "a:b.mp4", "-film.webm", "film.gif"):
            self.hebbes("render", *self.ANT, "--size", "32x32", "--out=" + name)
            self.assertGreater(os.path.getsize(os.path.join(self.folder, name)), 100)

    def test_folders_that_do_not_fit(self):
        """A folder of pictures or of an analysis is there when it is whole, so that the command can be repeated."""
        small_files = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        for words in (["render", "--size", "32x32"], ["probe", "--what", "images"]):
            with self.subTest(words[0]):
                command = [words[0], *self.ANT, *words[1:], "--out", "pictures"]
                done = self.hebbes(*command, code=1, preexec_fn=small_files)
                self.assertIn("cannot be written", done.stderr)
                self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("pictures")], [])
                self.hebbes(*command)
                shutil.rmtree(os.path.join(self.folder, "pictures"))

    def test_a_folder_is_not_called_as_a_picture(self):
        for name in ("x.jpg", "x.svg", "x.avi"):
            self.assertIn("expected a film", self.hebbes("render", *self.ANT, "--out", name, code=2).stderr)
            self.assertFalse(os.path.exists(os.path.join(self.folder, name)))

    def script(self, *runs):
        """What a plot of these runs tells gnuplot."""
        spy = self.stub("gnuplot", f"cat > {self.folder}/script\n")
        self.hebbes("plot", *runs, "--out", "spied.png", code=1, env=spy)
        with open(os.path.join(self.folder, "script")) as file:
            return file.read()

    def test_seeds_of_different_settings(self):
        """They are no seeds of one run; and a curve goes as far as all of its seeds do, by their generations."""
        for seed, generations, more in ((1, 6, []), (2, 3, []), (3, 6, ["search.lr=0.1"])):
            self.hebbes("train", CONFIG, "--out", f"r-seed{seed}", *SMALL, "--seed", seed, *sets(f"run.generations={generations}", *more))
        script = self.script("r-seed1", "r-seed2", "r-seed3")
        self.assertEqual(script.count("<< EOD"), 2)
        blocks = [[int(line.split()[0]) for line in block.splitlines()[1:]] for block in re.findall(r"<< EOD(.*?)\nEOD", script, re.S)]
        self.assertEqual(blocks, [[1, 2, 3], [1, 2, 3, 4, 5, 6]])
        self.assertIn("title 'r-seed3'", script)
        self.assertIn("expected one run, found 2", self.hebbes("plot", "r-seed1", "r-seed2", "--coefficients", "--out", "x.png", code=2).stderr)

    def test_csv_from_a_spreadsheet(self):
        """A byte order mark and lines that end as Windows ends them."""
        with open(os.path.join(self.folder, "table.csv"), "w", newline="") as file:
            file.write("\ufeffconfig,variation,held_out,protocol,mean,sd\r\nours,plus,no,mean,12,0.5\r\n")
        self.assertRegex(self.script("table.csv"), "ours")

    # -----------------------------------------------------------------------------------------------
    # Going on elsewhere

    def rows(self, *words):
        said = self.hebbes("eval", self.run_folder, "--set", "eval.rollouts=5", "--json", *words).stdout
        return [json.loads(line) for line in said.splitlines()]

    def test_evaluation_elsewhere(self):
        ant = [self.ANT[0], *SMALL, *sets("policy.hidden=3", "search.population=4", "run.generations=2", "run.checkpoint_every=1",
                                          "run.keep_checkpoints=9")]
        self.hebbes("train", *ant, "--out", self.run_folder)
        here = self.rows()
        self.assertEqual([(r["variation"], r["protocol"], r["trained"], r["elsewhere"]) for r in here],
                         [("default", "mean", True, ""), ("default", "sample", True, "")])
        self.assertEqual(here, self.rows("--set", "eval.engine=mujoco"))  # the default
        self.assertNotEqual(here[0]["mean"], self.rows("--set", "eval.engine=same")[0]["mean"])  # trained in lanes
        there = self.rows(*sets("env.friction=0.5", "env.variations=default,palm_long_front", "eval.protocol=mean"))
        self.assertEqual([(r["variation"], r["trained"]) for r in there], [("default", True), ("palm_long_front", False)])
        self.assertIn("env.friction=0.5 instead of 1.2", there[0]["elsewhere"])
        self.assertNotEqual(there[0]["mean"], here[0]["mean"])
        table = self.hebbes("eval", self.run_folder, *sets("eval.rollouts=2", "env.friction=0.5")).stdout
        self.assertTrue(table.startswith("elsewhere: env.friction=0.5 instead of 1.2\n"), table)
        other = self.rows("--set", "eval.seed=3")
        self.assertNotEqual(other[0]["mean"], here[0]["mean"])
        self.assertNotEqual(other[1]["mean"], here[1]["mean"])
        self.assertEqual(other, self.rows("--set", "eval.seed=3"))
        lives = list(csv.DictReader(self.hebbes("eval", self.run_folder, "--each", "--csv", *sets("eval.rollouts=5")).stdout.splitlines()))
        self.assertEqual(len(lives), 10)
        for protocol, row in zip(("mean", "sample"), here):
            found = [float(life["fitness"]) for life in lives if life["protocol"] == protocol]
            self.assertAlmostEqual(np.mean(found), row["mean"], delta=1e-6 * abs(row["mean"]))
            self.assertAlmostEqual(np.std(found), row["sd"], delta=1e-5 * row["sd"] + 1e-6)
        narrow = self.rows(*sets("eval.sigma=1e-6", "eval.protocol=sample"))
        self.assertNotEqual(narrow[0]["mean"], here[1]["mean"])
        first = os.path.join(self.run_folder, "checkpoints", "gen-000000.h5")
        self.assertNotEqual(self.rows("--set", "eval.file=" + first)[0]["mean"], here[0]["mean"])
        for key in ("search.lr=1", "run.seed=3", "policy.hidden=4"):
            self.assertIn("--set: ", self.hebbes("eval", self.run_folder, "--set", key, code=2).stderr)

    def test_start_from_another_run(self):
        self.hebbes("train", CONFIG, "--out", "old", *SMALL, *sets("run.generations=3", "search.optimiser=adam"))
        self.hebbes("train", CONFIG, "--out", "new", *SMALL, *sets("run.generations=1", "search.lr=0.01"), "--from", "old")
        first, best = (h5py.File(os.path.join(self.folder, path), "r") for path in ("new/checkpoints/gen-000000.h5", "old/checkpoints/best.h5"))
        np.testing.assert_array_equal(first["mean"], best["mean"])
        self.assertEqual(first.attrs["generation"], 0)
        with open(os.path.join(self.folder, "new/config.yaml")) as file:
            self.assertRegex(file.read(), r'from: "old/checkpoints/best\.h5"\n  from_digest: "[0-9a-f]{32}"')
        shutil.rmtree(os.path.join(self.folder, "old"))  # the new run needs it no more
        self.hebbes("resume", "new", "--set", "run.generations=2")
        self.hebbes("train", CONFIG, "--out", "x", *SMALL, "--from", "old", code=2)
        said = self.hebbes("train", CONFIG, "--out", "x", *SMALL, "--set", "policy.hidden=4", "--from", "new", code=2).stderr
        self.assertRegex(said, "run.from: .*expected [0-9]+ numbers 'mean'")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "x")))
        self.assertIn("from_digest", self.hebbes("train", CONFIG, "--out", "x", *SMALL, "--set", "run.from=new/checkpoints/best.h5", code=2).stderr)

    # -----------------------------------------------------------------------------------------------
    # Two at one time

    def test_four_starts_at_once(self):
        started = [self.start("train", CONFIG, *SMALL, "--set", "run.generations=1") for _ in range(4)]
        said = [process.communicate(timeout=60) for process in started]
        self.assertEqual([process.returncode for process in started], [0] * 4, said)
        names = ["small-seed1" + end for end in ("", "-2", "-3", "-4")]
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "runs"))), names)

    def test_nothing_is_left_of_a_start_that_fails(self):
        self.hebbes("train", CONFIG, *SMALL, "--set", "run.scratch=/no/such/folder", code=2)
        self.assertEqual(os.listdir(os.path.join(self.folder, "runs")), [])

    def test_evaluation_beside_a_run(self):
        """Checkpoints come and go; `last` is always one of them."""
        process = self.start_endless(*sets("run.checkpoint_every=1", "run.keep_checkpoints=1"))
        for _ in range(25):
            self.hebbes("digest", self.run_folder)
        process.terminate()
        process.communicate(timeout=60)

    # -----------------------------------------------------------------------------------------------
    # The places where people run things

    def test_nohup(self):
        """A signal that was ignored at the start stays ignored."""
        process = self.start_endless(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        process.terminate()
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, DIED)

    def test_signals_of_batch_systems(self):
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
            with self.subTest(number):
                shutil.rmtree(self.run_folder, ignore_errors=True)
                process = self.start_endless()
                process.send_signal(number)
                _, said = process.communicate(timeout=60)
                self.assertEqual(process.returncode, DIED, said)
                self.assertEqual(len(self.hebbes("digest", self.run_folder).stdout), 33)

    def test_file_system_without_locks(self):
        done = self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, "--set", "run.generations=1",
                           env={**os.environ, "LD_PRELOAD": NOFLOCK, "ASAN_OPTIONS": "verify_asan_link_order=0"})
        self.assertEqual(done.stderr.count("has no locks"), 1, done.stderr)
        self.assertIn("has no locks", self.log())

    def test_another_process_holds_the_lock(self):
        process = self.start_endless()
        done = self.hebbes("resume", self.run_folder, code=2)
        self.assertIn("another process is training this run", done.stderr)
        process.terminate()
        process.communicate(timeout=60)

    def test_cpu_quota(self):
        """A container's quota counts as cores do, and is not written down as if the user had said so."""
        with open(os.path.join(self.folder, "cpu.max"), "w") as file:
            file.write("100000 100000\n")
        quota = {**os.environ, "HB_CGROUP": self.folder}
        self.assertIn("on 1 threads", self.hebbes("plan", CONFIG, env=quota).stdout)
        self.hebbes("train", CONFIG, "--out", self.run_folder, "--set", "run.generations=1", env=quota)
        with open(os.path.join(self.run_folder, "config.yaml")) as file:
            self.assertRegex(file.read(), r"\n  threads: 0\n")

    def test_a_shared_object_that_moved(self):
        """The same bytes elsewhere are the same environment; a run's file names them so that any folder can be the current one."""
        shutil.copy(KNOWN, os.path.join(self.folder, "env.so"))
        moved = ["train", CONFIG, "--set", "env.name=./env.so", "--out", "run", *SMALL, *sets("run.generations=1")]
        self.hebbes(*moved)
        with open(os.path.join(self.run_folder, "config.yaml")) as file:
            self.assertIn(f'name: "{os.path.realpath(self.folder)}/env.so"', file.read())
        subprocess.run([HEBBES, "resume", self.run_folder, "--set", "run.generations=2"], check=True, capture_output=True, cwd="/")
        os.makedirs(os.path.join(self.folder, "sub"))
        os.rename(os.path.join(self.folder, "env.so"), os.path.join(self.folder, "sub", "env.so"))
        self.hebbes("resume", "run", *sets("run.generations=3", "env.name=sub/env.so"))
        with open(os.path.join(self.folder, "sub", "env.so"), "ab") as file:
            file.write(b"other bytes")
        said = self.hebbes("resume", "run", *sets("run.generations=4", "env.name=sub/env.so"), code=2).stderr
        self.assertIn("another configuration: expected env.name", said)

    def test_a_moved_shared_object_is_evaluated(self):
        """Evaluations, train into an existing folder, studies: all find the moved file by --set or by the new configuration."""
        shutil.copy(KNOWN, os.path.join(self.folder, "env.so"))
        with open(os.path.join(self.folder, "moving.yaml"), "w") as file:
            file.write("base: small.yaml\nenv:\n  name: ./env.so\nrun:\n  generations: 1\n")
        with open(os.path.join(self.folder, "study.yaml"), "w") as file:
            file.write("out: study\nconfigs: [moving.yaml]\nseeds: [1]\nset: [eval.rollouts=2]\n")
        self.hebbes("train", "moving.yaml", "--out", "run", *SMALL)
        self.hebbes("study", "study.yaml")
        one = self.hebbes("eval", "run", "--set", "eval.rollouts=2").stdout
        os.rename(os.path.join(self.folder, "env.so"), os.path.join(self.folder, "there.so"))
        self.hebbes("eval", "run", "--set", "eval.rollouts=2", code=2)
        two = self.hebbes("eval", "run", *sets("eval.rollouts=2", "env.name=./there.so")).stdout
        self.assertEqual(one, two)
        with open(os.path.join(self.folder, "moving.yaml"), "w") as file:
            file.write("base: small.yaml\nenv:\n  name: ./there.so\nrun:\n  generations: 2\n")
        self.hebbes("study", "study.yaml")

    def test_every_reader_takes_the_chosen_checkpoint(self):
        """export, trace and plot read eval.file as eval does; eval.seed draws other births for a trace, too."""
        with open(os.path.join(self.folder, "point.yaml"), "w") as file:
            file.write(f"env:\n  name: {POINTMASS}\n")
        self.hebbes("train", "point.yaml", "--out", "run", *SMALL, *sets("search.population=4", "policy.hidden=3", "run.generations=3", "run.checkpoint_every=1"))
        files = {k: f"run/checkpoints/gen-{k:06}.h5" for k in (1, 3)}
        nets = {}
        for name, choice in {"last": "eval.checkpoint=last", **{k: "eval.file=" + file for k, file in files.items()}}.items():
            self.hebbes("export", "run", "--out", f"{name}.npz", "--set", choice)
            with np.load(os.path.join(self.folder, f"{name}.npz")) as net:
                nets[name] = {key: net[key].tobytes() for key in net.files if "text" not in key}
        self.assertEqual(nets["last"], nets[3])
        self.assertNotEqual(nets["last"], nets[1])
        for seed in (0, 1):
            choice = sets("eval.file=" + files[1], f"eval.seed={seed}", "eval.rollouts=1", "eval.protocol=mean")
            row = next(csv.DictReader(self.hebbes("eval", "run", "--each", "--csv", *choice).stdout.splitlines()))
            self.hebbes("trace", "run", "--steps", 1000, "--out", f"{seed}.h5", *choice)
            with h5py.File(os.path.join(self.folder, f"{seed}.h5")) as life:
                nets["life", seed] = life["obs"][:].tobytes()
                self.assertEqual(life["reward"].shape[0], int(row["steps"]))
                self.assertAlmostEqual(life["reward"][:].sum(), float(row["reward"]), places=4)
        self.assertNotEqual(nets["life", 0], nets["life", 1])

    def test_another_library_version(self):
        self.hebbes("train", *self.ANT[:3], *SMALL, *sets("search.population=2", "run.generations=1"), "--out", "run")
        path = os.path.join(self.run_folder, "config.yaml")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(re.sub("MuJoCo [0-9.]+", "MuJoCo 3.9.9", text, count=1))
        said = self.hebbes("resume", "run", "--set", "run.generations=2").stderr
        self.assertRegex(said, "this run had MuJoCo 3.9.9, here is MuJoCo [0-9.]+: from now on its numbers may be others")

    def test_paths_are_no_shell_words(self):
        """null, ~ and $HOME would become folders of these names."""
        for text in ("null", "~", "~/x", "$HOME/x"):
            self.assertIn("expected a path as it is", self.hebbes("train", CONFIG, "--set", "run.out=" + text, code=2).stderr)
            self.assertIn("expected a path as it is", self.hebbes("plan", CONFIG, "--set", "run.scratch=" + text, code=2).stderr)

    # -----------------------------------------------------------------------------------------------
    # What is said

    def test_help_knows_every_environment(self):
        text = self.hebbes("--help").stdout
        for key in ("lap_complete", "push_mode", "friction", "sweeps"):
            self.assertRegex(text, rf"(?m)^  {key} ")
        self.assertEqual(text.count("\nsearch:\n"), 1)
        self.assertRegex(self.hebbes("--help", "--env", POINTMASS).stdout, r"(?m)^  drag ")
        self.assertIn("cannot load", self.hebbes("--help", "--env", "nowhere.so", code=2).stderr)

    def test_a_setting_without_effect(self):
        said = self.hebbes("train", CONFIG, "--out", "run", *SMALL, *sets("run.generations=1", "search.alternate=5")).stderr
        self.assertIn("search.alternate=5 has no effect with search.kind=normal", said)
        said = self.hebbes("train", CONFIG, "--out", "run2", *SMALL,
                           *sets("run.generations=1", "search.kind=gmm", "search.rules=3", "search.alternate=5")).stderr
        self.assertNotIn("no effect", said)
        said = self.hebbes("train", CONFIG, "--out", "run3", *SMALL,
                           *sets("run.generations=1", "search.kind=snes", "search.lr=3", "search.beta1=0.5", "search.sigma_decay=0.9",
                                 "search.rho=3", "search.shaping=ranks_centered")).stderr
        for key in ("lr=3", "sigma_decay=0.9", "rho=3", "shaping=ranks_centered"):
            self.assertIn(f"search.{key} has no effect with search.kind=snes", said)
        self.assertIn("search.beta1=0.5 has no effect with search.optimiser=sgd", said)

    def test_numbers_that_meant_something_else(self):
        self.hebbes("train", CONFIG, "--out", "old", *SMALL, *sets("run.generations=1"))
        start = ["train", CONFIG, *SMALL, *sets("run.generations=1"), "--from", "old"]
        self.assertNotIn("run.from", self.hebbes(*start, "--out", "same").stderr)
        said = self.hebbes(*start, "--out", "other", *sets("policy.normalise=true")).stderr
        self.assertIn("run.from: its numbers meant something else: policy.normalise=true, there false", said)

    def test_a_study_is_blamed_for_its_own_settings(self):
        with open(os.path.join(self.folder, "study.yaml"), "w") as file:
            file.write("out: out\nconfigs: [small.yaml]\nseeds: [1]\nset:\n  - search.lr=many\n")
        said = self.hebbes("study", "study.yaml", code=2).stderr
        self.assertRegex(said, r"study\.yaml:4: set: search\.lr: expected a number .*found 'many'")
        with open(os.path.join(self.folder, "study.yaml"), "w") as file:
            file.write("out: out\nconfigs: [small.yaml]\nseeds: [1]\nset:\n  - search.lr=0.1\n")
        self.assertIn("hebbes: --set: search.sigma", self.hebbes("study", "study.yaml", "--set", "search.sigma=x", code=2).stderr)

    def test_plan_counts_what_evolves(self):
        for kind in (["search.kind=shared", "search.rules=7"], ["search.kind=normal"], ["search.kind=gmm", "search.rules=3"]):
            said = self.hebbes("plan", CONFIG, *SMALL, *sets("policy.hidden=3,3", *kind)).stdout
            n = int(re.search(r"N = (\d+)", said)[1])
            expected = {"search.kind=shared": 35, "search.kind=normal": 5 * n, "search.kind=gmm": 3 * n + 15}[kind[0]]
            self.assertIn(f"from {expected} evolved numbers", said)
        begun = time.monotonic()
        self.hebbes("plan", self.ANT[0], "--threads", 1, "--set", "search.population=1000000")
        self.assertLess(time.monotonic() - begun, 20)

    def test_progress_fits_the_terminal(self):
        mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        process = subprocess.Popen([HEBBES, "train", CONFIG, "--out", self.run_folder, *SMALL, "--set", "run.generations=30"],
                                   stdout=theirs, stderr=theirs, cwd=self.folder)
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(mine, 65536):
                shown += part
        except OSError:  # the end of a terminal
            pass
        self.assertEqual(process.wait(), 0)
        text = shown.decode()
        live = [line for line in re.split(r"[\r\n]+", text.split("done:")[0]) if "generation" in line]
        self.assertEqual(len(live), 30)
        for line in live:
            self.assertLess(len(line.replace("\x1b[K", "")), 60, line)
        stayed = re.findall(r"generation +(\d+)/30[^\r\n]*\r?\n", text)
        self.assertEqual(stayed, [str(k) for k in range(3, 31, 3)])

    def test_why_it_stopped_is_in_the_log(self):
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, "--set", "run.generations=1")
        for name in os.listdir(os.path.join(self.run_folder, "checkpoints")):
            with open(os.path.join(self.run_folder, "checkpoints", name), "r+b") as file:
                file.write(b"damaged")
        said = self.hebbes("resume", self.run_folder, code=2).stderr
        self.assertIn("stopped: " + said.splitlines()[-1].removeprefix("hebbes: "), self.log())

    def test_damaged_best(self):
        """An evaluation says where to turn; a resumed run notices, and keeps its next best."""
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, "--set", "run.generations=2")
        best = os.path.join(self.run_folder, "checkpoints", "best.h5")
        with open(best, "r+b") as file:
            file.write(b"damaged")
        said = self.hebbes("eval", self.run_folder, "--set", "eval.rollouts=2", code=2).stderr
        self.assertIn("best.h5: damaged", said)
        self.assertIn("--set eval.checkpoint=last", said)
        said = self.hebbes("resume", self.run_folder, "--set", "run.generations=3").stderr
        self.assertIn("best.h5: damaged", said)
        self.hebbes("eval", self.run_folder, "--set", "eval.rollouts=2")

    def test_resume_says_why_nothing_is_done(self):
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, *sets("run.generations=9", "search.stop_mean=-1e9"))
        self.assertIn("search.stop_mean was reached", self.hebbes("resume", self.run_folder).stderr)


if __name__ == "__main__":
    unittest.main()
