package chat

import (
	"math"
	"math/big"
	"math/bits"
	"strings"
)

func unary(op byte, v Value) (Value, error) {
	switch n := v.(type) {
	case float64:
		if op == '-' {
			return -n, nil
		}
		return n, nil
	case bool, int64, *big.Int:
		b, _ := bigOf(n)
		if op == '-' {
			return normalizeInt(new(big.Int).Neg(b)), nil
		}
		return normalizeInt(b), nil
	case *undefined:
		return nil, n.err()
	}
	return nil, typeError("bad operand type for unary %c: '%s'", op, typeName(v))
}

func operandError(op string, left, right Value) error {
	if op == "**" {
		op = "** or pow()"
	}
	return typeError("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(left), typeName(right))
}

func binary(r *run, op string, left, right Value) (Value, error) {
	if u, ok := left.(*undefined); ok {
		return nil, u.err()
	}
	if isNumber(left) && isNumber(right) {
		return arithmetic(r, op, left, right)
	}
	if op == "%" {
		switch format := left.(type) {
		case string:
			return percentFormat(r, format, right)
		case markup:
			s, err := percentFormatMarkup(r, string(format), right)
			return markup(s), err
		}
	}
	if u, ok := right.(*undefined); ok {
		return nil, u.err()
	}
	switch op {
	case "+":
		return add(r, left, right)
	case "*":
		if isInt(right) {
			return repeat(r, left, right)
		}
		if isInt(left) {
			return repeat(r, right, left)
		}
	case "-":
		if a, ok := setOf(left); ok {
			if _, isSet := left.(*set); !isSet || isSetValue(right) {
				return difference(r, a, right)
			}
		}
		if view, ok := right.(*dictView); ok && view.kind != "dict_values" {
			items, err := r.list(left)
			if err != nil {
				return nil, err
			}
			all := NewDict()
			for _, item := range items {
				if err := all.store(item, nil); err != nil {
					return nil, err
				}
			}
			return difference(r, all, right)
		}
	}
	return nil, operandError(op, left, right)
}

func add(r *run, left, right Value) (Value, error) {
	a, leftText := text(left)
	b, rightText := text(right)
	if leftText && rightText {
		return addText(r, left, right, a, b)
	}
	switch a := left.(type) {
	case *List:
		if b, ok := right.(*List); ok {
			items, err := joinItems(r, a.Items, b.Items)
			return &List{items}, err
		}
		return nil, typeError("can only concatenate list (not \"%s\") to list", typeName(right))
	case *tuple:
		if b, ok := right.(*tuple); ok {
			items, err := joinItems(r, a.items, b.items)
			return &tuple{items: items}, err
		}
		return nil, typeError("can only concatenate tuple (not \"%s\") to tuple", typeName(right))
	case bytesValue:
		if b, ok := right.(bytesValue); ok {
			return a + b, r.made(len(a) + len(b))
		}
	}
	if leftText {
		return nil, typeError("can only concatenate str (not \"%s\") to str", typeName(right))
	}
	return nil, operandError("+", left, right)
}

// addText concatenates; where one side is Markup, the other is escaped.
func addText(r *run, left, right Value, a, b string) (Value, error) {
	_, leftMarkup := left.(markup)
	_, rightMarkup := right.(markup)
	if !leftMarkup && !rightMarkup {
		if err := r.made(len(a) + len(b)); err != nil {
			return nil, err
		}
		return a + b, nil
	}
	x, err := escape(r, left)
	if err != nil {
		return nil, err
	}
	y, err := escape(r, right)
	if err != nil {
		return nil, err
	}
	return x + y, r.made(len(x) + len(y))
}

func joinItems(r *run, a, b []Value) ([]Value, error) {
	if err := r.madeItems(len(a) + len(b)); err != nil {
		return nil, err
	}
	return append(append(make([]Value, 0, len(a)+len(b)), a...), b...), nil
}

// repeat is sequence * count.
func repeat(r *run, v, count Value) (Value, error) {
	n, err := indexOf(count)
	if err != nil {
		return nil, err
	}
	n = max(n, 0)
	size := func(one int, made func(int) error) error {
		hi, lo := bits.Mul64(uint64(one), uint64(n))
		if hi != 0 || lo > math.MaxInt64 {
			return r.fits(math.MaxInt)
		}
		return made(int(lo))
	}
	switch v := v.(type) {
	case string, markup, bytesValue:
		s := stringOf(v)
		if err := size(len(s), r.made); err != nil {
			return nil, err
		}
		return sameText(v, strings.Repeat(s, n)), nil
	case *List:
		if err := size(len(v.Items), r.madeItems); err != nil {
			return nil, err
		}
		return &List{repeatItems(v.Items, n)}, nil
	case *tuple:
		if err := size(len(v.items), r.madeItems); err != nil {
			return nil, err
		}
		return &tuple{items: repeatItems(v.items, n)}, nil
	}
	return nil, operandError("*", v, count)
}

func stringOf(v Value) string {
	if b, ok := v.(bytesValue); ok {
		return string(b)
	}
	s, _ := text(v)
	return s
}

// sameText gives s the type (str, Markup, bytes) of v.
func sameText(v Value, s string) Value {
	switch v.(type) {
	case markup:
		return markup(s)
	case bytesValue:
		return bytesValue(s)
	}
	return s
}

func repeatItems(items []Value, n int) []Value {
	if len(items) == 0 {
		return nil
	}
	out := make([]Value, 0, len(items)*n)
	for range n {
		out = append(out, items...)
	}
	return out
}

// concat is a ~ b ~ c: everything becomes text.
func concat(r *run, items []Value) (Value, error) {
	parts := make([]string, len(items))
	n := 0
	escaped := false
	if r.autoescape {
		for _, item := range items {
			if _, ok := item.(markup); ok {
				escaped = true
			}
		}
	}
	for i, item := range items {
		s, err := str(r, item)
		if err != nil {
			return nil, err
		}
		if _, safe := item.(markup); escaped && !safe {
			s = escapeText(s)
		}
		parts[i] = s
		n += len(s)
	}
	if err := r.made(n); err != nil {
		return nil, err
	}
	s := strings.Join(parts, "")
	if escaped {
		return markup(s), nil
	}
	return s, nil
}

func arithmetic(r *run, op string, left, right Value) (Value, error) {
	_, leftFloat := left.(float64)
	_, rightFloat := right.(float64)
	if leftFloat || rightFloat {
		a, err := floatOf(left)
		if err != nil {
			return nil, err
		}
		b, err := floatOf(right)
		if err != nil {
			return nil, err
		}
		return floatArithmetic(op, a, b)
	}
	a, aSmall := smallInt(left)
	b, bSmall := smallInt(right)
	if aSmall && bSmall {
		if v, ok := smallArithmetic(op, a, b); ok {
			return v, nil
		}
	}
	x, _ := bigOf(left)
	y, _ := bigOf(right)
	return bigArithmetic(r, op, x, y)
}

// smallArithmetic computes in 64 bits; ok is false where that could overflow or needs care.
func smallArithmetic(op string, a, b int64) (Value, bool) {
	const half = 1 << 31
	switch op {
	case "+":
		s := a + b
		return s, (s > a) == (b > 0)
	case "-":
		d := a - b
		return d, (d < a) == (b > 0)
	case "*":
		return a * b, a > -half && a < half && b > -half && b < half
	case "//", "%":
		if b == 0 || b == -1 {
			return nil, false
		}
		q, m := a/b, a%b
		if m != 0 && (m < 0) != (b < 0) {
			q--
			m += b
		}
		if op == "%" {
			return m, true
		}
		return q, true
	case "/":
		const exact = 1 << 53
		if b != 0 && a > -exact && a < exact && b > -exact && b < exact {
			return float64(a) / float64(b), true
		}
	}
	return nil, false
}

func bigArithmetic(r *run, op string, x, y *big.Int) (Value, error) {
	if err := r.step((x.BitLen() + y.BitLen()) / 64); err != nil {
		return nil, err
	}
	z := new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		if x.BitLen()+y.BitLen() > maxIntBits {
			return nil, integerTooLarge()
		}
		z.Mul(x, y)
	case "//", "%":
		if y.Sign() == 0 {
			return nil, newError("ZeroDivisionError", "integer division or modulo by zero")
		}
		m := new(big.Int)
		z.DivMod(x, y, m)
		// Euclidean to floored.
		if m.Sign() != 0 && y.Sign() < 0 {
			z.Sub(z, big.NewInt(1))
			m.Add(m, y)
		}
		if op == "%" {
			z = m
		}
	case "/":
		if y.Sign() == 0 {
			return nil, newError("ZeroDivisionError", "division by zero")
		}
		f, _ := new(big.Rat).SetFrac(x, y).Float64()
		if math.IsInf(f, 0) {
			return nil, newError("OverflowError", "integer division result too large for a float")
		}
		return f, nil
	case "**":
		return bigPower(x, y)
	}
	if z.BitLen() > maxIntBits {
		return nil, integerTooLarge()
	}
	return normalizeInt(z), nil
}

