#!/usr/bin/env python3
"""Compares the speed of `infer bench` with llama.cpp's on the same files: in turn, several times, on one machine.

  compare.py --peers DIR --infer bin/infer -o speed.json model.gguf

Every round runs each engine once, in a new process, and every second round in reverse order, so that a machine that grows
warm or busy slows both alike. A ratio is the median of the rounds' ratios: ours divided by llama.cpp's, above 1 where ours is
faster. Rounds in which the two ran under very different load show as a wide range of ratios: repeat such a comparison.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from llamacpp import LlamaCpp, PeerError, add_peers

FLASH = {"auto": -1, "off": 0, "on": 1}


class Infer:
    """This project's command."""

    def __init__(self, binary, threads):
        self.binary, self.threads = binary, threads

    def run(self, *words):
        done = subprocess.run([self.binary, *map(str, words), "--threads", str(self.threads)], capture_output=True)
        if done.returncode != 0:
            raise PeerError(f"{self.binary} {words[0]}: {done.stderr.decode(errors='replace').strip() or done.returncode}")
        return json.loads(done.stdout)

    def bench(self, model, a):
        return self.run("bench", "-m", model, "--json", "-p", a.prompt, "-n", a.gen, "-b", a.sequences, "-d", a.depth, "-r", a.runs,
                        "--cache-type", a.cache_type)


def list_engines(a, peer):
    """Name and bench of each contestant."""
    infer = Infer(a.infer, a.threads)
    engines = {"infer": lambda model: infer.bench(model, a)}
    for flash in a.flash:
        options = {"prompt": a.prompt, "gen": a.gen, "sequences": a.sequences, "depth": a.depth, "runs": a.runs, "cache": a.cache_type}
        engines[f"llama.cpp, fused attention {flash}"] = lambda model, flash=flash: peer.bench(model, flash=FLASH[flash], **options)
    return engines


def run_rounds(model, engines, rounds):
    """Returns {test: {engine: [tokens a second of each round]}} and facts of each engine."""
    speeds, facts = {}, {}
    for i in range(rounds):
        order = list(engines) if i % 2 == 0 else list(reversed(engines))
        for name in order:
            print(f"{model.name}: round {i + 1} of {rounds}, {name}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            for r in engines[name](model):
                speeds.setdefault(r["test"], {}).setdefault(name, []).append(r["tokens_per_second"]["median"])
                facts.setdefault(name, {k: r[k] for k in ("variant", "type")})
    return speeds, facts


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": [round(v, 4) for v in values]}


def summarize(model, a, speeds, facts, load):
    tests = []
    for test, by_engine in speeds.items():
        ours = by_engine["infer"]
        ratios = {n: spread([x / y for x, y in zip(ours, v)]) for n, v in by_engine.items() if n != "infer"}
        tests.append({"test": test, "tokens_per_second": {n: spread(v) for n, v in by_engine.items()}, "ratio": ratios})
    return {"model": model.name, "size": model.stat().st_size, "threads": a.threads, "sequences": a.sequences, "depth": a.depth,
            "cache": a.cache_type, "engines": facts, "load_average": load, "tests": tests}


def print_table(result):
    facts = ", ".join(f"{n}: {f['variant']}" for n, f in result["engines"].items())
    print(f"\n{result['model']}: {result['threads']} threads, {result['sequences']} sequences, depth {result['depth']}; {facts}; "
          f"load average {result['load_average'][0]:.1f} to {result['load_average'][1]:.1f}\n")
    print("| test | engine | tokens/s | range | infer / it | range |\n|---|---|---:|---:|---:|---:|")
    for test in result["tests"]:
        for name, s in test["tokens_per_second"].items():
            r = test["ratio"].get(name)
            ratio = f"{r['median']:.2f} | {r['min']:.2f} to {r['max']:.2f}" if r else "|"
            print(f"| {test['test']} | {name} | {s['median']:.1f} | {s['min']:.1f} to {s['max']:.1f} | {ratio} |")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_peers(parser)
    parser.add_argument("models", type=pathlib.Path, nargs="+", metavar="model", help="GGUF file")
    parser.add_argument("--infer", required=True, help="the infer command")
    parser.add_argument("-o", dest="out", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-r", dest="runs", type=int, default=2, help="timed runs a round (default: 2)")
    parser.add_argument("-p", dest="prompt", type=int, default=512)
    parser.add_argument("-n", dest="gen", type=int, default=128)
    parser.add_argument("-t", dest="threads", type=int, default=2)
    parser.add_argument("-b", dest="sequences", type=int, default=1)
    parser.add_argument("-d", dest="depth", type=int, default=0)
    parser.add_argument("--cache-type", choices=["f16", "f32"], default="f16")
    parser.add_argument("-fa", dest="flash", choices=FLASH, nargs="+", default=["on", "off"], help="llama.cpp's forms of attention (default: both)")
    a = parser.parse_args()
    if a.rounds < 1 or a.runs < 1:
        parser.error("--rounds and -r: expected 1 or more")
    return a


def main():
    a = parse_arguments()
    try:
        peer = LlamaCpp(a.peers, a.threads)
        report = {"llama.cpp": peer.describe(), "infer": a.infer, "date": time.strftime("%Y-%m-%d"), "results": []}
        for model in a.models:
            before = os.getloadavg()[0]
            speeds, facts = run_rounds(model, list_engines(a, peer), a.rounds)
            report["results"].append(summarize(model, a, speeds, facts, [round(before, 1), round(os.getloadavg()[0], 1)]))
            print_table(report["results"][-1])
        if a.out:
            a.out.write_text(json.dumps(report, indent=1) + "\n")
    except (PeerError, OSError) as e:
        sys.exit(f"compare: {e}")


if __name__ == "__main__":
    main()
