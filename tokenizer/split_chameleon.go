package tokenizer

import "strings"

// chameleonSentinel is <sentinel:[0-9]+>.
func chameleonSentinel(s string, i int) int {
	const begin = "<sentinel:"
	if !strings.HasPrefix(s[i:], begin) {
		return i
	}
	first := i + len(begin)
	end := skipBytes(s, first, "0123456789")
	if end == first || end == len(s) || s[end] != '>' {
		return i
	}
	return end + 1
}

// chameleonImage is IMGIMG[A-I]{1,4}Z.
func chameleonImage(s string, i int) int {
	const begin = "IMGIMG"
	if !strings.HasPrefix(s[i:], begin) {
		return i
	}
	first := i + len(begin)
	end := skipBytes(s[:min(len(s), first+4)], first, "ABCDEFGHI")
	if end == first || end == len(s) || s[end] != 'Z' {
		return i
	}
	return end + 1
}

// chameleonSpaces is [\t\n]|    |  : whitespace one by one, and spaces in fours and twos.
func chameleonSpaces(s string, i int) int {
	switch {
	case s[i] == '\t' || s[i] == '\n':
		return i + 1
	case strings.HasPrefix(s[i:], "    "):
		return i + 4
	case strings.HasPrefix(s[i:], "  "):
		return i + 2
	}
	return i
}

// chameleonPunctuation is [\p{P}!-/:-@\[-`{-~], one character a word.
func chameleonPunctuation(s string, i int) int {
	isolated := func(i int) (int, bool) {
		c, width := classAt(s, i)
		return width, c&punct != 0 || width == 1 && c&symbol != 0 && s[i] < 0x80
	}
	if width, ok := isolated(i); ok {
		return i + width
	}
	for i < len(s) {
		width, ok := isolated(i)
		if ok {
			break
		}
		i += width
	}
	return i
}
