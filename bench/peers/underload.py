#!/usr/bin/env python3
"""Holds infer under load against llama.cpp: same file, same threads, in turn, and who goes first changes each time.

arrival: four sequences decode and a long prompt comes; the times between their tokens, before and meanwhile, and when the prompt's
first token came. llama.cpp puts as much of the prompt into each step as the batch takes, as its server does: measured with its
usual batch, and with a small one, which is what it offers against the stalls.
aggregate: 8 and 16 equal requests at once. Ours go through the scheduler and its streams; llama.cpp decodes them in one batch.

"others" is the share of the cores' time that went to other processes meanwhile; the least disturbed of --tries measurements counts.
"""

import argparse
import json
import pathlib
import statistics
import sys

import compare
import llamacpp

BATCHES = (2048, 64)  # of llama.cpp's server by default; small
GENERATED = 32        # of a sequence, in the peer's aggregate


class Ours:
    """Figures of `infer bench --traffic`, by name."""

    name = "infer"

    def __init__(self, binary, threads):
        self.binary, self.threads = binary, threads

    def ask(self, model, experiment):
        out = json.loads(compare.run_command([self.binary, "bench", "--traffic", "--experiment", experiment, "--repeats", "1", "--json", "-m", model,
                                              "-t", str(self.threads)]))
        return {f["name"].strip(): f["value"] for f in out[0]["figures"]}

    def arrival(self, model):
        said = self.ask(model, "arrival")
        alone, during, first = said["p99 between tokens, alone"], said["p99 while 4000 tokens arrive"], said["first token of the long prompt"]
        return {"alone, ms": alone, "meanwhile, ms": during, "ratio": during / alone, "prompt's first token, s": first}

    def aggregate(self, model):
        said = self.ask(model, "aggregate")
        return {f"{n} requests, tokens/s": said[f"{n} equal requests"] for n in (8, 16)}


class Theirs:
    """llama.cpp, with a batch of so many rows."""

    def __init__(self, peer, batch):
        self.peer, self.batch, self.name = peer, batch, f"llama.cpp, batch {batch}"

    def arrival(self, model):
        said = self.peer.run("arrival", model, prompt=4000, gen=200, sequences=4, batch=self.batch)
        alone, during = said["alone"]["p99"] * 1e3, said["during"]["p99"] * 1e3
        return {"alone, ms": alone, "meanwhile, ms": during, "ratio": during / alone, "prompt's first token, s": said["first_token"]}

    def aggregate(self, model):
        said = {}
        for n in (8, 16):
            runs = self.peer.run("bench", model, prompt=0, gen=GENERATED, sequences=n, runs=1)
            said[f"{n} requests, tokens/s"] = statistics.median(runs[0]["runs"])
        return said


def measure(engine, experiment, model, tries):
    """The least disturbed of a few measurements."""
    best = None
    for _ in range(tries):
        with compare.Watch() as watch:
            figures = getattr(engine, experiment)(model)
        if best is None or watch.others < best["others"]:
            best = {"figures": figures, "others": watch.others}
        if best["others"] <= compare.NOISY:
            break
    return best


def compare_experiment(engines, experiment, model, a):
    rounds = []
    for i in range(a.repeats):
        first = i % len(engines)
        rounds.append({e.name: measure(e, experiment, model, a.tries) for e in engines[first:] + engines[:first]})
    return rounds


def print_table(rounds, engines):
    names = list(rounds[0]["infer"]["figures"])
    print("| engine | " + " | ".join(names) + " | others |\n|" + "---|" * (len(names) + 2))
    for e in engines:
        cells = []
        for name in names:
            values = [r[e.name]["figures"][name] for r in rounds]
            cells.append(f"{statistics.median(values):.3g} ({min(values):.3g} - {max(values):.3g})")
        others = max(r[e.name]["others"] for r in rounds)
        print(f"| {e.name} | " + " | ".join(cells) + f" | {100 * others:.0f} % |")
    sys.stdout.flush()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    llamacpp.add_peers(parser)
    parser.add_argument("--infer", default="bin/infer", help="our binary (default: bin/infer)")
    parser.add_argument("--models", nargs="+", required=True, help="GGUF files")
    parser.add_argument("--experiments", nargs="+", choices=["arrival", "aggregate"], default=["arrival", "aggregate"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tries", type=int, default=2, help="measurements of which the least disturbed counts, where others took more than 5 %% (default 2)")
    parser.add_argument("--json", help="file to write everything to")
    a = parser.parse_args()
    if a.repeats < 1 or a.threads < 1 or a.tries < 1:
        parser.error("--repeats, --threads and --tries: expected at least 1")
    return a


def run(a):
    peer = llamacpp.LlamaCpp(a.peers, a.threads)
    ours = Ours(a.infer, a.threads)
    report = {"machine": compare.describe_machine(), "llama.cpp": peer.describe(), "threads": a.threads, "results": []}
    for model in a.models:
        for experiment in a.experiments:
            engines = [ours, *(Theirs(peer, b) for b in (BATCHES if experiment == "arrival" else BATCHES[:1]))]
            rounds = compare_experiment(engines, experiment, model, a)
            report["results"].append({"model": pathlib.Path(model).name, "experiment": experiment, "rounds": rounds})
            print(f"\n{pathlib.Path(model).name}, {experiment}, {a.repeats} repeats\n")
            print_table(rounds, engines)
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps(report, indent=1) + "\n")


def main():
    try:
        run(parse_arguments())
    except (compare.CompareError, llamacpp.PeerError, OSError) as e:
        sys.exit(f"underload: {e}")


if __name__ == "__main__":
    main()
