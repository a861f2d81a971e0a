"""Kills trainings with SIGKILL at random moments and resumes them. Nothing is lost but the generation under way: the newest checkpoint is at
most one behind the last row of metrics.csv, there always is a valid one, and the digest at the end is that of a run never killed.

usage: kills.py HEBBES [KILLS]     KILLS in all, spread over Ants by both engines, shared rules and the Car; default 60"""

import csv
import os
import random
import subprocess
import sys
import tempfile
import time

HEBBES = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 60
ANT, CAR = (os.path.abspath(f"configs/{env}/pnr-replicate.yaml") for env in ("ant", "car"))
RUNS = {
    "lanes": [ANT, "search.population=16", "policy.hidden=9"],
    "mujoco": [ANT, "env.engine=mujoco", "search.population=4", "policy.hidden=9"],
    "shared": [ANT, "search.population=16", "search.kind=gmm", "search.rules=24", "policy.hidden=9"],
    "car": [CAR, "search.population=2", "env.time_limit=3", "policy.hidden=3"],
}
random.seed(1)


def hebbes(*words):
    done = subprocess.run([HEBBES, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def start(*words):
    return subprocess.Popen([HEBBES, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def train(config, sets, folder):
    words = ["train", config, "--out", folder, "--threads", "2"]
    for item in [*sets, "run.checkpoint_every=1", "run.keep_checkpoints=2"]:
        words += ["--set", item]
    return words


def last_row(folder):
    try:
        with open(os.path.join(folder, "metrics.csv")) as file:
            rows = [row for row in csv.reader(file) if row and row[0].isdigit() and len(row) > 5]
        return int(rows[-1][0]) if rows else 0
    except FileNotFoundError:
        return 0


def newest(folder):
    try:
        names = [name for name in os.listdir(os.path.join(folder, "checkpoints")) if name.startswith("gen-") and name.endswith(".h5")]
    except FileNotFoundError:
        return -1
    return max((int(name[4:10]) for name in names), default=-1)


def kill_often(name, config, sets, kills, folder):
    """Kills a run so often, then lets it end. Returns the generations that it took."""
    run, whole = os.path.join(folder, "run"), os.path.join(folder, "whole")
    begun = time.monotonic()
    hebbes(*train(config, [*sets, "run.generations=3"], os.path.join(folder, "timing")))
    pace = time.monotonic() - begun
    done, early = 0, 0
    while done < kills:
        resuming = os.path.exists(os.path.join(run, "config.yaml"))
        words = ["resume", run, "--set", "run.generations=999999"] if resuming else train(config, [*sets, "run.generations=999999"], run)
        process = start(*words)
        time.sleep(random.uniform(0, pace))
        if process.poll() is not None:
            sys.exit(f"{name}: ended by itself with {process.returncode} after {done} kills: {' '.join(words)}")
        process.kill()
        process.wait()
        done += 1
        if not os.path.exists(os.path.join(run, "config.yaml")):
            early += 1
            continue
        if newest(run) < last_row(run) - 1:
            sys.exit(f"{name}: row {last_row(run)}, but the newest checkpoint is {newest(run)} after {done} kills")
        hebbes("digest", run)
    if not os.path.exists(os.path.join(run, "config.yaml")):
        hebbes(*train(config, [*sets, "run.generations=1"], run))
    generations = newest(run) + 1
    hebbes("resume", run, "--set", f"run.generations={generations}")
    hebbes(*train(config, [*sets, f"run.generations={generations}"], whole))
    if hebbes("digest", run) != hebbes("digest", whole):
        sys.exit(f"{name}: another digest than the unbroken run's after {done} kills and {generations} generations")
    print(f"{name}: {done} kills, {early} of them before the run had begun, {generations} generations, the digest of the unbroken run", flush=True)


for name, (config, *sets) in RUNS.items():
    with tempfile.TemporaryDirectory() as folder:
        kill_often(name, config, sets, KILLS // len(RUNS), folder)
