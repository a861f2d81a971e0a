"""Environments of your own that the library steps by itself: two functions, of C, of numba, or of Python."""

import ctypes

import numpy as np

from . import _abi
from ._library import BadInput, call, keep_exception

_fields = dict(_abi.hb_functions._fields_)
RESET, STEP = _fields["reset"], _fields["step"]  # their types in ctypes
_kept = []  # tables stay valid as long as the process, and so do their functions


def _of_python(function, kind, views):
    """A Python function as one of C: its pointers become arrays, and an exception is kept for whoever waits for the call."""

    def run(*arguments):
        try:
            return int(function(*views(arguments)) or 0)
        except BaseException as error:  # it cannot pass through C
            keep_exception(error)
            return -1

    return kind(run)


def _pointer(function, kind, views, what):
    address = getattr(function, "address", function)  # numba's cfunc
    if isinstance(address, int) and not isinstance(address, bool):
        if address == 0:
            raise BadInput(f"{what}: expected a function, found the address 0")
        return kind(address)
    if isinstance(function, ctypes._CFuncPtr):
        return ctypes.cast(function, kind)
    if callable(function):
        return _of_python(function, kind, views)
    raise BadInput(f"{what}: expected a function, an address, or numba's cfunc, found {type(function).__name__}")


def add_environment(name, reset, step, *, obs, act, steps, state=0, range="signed", variations=("default",), step_seconds=0.0, summary=None):
    """From now on env=NAME is this environment, everywhere in this process: Evolution(env=NAME), train, evaluate, make_vec.

    obs, act: numbers of an observation and of an action; steps: the most of an episode; state: float64 numbers that a life keeps, 0 at first.
    range: of an action's numbers: "signed" [-1, 1], "unit" [0, 1], "any". variations: names; the number of the one that is lived is handed to reset.

    reset(state, variation, seed, observation): starts an episode and writes the first observation; all that is drawn must follow from the seed.
    step(state, action, observation, reward): the next observation and reward[0]; returns 0, or 1 when the episode is over, -1 when it has failed.
    Each is an address of a C function (`hb_functions` in hebbes.h), a numba cfunc of the same signature ("void(CPointer(float64), int32,
    uint64, CPointer(float32))" and "int32(CPointer(float64), CPointer(float32), CPointer(float32), CPointer(float64))"), or a Python function, which
    is given arrays; the last is slow, and one at a time, and its exceptions end the call that lived.

    A run knows such an environment by its name alone: whoever resumes it adds it first. Raises BadInput for sizes, ranges or names that do not fit.
    """
    as_array = np.ctypeslib.as_array

    def for_reset(arguments):
        kept, variation, seed, observation = arguments
        return numbers_at(kept, state), variation, seed, as_array(observation, (obs,))

    def for_step(arguments):
        kept, action, observation, reward = arguments
        return numbers_at(kept, state), as_array(action, (act,)), as_array(observation, (obs,)), as_array(reward, (1,))

    for what, number in (("obs", obs), ("act", act), ("steps", steps), ("state", state)):
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool):
            raise BadInput(f"{what}: expected a whole number, found {number!r}")
    texts = [text.encode() for text in variations]
    names = (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
    try:
        about = _abi.hb_functions(
            name=str(name).encode(), summary=None if summary is None else str(summary).encode(), range=str(range).encode(), observation_size=obs,
            variations=names, action_size=act, max_steps=steps, state_bytes=8 * state, step_seconds=step_seconds,
            reset=_pointer(reset, RESET, for_reset, "reset"), step=_pointer(step, STEP, for_step, "step"))
    except (TypeError, ctypes.ArgumentError) as error:
        raise BadInput(f"environment {name!r}: {error}") from None
    call("hb_functions_add", ctypes.byref(about))
    _kept.append((about, reset, step))


def numbers_at(address, n):
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (n,))
