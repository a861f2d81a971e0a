"""Checks that every source file stands in a room and includes only what its room may.

usage: layers.py [FOLDER]        the repository; the default is this one

A room is a folder. Rooms of one line below are beside each other and do not include each other; every room may include
the rooms of the lines after its own. Exit code 1 and a line for each include that runs up or sideways, and for each file
that stands in no room."""

import pathlib
import re
import sys

# The rooms of the program, top first. Several rooms on a line do not know each other.
LAYERS = [
    ["bench", "host/cli"],
    ["host/analysis", "host/study", "host/door"],
    ["host/run"],
    ["host/train"],
    ["host/config"],
    ["host/search", "host/policy"],
    ["host/ranks"],
    ["host/base"],
    ["envs/ant", "envs/car", "envs/classic", "envs/mjcf", "envs/outside", "envs/reversal"],
    ["envs/mujoco"],
    ["envs"],
    ["kernels/cpu", "kernels/cuda"],
    ["kernels"],
]
# The public header declares what several rooms implement; all of host may include it.
PUBLIC = {"host/hebbes.h": "host/base"}
# Exceptions, with the reason: a table names what it lists.
TABLES = {
    "kernels/device.c": {"kernels/cpu", "kernels/cuda"},  # the list of devices
    "kernels/robots.c": {"kernels/cpu"},  # the list of builds
    "envs/envs.c": {"envs/ant", "envs/car", "envs/classic", "envs/mjcf", "envs/outside", "envs/reversal"},  # the list of environments
    "envs/example/pointmass.c": set(),
}
# Environments know no devices: of kernels they may use the exact math, rigid and planar robots.
ONLY = {"envs": {"kernels/scalar.h", "kernels/error.h", "kernels/planar.h", "kernels/rigid.h", "kernels/real.h"}}

# Only a device's own code looks into its memory (kernels/memory.h).
INSIDE_MEMORY = re.compile(r"\b(hb_floats|hb_integers)\(")

SOURCES = (".c", ".h", ".cpp", ".cu")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def room_of(path):
    return PUBLIC.get(path) or str(pathlib.PurePosixPath(path).parent)


def level_of(room):
    for level, rooms in enumerate(LAYERS):
        if room in rooms:
            return level
    return None


def faults(folder):
    files = [p for top in ("kernels", "envs", "host", "bench") for p in sorted((folder / top).rglob("*")) if p.is_file()]
    for file in files:
        path = file.relative_to(folder).as_posix()
        if file.suffix not in SOURCES:
            continue
        room = "envs" if path.startswith("envs/example/") else room_of(path)
        level = level_of(room)
        if level is None:
            yield f"{path}: stands in no room; rooms are listed in tests/house/layers.py"
            continue
        text = file.read_text(encoding="utf-8")
        if not path.startswith("kernels/") and INSIDE_MEMORY.search(text):
            yield f"{path}: looks into device memory ({INSIDE_MEMORY.search(text)[1]})"
        for included in INCLUDE.findall(text):
            yield from faults_of_include(path, room, level, included)


def faults_of_include(path, room, level, included):
    target = room_of(included)
    below = level_of(target)
    top = room.split("/")[0]
    if below is None:
        yield f'{path}: includes "{included}", which stands in no room'
    elif target != room and below <= level and target not in TABLES.get(path, set()):
        yield f'{path}: includes "{included}": {room} stands {"beside" if below == level else "below"} {target}'
    elif top in ONLY and target.startswith("kernels") and included not in ONLY[top]:
        yield f'{path}: includes "{included}": {top} may use of kernels only {", ".join(sorted(ONLY[top]))}'


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]
    bad = list(faults(folder))
    for line in bad:
        print(line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
