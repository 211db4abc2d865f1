#!/usr/bin/env python3
"""Runs llama.cpp, installed by setup.sh, on one task and prints the result as JSON.

The directory given to setup.sh is found by --peers or $INFER_PEERS. --ik runs ik_llama.cpp instead, where setup.sh built it.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys


class PeerError(Exception):
    """llama.cpp is missing or failed; the message says which and where."""


class LlamaCpp:
    """The installed libraries, driven one process a task."""

    name = "llama.cpp"
    driver = "driver"

    def __init__(self, directory, threads=2):
        self.directory = pathlib.Path(directory)
        self.threads = threads
        if not (self.directory / self.driver).is_file():
            raise PeerError(f"{self.directory / self.driver} does not exist: expected the directory that setup.sh was given for {self.name}")

    def command(self, task, model, **options):
        options = {"threads": self.threads, **options}
        return [str(self.directory / self.driver), task, str(model), *(f"{k}={v}" for k, v in options.items() if v is not None)]

    def run_bytes(self, task, model, given=b"", **options):
        done = subprocess.run(self.command(task, model, **options), input=given, capture_output=True)
        if done.returncode != 0:
            raise PeerError(f"{task} {model}: {done.stderr.decode(errors='replace').strip() or done.returncode}")
        return done.stdout

    def run(self, task, model, given=b"", **options):
        return json.loads(self.run_bytes(task, model, given, **options))

    def describe(self):
        """Version, package and instruction set, for the record of a result."""
        package = self.directory / "node_modules/@node-llama-cpp/linux-x64"
        build = json.loads(next(package.glob("bins/*/_nlcBuildMetadata.json")).read_text())
        version = json.loads((package / "package.json").read_text())["version"]
        return {"version": build["buildOptions"]["llamaCpp"]["release"], "package": f"npm @node-llama-cpp/linux-x64 {version}",
                "variant": self.run("info", "-")["variant"]}

    def tokenize(self, model, text, special):
        return self.run("tokenize", model, text.encode(), special=int(special))["ids"]

    def detokenize(self, model, ids):
        return self.run_bytes("detokenize", model, join_ids(ids)).decode(errors="replace")

    def greedy(self, model, ids, count, **options):
        """Continues ids with the likeliest token each time; the result ends early with an end token."""
        return self.run("greedy", model, join_ids(ids), count=count, **options)

    def perplexity(self, model, text, window, windows, **options):
        """llama-perplexity's figure: it drops one newline at the end of the file it reads."""
        return self.run("perplexity", model, text.removesuffix(b"\n"), window=window, windows=windows, **options)

    def bench(self, model, **options):
        """llama-bench's method; the form of `infer bench --json`."""
        variant = self.describe()["variant"]
        return [{"model": str(model), "type": r["type"], "variant": variant, "threads": self.threads, "batch": r["batch"], "depth": r["depth"],
                 "test": r["test"], "tokens_per_second": {"median": statistics.median(r["runs"]), "min": min(r["runs"]), "max": max(r["runs"])},
                 "runs": r["runs"]} for r in self.run("bench", model, **options)]


class IkLlamaCpp(LlamaCpp):
    """The fork ik_llama.cpp, in the same form. It repacks weights only where asked to (repack=1)."""

    name = "ik_llama.cpp"
    driver = "driver-ik"

    def bench(self, model, **options):
        """Its fused attention asserts where sequences lie side by side in the cache."""
        return super().bench(model, **{**options, **({"flash": 0} if options.get("sequences", 1) > 1 else {})})

    def describe(self):
        package = next(self.directory.glob("ik_llama_cpp_python-*/")).name
        return {"version": package.rpartition("-")[2], "package": f"PyPI {package}", "variant": self.run("info", "-")["variant"]}


def join_ids(ids):
    return ",".join(map(str, ids)).encode()


