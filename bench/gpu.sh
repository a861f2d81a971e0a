#!/usr/bin/env bash
# What a person with an NVIDIA card runs once: the tests on the real device, compute-sanitizer, whole runs against the
# CPU's digests, and timings. The last line is the one to send back.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./dev build
hebbes=build/release/hebbes
test_ops=build/release/tests/test_ops
test_mixture=build/release/tests/test_mixture

"$hebbes" info | head -n 4
if "$hebbes" info | grep -q 'cuda *not usable'; then
    echo "no usable card here: nothing was measured" >&2
    exit 1
fi

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

card=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -n 1)
echo "hebbes gpu: $card; operations agree; digests $agree of ${#runs[@]}; $(git rev-parse --short HEAD)"
[ "$agree" = "${#runs[@]}" ]
