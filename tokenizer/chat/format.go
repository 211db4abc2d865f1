package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// formatSpec is what stands behind the colon of a replacement field: fill, alignment, sign, width, precision, type.
type formatSpec struct {
	fill      string
	align     byte // 0 when not given
	sign      byte
	alternate bool
	noNegZero bool
	zero      bool
	width     int
	grouping  byte
	precision int // -1 when not given
	kind      byte
}

func parseFormatSpec(spec, class string) (formatSpec, error) {
	f := formatSpec{fill: " ", precision: -1}
	invalid := func() (formatSpec, error) {
		return f, valueError("Invalid format specifier '%s' for object of type '%s'", spec, class)
	}
	rest := spec
	_, n := utf8.DecodeRuneInString(rest)
	switch {
	case len(rest) > n && strings.IndexByte("<>=^", rest[n]) >= 0:
		f.fill, f.align, rest = rest[:n], rest[n], rest[n+1:]
	case rest != "" && strings.IndexByte("<>=^", rest[0]) >= 0:
		f.align, rest = rest[0], rest[1:]
	}
	if rest != "" && strings.IndexByte("+- ", rest[0]) >= 0 {
		f.sign, rest = rest[0], rest[1:]
	}
	if strings.HasPrefix(rest, "z") {
		f.noNegZero, rest = true, rest[1:]
	}
	if strings.HasPrefix(rest, "#") {
		f.alternate, rest = true, rest[1:]
	}
	if strings.HasPrefix(rest, "0") && f.align == 0 {
		f.fill, f.align, f.zero = "0", '=', true
	}
	var err error
	if f.width, rest, err = leadingInt(rest, 0); err != nil {
		return f, err
	}
	if rest != "" && (rest[0] == ',' || rest[0] == '_') {
		f.grouping, rest = rest[0], rest[1:]
	}
	if strings.HasPrefix(rest, ".") {
		if len(rest) < 2 || !isDecimal(rest[1]) {
			return f, valueError("Format specifier missing precision")
		}
		if f.precision, rest, err = leadingInt(rest[1:], -1); err != nil {
			return f, err
		}
	}
	if len(rest) > 1 {
		return invalid()
	}
	if rest != "" {
		f.kind = rest[0]
	}
	return f, nil
}

func leadingInt(s string, unset int) (int, string, error) {
	end := 0
	for end < len(s) && isDecimal(s[end]) {
		end++
	}
	if end == 0 {
		return unset, s, nil
	}
	n, err := strconv.ParseInt(s[:end], 10, 32)
	if err != nil {
		return 0, s, valueError("Too many decimal digits in format string")
	}
	return int(n), s[end:], nil
}

// formatValue is Python's format(v, spec).
func formatValue(r *run, v Value, spec string) (string, error) {
	if spec == "" {
		return str(r, v)
	}
	f, err := parseFormatSpec(spec, typeName(v))
	if err != nil {
		return "", err
	}
	if err := r.made(max(f.width, 0)); err != nil {
		return "", err
	}
	if err := r.made(max(f.precision, 0)); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string, markup:
		s, _ := text(v)
		return f.text(s)
	case bool, int64, *big.Int:
		n, _ := bigOf(v)
		return f.integer(n)
	case float64:
		return f.float(v)
	}
	return "", typeError("unsupported format string passed to %s.__format__", typeName(v))
}

func (f *formatSpec) text(s string) (string, error) {
	switch {
	case f.kind != 0 && f.kind != 's':
		return "", valueError("Unknown format code '%c' for object of type 'str'", f.kind)
	case f.sign != 0:
		return "", valueError("Sign not allowed in string format specifier")
	case f.alternate:
		return "", valueError("Alternate form (#) not allowed in string format specifier")
	case f.grouping != 0:
		return "", valueError("Cannot specify '%c' with 's'.", f.grouping)
	case f.align == '=' && !f.zero:
		return "", valueError("'=' alignment not allowed in string format specifier")
	}
	if f.precision >= 0 {
		s = s[:offsetOf(s, f.precision)]
	}
	if f.zero {
		f.align = '<'
	}
	return f.pad("", s, '<'), nil
}

