package tokenizer_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/tokenizer"
)

var vectorNames = []string{"bert-bge", "deepseek-llm", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"}

func open(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	v, err := tokenizer.ReadVocab(readGGUF(t, fixtures.Path(t, "tokenizers", "ggml-vocab-"+name+".gguf")))
	require.NoError(t, err)
	tok, err := tokenizer.New(v)
	require.NoError(t, err)
	return tok
}

// TestVectors compares with the ids that the models' own tokenizers give.
func TestVectors(t *testing.T) {
	for _, name := range vectorNames {
		t.Run(name, func(t *testing.T) {
			tok := open(t, name)
			for i, v := range readVectors(t, name) {
				got, err := tok.Encode(v.text, tokenizer.EncodeOptions{})
				require.NoError(t, err)
				require.Equal(t, v.ids, got, "string %d: %q", i, v.text)
				if name != "bert-bge" {
					require.Equal(t, v.text, tok.Decode(got, tokenizer.DecodeOptions{}), "string %d", i)
				}
			}
		})
	}
}

type vector struct {
	text string
	ids  []int32
}

func readVectors(t testing.TB, name string) (all []vector) {
	t.Helper()
	base := fixtures.Path(t, "tokenizers", "ggml-vocab-"+name+".gguf.inp")
	in, err := os.ReadFile(base)
	require.NoError(t, err)
	out, err := os.ReadFile(strings.TrimSuffix(base, ".inp") + ".out")
	require.NoError(t, err)
	texts := strings.Split(string(in), "\n__ggml_vocab_test__\n")
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	texts = texts[:min(len(texts), len(lines))]
	require.Len(t, lines, len(texts))
	for i, text := range texts {
		v := vector{text: text, ids: []int32{}}
		for _, field := range strings.Fields(lines[i]) {
			id, err := strconv.Atoi(field)
			require.NoError(t, err)
			v.ids = append(v.ids, int32(id))
		}
		all = append(all, v)
	}
	require.Greater(t, len(all), 30)
	return all
}
