package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// runeRange is an inclusive range of characters.
type runeRange struct{ first, last rune }

// runeSet is a set of characters in ascending ranges.
type runeSet []runeRange

func (set runeSet) has(r rune) bool {
	low, high := 0, len(set)
	for low < high {
		middle := (low + high) / 2
		switch {
		case r < set[middle].first:
			high = middle
		case r > set[middle].last:
			low = middle + 1
		default:
			return true
		}
	}
	return false
}

// skip returns the end of the run of the set's characters from s[i] on.
func (set runeSet) skip(s string, i int) int {
	for i < len(s) {
		r, width := utf8.DecodeRuneInString(s[i:])
		if !set.has(r) || width == 1 && r == utf8.RuneError {
			break
		}
		i += width
	}
	return i
}

// The characters that DeepSeek's, and the later, pre-tokenizers name one by one.
var (
	// casedLetters are those of [A-Za-zµÀ-ÖØ-öø-ƺ...] in deepseek-llm.
	casedLetters = runeSet{
		{'A', 'Z'}, {'a', 'z'}, {0xB5, 0xB5}, {0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x1BA}, {0x1BC, 0x1BF}, {0x1C4, 0x293},
		{0x295, 0x2AF}, {0x370, 0x373}, {0x376, 0x377}, {0x37B, 0x37D}, {0x37F, 0x37F}, {0x386, 0x386}, {0x388, 0x38A},
		{0x38C, 0x38C}, {0x38E, 0x3A1}, {0x3A3, 0x3F5}, {0x3F7, 0x481}, {0x48A, 0x52F}, {0x531, 0x556}, {0x10A0, 0x10C5},
		{0x13A0, 0x13F5}, {0x13F8, 0x13FD}, {0x1C90, 0x1CBA}, {0x1CBD, 0x1CBF}, {0x1D00, 0x1D2B}, {0x1D6B, 0x1D77},
		{0x1D79, 0x1D9A}, {0x1E00, 0x1F15}, {0x1F18, 0x1F1D}, {0x1F20, 0x1F45}, {0x1F48, 0x1F4D}, {0x1F50, 0x1F57},
		{0x1F59, 0x1F59}, {0x1F5B, 0x1F5B}, {0x1F5D, 0x1F5D}, {0x1F5F, 0x1F7D}, {0x1F80, 0x1FB4}, {0x1FB6, 0x1FBC},
		{0x1FBE, 0x1FBE}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FCC}, {0x1FD0, 0x1FD3}, {0x1FD6, 0x1FDB}, {0x1FE0, 0x1FEC},
		{0x1FF2, 0x1FF4}, {0x1FF6, 0x1FFC}, {0x2102, 0x2102}, {0x2107, 0x2107}, {0x210A, 0x2113}, {0x2115, 0x2115},
		{0x2119, 0x211D}, {0x2124, 0x2124}, {0x2126, 0x2126}, {0x2128, 0x2128}, {0x212A, 0x212D}, {0x212F, 0x2134},
		{0x2139, 0x2139}, {0x213C, 0x213F}, {0x2145, 0x2149}, {0x214E, 0x214E}, {0x2183, 0x2184}, {0x2C00, 0x2C7B},
		{0x2C7E, 0x2CE4}, {0x2CEB, 0x2CEE}, {0x2CF2, 0x2CF3}, {0xA640, 0xA66D}, {0xA680, 0xA69B}, {0xA722, 0xA76F},
		{0xA771, 0xA787}, {0xA78B, 0xA78E}, {0xAB70, 0xABBF}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17}, {0xFF21, 0xFF3A},
		{0xFF41, 0xFF5A}, {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2},
		{0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
	}
	// asciiAndWidePunctuation is [!-/:-~！-／：-～‘-‟　-。] in deepseek-llm.
	asciiAndWidePunctuation = runeSet{
		{'!', '/'}, {':', '~'}, {0x2018, 0x201F}, {0x3000, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E},
	}
	// eastAsian is [一-龥ࠀ-一가-퟿] in deepseek-llm and deepseek-coder.
	eastAsian = runeSet{{0x0800, 0x9FA5}, {0xAC00, 0xD7FF}}
	// hanAndKana is [一-龥぀-ゟ゠-ヿ] in deepseek-v3.
	hanAndKana = runeSet{{0x3040, 0x30FF}, {0x4E00, 0x9FA5}}
	// The four alternatives of youtu's first stage.
	hangul       = runeSet{{0x3131, 0x318E}, {0xAC00, 0xD7A3}}
	widePunct    = runeSet{{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201C, 0x201D}, {0x2026, 0x2026}, {0x3001, 0x303F}, {0xFE30, 0xFE4F}, {0xFF01, 0xFF01}, {0xFF0C, 0xFF0C}, {0xFF1A, 0xFF1B}}
	bopomofo     = runeSet{{0x3105, 0x312F}}
	asianScripts = runeSet{ // afmoe's second stage
		{0x0E40, 0x0E7F}, {0x0E80, 0x0EFF}, {0x1000, 0x109F}, {0x1100, 0x11FF}, {0x1780, 0x17FF}, {0x2F00, 0x2FDF},
		{0x3040, 0x30FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xA9E0, 0xA9FF}, {0xAA60, 0xAA7F}, {0xAC00, 0xD7AF},
		{0xF900, 0xFAFF}, {0xFF65, 0xFF9F},
	}
	// endsBloomWord is what bloom's [^(\s|.,!?…。，、।۔،)] excludes, beside whitespace.
	endsBloomWord = runeSet{
		{'!', '!'}, {'(', ')'}, {',', ','}, {'.', '.'}, {'?', '?'}, {'|', '|'}, {0x060C, 0x060C}, {0x06D4, 0x06D4},
		{0x0964, 0x0964}, {0x2026, 0x2026}, {0x3001, 0x3002}, {0xFF0C, 0xFF0C},
	}
)

