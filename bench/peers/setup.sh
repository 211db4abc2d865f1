#!/usr/bin/env bash
# setup.sh DIR - installs the peer: llama.cpp's prebuilt libraries (npm) and the headers that fit them (the source package of
# llama-cpp-python), and compiles llamacpp.c against both. Needs npm, pip, gcc. Prints how to call it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
[ -d node_modules/@node-llama-cpp/linux-x64 ] || npm install --no-save --ignore-scripts @node-llama-cpp/linux-x64@3.22.1 >/dev/null
libs=$(cd "$(ls -d node_modules/@node-llama-cpp/linux-x64/bins/*/ | head -1)" && pwd)
if [ ! -f include/llama.h ]; then
    python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python -d sdist llama-cpp-python==0.3.36
    mkdir -p include
    tar xzf sdist/llama_cpp_python-0.3.36.tar.gz
    cp llama_cpp_python-0.3.36/vendor/llama.cpp/include/llama.h llama_cpp_python-0.3.36/vendor/llama.cpp/ggml/include/*.h include/
fi
gcc -O2 -Iinclude "$here/llamacpp.c" -o llamacpp "$libs/libllama.v0.5.0.so" "$libs/libggml.v0.5.0.so" "$libs/libggml-base.so" \
    -Wl,-rpath,"$libs" -Wl,--allow-shlib-undefined -lm
echo "LLAMA_CPP_LIBS=$libs $PWD/llamacpp"
