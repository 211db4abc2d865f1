package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is a set of the Unicode properties that pre-tokenizers ask for.
type class uint16

const (
	letter class = 1 << iota // \p{L}
	number                   // \p{N}
	space                    // \s: White_Space
	mark                     // \p{M}
	punct                    // \p{P}
	symbol                   // \p{S}
	upper                    // \p{Lu}, \p{Lt}
	lower                    // \p{Ll}
	digit                    // \p{Nd}
	han                      // \p{Han}
)

const classPage = 256

// classTable maps a rune to its class in pages of 256; a nil page is all zeros.
type classTable [(unicode.MaxRune + 1) / classPage]*[classPage]class

var asciiClass = func() (table [utf8.RuneSelf]class) {
	for r := range table {
		table[r] = lookUpClass(rune(r))
	}
	return table
}()

// runeClasses is built at the first use: most programs that import this package meet more than ASCII, but not all.
var runeClasses = sync.OnceValue(func() *classTable {
	table := new(classTable)
	for _, property := range classProperties {
		eachRune(property.table, func(r rune) {
			page := &table[r/classPage]
			if *page == nil {
				*page = new([classPage]class)
			}
			(*page)[r%classPage] |= property.class
		})
	}
	for _, later := range unicode151 {
		for r := later.first; r <= later.last; r++ {
			page := &table[r/classPage]
			if *page == nil {
				*page = new([classPage]class)
			}
			(*page)[r%classPage] = later.class
		}
	}
	return table
})

// unicode151 is what Unicode 15.1 has and the standard library's 15.0 has not.
var unicode151 = []struct {
	first, last rune
	class       class
}{
	{0x2FFC, 0x2FFF, symbol}, {0x31EF, 0x31EF, symbol}, {0x2EBF0, 0x2EE5D, letter | han},
}

var classProperties = []struct {
	class class
	table *unicode.RangeTable
}{
	{letter, unicode.L}, {number, unicode.N}, {space, unicode.White_Space}, {mark, unicode.M}, {punct, unicode.P},
	{symbol, unicode.S}, {upper, unicode.Lu}, {upper, unicode.Lt}, {lower, unicode.Ll}, {digit, unicode.Nd},
	{han, unicode.Han},
}

func eachRune(table *unicode.RangeTable, visit func(rune)) {
	for _, part := range table.R16 {
		for r := rune(part.Lo); r <= rune(part.Hi); r += rune(part.Stride) {
			visit(r)
		}
	}
	for _, part := range table.R32 {
		for r := rune(part.Lo); r <= rune(part.Hi); r += rune(part.Stride) {
			visit(r)
		}
	}
}

func lookUpClass(r rune) (c class) {
	for _, property := range classProperties {
		if unicode.Is(property.table, r) {
			c |= property.class
		}
	}
	return c
}

// classAt returns the class and the width in bytes of the character at s[i]. A byte that is not UTF-8 counts as U+FFFD,
// a symbol, of one byte.
func classAt(s string, i int) (class, int) {
	if c := s[i]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	return wideClassAt(s, i)
}

func wideClassAt(s string, i int) (class, int) {
	r, width := utf8.DecodeRuneInString(s[i:])
	return classOf(r), width
}

func classOf(r rune) class {
	if r < utf8.RuneSelf {
		return asciiClass[r]
	}
	page := runeClasses()[r/classPage]
	if page == nil {
		return 0
	}
	return page[r%classPage]
}

// skip returns the end of the run of characters from s[i] on that have any of the properties.
func skip(s string, i int, any class) int {
	for i < len(s) {
		c, width := classAt(s, i)
		if c&any == 0 {
			break
		}
		i += width
	}
	return i
}

// skipNot returns the end of the run of characters from s[i] on that have none of the properties.
func skipNot(s string, i int, none class) int {
	for i < len(s) {
		c, width := classAt(s, i)
		if c&none != 0 {
			break
		}
		i += width
	}
	return i
}
