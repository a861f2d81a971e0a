"""The package beside Gymnasium: its environments in our loop, ours as its vector environments, bit for bit those of one environment.

usage: test_vector.py PACKAGES FOLDER          FOLDER keeps the environment with Gymnasium"""

import os
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import apart  # noqa: E402

apart.enter(sys.argv[2], ["gymnasium==1.4.0", "pygame==2.6.1", "box2d==2.3.10", "numpy"], "gymnasium, pygame, Box2D")
sys.path.insert(0, sys.argv[1])
del sys.argv[1:]

import gymnasium as gym  # noqa: E402
import numpy as np  # noqa: E402

import hebbes as hb  # noqa: E402
from gymnasium.utils.env_checker import check_env  # noqa: E402


class Theirs(unittest.TestCase):
    def test_cart_pole(self):
        """The loop of docs/python.md on CartPole: plastic networks learn to hold the pole for longer."""
        envs = gym.make_vec("CartPole-v1", num_envs=32, vectorization_mode="sync", max_episode_steps=100)
        evo = hb.Evolution(obs=4, act=2, hidden=[8], population=32, generations=15, seed=3, common="generation", sigma=0.3)
        means = []
        for gen in evo:
            lives = gen.ask()
            obs, _ = envs.reset(seed=gen.seed)
            total, alive = np.zeros(32), np.ones(32, bool)
            while alive.any():
                obs, r, term, trunc, _ = envs.step(lives.act(obs).argmax(1))
                total += r * alive
                alive &= ~(term | trunc)
            means.append(gen.tell(total).mean)
        print("CartPole, mean return by generation:", *[round(m) for m in means])
        self.assertGreater(np.mean(means[-3:]), 1.5 * np.mean(means[:3]))


