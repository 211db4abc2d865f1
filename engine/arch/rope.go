package arch

import (
	"fmt"
	"math"
	"slices"

	"github.com/infer-go/infer/kernels"
)

// ropeScaling is how a model stretches its rotary positions. The zero factor fields are filled by readRope.
type ropeScaling struct {
	kind      string  // none, linear, yarn, longrope
	base      float32 // the slowest pair turns once in about 2 pi base positions
	factor    float32 // positions are divided by it; 1: none
	attention float32 // factor on the magnitude
	original  int     // context before stretching
	fast      float32 // YaRN: pairs that turn more often than this in the original context stay as they are
	slow      float32 // YaRN: those that turn less often are stretched in full
	extrapol  float32 // YaRN: share of the unstretched angles where they apply
	logScale  float32 // YaRN: factor on the logarithm in the magnitude, as DeepSeek files store it; 0: absent
}

func readRope(c Config) ropeScaling {
	k := c.keys
	r := ropeScaling{
		base:      k.numberOr("rope.freq_base", 10000),
		kind:      k.textOr("rope.scaling.type", "linear"),
		factor:    k.numberOr("rope.scaling.factor", 0),
		attention: k.numberOr("rope.scaling.attn_factor", 1),
		original:  k.countOr("rope.scaling.original_context_length", 0, 0),
		fast:      k.numberOr("rope.scaling.yarn_beta_fast", 32),
		slow:      k.numberOr("rope.scaling.yarn_beta_slow", 1),
		extrapol:  k.numberOr("rope.scaling.yarn_ext_factor", -1),
		logScale:  k.numberOr("rope.scaling.yarn_log_multiplier", 0),
	}
	if r.factor == 0 {
		r.factor = k.numberOr("rope.scale_linear", 0) // the key's name in old files
	}
	if r.factor == 0 {
		r.factor = 1
	}
	if r.original == 0 {
		r.original = c.Context
	}
	if !slices.Contains([]string{"none", "linear", "yarn", "longrope"}, r.kind) {
		k.fault("rope.scaling.type", r.kind, "none, linear, yarn or longrope")
	}
	if r.base <= 1 {
		k.fault("rope.freq_base", fmt.Sprint(r.base), "a number above 1")
	}
	if r.factor < 0 {
		k.fault("rope.scaling.factor", fmt.Sprint(r.factor), "a positive number")
	}
	if r.kind == "none" {
		r.factor = 1
	}
	if r.extrapol < 0 {
		r.extrapol = 0
		if r.kind == "yarn" {
			r.extrapol = 1
		}
	}
	return r
}

// unscaled returns the same rotation without any stretching, at another base: what layers with a sliding window use.
func (r ropeScaling) unscaled(base float32) ropeScaling {
	return ropeScaling{kind: "none", base: base, factor: 1, attention: 1, original: r.original}
}

// frequencies returns the angle a position of each rotated pair. factors divides the frequencies, nil: by 1.
//
// YaRN (https://arxiv.org/abs/2309.00071): pairs that turn often within the original context keep their frequency, those
// that turn less than once are stretched, and a ramp joins them.
func (r ropeScaling) frequencies(rotated int, factors []float32) []float32 {
	pairAt := func(turns float32) float64 { // the pair that turns this often within the original context
		return float64(rotated) * math.Log(float64(r.original)/(float64(turns)*2*math.Pi)) / (2 * math.Log(float64(r.base)))
	}
	low, high := 0.0, 0.0
	if r.extrapol != 0 {
		low, high = math.Max(0, math.Floor(pairAt(r.fast))), math.Min(float64(rotated-1), math.Ceil(pairAt(r.slow)))
	}
	out := make([]float32, rotated/2)
	for i := range out {
		f := math.Pow(float64(r.base), -2*float64(i)/float64(rotated))
		if factors != nil {
			f /= float64(factors[i])
		}
		stretched := f / float64(r.factor)
		if r.extrapol != 0 {
			ramp := math.Min(1, math.Max(0, (float64(i)-low)/math.Max(0.001, high-low)))
			keep := (1 - ramp) * float64(r.extrapol)
			stretched = stretched*(1-keep) + f*keep
		}
		out[i] = float32(stretched)
	}
	return out
}

// magnitude is the factor on the rotated vectors: with YaRN 0.1 ln(factor) + 1, unless the model scales its scores itself.
func (r ropeScaling) magnitude() float32 {
	if r.extrapol == 0 || r.logScale != 0 {
		return r.attention
	}
	return r.attention * yarnMagnitude(r.factor, 1)
}

// yarnMagnitude is YaRN's correction of the scores' temperature.
func yarnMagnitude(factor, scale float32) float32 {
	if factor <= 1 {
		return 1
	}
	return float32(0.1*float64(scale)*math.Log(float64(factor)) + 1)
}

// angles records the table for a rotation; equal tables are recorded once. A model that rotates nothing has none.
func (p *plan) angles(r ropeScaling, factors []float32) kernels.Ref {
	return p.anglesOf(r, p.c.Rotated, factors)
}

// anglesOf is angles for heads of which another number of elements is rotated.
func (p *plan) anglesOf(r ropeScaling, rotated int, factors []float32) kernels.Ref {
	if rotated == 0 {
		return kernels.None
	}
	t := angleTable{r.frequencies(rotated, factors), r.magnitude(), kernels.None}
	for _, have := range p.tables {
		if have.magnitude == t.magnitude && slices.Equal(have.freqs, t.freqs) {
			return have.ref
		}
	}
	t.ref = p.Angles(p.Constant(fmt.Sprintf("rope_%d", len(p.tables)), t.freqs), t.magnitude)
	p.tables = append(p.tables, t)
	return t.ref
}

// angleTable is a rotation that the plan has already.
type angleTable struct {
	freqs     []float32
	magnitude float32
	ref       kernels.Ref
}

// ropeFactors returns what the file divides its frequencies by, nil where it has nothing: one set for all contexts, or a
// short and a long one, chosen by the context asked for.
func (w *weights) ropeFactors(c Config) []float32 {
	const all, long, short = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"
	name := short
	if c.Asked > c.Rope.original {
		name = long
	}
	if w.has(all) {
		name = all
	}
	w.touch(long)
	w.touch(short)
	if !w.has(name) {
		return nil
	}
	f := w.values(name, c.Rotated/2)
	for i, v := range f {
		if !(v > 0) || math.IsInf(float64(v), 0) {
			w.fault(name, fmt.Sprintf("%v in element %d", v, i), "positive numbers")
			return nil
		}
	}
	return f
}