// pad fills to the width; prefix (sign, 0x) stays in front of "=" padding.
func (f *formatSpec) pad(prefix, s string, byDefault byte) string {
	align := f.align
	if align == 0 {
		align = byDefault
	}
	n := f.width - runeCount(prefix) - runeCount(s)
	if n <= 0 {
		return prefix + s
	}
	switch align {
	case '<':
		return pad(prefix+s, 0, n, f.fill)
	case '^':
		return pad(prefix+s, n/2, n-n/2, f.fill)
	case '=':
		return prefix + pad(s, n, 0, f.fill)
	}
	return pad(prefix+s, n, 0, f.fill)
}

func (f *formatSpec) signText(negative bool) string {
	switch {
	case negative:
		return "-"
	case f.sign == '+' || f.sign == ' ':
		return string(f.sign)
	}
	return ""
}

func (f *formatSpec) integer(n *big.Int) (string, error) {
	base, prefix := 10, ""
	switch f.kind {
	case 0, 'd', 'n':
		if _, err := bigText(n); err != nil {
			return "", err
		}
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x':
		base, prefix = 16, "0x"
	case 'X':
		base, prefix = 16, "0X"
	case 'c':
		if f.sign != 0 || f.precision >= 0 || !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			return "", newError("OverflowError", "%%c arg not in range(0x110000)")
		}
		return f.pad("", string(rune(n.Int64())), '<'), nil
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		x, err := floatOf(normalizeInt(n))
		if err != nil {
			return "", err
		}
		return f.float(x)
	default:
		return "", valueError("Unknown format code '%c' for object of type 'int'", f.kind)
	}
	if f.precision >= 0 {
		return "", valueError("Precision not allowed in integer format specifier")
	}
	digits := new(big.Int).Abs(n).Text(base)
	if f.kind == 'X' {
		digits = strings.ToUpper(digits)
	}
	sign := f.signText(n.Sign() < 0)
	if f.alternate {
		sign += prefix
	}
	group := 3
	if base != 10 {
		if f.grouping == ',' {
			return "", valueError("Cannot specify ',' with '%c'.", f.kind)
		}
		group = 4
	}
	return f.pad(sign, f.group(digits, "", group, len(sign)), '>'), nil
}

// group inserts separators, and under zero padding also between the zeros.
func (f *formatSpec) group(digits, tail string, size, signLen int) string {
	if f.grouping == 0 {
		return digits + tail
	}
	if f.zero {
		for want := f.width - signLen - len(tail); len(digits)+(len(digits)-1)/size < want; {
			digits = "0" + digits
		}
	}
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%size == 0 {
			b.WriteByte(f.grouping)
		}
		b.WriteRune(c)
	}
	return b.String() + tail
}

func (f *formatSpec) float(x float64) (string, error) {
	kind := f.kind
	precision := f.precision
	switch kind {
	case 0, 'e', 'E', 'f', 'F', 'g', 'G', 'n', '%':
	default:
		return "", valueError("Unknown format code '%c' for object of type 'float'", kind)
	}
	suffix := ""
	if kind == '%' {
		x, kind, suffix = x*100, 'f', "%"
	}
	if precision < 0 && kind != 0 {
		precision = 6
	}
	body := floatDigits(math.Abs(x), kind, precision, f.alternate)
	negative := math.Signbit(x) && !math.IsNaN(x)
	if f.noNegZero && strings.Trim(body, "0.e+-E") == "" {
		negative = false
	}
	sign := f.signText(negative)
	if !isDecimal(body[0]) {
		return f.pad(sign, body+suffix, '>'), nil
	}
	end := strings.IndexFunc(body, func(c rune) bool { return !unicode.IsDigit(c) })
	if end < 0 {
		end = len(body)
	}
	return f.pad(sign, f.group(body[:end], body[end:]+suffix, 3, len(sign)), '>'), nil
}

