package tokenizer

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// charsMap is SentencePiece's precompiled_charsmap: a double array trie from strings to their normal form.
//
// The bytes are the size of the trie as a 32-bit number, the trie's units of 32 bits, and the normal forms, each ended by
// a zero byte. In a unit, bit 31 tells a value from a node; bits 0 to 7 are the byte that leads to the node; bit 8 says
// that a string ends here, whose value is the unit that the offset points to; the offset is in bits 10 to 30, and shifted
// by another 8 bits where bit 9 is set.
type charsMap struct {
	units []uint32
	forms string
}

func newCharsMap(data []byte) (*charsMap, error) {
	if len(data) == 0 {
		return &charsMap{}, nil
	}
	if len(data) < 4 {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.precompiled_charsmap has %d bytes, expected at least 4", len(data))
	}
	size := uint64(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if size%4 != 0 || size >= uint64(len(data)) {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.precompiled_charsmap gives its trie as %d of %d bytes, "+
			"expected a multiple of 4 that leaves some", size, len(data))
	}
	m := &charsMap{units: make([]uint32, size/4), forms: string(data[size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if m.forms[len(m.forms)-1] != 0 {
		return nil, fmt.Errorf("tokenizer: tokenizer.ggml.precompiled_charsmap ends within a string, expected a zero byte")
	}
	return m, nil
}

const (
	charsMapValue = 1 << 31
	charsMapEnds  = 1 << 8
)

// next returns the normal form of the longest string of the map at text[i], or of the character there, and how many bytes
// it stands for.
func (m *charsMap) next(text string, i int) (form string, width int, err error) {
	value, width := m.longest(text, i)
	if width == 0 {
		if r, n := utf8.DecodeRuneInString(text[i:]); r != utf8.RuneError || n > 1 {
			return text[i : i+n], n, nil
		}
		return "\uFFFD", 1, nil
	}
	if uint64(value) >= uint64(len(m.forms)) {
		return "", 0, fmt.Errorf("tokenizer: tokenizer.ggml.precompiled_charsmap maps %q to offset %d of %d", text[i:i+width], value, len(m.forms))
	}
	form = m.forms[value:]
	return form[:strings.IndexByte(form, 0)], width, nil
}

// longest returns the value of the longest string at text[i] and its length; 0 where there is none.
func (m *charsMap) longest(text string, i int) (value uint32, length int) {
	if len(m.units) == 0 {
		return 0, 0
	}
	at := charsMapOffset(m.units[0])
	for n := 0; i+n < len(text); n++ {
		c := text[i+n]
		at ^= uint32(c)
		if c == 0 || uint64(at) >= uint64(len(m.units)) {
			break
		}
		unit := m.units[at]
		if unit&(charsMapValue|0xFF) != uint32(c) {
			break
		}
		at ^= charsMapOffset(unit)
		if unit&charsMapEnds != 0 {
			if uint64(at) >= uint64(len(m.units)) {
				break
			}
			value, length = m.units[at]&^charsMapValue, n+1
		}
	}
	return value, length
}

func charsMapOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
