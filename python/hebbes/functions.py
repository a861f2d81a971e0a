"""Environments of your own that the library steps by itself: two functions, of C, of numba, or of Python."""

import ctypes

import numpy as np

from . import _abi
from ._library import BadInput, as_word, call, keep_exception

_fields = dict(_abi.hb_functions._fields_)
RESET, STEP = _fields["reset"], _fields["step"]  # their types in ctypes
_kept = []  # tables stay valid as long as the process, and so do their functions


def _of_python(function, kind, views):
    """A Python function as one of C. It is given arrays of its own, which it may keep, and what it wrote is taken back; an exception is kept for
    whoever waits for the call."""

    def run(*arguments):
        try:
            there = views(arguments)
            own = [view.copy() if isinstance(view, np.ndarray) else view for view in there]
            result = function(*own)
            for view, value in zip(there, own):
                if isinstance(view, np.ndarray) and view.flags.writeable:
                    view[:] = value
            return int(result or 0) if kind is STEP else None
        except BaseException as error:  # it cannot pass through C
            keep_exception(error)
            return -1 if kind is STEP else None

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
        command = as_array(action, (act,))
        command.flags.writeable = False
        return numbers_at(kept, state), command, as_array(observation, (obs,)), as_array(reward, (1,))

    for what, number in (("obs", obs), ("act", act), ("steps", steps), ("state", state)):
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool):
            raise BadInput(f"{what}: expected a whole number, found {number!r}")
        if not 0 <= number < 2**31:  # the library knows the bounds
            raise BadInput(f"{what}: expected a number from 0, found {number}")
    if isinstance(variations, (str, bytes)) or not hasattr(variations, "__iter__"):
        raise BadInput(f"variations: expected a list of names, found {variations!r}")
    texts = [as_word(text, "variations") for text in variations]
    names = (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
    try:
        about = _abi.hb_functions(
            name=as_word(name, "name"), summary=None if summary is None else as_word(summary, "summary"), range=as_word(range, "range"), observation_size=obs,
            variations=names, action_size=act, max_steps=steps, state_bytes=8 * state, step_seconds=step_seconds,
            reset=_pointer(reset, RESET, for_reset, "reset"), step=_pointer(step, STEP, for_step, "step"))
    except (TypeError, ctypes.ArgumentError) as error:
        raise BadInput(f"environment {name!r}: {error}") from None
    call("hb_functions_add", ctypes.byref(about))
    _kept.append((about, reset, step))


def numbers_at(address, n):
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (n,))
