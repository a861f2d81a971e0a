"""Tests that need packages of PyPI run in an environment apart, which is kept in the build's folder."""

import os
import pathlib
import subprocess
import sys
import venv


def enter(folder, packages, modules):
    """Starts this script again, with --entered behind its arguments, by a Python that has the packages; installs them first. Where they cannot
    be had the test is skipped. Returns where they are already."""
    if "--entered" in sys.argv:
        sys.argv.remove("--entered")
        return
    python = pathlib.Path(folder) / "venv/bin/python"
    if not python.exists():
        venv.create(python.parent.parent, with_pip=True, clear=True)
    if subprocess.run([python, "-c", f"import {modules}"], capture_output=True).returncode != 0:
        command = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", *packages]
        if subprocess.run(command, capture_output=True).returncode != 0:
            print(f"skipped: {packages[0]} cannot be installed here")
            sys.exit(0)
    os.execv(python, [python, *sys.argv, "--entered"])
