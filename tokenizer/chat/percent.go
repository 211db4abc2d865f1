package chat

import (
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// percentFormatter runs "format" % values.
type percentFormatter struct {
	run    *run
	values []Value // positional values
	pos    int
	dict   Value // mapping for %(name)s; missing when the right side is none
	used   bool  // a mapping key was used
	escape bool
	b      strings.Builder
}

func percentFormat(r *run, format string, right Value) (string, error) {
	return newPercentFormatter(r, right, false).format(format)
}

func percentFormatMarkup(r *run, format string, right Value) (string, error) {
	return newPercentFormatter(r, right, true).format(format)
}

func newPercentFormatter(r *run, right Value, escape bool) *percentFormatter {
	f := &percentFormatter{run: r, dict: missing, escape: escape}
	switch v := right.(type) {
	case *tuple:
		f.values = v.items
		return f
	case *Dict, *List, *rangeValue:
		f.dict = v
	case *undefined, bytesValue:
		f.dict = v
	}
	f.values = []Value{right}
	return f
}

type percentSpec struct {
	left, sign, space, alternate, zero bool
	width, precision                   int
	kind                               byte
}

func (f *percentFormatter) format(s string) (string, error) {
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			f.b.WriteString(s)
			break
		}
		f.b.WriteString(s[:i])
		rest, err := f.one(s[i+1:])
		if err != nil {
			return "", err
		}
		s = rest
	}
	if f.pos < len(f.values) && f.dict == missing {
		return "", typeError("not all arguments converted during string formatting")
	}
	return f.b.String(), f.run.made(f.b.Len())
}

// one formats the conversion at the head of s and returns what follows it.
func (f *percentFormatter) one(s string) (string, error) {
	spec := percentSpec{precision: -1}
	value := Value(missing)
	var err error
	if strings.HasPrefix(s, "(") {
		if s, value, err = f.named(s); err != nil {
			return "", err
		}
	}
	for ; s != "" && strings.IndexByte("-+ #0", s[0]) >= 0; s = s[1:] {
		switch s[0] {
		case '-':
			spec.left = true
		case '+':
			spec.sign = true
		case ' ':
			spec.space = true
		case '#':
			spec.alternate = true
		case '0':
			spec.zero = true
		}
	}
	if spec.width, s, err = f.size(s, 0); err != nil {
		return "", err
	}
	if spec.width < 0 {
		spec.left, spec.width = true, -spec.width
	}
	if strings.HasPrefix(s, ".") {
		if spec.precision, s, err = f.size(s[1:], 0); err != nil {
			return "", err
		}
		spec.precision = max(spec.precision, 0)
	}
	s = strings.TrimLeft(s, "hlL")
	if s == "" {
		return "", valueError("incomplete format")
	}
	spec.kind = s[0]
	if err := f.run.made(max(spec.width, spec.precision)); err != nil {
		return "", err
	}
	if spec.kind == '%' {
		f.b.WriteByte('%')
		return s[1:], nil
	}
	if value == missing {
		if value, err = f.nextValue(); err != nil {
			return "", err
		}
	}
	out, err := f.convert(spec, value)
	if err != nil {
		return "", err
	}
	f.b.WriteString(out)
	if err := f.run.step(1); err != nil {
		return "", err
	}
	return s[1:], f.run.fits(f.b.Len())
}

func (f *percentFormatter) named(s string) (string, Value, error) {
	if f.dict == missing {
		return "", nil, typeError("format requires a mapping")
	}
	depth, end := 0, 0
	for ; end < len(s); end++ {
		if s[end] == '(' {
			depth++
		} else if s[end] == ')' {
			if depth--; depth == 0 {
				break
			}
		}
	}
	if end >= len(s) {
		return "", nil, valueError("incomplete format key")
	}
	name := s[1:end]
	v, ok, err := itemOf(f.run, f.dict, name)
	if err != nil {
		return "", nil, err
	}
	if !ok {
		if _, isDict := f.dict.(*Dict); !isDict {
			return "", nil, typeError("%s indices must be integers or slices, not str", typeName(f.dict))
		}
		return "", nil, newError("KeyError", "%s", strRepr(name))
	}
	f.used = true
	return s[end+1:], v, nil
}

