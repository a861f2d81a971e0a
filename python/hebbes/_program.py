"""The command line that comes with the wheel: `hebbes`, or python -m hebbes."""

import os
import pathlib
import sys


def main():
    program = pathlib.Path(__file__).resolve().parent / "bin" / "hebbes"
    if not program.exists():
        sys.exit("hebbes: this package has no program beside it; the build's is build/release/hebbes")
    os.execv(program, ["hebbes", *sys.argv[1:]])


if __name__ == "__main__":
    main()
