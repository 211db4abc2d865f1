package tokenizer_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/internal/fixtures"
	"github.com/infer-go/infer/tokenizer"
)

func readGolden(t testing.TB, name string, to any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, to))
}

// TestGolden compares with ids that other implementations give; testdata/README.md says which.
func TestGolden(t *testing.T) {
	var golden struct {
		Texts          []string
		Plain, Special map[string][][]int32
	}
	readGolden(t, "golden.json", &golden)
	for _, name := range vectorNames {
		t.Run(name, func(t *testing.T) {
			tok := open(t, name)
			require.Len(t, golden.Plain[name], len(golden.Texts))
			for i, want := range golden.Plain[name] {
				requireIDs(t, tok, golden.Texts[i], want, tokenizer.EncodeOptions{})
			}
			for i, want := range golden.Special[name] {
				requireIDs(t, tok, golden.Texts[i], want, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
			}
		})
	}
}

// TestGoldenPreTokenizers compares pre-tokenizers with the ones of Hugging Face's tokenizers, all on GPT-2's merges.
func TestGoldenPreTokenizers(t *testing.T) {
	var golden struct {
		Texts []string
		IDs   map[string][][]int32
	}
	readGolden(t, "pre.json", &golden)
	require.Greater(t, len(golden.IDs), 15)
	v, err := tokenizer.ReadVocab(readGGUF(t, fixtures.Path(t, "tokenizers", "ggml-vocab-gpt-2.gguf")))
	require.NoError(t, err)
	for name, all := range golden.IDs {
		t.Run(name, func(t *testing.T) {
			tok, err := tokenizer.New(v, tokenizer.WithPre(name))
			require.NoError(t, err)
			require.Equal(t, name, tok.Pre())
			for i, want := range all {
				requireIDs(t, tok, golden.Texts[i], want, tokenizer.EncodeOptions{})
			}
		})
	}
}

type sentencePieceVocab struct {
	Model                  string
	Tokens                 []string
	Scores                 []float32
	Types                  []tokenizer.TokenType
	AddSpacePrefix         bool `json:"add_space_prefix"`
	RemoveExtraWhitespaces bool `json:"remove_extra_whitespaces"`
	CharsMap               string
	IDs                    [][]int32
}

func (s sentencePieceVocab) vocab(t testing.TB) tokenizer.Vocab {
	t.Helper()
	v := tokenizer.DefaultVocab(s.Model)
	v.Tokens, v.Scores, v.Types = s.Tokens, s.Scores, s.Types
	v.UNK, v.BOS, v.EOS, v.PAD = 0, 1, 2, tokenizer.None
	v.AddSpacePrefix, v.RemoveExtraWhitespaces = &s.AddSpacePrefix, &s.RemoveExtraWhitespaces
	var err error
	v.CharsMap, err = base64.StdEncoding.DecodeString(s.CharsMap)
	require.NoError(t, err)
	return v
}

func readSentencePiece(t testing.TB) (texts []string, vocabs map[string]sentencePieceVocab) {
	t.Helper()
	var golden struct {
		Texts        []string
		Vocabularies map[string]sentencePieceVocab
	}
	readGolden(t, "sentencepiece.json", &golden)
	return golden.Texts, golden.Vocabularies
}

// TestGoldenSentencePiece compares small vocabularies with SentencePiece, which made them.
func TestGoldenSentencePiece(t *testing.T) {
	texts, vocabs := readSentencePiece(t)
	require.Len(t, vocabs, 4)
	for name, s := range vocabs {
		t.Run(name, func(t *testing.T) {
			tok, err := tokenizer.New(s.vocab(t))
			require.NoError(t, err)
			for i, want := range s.IDs {
				requireIDs(t, tok, texts[i], want, tokenizer.EncodeOptions{})
				if s.Model == tokenizer.ModelSPM {
					require.Equal(t, spaceMarksAsSpaces(texts[i]), tok.Decode(want, tokenizer.DecodeOptions{}))
				}
			}
		})
	}
}

func requireIDs(t *testing.T, tok *tokenizer.Tokenizer, text string, want []int32, o tokenizer.EncodeOptions) {
	t.Helper()
	got, err := tok.Encode(text, o)
	require.NoError(t, err)
	if len(want) == 0 {
		require.Empty(t, got, "%q", text)
		return
	}
	require.Equal(t, want, got, "%q %+v", text, o)
}

// spaceMarksAsSpaces is what SentencePiece makes of the mark that it writes for spaces when a text has it.
func spaceMarksAsSpaces(text string) string { return strings.ReplaceAll(text, "\u2581", " ") }
