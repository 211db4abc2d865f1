package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Case mappings beyond one character for one (ß to SS, final sigma, …).

func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

// titleRune is the title case of one character.
func titleRune(c rune) string {
	if c < utf8.RuneSelf {
		return string(unicode.ToUpper(c))
	}
	if t := unicode.ToTitle(c); t != c {
		return string(t)
	}
	full := cases.Upper(language.Und).String(string(c))
	if full == string(c) {
		return full
	}
	// A character whose upper case is several: only the first of them stays upper (ß becomes Ss).
	first, n := utf8.DecodeRuneInString(full)
	return string(unicode.ToTitle(first)) + lower(full[n:])
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func capitalize(s string) string {
	if s == "" {
		return s
	}
	c, n := utf8.DecodeRuneInString(s)
	return titleRune(c) + lower(s[n:])
}

func isCased(c rune) bool {
	return unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c)
}

// title is str.title: every character behind an uncased one is in title case, the others in lower case.
func title(s string) string {
	var b strings.Builder
	lowered := lower(s)
	inWord := false
	if runeCount(lowered) != runeCount(s) {
		lowered = ""
	}
	for _, c := range s {
		low := strings.ToLower(string(c))
		if lowered != "" {
			_, n := utf8.DecodeRuneInString(lowered)
			low, lowered = lowered[:n], lowered[n:]
		}
		if inWord {
			b.WriteString(low)
		} else {
			b.WriteString(titleRune(c))
		}
		inWord = isCased(c)
	}
	return b.String()
}

func swapcase(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case unicode.IsUpper(c):
			b.WriteString(lower(string(c)))
		case unicode.IsLower(c):
			b.WriteString(upper(string(c)))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// fields splits at runs of white space, at most limit times (-1: no limit).
func fields(s string, limit int) []string {
	var out []string
	s = strings.TrimLeftFunc(s, isSpace)
	for s != "" {
		if limit == 0 {
			return append(out, s)
		}
		end := strings.IndexFunc(s, isSpace)
		if end < 0 {
			return append(out, s)
		}
		out = append(out, s[:end])
		s = strings.TrimLeftFunc(s[end:], isSpace)
		limit--
	}
	return out
}

// fieldsRight splits at runs of white space from the right.
func fieldsRight(s string, limit int) []string {
	var out []string
	s = strings.TrimRightFunc(s, isSpace)
	for s != "" {
		start := strings.LastIndexFunc(s, isSpace)
		if limit == 0 || start < 0 {
			out = append(out, s)
			break
		}
		_, n := utf8.DecodeRuneInString(s[start:])
		out = append(out, s[start+n:])
		s = strings.TrimRightFunc(s[:start], isSpace)
		limit--
	}
	reverseStrings(out)
	return out
}

func reverseStrings(s []string) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

// splitRight splits at a separator from the right, at most limit times (-1: no limit).
func splitRight(s, sep string, limit int) []string {
	var out []string
	for limit != 0 {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		out = append(out, s[i+len(sep):])
		s = s[:i]
		limit--
	}
	out = append(out, s)
	reverseStrings(out)
	return out
}

// lineEnd returns the length of the line break at the head of s, 0 when there is none.
func lineEnd(s string) int {
	switch s[0] {
	case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e:
		return 1
	case '\r':
		if len(s) > 1 && s[1] == '\n' {
			return 2
		}
		return 1
	}
	if strings.HasPrefix(s, "\u0085") {
		return 2
	}
	if strings.HasPrefix(s, "\u2028") || strings.HasPrefix(s, "\u2029") {
		return 3
	}
	return 0
}

// splitLines is str.splitlines.
func splitLines(s string, keepEnds bool) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); {
		n := lineEnd(s[i:])
		if n == 0 {
			i++
			continue
		}
		end := i
		if keepEnds {
			end += n
		}
		out = append(out, s[start:end])
		i += n
		start = i
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

// strip removes characters (white space where chars is nil) at the ends that left and right name.
func strip(s string, chars Value, left, right bool) (string, error) {
	in := isSpace
	if chars != nil {
		set, ok := text(chars)
		if !ok {
			return "", typeError("strip arg must be None or str, not %s", typeName(chars))
		}
		in = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, in)
	}
	if right {
		s = strings.TrimRightFunc(s, in)
	}
	return s, nil
}

// offsetOf turns a character index into a byte offset.
func offsetOf(s string, chars int) int {
	for i := range s {
		if chars == 0 {
			return i
		}
		chars--
	}
	return len(s)
}

// all reports whether s is not empty and every character satisfies f.
func all(s string, f func(rune) bool) bool {
	for _, c := range s {
		if !f(c) {
			return false
		}
	}
	return s != ""
}

// isCaseText is str.isupper and str.islower: at least one cased character, and none of the other case.
func isCaseText(s string, want, other func(rune) bool) bool {
	found := false
	for _, c := range s {
		if other(c) || unicode.IsTitle(c) {
			return false
		}
		found = found || want(c)
	}
	return found
}

func isTitleText(s string) bool {
	found, inWord := false, false
	for _, c := range s {
		switch {
		case unicode.IsUpper(c) || unicode.IsTitle(c):
			if inWord {
				return false
			}
			inWord, found = true, true
		case unicode.IsLower(c):
			if !inWord {
				return false
			}
			found = true
		default:
			inWord = false
		}
	}
	return found
}

// pad fills s up to a width in characters.
func pad(s string, left, right int, fill string) string {
	return strings.Repeat(fill, max(left, 0)) + s + strings.Repeat(fill, max(right, 0))
}

func escapeText(s string) string { return htmlEscaper.Replace(s) }

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&#34;", "'", "&#39;")

// escape makes a value safe for HTML; Markup already is.
func escape(r *run, v Value) (markup, error) {
	if m, ok := v.(markup); ok {
		return m, nil
	}
	s, err := str(r, v)
	if err != nil {
		return "", err
	}
	out := escapeText(s)
	return markup(out), r.made(len(out))
}
