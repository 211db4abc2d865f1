#!/usr/bin/env python3
"""Holds infer's speed against its peers': same file, same threads, in turn, and who goes first changes each time.

Each measurement is a fresh process. A round is one of ours and one of each peer's, next to each other in time; the ratio is the
median over the rounds, more than 1 where infer is faster. "others" is the share of the cores' time that went to other
processes meanwhile: results with more than a few per cent there say little. --patience lets that many seconds be spent on
measuring disturbed rounds again; what was thrown away is counted in the JSON.

Tests: pp512 reads a prompt of 512 tokens, tg128 generates 128. @4096 fills the cache with so many tokens first, x8 generates
eight sequences at once (tg64@4096x8). load is a whole process that opens the file (cached by the system) and computes one token.
A ! at the end (tg64!) measures twice: alone, and while another process computes without end on whichever core the system gives
it; the second counts, and its share of the engine's own quiet speed is printed beside it.
"""

import argparse
import contextlib
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

TEST = re.compile(r"(pp|tg)(\d+)(?:@(\d+))?(?:x(\d+))?(!)?$")
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
            raise argparse.ArgumentTypeError(f"found {name!r}, expected load, or a test such as pp512, tg128, tg64@4096, tg64x8 or tg64!")
        kind, count, depth, sequences, hog = match.groups() if match else ("", 0, None, None, None)
        if kind == "pp" and sequences:
            raise argparse.ArgumentTypeError(f"found {name!r}, expected one sequence in a prompt test")
        self.prompt = int(count) if kind == "pp" else 0
        self.gen = int(count) if kind == "tg" else 0
        self.depth = int(depth or 0)
        self.sequences = int(sequences or 1)
        self.hogged = bool(hog)


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


HOG = "while kill -0 $PPID; do i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; done 2>/dev/null"  # ends with this script, however that ends


@contextlib.contextmanager
def run_hog(wanted):
    """A process that computes without end, at normal priority. Its time is no other's: it is ours, as it ends before that is read."""
    if not wanted:
        yield
        return
    hog = subprocess.Popen(["sh", "-c", HOG])
    try:
        yield
        if hog.poll() is not None:
            raise CompareError(f"the process that keeps a core busy ended by itself: {hog.returncode}")
    finally:
        hog.kill()
        hog.wait()


class Watch:
    """How much of the cores' time goes to other processes while it is open: others, a share."""

    def __enter__(self):
        self.start, self.busy, self.own = time.monotonic(), read_busy_seconds(), read_own_seconds()
        return self

    def __exit__(self, *_):
        others = (read_busy_seconds() - self.busy) - (read_own_seconds() - self.own)
        self.others = max(0, others) / (time.monotonic() - self.start) / os.cpu_count()


def measure_watched(engine, model, test, runs, hogged):
    with Watch() as watch:
        with run_hog(hogged):
            value, told = engine.measure(model, test, runs)
    return {"value": value, "others": watch.others, **told}


def measure_engine(engine, model, test, runs):
    """A hogged test's result carries the quiet speed, measured just before."""
    if not test.hogged:
        return measure_watched(engine, model, test, runs, False)
    quiet = measure_watched(engine, model, test, runs, False)
    hogged = measure_watched(engine, model, test, runs, True)
    return {**hogged, "others": max(quiet["others"], hogged["others"]), "quiet": quiet["value"], "of_quiet": hogged["value"] / quiet["value"]}


class Patience:
    """Seconds that may still be spent on measuring disturbed rounds again."""

    def __init__(self, seconds):
        self.left = seconds

    def measure_round(self, order, model, test, runs):
        """Returns the first undisturbed round, or the least disturbed one, and how many were thrown away."""
        best, thrown = None, -1
        while True:
            start = time.monotonic()
            measured = {engine.name: measure_engine(engine, model, test, runs) for engine in order}
            thrown += 1
            if best is None or worst_share(measured) < worst_share(best):
                best = measured
            spent = time.monotonic() - start
            if worst_share(best) <= NOISY or self.left < spent:
                return best, thrown
            self.left -= spent


def worst_share(measured):
    return max(side["others"] for side in measured.values())


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def compare_test(engines, model, test, a, patience):
    """The first of the engines is infer; each of the others gets a ratio."""
    rounds, thrown = [], 0
    for i in range(a.alternations):
        first = i % len(engines)
        measured, n = patience.measure_round(engines[first:] + engines[:first], model, test, a.runs)
        rounds.append(measured)
        thrown += n
    result = {"model": pathlib.Path(model).name, "test": test.name, "rounds": rounds, "thrown_away": thrown, "engines": {}, "ratios": {}}
    for engine in engines:
        result["engines"][engine.name] = spread([r[engine.name]["value"] for r in rounds])
        if test.hogged:
            result["engines"][engine.name]["of_quiet"] = spread([r[engine.name]["of_quiet"] for r in rounds])
    for peer in engines[1:]:
        result["ratios"][peer.name] = spread([r["infer"]["value"] / r[peer.name]["value"] for r in rounds])
    result["others"] = statistics.median(map(worst_share, rounds))
    return result


