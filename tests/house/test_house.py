"""The build as its users meet it: rooms, exported names, optimisation, an installed library, an old nvcc.

usage: test_house.py SOURCE BUILD"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE, BUILD = Path(sys.argv[1]), Path(sys.argv[2])
del sys.argv[1:3]

# A program that knows nothing but the installed library.
PROGRAM = r"""
#include <hebbes/env.h>
#include <hebbes/hebbes.h>
#include <stdio.h>

int main(void) {
    const char *const sets[] = {"search.population=4", "run.generations=2", "policy.hidden=3", "run.out=trained"};
    char digest[33];
    hb_config *config;
    hb_error error;
    hb_status status = hb_config_open(NULL, sets, 4, &config, &error);
    if (status == HB_OK) {
        status = hb_train(config, NULL, &error);
        hb_config_close(config);
    }
    if (status == HB_OK) status = hb_digest("trained", NULL, 0, digest, &error);
    puts(status == HB_OK ? digest : error.message);
    return (int)status;
}
"""
CMAKE = """cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(hebbes REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE hebbes::hebbes)
"""


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Rooms(unittest.TestCase):
    def layers(self, folder):
        return subprocess.run([sys.executable, SOURCE / "tests/house/layers.py", folder], capture_output=True, text=True)

    def test_every_include_runs_down(self):
        done = self.layers(SOURCE)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_planted_faults(self):
        for path, old, new, says in (
            ("host/base/pool.h", "#include <stddef.h>", '#include "host/train/trainer.h"',
             'host/base/pool.h: includes "host/train/trainer.h": host/base stands below host/train'),
            ("host/study/live.c", "#include <stdlib.h>", '#include "host/analysis/life.h"',
             'host/study/live.c: includes "host/analysis/life.h": host/study stands beside host/analysis'),
            ("kernels/net.c", "#include", '#include "envs/env.h"\n#include', "kernels stands below envs"),
            ("envs/ant/ant.c", "#include", '#include "kernels/net.h"\n#include', "envs may use of kernels only"),
            ("host/policy/policy.c", "settings->init", "hb_floats(there)",
             "host/policy/policy.c: looks into device memory (hb_floats)"),
        ):
            with tempfile.TemporaryDirectory() as folder:
                for room in ("kernels", "envs", "host", "bench"):
                    shutil.copytree(SOURCE / room, Path(folder, room))
                file = Path(folder, path)
                self.assertIn(old, file.read_text())
                file.write_text(file.read_text().replace(old, new, 1))
                done = self.layers(folder)
                self.assertEqual(done.returncode, 1)
                self.assertIn(says, done.stdout)
        with tempfile.TemporaryDirectory() as folder:
            for room in ("kernels", "envs", "host", "bench"):
                shutil.copytree(SOURCE / room, Path(folder, room))
            Path(folder, "host/lost.c").write_text("")
            self.assertIn("host/lost.c: stands in no room", self.layers(folder).stdout)


class Build(unittest.TestCase):
    def test_the_library_exports_its_header(self):
        header = (SOURCE / "host/hebbes.h").read_text()
        declared = set(re.findall(r"HB_API [^;(]*?\b(hb_\w+)\(", header))
        exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", BUILD / "libhebbes.so").splitlines()}
        exported = {name.split("@")[0] for name in exported}
        self.assertGreater(len(declared), 20)
        self.assertEqual(exported, declared)

    def test_every_language_is_optimised(self):
        languages = set()
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            path = Path(entry["file"]).relative_to(SOURCE).as_posix()
            if path.split("/")[0] not in ("kernels", "envs", "host", "bench"):
                continue
            words = shlex.split(entry["command"])
            last = [w for w in words if re.fullmatch(r"-O\w?", w)][-1]
            self.assertEqual(last, "-O3", path)
            self.assertNotIn("-DNDEBUG", words, path)
            languages.add(Path(path).suffix)
        self.assertTrue({".c", ".cpp"} <= languages, languages)

    def test_installed(self):
        with tempfile.TemporaryDirectory() as folder:
            prefix = Path(folder, "prefix")
            run("cmake", "--install", BUILD, "--prefix", prefix)
            user = Path(folder, "user")
            user.mkdir()
            (user / "user.c").write_text(PROGRAM)
            (user / "CMakeLists.txt").write_text(CMAKE)
            library = next(prefix.rglob("libhebbes.so")).parent
            clean = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
            env = {**clean, "PKG_CONFIG_PATH": str(library / "pkgconfig")}
            flags = run("pkg-config", "--cflags", "--libs", "hebbes", env=env).split()
            run("cc", "-Wall", "-Werror", "user.c", "-o", "by_pkg_config", *flags, f"-Wl,-rpath,{library}", cwd=user)
            run("cmake", "-S", user, "-B", user / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
            run("cmake", "--build", user / "build")
            first = run(user / "by_pkg_config", cwd=user, env=clean)
            shutil.rmtree(user / "trained")
            self.assertRegex(first, r"^[0-9a-f]{32}\n$")
            self.assertEqual(run(user / "build/user", cwd=user, env=clean), first)
            hebbes = prefix / "bin/hebbes"
            self.assertEqual(run(hebbes, "digest", user / "trained", env=clean), first)
            self.assertIn("limit", run(hebbes, "bench", "env", "--set", "env.name=ant", env=clean))
            version = re.search(r'HB_VERSION "([\d.]+)"', (SOURCE / "host/hebbes.h").read_text())[1]
            self.assertEqual(run("pkg-config", "--modversion", "hebbes", env=env).strip(), version)
            self.assertEqual(run(hebbes, "--version").split()[1], version)

    def test_packages_that_cannot_be_installed(self):
        """Without root ./dev says which packages are missing and the ways on, whatever fails: no sudo, one that refuses, no network."""
        with tempfile.TemporaryDirectory() as folder:
            def stub(name, script):
                Path(folder, name).write_text("#!/bin/bash\n" + script)
                Path(folder, name).chmod(0o755)

            for name in ("dirname", "nproc", "grep", "cat", "env"):
                os.symlink(shutil.which(name), Path(folder, name))
            stub("dpkg-query", 'case "$*" in *libhdf5-dev*) exit 1;; esac; echo "install ok installed"\n')
            stub("id", "echo 1000\n")
            for sudo in (None, "exit 1\n", '[ "$2" = update ]\n'):
                with self.subTest(sudo):
                    if sudo:
                        stub("sudo", sudo)
                    done = subprocess.run(["/bin/bash", str(SOURCE / "dev"), "train"], env={"PATH": folder}, capture_output=True, text=True)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn("cannot install packages that are missing: libhdf5-dev\n", done.stderr)
                    for way in ("apt-get install libhdf5-dev", "HB_PACKAGES=here ./dev train", "-DHB_TESTS=OFF"):
                        self.assertIn(way, done.stderr)

    def test_an_old_nvcc(self):
        """Configuring goes on without CUDA, and says so; HB_CUDA=ON makes it an error."""
        with tempfile.TemporaryDirectory() as folder:
            nvcc = Path(folder, "nvcc")
            nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11.8.89'\n")
            nvcc.chmod(0o755)
            mujoco = re.search(r"HB_MUJOCO_DIR:PATH=(.*)", (BUILD / "CMakeCache.txt").read_text())[1]
            command = ["cmake", "-S", SOURCE, "-B", Path(folder, "build"), f"-DHB_NVCC={nvcc}", "-DHB_TESTS=OFF",
                       f"-DHB_MUJOCO_DIR={mujoco}"]
            said = run(*command)
            self.assertIn(f"no CUDA device: {nvcc} is CUDA 11.8, expected 12.8 or newer", said)
            self.assertRegex(said, r"devices: cpu;")
            self.assertIn("build type: RelWithDebInfo", said)
            done = subprocess.run([str(c) for c in command] + ["-DHB_CUDA=ON"], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("HB_CUDA is ON, but", done.stderr)


if __name__ == "__main__":
    unittest.main()
