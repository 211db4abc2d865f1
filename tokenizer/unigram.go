package tokenizer

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// unigram finds the tokens with the highest sum of scores.
type unigram struct {
	tokens       *trie
	scores       []float64
	unknownScore float64
	unknown      int32
	byteTok      [256]int32 // the token <0xXX> of a byte, or None
	charsMap     *charsMap
	addSpace     bool
	mergeSpaces  bool
	joined       map[rune]bool // see spm
	cache        *wordCache
}

// unknownPenalty is how much worse than the worst token an unknown character is.
const unknownPenalty = 10

// unigramPath is the best way to a place in the text.
type unigramPath struct {
	score float64
	start int32 // of the last token
	id    int32
}

func newUnigram(v *Vocab, f flags) (_ *unigram, err error) {
	m := &unigram{scores: make([]float64, len(v.Tokens)), unknown: v.UNK, addSpace: f.addSpacePrefix,
		mergeSpaces: f.mergeSpaces, joined: map[rune]bool{}, cache: newWordCache()}
	if m.unknown == None {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.unknown_token_id is missing, which a %s vocabulary needs", v.Model)
	}
	if m.charsMap, err = newCharsMap(v.CharsMap); err != nil {
		return nil, err
	}
	for b := range m.byteTok {
		m.byteTok[b] = None
	}
	worst := math.MaxFloat32
	var ids []int32
	for id, text := range v.Tokens {
		m.scores[id] = float64(v.score(int32(id)))
		switch v.tokenType(id) {
		case NormalToken:
			worst = min(worst, m.scores[id])
		case UserDefinedToken:
			m.scores[id] = 0 // scores of others are negative: these win
		case UnusedToken:
		case ByteToken:
			b, err := byteOfToken(text)
			if err != nil {
				return nil, fmt.Errorf("tokenizer: token %d: %w", id, err)
			}
			m.byteTok[b] = int32(id)
			continue
		default:
			continue
		}
		ids = append(ids, int32(id))
		noteJoins(m.joined, text)
	}
	m.unknownScore = worst - unknownPenalty
	slices.SortFunc(ids, func(a, b int32) int { return strings.Compare(v.Tokens[a], v.Tokens[b]) })
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = v.Tokens[id]
	}
	m.tokens = newTrie(texts, ids)
	return m, nil
}

func (m *unigram) encode(text string, out []int32, w *workspace) (_ []int32, err error) {
	if w.text, err = m.normalize(w.text[:0], text); err != nil {
		return out, err
	}
	normalized := string(w.text)
	begin := len(out)
	for start := 0; start < len(normalized); {
		end := segment(normalized, start, m.joined)
		before := len(out)
		out = m.encodeSegment(normalized[start:end], out, w)
		// Neighbouring unknown characters are one unknown token.
		if before > begin && out[before] == m.unknown && out[before-1] == m.unknown {
			out = slices.Delete(out, before, before+1)
		}
		start = end
	}
	return out, nil
}

// normalize maps characters, and writes spaces as space marks: one for each, or one for each run of them.
func (m *unigram) normalize(out []byte, text string) ([]byte, error) {
	inWord := false
	first := len(out)
	if m.addSpace && !m.mergeSpaces {
		out = append(out, spaceMark...)
	}
	for i := 0; i < len(text); {
		mapped, width, err := m.charsMap.next(text, i)
		if err != nil {
			return out, err
		}
		i += width
		for j := range len(mapped) {
			if mapped[j] == ' ' {
				inWord = false
				if !m.mergeSpaces {
					out = append(out, spaceMark...)
				}
				continue
			}
			if !inWord {
				inWord = true
				if m.mergeSpaces && (m.addSpace || len(out) > first) {
					out = append(out, spaceMark...)
				}
			}
			out = append(out, mapped[j])
		}
	}
	for m.mergeSpaces && len(out) > first && bytes.HasSuffix(out, []byte(spaceMark)) {
		out = out[:len(out)-len(spaceMark)] // a space mark that the text itself has
	}
	return out, nil
}

func (m *unigram) encodeSegment(s string, out []int32, w *workspace) []int32 {
	out, found, slot := m.cache.find(s, out)
	if found {
		return out
	}
	w.paths = grown(w.paths, len(s)+1)
	paths := w.paths
	for i := range paths {
		paths[i] = unigramPath{score: math.Inf(-1), id: m.unknown}
	}
	paths[0].score = 0
	for i := 0; i < len(s); {
		_, width := utf8.DecodeRuneInString(s[i:])
		m.extend(paths, s, i, width)
		i += width
	}
	before := len(out)
	out = m.collect(paths, s, out)
	keep(slot, s, out[before:])
	return out
}

// extend tries every token at s[i], where a character of the width begins, behind the best path to there.
func (m *unigram) extend(paths []unigramPath, s string, i, width int) {
	sum := paths[i].score
	single := false
	node := int32(0)
	for end := i; end < len(s); {
		next, ok := m.tokens.child(node, s[end])
		if !ok {
			break
		}
		node = next
		end++
		id := m.tokens.token[node]
		if id == None {
			continue
		}
		single = single || end == i+width
		if score := sum + m.scores[id]; score > paths[end].score {
			paths[end] = unigramPath{score: score, start: int32(i), id: id}
		}
	}
	if single {
		return
	}
	if score := sum + m.unknownScore; score > paths[i+width].score {
		paths[i+width] = unigramPath{score: score, start: int32(i), id: m.unknown}
	}
}

// collect appends the tokens of the best path to the end.
func (m *unigram) collect(paths []unigramPath, s string, out []int32) []int32 {
	before := len(out)
	for end := len(s); end > 0; end = int(paths[end].start) {
		id := paths[end].id
		if id != m.unknown {
			out = append(out, id)
			continue
		}
		if spelled, ok := m.spellBackwards(s[paths[end].start:end], out); ok {
			out = spelled
		} else if len(out) == before || out[len(out)-1] != m.unknown {
			out = append(out, id)
		}
	}
	slices.Reverse(out[before:])
	return out
}

// spellBackwards appends the tokens of a character's bytes, the last first, where the vocabulary has them.
func (m *unigram) spellBackwards(character string, out []int32) ([]int32, bool) {
	before := len(out)
	for i := len(character) - 1; i >= 0; i-- {
		id := m.byteTok[character[i]]
		if id == None {
			return out[:before], false
		}
		out = append(out, id)
	}
	return out, true
}
