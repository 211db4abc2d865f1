package modelspec

import (
	"fmt"
	"strconv"
	"strings"
)

// scope holds the variables of a case.
type scope struct {
	texts   map[string][]string
	layer   int
	pending map[string]bool // being computed
}

func newScope(s *Spec, c Case) *scope {
	v := &scope{texts: map[string][]string{}, pending: map[string]bool{}}
	for _, sets := range [][]Setting{s.lets, c.Sets} {
		for _, set := range sets {
			v.texts[set.Name] = set.Values
		}
	}
	return v
}

// eval computes an expression at the scope's layer.
func (v *scope) eval(text string) (float64, error) {
	e := expression{v, text, 0}
	x, err := e.sum()
	if err == nil && e.at < len(text) {
		err = fmt.Errorf("expression %q: found %q, expected an operator", text, text[e.at:])
	}
	return x, err
}

// whole computes an expression that must be an integer of at least least.
func (v *scope) whole(text string, least int) (int, error) {
	x, err := v.eval(text)
	if err == nil && (x != float64(int(x)) || int(x) < least) {
		err = fmt.Errorf("expression %q: found %v, expected an integer of at least %d", text, x, least)
	}
	return int(x), err
}

func (v *scope) variable(name string) (float64, error) {
	if name == "i" {
		return float64(v.layer), nil
	}
	texts, ok := v.texts[name]
	if !ok {
		return 0, fmt.Errorf("no variable %q", name)
	}
	if v.pending[name] {
		return 0, fmt.Errorf("variable %q is made from itself", name)
	}
	v.pending[name] = true
	defer delete(v.pending, name)
	return v.eval(texts[v.layer%len(texts)])
}

// expression is a text being read: sums of products of numbers, variables and brackets.
type expression struct {
	*scope
	text string
	at   int
}

func (e *expression) next() byte {
	if e.at < len(e.text) {
		return e.text[e.at]
	}
	return 0
}

func (e *expression) sum() (float64, error) {
	x, err := e.product()
	for err == nil && (e.next() == '+' || e.next() == '-') {
		op := e.next()
		e.at++
		var y float64
		if y, err = e.product(); op == '-' {
			y = -y
		}
		x += y
	}
	return x, err
}

func (e *expression) product() (float64, error) {
	x, err := e.atom()
	for err == nil && (e.next() == '*' || e.next() == '/') {
		op := e.next()
		e.at++
		var y float64
		if y, err = e.atom(); op == '*' {
			x *= y
		} else {
			x /= y
		}
	}
	return x, err
}

func (e *expression) atom() (float64, error) {
	switch c := e.next(); {
	case c == '(':
		e.at++
		x, err := e.sum()
		if err == nil && e.next() != ')' {
			err = fmt.Errorf("expression %q: a bracket without its end", e.text)
		}
		e.at++
		return x, err
	case c == '-':
		e.at++
		x, err := e.atom()
		return -x, err
	case c >= '0' && c <= '9' || c == '.':
		return e.number()
	}
	start := e.at
	for e.at < len(e.text) && (e.text[e.at] == '_' || e.text[e.at] >= 'a' && e.text[e.at] <= 'z' || e.at > start && e.text[e.at] >= '0' && e.text[e.at] <= '9') {
		e.at++
	}
	if start == e.at {
		return 0, fmt.Errorf("expression %q: found %q, expected a number or a variable", e.text, e.text[e.at:])
	}
	return e.variable(e.text[start:e.at])
}

// number reads digits with a point and an exponent, as 1e-5.
func (e *expression) number() (float64, error) {
	start := e.at
	for e.at < len(e.text) {
		c := e.text[e.at]
		sign := (c == '-' || c == '+') && e.text[e.at-1] == 'e'
		if !sign && !strings.ContainsRune("0123456789.e", rune(c)) {
			break
		}
		e.at++
	}
	return strconv.ParseFloat(e.text[start:e.at], 64)
}