func integerTooLarge() error {
	return newError("LimitError", "integer of more than %d bits", maxIntBits)
}

func bigPower(x, y *big.Int) (Value, error) {
	if y.Sign() < 0 {
		a, err := floatOf(x)
		if err != nil {
			return nil, err
		}
		b, err := floatOf(y)
		if err != nil {
			return nil, err
		}
		return floatArithmetic("**", a, b)
	}
	if x.BitLen() > 1 && (!y.IsInt64() || y.Int64() > maxIntBits || int64(x.BitLen()-1)*y.Int64() > maxIntBits) {
		return nil, integerTooLarge()
	}
	if x.BitLen() <= 1 { // -1, 0, 1: only the exponent's parity and being zero matter
		y = new(big.Int).And(y, big.NewInt(1)).Or(new(big.Int).And(y, big.NewInt(1)), big.NewInt(int64(min(y.BitLen(), 1)*2)))
	}
	return normalizeInt(new(big.Int).Exp(x, y, nil)), nil
}

func floatArithmetic(op string, a, b float64) (Value, error) {
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "/":
		if b == 0 {
			return nil, newError("ZeroDivisionError", "float division by zero")
		}
		return a / b, nil
	case "//", "%":
		if b == 0 {
			return nil, newError("ZeroDivisionError", "float floor division or modulo by zero")
		}
		q, m := floatDivMod(a, b)
		if op == "%" {
			return m, nil
		}
		return q, nil
	}
	return floatPower(a, b)
}

