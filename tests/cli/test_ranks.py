"""Several ranks have the bits of one process: every kind of run, any number of ranks and threads, resumed on another number. Bad starts,
signals, ranks that are killed, disks that are full: one line, an exit code, and a run that can be resumed.

usage: test_ranks.py HEBBES [HEBBES_CUDA_ON_CPU]          skipped where there is no mpirun or no plugin"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HEBBES = os.path.abspath(sys.argv.pop(1))
CUDA = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith(("-", "Ranks")) else ""
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PLUGIN = os.path.join(os.path.dirname(HEBBES), "libhebbes_mpi.so")
ANT = str(ROOT / "configs/ant/quickstart.yaml")
# mpirun of Open MPI: more ranks than cores, as root, and without a system call that containers forbid.
OPEN_MPI = {"OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "OMPI_MCA_hwloc_base_binding_policy": "none"}
INTERRUPTED = 75
SMALL = ["policy.hidden=6", "search.population=10", "run.generations=3"]
KINDS = {
    "lanes": [],
    "mujoco": ["env.engine=mujoco"],
    "bodies": ["env.variations=default,palm_long_back,palm_damage_left"],
    "batched": ["run.rollout=batched", "run.group=5"],
    "static": ["policy.kind=static"],
    "lstm": ["policy.kind=lstm", "policy.hidden=4"],
    "adam": ["search.optimiser=adam"],
    "halves": ["policy.planes=float16"],
    "standard": ["search.observations=standard"],
    "common": ["search.common=pair"],
    "shared": ["search.kind=shared", "search.rules=7"],
    "merged": ["search.kind=shared", "search.assignment=merge", "search.merge_every=1", "search.merge_rules=20,9"],
    "sep-cma": ["search.kind=sep_cma"],
    "pgpe": ["search.kind=pgpe"],
    "mixture": ["search.kind=gmm", "search.rules=9"],
    "mixture-adam": ["search.kind=gmm", "search.rules=70", "search.optimiser=adam", "search.shaping=none", "search.lambda_step=natural"],
    "car-mixture": ["env.name=car", "env.time_limit=9", "policy.hidden=2", "search.kind=gmm", "search.rules=5"],
    "car": ["env.name=car", "env.time_limit=25"],
}


def sets(*pairs):
    return [word for pair in pairs for word in ("--set", pair)]


class Ranks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def alone(self, *words, code=0, program=HEBBES):
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def command(self, ranks, words, program=HEBBES):
        return ["mpirun", "-n", str(ranks), program, *map(str, words)]

    def ranks(self, ranks, *words, code=0, program=HEBBES, **options):
        done = subprocess.run(self.command(ranks, words, program), capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, **OPEN_MPI, **options}, timeout=300)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def digest(self, run, program=HEBBES):
        return self.alone("digest", run, program=program).stdout

    def expected(self, *pairs, program=HEBBES):
        shutil.rmtree(os.path.join(self.folder, "alone"), ignore_errors=True)
        self.alone("train", ANT, "--threads", 2, *sets(*SMALL, *pairs), "--out", "alone", program=program)
        return self.digest("alone", program)

    def ours(self, text):
        """The program's own lines of standard error, without mpirun's."""
        return [line for line in text.splitlines() if line.startswith("hebbes: ") and "device 'cuda'" not in line]

    def test_every_kind(self):
        for name, pairs in KINDS.items():
            expected = self.expected(*pairs)
            for ranks, threads in ((2, 1), (3, 2)):
                with self.subTest(name, ranks=ranks, threads=threads):
                    out = f"{name}-{ranks}"
                    self.ranks(ranks, "train", ANT, "--threads", threads, *sets(*SMALL, *pairs), "--out", out)
                    self.assertEqual(self.digest(out), expected)

    def test_a_spread_search(self):
        """A mixture's rows lie on several ranks: its records, its start from another run, and a stop are as in one process."""
        mixture = ["search.kind=gmm", "search.rules=20", "search.optimiser=adam"]
        expected = self.expected(*mixture)
        self.ranks(3, "train", ANT, "--threads", 1, *sets(*SMALL, *mixture), "--out", "spread")
        self.assertEqual(self.rows("spread"), self.rows("alone"))
        self.alone("train", ANT, "--from", "spread", *sets(*SMALL, *mixture), "--out", "from-alone")
        self.ranks(2, "train", ANT, "--from", "alone", *sets(*SMALL, *mixture), "--out", "from-spread")
        self.assertEqual(self.digest("from-spread"), self.digest("from-alone"))
        self.ranks(2, "resume", "spread", *sets("run.generations=4"))
        self.alone("resume", "alone", *sets("run.generations=4"))
        self.assertEqual(self.digest("spread"), self.digest("alone"))
        self.assertNotEqual(self.digest("spread"), expected)

    def test_numbers_of_ranks(self):
        """Also more ranks than lives, and a population that they do not divide; the records are those of one process."""
        expected = self.expected()
        for ranks in (1, 4, 7, 12):
            with self.subTest(ranks=ranks):
                out = f"out-{ranks}"
                done = self.ranks(ranks, "train", ANT, "--threads", 1, *sets(*SMALL), "--out", out)
                self.assertEqual(self.digest(out), expected)
                self.assertEqual(done.stdout.count("done: "), 1)
                self.assertEqual(re.findall("training into out-.* by (.*) ranks", done.stdout), [str(ranks)] if ranks > 1 else [])
                rows = [self.rows("alone"), self.rows(out)]
                self.assertEqual(*rows)

    def rows(self, run):
        with open(os.path.join(self.folder, run, "metrics.csv")) as file:
            head, *lines = (line.strip().split(",") for line in file)
        keep = [k for k, name in enumerate(head) if not name.endswith("_s") and name != "seconds"] # all but times
        return [[line[k] for k in keep] for line in lines]

    def test_resumed_on_another_number(self):
        for name in ("lanes", "adam", "mixture"):
            expected = self.expected(*KINDS[name])
            for first, then in ((1, 3), (3, 2), (2, 1)):
                with self.subTest(name, first=first, then=then):
                    out = f"{name}-{first}-{then}"
                    self.ranks(first, "train", ANT, "--threads", 1, *sets(*SMALL, *KINDS[name], "run.generations=1"), "--out", out)
                    self.ranks(then, "resume", out, *sets("run.generations=3", "run.threads=2"))
                    self.assertEqual(self.digest(out), expected)

    @unittest.skipUnless(CUDA, "no CUDA on the CPU in this build")
    def test_cuda_on_cpu(self):
        small = ["search.population=4", "run.generations=2", "env.early_stop=false", "run.group=2"]
        expected = self.expected(*small)
        self.ranks(2, "train", ANT, "--device", "cuda", *sets(*SMALL, *small), "--out", "cuda", program=os.path.abspath(CUDA), HB_LINK=PLUGIN)
        self.assertEqual(self.alone("digest", "cuda", "--set", "run.device=cpu").stdout, expected)

    # -----------------------------------------------------------------------------------------------
    # Bad starts

    def refused(self, done, says):
        self.assertEqual(len(self.ours(done.stderr)), 1, done.stderr)
        self.assertRegex(self.ours(done.stderr)[0], says)
        self.assertEqual(os.listdir(self.folder), [])

    def test_without_the_plugin(self):
        done = self.ranks(3, "train", ANT, *sets(*SMALL), "--out", "run", code=2, HB_LINK="/nowhere.so")
        self.refused(done, "3 processes were started by a launcher, but the MPI plugin cannot be opened .*nowhere.so.*clusters.md")

    def test_other_commands(self):
        self.refused(self.ranks(2, "eval", "run", code=2), "eval: 2 processes were started by a launcher, but one does this")

    def test_bad_config(self):
        done = self.ranks(3, "train", ANT, "--set", "search.nonsense=1", code=2)
        self.assertIn("no key is called 'search.nonsense'", done.stderr)
        self.assertEqual(len(self.ours(done.stderr)), 1, done.stderr)

    def test_ranks_that_differ(self):
        one = [HEBBES, "train", ANT, *sets(*SMALL), "--out", "run"]
        for more, says in ((["search.lr=0.3"], "configuration"), (["run.generations=9"], "to generation 3.*, rank 2 .*to generation 9")):
            with self.subTest(more):
                command = ["mpirun", "-n", "2", *one, ":", "-n", "1", *one, *sets(*more)]
                done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env={**os.environ, **OPEN_MPI}, timeout=60)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(self.ours(done.stderr)), 1, done.stderr)
                self.assertRegex(self.ours(done.stderr)[0], f"rank 0 on .* has .*{says}.*start all with one command")
                shutil.rmtree(os.path.join(self.folder, "run"), ignore_errors=True)

    def test_a_batch_script_without_srun(self):
        """SLURM tells a batch script of all its tasks; one process is one process."""
        env = {**os.environ, "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}
        subprocess.run([HEBBES, "train", ANT, *sets(*SMALL), "--out", "run"], check=True, capture_output=True, cwd=self.folder, env=env)

    # -----------------------------------------------------------------------------------------------
    # Signals, deaths, full disks

    def start_long(self, ranks, *pairs, **options):
        """A training by ranks that has finished a generation; returns mpirun and the ranks' processes."""
        out = open(os.path.join(self.folder, "out.txt"), "w+")
        self.addCleanup(out.close)
        words = ["train", ANT, "--threads", 1, *sets(*SMALL, "run.generations=9999", "run.checkpoint_every=1", *pairs), "--out", "run"]
        process = subprocess.Popen(self.command(ranks, words), stdout=out, stderr=subprocess.PIPE, text=True, cwd=self.folder,
                                   env={**os.environ, **OPEN_MPI, **options})
        self.addCleanup(process.kill)
        for _ in range(600):
            with open(out.name) as file:
                if "generation " in file.read():
                    break
            self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")
            time.sleep(0.05)
        children = pathlib.Path(f"/proc/{process.pid}/task").glob("*/children")
        found = sorted(int(child) for file in children for child in file.read_text().split())
        self.assertEqual(len(found), ranks)
        return process, found

    def resumed(self, *pairs):
        """Two generations more, by one process, are those of an unbroken run."""
        done = int(re.search(r"gen-0*(\d+)", max(os.listdir(os.path.join(self.folder, "run/checkpoints"))))[1])
        self.alone("resume", "run", *sets(f"run.generations={done + 2}"))
        self.assertEqual(self.digest("run"), self.expected(*pairs, f"run.generations={done + 2}"))

    def test_signals(self):
        """A signal that one rank gets, or that the launcher passes to all, ends all with a saved run; also where the search is spread."""
        for name, whom in (("lanes", "launcher"), ("lanes", 0), ("lanes", 1), ("lanes", 2), ("mixture", "launcher"), ("mixture", 1)):
            with self.subTest(name, whom=whom):
                shutil.rmtree(os.path.join(self.folder, "run"), ignore_errors=True)
                process, ranks = self.start_long(3, *KINDS[name])
                os.kill(process.pid if whom == "launcher" else ranks[whom], signal.SIGUSR1 if whom == "launcher" else signal.SIGTERM)
                _, said = process.communicate(timeout=60)
                self.assertEqual(process.returncode, INTERRUPTED, said)
                self.assertEqual(len([line for line in self.ours(said) if "stopped on request after" in line]), 1, said)
                self.resumed(*KINDS[name])

    def test_a_rank_that_is_killed(self):
        for name, whom in (("lanes", 0), ("lanes", 1), ("mixture", 1)):
            with self.subTest(name, whom=whom):
                shutil.rmtree(os.path.join(self.folder, "run"), ignore_errors=True)
                process, ranks = self.start_long(3, *KINDS[name])
                os.kill(ranks[whom], signal.SIGKILL)
                begun = time.monotonic()
                _, said = process.communicate(timeout=60)
                self.assertLess(time.monotonic() - begun, 10)
                self.assertNotEqual(process.returncode, 0)
                self.assertRegex(said, rf"rank {whom} ")
                self.resumed(*KINDS[name])

    def test_a_rank_that_stands_still(self):
        """Ranks that wait long say so, and so tell who does not; then the run goes on, or is stopped and saved."""
        for goes_on in (True, False):
            with self.subTest(goes_on=goes_on):
                shutil.rmtree(os.path.join(self.folder, "run"), ignore_errors=True)
                process, ranks = self.start_long(3, "run.patience=0", HB_LINK_SLOW="1")
                os.kill(ranks[1], signal.SIGSTOP)
                time.sleep(3)
                if goes_on:
                    os.kill(ranks[1], signal.SIGCONT)
                    time.sleep(1)
                os.kill(ranks[0], signal.SIGTERM)
                _, said = process.communicate(timeout=60)
                self.assertEqual(process.returncode, INTERRUPTED, said)
                waited = {int(rank) for rank in re.findall(r"hebbes: rank (\d) on .* has waited 1 s for another rank", said)}
                self.assertLessEqual({0, 2}, waited, said)
                self.resumed()

    def test_a_full_disk(self):
        small = "ulimit -f 40; exec \"$0\" \"$@\""  # blocks of 1,024 bytes
        words = ["bash", "-c", small, HEBBES, "train", ANT, *sets(*SMALL, "policy.hidden=30", "run.generations=99", "run.checkpoint_every=1"), "--out", "run"]
        done = subprocess.run(["mpirun", "-n", "3", *words], capture_output=True, text=True, cwd=self.folder, env={**os.environ, **OPEN_MPI}, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len([line for line in self.ours(done.stderr) if "cannot be written: File too large" in line]), 1, done.stderr)


if __name__ == "__main__":
    if not shutil.which("mpirun") or not os.path.exists(PLUGIN):
        print("skipped: no mpirun here, or the build has no MPI plugin")
        sys.exit(0)
    unittest.main()
