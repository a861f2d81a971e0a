#!/usr/bin/env python3
"""What Python costs: calls of the package beside the same calls of the C library with arrays that stand ready, in turn, one run.

act: a step of 256 newborn networks of the Ant, each with its own rules. make_vec: a step of 256 Ants, by both engines; `hebbes bench vec` has
that call of C beside the physics alone. Microseconds of one network or Ant, medians, and the ratio.

usage: bench/door.py [--steps N] [--threads N]          with the package in PYTHONPATH (build/release/python) and Gymnasium
"""

import argparse
import ctypes
import statistics
import time

import hebbes as hb
import numpy as np
from hebbes import _abi
from hebbes._library import LIBRARY

N = 256
ERROR = _abi.hb_error()


def floats(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def in_turn(name, steps, ours, bare):
    pairs = [(ours, []), (bare, [])]
    for k in range(steps):
        for call, taken in pairs if k % 2 else pairs[::-1]:
            begun = time.perf_counter()
            call(k)
            taken.append(time.perf_counter() - begun)
    ours_us, bare_us = (1e6 * statistics.median(taken) / N for _, taken in pairs)
    print(f"{name:16} {ours_us:8.2f} us   in C {bare_us:8.2f} us   {ours_us / bare_us:.3f} x", flush=True)


def act(steps, threads):
    with hb.Evolution("configs/ant/pnr-replicate.yaml", population=N, threads=threads) as evolution:
        lives = next(iter(evolution)).ask()
        seen, action = np.zeros((N, 28), np.float32), np.empty((N, 8), np.float32)
        handle, there, back = lives._handle, seen.ctypes.data, floats(action)
        in_turn("act", steps, lambda _: lives.act(seen), lambda _: LIBRARY.hb_lives_step(handle, there, None, back, ctypes.byref(ERROR)))
        lives.close()


def vector(engine, steps, threads):
    ours, other = (hb.make_vec("ant", N, engine=engine, threads=threads) for _ in range(2))
    for envs in (ours, other):
        envs.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, N, 8)).astype(np.float32)
    seen, numbers, flags = np.empty((N, 28), np.float32), np.empty((2, N)), np.empty((2, N), np.uint8)
    to = [a.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for a in numbers] + [a.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)) for a in flags]
    handle, there, given = other._handle, seen.ctypes.data, [floats(a) for a in actions]
    in_turn(f"make_vec {engine}", steps, lambda k: ours.step(actions[k]),
            lambda k: LIBRARY.hb_vec_step(handle, given[k], there, *to, ctypes.byref(ERROR)))
    ours.close()
    other.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    act(arguments.steps, arguments.threads)
    for engine in ("mujoco", "lanes"):
        vector(engine, arguments.steps, arguments.threads)


if __name__ == "__main__":
    main()