// floatDivMod is Python's divmod for floats: the remainder takes the divisor's sign.
func floatDivMod(a, b float64) (float64, float64) {
	m := math.Mod(a, b)
	q := (a - m) / b
	if m != 0 {
		if (b < 0) != (m < 0) {
			m += b
			q--
		}
	} else {
		m = math.Copysign(0, b)
	}
	if q == 0 {
		return math.Copysign(0, a/b), m
	}
	floor := math.Floor(q)
	if q-floor > 0.5 {
		floor++
	}
	return floor, m
}

func floatPower(a, b float64) (Value, error) {
	if a == 0 && b < 0 {
		return nil, newError("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	}
	if a < 0 && b != math.Trunc(b) && !math.IsInf(a, 0) {
		return nil, typeError("complex numbers are not supported: %s ** %s", floatRepr(a), floatRepr(b))
	}
	p := math.Pow(a, b)
	if math.IsInf(p, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		return nil, newError("OverflowError", "(34, 'Numerical result out of range')")
	}
	return p, nil
}

// setOf returns the keys of a set or of a set-like dict view.
func setOf(v Value) (*Dict, bool) {
	switch v := v.(type) {
	case *set:
		return v.dict, true
	case *dictView:
		if v.kind == "dict_keys" {
			return v.dict, true
		}
		if v.kind == "dict_items" {
			d := NewDict()
			for _, item := range dictItems(v.dict, v.kind) {
				if d.store(item, nil) != nil {
					return nil, false
				}
			}
			return d, true
		}
	}
	return nil, false
}

func isSetValue(v Value) bool {
	switch v := v.(type) {
	case *set:
		return true
	case *dictView:
		return v.kind != "dict_values"
	}
	return false
}

// difference is a set, or dict keys, minus any iterable.
func difference(r *run, a *Dict, right Value) (Value, error) {
	items, err := r.list(right)
	if err != nil {
		return nil, err
	}
	drop := NewDict()
	for _, item := range items {
		if err := drop.store(item, nil); err != nil {
			return nil, err
		}
	}
	out := NewDict()
	for i, key := range a.keys {
		if key == missing {
			continue
		}
		if _, dropped := drop.index[a.hashed[i]]; !dropped {
			out.put(a.hashed[i], key, nil)
		}
	}
	return &set{out}, nil
}
