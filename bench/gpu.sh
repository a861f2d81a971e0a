#!/usr/bin/env bash
# What a person with an NVIDIA card runs once, in a source tree or in an unpacked bundle, which needs the driver and nothing else: the tests
# on the real device, compute-sanitizer, whole runs against the CPU's digests, and timings. The last line is the one to send back.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -e dev ]; then
    ./dev build
    hebbes=build/release/hebbes
    tests=build/release/tests
    version=$(git rev-parse --short HEAD)
else
    hebbes=./hebbes
    tests=libexec/hebbes
    export LD_LIBRARY_PATH=$PWD/lib/hebbes${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} # of the tests; the program knows its own
    read -r version <share/hebbes/commit
fi
test_ops=$tests/test_ops
test_mixture=$tests/test_mixture

info=$("$hebbes" info)
card=$(grep -m1 '^  cuda ' <<<"$info" || echo "  cuda     not usable: this build has no CUDA device")
if [[ $card == *"not usable"* ]]; then
    echo "hebbes gpu: nothing was measured: $card"
    exit 1
fi
echo "$card"

echo "== every operation on the card against the oracle and against the CPU's bits"
"$test_ops"
"$test_mixture"

if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck synccheck; do
        echo "== compute-sanitizer $tool"
        HB_QUICK=1 compute-sanitizer --tool "$tool" --error-exitcode 1 "$test_ops"
        HB_QUICK=1 compute-sanitizer --tool "$tool" --error-exitcode 1 "$test_mixture"
    done
fi

echo "== digests of whole runs"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
agree=0
runs=("ant policy.kind=hebbian" "ant policy.kind=static" "ant policy.kind=lstm" "ant policy.normalise=true"
    "ant search.optimiser=adam" "car policy.kind=hebbian" "car policy.vision=fixed" "car policy.kind=lstm"
    "ant search.kind=gmm" "ant search.kind=shared")
for run in "${runs[@]}"; do
    read -r env set <<<"$run"
    for device in cpu cuda; do
        "$hebbes" train "configs/$env/pnr-replicate.yaml" --device "$device" --out "$folder/$device" --set "$set" \
            --set search.population=16 --set run.generations=3 >/dev/null
    done
    if [ "$("$hebbes" digest "$folder/cpu")" = "$("$hebbes" digest "$folder/cuda")" ]; then agree=$((agree + 1)); fi
    rm -rf "$folder/cpu" "$folder/cuda"
done
echo "$agree of ${#runs[@]} digests agree"

echo "== timings"
"$hebbes" bench step --device cuda
"$hebbes" bench step --env car --device cuda
"$hebbes" bench es --device cuda
"$hebbes" bench gmm --device cuda
"$hebbes" bench products --device cuda || true # without cuBLAS it says so
"$hebbes" bench robots --device cuda
"$hebbes" bench generation --device cuda

if command -v ncu >/dev/null; then
    echo "== roofline of the fused step"
    HB_QUICK=1 ncu --kernel-name regex:step_kernel --launch-count 5 --section SpeedOfLight "$test_ops" || true
fi

cards=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || echo "nvidia-smi fails")
echo "hebbes gpu: ${cards//$'\n'/; }; operations agree; digests $agree of ${#runs[@]}; $version"
[ "$agree" = "${#runs[@]}" ]
