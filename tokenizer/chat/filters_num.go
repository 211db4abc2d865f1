package chat

import (
	"math"
	"math/big"
	"strconv"
)

func filterAbs(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("abs", 1, "/x")
	if err != nil {
		return nil, err
	}
	switch v := args[0].(type) {
	case float64:
		return math.Abs(v), nil
	case bool, int64, *big.Int:
		n, _ := bigOf(v)
		return normalizeInt(new(big.Int).Abs(n)), nil
	}
	return nil, typeError("bad operand type for abs(): '%s'", typeName(args[0]))
}

// toFloat is Python's float(v).
func toFloat(v Value) (float64, error) {
	if s, ok := text(v); ok {
		return parseFloat(s)
	}
	if isNumber(v) {
		return floatOf(v)
	}
	if u, ok := v.(*undefined); ok {
		return 0, u.err()
	}
	return 0, typeError("float() argument must be a string or a real number, not '%s'", typeName(v))
}

func filterFloat(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("float", 1, "value", "default")
	if err != nil {
		return nil, err
	}
	f, err := toFloat(args[0])
	if isKind(err, "TypeError", "ValueError") {
		return or(args[1], 0.0), nil
	}
	return f, err
}

func filterInt(r *run, a *arguments) (Value, error) {
	args, err := a.bind("int", 1, "value", "default", "base")
	if err != nil {
		return nil, err
	}
	v, err := toInt(args[0], or(args[2], int64(10)))
	if !isKind(err, "TypeError", "ValueError") {
		return v, err
	}
	f, err := toFloat(args[0])
	if err == nil {
		v, err = floatToInt(f)
	}
	if isKind(err, "TypeError", "ValueError", "OverflowError") {
		return or(args[1], int64(0)), nil
	}
	return v, err
}

// toInt is Python's int(v), with a base where v is text.
func toInt(v, base Value) (Value, error) {
	if s, ok := text(v); ok {
		b, err := indexOf(base)
		if err != nil {
			return nil, err
		}
		return parseInt(s, b)
	}
	switch v := v.(type) {
	case bool, int64, *big.Int:
		n, _ := bigOf(v)
		return normalizeInt(n), nil
	case float64:
		return floatToInt(v)
	case *undefined:
		return nil, v.err()
	}
	return nil, typeError("int() argument must be a string, a bytes-like object or a real number, not '%s'", typeName(v))
}

func filterRound(r *run, a *arguments) (Value, error) {
	args, err := a.bind("round", 1, "value", "precision", "method")
	if err != nil {
		return nil, err
	}
	how, _ := text(or(args[2], "common"))
	precision := or(args[1], int64(0))
	switch how {
	case "common":
		return round(args[0], precision)
	case "ceil", "floor":
		return roundToward(r, args[0], precision, how)
	}
	return nil, filterError("method must be common, ceil or floor")
}

// round is Python's round(v, digits): half to even, exactly.
func round(v, digits Value) (Value, error) {
	if digits == nil {
		digits = missing
	}
	n := 0
	var err error
	if digits != missing {
		if n, err = indexOf(digits); err != nil {
			return nil, err
		}
	}
	switch x := v.(type) {
	case float64:
		if digits == missing {
			return floatToInt(math.RoundToEven(x))
		}
		return roundFloat(x, n)
	case bool, int64, *big.Int:
		b, _ := bigOf(x)
		if n >= 0 {
			return normalizeInt(b), nil
		}
		return roundInt(b, -n), nil
	case *undefined:
		return nil, typeError("type Undefined doesn't define __round__ method")
	}
	return nil, typeError("type %s doesn't define __round__ method", typeName(v))
}

func roundFloat(x float64, digits int) (Value, error) {
	if math.IsNaN(x) || math.IsInf(x, 0) || x == 0 || digits > 323 {
		return x, nil
	}
	if digits < -308 {
		return math.Copysign(0, x), nil
	}
	if digits >= 0 {
		f, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', digits, 64), 64)
		return f, nil
	}
	// Round the exact value to a multiple of a power of ten, half to even.
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-digits)), nil)
	q := new(big.Rat).SetFloat64(math.Abs(x))
	q.Quo(q, new(big.Rat).SetInt(scale))
	n := roundHalfEven(q.Num(), q.Denom())
	f, _ := new(big.Float).SetInt(n.Mul(n, scale)).Float64()
	if math.IsInf(f, 0) {
		return nil, newError("OverflowError", "rounded value too large to represent")
	}
	return math.Copysign(f, x), nil
}

// roundHalfEven divides non-negative integers, rounding half to even.
func roundHalfEven(num, den *big.Int) *big.Int {
	n, rest := new(big.Int).QuoRem(num, den, new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(den) {
	case 1:
		n.Add(n, big.NewInt(1))
	case 0:
		if n.Bit(0) == 1 {
			n.Add(n, big.NewInt(1))
		}
	}
	return n
}

func roundInt(b *big.Int, digits int) Value {
	if digits > maxIntDigits*10 {
		return int64(0)
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n := roundHalfEven(new(big.Int).Abs(b), scale)
	n.Mul(n, scale)
	if b.Sign() < 0 {
		n.Neg(n)
	}
	return normalizeInt(n)
}

// roundToward is ceil or floor of value * 10**precision, divided by 10**precision.
func roundToward(r *run, v, precision Value, how string) (Value, error) {
	scale, err := binary(r, "**", int64(10), precision)
	if err != nil {
		return nil, err
	}
	scaled, err := binary(r, "*", v, scale)
	if err != nil {
		return nil, err
	}
	if f, ok := scaled.(float64); ok {
		if how == "ceil" {
			f = math.Ceil(f)
		} else {
			f = math.Floor(f)
		}
		if scaled, err = floatToInt(f); err != nil {
			return nil, err
		}
	} else if !isInt(scaled) {
		return nil, typeError("must be real number, not %s", typeName(scaled))
	}
	return binary(r, "/", scaled, scale)
}

func filterSum(r *run, a *arguments) (Value, error) {
	args, err := a.bind("sum", 1, "iterable", "attribute", "start")
	if err != nil {
		return nil, err
	}
	total := or(args[2], int64(0))
	if _, ok := text(total); ok {
		return nil, typeError("sum() can't sum strings [use ''.join(seq) instead]")
	}
	items, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	path := parseAttrPath(or(args[1], nil))
	for _, item := range items {
		v, err := path.get(r, item, nil)
		if err != nil {
			return nil, err
		}
		if total, err = binary(r, "+", total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func filterFileSize(r *run, a *arguments) (Value, error) {
	args, err := a.bind("filesizeformat", 1, "value", "binary")
	if err != nil {
		return nil, err
	}
	bytes, err := toFloat(args[0])
	if err != nil {
		return nil, err
	}
	binaryUnits, err := truth(r, or(args[1], false))
	if err != nil {
		return nil, err
	}
	base, suffix, kilo := 1000.0, "B", "k"
	if binaryUnits {
		base, suffix, kilo = 1024, "iB", "K"
	}
	switch {
	case bytes == 1:
		return "1 Byte", nil
	case bytes < base:
		n, err := floatToInt(bytes)
		if err != nil {
			return nil, err
		}
		s, err := str(r, n)
		return s + " Bytes", err
	}
	unit := base
	prefixes := []string{kilo, "M", "G", "T", "P", "E", "Z", "Y"}
	for i, prefix := range prefixes {
		unit *= base
		if bytes < unit || i == len(prefixes)-1 {
			return floatDigits(base*bytes/unit, 'f', 1, false) + " " + prefix + suffix, nil
		}
	}
	return nil, nil
}
