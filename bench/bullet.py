#!/usr/bin/env python3
"""A second judge of Ants: the papers' own simulator, which no run here has seen.

PyBullet 3.2.7 and a port of its AntBulletEnv-v0 come from PyPI into a throw-away environment, build/bullet; where they cannot be
installed the script says so and ends with code 0. Networks come from `hebbes export` (the mean individual of the best checkpoint) and are
computed by the reader of docs/export.md. An episode is the papers': 40 steps without action, at most 960 with the policy, ended after
step 200 where 30 steps in a row went backwards or the torso is down; fitness is the progress towards the target (docs/ant.md).

usage: bench/bullet.py FOLDER... [--episodes 100] [--hebbes build/release/hebbes]
FOLDER is a run, or a study's folder of runs. Writes FOLDER/bullet.csv: a line for each run and body.
"""

import argparse
import concurrent.futures
import csv
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "build/bullet"
PYTHON = ENVIRONMENT / "bin/python"
PACKAGES = ["pybullet==3.2.7", "pybullet-envs-gymnasium==0.6.0", "gymnasium==1.4.0", "numpy"]
BURN_IN, STEPS, SETTLED, BACKWARDS = 40, 960, 200, 30
DT = 0.0165  # s

# How far the feet of legs 1 to 4 reach, in m, as in envs/ant/model.c; 0.4 in the original's file.
FEET = {
    "default": (0.4, 0.4, 0.4, 0.4),
    "palm_damage_left": (0.1, 0.4, 0.4, 0.4),
    "palm_damage_right": (0.4, 0.1, 0.4, 0.4),
    "palm_long_back": (0.4, 0.4, 0.6, 0.6),
    "palm_long_front": (0.6, 0.6, 0.4, 0.4),
    "najarro_damage_left": (0.1, 0.4, 0.4, 0.4),
    "najarro_damage_right": (0.4, 0.4, 0.4, 0.1),
}


def enter():
    """Starts this script again where PyBullet is; installs it there first."""
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
    done = subprocess.run([PYTHON, "-c", "import pybullet, pybullet_envs_gymnasium"], capture_output=True)
    if done.returncode != 0:
        command = [PYTHON, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print("skipped: PyBullet cannot be installed here")
        sys.exit(0)
    os.execv(PYTHON, [PYTHON, __file__, *sys.argv[1:], "--entered"])


def reader():
    """The class Network of docs/export.md."""
    page = (ROOT / "docs/export.md").read_text()
    names = {}
    exec(re.search(r"```python\n(.*?)```", page, re.S)[1], names)
    return names["Network"]


def body_file(name, folder):
    """The original's XML with other feet."""
    import pybullet_data

    text = pathlib.Path(pybullet_data.getDataPath(), "mjcf/ant.xml").read_text()
    reach = iter(FEET[name])

    def foot(match):
        x, y = (f"{sign}{extent}" for sign, extent in zip(match.groups(), [next(reach)] * 2))
        return f'fromto="0.0 0.0 0.0 {x} {y} 0.0"'

    text, n = re.subn(r'fromto="0\.0 0\.0 0\.0 (-?)0\.4 (-?)0\.4 0\.0"', foot, text)
    if n != 4:
        sys.exit(f"expected 4 feet in PyBullet's ant.xml, found {n}")
    path = pathlib.Path(folder, f"{name}.xml")
    path.write_text(text)
    return str(path)


def live(env, network, seed, first_observation):
    """The fitness of one episode."""
    import numpy as np

    observation, _ = env.reset(seed=seed)
    network.reset(random=np.random.default_rng(seed))
    for _ in range(BURN_IN):
        settled = env.step(np.zeros(8))[0]
    if first_observation == "after_burn_in":
        observation = settled
    fitness, backwards = 0.0, 0
    start = env.robot.walk_target_dist
    for n in range(STEPS):
        action = np.clip(network.step(np.asarray(observation, np.float32)), -1, 1)
        if not np.isfinite(action).all():
            return fitness
        observation, _, done, _, _ = env.step(action)
        fitness += env.rewards[1]
        backwards = backwards + 1 if env.rewards[1] < 0 else 0
        if n > SETTLED:
            if backwards > BACKWARDS or done:
                break
        else:
            backwards = 0
    assert abs(fitness - (start - env.robot.walk_target_dist) / DT) < 1e-3 * max(1, abs(fitness))
    return fitness


def be_quiet():
    """PyBullet talks to standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def judge(archive, body, episodes, first_observation):
    from pybullet_envs_gymnasium.gym_locomotion_envs import AntBulletEnv

    network = reader()(archive)
    env = AntBulletEnv()
    with tempfile.TemporaryDirectory() as folder:
        env.robot.model_xml = body_file(body, folder)
        return [live(env, network, 1 + k, first_observation) for k in range(episodes)]


def value(config, key, default):
    found = re.search(rf"(?m)^  {key}: (.*)$", config)
    return found[1].strip('"') if found else default


def names(text):
    return [name.strip() for name in text.strip("[]").split(",") if name.strip()]


def judge_run(run, episodes, hebbes, pool):
    import numpy as np

    config = (run / "config.yaml").read_text()
    if value(config, "name", "ant") != "ant":
        sys.exit(f"{run}: expected a run of the Ant")
    configuration, _, seed = run.name.rpartition("-seed")
    held_out = names(value(config, "held_out", "[]"))
    bodies = [*names(value(config, "variations", "[default]")), *held_out]
    with tempfile.TemporaryDirectory() as folder:
        archive = os.path.join(folder, "net.npz")
        subprocess.run([hebbes, "export", run, "--out", archive], check=True, stdout=subprocess.DEVNULL)
        first = value(config, "first_observation", "after_burn_in")
        returns = {body: pool.submit(judge, archive, body, episodes, first) for body in bodies}
        for body, lives in returns.items():
            fitness = np.array(lives.result())
            yield {"configuration": configuration or run.name, "seed": seed, "variation": body, "held_out": int(body in held_out),
                   "episodes": episodes, "mean": f"{fitness.mean():.6g}", "sd": f"{fitness.std():.6g}"}


def main():
    parser = argparse.ArgumentParser(description="Ants judged by PyBullet")
    parser.add_argument("folder", nargs="+", type=pathlib.Path)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--hebbes", default=str(ROOT / "build/release/hebbes"))
    parser.add_argument("--entered", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with concurrent.futures.ProcessPoolExecutor(initializer=be_quiet) as pool:
        for folder in arguments.folder:
            runs = [folder] if (folder / "config.yaml").exists() else sorted(p.parent for p in folder.glob("*/config.yaml"))
            if not runs:
                sys.exit(f"{folder}: expected a run, or a study's folder of runs")
            rows = []
            for run in runs:
                for row in judge_run(run, arguments.episodes, arguments.hebbes, pool):
                    print(f"{run.name:32} {row['variation']:22} {float(row['mean']):9.1f} +- {float(row['sd']):.1f}", flush=True)
                    rows.append(row)
            part = folder / "bullet.csv.part"
            with open(part, "w", newline="") as file:
                table = csv.DictWriter(file, rows[0].keys())
                table.writeheader()
                table.writerows(rows)
            os.replace(part, folder / "bullet.csv")


if __name__ == "__main__":
    if "--entered" not in sys.argv and "-h" not in sys.argv and "--help" not in sys.argv:
        enter()
    main()
