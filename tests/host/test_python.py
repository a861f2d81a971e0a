"""The Python package: asked and told by NumPy's own evolution strategy on the same noise, the command line's digests, lives against a NumPy
replay, bad input that is an exception, and many random calls that never end the process.

usage: test_python.py PACKAGES HEBBES          PACKAGES: the folder with hebbes in it"""

import copy as copying
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PACKAGES, HEBBES = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, PACKAGES)
try:
    import numpy as np
except ImportError:
    print("skipped: no NumPy here")
    sys.exit(0)

import hebbes as hb

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
QUICK = str(ROOT / "configs/ant/quickstart.yaml")
SMALL = {"hidden": [6], "population": 8, "generations": 3, "threads": 2}


def command_line(*words):
    return subprocess.run([HEBBES, *map(str, words)], check=True, capture_output=True, text=True).stdout.strip()


class Scratch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def refuses(self, what, says):
        with self.assertRaises(hb.BadInput) as caught:
            what()
        self.assertIn(says, str(caught.exception))


class Asking(Scratch):
    def test_an_evolution_strategy_of_numpy(self):
        """Ask for genomes, tell returns: the mean moves as OpenES says, from the individuals' own noise (to 1e-6)."""
        evo = hb.Evolution(obs=3, act=2, hidden=[4], population=10, sigma=0.2, lr=0.1, sigma_decay=1, lr_decay=1, l2=0.01, generations=4)
        for gen in evo:
            before, genomes = evo.mean().astype(float), gen.genomes().astype(float)
            returns = np.sin(genomes).sum(1)
            fitness = returns - 0.01 * (genomes**2).mean(1)
            z = np.empty(10)
            z[np.argsort(fitness)] = np.arange(10) / 9 - 0.5
            z = (z - z.mean()) / z.std()
            noise = (genomes - before) / 0.2
            expected = before + 0.1 / (10 * 0.2) * z @ noise
            told = gen.tell(returns)
            self.assertAlmostEqual(told.mean, fitness.mean(), 5)
            np.testing.assert_allclose(evo.mean(), expected, atol=2e-6)

    def test_the_command_lines_digest(self):
        """Trained by train, by live and tell, and by the command line, stopped and resumed in between: one digest."""
        command_line("train", QUICK, "--out", self.folder / "line", *[w for k, v in SMALL.items() for w in ("--set", self.dotted(k, v))])
        expected = command_line("digest", self.folder / "line")
        run = hb.train(QUICK, out=self.folder / "trained", **{**SMALL, "generations": 1})
        self.assertEqual(run.resume(3).digest(), expected)
        seen = []
        for stop_at in (1, 3):
            with hb.Evolution(QUICK, out=self.folder / "asked", **{**SMALL, "generations": stop_at}) as evo:
                for gen in evo:
                    returns = gen.live()
                    seen.append((gen.number, returns.mean(), gen.tell().mean))
        self.assertEqual([s[0] for s in seen], [1, 2, 3])
        for _, ours, theirs in seen:
            self.assertAlmostEqual(ours, theirs, 9)
        self.assertEqual(hb.load(self.folder / "asked").digest(), expected)
        self.assertEqual(len(hb.load(self.folder / "asked").metrics["mean"]), 3)

    @staticmethod
    def dotted(key, value):
        section = {"hidden": "policy", "population": "search"}.get(key, "run")
        return f"{section}.{key}={','.join(map(str, value)) if isinstance(value, list) else value}"

    def test_lives_by_numpy(self):
        """Weights and actions of lives under a rule that has one term are those of a float64 replay; dead lanes are left alone."""
        evo = hb.Evolution(obs=3, act=2, hidden=[4], rule="A", init="uni", population=6, generations=1)
        gen = next(iter(evo))
        lives, genomes = gen.ask(), gen.genomes().astype(float)
        rng = np.random.default_rng(1)
        w = [[lives.weights(lane, layer + 1).astype(float) for layer in range(2)] for lane in range(6)]
        alive, last = np.ones(6, bool), [None] * 6
        for step in range(5):
            seen = rng.normal(size=(6, 3)).astype(np.float32)
            actions = lives.act(seen, alive)
            for lane in range(6):
                if not alive[lane]:
                    np.testing.assert_array_equal(actions[lane], 0)
                    continue
                a = [genomes[lane][:12].reshape(3, 4), genomes[lane][12:].reshape(4, 2)]
                if last[lane]:
                    for layer in range(2):
                        w[lane][layer] += a[layer] * np.outer(last[lane][layer], last[lane][layer + 1])
                x = [seen[lane].astype(float)]
                for layer in range(2):
                    x.append(np.tanh(x[-1] @ w[lane][layer]))
                last[lane] = x
                np.testing.assert_allclose(actions[lane], x[-1], atol=1e-5)
            alive[step] = False

    def test_goes_on(self):
        """A run left in its middle goes on to the same bits; another configuration there is refused."""

        def live(folder, stop_at):
            evo = hb.Evolution(obs=2, act=1, population=6, generations=5, hidden=[3], out=folder)
            for gen in evo:
                gen.tell([float(abs(a).sum()) for a in gen.ask().act(np.ones((6, 2)))])
                if gen.number == stop_at:
                    break
            digest = evo.digest()
            evo.close()
            return digest

        expected = live(self.folder / "whole", None)
        live(self.folder / "parts", 2)
        self.assertEqual(live(self.folder / "parts", None), expected)
        self.assertEqual(command_line("digest", self.folder / "parts"), expected)
        self.refuses(lambda: hb.Evolution(obs=2, act=1, population=8, generations=5, hidden=[3], out=self.folder / "parts"), "search.population")


