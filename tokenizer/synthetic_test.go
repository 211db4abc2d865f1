package tokenizer_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/tokenizer"
)

const none = tokenizer.None

// byteText writes bytes in GPT-2's alphabet.
func byteText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := rune(s[i])
		switch {
		case '!' <= c && c <= '~', 0xA1 <= c && c <= 0xAC, 0xAE <= c:
			b.WriteRune(c)
		case c <= ' ':
			b.WriteRune(0x100 + c)
		case c <= 0xA0:
			b.WriteRune(0x100 + c - 0x7F + 33)
		default:
			b.WriteRune(0x100 + 67)
		}
	}
	return b.String()
}

// builder makes vocabularies in code.
type builder struct {
	v tokenizer.Vocab
}

func newBuilder(model string) *builder {
	v := tokenizer.DefaultVocab(model)
	v.BOS, v.EOS, v.UNK, v.SEP, v.PAD, v.MASK = none, none, none, none, none, none
	return &builder{v}
}

func (b *builder) add(kind tokenizer.TokenType, score float32, texts ...string) int32 {
	for _, text := range texts {
		b.v.Tokens = append(b.v.Tokens, text)
		b.v.Types = append(b.v.Types, kind)
		b.v.Scores = append(b.v.Scores, score)
	}
	return int32(len(b.v.Tokens) - 1)
}

func (b *builder) build(t testing.TB, opts ...tokenizer.Option) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.New(b.v, opts...)
	require.NoError(t, err)
	return tok
}

// byteLevel has a token for each byte, and merges them to words.
func byteLevel(pre string, words ...string) *builder {
	b := newBuilder(tokenizer.ModelBPE)
	b.v.Pre = pre
	for c := range 256 {
		b.add(tokenizer.NormalToken, 0, byteText(string([]byte{byte(c)})))
	}
	known := map[string]bool{}
	for _, word := range words {
		for end := 2; end <= len(word); end++ {
			left, right := byteText(word[:end-1]), byteText(word[end-1:end])
			if !known[left+right] {
				known[left+right] = true
				b.add(tokenizer.NormalToken, 0, left+right)
				b.v.Merges = append(b.v.Merges, left+" "+right)
			}
		}
	}
	return b
}

// sentencePiece has byte tokens and the pieces, better ones first.
func sentencePiece(pieces ...string) *builder {
	b := newBuilder(tokenizer.ModelSPM)
	b.v.UNK = b.add(tokenizer.UnknownToken, 0, "<unk>")
	b.v.BOS = b.add(tokenizer.ControlToken, 0, "<s>")
	b.v.EOS = b.add(tokenizer.ControlToken, 0, "</s>")
	for c := range 256 {
		b.add(tokenizer.ByteToken, 0, "<0x"+strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15]))+">")
	}
	for i, piece := range pieces {
		b.add(tokenizer.NormalToken, -float32(i+1), piece)
	}
	return b
}

func encode(t testing.TB, tok *tokenizer.Tokenizer, text string, o tokenizer.EncodeOptions) (texts []string) {
	t.Helper()
	ids, err := tok.Encode(text, o)
	require.NoError(t, err)
	for _, id := range ids {
		texts = append(texts, tok.Text(id))
	}
	return texts
}

var (
	plain   = tokenizer.EncodeOptions{}
	parsed  = tokenizer.EncodeOptions{ParseSpecial: true}
	special = tokenizer.EncodeOptions{AddSpecial: true}
)

func TestByteLevelMerges(t *testing.T) {
	b := byteLevel("gpt-2", "hello", " world")
	tok := b.build(t)
	require.Equal(t, []string{"hello", "Ġworld"}, encode(t, tok, "hello world", plain))
	require.Equal(t, []string{"hell", "Ġworl"}, encode(t, tok, "hell worl", plain))
	require.Equal(t, []string{"Ã", "¤"}, encode(t, tok, "ä", plain))
	for _, text := range []string{"hello world", "ä€😀", "\x00\xff\xfe a\x80b", " \n\t "} {
		ids, err := tok.Encode(text, plain)
		require.NoError(t, err)
		require.Equal(t, text, tok.Decode(ids, tokenizer.DecodeOptions{}))
	}
	require.Equal(t, tokenizer.ModelBPE, tok.Model())
	require.Equal(t, "gpt-2", tok.Pre())
	require.Equal(t, len(b.v.Tokens), tok.Size())
}

