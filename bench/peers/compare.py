#!/usr/bin/env python3
"""Holds infer's speed against a peer's: same file, same threads, in turn, and who goes first changes each time.

Each measurement is a fresh process. A pair is one of ours and one of the peer's, next to each other in time; the ratio is the
median over the pairs, more than 1 where infer is faster. "others" is the share of the cores' time that went to other
processes meanwhile: results with more than a few per cent there say little. --patience lets that many seconds be spent on
measuring disturbed pairs again; what was thrown away is counted in the JSON.

Tests: pp512 reads a prompt of 512 tokens, tg128 generates 128. @4096 fills the cache with so many tokens first, x8 generates
eight sequences at once (tg64@4096x8). load is a whole process that opens the file (cached by the system) and computes one token.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import time

import llamacpp

TEST = re.compile(r"(pp|tg)(\d+)(?:@(\d+))?(?:x(\d+))?$")
NOISY = 0.05  # share of the cores' time


class CompareError(Exception):
    """A measurement failed; the message names the command."""


class Test:
    """One of the tests named on the command line."""

    def __init__(self, name):
        self.name = name
        self.is_load = name == "load"
        match = TEST.match(name)
        if not match and not self.is_load:
            raise argparse.ArgumentTypeError(f"found {name!r}, expected load, or a test such as pp512, tg128, tg64@4096 or tg64x8")
        kind, count, depth, sequences = match.groups() if match else ("", 0, None, None)
        if kind == "pp" and sequences:
            raise argparse.ArgumentTypeError(f"found {name!r}, expected one sequence in a prompt test")
        self.prompt = int(count) if kind == "pp" else 0
        self.gen = int(count) if kind == "tg" else 0
        self.depth = int(depth or 0)
        self.sequences = int(sequences or 1)


def run_command(command, given=b""):
    done = subprocess.run(command, input=given, capture_output=True)
    if done.returncode != 0:
        raise CompareError(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip() or done.returncode}")
    return done.stdout


def time_command(command, given=b""):
    start = time.monotonic()
    run_command(command, given)
    return time.monotonic() - start


class Infer:
    """Our binary."""

    name = "infer"

    def __init__(self, binary, threads):
        self.binary, self.threads = pathlib.Path(binary), threads

    def measure(self, model, test, runs):
        """Returns tokens a second (load: loads a second), and what else the run told."""
        if test.is_load:
            return 1 / time_command([self.binary, "logits", "-m", model, "--tokens", "1", "-o", os.devnull, "-t", str(self.threads)]), {}
        out = json.loads(run_command([
            self.binary, "bench", "-m", model, "-p", str(test.prompt), "-n", str(test.gen), "-d", str(test.depth), "-b", str(test.sequences),
            "-t", str(self.threads), "-r", str(runs), "--json"]))
        if len(out) != 1 or (out[0]["n_prompt"], out[0]["n_gen"], out[0]["n_depth"], out[0]["n_sequences"]) != (test.prompt, test.gen, test.depth, test.sequences):
            raise CompareError(f"infer bench: found {[r['test'] for r in out]}, expected {test.name}")
        told = {k: out[0][k] for k in ("variant", "model_type", "limit", "limit_value", "limit_share")}
        return out[0]["median_ts"], told

    def describe(self):
        """The binary's sum, and the commit that Go stamped into it; where it did not, this checkout's."""
        said = {"sha256": hashlib.sha256(self.binary.read_bytes()).hexdigest()}
        stamp = dict(re.findall(r"(vcs\.\w+)=(\S+)", run_command(["go", "version", "-m", self.binary]).decode()))
        if "vcs.revision" in stamp:
            return {**said, "commit": stamp["vcs.revision"], "modified": stamp["vcs.modified"] == "true"}
        here = pathlib.Path(__file__).parent
        checkout = run_command(["git", "-C", here, "describe", "--always", "--abbrev=40", "--dirty"]).decode().strip()
        return {**said, "commit": checkout.removesuffix("-dirty"), "modified": checkout.endswith("-dirty"), "commit_of": "checkout"}


class Peer:
    """llama.cpp or its fork, in the same form."""

    def __init__(self, peer, repack):
        self.peer, self.repack = peer, repack
        self.name = peer.name

    def measure(self, model, test, runs):
        if test.is_load:
            return 1 / time_command(self.peer.command("logits", model, out=os.devnull, repack=self.repack), b"1"), {}
        out = self.peer.bench(model, prompt=test.prompt, gen=test.gen, depth=test.depth, sequences=test.sequences, runs=runs, repack=self.repack)
        return statistics.median(out[0]["runs"]), {}

    def describe(self):
        return {**self.peer.describe(), "repack": self.repack}


def read_busy_seconds():
    """CPU time of all processes since the start of the machine, and what the hypervisor took."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def read_own_seconds():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def measure_watched(engine, model, test, runs):
    """Measures, and sees how much of the cores' time went elsewhere."""
    start, busy, own = time.monotonic(), read_busy_seconds(), read_own_seconds()
    value, told = engine.measure(model, test, runs)
    others = (read_busy_seconds() - busy) - (read_own_seconds() - own)
    return {"value": value, "others": max(0, others) / (time.monotonic() - start) / os.cpu_count(), **told}


