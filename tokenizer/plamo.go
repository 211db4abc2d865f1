package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// plamo finds the tokens with the highest sum of scores, from the end of the text to its beginning; of equal sums the longest token wins
// (PLaMo 2). Characters that no token has are spelled in bytes.
type plamo struct {
	tokens  *trie
	scores  []int64 // in ten thousandths, as the models were trained with
	byteTok [256]int32
}

// Scores of a character that is spelled in bytes, and of tokens that are never taken.
const (
	plamoSpelled = -10_000_000
	plamoInvalid = -20_000_000
)

func newPlamo(v *Vocab) (*plamo, error) {
	m := &plamo{scores: make([]int64, len(v.Tokens))}
	for b := range m.byteTok {
		m.byteTok[b] = None
	}
	var ids []int32
	for id, text := range v.Tokens {
		switch v.tokenType(id) {
		case NormalToken, UserDefinedToken:
			score := float64(v.score(int32(id))) * 1e4
			if score <= plamoInvalid || math.IsInf(score, 0) {
				continue
			}
			m.scores[id] = int64(math.Round(score))
			ids = append(ids, int32(id))
		case ByteToken:
			b, err := byteOfToken(text)
			if err != nil {
				return nil, fmt.Errorf("tokenizer: token %d: %w", id, err)
			}
			m.byteTok[b] = int32(id)
		}
	}
	for b, id := range m.byteTok {
		if id == None {
			return nil, fmt.Errorf("tokenizer: the vocabulary has no token <0x%02X>, which a %s vocabulary needs", b, v.Model)
		}
	}
	slices.SortFunc(ids, func(a, b int32) int { return strings.Compare(v.Tokens[a], v.Tokens[b]) })
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = v.Tokens[id]
	}
	m.tokens = newTrie(texts, ids)
	return m, nil
}

func (m *plamo) encode(text string, out []int32, w *workspace) ([]int32, error) {
	text = strings.TrimPrefix(text, "\uFEFF")
	// Of every place the best way to the end: its score, the token that it begins with, and where that one ends.
	w.paths = grown(w.paths, len(text)+1)
	paths := w.paths
	paths[len(text)] = unigramPath{}
	for i := len(text); i > 0; {
		_, width := utf8.DecodeLastRuneInString(text[:i])
		i -= width
		paths[i] = m.best(paths, text, i, width)
	}
	for i := 0; i < len(text); {
		p := paths[i]
		if p.id != None {
			out = append(out, p.id)
		}
		for end := int(p.start); i < end; i++ {
			if p.id == None {
				out = append(out, m.byteTok[text[i]])
			}
		}
	}
	return out, nil
}

// best is the best way from a character of the width on; start is where its first token ends.
func (m *plamo) best(paths []unigramPath, text string, i, width int) unigramPath {
	found := unigramPath{score: math.Inf(-1)}
	for node, end, ok := int32(0), i, true; end < len(text); {
		if node, ok = m.tokens.child(node, text[end]); !ok {
			break
		}
		end++
		if id := m.tokens.token[node]; id != None && utf8.RuneStart(next(text, end)) {
			if score := paths[end].score + float64(m.scores[id]); score >= found.score {
				found = unigramPath{score: score, start: int32(end), id: id}
			}
		}
	}
	if score := paths[i+width].score + plamoSpelled; score > found.score {
		found = unigramPath{score: score, start: int32(i + width), id: None}
	}
	return found
}

// next is the byte at a place of the text, or one that begins a character behind its end.
func next(text string, at int) byte {
	if at < len(text) {
		return text[at]
	}
	return 0
}
