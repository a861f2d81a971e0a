#!/usr/bin/env python3
"""Our figures beside other programs': one core each, the same machine, one run.

The peers come from PyPI into throw-away environments under build/peers; what cannot be installed here is left out and said so. Rates are
a second: environment steps, synapse updates (a plastic step of an Ant's network updates 12,288), search updates (an update of the
distribution from 500 individuals of 61,440 numbers). What is compared is said beside each: no peer computes quite the same.

usage: bench/peers.py [HEBBES] [--only ant|car|tasks|network|search]          default: build/release/hebbes, all
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/peers"
SECONDS = 5.0
SYNAPSES = [(28, 128), (128, 64), (64, 8)]  # 12,288
POPULATION, NUMBERS = 500, 61440
CLASSIC = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]
TASKS = ["Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Swimmer-v5", "Humanoid-v5", "InvertedPendulum-v5", *CLASSIC]
LIVES = 64  # that a peer steps together: several, so that its overhead a call is shared


def report(subject, who, seconds, each, note=""):
    """`each` of the subject's units take `seconds`."""
    unit = {"ant": "env steps", "car": "env steps", "tasks": "env steps", "network": "synapse updates", "search": "search updates"}[subject]
    print(f"{subject:8} {who:34} {each / seconds:12.4g} {unit}/s  {note}", flush=True)


def per_call(call):
    """Seconds of a call, in the faster of two runs."""
    best = float("inf")
    for _ in range(2):
        begun, calls = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS / 2:
            call()
            calls += 1
        best = min(best, (time.perf_counter() - begun) / calls)
    return best


# ---------------------------------------------------------------------------------------------------
# Ours


def bench(hebbes, what, *sets):
    command = [hebbes, "bench", what, "--json", "--set", "run.threads=1"]
    for item in sets:
        command += ["--set", item]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def our_ant(hebbes):
    for profile in ("light", "bullet"):
        rows = bench(hebbes, "env", f"env.profile={profile}")
        for engine in ("lanes", "mujoco"):
            report("ant", f"hebbes, {engine}, {profile}", 1e-6 * rows[f"env.ant.{engine}"]["value"], 1, "16.5 ms of simulation a step")


def our_car(hebbes):
    for render in ("v0", "later"):
        row = bench(hebbes, "env", "env.name=car", "env.early_stop=0", f"env.render={render}")["env.car.step"]
        report("car", f"hebbes, render={render}", 1e-6 * row["value"], 1, f"with its frame; Box2D alone {1e6 / row['limit']:.4g}")


def our_tasks(hebbes):
    """Through the door, as theirs are."""
    for task in TASKS:
        name, key = ("classic", "task") if task in CLASSIC else ("mjcf", "preset")
        row = bench(hebbes, "vec", f"env.name={name}", f"env.{key}={task}")[f"vec.{name}.step"]
        report("tasks", f"hebbes, {task}", 1e-6 * row["value"], 1, "256 together")


def our_network(hebbes):
    for planes in ("float32", "float16"):
        row = bench(hebbes, "step", f"policy.planes={planes}")["step.ant.abcd_lr"]
        report("network", f"hebbes, planes {planes}", 1e-6 * row["value"], sum(i * o for i, o in SYNAPSES), "ABCD_lr, a rule a synapse")


def our_search(hebbes):
    row = bench(hebbes, "es")[f"es.ant.{POPULATION}x{NUMBERS}.update"]
    report("search", "hebbes", row["value"], 1, "antithetic, noise drawn again, exact order")


# ---------------------------------------------------------------------------------------------------
# Theirs, each in its own process on one core


def draw_of(space, subject, random, n=None):
    """Draws commands: full speed for the Car, else uniform in [-1, 1] or of the choices; n: so many of them."""
    import numpy as np

    shape = ((n,) if n else ()) + tuple(space.shape)
    if space.shape == ():
        return lambda: random.integers(space.n, size=n or None)
    low, high = (np.array([-1, 0, 0]), np.array([1, 1, 0])) if subject == "car" else (-1.0, 1.0)
    return lambda: random.uniform(low, high, shape).astype(space.dtype)


def gymnasium_env(subject, name, note):
    import gymnasium
    import numpy as np

    env = gymnasium.make(name)
    env.reset(seed=1)
    draw = draw_of(env.action_space, subject, np.random.default_rng(1))

    def step():
        _, _, ended, cut, _ = env.step(draw())
        if ended or cut:
            env.reset()

    report(subject, f"Gymnasium {gymnasium.__version__} {name}", per_call(step), 1, note)


def envpool_env(subject, name, note, n=1):
    import envpool
    import numpy as np

    env = envpool.make(name, env_type="gymnasium", num_envs=n, num_threads=1, seed=1)
    env.reset()
    draw = draw_of(env.action_space, subject, np.random.default_rng(1), n)
    report(subject, f"EnvPool {envpool.__version__} {name}", per_call(lambda: env.step(draw())), n, note)


def each(work, tasks, note):
    """What cannot be made here is said, and the next one tried."""
    for task in tasks:
        try:
            work("tasks", task, note)
        except Exception as error:
            print(f"tasks    {task:34} does not run here: {str(error).splitlines()[:1]}", flush=True)


