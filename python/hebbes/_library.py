"""libhebbes: found, checked against the declarations that this package was made with, and called so that failures are exceptions."""

import ctypes
import difflib
import os
import pathlib
import threading

from . import _abi


class Error(Exception):
    """What the library says; its line tells where, what was expected, and what was found."""


class BadInput(Error, ValueError):
    """The caller can correct it: a name, a value, a shape, a file."""


class Failed(Error, RuntimeError):
    """The machine cannot do it: memory, disk, device."""


EXCEPTIONS = {_abi.HB_BAD_INPUT: BadInput, _abi.HB_FAILED: Failed, _abi.HB_INTERRUPTED: KeyboardInterrupt}


def _open():
    here = pathlib.Path(__file__).resolve().parent
    given = os.environ.get("HEBBES_LIBRARY")
    places = [given] if given else [here / "lib" / "libhebbes.so.0", here.parent.parent / "libhebbes.so.0", "libhebbes.so.0"]
    why = []
    for place in places:
        try:
            return ctypes.CDLL(str(place))
        except OSError as error:
            why.append(str(error))
    raise ImportError("libhebbes cannot be opened: " + "; ".join(why))


def _check_layout(library):
    """Structs stand where the declarations say, or the library is of another version."""
    rows, theirs, k = library.hb_layout(), set(), 0
    assumed = {s.__name__: s for s in _abi.STRUCTS}
    while rows[k].record:
        record, field = rows[k].record.decode(), rows[k].field.decode()
        ours = getattr(assumed.get(record), field, None)
        if ours is None or (ours.offset, ours.size) != (rows[k].offset, rows[k].size):
            raise ImportError(f"this package is made for hebbes {_abi.HB_VERSION}, the library is {version(library)}: they differ in {record}.{field}")
        theirs.add(record)
        k += 1
    for name in ("hb_error", "hb_hooks", "hb_progress", "hb_evaluation", "hb_evolution_about", "hb_key_about"):
        if name not in theirs:
            raise ImportError(f"the library does not say how {name} is laid out")


def _load():
    library = _open()
    for name, result, arguments in _abi.FUNCTIONS:
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"this package is made for hebbes {_abi.HB_VERSION}; the library has no {name}") from None
        function.restype, function.argtypes = result, arguments
    _check_layout(library)
    if version(library) != _abi.HB_VERSION:
        raise ImportError(f"this package is made for hebbes {_abi.HB_VERSION}, the library is {version(library)}")
    return library


def version(library=None):
    """The library's version, MAJOR.MINOR.PATCH."""
    return (library or LIBRARY).hb_version().decode()


LIBRARY = _load()


raised = []  # exceptions of functions that the library has called and that have no way to it but this
_watched = set()  # stops of calls under way


def keep_exception(error):
    """It ends all calls under way that can be stopped, and they raise it; or, where there are none, the call that lived."""
    stops = list(_watched)
    for stop in stops:
        stop.error = stop.error or error
        stop.request()
    if not stops:
        raised.append(error)


def raise_kept():
    """Behind every call in which environments live."""
    if raised:
        first = raised[0]
        raised.clear()
        raise first


def call(name, *arguments):
    """Calls a function whose last argument is an error and whose result is a status."""
    error = _abi.hb_error()
    status = getattr(LIBRARY, name)(*arguments, ctypes.byref(error))
    if status != _abi.HB_OK:
        raise EXCEPTIONS[status](error.message.decode(errors="replace").removeprefix("--set: "))


def words(texts):
    """A C array of texts, and their number."""
    return (ctypes.c_char_p * max(len(texts), 1))(*[text.encode() for text in texts]), len(texts)


def as_text(path):
    name = os.fsencode(path)
    if b"\0" in name:
        raise BadInput(f"expected a path without a 0 byte, found {path!r}")
    return name


def configs():
    """The folder with the configurations that come with the library."""
    here = pathlib.Path(__file__).resolve().parent
    for place in (here / "share/hebbes/configs", *[parent / "configs" for parent in here.parents]):
        if (place / "ant/quickstart.yaml").exists():
            return place
    raise Failed("no configurations are here: the package is neither in a wheel nor in a source tree")


def config_text(config):
    """A configuration's path: as it is, or, if nothing is there, that of the library's own ("configs/ant/quickstart.yaml")."""
    if config is None or os.path.exists(config):
        return None if config is None else as_text(config)
    parts = pathlib.PurePath(os.fsdecode(config)).parts
    try:
        own = configs().joinpath(*parts[1 if parts[:1] == ("configs",) else 0 :])
    except Failed:
        return as_text(config)
    return as_text(own if own.is_file() else config)


def as_word(text, what):
    """A name for C. Raises BadInput where it is no text, or one that C would read otherwise."""
    try:
        word = text.encode()
    except (AttributeError, UnicodeEncodeError):
        raise BadInput(f"{what}: expected a text, found {text!r}") from None
    if b"\0" in word:
        raise BadInput(f"{what}: expected a text without a 0 byte, found {text!r}")
    return word


