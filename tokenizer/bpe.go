package tokenizer

import (
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// bpe merges the characters of words by the rank of their pair.
//
// Symbols are numbered: those that are tokens by their ids, and those that are only steps on the way to one by numbers
// behind the vocabulary.
type bpe struct {
	pre     preTokenizer
	text    map[string]int32 // all tokens; see token
	types   []TokenType
	extra   map[string]int32 // symbols that are no tokens
	tokens  int32            // symbols from here on are no tokens
	byteID  [256]int32       // byte-level: the symbol of a byte
	byteTok [256]int32       // raw: the token <0xXX> of a byte, or None
	pairs   pairTable
	cache   *wordCache
	unknown int32
}

func newBPE(v *Vocab, pre preTokenizer, text map[string]int32) (*bpe, error) {
	m := &bpe{pre: pre, text: text, types: v.Types, extra: map[string]int32{}, tokens: int32(len(v.Tokens)), cache: newWordCache(), unknown: v.UNK}
	for b := range 256 {
		m.byteID[b] = m.intern(string(byteRune[b]))
		m.byteTok[b] = None
		if pre.raw {
			if id, ok := m.token(fmt.Appendf(nil, "<0x%02X>", b)); ok {
				m.byteTok[b] = id
			}
		}
	}
	return m, m.readMerges(v.Merges)
}

func (m *bpe) readMerges(merges []string) error {
	m.pairs = newPairTable(len(merges))
	var joined []byte
	for rank, merge := range merges {
		// The first symbol may begin with a space in vocabularies over raw text, but is not empty.
		at := -1
		if len(merge) > 1 {
			at = strings.IndexByte(merge[1:], ' ') + 1
		}
		if at < 1 || at == len(merge)-1 {
			return fmt.Errorf("tokenizer: tokenizer.ggml.merges[%d] is %q, expected two symbols with a space between", rank, merge)
		}
		left, right := merge[:at], merge[at+1:]
		joined = append(append(joined[:0], left...), right...)
		m.pairs.add(m.intern(left), m.intern(right), int32(rank), m.internBytes(joined))
	}
	return nil
}

// token returns the token of a text that plain text may become: none of the control tokens.
func (m *bpe) token(text []byte) (int32, bool) {
	id, ok := m.text[string(text)]
	return id, ok && !isHidden(m.types, id)
}

// isHidden reports whether plain text must not become the token.
func isHidden(types []TokenType, id int32) bool {
	return len(types) > 0 && (types[id] == ControlToken || types[id] == UnknownToken)
}

func (m *bpe) intern(symbol string) int32 {
	if id, ok := m.text[symbol]; ok && !isHidden(m.types, id) {
		return id
	}
	id, ok := m.extra[symbol]
	if !ok {
		id = m.tokens + int32(len(m.extra))
		m.extra[symbol] = id
	}
	return id
}

func (m *bpe) internBytes(symbol []byte) int32 {
	if id, ok := m.token(symbol); ok {
		return id
	}
	return m.intern(string(symbol))
}

func (m *bpe) merge(_ string, left, right int32, _, _ int) (priority uint32, id int32, ok bool) {
	rank, merged := m.pairs.find(left, right)
	return uint32(rank), merged, merged != gone
}

func (m *bpe) encode(text string, out []int32, w *workspace) ([]int32, error) {
	if m.pre.raw {
		text = strings.ReplaceAll(text, " ", "\u2581")
	}
	var fault error
	m.pre.split.each(text, func(word string) {
		if fault == nil {
			out, fault = m.encodeWord(word, out, w)
		}
	})
	return out, fault
}

func (m *bpe) encodeWord(word string, out []int32, w *workspace) ([]int32, error) {
	out, found, slot := m.cache.find(word, out)
	if found {
		return out, nil
	}
	before := len(out)
	out, err := m.mergeWord(word, out, w)
	if err == nil {
		keep(slot, word, out[before:])
	}
	return out, err
}

func (m *bpe) mergeWord(word string, out []int32, w *workspace) ([]int32, error) {
	if id, ok := m.wholeWord(word, w); ok {
		return append(out, id), nil
	}
	y := &w.symbols
	y.reset()
	if m.pre.raw {
		for i := 0; i < len(word); {
			_, width := utf8.DecodeRuneInString(word[i:])
			end := i + width
			y.add(m.symbolOf(word[i:end]), end)
			i = end
		}
	} else {
		for i := range len(word) {
			y.add(m.byteID[word[i]], i+1)
		}
	}
	if len(y.id) <= shortWord {
		m.mergeShort(y)
	} else {
		y.mergeAll(word, m)
	}
	var err error
	start := 0
	for i, id := range y.id {
		if id == gone {
			continue
		}
		if id >= 0 && id < m.tokens {
			out = append(out, id)
		} else if out, err = m.spell(word[start:y.end[i]], out); err != nil {
			return out, err
		}
		start = int(y.end[i])
	}
	return out, nil
}

// notInVocabulary is the id of a character that neither is a token nor takes part in a merge.
const notInVocabulary int32 = -2

func (m *bpe) symbolOf(character string) int32 {
	if id, ok := m.text[character]; ok && !isHidden(m.types, id) {
		return id
	}
	if id, ok := m.extra[character]; ok {
		return id
	}
	return notInVocabulary
}

// wholeWord looks for a word that is a token without regard to the merges.
func (m *bpe) wholeWord(word string, w *workspace) (int32, bool) {
	switch {
	case m.pre.ignoreMerges && m.pre.raw, m.pre.newlineWords && word[0] == '\n':
		w.text = append(w.text[:0], word...)
		return m.token(w.text)
	case m.pre.ignoreMerges:
		w.text = appendByteText(w.text[:0], word)
		return m.token(w.text)
	}
	return 0, false
}

const shortWord = 32 // symbols up to which looking at all of them each time is faster than a queue

// mergeShort merges like symbols.mergeAll, but leaves the list without gaps.
func (m *bpe) mergeShort(y *symbols) {
	var ranks, merged [shortWord]int32
	ids, ends := y.id, y.end
	for i := range len(ids) - 1 {
		ranks[i], merged[i] = m.pairs.find(ids[i], ids[i+1])
	}
	for {
		best, at := int32(noRank), -1
		for i, rank := range ranks[:max(len(ids)-1, 0)] {
			if rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			break
		}
		ids[at] = merged[at]
		copy(ids[at+1:], ids[at+2:])
		copy(ends[at:], ends[at+1:])
		ids, ends = ids[:len(ids)-1], ends[:len(ends)-1]
		copy(ranks[at:len(ids)], ranks[at+1:])
		copy(merged[at:len(ids)], merged[at+1:])
		if at > 0 {
			ranks[at-1], merged[at-1] = m.pairs.find(ids[at-1], ids[at])
		}
		if at+1 < len(ids) {
			ranks[at], merged[at] = m.pairs.find(ids[at], ids[at+1])
		}
	}
	y.id, y.end = ids, ends
}

// spell writes a symbol that is no token as the tokens of its bytes, or as the unknown token.
func (m *bpe) spell(symbol string, out []int32) ([]int32, error) {
	before := len(out)
	for i := range len(symbol) {
		id := m.byteTok[symbol[i]]
		if !m.pre.raw {
			id = m.byteID[symbol[i]]
		}
		if id >= 0 && id < m.tokens {
			out = append(out, id)
			continue
		}
		if m.unknown == None {
			return out[:before], &UnencodableError{Text: symbol}
		}
		return append(out[:before], m.unknown), nil
	}
	return out, nil
}

// UnencodableError says that a vocabulary has no tokens for a piece of text, and no token for unknown text either.
type UnencodableError struct{ Text string }

func (e *UnencodableError) Error() string {
	return fmt.Sprintf("tokenizer: the vocabulary has no token for %q and no unknown token", e.Text)
}

// pairTable maps two neighbouring symbols to the rank of their merge and the symbol that it makes. It is a hash table with
// open addressing, filled once.
type pairTable struct {
	slots []pairSlot
	shift uint
}

type pairSlot struct {
	pair         uint64
	rank, merged int32
}

const (
	noPair = ^uint64(0)
	noRank = 1<<31 - 1
)

func newPairTable(pairs int) pairTable {
	size := bits.Len(uint(pairs)*2 | 15)
	t := pairTable{slots: make([]pairSlot, 1<<size), shift: uint(64 - size)}
	for i := range t.slots {
		t.slots[i].pair = noPair
	}
	return t
}

func (t *pairTable) slot(pair uint64) *pairSlot {
	for i := pair * 0x9E3779B97F4A7C15 >> t.shift; ; i++ {
		s := &t.slots[i&uint64(len(t.slots)-1)]
		if s.pair == pair || s.pair == noPair {
			return s
		}
	}
}

// add stores a pair; one that is there stays as it is.
func (t *pairTable) add(left, right, rank, merged int32) {
	pair := uint64(uint32(left))<<32 | uint64(uint32(right))
	if s := t.slot(pair); s.pair == noPair {
		*s = pairSlot{pair: pair, rank: rank, merged: merged}
	}
}

// find returns noRank and gone for a pair that does not merge.
func (t *pairTable) find(left, right int32) (rank, merged int32) {
	s := t.slot(uint64(uint32(left))<<32 | uint64(uint32(right)))
	if s.pair == noPair {
		return noRank, gone
	}
	return s.rank, s.merged
}