// TestMergeOrder: the lowest rank first, of equal ones the leftmost, in short words and in long ones.
func TestMergeOrder(t *testing.T) {
	b := newBuilder(tokenizer.ModelBPE)
	b.v.Pre = "gpt-2"
	b.add(tokenizer.NormalToken, 0, "a", "b", "aa", "ab", "aab")
	b.v.Merges = []string{"a b", "a a", "a ab"}
	tok := b.build(t)
	for text, want := range map[string]string{
		"aaa": "aa a", "aab": "aab", "aaab": "aa ab", "aaaaab": "aa aa ab", "aaaab": "aa aab",
	} {
		require.Equal(t, strings.Fields(want), encode(t, tok, text, plain), text)
	}
	long := strings.Repeat("aaaab", 40)
	require.Equal(t, strings.Fields(strings.Repeat("aa aab ", 40)), encode(t, tok, long, plain))
}

func TestIgnoreMerges(t *testing.T) {
	b := byteLevel("llama-bpe", "ab")
	b.add(tokenizer.NormalToken, 0, "abc", "Ġabc")
	b.v.BOS = b.add(tokenizer.ControlToken, 0, "<s>")
	require.Equal(t, []string{"abc", "Ġabc", "Ġ", "ab", "d"}, encode(t, b.build(t), "abc abc abd", plain))
	require.Equal(t, []string{"ab", "c"}, encode(t, b.build(t, tokenizer.WithPre("qwen2")), "abc", plain))
	require.Equal(t, []string{"<s>", "a"}, encode(t, b.build(t), "a", special))
}

// TestControlTokensNeedParsing: neither merges nor whole words make a control token of plain text.
func TestControlTokensNeedParsing(t *testing.T) {
	b := byteLevel("superbpe", "<s")
	id := b.add(tokenizer.ControlToken, 0, "<s>")
	b.v.Merges = append(b.v.Merges, "<s >")
	tok := b.build(t)
	require.Equal(t, []string{"<", "s", ">"}, encode(t, tok, "<s>", plain), "also where a merge leads to it")
	ids, err := tok.Encode("x<s>", parsed)
	require.NoError(t, err)
	require.Equal(t, []int32{'x', id}, ids)
	require.True(t, tok.IsSpecial(id))

	w := wordPiece("▁a", "b")
	w.add(tokenizer.ControlToken, 0, "▁ab", "eos")
	require.Equal(t, []string{"▁a", "b", "[UNK]"}, encode(t, w.build(t), "ab aeos", plain))

	spm := sentencePiece("<s", "</", "s>", "/s").build(t)
	require.Equal(t, []string{"<0xE2>", "<0x96>", "<0x81>", "</", "s>"}, encode(t, spm, "</s>", plain))
	require.Equal(t, []string{"</s>"}, encode(t, spm, "</s>", parsed))
	require.Equal(t, []string{"<unk>"}, encode(t, spm, "<unk>", parsed))
}

func TestSymbolOutsideVocabulary(t *testing.T) {
	b := newBuilder(tokenizer.ModelBPE)
	b.v.Pre = "gpt-2"
	b.add(tokenizer.NormalToken, 0, "a", "b", "c", "abc")
	b.v.Merges = []string{"a b", "ab c"} // ab is a step, and no token
	tok := b.build(t)
	require.Equal(t, []string{"abc", "a", "b"}, encode(t, tok, "abcab", plain))
	_, err := tok.Encode("xyz", plain)
	var unencodable *tokenizer.UnencodableError
	require.ErrorAs(t, err, &unencodable)
	require.Contains(t, err.Error(), `"x"`)
	b.v.UNK = b.add(tokenizer.UnknownToken, 0, "<unk>")
	require.Equal(t, []string{"a", "<unk>", "b"}, encode(t, b.build(t), "axb", plain))
}

func TestSentencePieceBytes(t *testing.T) {
	b := sentencePiece("▁he", "llo", "he", "▁", "l", "o", "h", "e", "ll", "▁▁")
	tok := b.build(t)
	require.Equal(t, []string{"▁he", "llo"}, encode(t, tok, "hello", plain))
	require.Equal(t, []string{"<s>", "▁he", "llo"}, encode(t, tok, "hello", special))
	require.Equal(t, []string{"▁", "<0xC3>", "<0xA4>", "▁he"}, encode(t, tok, "ä he", plain))
	require.Equal(t, []string{"▁▁", "<0xFF>"}, encode(t, tok, " \xff", plain))
	require.Equal(t, []string{"▁he", "</s>", "▁he"}, encode(t, tok, "he</s>he", parsed), "a space before each text")
	require.Empty(t, encode(t, tok, "", plain))
	for _, text := range []string{"hello ä", " \xff\x80", "  two", "e\nh"} {
		ids, err := tok.Encode(text, plain)
		require.NoError(t, err)
		require.Equal(t, text, tok.Decode(ids, tokenizer.DecodeOptions{}))
		require.Equal(t, " "+text, tok.Decode(ids, tokenizer.DecodeOptions{Continued: true}))
	}
	off := false
	b.v.AddSpacePrefix, b.v.AddBOS = &off, &off
	tok = b.build(t)
	require.Equal(t, []string{"he", "llo"}, encode(t, tok, "hello", special))
	require.Equal(t, " he", tok.Decode([]int32{b.find("▁he")}, tokenizer.DecodeOptions{}))
}