// anyOf makes a word of each run of characters of one of the sets.
func anyOf(sets ...runeSet) stage {
	return isolate(func(s string, i int) int {
		for _, set := range sets {
			if end := set.skip(s, i); end > i {
				return end
			}
		}
		return i
	})
}

// spaced is \s?[set]+.
func spaced(set runeSet) stage {
	return isolate(func(s string, i int) int {
		first := i
		if c, width := classAt(s, i); c&space != 0 {
			first += width
		}
		if end := set.skip(s, first); end > first {
			return end
		}
		return set.skip(s, i)
	})
}

// spacedClass is \s?[any]+, where any holds no whitespace.
func spacedClass(any class) stage {
	return isolate(func(s string, i int) int {
		first := i
		if c, width := classAt(s, i); c&space != 0 {
			first += width
		}
		if end := skip(s, first, any); end > first {
			return end
		}
		return i
	})
}

// trailingSpace is \s+$: whitespace at the end is a word of its own.
func trailingSpace(s string, i int) int {
	end := len(s)
	for end > i {
		r, width := utf8.DecodeLastRuneInString(s[i:end])
		if classOf(r)&space == 0 {
			break
		}
		end -= width
	}
	if end == i {
		return len(s)
	}
	return end
}

// lineBreak makes a word of each \r and \n.
func lineBreak(s string, i int) int {
	if isLineBreak(s[i]) {
		return i + 1
	}
	if n := strings.IndexAny(s[i:], "\r\n"); n >= 0 {
		return i + n
	}
	return len(s)
}

// deepSeekRules are the last stage of DeepSeek V3's pre-tokenizer and its like. The ASCII punctuation being P:
//
//	P[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type deepSeekRules struct {
	// breakAlone has [\r\n] instead of \s*[\r\n]+, and no line breaks behind punctuation.
	breakAlone bool
}

func (r deepSeekRules) match(s string, i int) int {
	c, width := classAt(s, i)
	second := i + width
	if c&(punct|symbol) != 0 && width == 1 && s[i] < utf8.RuneSelf && second < len(s) && isASCIILetter(s[second]) {
		for second < len(s) && isASCIILetter(s[second]) {
			second++
		}
		return second
	}
	if c&(letter|mark) != 0 {
		return skip(s, second, letter|mark)
	}
	if second < len(s) {
		c2, width2 := classAt(s, second)
		if c2&(letter|mark) != 0 && c&(punct|symbol) == 0 && !isLineBreak(s[i]) {
			return skip(s, second+width2, letter|mark)
		}
		if s[i] == ' ' && c2&(punct|symbol) != 0 {
			return r.punctuation(s, second+width2)
		}
	}
	switch {
	case c&(punct|symbol) != 0:
		return r.punctuation(s, second)
	case c&space == 0:
		return i
	case !r.breakAlone:
		return lineBreaks(s, i)
	case isLineBreak(s[i]):
		return i + 1
	}
	return whitespace(s, i)
}

func (r deepSeekRules) punctuation(s string, i int) int {
	i = skip(s, i, punct|symbol)
	if r.breakAlone {
		return i
	}
	return skipBytes(s, i, "\r\n")
}

func isASCIILetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// bloomWords is ` ?[^(\s|.,!?…。，、।۔،)]+`.
func bloomWords(s string, i int) int {
	end := i
	if s[i] == ' ' {
		end++
	}
	first := end
	for end < len(s) {
		r, width := utf8.DecodeRuneInString(s[end:])
		if classOf(r)&space != 0 || endsBloomWord.has(r) {
			break
		}
		end += width
	}
	if end == first {
		return i
	}
	return end
}