class Looking(Scratch):
    def test_a_run(self):
        run = hb.train(QUICK, out=self.folder / "run", **SMALL)
        rows = run.evaluate(4)
        line = command_line("eval", self.folder / "run", "--set", "eval.rollouts=4", "--json")
        self.assertIn(f'"mean": {rows[0].mean:.6g}'[:12], line)
        self.assertEqual(len(rows[0].returns), 4)
        policy = run.policy(seed=7)
        w = policy.weights(1)
        before = w.copy()
        action = policy.act(np.zeros(28))
        self.assertEqual(action.shape, (8,))
        policy.act(np.ones(28))
        policy.act(np.ones(28))
        self.assertFalse((w == before).all())
        self.refuses(lambda: hb.load(self.folder), "cannot be read")

    def test_progress_is_kept(self):
        kept = []
        hb.train("configs/ant/quickstart.yaml", out=self.folder / "run", progress=kept.append, **SMALL)
        self.assertEqual([p.generation for p in kept], [1, 2, 3])
        self.assertAlmostEqual(kept[1].mean, float(hb.load(self.folder / "run").metrics["mean"][1]), 5)

    def test_an_exception_in_progress(self):
        def progress(about):
            if about.generation == 2:
                raise KeyError("mine")

        with self.assertRaises(KeyError):
            hb.train(QUICK, out=self.folder / "run", progress=progress, **{**SMALL, "generations": 9999})
        self.assertIn(command_line("eval", self.folder / "run", "--set", "eval.rollouts=1", "--json")[0], "{[")

    def test_interrupt(self):
        """Ctrl-C in a training: the run is saved and can be resumed."""
        text = f"import sys; sys.path.insert(0, {PACKAGES!r}); import hebbes; print('on', flush=True); " \
               f"hebbes.train({QUICK!r}, out={str(self.folder / 'run')!r}, hidden=[6], population=8, generations=99999)"
        process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.readline()
        for _ in range(200):
            if (self.folder / "run/metrics.csv").exists():
                break
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        self.assertIn("KeyboardInterrupt", said)
        self.assertIn("interrupted after", (self.folder / "run/log.txt").read_text())


