#!/usr/bin/env python3
"""Writes what llama.cpp answers on a model: the golden file that engine's TestGolden holds this project's answers against.

  infer quantize --allow-requantize model.gguf model-f32.gguf F32
  golden.py --peers DIR --date 2026-11-23 --text wikitext-2-test.txt --name smollm2:135m --chat chatml --exact model-f32.gguf \
      -o testdata/golden/smollm2.json model.gguf

Each answer is given twice: by llama.cpp as it comes, which rounds activations to 8 bits, and by llama.cpp on the same weights
written as F32, with an f32 cache, which rounds nothing. The second says which of two engines is right where they differ.
Prompts were written before either engine had answered them, and are not chosen by the result.
"""

import argparse
import hashlib
import json
import pathlib
import sys

from llamacpp import LlamaCpp, PeerError, add_peers

TOKENS = 64  # of each continuation
EXACT_TOKENS = 16  # of each continuation without rounding

# Text that a model continues as it is.
RAW = {
    "fact": "The capital of France is",
    "story": "Once upon a time, in a village by the sea, an old clockmaker found a letter under his door. He opened it and read:",
    "code": "def binary_search(items, target):\n    \"\"\"Return the index of target in the sorted list items, or -1.\"\"\"\n    low, high = 0,",
    "numbers": "The powers of two are 1, 2, 4, 8, 16, 32,",
    "french": "Les quatre saisons de l'année sont le printemps, l'été,",
    "table": "| Planet | Moons |\n|---|---|\n| Mercury | 0 |\n| Venus | 0 |\n| Earth |",
}

# Conversations: turns of the user and the assistant, by turns.
CHATS = {
    "question": ["Why is the sky blue? Answer in two sentences."],
    "rewrite": ["Rewrite politely: \"Send me the report now.\""],
    "second turn": ["Name three primary colours.", "Red, yellow and blue.", "Which two of them make green?"],
    "summary": [
        "Summarize this text in one sentence.\n\nThe lighthouse on the northern cape was built in 1874, after eleven ships had been lost on the "
        "reef in a single winter. Its lamp burned rape oil at first, then paraffin, and was electrified only in 1951, because the cable had "
        "to cross nine kilometres of bog. Three keepers lived there with their families; the last of them left in 1988, when the light was "
        "automated. Today the house is a weather station and, in summer, a hostel with twelve beds, and the fog horn is sounded once a year "
        "for the visitors."
    ],
}

# How a model's own template writes turns; special tokens in the text are read as such, and BOS is added by the vocabulary.
FORMATS = {
    "chatml": {
        "head": "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n",
        "turn": "<|im_start|>{role}\n{text}<|im_end|>\n", "roles": ("user", "assistant"), "tail": "<|im_start|>assistant\n",
    },
    "gemma": {
        "head": "", "turn": "<start_of_turn>{role}\n{text}<end_of_turn>\n", "roles": ("user", "model"), "tail": "<start_of_turn>model\n",
    },
}


def write_chat(turns, form):
    said = (form["turn"].format(role=form["roles"][i % 2], text=t) for i, t in enumerate(turns))
    return form["head"] + "".join(said) + form["tail"]


def list_prompts(form):
    yield from RAW.items()
    for name, turns in CHATS.items():
        yield name, write_chat(turns, form)


def answer_prompt(peer, model, name, text):
    ids = peer.tokenize(model, text, special=True)
    answer = peer.greedy(model, ids, TOKENS)
    return {"name": name, "prompt": text, "prompt_ids": ids, "text": peer.detokenize(model, answer["ids"]), **answer}


def answer_exactly(peer, exact, prompts):
    """Adds the continuations that the same weights give without rounding."""
    for p in prompts:
        p["exact"] = peer.greedy(exact, p["prompt_ids"], EXACT_TOKENS, cache="f32", flash=0)


def measure_perplexity(peer, model, path, windows):
    text = path.read_bytes()
    return {"text": path.name, "sha256": hashlib.sha256(text).hexdigest(), **peer.perplexity(model, text, 512, windows)}


def write_golden(path, golden):
    """Indented JSON in which a list of numbers takes one line."""
    lists = []

    def hide(value):
        if isinstance(value, dict):
            return {k: hide(v) for k, v in value.items()}
        if isinstance(value, list) and value and isinstance(value[0], (int, float)):
            lists.append(json.dumps(value))
            return f"\0{len(lists) - 1}\0"
        return [hide(v) for v in value] if isinstance(value, list) else value

    text = json.dumps(hide(golden), indent=1, ensure_ascii=False)
    for i, line in enumerate(lists):
        text = text.replace(f'"\\u0000{i}\\u0000"', line, 1)
    path.write_text(text + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_peers(parser)
    parser.add_argument("model", type=pathlib.Path, help="GGUF file")
    parser.add_argument("--name", required=True, help="name of the model as infer pull knows it")
    parser.add_argument("--chat", choices=FORMATS, required=True, help="how the model's template writes turns")
    parser.add_argument("--exact", type=pathlib.Path, required=True, help="the same weights as F32")
    parser.add_argument("--text", type=pathlib.Path, required=True, help="text to score")
    parser.add_argument("--windows", type=int, nargs="+", default=[20], help="windows of 512 tokens to score, one result each; 0: all (default: 20)")
    parser.add_argument("--date", required=True)
    parser.add_argument("-t", dest="threads", type=int, default=2)
    parser.add_argument("-o", dest="out", type=pathlib.Path, required=True)
    return parser.parse_args()


def main():
    a = parse_arguments()
    try:
        peer = LlamaCpp(a.peers, a.threads)
        with a.model.open("rb") as f:
            sha256 = hashlib.file_digest(f, "sha256").hexdigest()
        golden = {
            "model": a.name, "file": a.model.name, "size": a.model.stat().st_size, "sha256": sha256,
            "llama.cpp": peer.describe(), "date": a.date,
            "command": f"golden.py --name {a.name} --chat {a.chat} --exact {a.exact.name} --windows {' '.join(map(str, a.windows))}",
            "cache": "f16", "flash_attention": "auto", "repack": True, "threads": a.threads,
            "prompts": [answer_prompt(peer, a.model, name, text) for name, text in list_prompts(FORMATS[a.chat])],
            "perplexity": [measure_perplexity(peer, a.model, a.text, w) for w in a.windows],
        }
        answer_exactly(peer, a.exact, golden["prompts"])
        write_golden(a.out, golden)
    except (PeerError, OSError) as e:
        sys.exit(f"golden: {e}")


if __name__ == "__main__":
    main()
