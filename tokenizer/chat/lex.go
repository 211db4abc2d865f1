package chat

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Token kinds. Operators use their own text as kind ("==", "(", …).
const (
	tokenEOF           = "eof"
	tokenData          = "data"
	tokenVariableBegin = "variable_begin"
	tokenVariableEnd   = "variable_end"
	tokenBlockBegin    = "block_begin"
	tokenBlockEnd      = "block_end"
	tokenName          = "name"
	tokenString        = "string"
	tokenInteger       = "integer"
	tokenFloat         = "float"
)

type token struct {
	kind string
	text string // name, decoded string, data
	num  Value  // integer and float
	line int
}

// describe names a token in error messages.
func (t token) describe() string {
	switch t.kind {
	case tokenName, tokenString:
		return t.text
	case tokenEOF:
		return "end of template"
	case tokenVariableEnd:
		return "end of print statement"
	case tokenBlockEnd:
		return "end of statement block"
	case tokenBlockBegin:
		return "begin of statement block"
	case tokenData:
		return "template data / text"
	}
	return t.kind
}

// lexer splits template source into tokens. Whitespace control (trim_blocks, lstrip_blocks, "-" and "+") happens here.
type lexer struct {
	src          string
	pos          int
	line         int
	lineStarting bool   // the previous match ended a line
	balance      []byte // closing brackets still expected inside a tag
	tokens       []token
}

// normalizeNewlines turns \r\n and \r into \n and drops one trailing newline, as Jinja does by default.
func normalizeNewlines(source string) string {
	if strings.IndexByte(source, '\r') >= 0 {
		source = strings.ReplaceAll(source, "\r\n", "\n")
		source = strings.ReplaceAll(source, "\r", "\n")
	}
	return strings.TrimSuffix(source, "\n")
}

func lex(source string) ([]token, error) {
	l := &lexer{src: normalizeNewlines(source), line: 1, lineStarting: true}
	for l.pos < len(l.src) {
		if err := l.root(); err != nil {
			return nil, err
		}
	}
	l.emit(token{kind: tokenEOF})
	return l.tokens, nil
}

func (l *lexer) emit(t token) {
	t.line = l.line
	l.tokens = append(l.tokens, t)
}

func (l *lexer) fail(format string, args ...any) error {
	return syntaxError(l.line, format, args...)
}

// advance moves to end, counting lines, and remembers whether the text passed ended a line.
func (l *lexer) advance(end int) {
	l.line += strings.Count(l.src[l.pos:end], "\n")
	l.lineStarting = end > l.pos && l.src[end-1] == '\n'
	l.pos = end
}

// tagStart returns the offset of the next "{{", "{%" or "{#" at or after from, or -1.
func (l *lexer) tagStart(from int) int {
	for {
		i := strings.IndexByte(l.src[from:], '{')
		if i < 0 || from+i+1 >= len(l.src) {
			return -1
		}
		from += i
		switch l.src[from+1] {
		case '{', '%', '#':
			return from
		}
		from++
	}
}

// root reads text up to the next tag, and then that tag.
func (l *lexer) root() error {
	start := l.tagStart(l.pos)
	if start < 0 {
		l.emit(token{kind: tokenData, text: l.src[l.pos:]})
		l.advance(len(l.src))
		return nil
	}
	if bodyStart, sign, ok := l.matchRawBegin(start); ok {
		l.text(start, sign, false)
		l.advance(bodyStart)
		return l.raw()
	}
	variable := l.src[start+1] == '{'
	after, sign := start+2, byte(0)
	if after < len(l.src) && (l.src[after] == '-' || l.src[after] == '+') {
		sign = l.src[after]
		after++
	}
	l.text(start, sign, variable)
	kind := l.src[start+1]
	l.advance(after)
	switch kind {
	case '#':
		return l.comment()
	case '{':
		l.emit(token{kind: tokenVariableBegin})
		return l.tag(tokenVariableEnd, '}')
	default:
		l.emit(token{kind: tokenBlockBegin})
		return l.tag(tokenBlockEnd, '%')
	}
}

// text emits the data before a tag, stripped as the tag's sign and lstrip_blocks ask.
func (l *lexer) text(end int, sign byte, variable bool) {
	text := l.src[l.pos:end]
	kept := text
	if sign == '-' {
		kept = strings.TrimRightFunc(text, isSpace)
	} else if sign != '+' && !variable {
		lineStart := strings.LastIndexByte(text, '\n') + 1
		if (lineStart > 0 || l.lineStarting) && isBlank(text[lineStart:]) {
			kept = text[:lineStart]
		}
	}
	if kept != "" {
		l.emit(token{kind: tokenData, text: kept})
	}
	l.advance(end)
}

// skipSpace returns the offset of the first non-space at or after from.
func (l *lexer) skipSpace(from int) int {
	return len(l.src) - len(strings.TrimLeftFunc(l.src[from:], isSpace))
}