func (b *builder) find(text string) int32 {
	for id, t := range b.v.Tokens {
		if t == text {
			return int32(id)
		}
	}
	return none
}

func TestSentencePieceWithoutBytes(t *testing.T) {
	b := newBuilder(tokenizer.ModelSPM)
	b.v.BOS = b.add(tokenizer.ControlToken, 0, "<s>")
	b.add(tokenizer.NormalToken, 0, "▁", "a")
	_, err := b.build(t).Encode("b", plain)
	require.ErrorContains(t, err, `no token for "b"`)
	b.v.UNK = b.add(tokenizer.UnknownToken, 0, "<unk>")
	require.Equal(t, []string{"▁", "a", "<unk>"}, encode(t, b.build(t), "ab", plain))
	b.add(tokenizer.NormalToken, 0, "<0x62>", "\xC3")
	require.Equal(t, []string{"▁", "<0x62>"}, encode(t, b.build(t), "b", plain), "a byte token without its type")
}

func TestRawBPE(t *testing.T) {
	b := newBuilder(tokenizer.ModelGemma4)
	b.v.BOS = b.add(tokenizer.ControlToken, 0, "<bos>")
	b.add(tokenizer.NormalToken, 0, "▁", "a", "é", "▁a", "\n", "\n\n", "aé")
	for c := range 256 {
		b.add(tokenizer.ByteToken, 0, "<0x"+strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15]))+">")
	}
	b.v.Merges = []string{"▁ a", "a é"}
	tok := b.build(t)
	require.Equal(t, []string{"▁a", "é", "\n\n", "aé", "<0xC3>", "<0x9F>"}, encode(t, tok, " aé\n\naéß", plain))
	require.Equal(t, []string{"<bos>", "a"}, encode(t, tok, "a", special), "BOS whatever the file says")
	ids, err := tok.Encode(" aé\n\n\nß\xff", plain)
	require.NoError(t, err)
	require.Equal(t, " aé\n\n\nß\xff", tok.Decode(ids, tokenizer.DecodeOptions{}))
	require.Equal(t, "gemma4", tok.Pre())
}

func wordPiece(words ...string) *builder {
	b := newBuilder(tokenizer.ModelWordPiece)
	b.v.PAD = b.add(tokenizer.ControlToken, 0, "[PAD]")
	b.v.UNK = b.add(tokenizer.ControlToken, 0, "[UNK]")
	b.v.BOS = b.add(tokenizer.ControlToken, 0, "[CLS]")
	b.v.SEP = b.add(tokenizer.ControlToken, 0, "[SEP]")
	b.add(tokenizer.NormalToken, 0, words...)
	return b
}

func TestWordPiece(t *testing.T) {
	b := wordPiece("▁un", "aff", "able", "▁a", "▁.", "▁中", "▁cafe", "▁i", "̇", "▁ᄒ", "ᅡ", "ᆫ", "a")
	tok := b.build(t)
	for text, want := range map[string]string{
		"unaffable":              "▁un aff able",
		"UNAFFABLE.a":            "▁un aff able ▁. ▁a",
		"a中a":                    "▁a ▁中 ▁a",
		"Café\tcafe\u0301":       "▁cafe ▁cafe",
		"a\u200b\x00\ufffda":     "▁a a",
		"한":                      "▁ᄒ ᅡ ᆫ",
		"unx a":                  "[UNK] ▁a",
		"a▁un":                   "[UNK]",
		strings.Repeat("a", 100): "▁a" + strings.Repeat(" a", 99),
		strings.Repeat("a", 101): "[UNK]",
		"\xffa":                  "▁a",
		"\u2028 \n":              "",
	} {
		require.Equal(t, strings.Fields(want), append([]string{}, encode(t, tok, text, plain)...), "%q", text)
	}
	require.Equal(t, []string{"[CLS]", "▁a", "[SEP]"}, encode(t, tok, "a", special))
	require.True(t, tok.AddsBOS() && tok.AddsEOS())
	ids, err := tok.Encode("a cafe.", special)
	require.NoError(t, err)
	require.Equal(t, " a cafe.", tok.Decode(ids, tokenizer.DecodeOptions{CleanSpaces: true}))
	off, on := false, true
	b.v.Lowercase = &off
	require.Equal(t, []string{"[UNK]"}, encode(t, b.build(t), "UN", plain))
	b.v.Lowercase, b.v.StripAccents = &on, &off
	require.Equal(t, []string{"▁i", "̇"}, encode(t, b.build(t), "İ", plain))
	b.v.UNK = none
	_, err = b.build(t).Encode("zz", plain)
	require.ErrorContains(t, err, `"zz"`)
}

