"""env.preset beside Gymnasium's own tasks: from a thousand states each, five steps under the same random commands: observations equal to the bit (of
float32), ends equal, rewards to 1e-6.

Gymnasium and MuJoCo come from PyPI into a throw-away environment; where they cannot be had the test is skipped.

usage: test_mjcf_gymnasium.py MJCF_WALK FOLDER          FOLDER keeps the environment
"""

import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import apart  # noqa: E402

apart.enter(sys.argv[2], ["gymnasium[mujoco]==1.4.0", "mujoco>=4,<5", "numpy"], "gymnasium, mujoco, imageio")
WALK = sys.argv[1]
del sys.argv[1:]

import gymnasium  # noqa: E402
import mujoco  # noqa: E402
import numpy as np  # noqa: E402

TASKS = ["Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Swimmer-v5", "Humanoid-v5", "InvertedPendulum-v5"]
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
                ours = Ours(f"preset={task}")
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


unittest.main()
