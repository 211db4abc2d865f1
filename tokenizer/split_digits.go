package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// threeDigits is [0-9][0-9][0-9].
func threeDigits(s string, i int) int {
	end := i
	for end < len(s) && end < i+3 && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	if end == i+3 {
		return end
	}
	return i
}

// groupedNumbers makes words of runs of numbers in threes from the right: 1234567 is 1 234 567.
func groupedNumbers(s string, i int) int {
	c, _ := classAt(s, i)
	if c&number == 0 {
		return skipNot(s, i, number)
	}
	if behind(s, i, number) {
		return numbers(s, i, 3) // the first group of the run has left a multiple of three
	}
	return firstGroup(s, i, skip(s, i, number))
}

// groupedDigits is \d{1,3}(?=(?:\d{3})*\b): groups from the right, unless the run touches a word on its right, when it
// is left whole.
func groupedDigits(s string, i int) int {
	for j := i; ; {
		j = skipNot(s, j, digit)
		if j == len(s) {
			return j
		}
		if behind(s, j, digit) {
			return numbers(s, j, 3) // j == i: see groupedNumbers
		}
		end := skip(s, j, digit)
		if end == len(s) || !isWordAt(s, end) {
			if j > i {
				return j
			}
			return firstGroup(s, i, end)
		}
		j = end
	}
}

// isWordAt reports whether the character at s[i] is one of \w.
func isWordAt(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return classOf(r)&(letter|mark|number) != 0 || unicode.Is(unicode.Pc, r)
}

// firstGroup returns the end of the first one to three characters of s[i:end] that leave a multiple of three.
func firstGroup(s string, i, end int) int {
	return numbers(s, i, (utf8.RuneCountInString(s[i:end])+2)%3+1)
}

// behind reports whether the character before s[i] has any of the properties.
func behind(s string, i int, any class) bool {
	if i == 0 {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return classOf(r)&any != 0
}

// beforeThrees is (?=(\d{3})+(?!\d)): a cut wherever a multiple of three digits follows, up to the end of their run.
func beforeThrees(s string, i int) int {
	j := i
	if j < len(s) && behind(s, j, digit) {
		// The cut before this group was such a one, so a multiple of three is left.
		if j = numbers(s, j, 3); j == len(s) || hasDigit(s, j) {
			return j
		}
	}
	for {
		j = skipNot(s, j, digit)
		if j == len(s) {
			return j
		}
		end := skip(s, j, digit)
		count := utf8.RuneCountInString(s[j:end])
		switch {
		case count%3 == 0 && j > i:
			return j
		case count%3 == 0:
			j = numbers(s, j, 3)
		default:
			j = numbers(s, j, count%3)
		}
		if hasDigit(s, j) {
			return j
		}
	}
}

func hasDigit(s string, i int) bool {
	if i >= len(s) {
		return false
	}
	c, _ := classAt(s, i)
	return c&digit != 0
}
