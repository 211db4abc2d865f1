package tokenizer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/tokenizer"
)

// rwkvVocab has the tokens as normal ones, behind a control token.
func rwkvVocab(tokens []string) tokenizer.Vocab {
	v := tokenizer.DefaultVocab(tokenizer.ModelRWKV)
	v.Tokens = tokens
	for i := range tokens {
		v.Types = append(v.Types, tokenizer.NormalToken)
		if i == 0 {
			v.Types[0] = tokenizer.ControlToken
		}
	}
	return v
}

// TestRWKV compares with RWKV's own tokenizer on a part of its World vocabulary; testdata/README.md says how it was made.
func TestRWKV(t *testing.T) {
	var golden struct {
		Tokens, Texts []string
		IDs           [][]int32
	}
	readGolden(t, "rwkv.json", &golden)
	tok, err := tokenizer.New(rwkvVocab(golden.Tokens))
	require.NoError(t, err)
	require.Len(t, golden.IDs, len(golden.Texts))
	for i, text := range golden.Texts {
		requireIDs(t, tok, text, golden.IDs[i], tokenizer.EncodeOptions{AddSpecial: true})
		assert.Equal(t, text, tok.Decode(golden.IDs[i], tokenizer.DecodeOptions{}))
	}
	broken := "\xff\xc3 half \xe6\x98"
	ids, err := tok.Encode(broken, tokenizer.EncodeOptions{})
	require.NoError(t, err)
	assert.Equal(t, broken, tok.Decode(ids, tokenizer.DecodeOptions{}), "bytes that are no text")
}

func TestRWKVFaults(t *testing.T) {
	for text, want := range map[string]string{
		`ab\`:   "expected what it escapes",
		`\x4`:   "expected \\x and two digits",
		`\x4g!`: "expected \\x and two digits",
	} {
		_, err := tokenizer.New(rwkvVocab([]string{"<s>", "a", text}))
		assert.ErrorContains(t, err, want, text)
	}
	tok, err := tokenizer.New(rwkvVocab([]string{"<s>", "a", `\x61`, "abc", "b"}))
	require.NoError(t, err)
	requireIDs(t, tok, "abab", []int32{1, 4, 1, 4}, tokenizer.EncodeOptions{}) // what abc begins with is not there; of two spellings the first
	_, err = tok.Encode("abz", tokenizer.EncodeOptions{})
	var fault *tokenizer.UnencodableError
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, "z", fault.Text)
}
