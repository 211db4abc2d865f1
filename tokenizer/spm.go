package tokenizer

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

const spaceMark = "\u2581" // what SentencePiece writes for a space

// spm merges the characters of a text by the score of the token that they become.
type spm struct {
	text     map[string]int32 // tokens that text may become
	scores   []float32
	byteTok  [256]int32 // the token <0xXX> of a byte, or None
	unknown  int32
	addSpace bool
	// joined holds the characters that stand before a space mark inside of a token. Merges cross the border before a
	// space mark only there, so that text can be cut at the others.
	joined map[rune]bool
	cache  *wordCache
}

func newSPM(v *Vocab, addSpace bool) (*spm, error) {
	m := &spm{text: make(map[string]int32, len(v.Tokens)), scores: make([]float32, len(v.Tokens)), unknown: v.UNK,
		addSpace: addSpace, joined: map[rune]bool{}, cache: newWordCache()}
	for b := range m.byteTok {
		m.byteTok[b] = None
	}
	for id, token := range v.Tokens {
		m.scores[id] = v.score(int32(id))
		switch v.tokenType(id) {
		case ControlToken, UnknownToken:
			continue
		case ByteToken:
			b, err := byteOfToken(token)
			if err != nil {
				return nil, fmt.Errorf("tokenizer: token %d: %w", id, err)
			}
			m.byteTok[b] = int32(id)
			continue
		}
		m.text[token] = int32(id)
		noteJoins(m.joined, token)
	}
	for b := range m.byteTok {
		if m.byteTok[b] != None {
			continue
		}
		// Some vocabularies have the byte tokens without their type, or a token of the byte itself.
		if id, ok := m.text[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.byteTok[b] = id
		} else if id, ok := m.text[string([]byte{byte(b)})]; ok {
			m.byteTok[b] = id
		}
	}
	return m, nil
}

// byteOfToken reads the byte of a token <0xXX>.
func byteOfToken(token string) (byte, error) {
	var b byte
	if len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
		if _, err := fmt.Sscanf(token[3:5], "%02X", &b); err == nil {
			return b, nil
		}
	}
	return 0, fmt.Errorf("the text of a byte token is %q, expected <0xXX>", token)
}

// noteJoins adds the characters that stand before a space mark in a token.
func noteJoins(joined map[rune]bool, token string) {
	for i := 1; i < len(token); i++ {
		if !strings.HasPrefix(token[i:], spaceMark) {
			continue
		}
		if before, _ := utf8.DecodeLastRuneInString(token[:i]); before != '\u2581' {
			joined[before] = true
		}
	}
}

func (m *spm) encode(text string, out []int32, w *workspace) ([]int32, error) {
	marked := w.text[:0]
	if m.addSpace && w.afterSpecial {
		marked = append(marked, spaceMark...)
	}
	for i := range len(text) {
		if text[i] == ' ' {
			marked = append(marked, spaceMark...)
		} else {
			marked = append(marked, text[i])
		}
	}
	w.text = marked
	return m.encodeMarked(string(marked), out, w)
}

// encodeMarked cuts the text where no merge can cross.
func (m *spm) encodeMarked(text string, out []int32, w *workspace) (_ []int32, err error) {
	start := 0
	for start < len(text) {
		end := segment(text, start, m.joined)
		if out, err = m.encodeSegment(text[start:end], out, w); err != nil {
			return out, err
		}
		start = end
	}
	return out, nil
}

// segment returns the end of the segment at text[start]: the next space mark that no token reaches across from the
// character before it.
func segment(text string, start int, joined map[rune]bool) int {
	for i := start + 1; ; i++ {
		n := strings.IndexByte(text[i:], spaceMark[0])
		if n < 0 {
			return len(text)
		}
		i += n
		if !strings.HasPrefix(text[i:], spaceMark) {
			continue
		}
		before, width := utf8.DecodeLastRuneInString(text[:i])
		if before == '\u2581' || before == utf8.RuneError && width == 1 || joined[before] {
			continue
		}
		return i
	}
}

func (m *spm) encodeSegment(segment string, out []int32, w *workspace) ([]int32, error) {
	out, found, slot := m.cache.find(segment, out)
	if found {
		return out, nil
	}
	before := len(out)
	y := &w.symbols
	y.reset()
	for i := 0; i < len(segment); {
		_, width := utf8.DecodeRuneInString(segment[i:])
		end := i + width
		id, ok := m.text[segment[i:end]]
		if !ok {
			id = notInVocabulary
		}
		y.add(id, end)
		i = end
	}
	y.mergeAll(segment, m)
	var err error
	start := 0
	for i, id := range y.id {
		if id == gone {
			continue
		}
		if id != notInVocabulary {
			out = append(out, id)
		} else if out, err = m.spell(segment[start:y.end[i]], out); err != nil {
			return out, err
		}
		start = int(y.end[i])
	}
	keep(slot, segment, out[before:])
	return out, nil
}

func (m *spm) merge(segment string, _, _ int32, start, end int) (priority uint32, id int32, ok bool) {
	id, ok = m.text[segment[start:end]]
	if !ok {
		return 0, 0, false
	}
	return descending(m.scores[id]), id, true
}

// descending maps floats to integers so that the highest comes first.
func descending(score float32) uint32 {
	if score == 0 {
		score = 0 // -0 is 0
	}
	b := math.Float32bits(score)
	if b>>31 == 0 {
		return 1<<31 - 1 - b
	}
	return b
}

// spell writes a character that is no token as the tokens of its bytes, or as the unknown token.
func (m *spm) spell(character string, out []int32) ([]int32, error) {
	before := len(out)
	for i := range len(character) {
		id := m.byteTok[character[i]]
		if id != None {
			out = append(out, id)
			continue
		}
		if m.unknown == None {
			return out[:before], &UnencodableError{Text: character}
		}
		return append(out[:before], m.unknown), nil
	}
	return out, nil
}
