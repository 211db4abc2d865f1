package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDataDepth bounds the nesting of data that is printed, compared, hashed or decoded.
const maxDataDepth = 900

// str is Python's str(v).
func str(r *run, v Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case markup:
		return string(v), nil
	case *undefined:
		return "", nil
	}
	return repr(r, v)
}

// repr is Python's repr(v).
func repr(r *run, v Value) (string, error) {
	p := printer{run: r}
	if err := p.print(v, 0); err != nil {
		return "", err
	}
	return p.b.String(), nil
}

// shortRepr is repr without a run, for messages about names and keys.
func shortRepr(v Value) (string, error) { return repr(nil, v) }

type printer struct {
	run  *run
	b    strings.Builder
	path []any // containers being printed, to stop at cycles
}

// enter notes a container; it reports false, having printed the mark, when the container is inside itself.
func (p *printer) enter(v any, mark string) bool {
	for _, seen := range p.path {
		if seen == v {
			p.b.WriteString(mark)
			return false
		}
	}
	p.path = append(p.path, v)
	return true
}

func (p *printer) leave() { p.path = p.path[:len(p.path)-1] }

func (p *printer) print(v Value, depth int) error {
	if depth > maxDataDepth {
		return newError("RecursionError", "data nested more than %d levels deep", maxDataDepth)
	}
	if p.run != nil {
		if err := p.run.step(1); err != nil {
			return err
		}
	}
	switch v := v.(type) {
	case nil:
		p.b.WriteString("None")
	case bool:
		p.b.WriteString(boolText(v))
	case int64:
		p.b.WriteString(strconv.FormatInt(v, 10))
	case *big.Int:
		s, err := bigText(v)
		if err != nil {
			return err
		}
		p.b.WriteString(s)
	case float64:
		p.b.WriteString(floatRepr(v))
	case string:
		return p.str(v)
	case markup:
		p.b.WriteString("Markup(")
		err := p.str(string(v))
		p.b.WriteString(")")
		return err
	case bytesValue:
		p.b.WriteString(bytesRepr(string(v)))
	case *undefined:
		p.b.WriteString("Undefined")
	default:
		return p.container(v, depth)
	}
	return nil
}

func (p *printer) str(s string) error {
	if p.run != nil {
		if err := p.run.made(len(s)); err != nil {
			return err
		}
	}
	p.b.WriteString(strRepr(s))
	return nil
}

func (p *printer) container(v Value, depth int) error {
	switch v := v.(type) {
	case *List:
		if !p.enter(v, "[...]") {
			return nil
		}
		defer p.leave()
		return p.items("[", v.Items, "]", depth)
	case *tuple:
		if len(v.items) == 1 {
			return p.items("(", v.items, ",)", depth)
		}
		return p.items("(", v.items, ")", depth)
	case *Dict:
		return p.dict(v, depth)
	case *set:
		if v.dict.Len() == 0 {
			p.b.WriteString("set()")
			return nil
		}
		return p.items("{", dictItems(v.dict, "dict_keys"), "}", depth)
	case *dictView:
		return p.items(v.kind+"([", dictItems(v.dict, v.kind), "])", depth)
	case *namespace:
		p.b.WriteString("<Namespace ")
		err := p.dict(v.attrs, depth+1)
		p.b.WriteString(">")
		return err
	case *rangeValue:
		p.b.WriteString("range(" + strconv.FormatInt(v.start, 10) + ", " + strconv.FormatInt(v.stop, 10))
		if v.step != 1 {
			p.b.WriteString(", " + strconv.FormatInt(v.step, 10))
		}
		p.b.WriteString(")")
	case *sliceValue:
		p.b.WriteString("slice")
		return p.items("(", []Value{v.start, v.stop, v.step}, ")", depth)
	case *macro:
		if v.name == "" {
			p.b.WriteString("<Macro anonymous>")
		} else {
			p.b.WriteString("<Macro " + strRepr(v.name) + ">")
		}
	case *loopContext:
		n, err := v.length(p.run)
		p.b.WriteString("<LoopContext " + strconv.Itoa(v.index0+1) + "/" + strconv.Itoa(n) + ">")
		return err
	case *function:
		p.b.WriteString(v.repr())
	case *iterator:
		p.b.WriteString("<" + v.description() + ">")
	default:
		p.b.WriteString("<" + qualifiedName(v) + " object at " + address + ">")
	}
	return nil
}