// floatDigits formats a non-negative float for one of e, f, g, their capitals, n, or 0 (like repr, or like g with a
// precision, but with at least one decimal).
func floatDigits(x float64, kind byte, precision int, alternate bool) string {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		s := floatRepr(x)
		if kind == 'E' || kind == 'F' || kind == 'G' {
			s = strings.ToUpper(s)
		}
		return s
	}
	switch kind {
	case 'f', 'F':
		s := strconv.FormatFloat(x, 'f', precision, 64)
		if alternate && precision == 0 {
			s += "."
		}
		return s
	case 'e', 'E':
		s := strconv.FormatFloat(x, kind, precision, 64)
		if alternate && precision == 0 {
			s = s[:1] + "." + s[1:]
		}
		return s
	case 0:
		if precision < 0 {
			return floatRepr(x)
		}
		return generalDigits(x, max(precision, 1), alternate, true)
	}
	s := generalDigits(x, max(precision, 1), alternate, false)
	if kind == 'G' {
		s = strings.ToUpper(s)
	}
	return s
}

// generalDigits is the g format: precision significant digits, without trailing zeros. With decimal, an exponent is used
// one digit earlier and a whole number keeps ".0".
func generalDigits(x float64, precision int, alternate, decimal bool) string {
	s := strconv.FormatFloat(x, 'e', precision-1, 64)
	exponent, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	limit := precision
	if decimal {
		limit--
	}
	scientific := exponent < -4 || exponent >= max(limit, 1) && !(decimal && exponent < limit)
	if !scientific {
		s = strconv.FormatFloat(x, 'f', precision-1-exponent, 64)
	}
	mantissa, tail := s, ""
	if i := strings.IndexByte(s, 'e'); i >= 0 {
		mantissa, tail = s[:i], s[i:]
	}
	if !alternate && strings.IndexByte(mantissa, '.') >= 0 {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if alternate && strings.IndexByte(mantissa, '.') < 0 {
		mantissa += "."
	}
	if decimal && tail == "" && strings.IndexByte(mantissa, '.') < 0 {
		mantissa += ".0"
	}
	return mantissa + tail
}

// fieldFormatter runs str.format on one call's arguments.
type fieldFormatter struct {
	run    *run
	pos    []Value
	kw     Value // dict of keyword arguments, or the argument of format_map
	auto   int   // next automatic index; -1 once explicit ones were used
	escape bool  // Markup: what is inserted gets escaped
}

func strFormat(r *run, self Value, a *arguments) (Value, error) {
	kw := a.kw
	if kw == nil {
		kw = NewDict()
	}
	return formatFields(r, self, a.pos, kw)
}

func strFormatMap(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("format_map", 1, "/mapping")
	if err != nil {
		return nil, err
	}
	return formatFields(r, self, nil, args[0])
}

func formatFields(r *run, self Value, pos []Value, kw Value) (Value, error) {
	s, _ := text(self)
	_, safe := self.(markup)
	f := &fieldFormatter{run: r, pos: pos, kw: kw, escape: safe}
	out, err := f.format(s, 2)
	return sameText(self, out), err
}

// format expands the replacement fields of s; specs may hold fields too, one level deep.
func (f *fieldFormatter) format(s string, depth int) (string, error) {
	if depth < 0 {
		return "", valueError("Max string recursion exceeded")
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case (c == '{' || c == '}') && i+1 < len(s) && s[i+1] == c:
			b.WriteByte(c)
			i += 2
		case c == '}':
			return "", valueError("Single '}' encountered in format string")
		case c == '{':
			end, err := fieldEnd(s, i)
			if err != nil {
				return "", err
			}
			out, err := f.field(s[i+1:end], depth)
			if err != nil {
				return "", err
			}
			if err := f.run.fits(b.Len() + len(out)); err != nil {
				return "", err
			}
			b.WriteString(out)
			i = end + 1
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), f.run.made(b.Len())
}

// fieldEnd returns the offset of the brace that closes the field opened at i.
func fieldEnd(s string, i int) (int, error) {
	if i+1 >= len(s) {
		return 0, valueError("Single '{' encountered in format string")
	}
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i, nil
			}
		case '[':
			if j := strings.IndexByte(s[i:], ']'); j > 0 {
				i += j
			}
		}
	}
	return 0, valueError("expected '}' before end of string")
}

