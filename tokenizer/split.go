package tokenizer

import "strings"

// stage is one step of a pre-tokenizer: it returns the end of the word that begins at s[i], i < end <= len(s). What
// follows s is not seen: as in the tokenizers that models are trained with, each stage works inside one word of the
// stage before.
type stage func(s string, i int) int

// splitter cuts text into the words that merges stay inside of.
type splitter []stage

// each calls visit with every word of s in order. The words are slices of s and cover it.
func (p splitter) each(s string, visit func(word string)) {
	if len(p) == 0 {
		visit(s)
		return
	}
	next, rest := p[0], p[1:]
	for i := 0; i < len(s); {
		end := next(s, i)
		if len(rest) == 0 {
			visit(s[i:end])
		} else {
			rest.each(s[i:end], visit)
		}
		i = end
	}
}

// matcher returns the end of its match at s[i], or i where there is none. Where it matches nothing, it must find that
// out in constant time.
type matcher func(s string, i int) int

// isolate makes a stage of a matcher: each match is a word, and so is each stretch between two matches.
func isolate(match matcher) stage {
	return func(s string, i int) int {
		if end := match(s, i); end > i {
			return end
		}
		for i < len(s) {
			_, width := classAt(s, i)
			i += width
			if i < len(s) && match(s, i) > i {
				break
			}
		}
		return i
	}
}

// whitespace ends a run of whitespace at s[i] in the way of \s+(?!\S)|\s+: the last character is left to the word that
// follows, unless it is the only one.
func whitespace(s string, i int) int {
	end, last := i, 0
	for end < len(s) {
		c, width := classAt(s, end)
		if c&space == 0 {
			break
		}
		end, last = end+width, width
	}
	if end == len(s) || end-last == i {
		return end
	}
	return end - last
}

// lineBreaks ends a run of whitespace at s[i] in the way of \s*[\r\n]+|\s+(?!\S)|\s+: behind its last line break where
// it has one.
func lineBreaks(s string, i int) int {
	end, last, behindBreak := i, 0, -1
	for end < len(s) {
		c, width := classAt(s, end)
		if c&space == 0 {
			break
		}
		end, last = end+width, width
		if isLineBreak(s[end-1]) {
			behindBreak = end
		}
	}
	switch {
	case behindBreak >= 0:
		return behindBreak
	case end == len(s) || end-last == i:
		return end
	}
	return end - last
}

func isLineBreak(c byte) bool { return c == '\r' || c == '\n' }

// skipBytes returns the end of the run of any of the ASCII characters.
func skipBytes(s string, i int, any string) int {
	for i < len(s) && strings.IndexByte(any, s[i]) >= 0 {
		i++
	}
	return i
}

// numbers returns the end of a run of \p{N} at s[i], of at most limit characters; 0 is no limit.
func numbers(s string, i, limit int) int {
	if limit == 0 {
		return skip(s, i, number)
	}
	for range limit {
		if i >= len(s) {
			break
		}
		c, width := classAt(s, i)
		if c&number == 0 {
			break
		}
		i += width
	}
	return i
}

// contraction returns the end of an English contraction at s[i], or i: 's 't 'm 'd 're 've 'll, in any case where fold
// is set.
func contraction(s string, i int, fold bool) int {
	if len(s)-i < 2 || s[i] != '\'' {
		return i
	}
	var case1 byte
	if fold {
		case1 = 'a' - 'A'
	}
	first := s[i+1] | case1
	switch first {
	case 's', 't', 'm', 'd':
		return i + 2
	case 'r', 'v', 'l':
		if len(s)-i < 3 {
			return i
		}
		second := s[i+2] | case1
		if second == 'e' && first != 'l' || second == 'l' && first == 'l' {
			return i + 3
		}
	}
	return i
}

// one makes a word of each character that has any of the properties.
func one(any class) stage {
	return func(s string, i int) int {
		c, width := classAt(s, i)
		if c&any != 0 {
			return i + width
		}
		return skipNot(s, i, any)
	}
}

// runs makes a word of each run of characters that have any of the properties.
func runs(any class) stage {
	return func(s string, i int) int {
		if c, _ := classAt(s, i); c&any != 0 {
			return skip(s, i, any)
		}
		return skipNot(s, i, any)
	}
}

// upToThreeNumbers is \p{N}{1,3}.
func upToThreeNumbers(s string, i int) int {
	if end := numbers(s, i, 3); end > i {
		return end
	}
	return skipNot(s, i, number)
}

// lines is [^\n]+|[\n]+.
func lines(s string, i int) int {
	if s[i] == '\n' {
		return skipBytes(s, i, "\n")
	}
	if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(s)
}
