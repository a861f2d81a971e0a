"""hebbes study from outside: what it runs, resumes, refuses, and the table that comes of it."""

import csv
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

HEBBES = sys.argv.pop(1)
CONFIGS = Path("configs").resolve()
SMALL = "search.population=4, run.generations=2, eval.rollouts=3, run.threads=1, policy.hidden=4"


class Study(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"

    def write(self, configs=("pnr-static", "pnr-hebbian"), seeds="1, 2", sets=SMALL, more=""):
        names = ", ".join(name if "/" in name else str(CONFIGS / f"ant/{name}.yaml") for name in configs)
        path = self.folder / "study.yaml"
        path.write_text(f"out: {self.out}\nconfigs: [{names}]\nseeds: [{seeds}]\nset: [{sets}]\n{more}\n")
        return path

    def study(self, *arguments, code=0):
        done = subprocess.run([HEBBES, "study", *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def rows(self):
        return list(csv.DictReader((self.out / "table.csv").read_text().splitlines()))

    def wait_for(self, happened):
        deadline = time.time() + 60
        while not happened():
            self.assertLess(time.time(), deadline)
            time.sleep(0.01)

    def trained(self, config):
        """The mean over trained variations of each seed's run, by PNR's protocol."""
        means = []
        for seed in (1, 2):
            lines = (self.out / f"{config}-seed{seed}/evaluation.csv").read_text().splitlines()[1:]
            rows = [r for r in csv.DictReader(lines) if r["held_out"] == "0" and r["protocol"] == "sample"]
            means.append(sum(float(r["mean"]) for r in rows) / len(rows))
        return means

    def test_runs_and_table(self):
        numbers = "# of the paper\nconfig,variation,protocol,mean,sd\npnr-static,default,sample,1545,30\n"
        (self.folder / "numbers.csv").write_text(numbers)
        claims = 'claims: ["1|a: pnr-static > pnr-hebbian on trained", "2: pnr-static < -1e9 on palm_long_front"]'
        path = self.write(more="published: numbers.csv\n" + claims)
        planned = self.study(path, "--dry-run").stdout
        self.assertRegex(planned, r"pnr-hebbian-seed2 +0/2 +0\.\d\d to 0\.\d\d")
        self.assertFalse(self.out.exists())
        self.study(path, "--jobs", 2)
        rows = self.rows()
        self.assertEqual(len(rows), 2 * 5 * 2)  # configurations, variations, protocols
        one = [r for r in rows if (r["config"], r["variation"], r["protocol"]) == ("pnr-static", "default", "sample")][0]
        self.assertEqual((one["published_mean"], one["seeds"], one["held_out"]), ("1545", "2", "0"))
        # The table's numbers from the runs' own.
        means, squares = [], []
        for seed in (1, 2):
            lines = (self.out / f"pnr-static-seed{seed}/evaluation.csv").read_text().splitlines()[1:]
            row = [r for r in csv.DictReader(lines) if r["variation"] == "default" and r["protocol"] == "sample"][0]
            means.append(float(row["mean"]))
            squares.append(float(row["sd"]) ** 2 + float(row["mean"]) ** 2)
        mean = sum(means) / 2
        self.assertAlmostEqual(float(one["mean"]), mean, delta=1e-6 * abs(mean) + 1e-6)
        self.assertAlmostEqual(float(one["sd"]) ** 2, sum(squares) / 2 - mean**2, delta=1e-3)
        self.assertAlmostEqual(float(one["seed_spread"]), abs(means[0] - means[1]) / 2**0.5, delta=1e-4)
        self.assertEqual((one["rollouts"], one["generations"]), ("6", "2"))
        self.assertAlmostEqual(float(one["standard_error"]), float(one["sd"]) / 6**0.5, delta=1e-4)
        table = (self.out / "table.md").read_text()
        a, b = (self.trained(c) for c in ("pnr-static", "pnr-hebbian"))
        agree = sum(x > y for x, y in zip(a, b))
        verdict = "yes" if agree == 2 else "in the mean" if sum(a) > sum(b) else "no"
        ours = f"{sum(a) / 2:.0f} ± {abs(a[0] - a[1]) / 2**0.5:.0f}"
        self.assertIn(f"| 1\\|a: pnr-static > pnr-hebbian on trained | {ours} | ", table)
        self.assertIn(f" | {agree} of 2 | {verdict} |\n", table)
        self.assertRegex(table, r"\| 2: pnr-static < -1e9 on palm_long_front \| .* \| 0 of 2 \| no \|")
        self.assertIn("1545 ± 30", table)
        # Again: nothing is run, nothing evaluated.
        again = self.study(path).stdout
        self.assertEqual(re.findall("training|evaluating", again), [])
        self.assertEqual(len(again.splitlines()), 5)  # four are done, and the table
        # Other rollouts are another evaluation.
        again = self.write(sets=SMALL.replace("rollouts=3", "rollouts=2"), more="published: numbers.csv")
        self.assertEqual(self.study(again).stdout.count("evaluating"), 4)

    def test_view_on_a_terminal(self):
        """Lines that are rewritten: a run's, and one for all; what stands there at last is the last."""
        path = self.write(configs=["pnr-static"], seeds="1, 2")
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        process = subprocess.Popen([HEBBES, "study", str(path), "--jobs", "1", "--device", "cpu"], stdout=theirs)
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
        os.close(ours)
        self.assertEqual(process.wait(60), 0)
        screen, row, column = [""], 0, 0  # as a terminal of 60 columns would have it
        for part in re.findall(r"\033\[A|\033\[2K|\r|\n|[^\033\r\n]+", text.decode()):
            if part == "\033[A":
                row -= 1
            elif part == "\033[2K":
                screen[row] = ""
            elif part == "\r":
                column = 0
            elif part == "\n":
                row += 1
                screen += [""] * (row == len(screen))
            else:
                if not part.startswith("wrote "):  # which is no line of the view
                    self.assertLess(column + len(part), 60)
                screen[row] = part
                column += len(part)
        self.assertIn("2 runs: 0 done, 1 active, 1 waiting; left about ", text.decode())
        said = f"wrote {self.out}/table.md and table.csv"
        self.assertEqual([line for line in screen if line], [said])

    def test_folds_and_tasks(self):
        path = self.write(configs=["pnr-static"], seeds="1", more="folds: true")
        for task in (1, 2):
            self.study(path, "--task", f"{task}/2")
            self.assertFalse((self.out / "table.md").exists())
        self.assertEqual(len(list(self.out.iterdir())), 5)  # leave one out of five
        self.study(path)
        unseen = [(r["without"], r["variation"]) for r in self.rows() if r["held_out"] == "1" and r["protocol"] == "mean"]
        self.assertEqual(len(unseen), 5)
        self.assertTrue(all(a == b for a, b in unseen))
        config = (self.out / "pnr-static-without-default-seed1/config.yaml").read_text()
        self.assertIn("held_out: [default]", config)

    def test_changed_runs(self):
        self.study(self.write(configs=["pnr-static"], seeds="1"))
        changed = self.write(configs=["pnr-static"], seeds="1, 2", sets=SMALL + ", search.lr=0.3")
        refused = self.study(changed, code=2).stderr
        self.assertIn("holds a run of another configuration: expected search.lr=0.3, found search.lr=0.2", refused)
        self.assertFalse((self.out / "pnr-static-seed2").exists())  # before anything starts
        self.assertIn("skipped", self.study(changed, "--skip-changed").stdout)
        self.assertEqual({r["seeds"] for r in self.rows()}, {"1"})

    def test_killed(self):
        path = self.write(configs=["pnr-static"], seeds="1", sets=SMALL.replace("generations=2", "generations=400"))
        process = subprocess.Popen([HEBBES, "study", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        metrics = self.out / "pnr-static-seed1/metrics.csv"
        self.wait_for(lambda: metrics.exists() and len(metrics.read_text().splitlines()) >= 5)
        process.send_signal(signal.SIGTERM)
        self.assertIn("stopped on request", process.communicate(timeout=600)[1])
        self.assertEqual(process.returncode, 75)
        done = len(metrics.read_text().splitlines()) - 1
        more = self.write(configs=["pnr-static"], seeds="1", sets=SMALL.replace("generations=2", f"generations={done + 2}"))
        self.study(more)
        self.assertEqual(len(metrics.read_text().splitlines()) - 1, done + 2)

    def test_bad_input(self):
        self.assertIn("two runs are called 'pnr-static-seed1'", self.study(self.write(seeds="1, 1"), code=2).stderr)
        self.assertIn("expected whole numbers", self.study(self.write(seeds="one"), code=2).stderr)
        self.assertIn("cannot be read", self.study(self.write(configs=["pnr-nothing"]), code=2).stderr)
        self.assertIn("did you mean 'search.lr'", self.study(self.write(sets="search.lrr=1"), code=2).stderr)
        wrong = self.folder / "wrong.yaml"
        wrong.write_text("out: x\nconfigs: [a.yaml]\nsedes: [1]\n")
        self.assertIn("wrong.yaml:", self.study(wrong, code=2).stderr)
        self.assertIn("--task: expected K/N", self.study(wrong, "--task", "3/2", code=2).stderr)
        shutil.rmtree(self.out, ignore_errors=True)
        claims = self.write(configs=["pnr-static"], seeds="1", more='claims: ["better"]')
        self.assertIn("claims: expected 'LABEL: A > B on trained|held_out|VARIATION'", self.study(claims, code=2).stderr)
        for claim, says in (
            ("1: pnr-statik > 3 on trained", "no configuration of this study is called 'pnr-statik'; did you mean 'pnr-static'?"),
            ("1: pnr-static > 3x on trained", "no configuration of this study is called '3x'"),
            ("1: pnr-static > 3 on ice", "expected trained, held_out or a variation that 'pnr-static' meets, found 'ice'"),
            ("1: pnr-static > 3 on najarro_damage_left", "a variation that 'pnr-static' meets, found 'najarro_damage_left'"),
            ("1: pnr-static > nan on trained", "no configuration of this study is called 'nan'"),
            ("1: pnr-static > 3 on trained and default", "claims: expected 'LABEL: A > B on"),
        ):
            claims = self.write(configs=["pnr-static"], seeds="1", more=f'claims: ["{claim}"]')
            self.assertIn(says, self.study(claims, code=2).stderr)
        numbers = self.write(configs=["pnr-static"], seeds="1", more="published: numbers.csv")
        for row, says in (("pnr-static,default,1545,30", "numbers.csv:3: expected 5 fields, found 4"),
                          ("pnr-static,default,median,1545,30", "numbers.csv:3: expected config,variation,mean|sample,mean,sd"),
                          ("pnr-static,default,mean,many,30", "numbers.csv:3: expected config,variation,mean|sample,mean,sd")):
            (self.folder / "numbers.csv").write_text(f"config,variation,protocol,mean,sd\n\n{row}\n")
            self.assertIn(says, self.study(numbers, code=2).stderr)
        odd = self.folder / "a,b.yaml"
        odd.write_text(f"base: {CONFIGS}/ant/pnr-static.yaml\n")
        self.assertIn("a table's name has no ','", self.study(self.write(configs=[f"'{odd}'"]), code=2).stderr)
        self.assertFalse(self.out.exists())  # before anything starts

    def test_what_is_there_is_what_was_asked_for(self):
        path = self.write(configs=["pnr-static"], seeds="1", more="published: numbers.csv\nfolds: true")
        (self.folder / "numbers.csv").write_text("pnr-static,default,sample,1545,30\n")
        self.study(path)
        self.assertEqual({r["published_mean"] for r in self.rows()}, {""})  # of folds nothing is published
        shutil.rmtree(self.out)
        self.study(self.write(configs=["pnr-static"], seeds="1"))
        fewer = self.write(configs=["pnr-static"], seeds="1", sets=SMALL.replace("generations=2", "generations=1"))
        self.assertIn("expected run.generations=1, found 2 done", self.study(fewer, code=2).stderr)
        run = self.out / "pnr-static-seed1"
        best = (run / "checkpoints/best.h5").read_bytes()
        (run / "checkpoints/best.h5").unlink()
        path = self.write(configs=["pnr-static"], seeds="1")
        self.assertIn("lacks checkpoints/best.h5", self.study(path, code=2).stderr)
        self.study(self.write(configs=["pnr-static"], seeds="1", sets=SMALL + ", eval.checkpoint=last"))
        (run / "checkpoints/best.h5").write_bytes(best)
        for checkpoint in (run / "checkpoints").glob("gen-*.h5"):
            checkpoint.unlink()
        self.assertIn("has no checkpoint; move it away", self.study(path, code=2).stderr)
        self.assertIn("skipped", self.study(path, "--skip-changed").stdout)
        # Killed while its folder was made: begun anew.
        shutil.rmtree(run)
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints/gen-000000.h5.part").write_bytes(b"half")
        (run / "log.txt").write_text("")
        self.study(path)
        seen = self.write(configs=["pnr-static"], seeds="1", sets=SMALL + ", env.held_out=")
        self.study(seen)
        self.assertEqual({r["held_out"] for r in self.rows()}, {"0"})

    def test_settings_of_today(self):
        path = self.write(configs=["pnr-static"], seeds="1, 2")
        self.study(path, "--set", "eval.rollouts=2", "--threads", "2")
        self.assertIn("threads: 2", (self.out / "pnr-static-seed1/config.yaml").read_text())
        shutil.rmtree(self.out)
        self.study(self.write(configs=["pnr-static"], sets=SMALL.replace(", run.threads=1", "")), "--jobs", 64)
        self.assertIn("threads: 1\n", (self.out / "pnr-static-seed1/config.yaml").read_text())  # shared out
        self.assertIn("seeds and out are set in its file", self.study(path, "--seed", 3, code=2).stderr)
        self.assertIn("seeds and out are set in its file", self.study(path, "--out", "x", code=2).stderr)
        # What is there and is no run is told before anything starts, or left alone.
        shutil.rmtree(self.out)
        (self.out / "pnr-static-seed1").mkdir(parents=True)
        (self.out / "pnr-static-seed1/letter.txt").write_text("of somebody's")
        self.assertIn("is not empty, and holds no run", self.study(path, code=2).stderr)
        self.study(path, "--skip-changed")
        self.assertTrue((self.out / "pnr-static-seed2/evaluation.csv").exists())

    def test_stopped_together(self):
        """Several runs stop with a checkpoint each, however often they are told, and go on to the same bits."""
        sets = SMALL.replace("generations=2", "generations=300").replace("population=4", "population=20")
        path = self.write(sets=sets + ", run.checkpoint_every=1000")
        process = subprocess.Popen([HEBBES, "study", str(path), "--jobs", "4"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        names = [f"{c}-seed{s}" for c in ("pnr-static", "pnr-hebbian") for s in (1, 2)]
        files = [self.out / n / "metrics.csv" for n in names]
        self.wait_for(lambda: all(f.exists() and len(f.read_text().splitlines()) > 3 for f in files))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C, twice
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(60), 75)
        done = [len(f.read_text().splitlines()) - 1 for f in files]
        for name, generations in zip(names, done):
            last = self.out / name / f"checkpoints/gen-{generations:06d}.h5"
            self.assertTrue(last.exists(), f"{name}: {generations} generations without their checkpoint")
        goal = max(done) + 2
        self.study(self.write(sets=sets.replace("generations=300", f"generations={goal}")))
        digests = {}
        for folder in (self.out, self.folder / "unbroken"):
            if not folder.exists():
                path = self.write(seeds="1", sets=sets.replace("generations=300", f"generations={goal}"))
                path.write_text(path.read_text().replace(f"out: {self.out}", f"out: {folder}"))
                self.study(path)
            for name in names[::2]:
                digests.setdefault(name, set()).add(subprocess.check_output([HEBBES, "digest", folder / name]))
        self.assertEqual([len(d) for d in digests.values()], [1, 1])

    def test_table_of_what_there_is(self):
        path = self.write(configs=["pnr-static"], seeds="1, 2")
        (self.out / "pnr-static-seed1").mkdir(parents=True)
        (self.out / "pnr-static-seed1/config.yaml").write_text("nonsense: 1\n")
        self.assertIn("holds a run that cannot be read", self.study(path, code=2).stderr)
        self.study(path, "--skip-changed")
        self.assertEqual({r["seeds"] for r in self.rows()}, {"1"})
        self.assertIn("Not in it: pnr-static-seed1.", (self.out / "table.md").read_text())
        self.assertIn("are keys of the study, found 'run.seed=3'", self.study(self.write(sets="run.seed=3"), code=2).stderr)

    def test_dry_run_is_interrupted(self):
        path = self.write(seeds=", ".join(map(str, range(1, 17))), sets="search.population=50")
        process = subprocess.Popen([HEBBES, "study", path, "--dry-run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        self.assertNotIn("all:", process.communicate(timeout=600)[0])
        self.assertEqual(process.returncode, 75)


unittest.main()
