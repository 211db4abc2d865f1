#!/usr/bin/env python3
"""Writes quantize.json: the errors of llama.cpp's quantizers on seeded matrices, which ours are held against.

    pip install numpy; npm pack @node-llama-cpp/linux-x64@3.22.1 (llama.cpp v0.5.0), unpack
    python quantize_gen.py .../bins/linux-x64/libggml-base.so > quantize.json

Matrices are ROWS x COLS, made from splitmix64 (see matrix and importance; quantize_test.go has the same in Go). Errors
are relative root sums of squares, sqrt(sum w*(y-x)^2 / sum w*x^2), with w =
    plain     1
    square    x^2
    weighted  importance                          (cases with importance only)
    target    importance*sqrt(mean(x^2 of row) + x^2)   what llama.cpp minimises (cases with importance only)
"""
import ctypes
import json
import sys

import numpy as np

ROWS, COLS = 24, 1024
TYPES = {"Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14}
TYPES |= {"IQ4_NL": 20, "IQ4_XS": 23, "TQ1_0": 34, "TQ2_0": 35, "MXFP4": 39, "NVFP4": 40, "Q1_0": 41, "Q2_0": 42}


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


def uniform(seed, count):
    """In (0, 1): 53 bits of splitmix64, plus a half."""
    n = np.arange(1, count + 1, dtype=np.uint64)
    z = np.uint64(seed) + n * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53


def normal(seed, count):
    u = uniform(seed, 2 * count)
    return np.sqrt(-2 * np.log(u[0::2])) * np.cos(2 * np.pi * u[1::2])


def matrix(kind):
    n = ROWS * COLS
    x = normal(1, n)
    if kind == "laplace":
        x = -np.log(uniform(2, n)) * np.sign(x)
    elif kind == "outliers":  # scales that vary by row and column, and one weight in a thousand eight times too large
        rows, cols = np.exp(0.4 * normal(3, ROWS)), np.exp(0.3 * normal(4, COLS))
        x = (x.reshape(ROWS, COLS) * rows[:, None] * cols).ravel()
        x[uniform(5, n) < 0.001] *= 8
    elif kind == "shifted":
        x = x + 1.5
    return (0.02 * x).astype(np.float32).reshape(ROWS, COLS)


def importance():
    return np.exp(1.2 * normal(6, COLS)).astype(np.float32)


def error(x, y, w):
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(np.sqrt((w * (y - x) ** 2).sum() / (w * x**2).sum()))


ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
out = []
for name, number in TYPES.items():
    traits = ggml.ggml_get_type_traits(number).contents
    for kind in ["gauss", "laplace", "outliers", "shifted"]:
        x = matrix(kind)
        for imp in [None, importance()]:
            q = np.zeros(x.size // traits.block * traits.bytes, np.uint8)
            y = np.empty_like(x)
            ggml.ggml_quantize_chunk(number, x.ctypes.data, q.ctypes.data, 0, ROWS, COLS, imp.ctypes.data if imp is not None else None)
            traits.to_float(q.ctypes.data, y.ctypes.data, x.size)
            x2 = x.astype(np.float64) ** 2
            errors = {"plain": error(x, y, 1.0), "square": error(x, y, x2)}
            if imp is not None:
                errors["weighted"] = error(x, y, imp.astype(np.float64))
                errors["target"] = error(x, y, imp * np.sqrt(x2.mean(1, keepdims=True) + x2))
            errors = {k: float(f"{v:.6g}") for k, v in errors.items()}
            out.append({"type": name, "matrix": kind, "importance": imp is not None, "errors": errors})
print("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]")
