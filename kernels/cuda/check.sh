#!/usr/bin/env bash
# Checks the backend on this machine's card, with the programs that `make cuda-programs` built: every op on fresh random inputs against the CPU's
# reference, the conformance corpus ($INFER_FIXTURES, or ../shared beside the tree), and small cases under compute-sanitizer where it is installed.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
export INFER_CUDA_LIBRARY=${INFER_CUDA_LIBRARY:-$root/bin} INFER_TRIAL_SEED=${INFER_TRIAL_SEED:-$RANDOM}
test=$root/bin/cuda/check.test
for needed in "$INFER_CUDA_LIBRARY/libinfer_cuda.so" "$test"; do
    [ -e "$needed" ] || { echo "$needed is missing: make cuda-programs builds it"; exit 1; }
done
echo "seed $INFER_TRIAL_SEED"
"$test" -test.timeout 420s

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
if [ -z "$sanitizer" ]; then
    echo "compute-sanitizer is not installed: memory and races were not checked"
    exit 0
fi
for tool in memcheck racecheck; do
    echo "== $tool"
    timeout 150 "$sanitizer" --tool "$tool" --error-exitcode 1 "$test" -test.short -test.run 'TestOps/(rows|embed|attention/random|recurrent|product/(Q4_K|Q8_0|F16)|experts/Q8_0)/0'
done
