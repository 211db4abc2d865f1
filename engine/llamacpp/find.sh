#!/usr/bin/env bash
# find.sh OUT - finds an installed libllama with its headers for the build tag llamacpp and prints the value PKG_CONFIG_PATH must have.
#
# With LLAMA_CPP_DIR it writes OUT/llama.pc for what lies there: llama.h in include or the folder itself, libllama in lib, lib64,
# bin or the folder itself (an installed llama.cpp, or the folder llama_cpp of the Python package llama-cpp-python), or as
# bench/peers/setup.sh lays it out. Without it, pkg-config must know "llama".
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: find.sh OUT" >&2; exit 2; }

# Go keeps what it compiled although pkg-config says something else by now; a header of the package that changes is noticed.
note() { # FOLDER of llama.pc, or nothing
    local said header path=$1${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    header=$(dirname "$0")/found.h
    said="/* $(PKG_CONFIG_PATH=$path pkg-config --modversion llama): $(PKG_CONFIG_PATH=$path pkg-config --cflags --libs llama) */"
    [ "$said" = "$(cat "$header" 2>/dev/null)" ] || echo "$said" >"$header"
}

if [ -z "${LLAMA_CPP_DIR:-}" ]; then
    pkg-config --exists llama || { echo "find.sh: pkg-config knows no llama; LLAMA_CPP_DIR names a folder with llama.h and libllama" >&2; exit 1; }
    note ""
    echo "${PKG_CONFIG_PATH:-}"
    exit
fi
dir=$(cd "$LLAMA_CPP_DIR" && pwd)

first() { # NAME... - the first of the folders that holds a file of a name
    local pattern=$1 folder
    shift
    for folder in "$@"; do
        if compgen -G "$folder/$pattern" >/dev/null; then
            echo "$folder"
            return
        fi
    done
    echo "find.sh: $dir: found no $pattern in ${*#"$dir"/}" >&2
    exit 1
}

shopt -s nullglob
headers=$(first llama.h "$dir/include" "$dir")
libraries=$(first 'libllama*.so' "$dir/lib" "$dir/lib64" "$dir/bin" "$dir" "$dir"/node_modules/@node-llama-cpp/linux-x64/bins/*)
files=()
for file in "$libraries"/libllama.so "$libraries"/libllama.v*.so "$libraries"/libggml.so "$libraries"/libggml.v*.so "$libraries"/libggml-base.so; do
    [ -e "$file" ] && files+=("$file")
done
mkdir -p "$1"
out=$(cd "$1" && pwd)
cat >"$out/llama.pc" <<END
Name: llama
Description: llama.cpp in $dir
Version: 0
Cflags: -I$headers
Libs: ${files[@]} -Wl,-rpath,$libraries -Wl,--allow-shlib-undefined
END
note "$out"
echo "$out${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
