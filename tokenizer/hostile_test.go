package tokenizer_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/tokenizer"
)

// kinds are small vocabularies of every model.
func kinds(t testing.TB) map[string]*tokenizer.Tokenizer {
	t.Helper()
	all := map[string]*tokenizer.Tokenizer{
		"SPM":       sentencePiece("▁", "a", "aa", "aaaa", "▁a", "▁▁", "▁▁▁▁", "1", "e", "es").build(t),
		"WordPiece": wordPiece("▁a", "a", "aa", "▁1").build(t),
	}
	gemma := newBuilder(tokenizer.ModelGemma4)
	gemma.v.BOS = gemma.add(tokenizer.ControlToken, 0, "<bos>")
	gemma.v.UNK = gemma.add(tokenizer.UnknownToken, 0, "<unk>")
	gemma.add(tokenizer.NormalToken, 0, "a", "aa", "aaaa", "▁", "▁▁")
	gemma.v.Merges = []string{"a a", "aa aa", "▁ ▁"}
	all["gemma4"] = gemma.build(t)
	_, vocabs := readSentencePiece(t)
	for name, s := range vocabs {
		all[name] = mustNew(t, s.vocab(t))
	}
	for _, pre := range tokenizer.PreTokenizers() {
		b := byteLevel(pre, "aaaa", " aaaa", "    ", "1111")
		b.v.BOS = b.add(tokenizer.ControlToken, 0, "<s>")
		b.v.SEP = b.v.BOS
		if pre != "gemma4" && pre != "sarvam-moe" && pre != "granite-embed-multi-311m" {
			all["BPE "+pre] = b.build(t)
		}
	}
	return all
}

// TestLinearTime encodes texts that have no end of a word, or nothing but ends, at two sizes. The splitters have a test of
// their own.
func TestLinearTime(t *testing.T) {
	all := kinds(t)
	const small, large = 1 << 12, 1 << 16
	for name, tok := range all {
		if pre, isBPE := strings.CutPrefix(name, "BPE "); isBPE && pre != "gpt-2" && pre != "llama-bpe" && pre != "superbpe" {
			continue
		}
		for kind, text := range hostileTexts(large) {
			// A quadratic step would make 256 times as much of 16 times the text. The noise of a shared machine is far
			// from that, and below a tenth of a second nothing can be said.
			limit := 80*timeToEncode(t, tok, text[:small]) + 100*time.Millisecond
			after := timeToEncode(t, tok, text)
			for attempt := 0; after > limit && attempt < 8; attempt++ {
				after = min(after, timeToEncode(t, tok, text))
			}
			require.Less(t, after, limit, "%s: %s", name, kind)
		}
	}
}

func hostileTexts(n int) map[string]string {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return map[string]string{
		"one letter": strings.Repeat("a", n), "spaces": strings.Repeat(" ", n), "line breaks": strings.Repeat("\n", n),
		"one rune": strings.Repeat("中", n/3), "marks": strings.Repeat("\u0301", n/2), "digits": strings.Repeat("1", n),
		"symbols": strings.Repeat("<", n), "noise": string(noise),
	}
}

func timeToEncode(t testing.TB, tok *tokenizer.Tokenizer, text string) time.Duration {
	t.Helper()
	begin := time.Now()
	_, err := tok.Encode(text, tokenizer.EncodeOptions{ParseSpecial: true})
	require.NoError(t, err)
	return time.Since(begin)
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	texts, _ := readSentencePiece(t)
	for name, tok := range kinds(t) {
		want := make([][]int32, len(texts))
		for i, text := range texts {
			want[i], _ = tok.Encode(text, plain)
		}
		var group sync.WaitGroup
		for g := range 4 {
			group.Go(func() {
				for i := range texts {
					i = (i + 7*g) % len(texts)
					got, _ := tok.Encode(texts[i], plain)
					if len(got) != len(want[i]) || tok.Decode(got, tokenizer.DecodeOptions{}) != tok.Decode(want[i], tokenizer.DecodeOptions{}) {
						t.Errorf("%s: %q differs", name, texts[i])
						return
					}
				}
			})
		}
		group.Wait()
	}
}

