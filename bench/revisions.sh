#!/usr/bin/env bash
# revisions.sh REF [MODEL] - compares the speed of this tree with that of a revision, by benchstat: both run the Go benchmarks in turn, a
# few times each, so that what else the machine does meets both alike. MODEL: a GGUF file for prefill and decode (default: the tiny
# random one of the tests). COUNT: runs of each side (default 6). WHAT: which benchmarks (a pattern of go test -bench).
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: revisions.sh REF [MODEL]" >&2; exit 2; }
ref=$1
count=${COUNT:-6} what=${WHAT:-'^Benchmark(Prefill|Decode|Product|Sample|Plan)$'}
[ -z "${2:-}" ] || INFER_BENCH_MODEL=$(realpath "$2")
export INFER_BENCH_MODEL=${INFER_BENCH_MODEL:-}
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
commit=$(git rev-parse --verify --quiet "$ref^{commit}") || { echo "revisions.sh: found no revision $ref" >&2; exit 2; }

work=$(mktemp -d)
trap 'git -C "$here" worktree remove --force "$work/old" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/old" "$commit"
(cd tools && go build -o ../bin/benchstat golang.org/x/perf/cmd/benchstat)

packages=(./engine ./kernels ./sampler ./engine/schedule)
build() { # folder, side
    mkdir -p "$work/$2"
    for p in "${packages[@]}"; do
        (cd "$1" && GOFLAGS="${GOFLAGS:-} -trimpath" go test -c -o "$work/$2/$(basename "$p").test" "$p")
    done
}
build "$work/old" then
build "$here" now
run() { # folder, side
    for p in "${packages[@]}"; do
        (cd "$1/$p" && "$work/$2/$(basename "$p").test" -test.run '^$' -test.bench "$what" -test.benchtime 0.5s) >>"$work/$2.txt"
    done
}
for i in $(seq "$count"); do
    echo "revisions.sh: $i of $count" >&2
    if [ $((i % 2)) = 1 ]; then run "$work/old" then && run "$here" now; else run "$here" now && run "$work/old" then; fi
done
cd "$work" && "$here/bin/benchstat" "$ref=then.txt" "this tree=now.txt"