func TestSpecialTokens(t *testing.T) {
	b := byteLevel("gpt-2")
	for _, text := range []string{"<a>", "<a>b", "<|im_end|>"} {
		b.add(tokenizer.ControlToken, 0, text)
	}
	b.add(tokenizer.UserDefinedToken, 0, "<tool>")
	tok := b.build(t)
	require.Equal(t, []string{"<a>b", "<a>", "x", "<tool>"}, encode(t, tok, "<a>b<a>x<tool>", parsed), "the longest at each place")
	require.Equal(t, []string{"<", "a", ">", "<tool>"}, encode(t, tok, "<a><tool>", plain))
	ids, err := tok.Encode("1<|im_end|>2<tool>", parsed)
	require.NoError(t, err)
	require.Equal(t, "12<tool>", tok.Decode(ids, tokenizer.DecodeOptions{}))
	require.Equal(t, "1<|im_end|>2<tool>", tok.Decode(ids, tokenizer.DecodeOptions{Special: true}))
	require.Equal(t, []int32{b.find("<|im_end|>")}, tok.EndIDs())
	require.Equal(t, b.find("<|im_end|>"), tok.Special().EOT)
}

func TestStripsAroundSpecialTokens(t *testing.T) {
	b := sentencePiece("▁", "a")
	b.v.Name = "Phi-3-mini"
	b.add(tokenizer.ControlToken, 0, "<|end|>")
	tok := b.build(t)
	require.Equal(t, []string{"▁", "a", "<|end|>", "▁", "a"}, encode(t, tok, "a<|end|> \n\t a", parsed))
	require.Equal(t, []string{"<s>", "▁", "▁", "a"}, encode(t, tok, "<s> a", parsed))

	m := newBuilder(tokenizer.ModelSPM)
	m.v.Architecture = "nomic-bert-moe"
	m.v.BOS = m.add(tokenizer.ControlToken, 0, "<s>")
	m.add(tokenizer.NormalToken, 0, "▁", "a")
	m.add(tokenizer.ControlToken, 0, "<mask>")
	require.Equal(t, []string{"▁", "a", "<mask>", "▁", "▁", "a"}, encode(t, m.build(t), "a \t<mask> a", parsed))

	w := wordPiece("▁a")
	w.v.Name = "Modern-BERT"
	w.add(tokenizer.ControlToken, 0, "[MASK]")
	require.Equal(t, []string{"▁a", "[MASK]", "▁a"}, encode(t, w.build(t), "a  [MASK] a", parsed))
}

func TestEnds(t *testing.T) {
	ends := func(b *builder) (texts []string) {
		tok := b.build(t)
		for _, id := range tok.EndIDs() {
			require.True(t, tok.IsEnd(id))
			texts = append(texts, tok.Text(id))
		}
		require.False(t, tok.IsEnd(0))
		return texts
	}
	b := byteLevel("gpt-4o")
	b.add(tokenizer.ControlToken, 0, "<|end|>")
	require.Equal(t, []string{"<|end|>"}, ends(b))
	b.add(tokenizer.ControlToken, 0, "<|return|>", "<|call|>", "<|channel|>")
	require.Equal(t, []string{"<|return|>", "<|call|>"}, ends(b), "gpt-oss ends only messages with <|end|>")
	require.False(t, b.build(t).IsSpecial(b.find("<|channel|>")), "its channels are to be seen")
	require.False(t, b.build(t).IsSpecial(b.find("<|end|>")))

	b = byteLevel("qwen2")
	b.add(tokenizer.NormalToken, 0, "</s>", "<|endoftext|>")
	b.v.EOS = b.add(tokenizer.ControlToken, 0, "<stop>")
	require.Equal(t, []string{"<|endoftext|>", "<stop>"}, ends(b), "</s> is HTML here; <|endoftext|> cannot be text")
	require.True(t, b.build(t).IsSpecial(b.find("<|endoftext|>")))

	b = byteLevel("gpt-2")
	b.add(tokenizer.ControlToken, 0, "</s>", "<|tool_response>")
	require.Equal(t, []string{"<|tool_response>"}, ends(b))
}

