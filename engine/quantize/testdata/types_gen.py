#!/usr/bin/env python3
"""Writes types.json: the type that llama.cpp gives to each tensor of some models, for each mix.

    pip install gguf==0.19.0 numpy; npm pack @node-llama-cpp/linux-x64@3.22.1 (llama.cpp v0.5.0), unpack
    python types_gen.py .../bins/linux-x64 > types.json

The models are skeletons: the tensors' names, the keys that matter, and rows of 256 zeros (512, 320, 96, 40 where the
width is what is tested). types_test.go builds the same lists.
"""
import ctypes
import json
import os
import sys
import tempfile

import gguf
import numpy as np

MIXES = {"F32": 0, "F16": 1, "BF16": 32, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11,
         "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "TQ1_0": 36, "TQ2_0": 37, "MXFP4_MOE": 38}

# name: (architecture, layers, heads, KV heads, experts, has output.weight, columns, tensors of a layer)
DENSE = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
FUSED = ["attn_norm", "attn_qkv", "attn_output", "ffn_up", "ffn_down"]
EXPERTS = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"]
LATENT = ["attn_norm", "attn_q", "attn_kv_a_mqa", "attn_kv_a_norm", "attn_k_b", "attn_v_b", "attn_output", "ffn_norm", "ffn_gate_inp",
          "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"]
OLD_LATENT = ["attn_norm", "attn_q", "attn_kv_a_mqa", "attn_kv_b", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
MODELS = {
    "llama-26": ("llama", 26, 8, 4, 0, True, 256, DENSE),
    "llama-80-gqa8": ("llama", 80, 64, 8, 0, True, 256, DENSE),
    "llama-18-tied-gqa4": ("llama", 18, 8, 2, 0, False, 256, DENSE),
    "mixtral": ("llama", 32, 32, 8, 8, True, 256, EXPERTS),
    "qwen3moe": ("qwen3moe", 20, 32, 4, 128, True, 256, EXPERTS),
    "falcon": ("falcon", 32, 64, 1, 0, True, 256, FUSED),
    "phi2": ("phi2", 32, 32, 32, 0, True, 256, FUSED),
    "deepseek2": ("deepseek2", 10, 16, 16, 64, True, 256, LATENT),
    "deepseek2-kv_b": ("deepseek2", 10, 16, 16, 64, True, 256, OLD_LATENT),
    "columns-320": ("llama", 8, 8, 4, 0, True, 320, DENSE),
    "columns-40-tied": ("llama", 8, 8, 4, 0, False, 40, DENSE),
    "gemma2": ("gemma2", 26, 8, 4, 0, False, 256, DENSE),
}


def write_model(path, arch, layers, heads, kv_heads, experts, output, cols, names):
    w = gguf.GGUFWriter(path, arch)
    w.add_context_length(128)
    w.add_embedding_length(cols)
    w.add_block_count(layers)
    w.add_feed_forward_length(cols)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_layer_norm_eps(1e-5)
    w.add_vocab_size(4)
    w.add_string("tokenizer.ggml.model", "no_vocab")
    w.add_sliding_window(64)
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(2)
        w.add_expert_feed_forward_length(cols)
        w.add_expert_shared_count(1)
        w.add_leading_dense_block_count(0)
        w.add_expert_weights_scale(1.0)
    if arch == "deepseek2":
        w.add_kv_lora_rank(256)
        w.add_q_lora_rank(256)
        w.add_key_length(64)
        w.add_value_length(64)
        w.add_rope_dimension_count(16)
    elif arch in ("phi2", "falcon"):
        w.add_rope_dimension_count(cols // heads)
    zero = lambda *shape: np.zeros(shape, np.float32)
    w.add_tensor("token_embd.weight", zero(4, cols))
    for i in range(layers):
        for name in names:
            stem = f"blk.{i}.{name}.weight"
            if name.endswith("norm"):
                w.add_tensor(stem, zero(cols))
            elif name.endswith("exps"):
                w.add_tensor(stem, zero(2, 4, cols))
            else:
                w.add_tensor(stem, zero(4, cols))
    w.add_tensor("output_norm.weight", zero(cols))
    if output:
        w.add_tensor("output.weight", zero(4, cols))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


class Params(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int32), ("ftype", ctypes.c_int32), ("output", ctypes.c_int32), ("embedding", ctypes.c_int32),
                ("flags", ctypes.c_uint8 * 240)]


folder = sys.argv[1]
for lib in ["libggml-base.so", "libggml.v0.5.0.so", "libggml.so"]:
    if os.path.exists(os.path.join(folder, lib)):
        ctypes.CDLL(os.path.join(folder, lib), mode=ctypes.RTLD_GLOBAL)
llama = ctypes.CDLL(os.path.join(folder, "libllama.v0.5.0.so"))
llama.llama_model_quantize_default_params.restype = Params
llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Params)]
llama.llama_model_quantize.restype = ctypes.c_uint32
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
errors = []
log = LOG(lambda level, text, _: errors.append(text.decode(errors="replace")) if level >= 3 else None)
llama.llama_log_set(log, None)

out = {}
with tempfile.TemporaryDirectory() as tmp:
    src, dst = os.path.join(tmp, "in.gguf"), os.path.join(tmp, "out.gguf")
    for model, spec in MODELS.items():
        write_model(src, *spec)
        out[model] = {}
        for mix, ftype in MIXES.items():
            p = llama.llama_model_quantize_default_params()
            p.threads, p.ftype = 1, ftype
            errors.clear()
            if llama.llama_model_quantize(src.encode(), dst.encode(), ctypes.byref(p)) != 0:
                print(model, mix, errors[-1:], file=sys.stderr)
                continue
            r = gguf.GGUFReader(dst)
            assert r.get_field("general.file_type").contents() == ftype
            types = {t.name: t.tensor_type.name for t in r.tensors}
            # one entry a kind of tensor: its types layer by layer, in runs
            kinds = {}
            for name, t in types.items():
                parts = name.split(".")
                kind, layer = (parts[2], int(parts[1])) if parts[0] == "blk" else (parts[0], 0)
                kinds.setdefault(kind, {})[layer] = t
            out[model][mix] = {}
            for kind, by_layer in kinds.items():
                runs = []
                for layer in sorted(by_layer):
                    if runs and runs[-1][0] == by_layer[layer]:
                        runs[-1][1] += 1
                    else:
                        runs.append([by_layer[layer], 1])
                out[model][mix][kind] = " ".join(f"{t}*{n}" for t, n in runs)
print("{")
print(",\n".join(f' "{m}": {{\n' + ",\n".join(f'  "{x}": {json.dumps(k)}' for x, k in mixes.items()) + "\n }" for m, mixes in out.items()))
print("}")
