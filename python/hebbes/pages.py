"""What the library says in text."""

import ctypes

from . import _abi
from ._library import LIBRARY, call, config_text, raise_kept, settings_of, words


def _page(name, *arguments):
    """The text that a function writes to its writer, its last argument but the error."""
    parts = []
    write = dict(_abi.hb_writer._fields_)["write"](lambda _, text, size: parts.append(ctypes.string_at(text, size)))
    call(name, *arguments, ctypes.byref(_abi.hb_writer(write=write)))
    return b"".join(parts).decode()


def info():
    """Versions, devices and why one cannot be used, environments, rules: the text of `hebbes info`."""
    return _page("hb_info")


def plan(config=None, *, settings=None, **more):
    """A run's memory and time before it runs, from a short measurement here: the text of `hebbes plan`. settings as of Evolution."""
    handle = ctypes.c_void_p()
    call("hb_config_open", config_text(config), *words(settings_of({**(settings or {}), **more})), ctypes.byref(handle))
    try:
        text = _page("hb_plan", handle)
    finally:
        LIBRARY.hb_config_close(handle)
        raise_kept()
    return text