def numpy_network():
    import numpy as np

    random = np.random.default_rng(1)
    w = [random.uniform(-0.1, 0.1, (LIVES, i, o)).astype(np.float32) for i, o in SYNAPSES]
    planes = [0.01 * random.standard_normal((4, LIVES, i, o)).astype(np.float32) for i, o in SYNAPSES]
    x = random.standard_normal((LIVES, 28)).astype(np.float32)

    def step():
        pre = x
        for k in range(3):
            post = np.tanh(np.einsum("li,lio->lo", pre, w[k]))
            a, b, c, d = planes[k]
            w[k] += (a * pre[:, :, None] + c) * post[:, None, :] + b * pre[:, :, None] + d
            np.clip(w[k], -1, 1, out=w[k])  # or it grows without end under one observation
            pre = post

    report("network", f"NumPy {np.__version__}", per_call(step), LIVES * sum(i * o for i, o in SYNAPSES), f"{LIVES} lives a call")


def jax_network():
    import jax
    import jax.numpy as jnp

    key = jax.random.key(1)
    w = [0.1 * jax.random.uniform(key, (LIVES, i, o)) for i, o in SYNAPSES]
    planes = [0.01 * jax.random.normal(key, (4, LIVES, i, o)) for i, o in SYNAPSES]
    x = jax.random.normal(key, (LIVES, 28))

    def life_step(w, planes, pre):
        after = []
        for wk, (a, b, c, d) in zip(w, planes):
            post = jnp.tanh(pre @ wk)
            after.append(jnp.clip(wk + (a * pre[:, None] + c) * post + b * pre[:, None] + d, -1, 1))
            pre = post
        return after, pre

    step = jax.jit(jax.vmap(life_step, in_axes=(0, [1, 1, 1], 0)), donate_argnums=0)
    state = [w]

    def call():
        state[0], out = step(state[0], planes, x)
        out.block_until_ready()

    call()
    report("network", f"JAX {jax.__version__}, jit and vmap", per_call(call), LIVES * sum(i * o for i, o in SYNAPSES), f"{LIVES} lives a call")


def evosax_search():
    import jax
    import jax.numpy as jnp
    from importlib.metadata import version

    from evosax.algorithms import Open_ES

    es = Open_ES(population_size=POPULATION, solution=jnp.zeros(NUMBERS))
    params = es.default_params
    state = [es.init(jax.random.key(1), jnp.zeros(NUMBERS), params)]
    fitness = jax.random.normal(jax.random.key(2), (POPULATION,))
    ask, tell = jax.jit(es.ask), jax.jit(es.tell)

    def call():
        population, after = ask(jax.random.key(3), state[0], params)
        state[0], _ = tell(jax.random.key(4), population, fitness, after, params)
        jax.block_until_ready(state[0])

    call()
    report("search", f"evosax {version('evosax')} Open_ES", per_call(call), 1, "ask and tell; ours makes individuals when they are born")


PEERS = {  # name: subject, packages, function
    "gymnasium-ant": ("ant", ["gymnasium[mujoco]"], lambda: gymnasium_env("ant", "Ant-v5", "50 ms of simulation a step")),
    "envpool-ant": ("ant", ["envpool", "gymnasium"], lambda: envpool_env("ant", "Ant-v4", "50 ms of simulation a step")),
    "gymnasium-car": ("car", ["gymnasium", "pygame", "box2d", "numpy"], lambda: gymnasium_env("car", "CarRacing-v3", "with its frame")),
    "envpool-car": ("car", ["envpool", "gymnasium"], lambda: envpool_env("car", "CarRacing-v3", "with its frame")),
    "gymnasium-tasks": ("tasks", ["gymnasium[mujoco]"], lambda: each(gymnasium_env, TASKS, "")),
    "envpool-tasks": ("tasks", ["envpool", "gymnasium"],
                      lambda: each(lambda *a: envpool_env(*a, n=256), [t.replace("-v5", "-v4") for t in TASKS], "256 together, an older MuJoCo")),
    "numpy": ("network", ["numpy"], numpy_network),
    "jax": ("network", ["jax"], jax_network),
    "evosax": ("search", ["evosax"], evosax_search),
}


def run_peer(name):
    subject, packages, _ = PEERS[name]
    place = FOLDER / name
    python = place / "bin/python"
    if not python.exists():
        venv.create(place, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", *packages]
    if subprocess.run(command, capture_output=True).returncode != 0:
        print(f"{subject:8} {name:34} cannot be installed here")
        return
    done = subprocess.run([python, __file__, "--peer", name], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    lines = [line for line in done.stdout.splitlines() if line.startswith(subject)]
    print("\n".join(lines) or f"{subject:8} {name:34} does not run here: {done.stderr.strip().splitlines()[-1:]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="figures beside other programs'")
    parser.add_argument("hebbes", nargs="?", default=str(ROOT / "build/release/hebbes"))
    parser.add_argument("--only", choices=["ant", "car", "tasks", "network", "search"])
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.chdir(FOLDER)  # MuJoCo's Python writes its log where it stands
        PEERS[arguments.peer][2]()
        return
    for subject, ours in (("ant", our_ant), ("car", our_car), ("tasks", our_tasks), ("network", our_network), ("search", our_search)):
        if arguments.only not in (None, subject):
            continue
        ours(arguments.hebbes)
        for name, (of, _, _) in PEERS.items():
            if of == subject:
                run_peer(name)


if __name__ == "__main__":
    sys.exit(main())
