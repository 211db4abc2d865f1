#!/usr/bin/env python3
"""Writes dequantize.json: what blocks of pseudo-random bytes mean, according to two other implementations.

    pip install gguf==0.19.0 numpy; npm pack @node-llama-cpp/linux-x64@3.22.1 (llama.cpp v0.5.0), unpack
    python dequantize_gen.py .../bins/linux-x64/libggml-base.so > dequantize.json

For every type: BLOCKS blocks of splitmix64 bytes (seed = the type's number), dequantized by the numpy code of the package
`gguf` and by ggml's own to_float. Both must agree. The file holds the SHA-256 of the floats (little endian, every NaN as
0x7fc00000, -0 as 0) and the first weights of block 0. Blocks of random bytes hold NaN and infinite scales too.
"""
import ctypes
import hashlib
import json
import sys
import warnings

import gguf
import numpy as np
from gguf.quants import _type_traits

warnings.filterwarnings("ignore")
BLOCKS = 256
NUMBERS = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
TYPES = {
    **{t.name: int(t) for t in gguf.GGMLQuantizationType if not t.name.startswith(("Q8_1", "Q8_K"))},
    "Q1_0": 41,
    "Q2_0": 42,
}


class Traits(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleave", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        ("from_float", ctypes.c_void_p),
    ]


def random_bytes(seed, count):
    """splitmix64, eight bytes a step, little endian."""
    n = np.arange(1, (count + 7) // 8 + 1, dtype=np.uint64)
    z = np.uint64(seed) + n * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).astype("<u8").view(np.uint8)[:count].copy()


def canonical(x):
    x = x.astype("<f4").ravel() + np.float32(0)
    return np.where(np.isnan(x), np.array(0x7FC00000, np.uint32).view(np.float32), x)


ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
out = {}
for name, number in sorted(TYPES.items(), key=lambda kv: kv[1]):
    traits = ggml.ggml_get_type_traits(number).contents
    src = random_bytes(number, BLOCKS * traits.bytes)
    found = []
    if name in NUMBERS:
        found.append(src.view(NUMBERS[name]).astype(np.float32))
    elif any(int(t) == number for t in _type_traits):
        found.append(gguf.quants.dequantize(src.reshape(BLOCKS, -1), gguf.GGMLQuantizationType(number)))
    if traits.to_float:
        dst = np.empty(BLOCKS * traits.block, np.float32)
        traits.to_float(src.ctypes.data, dst.ctypes.data, dst.size)
        found.append(dst)
    found = [canonical(x) for x in found]
    for x in found[1:]:
        if x.tobytes() != found[0].tobytes():
            at = np.flatnonzero(x.view(np.uint32) != found[0].view(np.uint32))
            print(f"{name}: {at.size} differ, first {at[0]}: {found[0][at[0]]} {x[at[0]]}", file=sys.stderr)
    out[name] = {
        "number": number,
        "blocks": BLOCKS,
        "block": traits.block,
        "block_bytes": traits.bytes,
        "implementations": len(found),
        "sha256": hashlib.sha256(found[-1].tobytes()).hexdigest(),
        "first": [f"{v:.9g}" for v in found[-1][:16]],
    }
json.dump(out, sys.stdout, indent=1)
print()