class Ours(unittest.TestCase):
    def pairs(self, **settings):
        many, one = hb.make_vec("ant", 20, **settings), hb.make_vec("ant", 1, **settings)
        self.addCleanup(many.close)
        self.addCleanup(one.close)
        return many, one

    def test_one_among_many(self):
        """An environment beside others, some of which start anew while it runs, has the bits that it has alone."""
        for engine in ("lanes", "mujoco"):
            with self.subTest(engine):
                many, one = self.pairs(engine=engine)
                (obs, _), (single, _) = many.reset(seed=3), one.reset(seed=3 + 13)
                rng = np.random.default_rng(0)
                for t in range(400):
                    np.testing.assert_array_equal(obs[13], single[0])
                    if t in (50, 51, 200):
                        mask = rng.random(20) < 0.3
                        mask[[13, 2]] = False, True
                        before = obs[~mask]
                        obs, _ = many.reset(options={"reset_mask": mask})
                        np.testing.assert_array_equal(obs[~mask], before)
                    actions = rng.uniform(-1, 1, (20, 8)).astype(np.float32)
                    obs, *rest = many.step(actions)
                    single, *alone = one.step(actions[13:14])
                    for ours, theirs in zip(rest[:3], alone[:3]):
                        self.assertEqual(ours[13], theirs[0])

    def test_an_ended_life_stays_ended(self):
        """Where others are reset, one that the host has ended earns nothing and stands still, at every width."""
        for width in (0, 1):
            with self.subTest(width):
                envs = hb.make_vec("mjcf", 3, engine="lanes", autoreset="disabled",
                                   settings={"env.preset": "HalfCheetah-v5", "env.max_steps": 5, "run.width": width})
                envs.reset(seed=1)
                actions = np.full((3, 6), 0.5, np.float32)
                for _ in range(5):
                    obs, _, _, truncated, _ = envs.step(actions)
                self.assertTrue(truncated.all())
                last = obs[2].copy()
                envs.reset(options={"reset_mask": np.array([False, True, False])})
                obs, reward, *_ = envs.step(actions)
                self.assertEqual((reward[0], reward[2]), (0, 0))
                self.assertNotEqual(reward[1], 0)
                np.testing.assert_array_equal(obs[2], last)
                envs.close()

    def test_seeds(self):
        """One seed, one episode; without a seed the next one, which is another."""
        envs = hb.make_vec("ant", 4)
        first, _ = envs.reset(seed=[5, 6, 7, 8])
        second, _ = envs.reset()
        again, _ = envs.reset(seed=5)
        np.testing.assert_array_equal(again, first)
        self.assertFalse((second == first).all(1).any())
        np.testing.assert_array_equal(envs.reset()[0], second)

    def test_ends(self):
        """Disabled, an episode that is over stays so, with reward 0; else it starts anew with the next step."""
        envs = hb.make_vec("ant", 10, early_stop=True)
        envs.reset(seed=0)
        self.assertEqual(envs.metadata["autoreset_mode"], gym.vector.AutoresetMode.DISABLED)
        over = np.zeros(10, bool)
        for _ in range(1100):
            _, reward, term, trunc, _ = envs.step(np.zeros((10, 8)))
            self.assertTrue((reward[over] == 0).all())
            self.assertTrue((term | trunc)[over].all())
            over |= term | trunc
        self.assertTrue(over.all())
        envs = hb.make_vec("ant", 3, autoreset="next_step")
        envs.reset(seed=0)
        ends, steps = 0, 0
        while ends < 4:
            _, reward, term, trunc, _ = envs.step(np.zeros((3, 8)))
            ends += (term | trunc).sum()
            steps += 1
        self.assertGreater(steps, 250)

    def test_spaces_and_wrappers(self):
        for name, settings in (("ant", {}), ("ant", {"engine": "mujoco", "profile": "light"}), ("car", {"time_limit": 30})):
            with self.subTest(name, **settings):
                envs = gym.wrappers.vector.RecordEpisodeStatistics(hb.make_vec(name, 2, **settings))
                obs, info = envs.reset(seed=1)
                self.assertEqual(info, {})
                for _ in range(5):
                    self.assertEqual((obs.shape, obs.dtype), (envs.observation_space.shape, envs.observation_space.dtype))
                    self.assertTrue(envs.observation_space.contains(obs))
                    actions = np.clip(envs.action_space.sample(), -1, 1)
                    obs, reward, term, trunc, _ = envs.step(actions)
                    self.assertEqual((reward.shape, term.dtype, trunc.shape), ((2,), bool, (2,)))
                envs.close()

    def test_a_policy_in_its_own_world(self):
        """The example of docs/python.md: a run's mean individual, in its environment, has the return of an evaluation's order."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            quick = pathlib.Path(__file__).resolve().parent.parent.parent / "configs/ant/quickstart.yaml"
            run = hb.train(quick, out=folder + "/run", generations=2, population=16, hidden=[8])
            policy, envs = run.policy(seed=7), hb.make_vec("ant", 1)
            obs, _ = envs.reset(seed=0)
            total = 0.0
            for _ in range(1000):
                obs, reward, term, trunc, _ = envs.step(policy.act(obs))
                total += reward[0]
                if term[0] or trunc[0]:
                    break
            self.assertTrue(np.isfinite(total))

    def test_gymnasiums_checker(self):
        """What check_env says beside errors is what is meant: observations have no bounds."""
        import warnings

        import hebbes.gym  # noqa: F401

        for name, settings in (("Ant", {}), ("Ant", {"engine": "mujoco"}), ("Car", {"time_limit": 30})):
            with self.subTest(name, **settings), warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", message=".*observation space .* value is -?infinity.*|.*Overriding environment.*")
                env = gym.make(f"hebbes/{name}-v0", **settings)
                check_env(env.unwrapped)
                many = gym.make_vec(f"hebbes/{name}-v0", num_envs=2, **settings)
                np.testing.assert_array_equal(env.reset(seed=4)[0], many.reset(seed=4)[0][0])
                env.close()
                many.close()

    def test_pictures(self):
        for name in ("ant", "car"):
            envs = hb.make_vec(name, 2, render_mode="rgb_array", size=(64, 48), settings={"run.threads": 2})
            self.assertIn("rgb_array", envs.metadata["render_modes"])
            self.assertAlmostEqual(envs.metadata["render_fps"], {"ant": 1 / 0.0165, "car": 50}[name])
            envs.reset(seed=0)
            try:
                first = envs.render()
            except hb.Failed as error:  # no OpenGL here
                print("skipped:", error)
                continue
            self.assertEqual([(p.shape, p.dtype) for p in first], [((48, 64, 3), np.uint8)] * 2)
            self.assertGreater(first[0].std(), 5)
            for _ in range(60):
                envs.step(np.ones(envs.action_space.shape))
            pictures = []
            thread = threading.Thread(target=lambda: pictures.extend(envs.render()))  # any thread may draw
            thread.start()
            thread.join()
            self.assertTrue((pictures[1][24:] != first[1][24:]).any())  # below the caption
            envs.close()
        with self.assertRaises(hb.BadInput) as caught:
            envs = hb.make_vec("ant", 20, render_mode="rgb_array", settings={"run.width": 4})
            envs.reset(seed=0)
            envs.render()
        self.assertIn("run.width=1", str(caught.exception))

    def test_bad_input(self):
        envs = hb.make_vec("ant", 2)
        cases = [(lambda: hb.make_vec("ant", 2, frictoin=1), "did you mean 'friction'"), (lambda: hb.make_vec("ant", 0), "expected 1 to"),
                 (lambda: hb.make_vec("ant", 2.5), "expected a whole number"), (lambda: hb.make_vec("outside", 2), "another program steps it"),
                 (lambda: hb.make_vec("ant", 2, autoreset="often"), "autoreset"), (lambda: hb.make_vec("ant", 2, render_mode="human"), "render_mode"), (lambda: envs.step(np.zeros((2, 8))), "was not reset yet"),
                 (lambda: envs.reset(options={"varation": 1}), "options: expected"), (lambda: envs.reset(seed=[1]), "seed: expected"),
                 (lambda: envs.reset(options={"variation": "ice"}), "variation: expected one of default"),
                 (lambda: envs.reset(options={"reset_mask": np.zeros(2, bool)}), "one environment at least")]
        for call, says in cases:
            with self.subTest(says), self.assertRaises(hb.BadInput) as caught:
                call()
            self.assertIn(says, str(caught.exception))
        envs.reset(seed=1)
        for actions, says in ((np.zeros((2, 7)), "expected shape (2, 8)"), (np.full((2, 8), np.nan), "found nan at (0, 0)")):
            with self.assertRaises(hb.BadInput) as caught:
                envs.step(actions)
            self.assertIn(says, str(caught.exception))
        envs.close()
        with self.assertRaises(hb.BadInput):
            envs.step(np.zeros((2, 8)))


os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
unittest.main()