def parse_ids(text):
    try:
        return [int(i) for i in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected ids separated by commas") from None


def add_peers(parser):
    parser.add_argument("--peers", default=os.environ.get("INFER_PEERS"), required="INFER_PEERS" not in os.environ,
                        help="directory given to setup.sh (default: $INFER_PEERS)")


def add_fork(parser):
    parser.add_argument("--ik", dest="peer", action="store_const", const=IkLlamaCpp, default=LlamaCpp, help="ik_llama.cpp instead of llama.cpp")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_peers(parser)
    add_fork(parser)
    tasks = parser.add_subparsers(dest="task", required=True)

    def task(name, help):
        t = tasks.add_parser(name, help=help)
        t.add_argument("-m", dest="model", required=True, help="GGUF file")
        t.add_argument("-t", dest="threads", type=int, default=2)
        return t

    def numeric(t):
        t.add_argument("--cache-type", choices=["f16", "f32"], default="f16")
        t.add_argument("-fa", dest="flash", choices=["auto", "on", "off"], default="auto", help="fused attention")
        t.add_argument("--repack", choices=["auto", "on", "off"], default="auto", help="weights laid out anew while loading")

    tasks.add_parser("info", help="version and instruction set")
    t = task("logits", "float32 logits of every token, [tokens][vocabulary]")
    numeric(t)
    t.add_argument("--tokens", type=parse_ids, required=True)
    t.add_argument("--chunk", type=int, help="tokens fed a step (default: 2048)")
    t.add_argument("-o", dest="out", required=True)
    t = task("tokenize", "ids of the text on standard input")
    t.add_argument("--special", action="store_true", help="add BOS and EOS as the file says, and read special tokens in the text")
    t = task("greedy", "the likeliest continuation")
    numeric(t)
    prompt = t.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", help="text; special tokens in it are read, BOS is added as the file says")
    prompt.add_argument("--tokens", type=parse_ids)
    t.add_argument("-n", dest="count", type=int, default=64)
    t = task("perplexity", "as llama-perplexity computes it")
    numeric(t)
    t.add_argument("-f", dest="file", required=True)
    t.add_argument("--ctx", type=int, default=512)
    t.add_argument("--chunks", type=int, default=0, help="windows to score at most (default: all)")
    t = task("bench", "prompt and generation speed, as llama-bench measures it")
    numeric(t)
    t.add_argument("-p", dest="prompt", type=int, default=512)
    t.add_argument("-n", dest="gen", type=int, default=128)
    t.add_argument("-r", dest="runs", type=int, default=5)
    t.add_argument("-b", dest="sequences", type=int, default=1)
    t.add_argument("-d", dest="depth", type=int, default=0)
    numeric(task("load", "time from start to first token"))
    t = task("arrival", "times between tokens of sequences while a long prompt is read beside them")
    numeric(t)
    t.add_argument("-p", dest="prompt", type=int, default=4000)
    t.add_argument("-n", dest="gen", type=int, default=100, help="tokens of each sequence before the prompt comes")
    t.add_argument("-b", dest="sequences", type=int, default=4)
    t.add_argument("--batch", type=int, default=2048, help="rows of a step (default 2048, as llama.cpp's server)")
    return parser.parse_args()


def run_task(peer, a):
    if a.task == "info":
        return peer.describe()
    if a.task == "tokenize":
        return {"ids": peer.tokenize(a.model, sys.stdin.buffer.read().decode(errors="surrogateescape"), a.special)}
    switch = {"auto": -1, "off": 0, "on": 1}
    numeric = {"cache": a.cache_type, "flash": switch[a.flash], "repack": switch[a.repack]}
    if a.task == "logits":
        return peer.run("logits", a.model, join_ids(a.tokens), out=a.out, chunk=a.chunk, **numeric)
    if a.task == "greedy":
        ids = a.tokens or peer.tokenize(a.model, a.prompt, special=True)
        result = peer.greedy(a.model, ids, a.count, **numeric)
        if a.prompt:  # files without a vocabulary have no text
            result["text"] = peer.detokenize(a.model, result["ids"])
        return {"prompt_ids": ids, **result}
    if a.task == "perplexity":
        return {**peer.perplexity(a.model, pathlib.Path(a.file).read_bytes(), a.ctx, a.chunks, **numeric), peer.name: peer.describe()}
    if a.task == "bench":
        return peer.bench(a.model, prompt=a.prompt, gen=a.gen, runs=a.runs, sequences=a.sequences, depth=a.depth, **numeric)
    if a.task == "arrival":
        return peer.run("arrival", a.model, prompt=a.prompt, gen=a.gen, sequences=a.sequences, batch=a.batch, **numeric)
    return peer.run("load", a.model, **numeric)


def main():
    a = parse_arguments()
    try:
        peer = a.peer(a.peers, getattr(a, "threads", 2))
        print(json.dumps(run_task(peer, a), ensure_ascii=False))
    except (PeerError, OSError) as e:
        sys.exit(f"llamacpp: {e}")


if __name__ == "__main__":
    main()