class Patience:
    """Seconds that may still be spent on measuring disturbed pairs again."""

    def __init__(self, seconds):
        self.left = seconds

    def measure_pair(self, order, model, test, runs):
        """Returns the first undisturbed pair, or the least disturbed one, and how many were thrown away."""
        best, thrown = None, -1
        while True:
            start = time.monotonic()
            pair = {engine.name: measure_watched(engine, model, test, runs) for engine in order}
            thrown += 1
            if best is None or worst_share(pair) < worst_share(best):
                best = pair
            spent = time.monotonic() - start
            if worst_share(best) <= NOISY or self.left < spent:
                return best, thrown
            self.left -= spent


def worst_share(pair):
    return max(side["others"] for side in pair.values())


def compare_test(infer, peer, model, test, a, patience):
    pairs, thrown = [], 0
    for i in range(a.alternations):
        order = [infer, peer][:: 1 if i % 2 == 0 else -1]
        pair, n = patience.measure_pair(order, model, test, a.runs)
        pairs.append(pair)
        thrown += n
    result = {"model": pathlib.Path(model).name, "test": test.name, "pairs": pairs, "thrown_away": thrown}
    for engine in (infer, peer):
        values = [p[engine.name]["value"] for p in pairs]
        result[engine.name] = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    ratios = [p[infer.name]["value"] / p[peer.name]["value"] for p in pairs]
    result["ratio"] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
    result["others"] = statistics.median(map(worst_share, pairs))
    return result


def format_speed(spread, is_load):
    if is_load:  # kept as loads a second, so that more is better everywhere; read as seconds
        return f"{1 / spread['median']:.3f} s ({1 / spread['max']:.3f} - {1 / spread['min']:.3f})"
    return f"{spread['median']:.1f} ({spread['min']:.1f} - {spread['max']:.1f})"


def format_row(r, peer):
    is_load = r["test"] == "load"
    ratio = r["ratio"]
    share, limit = (r["pairs"][0]["infer"].get(k) for k in ("limit_share", "limit"))
    cells = [r["model"], r["test"], format_speed(r["infer"], is_load), format_speed(r[peer], is_load),
             f"{ratio['median']:.2f} ({ratio['min']:.2f} - {ratio['max']:.2f})",
             f"{100 * statistics.median(p['infer']['limit_share'] for p in r['pairs']):.0f} % {limit}" if share is not None else "-",
             f"{100 * r['others']:.0f} %{' noisy' if r['others'] > NOISY else ''}"]
    return "| " + " | ".join(cells) + " |"


HEAD = "| model | test | infer, tokens/s | {peer}, tokens/s | ratio | infer, of limit | others |\n|---|---|---|---|---|---|---|"


def describe_machine():
    names = re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), "system": platform.platform()}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    llamacpp.add_peers(parser)
    llamacpp.add_fork(parser)
    parser.add_argument("--infer", default="bin/infer", help="our binary (default: bin/infer)")
    parser.add_argument("--models", nargs="+", required=True, help="GGUF files")
    parser.add_argument("--tests", nargs="+", type=Test, default=[Test("pp512"), Test("tg128")], help="default: pp512 tg128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--runs", type=int, default=2, help="timed runs of each measurement, whose median counts (default 2)")
    parser.add_argument("--repack", choices=["auto", "on", "off"], default="auto", help="whether the peer lays out weights anew while loading")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS", help="time for measuring disturbed pairs again (default 0)")
    parser.add_argument("--json", help="file to write everything to; - for standard output instead of the table")
    a = parser.parse_args()
    if a.alternations < 1 or a.runs < 1 or a.threads < 1:
        parser.error("--alternations, --runs and --threads: expected at least 1")
    return a


def compare(a):
    infer, peer = Infer(a.infer, a.threads), Peer(a.peer(a.peers, a.threads), {"auto": -1, "on": 1, "off": 0}[a.repack])
    report = {"date": datetime.date.today().isoformat(), "machine": describe_machine(), "infer": infer.describe(), peer.name: peer.describe(),
              "threads": a.threads, "alternations": a.alternations, "runs": a.runs, "command": sys.argv, "results": []}
    table, patience = a.json != "-", Patience(a.patience)
    if table:
        print(f"infer {report['infer']['commit'][:12]}, {peer.name} {report[peer.name]['version']} ({report[peer.name]['variant']}), "
              f"{report['machine']['processor']}, {a.threads} threads, {report['date']}\n\n{HEAD.format(peer=peer.name)}", flush=True)
    for model in a.models:
        for test in a.tests:
            report["results"].append(compare_test(infer, peer, model, test, a, patience))
            if table:
                print(format_row(report["results"][-1], peer.name), flush=True)
    if a.json == "-":
        print(json.dumps(report))
    elif a.json:
        pathlib.Path(a.json).write_text(json.dumps(report, indent=1) + "\n")


def main():
    try:
        compare(parse_arguments())
    except (CompareError, llamacpp.PeerError, OSError) as e:
        sys.exit(f"compare: {e}")


if __name__ == "__main__":
    main()