func (f *fieldFormatter) field(field string, depth int) (string, error) {
	name, conversion, spec := field, byte(0), ""
	end := 0
	for end < len(field) && field[end] != ':' && field[end] != '!' {
		if field[end] == '[' {
			if j := strings.IndexByte(field[end:], ']'); j > 0 {
				end += j
			}
		}
		end++
	}
	if end < len(field) {
		name = field[:end]
		rest := field[end:]
		if rest[0] == '!' {
			if len(rest) < 2 {
				return "", valueError("end of string while looking for conversion specifier")
			}
			conversion, rest = rest[1], rest[2:]
			if rest != "" && rest[0] != ':' {
				return "", valueError("expected ':' after conversion specifier")
			}
		}
		spec = strings.TrimPrefix(rest, ":")
	}
	v, err := f.lookup(name)
	if err != nil {
		return "", err
	}
	if v, err = f.convert(v, conversion); err != nil {
		return "", err
	}
	if spec, err = f.format(spec, depth-1); err != nil {
		return "", err
	}
	if _, safe := v.(markup); safe && f.escape && spec != "" {
		return "", valueError("Unsupported format specification for Markup.")
	}
	out, err := formatValue(f.run, v, spec)
	if _, safe := v.(markup); f.escape && !safe {
		out = escapeText(out)
	}
	return out, err
}

func (f *fieldFormatter) convert(v Value, conversion byte) (Value, error) {
	switch conversion {
	case 0:
		return v, nil
	case 's':
		return str(f.run, v)
	case 'r':
		return repr(f.run, v)
	case 'a':
		s, err := repr(f.run, v)
		return asciiRepr(s), err
	}
	return nil, valueError("Unknown conversion specifier %c", conversion)
}

// lookup resolves a field name: an index or a keyword, followed by .attribute and [item] parts.
func (f *fieldFormatter) lookup(name string) (Value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	v, err := f.first(name[:end])
	rest := name[end:]
	for err == nil && rest != "" {
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			if end == 1 {
				return nil, valueError("Empty attribute in format string")
			}
			v, err = getattr(f.run, v, rest[1:end])
			rest = rest[end:]
			continue
		}
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 {
			return nil, valueError("Missing ']' in format string")
		}
		if end == 1 {
			return nil, valueError("Empty attribute in format string")
		}
		v, err = getitem(f.run, v, indexOrName(rest[1:end]))
		rest = rest[end+1:]
		if err == nil && rest != "" && rest[0] != '.' && rest[0] != '[' {
			return nil, valueError("Only '.' or '[' may follow ']' in format field specifier")
		}
	}
	return v, err
}

func indexOrName(s string) Value {
	if s != "" && strings.Trim(s, "0123456789") == "" && len(s) < 18 {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	return s
}

func (f *fieldFormatter) first(name string) (Value, error) {
	key := indexOrName(name)
	if name == "" {
		if f.auto < 0 {
			return nil, valueError("cannot switch from manual field specification to automatic field numbering")
		}
		key = int64(f.auto)
		f.auto++
	} else if _, ok := key.(int64); ok {
		if f.auto > 0 {
			return nil, valueError("cannot switch from automatic field numbering to manual field specification")
		}
		f.auto = -1
	}
	if i, ok := key.(int64); ok {
		if i >= int64(len(f.pos)) {
			return nil, newError("IndexError", "Replacement index %d out of range for positional args tuple", i)
		}
		return f.pos[i], nil
	}
	v, ok, err := itemOf(f.run, f.kw, name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, newError("KeyError", "%s", strRepr(name))
	}
	return v, nil
}
