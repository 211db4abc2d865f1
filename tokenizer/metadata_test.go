package tokenizer_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/tokenizer"
)

func anys[T any](values ...T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

func spmMetadata() fileMetadata {
	return fileMetadata{
		"general.architecture":      "llama",
		"general.name":              "a model",
		"tokenizer.ggml.model":      "llama",
		"tokenizer.ggml.pre":        "default",
		"tokenizer.ggml.tokens":     anys("<unk>", "<s>", "</s>", "▁", "a"),
		"tokenizer.ggml.scores":     anys(0.0, 0.0, 0.0, -1.0, -2.0),
		"tokenizer.ggml.token_type": anys[int64](2, 3, 3, 1, 1),
	}
}

func TestReadVocab(t *testing.T) {
	m := spmMetadata()
	v, err := tokenizer.ReadVocab(m)
	require.NoError(t, err)
	require.Equal(t, "a model", v.Name)
	require.Equal(t, []int32{0, 1, 2, none, none, none}, []int32{v.UNK, v.BOS, v.EOS, v.SEP, v.PAD, v.EOT})
	require.Equal(t, []tokenizer.TokenType{2, 3, 3, 1, 1}, v.Types)
	require.Equal(t, []float32{0, 0, 0, -1, -2}, v.Scores)
	require.Nil(t, v.AddBOS)
	tok := mustNew(t, v)
	require.True(t, tok.AddsBOS())
	require.False(t, tok.AddsEOS())

	m["tokenizer.ggml.add_bos_token"] = false
	m["tokenizer.ggml.add_eos_token"] = true
	m["tokenizer.ggml.eos_token_id"] = int64(4)
	m["tokenizer.ggml.bos_token_id"] = int64(0xFFFFFFFF)
	m["tokenizer.ggml.prefix_token_id"] = int64(3)
	v, err = tokenizer.ReadVocab(m)
	require.NoError(t, err)
	require.Equal(t, none, v.BOS, "the largest number is none")
	require.Equal(t, int32(3), v.FIMPrefix)
	require.Equal(t, []string{"▁", "a", "a"}, encode(t, mustNew(t, v), "a", special))
}

func TestReadVocabDefaults(t *testing.T) {
	for model, want := range map[string][]int32{
		tokenizer.ModelSPM:       {1, 2, 0, none, none, none},
		tokenizer.ModelBPE:       {none, none, none, none, none, none},
		tokenizer.ModelWordPiece: {101, none, 100, 102, 0, 103},
		tokenizer.ModelUnigram:   {none, 1, 2, none, 0, none},
	} {
		v := tokenizer.DefaultVocab(model)
		require.Equal(t, want, []int32{v.BOS, v.EOS, v.UNK, v.SEP, v.PAD, v.MASK}, model)
	}
	m := fileMetadata{"tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": anys("[PAD]", "▁a")}
	v, err := tokenizer.ReadVocab(m)
	require.NoError(t, err)
	require.Equal(t, []int32{0, none, none}, []int32{v.PAD, v.UNK, v.BOS}, "defaults that name no token are none")

	tokens := make([]string, 12)
	for i := range tokens {
		tokens[i] = string(rune('a' + i))
	}
	tokens[11] = "<|endoftext|>"
	m = fileMetadata{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": anys(tokens...), "tokenizer.ggml.merges": anys[string]()}
	v, err = tokenizer.ReadVocab(m)
	require.NoError(t, err)
	require.Equal(t, []int32{11, 11}, []int32{v.BOS, v.EOS}, "old Falcon files")
}

func TestReadVocabFaults(t *testing.T) {
	for name, test := range map[string]struct {
		key   string
		value any
		want  string
	}{
		"no model":      {"tokenizer.ggml.model", nil, "tokenizer.ggml.model is missing"},
		"model's type":  {"tokenizer.ggml.model", int64(1), "tokenizer.ggml.model is a int64"},
		"no tokens":     {"tokenizer.ggml.tokens", nil, "tokenizer.ggml.tokens is missing"},
		"tokens' type":  {"tokenizer.ggml.tokens", "x", "tokenizer.ggml.tokens is a string"},
		"scores' type":  {"tokenizer.ggml.scores", anys("x"), "tokenizer.ggml.scores[0] is a string"},
		"types' type":   {"tokenizer.ggml.token_type", anys("x"), "tokenizer.ggml.token_type[0]"},
		"type":          {"tokenizer.ggml.token_type", anys[int64](1 << 40), "token_type[0] is 1099511627776, expected 1 to 6"},
		"id":            {"tokenizer.ggml.eos_token_id", int64(5), "eos_token_id is 5, expected less than the 5 tokens"},
		"id's type":     {"tokenizer.ggml.eos_token_id", "x", "eos_token_id is a string"},
		"flag's type":   {"tokenizer.ggml.add_bos_token", "x", "add_bos_token is a string"},
		"name's type":   {"general.name", int64(1), "general.name is a int64"},
		"no merges":     {"tokenizer.ggml.model", "gpt2", "tokenizer.ggml.merges is missing, which a gpt2 vocabulary needs"},
		"merges' type":  {"tokenizer.ggml.merges", "x", "tokenizer.ggml.merges is a string"},
		"map's type":    {"tokenizer.ggml.precompiled_charsmap", "x", "precompiled_charsmap is a string"},
		"map's numbers": {"tokenizer.ggml.precompiled_charsmap", anys[int64](-1, 256), "precompiled_charsmap[1] is 256, expected a byte"},
	} {
		m := maps.Clone(spmMetadata())
		m[test.key] = test.value
		if test.value == nil {
			delete(m, test.key)
		}
		_, err := tokenizer.ReadVocab(m)
		require.ErrorContains(t, err, test.want, name)
	}
	v, err := tokenizer.ReadVocab(fileMetadata{"tokenizer.ggml.model": "no_vocab"})
	require.NoError(t, err)
	_, err = tokenizer.New(v)
	require.Error(t, err)
}