func (f *percentFormatter) nextValue() (Value, error) {
	if f.pos >= len(f.values) {
		return nil, typeError("not enough arguments for format string")
	}
	f.pos++
	return f.values[f.pos-1], nil
}

// size reads a width or precision: digits, or "*" for the next value.
func (f *percentFormatter) size(s string, unset int) (int, string, error) {
	if !strings.HasPrefix(s, "*") {
		return leadingInt(s, unset)
	}
	v, err := f.nextValue()
	if err != nil {
		return 0, s, err
	}
	n, ok := smallInt(v)
	if !ok || n != int64(int32(n)) {
		return 0, s, typeError("* wants int")
	}
	return int(n), s[1:], nil
}

func (f *percentFormatter) convert(spec percentSpec, v Value) (string, error) {
	switch spec.kind {
	case 's', 'r', 'a':
		return f.text(spec, v)
	case 'c':
		return f.char(spec, v)
	case 'd', 'i', 'u', 'o', 'x', 'X':
		return f.integer(spec, v)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !isNumber(v) {
			if u, ok := v.(*undefined); ok {
				return "", u.err()
			}
			return "", typeError("must be real number, not %s", typeName(v))
		}
		x, err := floatOf(v)
		if err != nil {
			return "", err
		}
		to := spec.spec()
		if to.precision < 0 {
			to.precision = 6
		}
		return to.float(x)
	}
	return "", valueError("unsupported format character '%c' (0x%x)", spec.kind, spec.kind)
}

// spec translates to the format of str.format.
func (s percentSpec) spec() formatSpec {
	f := formatSpec{fill: " ", align: '>', width: s.width, precision: s.precision, alternate: s.alternate, kind: s.kind}
	switch {
	case s.sign:
		f.sign = '+'
	case s.space:
		f.sign = ' '
	}
	switch {
	case s.left:
		f.align = '<'
	case s.zero:
		f.fill, f.align = "0", '='
	}
	return f
}

func (f *percentFormatter) text(spec percentSpec, v Value) (string, error) {
	var s string
	var err error
	if spec.kind == 's' {
		s, err = str(f.run, v)
	} else {
		s, err = repr(f.run, v)
	}
	if err != nil {
		return "", err
	}
	if spec.kind == 'a' {
		s = asciiRepr(s)
	}
	if _, safe := v.(markup); f.escape && !(safe && spec.kind == 's') {
		s = escapeText(s)
	}
	if spec.precision >= 0 {
		s = s[:offsetOf(s, spec.precision)]
	}
	to := spec.spec()
	if !spec.left {
		to.fill, to.align = " ", '>'
	}
	return to.pad("", s, '>'), nil
}

func (f *percentFormatter) char(spec percentSpec, v Value) (string, error) {
	s, ok := text(v)
	if !ok {
		n, isInt := smallInt(v)
		if !isInt {
			return "", typeError("%%c requires int or char")
		}
		if n < 0 || n > utf8.MaxRune {
			return "", newError("OverflowError", "%%c arg not in range(0x110000)")
		}
		s = string(rune(n))
	}
	if runeCount(s) != 1 {
		return "", typeError("%%c requires int or char")
	}
	to := spec.spec()
	if !spec.left {
		to.fill, to.align = " ", '>'
	}
	return to.pad("", s, '>'), nil
}

func (f *percentFormatter) integer(spec percentSpec, v Value) (string, error) {
	n, ok := bigOf(v)
	if x, isFloat := v.(float64); isFloat && strings.IndexByte("diu", spec.kind) >= 0 {
		whole, err := floatToInt(x)
		if err != nil {
			return "", err
		}
		n, ok = bigOf(whole)
	}
	if !ok {
		if u, isUndefined := v.(*undefined); isUndefined {
			return "", u.err()
		}
		if strings.IndexByte("oxX", spec.kind) >= 0 {
			return "", typeError("%%%c format: an integer is required, not %s", spec.kind, typeName(v))
		}
		return "", typeError("%%%c format: a real number is required, not %s", spec.kind, typeName(v))
	}
	base, prefix := 10, ""
	switch spec.kind {
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(spec.kind)
	}
	if base == 10 {
		if _, err := bigText(n); err != nil {
			return "", err
		}
	}
	digits := new(big.Int).Abs(n).Text(base)
	if spec.kind == 'X' {
		digits = strings.ToUpper(digits)
	}
	if len(digits) < spec.precision {
		digits = strings.Repeat("0", spec.precision-len(digits)) + digits
	}
	to := spec.spec()
	sign := to.signText(n.Sign() < 0)
	if spec.alternate {
		sign += prefix
	}
	return to.pad(sign, digits, '>'), nil
}

