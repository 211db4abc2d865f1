package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// gpt2Words is the pre-tokenizer of GPT-2:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2Words(s string, i int) int {
	if s[i] == '\'' {
		if end := contraction(s, i, false); end > i {
			return end
		}
	}
	first := i
	if s[i] == ' ' && i+1 < len(s) {
		first++
	}
	c, width := classAt(s, first)
	switch {
	case c&letter != 0:
		return skip(s, first+width, letter)
	case c&number != 0:
		return skip(s, first+width, number)
	case c&space == 0:
		return skipNot(s, first+width, space|letter|number)
	}
	return whitespace(s, i)
}

// wordRules are the pre-tokenizers of the GPT-4 kind. With all rules on, the regular expression is
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type wordRules struct {
	contractions bool
	letters      class  // what words consist of: letter, or letter|mark
	phrases      bool   // words go on behind a single space: (?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+
	numbers      int    // at most this many to a word; 0 is any number
	behind       string // characters that a run of symbols takes along: [\r\n]*
	behindOnce   bool   // only one of them
	cascade      bool   // whitespace in powers of two, see cascade
}

func (r wordRules) next(s string, i int) int {
	if r.contractions && s[i] == '\'' {
		if end := contraction(s, i, true); end > i {
			return end
		}
	}
	c, width := classAt(s, i)
	if c&r.letters != 0 {
		return r.word(s, i+width)
	}
	if c&number != 0 {
		return numbers(s, i, r.numbers)
	}
	apart := r.letters | space | number
	if second := i + width; second < len(s) && !isLineBreak(s[i]) {
		c2, width2 := classAt(s, second)
		if c2&r.letters != 0 {
			return r.word(s, second+width2)
		}
		if s[i] == ' ' && c2&apart == 0 {
			return r.symbols(s, second+width2)
		}
	}
	if c&apart == 0 {
		return r.symbols(s, i+width)
	}
	if r.cascade {
		return cascade(s, i)
	}
	return lineBreaks(s, i)
}

// word returns the end of the word whose first letter ends at i.
func (r wordRules) word(s string, i int) int {
	if !r.phrases {
		return skip(s, i, r.letters)
	}
	for {
		i = skip(s, i, mark)
		next := i
		if next < len(s) && s[next] == ' ' {
			next++
		}
		if next >= len(s) {
			return i
		}
		c, width := classAt(s, next)
		if c&letter == 0 {
			return i
		}
		i = next + width
	}
}

// symbols returns the end of the run of symbols whose first one ends at i.
func (r wordRules) symbols(s string, i int) int {
	i = skipNot(s, i, r.letters|space|number)
	end := skipBytes(s, i, r.behind)
	if r.behindOnce && end > i {
		return i + 1
	}
	return end
}

// cascade ends a run of whitespace in the way of
//
//	\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|...|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}
func cascade(s string, i int) int {
	// Behind whitespace that is no line break, the same run holds no line break: it would have ended the word before.
	if before, _ := utf8.DecodeLastRuneInString(s[:i]); i == 0 || classOf(before)&space == 0 || isLineBreak(s[i-1]) {
		run := skip(s, i, space)
		if n := strings.LastIndexAny(s[i:run], "\r\n"); n >= 0 {
			return i + n + 1
		}
	}
	var ends [514]int // ends[k] is behind the first k characters
	ends[0] = i
	n := 0
	for n < len(ends)-1 && ends[n] < len(s) {
		c, width := classAt(s, ends[n])
		if c&space == 0 {
			break
		}
		ends[n+1] = ends[n] + width
		n++
	}
	for k := 512; k > 1; k /= 2 {
		if k < n || k == n && ends[n] == len(s) {
			return ends[k]
		}
	}
	return ends[1]
}
