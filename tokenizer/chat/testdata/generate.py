"""Freezes golden.json: template snippets with what Python's Jinja2 3.1.6 makes of them.

    python3 generate.py                 writes golden.json
    python3 generate.py --random N SEED writes N random cases to standard output, one JSON object a line; render them with
                                        CHAT_CASES=FILE go test -run TestRandomCases
"""

import json
import pathlib
import random
import re
import sys

from cases import CASES, CONTEXT
from oracle import outcome


def freeze():
    golden = []
    for case in CASES:
        source, context = case if isinstance(case, tuple) else (case, None)
        entry = {"template": source}
        if context is not None:
            entry["context"] = context
        entry.update(outcome(source, CONTEXT if context is None else context))
        golden.append(entry)
    path = pathlib.Path(__file__).with_name("golden.json")
    body = ",\n".join(json.dumps(e, ensure_ascii=False) for e in golden)
    body = re.sub(r"\b0x7[0-9a-f]{11}\b", "0x7f0000000000", body)  # addresses differ from run to run
    path.write_text('{"context": ' + json.dumps(CONTEXT, ensure_ascii=False) + ',\n"cases": [\n' + body + "\n]}\n")
    print(len(golden), "cases,", sum("err" in e for e in golden), "of them errors")


def randomize(count, seed):
    from snippets import Snippets

    rng = random.Random(seed)
    make = Snippets(rng)
    for _ in range(count):
        source = make.template()
        result = outcome(source, CONTEXT)
        print(json.dumps({"template": source, **result}, ensure_ascii=False))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--random"]:
        print(json.dumps({"context": CONTEXT}, ensure_ascii=False))
        randomize(int(sys.argv[2]), int(sys.argv[3]))
    else:
        freeze()
