package tokenizer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/tokenizer"
)

// plamoVocab is a made-up vocabulary; testdata/README.md says where its golden ids are from.
func plamoVocab(t *testing.T) (v tokenizer.Vocab, texts []string, ids [][]int32) {
	var golden struct {
		Tokens, Texts []string
		Types         []tokenizer.TokenType
		Scores        []float32
		IDs           [][]int32
	}
	readGolden(t, "plamo2.json", &golden)
	v = tokenizer.DefaultVocab(tokenizer.ModelPLaMo2)
	v.Tokens, v.Types, v.Scores = golden.Tokens, golden.Types, golden.Scores
	return v, golden.Texts, golden.IDs
}

func TestPLaMo(t *testing.T) {
	v, texts, want := plamoVocab(t)
	tok, err := tokenizer.New(v)
	require.NoError(t, err)
	require.Len(t, want, len(texts))
	for i, text := range texts {
		requireIDs(t, tok, text, want[i], tokenizer.EncodeOptions{})
		if text != "\uFEFFhello" { // the mark in front is dropped
			assert.Equal(t, text, tok.Decode(want[i], tokenizer.DecodeOptions{}))
		}
	}
	broken := "the \xff\xe6\x97 end"
	ids, err := tok.Encode(broken, tokenizer.EncodeOptions{})
	require.NoError(t, err)
	assert.Equal(t, broken, tok.Decode(ids, tokenizer.DecodeOptions{}), "bytes that are no text")
	op := int32(len(v.Tokens) - 2)
	ids, err = tok.Encode("hello<|plamo:op|>", tokenizer.EncodeOptions{})
	require.NoError(t, err)
	assert.NotContains(t, ids, op, "the text of a control token is text")
	ids, err = tok.Encode("hello<|plamo:op|>", tokenizer.EncodeOptions{ParseSpecial: true})
	require.NoError(t, err)
	assert.Equal(t, op, ids[len(ids)-1])
}

func TestPLaMoFaults(t *testing.T) {
	v, _, _ := plamoVocab(t)
	v.Types[4+0x41] = tokenizer.NormalToken
	_, err := tokenizer.New(v)
	assert.ErrorContains(t, err, "no token <0x41>")
	v, _, _ = plamoVocab(t)
	v.Types[4+256] = tokenizer.ByteToken
	_, err = tokenizer.New(v)
	assert.ErrorContains(t, err, "expected <0xXX>")
}
