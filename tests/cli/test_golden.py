"""Bits that no change of the code may move: digests of short runs, of every rule and every kind of search, against the
committed ones (golden.txt), on every build of the CPU device that this processor runs, or on another device.

usage: test_golden.py HEBBES [--device NAME] [--write]

--write prints the digests as golden.txt holds them (redirect it there). A change that means to move bits says so and commits new ones."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

GOLDEN = pathlib.Path(__file__).with_name("golden.txt")
RULES = ["A", "AD", "AD_lr", "ABC", "ABC_lr", "ABCD", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out", "BCM_lr"]
ANT = ["configs/ant/pnr-replicate.yaml", "env.profile=light", "env.engine=mujoco", "search.population=4", "run.threads=2"]
LANES = ["configs/ant/pnr-replicate.yaml", "env.profile=light", "env.engine=lanes", "search.population=12", "run.threads=2", "policy.hidden=7",
         "run.generations=2"]
TASK = ["configs/mjcf/han/E.yaml", "env.engine=lanes", "env.max_steps=200", "search.population=12", "run.threads=2", "run.generations=2"]
CAR = ["configs/car/pnr-replicate.yaml", "search.population=2", "run.threads=2", "env.time_limit=2", "policy.hidden=3"]
MERGE = ["search.kind=shared", "search.assignment=merge", "search.merge_every=1", "run.generations=3"]

# name: configuration, then the settings that differ from it.
RUNS = {
    **{f"rule-{rule}": [*ANT, "policy.hidden=9", "run.generations=1", f"policy.rule={rule}"] for rule in RULES},
    "static": [*ANT, "policy.hidden=16,8", "run.generations=3", "policy.kind=static"],
    "lstm": [*ANT, "policy.hidden=7,5", "run.generations=2", "policy.kind=lstm"],
    "normalised": [*ANT, "policy.hidden=16,8", "run.generations=3", "policy.normalise=true"],
    "halves": [*ANT, "policy.hidden=7", "run.generations=2", "policy.planes=float16"],
    "averaged": [*ANT, "policy.hidden=7", "run.generations=2", "policy.normalise=true", "policy.average=10", "policy.every=4"],
    "gated": [*ANT, "policy.hidden=7", "run.generations=2", "policy.modulate=output", "policy.trace=0.8", "policy.oja=0.1",
              "policy.decay=0.05", "policy.bias=true", "policy.every=2"],
    "car-gated": [*CAR, "run.generations=1", "policy.sees_reward=true", "policy.modulate=reward", "policy.trace=0.5"],
    "lanes-gated": [*LANES, "policy.sees_reward=true", "policy.modulate=reward", "policy.decay=0.05", "policy.average=3"],
    "products": [*ANT, "policy.hidden=7", "run.generations=2", "search.kind=shared", "search.assignment=neuron", "search.combine=product"],
    "shared": [*ANT, "policy.hidden=7", "run.generations=2", "search.kind=shared", "search.assignment=neuron"],
    "synapse-noise": [*ANT, "policy.hidden=7", "run.generations=2", "search.kind=shared", "search.noise=synapse"],
    "subspace": [*ANT, "policy.hidden=7", "run.generations=2", "search.kind=shared", "search.base=random",
                 "search.rules=5", "search.start_scale=0"],
    "merged": [*ANT, "policy.hidden=7", *MERGE, "search.merge_rules=30,20", "search.merge_parts=3"],
    "merged-planes": [*ANT, "policy.hidden=7", *MERGE, "search.merge_rules=20,9", "search.merge_by=planes",
                      "search.optimiser=adam", "policy.init=coevolve"],
    "mixture": [*ANT, "policy.hidden=3", "run.generations=2", "search.kind=gmm", "search.rules=70"],
    "mixture-natural": [*ANT, "policy.hidden=3", "run.generations=2", "search.kind=gmm", "search.rules=9",
                        "search.optimiser=adam", "search.shaping=none", "search.lambda_step=natural"],
    "pgpe": [*ANT, "policy.hidden=7", "run.generations=2", "search.kind=pgpe", "search.optimiser=adam"],
    "snes": [*ANT, "policy.hidden=7", "run.generations=2", "search.kind=snes"],
    "sep-cma": [*ANT, "policy.hidden=7", "run.generations=3", "search.kind=sep_cma", "policy.init=coevolve"],
    "restarts": [*ANT, "policy.hidden=7", "run.generations=4", "search.restart=1", "search.optimiser=adam"],
    "adam-coevolved": [*ANT, "policy.hidden=7", "run.generations=2", "search.optimiser=adam", "policy.init=coevolve"],
    "sparse": [*ANT, "policy.hidden=7", "run.generations=1", "policy.init=sparse", "search.antithetic=false"],
    "lanes": LANES,
    "lanes-varied": [*LANES, "env.variations=default,palm_long_back,najarro_damage_right", "env.profile=bullet",
                     "env.first_observation=reset", "env.early_stop=false", "policy.planes=float16"],
    "lanes-standard": [*LANES, "search.observations=standard", "env.first_observation=reset"],
    "lanes-cheetah": TASK,
    "lanes-walker": [*TASK, "env.preset=Walker2d-v5", "env.end=true", "env.changes=ice: friction 0.3", "env.variations=default,ice"],
    "lanes-gymnasiums-ant": [*TASK, "env.preset=Ant-v5", "env.end=true"],
    "standard-mixture": [*ANT, "policy.hidden=3", "run.generations=2", "search.kind=gmm", "search.rules=9",
                         "search.optimiser=adam", "search.observations=standard"],
    "car": [*CAR, "run.generations=2"],
    "car-fixed": [*CAR, "run.generations=1", "policy.vision=fixed"],
    "car-lstm": [*CAR, "run.generations=1", "policy.kind=lstm"],
}
RESUMED = ["normalised", "lanes", "lanes-standard", "lanes-gated", "pgpe", "snes", "sep-cma", "restarts"]  # also lived with a stop after the first generation
# Ways to live the same lives, for runs in lanes. A processor without wide vectors has no 8 or 16.
SCHEDULES = [["run.width=1"], ["run.width=8", "run.threads=1"], ["run.rollout=batched", "run.group=6"], ["run.threads=3"]]


def hebbes(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def options(sets):
    return [word for item in sets for word in ("--set", item)]


def digest(program, run, more, stop=False):
    config, *sets = RUNS[run]
    with tempfile.TemporaryDirectory() as folder:
        out = folder + "/run"
        first = ["run.generations=1"] if stop else []
        hebbes(program, "train", config, "--out", out, *options([*sets, *more, *first]))
        if stop:
            hebbes(program, "resume", out, *options([s for s in sets if s.startswith("run.generations")]))
        return hebbes(program, "digest", out).split()[0]


def devices(program, device):
    """Settings of every build of the arithmetic that runs here."""
    if device != "cpu":
        return [[f"run.device={device}"]]
    usable = []
    for variant in ("generic", "avx2", "avx512"):
        done = subprocess.run([program, "plan", ANT[0], *options([f"run.variant={variant}", "search.population=4"])],
                              capture_output=True, text=True)
        if done.returncode == 0:
            usable.append([f"run.variant={variant}"])
        elif variant == "generic" or "cannot run" not in done.stderr:
            sys.exit(f"{variant}: {done.stderr}")
        else:
            print(f"skipped: {done.stderr.strip()}")
    return usable


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        for run in RUNS:
            print(run, digest(arguments.program, run, []))
        return
    golden = dict(line.split() for line in GOLDEN.read_text().splitlines())
    bad = set(golden) ^ set(RUNS)
    count = 0
    for more in devices(arguments.program, arguments.device):
        lives = [(run, []) for run in RUNS]
        if arguments.device == "cpu":
            wide = "run.variant=generic" not in more
            lives += [("car", ["run.width=8"])]  # the Car steps one life at a time, whatever is asked for
            lives += [(run, way) for run in RUNS if run.startswith("lanes") for way in SCHEDULES if wide or "run.width=8" not in way]
        for run, way in lives:
            for stop in [False, True] if run in RESUMED and not way else [False]:
                found = digest(arguments.program, run, [*more, *way], stop)
                count += 1
                if found != golden.get(run):
                    bad.add(run)
                    print(f"{run}{' resumed' if stop else ''} {[*more, *way]}: expected {golden.get(run)}, found {found}")
    print(f"{count} digests, {len(bad)} runs differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