class Stop:
    """A request to stop that a call watches."""

    def __init__(self):
        self.handle = LIBRARY.hb_stop_create()
        self.error = None  # of a function that the library has called
        if not self.handle:
            raise MemoryError("no memory for a stop")

    def request(self):
        LIBRARY.hb_stop_request(self.handle)

    def clear(self):
        LIBRARY.hb_stop_clear(self.handle)

    def __del__(self):
        if getattr(self, "handle", None):
            LIBRARY.hb_stop_destroy(self.handle)
            self.handle = None


def interruptible(stop, work):
    """work() in a thread of its own, so that Ctrl-C is noticed at once: then the stop is requested, and work ends where it can be resumed."""
    outcome, done = {}, threading.Event()  # not Thread.join: interrupted, it may take a thread for ended that is not

    def run():
        try:
            outcome["result"] = work()
        except BaseException as error:  # it is raised where the caller waits
            outcome["error"] = error
        done.set()

    thread = threading.Thread(target=run, name="hebbes")
    interrupted, begun = False, False
    _watched.add(stop)
    while not (done.is_set() or (interrupted and not begun)):
        try:
            if not begun:
                thread.start()
                begun = True
            done.wait()
        except KeyboardInterrupt:
            interrupted = True
            begun = begun or thread.ident is not None
            stop.request()
    _watched.discard(stop)
    stop.clear()
    error, stop.error = stop.error, None
    if error is not None:
        raise error
    if "error" in outcome:
        raise outcome["error"]
    if interrupted:
        raise KeyboardInterrupt
    return outcome["result"]


class Handle:
    """A handle of the library: one process, one thread at a time, nothing after close."""

    def __init__(self):
        self._cell = [None]  # the C handle; whoever must close it first shares the cell
        self._process = os.getpid()
        self._lock = threading.Lock()

    @property
    def _handle(self):
        return self._cell[0]

    @_handle.setter
    def _handle(self, handle):
        self._cell[0] = handle

    def __copy__(self, *_):
        raise TypeError(f"{type(self).__name__}: a handle of the library cannot be copied or pickled")

    __deepcopy__ = __reduce__ = __copy__

    def _use(self):
        """with self._use() as handle: ..."""
        return _Use(self)


class _Use:
    def __init__(self, owner):
        self.owner = owner

    def __enter__(self):
        owner = self.owner
        if owner._process != os.getpid():
            raise Failed(f"{type(owner).__name__}: opened by another process; open it after the fork")
        if not owner._lock.acquire(blocking=False):
            raise Failed(f"{type(owner).__name__}: used by two threads at a time")
        if owner._handle is None:
            owner._lock.release()
            raise BadInput(f"{type(owner).__name__}: it is closed")
        return owner._handle

    def __exit__(self, *_):
        self.owner._lock.release()


# ---------------------------------------------------------------------------------------------------
# Settings


def keys(env="ant"):
    """The configuration's keys with that environment: {"section.name": {"type", "value", "default", "least", "most", "words", "help"}}."""
    config = ctypes.c_void_p()
    call("hb_config_open", None, *words([f"env.name={env}"]), ctypes.byref(config))
    found, about, k = {}, _abi.hb_key_about(), 0
    while LIBRARY.hb_config_key(config, k, ctypes.byref(about)):
        choices = []
        while (word := LIBRARY.hb_config_word(config, k, len(choices))) is not None:
            choices.append(word.decode())
        found[f"{about.section.decode()}.{about.name.decode()}"] = {
            "type": about.type.decode(), "value": about.value.decode(), "default": about.standard.decode(), "least": about.least,
            "most": about.most, "words": choices, "help": about.help.decode()}
        k += 1
    LIBRARY.hb_config_close(config)
    return found


def _value(value):
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(_value, value))
    if isinstance(value, (bytes, os.PathLike)):
        value = os.fsdecode(value)
    text = repr(value) if isinstance(value, float) else str(value)
    if "\0" in text:
        raise BadInput(f"expected a text without a 0 byte, found {text!r}")
    return text


def settings_of(settings, env=None, sections=("run", "env", "policy", "search")):
    """["section.key=value"] of {"section.key" or "key": value}. A key without its section is looked for in these sections, in this order;
    `policy`, `search` and `env` are their kind and name; None leaves the default. Raises BadInput with the nearest name."""
    if not hasattr(settings, "items"):
        raise BadInput(f"settings: expected a dictionary, found {type(settings).__name__}")
    known = keys(env or settings.get("env.name") or settings.get("env") or "ant") if settings else {}
    kinds = {"policy": "policy.kind", "search": "search.kind", "env": "env.name"}
    out = []
    for name, value in settings.items():
        places = [name] if "." in name else [kinds[name]] if name in kinds else [f"{section}.{name}" for section in sections]
        key = next((place for place in places if place in known), None)
        if key is None:
            same = [k for k in known if k.split(".")[1] == name]
            near = same or [k for k in known if k.split(".")[1] in difflib.get_close_matches(name.split(".")[-1], [k.split(".")[1] for k in known], 1)]
            hint = near[0].split(".")[1] if near and not same and any(near[0] == f"{s}.{near[0].split('.')[1]}" for s in sections) else near[0] if near else ""
            raise BadInput(f"no setting is called '{name}'" + (f"; did you mean '{hint}'?" if hint else ""))
        if value is not None:
            out.append(f"{key}={_value(value)}")
    return sorted(out, key=lambda text: not text.startswith("env.name="))