// floatToInt is Python's int(x).
func floatToInt(x float64) (Value, error) {
	n, ok := truncate(x)
	if !ok {
		if x != x {
			return nil, valueError("cannot convert float NaN to integer")
		}
		return nil, newError("OverflowError", "cannot convert float infinity to integer")
	}
	return n, nil
}

func truncate(x float64) (Value, bool) {
	if x != x || x > 1.7976931348623157e308 || x < -1.7976931348623157e308 {
		return nil, false
	}
	if x > -1<<62 && x < 1<<62 {
		return int64(x), true
	}
	n, _ := new(big.Float).SetFloat64(x).Int(nil)
	return normalizeInt(n), true
}

// parseInt is Python's int(s, base) for text.
func parseInt(s string, base int) (Value, error) {
	fail := func() (Value, error) {
		return nil, valueError("invalid literal for int() with base %d: %s", base, strRepr(s))
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, valueError("int() base must be >= 2 and <= 36, or 0")
	}
	t := asciiDigits(strings.TrimFunc(s, isSpace))
	sign := ""
	if t != "" && (t[0] == '-' || t[0] == '+') {
		sign, t = t[:1], t[1:]
	}
	prefixed := false
	if len(t) > 1 && t[0] == '0' {
		of := map[byte]int{'x': 16, 'o': 8, 'b': 2}[t[1]|32]
		if of != 0 && (base == 0 || base == of) {
			base, prefixed = of, true
			t = strings.TrimPrefix(t[2:], "_")
		}
	}
	if base == 0 {
		base = 10
		if strings.Trim(t, "0_") != "" && strings.HasPrefix(t, "0") {
			return fail()
		}
	}
	if t == "" || t[0] == '_' || t[len(t)-1] == '_' || strings.Contains(t, "__") || t[0] == '-' || t[0] == '+' || prefixed && t == "" {
		return fail()
	}
	t = strings.ReplaceAll(t, "_", "")
	if base&(base-1) != 0 && len(t) > maxIntDigits {
		return nil, valueError("Exceeds the limit (%d digits) for integer string conversion: value has %d digits", maxIntDigits, len(t))
	}
	if len(t) > maxIntBits {
		return nil, integerTooLarge()
	}
	n, ok := new(big.Int).SetString(sign+t, base)
	if !ok {
		return fail()
	}
	return normalizeInt(n), nil
}

// asciiDigits rewrites decimal digits of other scripts as ASCII.
func asciiDigits(s string) string {
	if isASCII(s) {
		return s
	}
	return strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf {
			if d, ok := decimalDigit(c); ok {
				return '0' + rune(d)
			}
		}
		return c
	}, s)
}

// parseFloat is Python's float(s) for text.
func parseFloat(s string) (float64, error) {
	t := asciiDigits(strings.TrimFunc(s, isSpace))
	fail := func() (float64, error) {
		return 0, valueError("could not convert string to float: %s", strRepr(s))
	}
	if strings.ContainsAny(t, "xXpP") {
		return fail()
	}
	if strings.Contains(t, "_") {
		for i := range len(t) {
			if t[i] == '_' && (i == 0 || i+1 == len(t) || !isDecimal(t[i-1]) || !isDecimal(t[i+1])) {
				return fail()
			}
		}
		t = strings.ReplaceAll(t, "_", "")
	}
	x, err := strconv.ParseFloat(t, 64)
	if err != nil {
		if numError, ok := err.(*strconv.NumError); !ok || numError.Err != strconv.ErrRange {
			return fail()
		}
	}
	return x, nil
}
