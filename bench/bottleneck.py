#!/usr/bin/env python3
"""The table of docs/bottleneck.md, from the runs of configs/studies/bottleneck.yaml: for each way, means over seeds of the mean individual's return on the
bodies trained on and on those not seen, and of their ratio; with three seeds or more the 95 % interval of 10,000 bootstrap samples of seeds.

usage: bench/bottleneck.py [FOLDER]          default: results/studies/bottleneck; needs NumPy
"""

import csv
import pathlib
import re
import sys

import numpy as np

ORDER = ["per-synapse", "stepped", "merge3072", "merge1536", "merge768", "merge384", "merge192", "merge96", "merge48", "subspace384", "subspace96",
         "subspace48", "neuron", "random96"]


def returns(path):
    """(trained, unseen): means over bodies."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    found = {"0": [], "1": []}
    for row in csv.DictReader(lines):
        if row["protocol"] == "mean":
            found[row["held_out"]].append(float(row["mean"]))
    return np.mean(found["0"]), np.mean(found["1"])


def interval(values):
    if len(values) < 3:
        return ""
    samples = np.random.default_rng(0).choice(values, (10000, len(values))).mean(1)
    return " [{:.3g}, {:.3g}]".format(*np.quantile(samples, [0.025, 0.975]))


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "results/studies/bottleneck")
    runs = {}
    for path in sorted(folder.glob("*-seed*/evaluation.csv")):
        way = re.fullmatch(r"(.*)-seed\d+", path.parent.name)[1]
        runs.setdefault(way, []).append(returns(path))
    print("| rules | seeds | trained bodies | unseen bodies | unseen / trained |\n|---|---:|---:|---:|---:|")
    for way in [w for w in ORDER if w in runs]:
        pairs = np.array(runs[way])
        columns = [pairs[:, 0], pairs[:, 1], pairs[:, 1] / pairs[:, 0]]
        cells = ["{:.{}f}{}".format(c.mean(), 2 if k == 2 else 0, interval(c)) for k, c in enumerate(columns)]
        print(f"| {way} | {len(pairs)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
