#!/usr/bin/env bash
# Measures this machine's card with the program that `make cuda-programs` built: a table in Markdown, and bin/cuda/bench.json.
# Arguments go to the program: --shapes 8B --types Q4_K_M ...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export INFER_BACKENDS=${INFER_BACKENDS:-$root/bin}
for needed in "$INFER_BACKENDS/libinfer_cuda.so" "$root/bin/cuda/bench"; do
    [ -e "$needed" ] || { echo "$needed is missing: make cuda-programs builds it"; exit 1; }
done
"$root/bin/cuda/bench" --json "${OUT:-$root/bin/cuda}/bench.json" "$@" | tee "${OUT:-$root/bin/cuda}/bench.md"
