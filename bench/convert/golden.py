#!/usr/bin/env python3
"""golden.py MODEL_DIR -o FILE.json - vectors that an independent implementation gives, for TestGoldenEmbeddings.

MODEL_DIR is a sentence-transformers model with mean pooling. The texts are tokenized and computed by transformers, in
float64, the vectors averaged over the tokens and scaled to length 1. Needs torch and transformers."""
import argparse, json

import torch, transformers

TEXTS = [
    "The cat sits on the mat.",
    "A dog runs through the park!",
    "How do I reset my password?",
    "Password recovery: click the link in the e-mail we sent you.",
    "Über den Wolken muß die Freiheit wohl grenzenlos sein; naïve façade, São Tomé.",
    "東京は日本の首都です。 Tokyo is the capital of Japan.",
    "x",
    "def add(a, b):\n    return a + b  # 3.14159, 0xFF and <tags>",
    "WHY ARE YOU SHOUTING AT ME IN CAPITAL LETTERS???",
    "Emoji \U0001f680 and symbols \u20ac 100 \u2192 \u00bd, zero-width\u200bspace.",
    " ".join(f"Sentence number {i} of a long text says that the river is {i * 7 % 13} metres deep near the old bridge." for i in range(12)),
    " ".join(f"clause {i}, and then" for i in range(70)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--name", default="all-minilm-l6-v2-f16.gguf", help="the converted file that the vectors are of")
    args = parser.parse_args()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    model = transformers.AutoModel.from_pretrained(args.model).double().eval()
    texts = []
    with torch.no_grad():
        for text in TEXTS:
            inputs = tokenizer(text, return_tensors="pt")
            states = model(**inputs).last_hidden_state[0]
            vector = torch.nn.functional.normalize(states.mean(0), dim=0)
            texts.append({"text": text, "ids": inputs["input_ids"][0].tolist(), "vector": [round(x, 7) for x in vector.tolist()]})
    made_by = f"bench/convert/golden.py, transformers {transformers.__version__}, torch {torch.__version__}, float64"
    with open(args.output, "w") as f:
        f.write(json.dumps({"file": args.name, "made_by": made_by, "texts": texts}) + "\n")


main()
