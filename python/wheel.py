"""Wraps the bundle (./dev bundle) into a wheel: the package, the library and the program with all that they link, configurations and pages.
The same files in another wrapping, so what is tested of one holds for the other. Any Python 3.9 or later takes it.

usage: wheel.py BUNDLE PACKAGE FOLDER          writes FOLDER/hebbes-VERSION-py3-none-manylinux_2_34_MACHINE.whl and prints its path"""

import base64
import hashlib
import pathlib
import platform
import re
import sys
import zipfile

METADATA = """Metadata-Version: 2.1
Name: hebbes
Version: {version}
Summary: Evolve networks that learn while they live
License: MIT
Requires-Python: >=3.9
Requires-Dist: numpy
Description-Content-Type: text/markdown

"""


def files(bundle, package):
    """(name in the wheel, file). A wheel has no links: a library stands there by the name that it is loaded by."""
    for path in sorted(package.glob("*.py")):
        yield f"hebbes/{path.name}", path
    yield "hebbes/lib/libhebbes.so.0", bundle / "lib/libhebbes.so.0"
    for path in sorted((bundle / "lib/hebbes").iterdir()):
        if not path.name.startswith(("libcmocka", "libhebbes_mpi")):  # of the bundle's tests; needs Debian's MPI (docs/clusters.md)
            yield f"hebbes/lib/hebbes/{path.name}", path
    for path in sorted((bundle / "bin").iterdir()):
        yield f"hebbes/bin/{path.name}", path
    for path in sorted((bundle / "share/hebbes").rglob("*")):
        if path.is_file():
            yield f"hebbes/share/hebbes/{path.relative_to(bundle / 'share/hebbes')}", path


def main():
    bundle, package, out = map(pathlib.Path, sys.argv[1:])
    version = re.search(r'HB_VERSION = "([^"]*)"', (package / "_abi.py").read_text())[1]
    tag = f"py3-none-manylinux_2_34_{platform.machine()}"
    info = f"hebbes-{version}.dist-info"
    wheel = out / f"hebbes-{version}-{tag}.whl"
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name, data, mode=0o644):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}")

        for name, path in files(bundle, package):
            add(name, path.read_bytes(), 0o755 if "/bin/" in name else 0o644)
        readme = (bundle / "share/hebbes/docs/python.md").read_text()
        add(f"{info}/METADATA", (METADATA.format(version=version) + readme).encode())
        add(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: hebbes\nRoot-Is-Purelib: false\nTag: {tag}\n".encode())
        add(f"{info}/entry_points.txt", b"[console_scripts]\nhebbes = hebbes._program:main\n")
        record.append(f"{info}/RECORD,,")
        archive.writestr(f"{info}/RECORD", "\n".join(record) + "\n")
    print(wheel)


main()
