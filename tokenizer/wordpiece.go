package tokenizer

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordPiece cuts each word into the longest tokens from the left. The vocabulary writes the beginning of a word with a
// space mark before it, and the rest of a word without.
type wordPiece struct {
	text         map[string]int32
	types        []TokenType
	longest      int // bytes of the longest token
	unknown      int32
	lowercase    bool
	stripAccents bool
	cache        *wordCache
}

// longestWord is the number of characters up to which BERT reads a word; longer ones are unknown.
const longestWord = 100

func newWordPiece(v *Vocab, f flags, text map[string]int32) (*wordPiece, error) {
	m := &wordPiece{text: text, types: v.Types, unknown: v.UNK, lowercase: f.lowercase, stripAccents: f.stripAccents, cache: newWordCache()}
	for _, token := range v.Tokens {
		m.longest = max(m.longest, len(token))
	}
	return m, nil
}

func (m *wordPiece) encode(text string, out []int32, w *workspace) (_ []int32, err error) {
	text = m.normalize(text)
	for i := 0; i < len(text); {
		end := bertWord(text, i)
		if c, _ := classAt(text, i); c&space == 0 {
			if out, err = m.encodeWord(text[i:end], out, w); err != nil {
				return out, err
			}
		}
		i = end
	}
	return out, nil
}

// bertWord returns the end of the run of whitespace, the punctuation mark or the word at s[i].
func bertWord(s string, i int) int {
	c, width := classAt(s, i)
	switch {
	case c&space != 0:
		return skip(s, i, space)
	case isBERTPunctuation(c, width):
		return i + width
	}
	for i < len(s) {
		c, width := classAt(s, i)
		if c&space != 0 || isBERTPunctuation(c, width) {
			break
		}
		i += width
	}
	return i
}

func isBERTPunctuation(c class, width int) bool { return c&punct != 0 || c&symbol != 0 && width == 1 }

// normalize is BERT's: control characters go, Chinese characters stand alone, and, where the vocabulary is so, accents go
// and letters become lower case.
func (m *wordPiece) normalize(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/8)
	for _, r := range text { // an invalid byte is U+FFFD, which goes
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			b.WriteByte(' ')
		case r == 0 || r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		case isChinese(r):
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	text = b.String()
	if m.stripAccents {
		text = stripAccents(text)
	}
	if m.lowercase {
		text = strings.ReplaceAll(text, "\u0130", "i\u0307") // the one character whose lower case is two
		text = strings.ToLower(text)
	}
	return text
}

// stripAccents decomposes characters and drops the marks that take no space.
func stripAccents(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text))
}

// isChinese reports the ideographs that BERT sets apart. Extension E begins 256 characters late in the tokenizers that
// models were trained with.
func isChinese(r rune) bool {
	return 0x4E00 <= r && r <= 0x9FFF || 0x3400 <= r && r <= 0x4DBF || 0x20000 <= r && r <= 0x2A6DF ||
		0x2A700 <= r && r <= 0x2B73F || 0x2B740 <= r && r <= 0x2B81F || 0x2B920 <= r && r <= 0x2CEAF ||
		0xF900 <= r && r <= 0xFAFF || 0x2F800 <= r && r <= 0x2FA1F
}

func (m *wordPiece) encodeWord(word string, out []int32, w *workspace) ([]int32, error) {
	out, found, slot := m.cache.find(word, out)
	if found {
		return out, nil
	}
	before := len(out)
	marked := append(append(w.text[:0], spaceMark...), word...)
	w.text = marked
	complete := utf8.RuneCountInString(word) <= longestWord
	for i := 0; complete && i < len(marked); {
		id, end := m.longestToken(marked, i)
		if complete = end > i; complete {
			out = append(out, id)
			i = end
		}
	}
	if !complete {
		if m.unknown == None {
			return out[:before], &UnencodableError{Text: word}
		}
		out = append(out[:before], m.unknown)
	}
	keep(slot, word, out[before:])
	return out, nil
}

// longestToken returns the longest token at word[i] and its end; i where there is none.
func (m *wordPiece) longestToken(word []byte, i int) (id int32, end int) {
	// A space mark in the text itself must not pass for the beginning of a word.
	inner := i > 0 && bytes.HasPrefix(word[i:], []byte(spaceMark))
	for end = min(len(word), i+m.longest); end > i; end-- {
		if id, ok := m.text[string(word[i:end])]; ok && !isHidden(m.types, id) && (!inner || end == i+len(spaceMark)) {
			return id, end
		}
	}
	return None, i
}