def format_speed(speed, is_load):
    if is_load:  # kept as loads a second, so that more is better everywhere; read as seconds
        return f"{1 / speed['median']:.3f} s ({1 / speed['max']:.3f} - {1 / speed['min']:.3f})"
    quiet = f", {100 * speed['of_quiet']['median']:.0f} % of quiet" if "of_quiet" in speed else ""
    return f"{speed['median']:.1f} ({speed['min']:.1f} - {speed['max']:.1f}){quiet}"


def format_limit(r):
    """Of the machine's limit; none where a busy core has taken a part of it."""
    said = [m["infer"] for m in r["rounds"]]
    if "limit_share" not in said[0] or "of_quiet" in said[0]:
        return "-"
    return f"{100 * statistics.median(s['limit_share'] for s in said):.0f} % {said[0]['limit']}"


def format_row(r):
    cells = [r["model"], r["test"], *(format_speed(speed, r["test"] == "load") for speed in r["engines"].values()),
             *(f"{ratio['median']:.2f} ({ratio['min']:.2f} - {ratio['max']:.2f})" for ratio in r["ratios"].values()),
             format_limit(r), f"{100 * r['others']:.0f} %{' noisy' if r['others'] > NOISY else ''}"]
    return "| " + " | ".join(cells) + " |"


def format_head(engines):
    names = [e.name for e in engines]
    cells = ["model", "test", *(f"{n}, tokens/s" for n in names), *(f"ratio to {n}" for n in names[1:]), "infer, of limit", "others"]
    return "| " + " | ".join(cells) + " |\n|" + "---|" * len(cells)


def describe_machine():
    names = re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(), "system": platform.platform()}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    llamacpp.add_peers(parser)
    parser.add_argument("--ik", nargs="?", choices=["also", "only"], const="also", help="ik_llama.cpp as a further peer, or as the only one")
    parser.add_argument("--infer", default="bin/infer", help="our binary (default: bin/infer)")
    parser.add_argument("--models", nargs="+", required=True, help="GGUF files")
    parser.add_argument("--tests", nargs="+", type=Test, default=[Test("pp512"), Test("tg128")], help="default: pp512 tg128")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alternations", type=int, default=5)
    parser.add_argument("--runs", type=int, default=2, help="timed runs of each measurement, whose median counts (default 2)")
    parser.add_argument("--repack", choices=["auto", "on", "off"], default="auto", help="whether llama.cpp lays out weights anew while loading")
    parser.add_argument("--ik-repack", choices=["auto", "on", "off"], default="on", help="the same of ik_llama.cpp, which does so only if asked (default on)")
    parser.add_argument("--patience", type=float, default=0, metavar="SECONDS", help="time for measuring disturbed rounds again (default 0)")
    parser.add_argument("--json", help="file to write everything to; - for standard output instead of the table")
    a = parser.parse_args()
    if a.alternations < 1 or a.runs < 1 or a.threads < 1:
        parser.error("--alternations, --runs and --threads: expected at least 1")
    return a


def choose_peers(a):
    switch = {"auto": -1, "on": 1, "off": 0}
    peers = [] if a.ik == "only" else [Peer(llamacpp.LlamaCpp(a.peers, a.threads), switch[a.repack])]
    return peers + ([Peer(llamacpp.IkLlamaCpp(a.peers, a.threads), switch[a.ik_repack])] if a.ik else [])


def format_title(engines, report, a):
    said = [f"{e.name} {report[e.name]['version']} ({report[e.name]['variant']})" for e in engines[1:]]
    return ", ".join([f"infer {report['infer']['commit'][:12]}", *said, report["machine"]["processor"], f"{a.threads} threads", report["date"]])


def compare(a):
    engines = [Infer(a.infer, a.threads), *choose_peers(a)]
    report = {"date": datetime.date.today().isoformat(), "machine": describe_machine(), **{e.name: e.describe() for e in engines},
              "threads": a.threads, "alternations": a.alternations, "runs": a.runs, "command": sys.argv, "results": []}
    table, patience = a.json != "-", Patience(a.patience)
    if table:
        print(f"{format_title(engines, report, a)}\n\n{format_head(engines)}", flush=True)
    for model in a.models:
        for test in a.tests:
            report["results"].append(compare_test(engines, model, test, a, patience))
            if table:
                print(format_row(report["results"][-1]), flush=True)
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