class BadInput(Scratch):
    def setUp(self):
        super().setUp()
        self.evo = hb.Evolution(obs=3, act=2, hidden=[4], population=6, generations=3)
        self.gen = next(iter(self.evo))

    def test_settings(self):
        self.refuses(lambda: hb.Evolution(populaton=3), "did you mean 'population'?")
        self.refuses(lambda: hb.Evolution(population="many"), "search.population: expected")
        self.refuses(lambda: hb.Evolution(obs=3), "expected obs and act")
        self.refuses(lambda: hb.Evolution(obs=0, act=1), "env.observation_size")
        self.refuses(lambda: hb.Evolution("nowhere.yaml"), "nowhere.yaml")
        self.refuses(lambda: hb.train(out=self.folder / "x", env="outside", population=4), "another program steps it")

    def test_arrays(self):
        lives = self.gen.ask()
        self.refuses(lambda: lives.act(np.zeros((6, 2))), "expected shape (6, 3), found (6, 2)")
        self.refuses(lambda: lives.act(np.full((6, 3), np.nan)), "expected finite observations, found nan at (0, 0)")
        self.refuses(lambda: lives.act([["a"] * 3] * 6), "expected numbers")
        self.refuses(lambda: lives.act(np.zeros((6, 3)), alive=[True]), "alive: expected shape (6,), found (1,)")
        self.refuses(lambda: lives.weights(9, 1), "expected a lane in [0, 6)")
        self.refuses(lambda: lives.weights(0, 3), "expected a layer from 1 to 2")
        self.refuses(lambda: lives.begin([0, 0], [1, 2]), "found 0 twice")
        self.refuses(lambda: lives.begin([0], [6]), "expected an individual in [0, 6)")
        np.testing.assert_array_equal(lives.act(np.zeros((6, 3)).T.copy().T), lives.act(np.zeros((6, 3), int)) * 0)

    def test_telling(self):
        self.refuses(lambda: self.gen.tell(np.zeros(6)), "generation 1 was not asked for yet")
        self.gen.ask()
        self.refuses(lambda: self.gen.tell(np.zeros(5)), "expected shape (6,), found (5,)")
        self.refuses(lambda: self.gen.tell([0, 1, 2, 3, 4, np.inf]), "found inf for individual 5")
        self.refuses(lambda: self.gen.tell(), "expected 6 returns, found none")
        self.gen.tell(range(6))
        self.refuses(lambda: self.gen.tell(range(6)), "was told before")
        self.refuses(lambda: self.gen.ask and self.evo.__dict__["_population"].act(np.zeros((6, 3))), "no life of this generation")

    def test_what_new_users_did(self):
        """Found by one who had the wheel and the page alone."""
        self.assertEqual(hb.Evolution(population=4, sigma=np.float64(0.25), hidden=np.array([8, 8]), antithetic=np.bool_(True), lr=None)["search.sigma"], "0.25")
        self.refuses(lambda: hb.Evolution(obs=3.7, act=1), "expected whole numbers")
        self.refuses(lambda: hb.Evolution(obs=3, act=1, env="ant"), "found both")
        self.refuses(lambda: hb.Evolution(out=self.folder / "a\0b", population=4), "0 byte")
        first = hb.Evolution(QUICK, out=self.folder / "nb", **SMALL)
        self.refuses(lambda: hb.Evolution(QUICK, out=self.folder / "nb", **SMALL), "another Evolution of this process has it open")
        first.close()
        again = hb.Evolution(QUICK, out=self.folder / "nb", **SMALL)
        gen = next(iter(again))
        returns = gen.live()
        self.refuses(lambda: gen.tell(returns), "expected nothing after live()")
        gen.tell()
        self.refuses(gen.ask, "was told before")
        self.gen.ask().close()
        self.gen.ask().act(np.zeros((6, 3)))
        self.refuses(lambda: self.gen.tell(np.full(6, 1e308)), "expected returns below")
        for copy in (copying.copy, copying.deepcopy, pickle.dumps):
            with self.assertRaises(TypeError):
                copy(self.evo)
        lives = self.evo.lives(4)
        lives.begin(range(4), -1, range(4))
        self.assertEqual(len({a.tobytes() for a in lives.act(np.ones((4, 3)))}), 4)
        self.refuses(lambda: lives.begin([0], np.array([2**64 - 1], np.uint64)), "expected numbers up to")
        self.assertTrue((hb.configs() / "ant/quickstart.yaml").exists())

    def test_interrupted_and_gone_on(self):
        """A generation that Ctrl-C stopped can be lived again."""
        evo = hb.Evolution(QUICK, population=400, generations=2)
        gen = next(iter(evo))
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            gen.live()
        self.assertEqual(gen.live().shape, (400,))
        gen.tell()

    def test_closed_forked_and_shared(self):
        lives = self.gen.ask()
        pid = os.fork()
        if pid == 0:
            try:
                lives.act(np.zeros((6, 3)))
            except hb.Failed as error:
                os._exit(0 if "another process" in str(error) else 1)
            os._exit(2)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.evo.close()
        self.refuses(lambda: lives.act(np.zeros((6, 3))), "it is closed")
        self.refuses(lambda: self.evo.digest(), "it is closed")
        self.evo.close()

    def test_two_threads(self):
        """Two evolutions in two threads have the bits that each has alone; one used by two threads is an exception."""

        def alone(seed, out):
            evo = hb.Evolution(QUICK, seed=seed, **SMALL)
            for gen in evo:
                gen.live()
                gen.tell()
            out[seed] = evo.digest()

        one, both = {}, {}
        for seed in (1, 2):
            alone(seed, one)
        threads = [threading.Thread(target=alone, args=(seed, both)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(one, both)
        evo = hb.Evolution(QUICK, **{**SMALL, "population": 64})
        thread = threading.Thread(target=next(iter(evo)).live)
        thread.start()
        time.sleep(0.05)
        with self.assertRaises(hb.Failed):
            for _ in range(1000):
                evo.digest()
        thread.join()

    def test_random_calls(self):
        """Calls in any order with any arguments: exceptions of ours, never a crash."""
        rng = random.Random(1)
        strange = [None, -1, 0, 1, 2**40, 0.5, "a", [], [0], [[1.0] * 3] * 6, np.zeros((6, 3)), np.full((6, 3), np.inf), np.zeros((3, 6)).T,
                   np.zeros(6), np.arange(6), np.zeros((6, 3), np.uint8), np.zeros(0), {"x": 1}]
        calls = 0
        while calls < int(os.environ.get("HB_PYTHON_CALLS", 2000)):
            evo = hb.Evolution(obs=3, act=2, hidden=[3], population=6, generations=20)
            objects = [evo, hb.Generation(evo), evo.lives(6)]
            for _ in range(50):
                target = rng.choice(objects)
                name = rng.choice([n for n in dir(target) if not n.startswith("_") and callable(getattr(target, n, None))])
                arguments = [rng.choice(strange) for _ in range(rng.randrange(4))]
                calls += 1
                try:
                    result = getattr(target, name)(*arguments)
                except (hb.Error, TypeError, ValueError, KeyError, OverflowError, MemoryError, AttributeError, IndexError):
                    continue
                if isinstance(result, (hb.Lives, hb.Generation)):
                    objects.append(result)


if __name__ == "__main__":
    unittest.main()
