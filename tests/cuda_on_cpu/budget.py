"""Registers, spills and shared memory of every kernel for every architecture, from the compiler's own report, against
budget.txt beside this file. A spill fails, and so does a figure above its budget; `budget.py NVCC --write` writes the
file anew, for a change that explains itself in its commit."""

import pathlib
import re
import subprocess
import sys

NVCC = sys.argv[1]
HERE = pathlib.Path(__file__).parent
SOURCES = ["kernels/cuda/expand.cu", "kernels/cuda/mixture.cu", "kernels/cuda/products.cu", "kernels/cuda/robots.cu", "kernels/cuda/search.cu",
           "kernels/cuda/step.cu", "kernels/cuda/vision.cu"]
ARCHITECTURES = ["80", "90", "100"]
SLACK = 4  # registers that another build of ptxas may take without a word


def compile_report():
    rows = {}
    for source in SOURCES:
        command = [NVCC, "-std=c++20", "-O3", "--fmad=false", "-I.", "-Xptxas", "-v", "-c", source, "-o", "/dev/null"]
        for arch in ARCHITECTURES:
            command += ["-gencode", f"arch=compute_{arch},code=sm_{arch}"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        for block in text.split("Compiling entry function '")[1:]:
            mangled = re.match(r"_Z\d+([a-z_]+?_kernel)(?:I((?:Lb[01]E)+)E)?", block)
            name = mangled.group(1) + (f"<{','.join(re.findall('[01]', mangled.group(2)))}>" if mangled.group(2) else "")
            arch = re.search(r"for '(sm_\d+)'", block).group(1)
            spills = sum(int(n) for n in re.findall(r"(\d+) bytes spill", block))
            registers = int(re.search(r"Used (\d+) registers", block).group(1))
            shared = int((re.search(r"(\d+) bytes smem", block) or [0, 0])[1])
            rows[name, arch] = (registers, shared, spills)
    return rows


def main():
    rows = compile_report()
    table = HERE / "budget.txt"
    if "--write" in sys.argv:
        lines = ["# kernel architecture registers shared_bytes\n"]
        lines += [f"{k} {a} {r} {s}\n" for (k, a), (r, s, _) in sorted(rows.items())]
        table.write_text("".join(lines))
    budget = {}
    for line in table.read_text().splitlines():
        if line and not line.startswith("#"):
            kernel, arch, registers, shared = line.split()
            budget[kernel, arch] = (int(registers), int(shared))
    bad = 0
    for key, (registers, shared, spills) in sorted(rows.items()):
        allowed = budget.get(key)
        fine = allowed and spills == 0 and registers <= allowed[0] + SLACK and shared <= allowed[1]
        print(f"{key[0]:18s} {key[1]:7s} registers {registers:3d}  shared {shared:5d}  spills {spills}"
              f"{'' if fine else f'   budget {allowed}: FAILED'}")
        bad += not fine
    bad += len(set(budget) - set(rows))
    sys.exit(1 if bad else 0)


main()