// qualifiedName is a class's name with its module.
func qualifiedName(v Value) string {
	switch v.(type) {
	case *cycler, *joiner:
		return "jinja2.utils." + typeName(v)
	case *blockReference:
		return "jinja2.runtime." + typeName(v)
	}
	return typeName(v)
}

func (p *printer) items(open string, items []Value, closing string, depth int) error {
	p.b.WriteString(open)
	for i, item := range items {
		if i > 0 {
			p.b.WriteString(", ")
		}
		if err := p.print(item, depth+1); err != nil {
			return err
		}
	}
	p.b.WriteString(closing)
	return nil
}

func (p *printer) dict(d *Dict, depth int) error {
	if !p.enter(d, "{...}") {
		return nil
	}
	defer p.leave()
	p.b.WriteByte('{')
	first := true
	err := d.each(func(key, value Value) error {
		if !first {
			p.b.WriteString(", ")
		}
		first = false
		if err := p.print(key, depth+1); err != nil {
			return err
		}
		p.b.WriteString(": ")
		return p.print(value, depth+1)
	})
	p.b.WriteByte('}')
	return err
}

func boolText(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func bigText(n *big.Int) (string, error) {
	// 10^4300 has 14,285 bits.
	if n.BitLen() > 14290 {
		return "", valueError("Exceeds the limit (%d digits) for integer string conversion", maxIntDigits)
	}
	s := n.String()
	if len(strings.TrimPrefix(s, "-")) > maxIntDigits {
		return "", valueError("Exceeds the limit (%d digits) for integer string conversion", maxIntDigits)
	}
	return s, nil
}

// floatRepr writes the shortest digits that give the same float back, in Python's layout: an exponent below 1e-4 and
// from 1e16 on.
func floatRepr(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	case f == 0:
		if math.Signbit(f) {
			return "-0.0"
		}
		return "0.0"
	}
	if a := math.Abs(f); a >= 1e16 || a < 1e-4 {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.IndexByte(s, '.') < 0 {
		s += ".0"
	}
	return s
}

// strRepr quotes a string as Python does: single quotes unless only those occur inside.
func strRepr(s string) string {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte(quote)
	for _, c := range s {
		switch {
		case c == rune(quote) || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c >= ' ' && c < 0x7f:
			b.WriteByte(byte(c))
		case c < 0x20 || c == 0x7f || !unicode.IsPrint(c):
			b.WriteString(escapeRune(c))
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

// asciiRepr is repr with every non-ASCII character escaped (Python's ascii).
func asciiRepr(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < utf8.RuneSelf {
			b.WriteRune(c)
		} else {
			b.WriteString(escapeRune(c))
		}
	}
	return b.String()
}

func bytesRepr(s string) string {
	quote := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte('b')
	b.WriteByte(quote)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c >= 0x7f:
			b.WriteString(escapeRune(rune(c)))
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte(quote)
	return b.String()
}

func runeCount(s string) int { return utf8.RuneCountInString(s) }

// dictItems lists a dict's keys, values or pairs.
func dictItems(d *Dict, kind string) []Value {
	out := make([]Value, 0, d.Len())
	_ = d.each(func(key, value Value) error {
		switch kind {
		case "dict_keys":
			out = append(out, key)
		case "dict_values":
			out = append(out, value)
		default:
			out = append(out, newTuple(key, value))
		}
		return nil
	})
	return out
}