// matchRawBegin recognizes {% raw %} at start and returns where its body begins.
func (l *lexer) matchRawBegin(start int) (body int, sign byte, ok bool) {
	return l.matchRawTag(start, "raw", false)
}

// matchRawTag matches "{%", a sign, a word, and the closing "%}". The end tag may carry "+" and eats one newline.
func (l *lexer) matchRawTag(start int, word string, endTag bool) (after int, sign byte, ok bool) {
	if !strings.HasPrefix(l.src[start:], "{%") {
		return 0, 0, false
	}
	i := start + 2
	if i < len(l.src) && (l.src[i] == '-' || l.src[i] == '+') {
		sign = l.src[i]
		i++
	}
	i = l.skipSpace(i)
	if !strings.HasPrefix(l.src[i:], word) {
		return 0, 0, false
	}
	i = l.skipSpace(i + len(word))
	rest := l.src[i:]
	switch {
	case strings.HasPrefix(rest, "-%}"):
		return l.skipSpace(i + 3), sign, true
	case endTag && strings.HasPrefix(rest, "+%}"):
		return i + 3, sign, true
	case endTag && strings.HasPrefix(rest, "%}\n"):
		return i + 3, sign, true
	case strings.HasPrefix(rest, "%}"):
		return i + 2, sign, true
	}
	return 0, 0, false
}

// raw emits everything up to {% endraw %} as data.
func (l *lexer) raw() error {
	for from := l.pos; ; {
		i := strings.Index(l.src[from:], "{%")
		if i < 0 {
			return l.fail("missing end of raw directive")
		}
		start := from + i
		if after, sign, ok := l.matchRawTag(start, "endraw", true); ok {
			l.text(start, sign, false)
			l.advance(after)
			return nil
		}
		from = start + 2
	}
}

// comment skips to the end of a comment, with the whitespace its end asks to remove.
func (l *lexer) comment() error {
	i := strings.Index(l.src[l.pos:], "#}")
	if i < 0 {
		return l.fail("missing end of comment tag")
	}
	end := l.pos + i
	after := end + 2
	switch {
	case i > 0 && l.src[end-1] == '-':
		after = l.skipSpace(after)
	case i > 0 && l.src[end-1] == '+':
	case after < len(l.src) && l.src[after] == '\n':
		after++
	}
	l.advance(after)
	return nil
}

// tagEnd matches the closing bracket of a tag ("}}" or "%}") with its sign and returns the offset behind it.
func (l *lexer) tagEnd(first byte) (int, bool) {
	rest := l.src[l.pos:]
	closer := string(first) + "}"
	switch {
	case strings.HasPrefix(rest, "-"+closer):
		return l.skipSpace(l.pos + 3), true
	case first == '%' && strings.HasPrefix(rest, "+"+closer):
		return l.pos + 3, true
	case first == '%' && strings.HasPrefix(rest, closer+"\n"):
		return l.pos + 3, true
	case strings.HasPrefix(rest, closer):
		return l.pos + 2, true
	}
	return 0, false
}

// tag lexes expression tokens up to the tag's end.
func (l *lexer) tag(endKind string, first byte) error {
	l.balance = l.balance[:0]
	for l.pos < len(l.src) {
		if len(l.balance) == 0 {
			if after, ok := l.tagEnd(first); ok {
				l.emit(token{kind: endKind})
				l.advance(after)
				return nil
			}
		}
		if after := l.skipSpace(l.pos); after > l.pos {
			l.advance(after)
			continue
		}
		if err := l.expressionToken(); err != nil {
			return err
		}
	}
	return nil // the parser reports the unexpected end
}

func (l *lexer) expressionToken() error {
	c, _ := utf8.DecodeRuneInString(l.src[l.pos:])
	switch {
	case c >= '0' && c <= '9':
		return l.number()
	case c == '\'' || c == '"':
		return l.str(byte(c))
	case isNameRune(c):
		return l.name()
	}
	return l.operator()
}

func isNameRune(c rune) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c >= utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsNumber(c) || unicode.Is(unicode.Mn, c) || unicode.Is(unicode.Mc, c) || unicode.Is(unicode.Pc, c))
}

func (l *lexer) name() error {
	end := l.pos
	for end < len(l.src) {
		c, n := utf8.DecodeRuneInString(l.src[end:])
		if !isNameRune(c) {
			break
		}
		end += n
	}
	word := l.src[l.pos:end]
	if first, _ := utf8.DecodeRuneInString(word); first != '_' && !unicode.IsLetter(first) && !unicode.Is(unicode.Nl, first) {
		return l.fail("invalid character in identifier %q", word)
	}
	l.emit(token{kind: tokenName, text: word})
	l.advance(end)
	return nil
}