func TestOutOfRange(t *testing.T) {
	tok := byteLevel("gpt-2").build(t)
	for _, id := range []int32{none, 256, 1 << 30, -1 << 31} {
		require.Empty(t, tok.Text(id))
		require.Empty(t, tok.Piece(id))
		require.False(t, tok.IsSpecial(id))
		require.False(t, tok.IsEnd(id))
		require.Equal(t, "A", tok.Decode([]int32{id, 'A', id}, tokenizer.DecodeOptions{Special: true}))
	}
	id, ok := tok.ID("A")
	require.True(t, ok)
	require.Equal(t, int32('A'), id)
	require.Equal(t, none, tok.BOS())
	require.Equal(t, none, tok.EOS())
}

func TestVocabFaults(t *testing.T) {
	on := true
	for name, test := range map[string]struct {
		change func(*tokenizer.Vocab)
		want   string
	}{
		"no tokens":     {func(v *tokenizer.Vocab) { v.Tokens = nil }, "no tokens"},
		"scores":        {func(v *tokenizer.Vocab) { v.Scores = v.Scores[:3] }, "scores has 3 elements, expected 256"},
		"types":         {func(v *tokenizer.Vocab) { v.Types = v.Types[:3] }, "token_type has 3 elements, expected 256"},
		"id":            {func(v *tokenizer.Vocab) { v.EOT = 256 }, "eot_token_id is 256, expected less than the 256 tokens"},
		"negative id":   {func(v *tokenizer.Vocab) { v.EOT = -2 }, "eot_token_id is -2"},
		"duplicate":     {func(v *tokenizer.Vocab) { v.Tokens[7] = v.Tokens[5] }, "at 5 and at 7, expected each token once"},
		"not a number":  {func(v *tokenizer.Vocab) { v.Scores[9] = float32(nan()) }, "scores[9] is not a number"},
		"merge":         {func(v *tokenizer.Vocab) { v.Merges = []string{"a b", "ab"} }, `merges[1] is "ab", expected two symbols`},
		"half a merge":  {func(v *tokenizer.Vocab) { v.Merges = []string{"a "} }, `merges[0] is "a "`},
		"empty merge":   {func(v *tokenizer.Vocab) { v.Merges = []string{""} }, `merges[0] is ""`},
		"model":         {func(v *tokenizer.Vocab) { v.Model = "new" }, `tokenizer.ggml.model is "new", which is not known`},
		"hybriddna":     {func(v *tokenizer.Vocab) { v.Model = "hybriddna" }, `"hybriddna", which is not supported`},
		"plamo2":        {func(v *tokenizer.Vocab) { v.Model = "plamo2" }, "has no token <0x00>"},
		"no vocabulary": {func(v *tokenizer.Vocab) { v.Model = "no_vocab" }, "the file has no vocabulary"},
		"pre":           {func(v *tokenizer.Vocab) { v.Pre = "new" }, `tokenizer.ggml.pre is "new", which is not known`},
		"no pre":        {func(v *tokenizer.Vocab) { v.Pre = "" }, "tokenizer.ggml.pre is missing"},
		"BOS":           {func(v *tokenizer.Vocab) { v.AddBOS = &on }, "names no bos token"},
		"byte token":    {func(v *tokenizer.Vocab) { v.Model = tokenizer.ModelSPM; v.Types[3] = tokenizer.ByteToken }, "expected <0xXX>"},
		"unknown":       {func(v *tokenizer.Vocab) { v.Model = tokenizer.ModelUnigram }, "unknown_token_id is missing"},
	} {
		b := byteLevel("gpt-2")
		test.change(&b.v)
		_, err := tokenizer.New(b.v)
		require.ErrorContains(t, err, test.want, name)
	}
	_, err := tokenizer.New(byteLevel("").v)
	var unknown *tokenizer.UnknownPreTokenizerError
	require.ErrorAs(t, err, &unknown)
	require.Empty(t, unknown.Name)
	_, err = tokenizer.New(byteLevel("gpt-2").v, tokenizer.WithPre("other"))
	require.ErrorContains(t, err, `"other"`, "the override is checked too")
	byteLevel("strange").build(t, tokenizer.WithPre("gpt-2"))
}

func nan() float64 { var zero float64; return zero / zero }

func TestEmptyTokens(t *testing.T) {
	b := byteLevel("gpt-2")
	id := b.add(tokenizer.NormalToken, 0, "", "")
	tok := b.build(t)
	require.Equal(t, "[EMPTY_257]", tok.Text(id))
	require.Empty(t, b.v.Tokens[id], "the caller's slice stays")
}
