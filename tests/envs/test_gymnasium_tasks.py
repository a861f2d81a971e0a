"""env.name=mjcf with its presets and env.name=classic beside Gymnasium's own tasks: from a thousand states each, five steps under the same random
commands: observations equal to the bit (of float32), ends equal, rewards to 1e-6.

Gymnasium and MuJoCo come from PyPI into a throw-away environment; where they cannot be had the test is skipped.

usage: test_gymnasium_tasks.py ENV_WALK FOLDER          FOLDER keeps the environment
"""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import apart  # noqa: E402

apart.enter(sys.argv[2], ["gymnasium[mujoco]==1.4.0", "mujoco>=4,<5", "numpy"], "gymnasium, mujoco, imageio")
WALK, FOLDER = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
FOLDER.mkdir(parents=True, exist_ok=True)
os.chdir(FOLDER)  # MuJoCo's Python writes its log where it stands
del sys.argv[1:]

import gymnasium  # noqa: E402
import mujoco  # noqa: E402
import numpy as np  # noqa: E402

TASKS = ["Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Swimmer-v5", "Humanoid-v5", "InvertedPendulum-v5"]
CLASSIC = {"CartPole-v1": [2.5, 3, 0.25, 3], "Acrobot-v1": [3.2, 3.2, 13, 28], "MountainCar-v0": [0.9, 0.07],
           "MountainCarContinuous-v0": [0.9, 0.07], "Pendulum-v1": [9, 8]}  # sizes of a state's numbers
ENDLESS = ["HalfCheetah-v5", "Swimmer-v5", "Pendulum-v1"]
STATES, STEPS = 1000, 5


class Ours:
    def __init__(self, *options):
        self.process = subprocess.Popen([WALK, *options, f"steps={STEPS}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.nq, self.nv, self.nu, self.seen = map(int, self.process.stdout.readline().split())

    def live(self, qpos, qvel, actions):
        self.process.stdin.write(np.concatenate([qpos, qvel]).astype(np.float64).tobytes() + actions.astype(np.float32).tobytes())
        self.process.stdin.flush()
        answer = np.frombuffer(self.process.stdout.read(8 * STEPS * (self.seen + 2)), np.float64).reshape(STEPS, -1)
        return answer[:, 2:], answer[:, 0], answer[:, 1]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def states(env, rng):
    """States of lives under random commands, some fresh, some old."""
    out = []
    while len(out) < STATES:
        env.reset(seed=int(rng.integers(2**31)))
        for _ in range(rng.integers(1, 60)):
            env.step(env.action_space.sample())
            out.append((env.data.qpos.copy(), env.data.qvel.copy()))
    return [out[k] for k in rng.permutation(len(out))[:STATES]]


def classic_states(rng, most):
    """All over the range of a state; the car's position is not around 0."""
    middle = np.array([-0.3, 0]) if len(most) == 2 and most[0] < 1 else 0
    return middle + rng.uniform(-1, 1, (STATES, len(most))) * most


def theirs(env, qpos, qvel, commands):
    mujoco.mj_resetData(env.model, env.data)
    env.set_state(qpos, qvel)
    steps = [env.step(command) for command in commands]
    return np.array([s[0] for s in steps]), np.array([s[1] for s in steps]), np.array([s[2] for s in steps])


class Tasks(unittest.TestCase):
    def test_tasks(self):
        print("MuJoCo", mujoco.__version__)
        for task in TASKS:
            with self.subTest(task):
                env, rng = gymnasium.make(task).unwrapped, np.random.default_rng(1)
                env.action_space.seed(1)
                ours = Ours("mjcf", f"preset={task}")
                self.assertEqual((ours.nq, ours.nv, ours.nu), (env.model.nq, env.model.nv, env.model.nu))
                self.assertEqual(ours.seen, env.observation_space.shape[0])
                least, most = env.model.actuator_ctrlrange.T
                worst, bits, ends = 0.0, 0, 0
                for qpos, qvel in states(env, rng):
                    actions = rng.uniform(-1, 1, (STEPS, ours.nu)).astype(np.float32)
                    commands = (0.5 * (least + most) + 0.5 * (most - least) * actions.astype(float)).astype(np.float32)
                    seen, reward, over = ours.live(qpos, qvel, actions)
                    their_seen, their_reward, their_over = theirs(env, qpos, qvel, commands)
                    bits += int((seen.astype(np.float32) != their_seen.astype(np.float32)).sum())
                    worst = max(worst, float((np.abs(reward - their_reward) / np.maximum(1, np.abs(their_reward))).max()))
                    np.testing.assert_array_equal(over != 0, their_over)
                    ends += int(their_over.sum())
                ours.close()
                print(f"{task:20} {ours.seen:4d} numbers; {bits} of {STATES * STEPS * ours.seen} differ; rewards within {worst:.1e}; {ends} steps ended a life")
                self.assertEqual(bits, 0)
                self.assertLess(worst, 1e-6)
                self.assertEqual(ends > 0, task not in ENDLESS)

    def test_classic(self):
        for task, most in CLASSIC.items():
            with self.subTest(task):
                env, rng = gymnasium.make(task).unwrapped, np.random.default_rng(1)
                env.action_space.seed(1)
                ours, size = Ours("classic", f"task={task}"), len(most)
                discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
                worst, bits, ends = 0.0, 0, 0
                for state in classic_states(rng, most):
                    actions = rng.uniform(-1, 1, (STEPS, ours.nu)).astype(np.float32)
                    state = state.astype(np.float32).astype(float) if "Continuous" in task else state  # a float32 there
                    seen, reward, over = ours.live(np.r_[state, np.zeros(4 - size)], np.zeros(0), actions)
                    env.reset(seed=0)
                    env.state = state.astype(np.float32) if "Continuous" in task else state
                    for t in range(STEPS):
                        command = int(actions[t].argmax()) if discrete else actions[t] * env.action_space.high
                        env.steps_beyond_terminated = None  # CartPole's: every step is judged as the first
                        their_seen, their_reward, their_over, _, _ = env.step(command)
                        bits += int((seen[t].astype(np.float32) != np.asarray(their_seen, np.float32)).sum())
                        worst = max(worst, abs(reward[t] - their_reward) / max(1, abs(their_reward)))
                        self.assertEqual(over[t] != 0, their_over)
                        ends += their_over
                ours.close()
                print(f"{task:26} {bits} of {STATES * STEPS * ours.seen} numbers differ; rewards within {worst:.1e}; {ends} steps ended a life")
                self.assertEqual(bits, 0)
                self.assertLess(worst, 1e-6)
                self.assertEqual(ends > 0, task not in ENDLESS)


unittest.main()
