"""CarRacing against Gymnasium's: the same checkpoints, the same track, the same actions.

Gymnasium, pygame and Box2D 2.3.10 come from PyPI into a throw-away environment; where they cannot be had the test is
skipped. Ours is Box2D 2.4.1, whose joint limits are solved one side at a time, so equal sums are added in another order:
one step from the same state differs by some units in the last place of a float32 coordinate (2^-15 at 256: 3e-5). Free
runs stay as near while no wheel is at its limit of 0.4 rad, and part from there on: that is reported, not judged.

usage: test_gymnasium.py CAR_WALK FOLDER          FOLDER keeps the environment and pairs of pictures, ours on the left
"""

import math
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import apart  # noqa: E402

apart.enter(sys.argv[2], ["gymnasium==1.4.0", "pygame==2.6.1", "box2d==2.3.10", "numpy"], "gymnasium, pygame, Box2D")
WALK, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
del sys.argv[1:]

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402


def pose(body):
    return [*body.position, body.angle, *body.linearVelocity, body.angularVelocity]


def state_of(env):
    state = pose(env.car.hull)
    for wheel in env.car.wheels:
        state += pose(wheel) + [wheel.joint.angle, wheel.omega, wheel.phase, wheel.gas, bool(wheel.tiles)]
    return np.array(state, float)


def numbers(values):
    return " ".join(repr(float(v)) for v in values)


