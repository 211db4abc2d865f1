package chat

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// simpleEscapes maps the character behind a backslash to what a string literal means by it.
var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", 'v': "\v", 'a': "\a",
	'\\': "\\", '\'': "'", '"': "\"", '\n': "",
}

// unescapeString decodes the escapes of a string literal's body. Unknown escapes keep their backslash.
func unescapeString(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		n, err := unescapeOne(&b, s[i:])
		if err != nil {
			return "", err
		}
		i += n
	}
	return b.String(), nil
}

// unescapeOne decodes the escape at the head of s and returns its length.
func unescapeOne(b *strings.Builder, s string) (int, error) {
	c := s[1]
	if plain, ok := simpleEscapes[c]; ok {
		b.WriteString(plain)
		return 2, nil
	}
	switch {
	case c == 'x':
		return unescapeHex(b, s, 2)
	case c == 'u':
		return unescapeHex(b, s, 4)
	case c == 'U':
		return unescapeHex(b, s, 8)
	case c == 'N':
		return 0, fmt.Errorf("escapes by character name (\\N{…}) are not supported in %q", s)
	case c >= '0' && c <= '7':
		n, value := 1, rune(0)
		for ; n < 4 && n < len(s) && s[n] >= '0' && s[n] <= '7'; n++ {
			value = value*8 + rune(s[n]-'0')
		}
		b.WriteRune(value)
		return n, nil
	case c >= utf8.RuneSelf:
		// Python first rewrites non-ASCII characters as escapes, so that the backslash before one swallows the
		// backslash of that escape.
		r, size := utf8.DecodeRuneInString(s[1:])
		b.WriteString(`\` + strings.TrimPrefix(escapeRune(r), `\`))
		return 1 + size, nil
	}
	b.WriteString(s[:2])
	return 2, nil
}

func unescapeHex(b *strings.Builder, s string, digits int) (int, error) {
	if len(s) < 2+digits {
		return 0, fmt.Errorf("truncated \\%c escape in string literal", s[1])
	}
	value, err := strconv.ParseUint(s[2:2+digits], 16, 32)
	if err != nil || value > utf8.MaxRune {
		return 0, fmt.Errorf("malformed escape %q in string literal", s[:2+digits])
	}
	b.WriteRune(rune(value))
	return 2 + digits, nil
}

// escapeRune writes a rune as Python's backslash escape: \xNN, \uNNNN or \UNNNNNNNN.
func escapeRune(r rune) string {
	switch {
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}
