"""The Python package: asked and told by NumPy's own evolution strategy on the same noise, the command line's digests, lives against a NumPy
replay, bad input that is an exception, and many random calls that never end the process.

usage: test_python.py PACKAGES HEBBES          PACKAGES: the folder with hebbes in it"""

import contextlib
import copy as copying
import ctypes
import io
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

    def test_standardised_observations(self):
        """The search's mean and sd are NumPy's of all that individuals have seen, and actions are those of a search that is given
        standardised observations; the mean's own lives do not count."""
        sizes = {"obs": 3, "act": 2, "hidden": [4], "population": 6, "generations": 4, "seed": 5, "policy": "static"}
        rng, all_seen = np.random.default_rng(0), []
        scale, shift = np.array([3, 0.001, 40]), np.array([1, 0, -7])
        evo, plain = hb.Evolution(observations="standard", **sizes), hb.Evolution(**sizes)
        for gen, other in zip(evo, plain):
            mean, sd = (np.mean(all_seen, 0), np.maximum(np.std(all_seen, 0), 0.01)) if all_seen else (np.zeros(3), np.ones(3))
            lives, others = gen.ask(), other.ask()
            alive = np.array([True, True, False, True, True, True])
            for _ in range(20):
                seen = (rng.normal(size=(6, 3)) * scale + shift).astype(np.float32)
                np.testing.assert_allclose(lives.act(seen, alive), others.act(np.clip((seen - mean) / sd, -5, 5), alive), rtol=0, atol=1e-4)  # a float32 of 5, through weights of 3 twice
                all_seen.extend(seen[alive].astype(float))
            apart = evo.lives(2)
            apart.begin([0, 1], -1, [0, 1])
            apart.act(np.full((2, 3), 1e6))
            apart.close()
            returns = rng.normal(size=6)
            gen.tell(returns)
            other.tell(returns)
        self.refuses(lambda: hb.Evolution(obs=(3, 40, 40), act=2, observations="standard"), "not pictures")

    def test_a_generation_that_is_lived_again(self):
        digests = []
        for again in (False, True):
            evo = hb.Evolution(QUICK, observations="standard", **SMALL)
            for gen in evo:
                if again:
                    gen.live()
                gen.live()
                gen.tell()
            digests.append(evo.digest())
        self.assertEqual(*digests)

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

    def test_rewards(self):
        """A network whose changes its rewards multiply learns nothing from 0, and twice from twice; what a first step is given counts as 0; later steps
        are refused without."""
        evo = hb.Evolution(obs=3, act=2, hidden=[4], init="uni", population=4, generations=1, settings={"policy.modulate": "reward"})
        lives = next(iter(evo)).ask()
        seen = np.random.default_rng(2).normal(size=(1, 3)).astype(np.float32).repeat(4, 0)
        self.refuses(lambda: lives.act(seen, rewards=[0, 0]), "expected shape (4,), found (2,)")
        lives.begin([0, 1, 2], [0, 0, 0])
        first = lives.act(seen)
        lives.begin([1], [0])
        np.testing.assert_array_equal(lives.act(seen, alive=[False, True, False, False], rewards=[0, 9, 0, 0])[1], first[1])
        born = lives.weights(0, 1)
        self.refuses(lambda: lives.act(seen), "takes rewards")
        self.refuses(lambda: lives.act(seen, rewards=[0, 0, np.nan, 0]), "expected finite rewards, found nan at 2")
        lives.act(seen, rewards=[0, 1, 2, 0])
        np.testing.assert_array_equal(lives.weights(0, 1), born)
        change = [lives.weights(lane, 1) - born for lane in (1, 2)]
        self.assertGreater(np.abs(change[0]).max(), 1e-3)
        np.testing.assert_allclose(change[1], 2 * change[0], rtol=1e-4, atol=1e-5)

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


POLE = """
#include <stdint.h>
#include <math.h>
void reset(double *state, int32_t variation, uint64_t seed, float *observation) {
    state[0] = (double)(seed >> 40) / (1 << 24) - 0.5;
    state[1] = 0;
    state[2] = variation ? 3 : 1;
    for (int k = 0; k < 2; k++) observation[k] = (float)state[k];
}
int32_t step(double *state, const float *action, float *observation, double *reward) {
    state[1] += 0.1 * (state[2] * action[0] + state[0]);
    state[0] += 0.1 * state[1];
    for (int k = 0; k < 2; k++) observation[k] = (float)state[k];
    *reward = 1 - fabs(state[0]);
    return fabs(state[0]) > 2;
}
"""


def pole_reset(state, variation, seed, observation):
    state[:] = float(seed >> 40) / (1 << 24) - 0.5, 0, 3 if variation else 1
    observation[:] = state[:2]


