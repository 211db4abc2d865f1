package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// apertus records the Apertus forward pass: Llama with a norm on each query and key head, and plain networks whose activation, xIELU
// (https://arxiv.org/abs/2411.13010), has factors of each layer's own.
func apertus(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	params := readXIELU(c)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNorm
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		up := l.linear("ffn_up", c.Dim, c.FF[i])
		s := kernels.NoEpilogue
		s.Bias, s.Scale, s.Act, s.ActParam = up.bias, up.scale, kernels.ActXIELU, params[i]
		x = p.project(p.MatMul(h, up.weight, s), l.linear("ffn_down", c.FF[i], c.Dim), 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// readXIELU returns each layer's factors on the square, on what the exponential exceeds its tangent by, and on x. Files hold the first
// two as they were trained: before softplus, the second less the third.
func readXIELU(c Config) [][3]float32 {
	positive, negative, linear := c.layerNumbers("xielu.alpha_p"), c.layerNumbers("xielu.alpha_n"), c.layerNumbers("xielu.beta")
	// The exponential's argument is at most eps, which is just below 0, so that it fits BF16: no F32 result shows it.
	for i, eps := range c.layerNumbers("xielu.eps") {
		if eps < -1e-5 || eps > 0 {
			c.keep(&KeyError{"xielu.eps", fmt.Sprintf("%v for layer %d", eps, i), "-0.00001 to 0"})
		}
	}
	out := make([][3]float32, c.Layers)
	for i := range out {
		out[i] = [3]float32{float32(math.Log1p(math.Exp(positive[i]))), float32(linear[i] + math.Log1p(math.Exp(negative[i]))), float32(linear[i])}
	}
	return out
}

// layerNumbers reads a number for each layer from a key outside of the architecture's: one for all, or an array.
func (c Config) layerNumbers(key string) []float64 {
	out := make([]float64, c.Layers)
	one, present, err := c.meta.Float(key)
	if err == nil && present {
		for i := range out {
			out[i] = one
		}
		return out
	}
	all, present, err := c.meta.Floats(key)
	switch {
	case err != nil:
		c.keep(err)
	case !present:
		c.keep(&KeyError{key, "nothing", "a number a layer"})
	case len(all) < c.Layers:
		c.keep(&KeyError{key, fmt.Sprintf("%d values", len(all)), fmt.Sprintf("%d, one a layer", c.Layers)})
	default:
		copy(out, all)
	}
	for i, v := range out {
		if math.Abs(v) > 80 || v != v { // their exponentials must be finite
			c.keep(&KeyError{key, fmt.Sprintf("%v for layer %d", v, i), "-80 to 80"})
			out[i] = 0
		}
	}
	return out
}