// digits returns the offset behind digits that may be separated by single underscores.
func (l *lexer) digits(from int, valid func(byte) bool) int {
	end := from
	for i := from; i < len(l.src); i++ {
		if valid(l.src[i]) {
			end = i + 1
		} else if l.src[i] != '_' || i+1 >= len(l.src) || !valid(l.src[i+1]) {
			break
		}
	}
	return end
}

func isDecimal(c byte) bool { return c >= '0' && c <= '9' }

// floatEnd returns the offset behind a float literal at the current position, or 0 when there is none.
func (l *lexer) floatEnd() int {
	if l.pos > 0 && l.src[l.pos-1] == '.' {
		return 0
	}
	end := l.digits(l.pos, isDecimal)
	fraction := false
	if end+1 < len(l.src) && l.src[end] == '.' && isDecimal(l.src[end+1]) {
		end = l.digits(end+1, isDecimal)
		fraction = true
	}
	if end < len(l.src) && (l.src[end] == 'e' || l.src[end] == 'E') {
		i := end + 1
		if i < len(l.src) && (l.src[i] == '+' || l.src[i] == '-') {
			i++
		}
		if i < len(l.src) && isDecimal(l.src[i]) {
			return l.digits(i, isDecimal)
		}
	}
	if fraction {
		return end
	}
	return 0
}

// integerEnd returns the offset behind an integer literal and its base.
func (l *lexer) integerEnd() (int, int) {
	if l.src[l.pos] == '0' && l.pos+1 < len(l.src) {
		base, valid := 0, isDecimal
		switch l.src[l.pos+1] {
		case 'x', 'X':
			base, valid = 16, func(c byte) bool { return isDecimal(c) || c|32 >= 'a' && c|32 <= 'f' }
		case 'o', 'O':
			base, valid = 8, func(c byte) bool { return c >= '0' && c <= '7' }
		case 'b', 'B':
			base, valid = 2, func(c byte) bool { return c == '0' || c == '1' }
		}
		if base != 0 {
			if end := l.digits(l.pos+2, valid); end > l.pos+2 {
				return end, base
			}
		}
		return l.digits(l.pos, func(c byte) bool { return c == '0' }), 10
	}
	return l.digits(l.pos, isDecimal), 10
}

func (l *lexer) number() error {
	if end := l.floatEnd(); end > 0 {
		f, _ := strconv.ParseFloat(strings.ReplaceAll(l.src[l.pos:end], "_", ""), 64)
		l.emit(token{kind: tokenFloat, num: f})
		l.advance(end)
		return nil
	}
	end, base := l.integerEnd()
	text := strings.ReplaceAll(l.src[l.pos:end], "_", "")
	if base != 10 {
		text = text[2:]
	} else if len(text) > maxIntDigits {
		return l.fail("integer literal of %d digits, at most %d are allowed", len(text), maxIntDigits)
	}
	n, ok := new(big.Int).SetString(text, base)
	if !ok {
		return l.fail("malformed integer %q", text)
	}
	l.emit(token{kind: tokenInteger, num: normalizeInt(n)})
	l.advance(end)
	return nil
}

func (l *lexer) str(quote byte) error {
	end := l.pos + 1
	for end < len(l.src) && l.src[end] != quote {
		if l.src[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(l.src) {
		return l.fail("unterminated string: no closing %q", string(quote))
	}
	text, err := unescapeString(l.src[l.pos+1 : end])
	if err != nil {
		return l.fail("%v", err)
	}
	l.emit(token{kind: tokenString, text: text})
	l.advance(end + 1)
	return nil
}

func (l *lexer) operator() error {
	rest := l.src[l.pos:]
	op := ""
	if len(rest) >= 2 {
		switch rest[:2] {
		case "//", "**", "==", "!=", ">=", "<=":
			op = rest[:2]
		}
	}
	if op == "" && strings.IndexByte("+-/*%~[](){}><=.:|,;", rest[0]) >= 0 {
		op = rest[:1]
	}
	if op == "" {
		c, _ := utf8.DecodeRuneInString(rest)
		return l.fail("unexpected char %q", c)
	}
	if err := l.bracket(op); err != nil {
		return err
	}
	l.emit(token{kind: op})
	l.advance(l.pos + len(op))
	return nil
}

// bracket keeps the stack of open brackets, so that "}}" inside a dict literal does not end the tag.
func (l *lexer) bracket(op string) error {
	switch op {
	case "(":
		l.balance = append(l.balance, ')')
	case "[":
		l.balance = append(l.balance, ']')
	case "{":
		l.balance = append(l.balance, '}')
	case ")", "]", "}":
		if len(l.balance) == 0 {
			return l.fail("unexpected %q", op)
		}
		want := l.balance[len(l.balance)-1]
		l.balance = l.balance[:len(l.balance)-1]
		if want != op[0] {
			return l.fail("unexpected %q, expected %q", op, string(want))
		}
	}
	return nil
}