func TestStream(t *testing.T) {
	tok := sentencePiece("▁", "a", "é").build(t)
	id := func(text string) int32 {
		id, ok := tok.ID(text)
		require.True(t, ok, text)
		return id
	}
	s := tok.NewStream(tokenizer.DecodeOptions{})
	require.Equal(t, "", s.Push(id("▁")), "the space before a text")
	require.Equal(t, "a", s.Push(id("a")))
	require.Equal(t, " ", s.Push(id("▁")))
	for _, b := range []string{"<0xF0>", "<0x9F>", "<0x98>"} {
		require.Empty(t, s.Push(id(b)))
	}
	require.Equal(t, "😀", s.Push(id("<0x80>")))
	require.Empty(t, s.Push(id("<s>")))
	require.Empty(t, s.Push(id("<0xC3>")))
	require.Equal(t, "\uFFFDé", s.Push(id("é")), "a beginning that does not go on")
	require.Equal(t, "\uFFFD", s.Push(id("<0x80>")))
	require.Empty(t, s.Push(id("<0xE2>")))
	require.Empty(t, s.Push(id("<0x82>")))
	require.Equal(t, "\uFFFD\uFFFD", s.Flush())
	require.Equal(t, "", s.Push(id("▁")), "begun again")
	require.Empty(t, s.Push(-1))

	s = tok.NewStream(tokenizer.DecodeOptions{Continued: true, Special: true})
	require.Equal(t, " ", s.Push(id("▁")))
	require.Equal(t, "</s>", s.Push(id("</s>")))
}

// streamed checks what every stream must hold: whole characters only, and in sum the text.
func streamed(t testing.TB, tok *tokenizer.Tokenizer, ids []int32) {
	t.Helper()
	var b strings.Builder
	s := tok.NewStream(tokenizer.DecodeOptions{})
	for _, id := range ids {
		piece := s.Push(id)
		require.True(t, utf8.ValidString(piece))
		b.WriteString(piece)
	}
	b.WriteString(s.Flush())
	require.Equal(t, string([]rune(tok.Decode(ids, tokenizer.DecodeOptions{}))), b.String())
}

func FuzzRoundTrip(f *testing.F) {
	texts, _ := readSentencePiece(f)
	for _, text := range texts {
		f.Add(text)
	}
	f.Add("\xff\xfe\x80 \xe2\x96 a\xc3")
	all := kinds(f)
	f.Fuzz(func(t *testing.T, text string) {
		for name, tok := range all {
			ids, err := tok.Encode(text, plain)
			require.NoError(t, err, name)
			for _, id := range ids {
				require.True(t, id >= 0 && int(id) < tok.Size(), name)
			}
			streamed(t, tok, ids)
			switch {
			case strings.HasPrefix(name, "BPE "):
				require.Equal(t, text, tok.Decode(ids, tokenizer.DecodeOptions{}), name)
			case tok.Model() == tokenizer.ModelSPM:
				require.Equal(t, spaceMarksAsSpaces(text), tok.Decode(ids, tokenizer.DecodeOptions{}), name)
			}
			_, err = tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
			require.NoError(t, err, name)
		}
	})
}

func FuzzStream(f *testing.F) {
	all := kinds(f)
	f.Add([]byte{0xF0, 0x9F, 0x98, 0x80, 0xE2, 0x41})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, tok := range all {
			ids := make([]int32, len(data))
			for i, b := range data {
				ids[i] = int32(b) + 2
			}
			streamed(t, tok, ids)
		}
	})
}

// FuzzCharsMap reads foreign bytes as a map of characters.
func FuzzCharsMap(f *testing.F) {
	f.Add(charsMapBytes(oneCharacter('x', 2, 0x400), "a\x00bb\x00"), "axb")
	f.Add(charsMapBytes([]uint32{1 << 30, 0xFFFFFFFF}, "\x00"), "x\x00")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		tok, err := tokenizer.New(unigramWith(data))
		if err != nil {
			return
		}
		if ids, err := tok.Encode(text, plain); err == nil {
			streamed(t, tok, ids)
		}
	})
}
