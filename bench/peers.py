#!/usr/bin/env python3
"""CarRacing's step, ours beside other programs': one core each, the same machine, one run.

Gymnasium (with pygame and Box2D) and EnvPool come from PyPI into a throw-away environment, build/peers; what cannot be
installed here is left out and said so. All drive with random actions and start anew when an episode ends; ours stops no
life early, as they do not.

usage: bench/peers.py [HEBBES]                    default: build/release/hebbes
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/peers"
PYTHON = FOLDER / "bin/python"
SECONDS = 5.0


def install(packages):
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *packages]
    return subprocess.run(command, capture_output=True, text=True).returncode == 0


def per_step(step):
    """Microseconds of the faster of two runs."""
    best = float("inf")
    for _ in range(2):
        begun, steps = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS / 2:
            step()
            steps += 1
        best = min(best, 1e6 * (time.perf_counter() - begun) / steps)
    return best


def time_gymnasium():
    import gymnasium
    import numpy as np

    env = gymnasium.make("CarRacing-v3")
    env.reset(seed=1)
    random = np.random.default_rng(1)

    def step():
        _, _, ended, cut, _ = env.step(np.array([random.uniform(-1, 1), random.random(), 0], np.float32))
        if ended or cut:
            env.reset()

    print(f"Gymnasium {gymnasium.__version__} CarRacing-v3: {per_step(step):.0f} us a step")


def time_envpool():
    import envpool
    import numpy as np

    env = envpool.make("CarRacing-v3", env_type="gymnasium", num_envs=1, num_threads=1, seed=1)
    env.reset()
    random = np.random.default_rng(1)
    step = lambda: env.step(np.array([[random.uniform(-1, 1), random.random(), 0]], np.float64))  # noqa: E731
    print(f"EnvPool {envpool.__version__} CarRacing-v3: {per_step(step):.0f} us a step")


def time_ours(hebbes):
    sets = ["env.name=car", "env.early_stop=0"]
    for render in ("v0", "later"):
        command = [hebbes, "bench", "env", "--json"]
        for item in [*sets, f"env.render={render}"]:
            command += ["--set", item]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        row = json.loads(lines[0])
        print(f"hebbes, render={render}: {row['value']:.0f} us a step with its 84 x 84 frame, "
              f"{row['limit']:.0f} of them in Box2D")


def main():
    if "--peer" in sys.argv:
        {"gymnasium": time_gymnasium, "envpool": time_envpool}[sys.argv[sys.argv.index("--peer") + 1]]()
        return
    if not PYTHON.exists():
        venv.create(FOLDER, with_pip=True, clear=True)
    time_ours(sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/hebbes"))
    for name, packages in (("gymnasium", ["gymnasium", "pygame", "box2d", "numpy"]), ("envpool", ["envpool", "gymnasium"])):
        if not install(packages):
            print(f"{name}: cannot be installed here")
            continue
        done = subprocess.run([PYTHON, __file__, "--peer", name], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        print(done.stdout.strip() or f"{name}: does not run here: {done.stderr.strip().splitlines()[-1:]}")


main()