class Ours:
    """car_walk on a track, an option a keyword."""

    def __init__(self, track, **options):
        command = [WALK, *(f"{name}={value}" for name, value in options.items())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.say(f"{len(track)}\n" + "\n".join(numbers(point) for point in track))
        self.start = self.read()

    def say(self, text):
        self.process.stdin.write((text + "\n").encode())
        self.process.stdin.flush()

    def read(self):
        return np.array([float(v) for v in self.process.stdout.readline().split()])

    def step(self, action):
        self.say("step " + numbers(action))
        answer = self.read()
        return answer[0], int(answer[1]), int(answer[2]), answer[3:]

    def put(self, state):
        self.say("set " + " ".join(repr(float(v)) if k % 11 != 5 or k == 5 else str(int(v)) for k, v in enumerate(state)))
        return self.read()

    def frame(self, samples):
        self.say(f"frame 96 96 {samples}")
        return np.frombuffer(self.process.stdout.read(96 * 96 * 3), np.uint8).reshape(96, 96, 3)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait()


def actions(seed, n):
    random = np.random.default_rng(seed)
    steer = np.repeat(random.uniform(-0.6, 0.6, n // 10 + 1), 10)[:n]
    return np.stack([steer, random.uniform(0, 0.8, n), random.uniform(0, 0.2, n)], 1).astype(np.float32)


def write_png(path, rgb):
    import pygame

    pygame.image.save(pygame.surfarray.make_surface(rgb.repeat(4, 0).repeat(4, 1).swapaxes(0, 1)), str(path))


class Gymnasium(unittest.TestCase):
    def setUp(self):
        self.env = gymnasium.make("CarRacing-v3").unwrapped

    def test_tracks(self):
        """The generator: Gym's draws are overheard and given to ours."""
        refused = 0
        for seed in range(60):
            drawn = []
            self.env.reset(seed=seed)
            source = self.env.np_random

            class Overheard:
                def uniform(self, low, high):
                    drawn.append(source.uniform(low, high))
                    return drawn[-1]

            self.env.road_poly = []
            self.env.np_random = Overheard()
            closed = self.env._create_track()
            self.env.np_random = source
            given = "0\n" + numbers(drawn)
            done = subprocess.run([WALK], input=given + "\n", capture_output=True, text=True)
            ours = [float(v) for v in done.stdout.splitlines()[0].split()]
            refused += not closed
            self.assertEqual(ours[0] > 0, closed)
            if closed:
                self.assertEqual(ours[0], len(self.env.track))
                points = np.array(ours[1:]).reshape(-1, 5)
                np.testing.assert_allclose(points[:, :4], np.array(self.env.track), rtol=0, atol=1e-9)
                kerbs = sum(1 for _, colour in self.env.road_poly if tuple(colour) in [(255, 255, 255), (255, 0, 0)])
                self.assertEqual(points[:, 4].sum(), kerbs)
        print(f"60 draws of checkpoints, {refused} refused by both; tracks and kerbs equal")

    def test_free_running(self):
        """Reward for reward and tile for tile; how far the positions part is reported."""
        parted = {k: [] for k in (1, 2, 5, 10, 50, 100, 300)}
        compared = 0
        for seed in range(6):
            self.env.reset(seed=seed)
            ours = Ours(self.env.track, early_stop=0, lap_complete=0.95, render="later")
            self.assertLess(np.abs(ours.start - state_of(self.env)).max(), 1e-5)
            far = False
            for k, action in enumerate(actions(seed, 300), 1):
                _, reward, *_ = self.env.step(action)
                our_reward, _, tiles, state = ours.step(action)
                difference = np.abs(state - state_of(self.env))
                if k in parted:
                    parted[k].append(difference[:2].max())
                far = far or difference[:2].max() > 1e-3
                compared += not far
                if not far:  # a tile may be reached a step earlier when the cars are apart
                    self.assertAlmostEqual(our_reward, reward, delta=1e-9)
                    self.assertEqual(tiles, self.env.tile_visited_count)
            ours.close()
        for k, distances in parted.items():
            print(f"after {k:3d} steps: positions {np.median(distances):.1e} apart, at most {max(distances):.1e}")
        print(f"rewards and tiles of {compared} steps equal")
        self.assertLess(max(parted[5]), 1e-4)
        self.assertGreater(compared, 60)

    def test_one_step_from_the_same_state(self):
        """Every step starts from Gym's state; only the joints' memory of the step before is not given."""
        worst, free, limit = np.zeros(6), np.zeros(11), np.zeros(11)
        for seed in range(4):
            self.env.reset(seed=100 + seed)
            ours = Ours(self.env.track, early_stop=0, lap_complete=0.95)
            for action in actions(seed, 150):
                before = state_of(self.env)
                ours.put(before)
                self.env.step(action)
                _, _, _, state = ours.step(action)
                difference = np.abs(state - state_of(self.env))
                worst = np.maximum(worst, difference[:6])
                for wheel, joint in zip(difference[6:].reshape(4, 11), before[6:].reshape(4, 11)[:, 6]):
                    if abs(joint) < 0.3:  # a step turns a wheel by 0.06 at most
                        free = np.maximum(free, wheel)
                    limit = np.maximum(limit, wheel)
            ours.close()
        print("one step: hull's position {:.1e} {:.1e}, angle {:.1e}, speed {:.1e} {:.1e}, spin {:.1e} apart at most".format(*worst[:6]))
        names = ["x", "y", "angle", "vx", "vy", "spin", "joint", "omega", "phase", "gas", "road"]
        for which, wheels in (("away from their limits", free), ("all", limit)):
            print(f"one step, wheels, {which}: " + ", ".join(f"{n} {w:.1e}" for n, w in zip(names, wheels)))
        self.assertTrue((worst < [1e-4, 1e-4, 2e-4, 5e-3, 5e-3, 5e-2]).all())
        self.assertTrue((free < [1e-3, 1e-3, 1e-3, 5e-2, 5e-2, 5e-2, 1e-3, 1e-6, 1e-6, 1e-6, 0.5]).all())
        # At a limit 2.4.1 stops a wheel one step earlier or later: 3 rad/s, 0.06 rad.
        self.assertTrue((limit < [1e-3, 1e-3, 0.061, 5e-2, 5e-2, 3.1, 0.061, 1e-6, 1e-6, 1e-6, 0.5]).all())

    def test_pictures(self):
        """96 x 96 pixels of the same state as Gymnasium draws them: equal but for edges, whose anti-aliasing takes 16 samples of ours."""
        shares, cars = [], []
        for seed in range(4):
            self.env.reset(seed=200 + seed)
            ours = Ours(self.env.track, early_stop=0, lap_complete=0.95, render="later")
            for k, action in enumerate(actions(seed, 120), 1):
                ours.put(state_of(self.env))
                picture, *_ = self.env.step(action)
                ours.step(action)
                if k in (2, 25, 60, 120):
                    ours_too = ours.frame(4)
                    shares.append(equal_but_edges(ours_too, picture))
                    box = np.abs(ours_too.astype(int) - picture)[64:80, 42:54]  # no edge is forgiven here
                    cars.append((box.max(2) <= 48).mean())
                    write_png(FOLDER / f"frame-{seed}-{k}.png", np.concatenate([ours_too, picture], 1))
            ours.close()
        print("pixels equal or on an edge: {:.4f} on average, {:.4f} at least".format(np.mean(shares), min(shares)))
        self.assertGreater(min(shares), 0.99)
        print("the car's own pixels: {:.3f} alike on average, {:.3f} at least".format(np.mean(cars), min(cars)))
        self.assertGreater(min(cars), 0.9)


def equal_but_edges(ours, theirs):
    """The share of pixels within 3 of each other, or between the colours of a 3 x 3 neighbourhood of the other picture."""
    a, b = ours.astype(int), theirs.astype(int)
    padded = np.pad(b, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.stack([padded[i : i + 96, j : j + 96] for i in range(3) for j in range(3)])
    equal = np.abs(a - b).max(2) <= 3
    edge = (np.ptp(around, axis=0).max(2) > 3) & (a >= around.min(0) - 3).all(2) & (a <= around.max(0) + 3).all(2)
    rows = np.ones(96, bool)
    rows[84:] = False  # instruments: theirs write the score there, ours do not
    return (equal | edge)[rows].mean()


unittest.main()
