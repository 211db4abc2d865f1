package tokenizer_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/tokenizer"
)

func BenchmarkEncode(b *testing.B) {
	text, err := os.ReadFile(fixtures.Path(b, "text", "wikitext-2-test.txt"))
	require.NoError(b, err)
	for _, name := range vectorNames {
		b.Run(name, func(b *testing.B) {
			tok := open(b, name)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, err := tok.Encode(string(text), tokenizer.EncodeOptions{})
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, name := range vectorNames {
		b.Run(name, func(b *testing.B) {
			v, err := tokenizer.ReadVocab(readGGUF(b, fixtures.Path(b, "tokenizers", "ggml-vocab-"+name+".gguf")))
			require.NoError(b, err)
			for b.Loop() {
				_, err := tokenizer.New(v)
				require.NoError(b, err)
			}
		})
	}
}
