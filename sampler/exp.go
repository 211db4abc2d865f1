package sampler

import "math"

// Exponential, logarithm and power in a fixed order of float64 operations. Package math is not used for them: its
// assembly (amd64, arm64, s390x) and the compiler's freedom to fuse x*y+z give other last bits on other machines. The
// float64(x*y) conversions below forbid that fusion.

const (
	stepsPerUnit = 256 / math.Ln2
	// Adding this to |t| < 2^51 rounds t to an integer and leaves it in the low bits.
	roundMagic = 0x1.8p52
	// Below this an exponential is taken as 0: it is less than 1e-304 and cannot show in any sum here.
	expFloor = -700
)

// exp returns e^x for expFloor ≤ x ≤ 700 with a relative error below 1e-12. It splits x into k·ln2/256 + r and multiplies
// 2^(k/256), from a table, with the cubic of e^r, |r| ≤ ln2/512. Small enough to be inlined: it is most of the work where
// a whole vocabulary is summed.
func exp(x float64) float64 {
	t := float64(x*stepsPerUnit) + roundMagic
	n := math.Float64bits(t)
	r := x - float64((t-roundMagic)*(1/stepsPerUnit))
	return float64(math.Float64frombits(expTable[n%256]+n>>8<<52) * (1 + float64(r*(1+float64(r*(0.5+float64(r*(1./6))))))))
}

// log returns the natural logarithm of a normal x > 0, within 2 units in the last place (near 1: in absolute terms),
// by the series 2·(s + s³/3 + s⁵/5 + …) of s = (m-1)/(m+1), where x = m·2^e and m lies between √½ and √2.
func log(x float64) float64 {
	bits := math.Float64bits(x)
	e := int(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m, e = m/2, e+1
	}
	s := (m - 1) / (m + 1)
	s2 := float64(s * s)
	sum := 0.0
	for k := 25; k >= 3; k -= 2 {
		sum = float64(s2 * (sum + 1/float64(k)))
	}
	series := 2*s + float64(2*float64(s*sum))
	return float64(float64(e)*ln2High) + (series + float64(float64(e)*ln2Low))
}

// ln2 in two parts; the product of the high one and an exponent is exact.
const (
	ln2High = 0x1.62e42feep-1
	ln2Low  = math.Ln2 - ln2High
)

// pow returns x^y for 0 ≤ x ≤ 1 and y ≥ 0.
func pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case y == 1:
		return x
	case x < math.SmallestNonzeroFloat32:
		return 0
	}
	power := float64(y * log(x))
	if power < expFloor {
		return 0
	}
	return exp(power)
}