def pole_step(state, action, observation, reward):
    state[1] += 0.1 * (state[2] * float(action[0]) + state[0])
    state[0] += 0.1 * state[1]
    observation[:] = state[:2]
    reward[0] = 1 - abs(state[0])
    return abs(state[0]) > 2


class Functions(Scratch):
    SIZES = {"obs": 2, "act": 1, "steps": 30, "state": 3, "variations": ("default", "strong")}
    SEARCH = {"population": 6, "hidden": [4], "generations": 4, "threads": 2, "variations": ["default", "strong"]}

    def train(self, name):
        run = hb.train(out=self.folder / name, env=name, **self.SEARCH)
        return run.digest(), [row.mean for row in run.evaluate(4)]

    def test_c_and_python(self):
        """An environment of C functions and the same of Python functions train to one digest, and are judged alike."""
        source, library = self.folder / "pole.c", self.folder / "pole.so"
        source.write_text(POLE)
        if subprocess.run(["cc", "-shared", "-fPIC", "-ffp-contract=off", "-o", library, source]).returncode != 0:
            self.skipTest("no C compiler here")
        pole = ctypes.CDLL(str(library))
        hb.add_environment("pole_c", pole.reset, ctypes.cast(pole.step, ctypes.c_void_p).value, **self.SIZES)
        hb.add_environment("pole_python", pole_reset, pole_step, **self.SIZES)
        digest, means = self.train("pole_c")
        other, again = self.train("pole_python")
        self.assertEqual(again, means)
        self.assertEqual(other, digest)
        metrics = [np.genfromtxt(self.folder / name / "metrics.csv", delimiter=",", names=True)["mean"] for name in ("pole_c", "pole_python")]
        np.testing.assert_array_equal(*metrics)
        with hb.Evolution(env="pole_c", **self.SEARCH) as evo:
            for gen in evo:
                self.assertEqual(gen.live().shape, (6,))
                gen.tell()

    def test_an_exception_ends_the_training(self):
        calls = []

        def step(state, action, observation, reward):
            calls.append(1)
            if len(calls) == 100:
                raise RuntimeError("the robot is on fire")
            return pole_step(state, action, observation, reward)

        hb.add_environment("burning", pole_reset, step, **self.SIZES)
        with self.assertRaisesRegex(RuntimeError, "on fire"):
            hb.train(out=self.folder / "run", env="burning", **{**self.SEARCH, "generations": 10000})
        with hb.Evolution(env="burning", **self.SEARCH) as evo:
            calls.clear()
            with self.assertRaisesRegex(RuntimeError, "on fire"):
                next(iter(evo)).live()
            calls.extend([0] * 100)
            next(iter(evo)).live()

    def test_a_state_is_0_at_first(self):
        """Of every life, whoever lived in its place before."""

        def reset(state, variation, seed, observation):
            observation[:] = 0

        def step(state, action, observation, reward):
            reward[0] = state[0]
            state[:] += 1
            observation[:] = 0

        hb.add_environment("counting", reset, step, **self.SIZES)
        for threads in (1, 3):
            with hb.Evolution(env="counting", population=8, hidden=[2], l2=0, threads=threads) as evo:
                np.testing.assert_array_equal(next(iter(evo)).live(), sum(range(30)))

    def test_arrays_that_are_kept(self):
        """A function's arrays are its own: keeping and changing them later changes nothing."""
        kept = []

        def step(state, action, observation, reward):
            over = pole_step(state, action, observation, reward)
            kept.append((state, action, observation, reward))
            return over

        hb.add_environment("keeping", pole_reset, step, **self.SIZES)
        hb.add_environment("pole", pole_reset, pole_step, **self.SIZES)
        first, _ = self.train("keeping")
        for arrays in kept:
            for array in arrays:
                array[:] = 1e9
        self.assertEqual(self.train("pole")[0], first)

    def test_an_exception_beside_other_trainings(self):
        """All trainings under way end by it: who called the function is not known."""

        def step(state, action, observation, reward):
            time.sleep(1e-4)
            return pole_step(state, action, observation, reward)

        def bad(state, action, observation, reward):
            time.sleep(0.02)
            raise ValueError("in one of two")

        hb.add_environment("slow", pole_reset, step, **self.SIZES)
        hb.add_environment("failing", pole_reset, bad, **self.SIZES)
        errors = {}

        def train(name):
            try:
                hb.train(out=self.folder / name, env=name, **{**self.SEARCH, "generations": 10000})
            except BaseException as error:
                errors[name] = error

        threads = [threading.Thread(target=train, args=(name,)) for name in ("slow", "failing")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({name: str(error) for name, error in errors.items()}, {"slow": "in one of two", "failing": "in one of two"})

    def test_exceptions_of_looks(self):
        def step(state, action, observation, reward):
            raise ZeroDivisionError("here")

        hb.add_environment("broken", pole_reset, pole_step, **self.SIZES)
        run = hb.train(out=self.folder / "run", env="broken", **self.SEARCH)
        hb.add_environment("broken", pole_reset, step, **self.SIZES)
        for k, look in enumerate((lambda out: run.evaluate(2), lambda out: hb.plan(env="broken", population=4), lambda out: run.probe("freeze", out, rollouts=1))):
            with self.assertRaises(ZeroDivisionError):
                look(self.folder / f"look{k}")

    def test_the_newest_is_found(self):
        for reward in (1.0, 2.0):
            def step(state, action, observation, out, reward=reward):
                observation[:], out[0] = 0, reward

            hb.add_environment("again", pole_reset, step, **self.SIZES)
            with hb.Evolution(env="again", population=2, hidden=[2], l2=0) as evo:
                np.testing.assert_array_equal(next(iter(evo)).live(), 30 * reward)

    def test_bad_input(self):
        def add(name="bad", reset=pole_reset, step=pole_step, **changes):
            return lambda: hb.add_environment(name, reset, step, **{**self.SIZES, **changes})

        for what, says in (
            (add(obs=0), "expected 1 to 4096 numbers"), (add(act=5000), "found 2 and 5000"), (add(steps=0), "expected 1 to 1e9 steps"),
            (add(state=-1), "expected a number from 0"), (add(state=2**61), "expected a number from 0"), (add(state=2**30), "a state of 0 to"),
            (add(variations="ab"), "expected a list of names"), (add(variations=["a", "a"]), "a variation has no proper name"), (add(range="wide"), "found 'wide'"), (add(variations=["a b"]), "a variation has no proper name"),
            (add(variations=[str(k) for k in range(99)]), "at most 64 variations"), (add(name="ant"), "of this build has that name"),
            (add(name="my env"), "no proper name"), (add(reset=None), "expected a function"), (add(step=0), "the address 0"),
            (add(step="step"), "expected a function"), (add(obs=2.5), "expected a whole number"), (add(step_seconds=-1), "found -1"),
            (add(name=""), "no proper name"), (add(name="a\0b"), "without a 0 byte"), (add(variations=[1]), "expected a text"), (add(variations=None), "expected a list"), (add(obs=2**40), "expected a number from 0"),
        ):
            with self.subTest(says):
                self.refuses(what, says)
        self.refuses(lambda: hb.Evolution(env="bad"), "expected an environment or a .so file, found 'bad'")


class Notebooks(Scratch):
    """What a notebook does with a run: freezes it, changes its weights, probes it, reads what the library says."""

    def setUp(self):
        super().setUp()
        self.run_ = hb.train(QUICK, out=self.folder / "run", **SMALL)

    def test_frozen(self):
        policy, seen = self.run_.policy(seed=1), np.linspace(-1, 1, 28)
        policy.act(seen)
        before, view = policy.weights(1).copy(), policy.weights(1)
        policy.freeze()
        first = policy.act(seen)
        np.testing.assert_array_equal(policy.act(seen), first)
        np.testing.assert_array_equal(view, before)
        policy.freeze(False)
        np.testing.assert_array_equal(policy.act(seen), first)  # the weights that it was frozen with
        self.assertTrue((view != before).any())
        self.assertTrue((policy.act(seen) != first).any())

    def test_weights_that_are_put(self):
        """The next action is that of a NumPy network with these weights."""
        policy, seen, rng = self.run_.policy(), np.linspace(-1, 1, 28).astype(np.float32), np.random.default_rng(0)
        weights = [rng.normal(size=policy.weights(layer).shape).astype(np.float32) for layer in (1, 2)]
        policy.put_weights(weights)
        np.testing.assert_array_equal(policy.weights(2), weights[1])
        expected = np.tanh(np.tanh(seen.astype(float) @ weights[0]) @ weights[1])
        np.testing.assert_allclose(policy.act(seen), expected, atol=2e-6)
        self.refuses(lambda: policy.put_weights(weights[:1]), "expected 2 layers, found 1")
        self.refuses(lambda: policy.put_weights(weights[::-1]), "weights of layer 1: expected shape (28, 6)")
        weights[1][0, 0] = np.nan
        self.refuses(lambda: policy.put_weights(weights), "expected finite ones, found nan at 168")
        static = hb.train(QUICK, out=self.folder / "static", policy="static", **SMALL).policy()
        self.refuses(static.freeze, "expected a network that learns")
        static.act(seen)
        self.refuses(lambda: hb.plot(out=self.folder / "x.svg"), "found none")

    def test_texts(self):
        ours, theirs = hb.info().split("environments"), command_line("info").split("environments")
        self.assertEqual(ours[0], theirs[0])
        self.assertTrue(ours[1].startswith(theirs[1][:200]), ours[1])  # and those that were added
        self.assertIn("P = 8, V = 1", hb.plan(QUICK, **SMALL))
        self.refuses(lambda: hb.plan(QUICK, poplation=3), "did you mean 'population'")

    def test_a_life_and_a_network_to_take_away(self):
        net = np.load(self.run_.export(self.folder / "net.npz"))
        self.assertEqual(net["planes1"].shape, (4, 28, 6))
        self.assertGreater(self.run_.trace(self.folder / "life.h5", steps=5, variation="palm_long_back").stat().st_size, 1000)
        self.refuses(lambda: self.run_.trace(self.folder / "other.h5", variation="ice"), "has no 'ice'")
        self.refuses(lambda: self.run_.film(self.folder / "x.png", variation="ice"), "has no 'ice'")
        self.refuses(lambda: self.run_.export(self.folder / "net.npz"), "does not exist yet")

    def test_a_probe(self):
        rows = np.genfromtxt(self.run_.probe("freeze", self.folder / "freeze", rollouts=2) / "freeze.csv", delimiter=",", names=True, dtype=None, encoding=None)
        self.assertEqual(len(rows), 14)
        self.refuses(lambda: self.run_.probe("melt", self.folder / "melt"), "found 'melt'")
        self.refuses(lambda: self.run_.probe(5, self.folder / "melt"), "what: expected a text")
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            self.run_.probe("freeze", self.folder / "long", rollouts=100000)
        self.assertFalse((self.folder / "long").exists())

    def test_progress(self):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            hb.train(QUICK, out=self.folder / "bar", progress=True, **SMALL)
        self.assertIn("3/3", out.getvalue() + err.getvalue())


class Pictures(Scratch):
    def test_pictures_as_observations(self):
        rng = np.random.default_rng(0)
        evo = hb.Evolution(obs=(3, 40, 50), act=2, hidden=[4], population=4, generations=1)
        for gen in evo:
            lives = gen.ask()
            frames = rng.integers(0, 256, (4, 3, 40, 50), np.uint8)
            first = lives.act(frames)
            self.assertEqual(first.shape, (4, 2))
            self.assertTrue((first != lives.act(frames[::-1])).any())
            self.refuses(lambda: lives.act(frames.astype(np.float32)), "expected uint8 pictures")
            self.refuses(lambda: lives.act(frames[:, :2]), "expected shape (4, 6000)")
            gen.tell([1, 2, 3, 4])
        self.refuses(lambda: hb.Evolution(obs=(3, 400, 50), act=2), "picture: expected channels, rows and columns")
        self.refuses(lambda: hb.Evolution(obs=(3, 40), act=2), "picture: expected channels, rows and columns")
        self.refuses(lambda: hb.Evolution(obs=(3, 2, 2), act=2), "no convolutions fit")


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
        evo = hb.Evolution(QUICK, **{**SMALL, "population": 1000})
        generation, refused = next(iter(evo)), []

        def until(call, over):
            try:
                while call() is not None and not over():
                    pass
            except hb.Failed as error:
                refused.append(str(error))

        thread = threading.Thread(target=until, args=(generation.live, lambda: True))
        thread.start()
        until(evo.digest, lambda: not thread.is_alive()) # whoever comes second is refused
        thread.join()
        self.assertEqual(len(refused), 1)
        self.assertIn("used by two threads", refused[0])

    def test_random_calls(self):
        """Calls in any order with any arguments: exceptions of ours, never a crash."""
        rng = random.Random(1)
        strange = [None, -1, 0, 1, 2**40, 0.5, "a", [], [0], [[1.0] * 3] * 6, np.zeros((6, 3)), np.full((6, 3), np.inf), np.zeros((3, 6)).T,
                   np.zeros(6), np.arange(6), np.zeros((6, 3), np.uint8), np.zeros(0), {"x": 1}]
        calls = 0
        policy = hb.train(QUICK, out=self.folder / "run", **SMALL).policy()
        names = ["obs", "act", "steps", "state", "range", "variations", "step_seconds"]
        for _ in range(200):
            with contextlib.suppress(hb.Error, TypeError, ValueError, AttributeError):
                hb.add_environment("strange", pole_reset, pole_step, **{**Functions.SIZES, **{name: rng.choice(strange) for name in rng.sample(names, 2)}})
        while calls < int(os.environ.get("HB_PYTHON_CALLS", 2000)):
            evo = hb.Evolution(obs=3, act=2, hidden=[3], population=6, generations=20)
            objects = [evo, hb.Generation(evo), evo.lives(6), policy]
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
