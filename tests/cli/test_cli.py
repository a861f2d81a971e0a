"""The command line from outside: exit codes, one-line errors, plain output, signals."""

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HEBBES = sys.argv.pop(1)
SMALL = ["--set", "search.population=4", "--set", "run.generations=2", "--threads", "2"]
CONFIG = "configs/ant/pnr-replicate.yaml"


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.run_folder = os.path.join(self.folder.name, "run")

    def hebbes(self, *arguments, code=0):
        done = subprocess.run([HEBBES, *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refuses(self, *arguments, says, code=2):
        done = self.hebbes(*arguments, code=code)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertTrue(done.stderr.startswith("hebbes: "))

    def test_train_digest_eval_trace_resume(self):
        done = self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL)
        self.assertNotIn("\r", done.stdout)  # plain lines where it is no terminal
        self.assertEqual(len(re.findall(r"^generation +\d+/2 ", done.stdout, re.M)), 2)
        self.assertEqual(len(re.findall(r"hebbes (eval|trace|resume) " + self.run_folder, done.stdout)), 3)
        self.assertIn(f"next: {HEBBES} eval {self.run_folder} ", done.stdout)  # as it can be typed
        digest = self.hebbes("digest", self.run_folder).stdout
        self.assertRegex(digest, r"^[0-9a-f]{32}\n$")
        rows = self.hebbes("eval", self.run_folder, "--set", "eval.rollouts=3").stdout.splitlines()
        self.assertEqual(len(rows), 3)
        life = os.path.join(self.folder.name, "life.h5")
        self.hebbes("trace", self.run_folder, "--out", life, "--steps", "5")
        self.refuses("trace", self.run_folder, "--out", life, says="does not exist yet")
        self.hebbes("resume", self.run_folder, "--set", "run.generations=3")
        self.assertNotEqual(self.hebbes("digest", self.run_folder).stdout, digest)
        names = sorted(os.listdir(self.run_folder))
        self.assertEqual([n for n in names if "tfevents" not in n], ["checkpoints", "config.yaml", "log.txt", "metrics.csv"])

    def test_bad_input(self):
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL)
        before = sorted((p, p.stat().st_mtime_ns) for p in Path(self.run_folder).rglob("*"))
        self.refuses("train", CONFIG, "--out", self.run_folder, says="hebbes resume " + self.run_folder)
        self.assertEqual(before, sorted((p, p.stat().st_mtime_ns) for p in Path(self.run_folder).rglob("*")))
        self.refuses("train", "nowhere.yaml", says="nowhere.yaml: cannot be read")
        self.refuses("train", CONFIG, "--set", "search.populaton=4", says="did you mean 'search.population'?")
        self.refuses("train", CONFIG, "--threads", "-1", says="run.threads: expected a whole number from 0")
        self.refuses("train", CONFIG, "--set", "search.population=3", says="expected an even number")
        self.refuses("train", CONFIG, "--set", "env.model=none.xml", says="env.model: cannot read 'none.xml'")
        self.refuses("train", CONFIG, "--device", "gpu", says="run.device: expected one of auto,")
        self.refuses("train", says="train: expected CONFIG")
        self.refuses("fly", says="expected a command")
        self.refuses(says="expected a command")
        self.refuses("bench", "products", "--device", "cpu", says="--device cuda has cuBLAS")
        self.refuses("bench", "speed", says="expected step, es, gmm, products, robots, env, generation, scale or all")
        self.refuses("bench", "gmm", "--set", "policy.kind=static", says="search.kind: 'gmm' shares plasticity rules")
        shared = ("train", CONFIG, "--set", "search.kind=shared", "--set")
        self.refuses(*shared, "policy.kind=static", says="search.kind: 'shared' shares plasticity rules; this policy.kind has none")
        self.refuses(*shared, "search.start=fan_in", says="search.start: 'fan_in' does not fit")
        self.refuses(*shared, "search.base=random", "--set", "search.noise=synapse", says="search.base: 'random' does not fit search.noise 'synapse'")
        self.refuses(*shared, "search.base=random", "--set", "search.assignment=merge", says="search.base: 'random' does not fit search.assignment 'merge'")
        self.refuses(*shared, "search.rules=1000000", says="search.rules: expected 1 to ")
        self.refuses("train", CONFIG, "--set", "search.kind=gmm", "--set", "policy.init=coevolve", says="policy.init")
        self.refuses("trace", CONFIG, says="expected --out")
        life = os.path.join(self.folder.name, "life.h5")
        self.refuses("trace", CONFIG, "--out", life, "--variation", "long", says="has no 'long'")
        self.refuses("trace", CONFIG, "--out", life, "--individual", "500", says="expected mean or 0 to 499")
        self.refuses("eval", self.folder.name, says="config.yaml")
        self.hebbes("trace", CONFIG, "--steps", "0", code=2)
        self.hebbes("train", CONFIG, "--frobnicate", code=2)
        self.assertFalse(os.path.exists(life))

    @unittest.skipUnless(shutil.which("gnuplot"), "no gnuplot")
    def test_plot(self):
        for seed in ("1", "2"):
            self.hebbes("train", CONFIG, "--out", f"{self.run_folder}-seed{seed}", "--seed", seed, *SMALL)
        runs = (f"{self.run_folder}-seed1", f"{self.run_folder}-seed2")
        curves, table, bars = (Path(self.folder.name, n) for n in ("curves.svg", "table.csv", "bars.png"))
        self.hebbes("plot", *runs, "--out", curves)
        text = curves.read_text()
        self.assertIn(">run<", text)  # both seeds are one curve
        self.assertNotIn(">run-seed1<", text)
        coefficients = Path(self.folder.name, "coefficients.svg")
        self.hebbes("plot", runs[0], "--coefficients", "--out", coefficients)
        for name in ("A", "B", "C", "eta", "D", "start", "best"):
            self.assertIn(f">{name}<", coefficients.read_text())
        table.write_text("config,without,variation,held_out,protocol,mean,sd,standard_error,seed_spread,seeds,rollouts,generations,"
                         "published_mean,published_sd\n"
                         "one,,default,0,sample,5,1,.1,0,1,9,2,6,1\none,,ice,1,sample,4,1,.1,0,1,9,2,,\ntwo,,default,0,sample,3,1,.1,0,1,9,2,,\n")
        self.hebbes("plot", table, "--out", bars)
        self.assertEqual(bars.read_bytes()[:4], b"\x89PNG")
        self.assertEqual(list(Path(self.folder.name).glob("*.part")), [])
        self.refuses("plot", *runs, "--out", curves, says="does not exist yet")
        self.refuses("plot", *runs, "--out", "x.jpg", says="--out: expected FILE.png or FILE.svg")
        self.refuses("plot", *runs, says="plot: expected --out")
        self.refuses("plot", CONFIG, "--out", "x.png", says="expected a study's table.csv")
        self.refuses("plot", "nowhere", "--out", "x.png", says="nowhere: cannot be read")

    def test_plot_without_gnuplot(self):
        env = {**os.environ, "PATH": "/nowhere"}
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL)
        done = subprocess.run([HEBBES, "plot", self.run_folder, "--out", "x.png"], capture_output=True, text=True, env=env)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))
        self.assertIn("plots need gnuplot", done.stderr)

    def test_folds(self):
        config, out = "configs/car/pnr-hebbian.yaml", self.run_folder
        small = [*SMALL, "--set", "env.time_limit=2", "--set", "run.generations=1"]
        self.hebbes("train", config, *small, "--fold", "all", "--out", out)
        names = ["default", "half_friction", "double_friction", "pushed_left", "pushed_right"]
        for name in names:
            saved = Path(f"{out}-without-{name}", "config.yaml").read_text()
            self.assertIn(f"held_out: [{name}]", saved)
            self.assertIn("variations: [" + ",".join(n for n in names if n != name) + "]", saved)
        self.hebbes("train", config, *small, "--fold", "default", "--out", out + "2")
        self.assertTrue(Path(out + "2-without-default").exists())
        self.refuses("train", config, *small, "--fold", "ice", says="--fold: expected all or one of default,half_")
        # Again: every fold is there, and is gone on with.
        again = self.hebbes("train", config, *small, "--fold", "all", "--out", out, "--set", "run.generations=2").stdout
        self.assertEqual(again.count("resuming "), 5)
        other = [*small, "--set", "search.lr=0.3"]
        self.refuses("train", config, *other, "--fold", "all", "--out", out, says="holds a run of another configuration: expected search.lr=0.3")
        edited = Path(self.folder.name, "edited.yaml")
        edited.write_text(f"base: {os.path.abspath(config)}\nsearch:\n  l2: 0.5\n")
        self.refuses("train", edited, *small, "--fold", "all", "--out", out + "/", says="expected search.l2=0.5, found search.l2=0.01")

    def test_started_twice(self):
        """Of several that start into one folder at the same time one trains, and nothing of it is lost."""
        for empty in (False, True):
            folder = f"{self.run_folder}-{empty}"
            if empty:
                os.mkdir(folder)
            command = [HEBBES, "train", CONFIG, "--out", folder, *SMALL]
            every = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]
            codes = sorted(p.wait(600) for p in every)
            self.assertEqual(codes, [0, 2, 2, 2])
            self.assertTrue(set(os.listdir(folder)) >= {"config.yaml", "log.txt", "metrics.csv", "checkpoints"})
            self.hebbes("digest", folder)

    def test_render(self):
        car = ("configs/car/pnr-replicate.yaml", "--size", "60x48", "--set", "env.time_limit=9")
        strip, folder = Path(self.folder.name, "strip.png"), Path(self.folder.name, "pictures")
        self.hebbes("render", *car, "--out", strip, "--moments", "3")
        self.assertEqual(strip.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", strip.read_bytes()[16:24]), (188, 48))
        self.hebbes("render", *car, "--out", folder, "--variation", "half_friction", "--individual", "5")
        self.assertEqual([p.name for p in sorted(folder.iterdir())], [f"{k:05d}.png" for k in range(9)])
        film = Path(self.folder.name, "film.mp4")
        said = self.hebbes("render", *car, "--out", film).stdout
        if shutil.which("ffmpeg"):
            self.assertGreater(film.stat().st_size, 100)
        else:
            self.assertIn("because there is no ffmpeg", said)
            self.assertEqual(len(list(Path(self.folder.name, "film").iterdir())), 9)
        # An ffmpeg that ends early: a line, not the end of the process.
        broken = Path(self.folder.name, "bin")
        broken.mkdir()
        (broken / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
        (broken / "ffmpeg").chmod(0o755)
        path = {**os.environ, "PATH": f"{broken}:{os.environ['PATH']}"}
        done = subprocess.run([HEBBES, "render", *car, "--out", str(film) + ".gif"], capture_output=True, text=True, env=path)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("ffmpeg", done.stderr)
        done = subprocess.run([HEBBES, "render", *car, "--out", str(film) + ".mp4", "--size", "61x48"], capture_output=True,
                              text=True, env=path)
        self.assertIn("a film's width and height are even", done.stderr)
        self.refuses("bench", "products", "--env", "car", says="expected observations that are numbers")
        self.refuses("render", *car, "--out", strip, says="expected a name that does not exist yet")
        self.refuses("render", *car, says="expected --out FILM.mp4, STRIP.png or FOLDER")
        self.refuses("render", *car, "--out", film, "--size", "9x", says="--size: expected WxH")
        ant = Path(self.folder.name, "ant.png")
        no_leaks = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # OpenGL's drivers leave some memory behind
        done = subprocess.run([HEBBES, "render", CONFIG, "--out", str(ant), "--steps", "9"], capture_output=True,
                              text=True, env=no_leaks)
        if done.returncode == 0:
            self.assertEqual(struct.unpack(">II", ant.read_bytes()[16:24]), (4028, 400))
        else:  # no headless OpenGL here
            self.assertEqual(done.returncode, 1)
            self.assertIn("pictures of the Ant need OpenGL without a screen", done.stderr)

    def test_config_error_names_file_line_and_key(self):
        path = os.path.join(self.folder.name, "bad.yaml")
        Path(path).write_text("run:\n  seed: 1\nsearch:\n  sigma: wide\n")
        self.refuses("plan", path, says=f"{path}:4: search.sigma: expected a number")

    def test_signals_save_and_exit_75(self):
        straight = os.path.join(self.folder.name, "straight")
        sets = ["--set", "search.population=40", "--set", "run.generations=8", "--set", "run.checkpoint_every=100"]
        sets += ["--device", "cpu"]
        self.hebbes("train", CONFIG, "--out", straight, *sets)
        for number in (signal.SIGINT, signal.SIGTERM):
            folder = self.run_folder + str(number.value)
            process = subprocess.Popen([HEBBES, "train", CONFIG, "--out", folder, *sets], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            for _ in range(3):
                process.stdout.readline()  # the start and two generations
            time.sleep(0.02)
            process.send_signal(number)
            _, errors = process.communicate(timeout=600)
            self.assertEqual(process.returncode, 75)
            self.assertRegex(errors, r"^hebbes: stopped on request after \d generations; 'hebbes resume ")
            self.hebbes("resume", folder)
            self.assertEqual(self.hebbes("digest", folder).stdout, self.hebbes("digest", straight).stdout)

    def test_a_probe_that_is_stopped_leaves_nothing(self):
        out = os.path.join(self.folder.name, "freeze")
        process = subprocess.Popen([HEBBES, "probe", CONFIG, "--what", "freeze", "--out", out, "--device", "cpu"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while not any(name.startswith("freeze") for name in os.listdir(self.folder.name)) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 75, errors)
        self.assertIn("stopped on request; nothing was written", errors)
        self.assertEqual([name for name in os.listdir(self.folder.name) if name.startswith("freeze")], [])

    def test_killed_run_resumes(self):
        sets = ["--set", "search.population=20", "--set", "run.generations=6", "--set", "run.checkpoint_every=2"]
        straight = os.path.join(self.folder.name, "straight")
        self.hebbes("train", CONFIG, "--out", straight, *sets)
        process = subprocess.Popen([HEBBES, "train", CONFIG, "--out", self.run_folder, *sets], stdout=subprocess.PIPE)
        for _ in range(5):
            process.stdout.readline()
        process.kill()
        process.communicate()
        self.hebbes("resume", self.run_folder)
        self.assertEqual(self.hebbes("digest", self.run_folder).stdout, self.hebbes("digest", straight).stdout)
        lines = Path(self.run_folder, "metrics.csv").read_text().splitlines()
        self.assertEqual([line.split(",")[0] for line in lines], ["generation", "1", "2", "3", "4", "5", "6"])

    def test_killed_in_its_first_generation(self):
        """The run goes on, to the same bits."""
        sets = ["--set", "search.population=400", "--set", "run.generations=1"]
        straight = os.path.join(self.folder.name, "straight")
        self.hebbes("train", CONFIG, "--out", straight, *sets)
        process = subprocess.Popen([HEBBES, "train", CONFIG, "--out", self.run_folder, *sets], stdout=subprocess.PIPE)
        process.stdout.readline()
        process.kill()
        process.communicate()
        self.assertEqual(len(Path(self.run_folder, "metrics.csv").read_text().splitlines()), 1)  # the header
        self.hebbes("resume", self.run_folder)
        self.assertEqual(self.hebbes("digest", self.run_folder).stdout, self.hebbes("digest", straight).stdout)
        self.assertEqual(len(Path(self.run_folder, "metrics.csv").read_text().splitlines()), 2)

    def test_output_that_cannot_be_written(self):
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL)
        with open("/dev/full", "w") as full:
            done = subprocess.run([HEBBES, "digest", self.run_folder], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (1, "hebbes: standard output: cannot be written\n"))
        closed = self.run_folder + "closed"
        done = subprocess.run(["sh", "-c", f"'{HEBBES}' train {CONFIG} --out {closed} {' '.join(SMALL)} >&- 2>&-"])
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("generation ", Path(closed, "log.txt").read_text())
        self.assertEqual(len(Path(closed, "metrics.csv").read_text().splitlines()), 3)

    def test_trace_on_a_full_disk(self):
        life = os.path.join(self.folder.name, "life.h5")
        limited = f"trap '' XFSZ; ulimit -f 100; '{HEBBES}' trace {CONFIG} --out {life}"
        done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr, f"hebbes: {life}: cannot be written: File too large\n")
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_folder_names(self):
        self.hebbes("train", CONFIG, "--out", self.run_folder + "/", *SMALL)
        self.assertTrue(os.path.exists(os.path.join(self.run_folder, "config.yaml")))
        self.refuses("resume", self.run_folder, "--out", self.run_folder + "x", says="a run stays where it is")
        other = os.path.join(self.folder.name, "a b,c - d")
        self.hebbes("train", CONFIG, "--out", other, *SMALL)
        self.hebbes("digest", other)
        somebodys = Path(self.folder.name, "somebody's")
        somebodys.mkdir()
        (somebodys / "log.txt").write_text("of another program")
        done = self.hebbes("train", CONFIG, "--out", somebodys, *SMALL, code=2)
        self.assertNotIn("resume", done.stderr)
        self.assertEqual((somebodys / "log.txt").read_text(), "of another program")

    def test_models_of_another_make(self):
        # A body of the right sizes whose motors are in another order would be driven wrongly.
        path = os.path.join(self.folder.name, "body.xml")
        legs = "".join(
            f"<geom name='aux{k}' size='.1'/><body name='u{k}'><joint name='hip{k}' range='-40 40'/>"
            f"<geom name='upper{k}' size='.1'/><body name='f{k}'><joint name='ankle{k}' range='30 100'/>"
            f"<geom name='foot{k}' size='.1'/></body></body>" for k in (1, 2, 3, 4))
        motors = "".join(f"<motor joint='{j}'/>" for j in sorted(f"{n}{k}" for n in ("hip", "ankle") for k in (1, 2, 3, 4)))
        Path(path).write_text(
            "<mujoco><compiler angle='degree'/><worldbody><geom name='floor' type='plane' size='1 1 1'/>"
            f"<body><freejoint/><geom name='torso' size='.1'/>{legs}</body></worldbody>"
            f"<actuator>{motors}</actuator></mujoco>")
        self.refuses("train", CONFIG, "--set", f"env.model={path}", says="motor 1 must drive joint 1")

    def test_a_model_of_ones_own(self):
        """The default body written by hand gives the built-in's bits; a run whose model file has changed is not resumed."""
        path = os.path.join(self.folder.name, "body.xml")
        legs = pairs = motors = ""
        for k, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1)), 1):
            x, y, foot_x, foot_y = 0.2 * sx, 0.2 * sy, 0.4 * sx, 0.4 * sy
            least = 30 if k in (1, 4) else -100
            capsule = "type='capsule' size='0.08'"
            legs += (
                f"<geom name='aux{k}' {capsule} fromto='0 0 0 {x} {y} 0'/><body name='upper{k}' pos='{x} {y} 0'>"
                f"<joint name='hip{k}' axis='0 0 1' range='-40 40'/><geom name='upper{k}' {capsule} fromto='0 0 0 {x} {y} 0'/>"
                f"<body name='foot{k}' pos='{x} {y} 0'>"
                f"<joint name='ankle{k}' axis='{-sx * sy} 1 0' range='{least} {least + 70}'/>"
                f"<geom name='foot{k}' {capsule} fromto='0 0 0 {foot_x} {foot_y} 0'/></body></body>")
            motors += f"<motor joint='hip{k}' gear='60'/><motor joint='ankle{k}' gear='60'/>"
        for part in ("torso", *(f"{p}{k}" for k in (1, 2, 3, 4) for p in ("aux", "upper", "foot"))):
            pairs += f"<pair geom1='floor' geom2='{part}' condim='3' margin='0.01' friction='1.2 1.2 0.1 0.1 0.1'/>"
        text = (
            "<mujoco><compiler angle='degree' inertiafromgeom='true'/><default><joint armature='1' damping='1'/>"
            "<geom contype='0' conaffinity='0' density='5'/><motor ctrllimited='true' ctrlrange='-1 1'/></default>"
            "<worldbody><geom name='floor' type='plane' size='0 0 1'/><body name='torso' pos='0 0 0.75'>"
            f"<joint name='root' type='free'/><geom name='torso' type='sphere' size='0.25'/>{legs}</body></worldbody>"
            f"<contact>{pairs}</contact><actuator>{motors}</actuator></mujoco>")
        Path(path).write_text(text)
        built_in = os.path.join(self.folder.name, "built-in")
        light = ["--set", "env.profile=light", *SMALL]
        self.hebbes("train", CONFIG, "--out", built_in, *light)
        self.hebbes("train", CONFIG, "--out", self.run_folder, "--set", f"env.model={path}", *light)
        digest = self.hebbes("digest", self.run_folder).stdout
        self.assertEqual(digest, self.hebbes("digest", built_in).stdout)
        self.hebbes("resume", self.run_folder)  # the file is as it was
        Path(path).write_text(text.replace("density='5'", "density='6'"))
        for command in (["resume", "--set", "run.generations=3"], ["digest"]):
            done = self.hebbes(command[0], self.run_folder, *command[1:], code=2)
            self.assertIn(f"another configuration: expected env.model={path} (", done.stderr)
        Path(path).write_text(text)
        self.hebbes("resume", self.run_folder, "--set", "run.generations=3")
        moved = os.path.join(self.folder.name, "moved.xml")
        os.rename(path, moved)
        self.assertIn("body.xml", self.hebbes("resume", self.run_folder, "--set", "run.generations=4", code=2).stderr)
        there = ["--set", f"env.model={moved}"]
        self.hebbes("eval", self.run_folder, "--set", "eval.rollouts=1", *there)
        self.hebbes("resume", self.run_folder, "--set", "run.generations=4", *there)
        self.hebbes("digest", self.run_folder)  # its config.yaml has the new place

    def test_a_run_from_before_an_option(self):
        """A run that does not list env.engine was computed by MuJoCo, and goes on with it though lanes are the default."""
        whole = os.path.join(self.folder.name, "whole")
        engine = ["--set", "env.engine=mujoco"]
        self.hebbes("train", CONFIG, "--out", whole, *SMALL, *engine)
        self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL, *engine, "--set", "run.generations=1")
        config = Path(self.run_folder, "config.yaml")
        lines = config.read_text().splitlines(keepends=True)
        config.write_text("".join(l for l in lines if not re.match("  (engine|sweeps): ", l)))
        self.hebbes("resume", self.run_folder, "--set", "run.generations=2")
        self.assertEqual(self.hebbes("digest", self.run_folder).stdout, self.hebbes("digest", whole).stdout)
        self.assertIn("  engine: mujoco\n", config.read_text())

    def test_two_processes_do_not_share_a_run(self):
        sets = ["--set", "search.population=200", "--set", "run.generations=50"]
        process = subprocess.Popen([HEBBES, "train", CONFIG, "--out", self.run_folder, *sets], stdout=subprocess.PIPE)
        process.stdout.readline()
        self.refuses("resume", self.run_folder, says="another process")
        process.terminate()
        process.communicate()

    def test_options_of_other_commands(self):
        for command, option, *value in (("train", "--jobs", "2"), ("eval", "--steps", "3"), ("plot", "--threads", "2"),
                                        ("study", "--fold", "all"), ("info", "--json"), ("digest", "--out", "y")):
            self.refuses(command, "x", option, *value, says=f"{command}: no option of it is called {option};")

    def test_help_is_the_schema(self):
        text = self.hebbes("--help").stdout
        done = self.hebbes("plan", CONFIG)
        self.assertIn("D = 61440 numbers of a genome, from 61440 evolved numbers", done.stdout)
        for key in ("sigma_decay", "checkpoint_every", "early_stop", "held_out", "rollouts", "normalise"):
            self.assertIn(key, text)
        for command in ("train", "resume", "eval", "plan", "bench", "trace", "render", "study", "probe", "plot", "digest", "info"):
            self.assertRegex(text, rf"(?m)^  {command} ")

    def test_device_without_a_card(self):
        """Where cuda is compiled in and cannot be used, it says why, and auto falls back with one line."""
        found = re.search(r"cuda +not usable: (.*)", self.hebbes("info").stdout)
        if not found:
            self.skipTest("this build has no cuda, or there is a card")
        self.refuses("train", CONFIG, "--device", "cuda", says="device 'cuda' cannot be used: " + found[1], code=1)
        done = self.hebbes("train", CONFIG, "--out", self.run_folder, *SMALL)
        self.assertEqual(done.stderr, f"hebbes: device 'cuda' is not used: {found[1]}; running on 'cpu'\n")

    def test_info(self):
        text = self.hebbes("info").stdout
        for word in ("cpu", "MuJoCo 4.0.1", "ABCD_lr_D_in_and_out", "coevolve", "palm_long_front"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
