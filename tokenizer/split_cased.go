package tokenizer

// casedRules are the pre-tokenizers of the GPT-4o kind, which also cut words where lower case turns to upper case. With
// U for [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], W for [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C for (?i:'s|'t|'re|'ve|'m|'ll|'d), the regular
// expression is, with all rules on,
//
//	[^\r\n\p{L}\p{N}]?U*W+C?|[^\r\n\p{L}\p{N}]?U+W*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
type casedRules struct {
	contractions bool
	numbers      int    // at most this many to a word
	behind       string // characters that a run of symbols takes along
	hanApart     bool   // runs of \p{Han} are words of their own, and no letters of others
}

func (r casedRules) next(s string, i int) int {
	c, width := classAt(s, i)
	if r.hanApart && c&han != 0 {
		return skip(s, i, han)
	}
	if end := r.word(s, i, c, width); end > i {
		if r.contractions {
			end = contraction(s, end, true)
		}
		return end
	}
	if c&number != 0 {
		return numbers(s, i, r.numbers)
	}
	first := i
	if s[i] == ' ' && i+1 < len(s) {
		first++
		c, width = classAt(s, first)
	}
	if c&(space|letter|number) == 0 {
		return skipBytes(s, skipNot(s, first+width, space|letter|number), r.behind)
	}
	return lineBreaks(s, i)
}

// word returns the end of the word at s[i], or i. c and width belong to the character at s[i].
func (r casedRules) word(s string, i int, c class, width int) int {
	if c&letter != 0 {
		end, _ := r.letters(s, i)
		return end
	}
	if c&number != 0 || isLineBreak(s[i]) {
		return i
	}
	// A first character that is no letter may lead a word; a mark may also be the word's first letter.
	end, endsLower := r.letters(s, i+width)
	if endsLower {
		return end
	}
	if c&mark != 0 {
		withMark, _ := r.letters(s, i)
		return withMark
	}
	if end > i+width {
		return end
	}
	return i
}

// letters matches U*W+, or else U+, at s[i]; endsLower says that it was the former. It returns i where neither matches.
func (r casedRules) letters(s string, i int) (end int, endsLower bool) {
	caseless := i // behind the last character so far that is in U and in W
	end = i
	for end < len(s) {
		c, width := classAt(s, end)
		if !r.inU(c) {
			if r.inW(c) {
				return r.skipW(s, end+width), true
			}
			break
		}
		end += width
		if r.inW(c) {
			caseless = end
		}
	}
	if caseless > i {
		return caseless, true
	}
	return end, false
}

func (r casedRules) skipW(s string, i int) int {
	for i < len(s) {
		c, width := classAt(s, i)
		if !r.inW(c) {
			break
		}
		i += width
	}
	return i
}

func (r casedRules) inU(c class) bool {
	return c&(letter|mark) != 0 && c&lower == 0 && !(r.hanApart && c&han != 0)
}

func (r casedRules) inW(c class) bool {
	return c&(letter|mark) != 0 && c&upper == 0 && !(r.hanApart && c&han != 0)
}
