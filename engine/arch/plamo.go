package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// plamo2 records the PLaMo 2 forward pass: layers with key heads attend, with norms of each head's own; the others are a Mamba with a decay a
// head. Norms stand before and after each block.
func plamo2(p *plan, w *weights, c Config) {
	s := readPlamoSSM(c)
	angles := p.angles(c.Rope, nil)
	p.plamoLayers(w, c, func(l *layer, i int, h kernels.Ref) kernels.Ref {
		if c.KVHeads[i] == 0 {
			return p.plamoMamba(l, h, s)
		}
		a := c.attention(i)
		a.angles, a.style, a.norm, a.scale = angles, kernels.RopeHalves, headsNorm, float32(1/math.Sqrt(float64(c.ValueDim)))
		return p.output(l, p.attend(l, h, a), a, 1, none)
	})
}

// plamo3 records the PLaMo 3 forward pass: attention everywhere, on seven of eight layers within a window and at a rope base of their own.
func plamo3(p *plan, w *weights, c Config) {
	windows, global := make([]int, c.Layers), p.angles(c.Rope, nil)
	local := global
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windows(window, 8)
		local = p.angles(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", 10000)), nil)
	}
	p.plamoLayers(w, c, func(l *layer, i int, h kernels.Ref) kernels.Ref {
		a := c.attention(i)
		a.angles, a.style, a.norm, a.window = global, kernels.RopeHalves, headNorm, windows[i]
		if windows[i] > 0 {
			a.angles = local
		}
		return p.output(l, p.attend(l, h, a), a, 1, none)
	})
}

// plamoLayers records the model; mix is what a layer does before its network.
func (p *plan) plamoLayers(w *weights, c Config, mix func(l *layer, i int, h kernels.Ref) kernels.Ref) {
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		h := mix(l, i, p.norm(x, l.norm("attn_norm", c.Dim)))
		x = p.Add(x, p.norm(h, l.bareNorm("post_attention_norm", c.Dim)))
		h = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], kernels.ActSiLU, 1, none)
		x = p.Add(x, p.norm(h, l.bareNorm("post_ffw_norm", c.Dim)))
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// readPlamoSSM reads the sizes; files say 0 groups, and all heads share the projections.
func readPlamoSSM(c Config) ssm {
	if n := c.countOr("ssm.group_count", 0, 0); n != 0 {
		c.fault("ssm.group_count", fmt.Sprint(n), "0")
	}
	s := readSSM(c, false)
	if s.inner%s.rank != 0 {
		c.fault("ssm.inner_size", fmt.Sprint(s.inner), fmt.Sprintf("a multiple of the %d heads of ssm.time_step_rank", s.rank))
		s.inner = s.rank
	}
	return s
}

// plamoMamba is a Mamba layer on h: gates and values alternate head by head; steps, of low rank, and the state's projections come from the
// convolved values and are normalised.
func (p *plan) plamoMamba(l *layer, h kernels.Ref, s ssm) kernels.Ref {
	width, low := s.inner/s.rank, int64(max(64, p.c.Dim/16))
	states := int64(s.states)
	all := p.linear(h, l.linear("ssm_in", p.c.Dim, 2*s.inner))
	gate, values := p.Buffer(s.inner), p.Buffer(s.inner)
	if all == none {
		return none
	}
	p.Copy(gate, all, s.rank, width, 2*width, width)
	p.Copy(values, p.Columns(all, int64(width), int64(2*s.inner-width)), s.rank, width, 2*width, width)
	mixed := p.convolve(l, values, s, s.inner, false)
	parts := p.linear(mixed, l.linear("ssm_x", s.inner, int(low)+2*s.states))
	part := func(name string, from, count int64) kernels.Ref {
		return p.norm(p.Columns(parts, from, count), l.bareNorm(name, int(count)))
	}
	steps := p.MatMul(part("ssm_dt_norm", 2*states, low), l.matrix(l.prefix+"ssm_dt.weight", int(low), s.rank), kernels.NoEpilogue)
	y := p.HeadScan(mixed, kernels.ScanSpec{Step: steps, B: part("ssm_b_norm", 0, states), C: part("ssm_c_norm", states, states),
		A: l.vector("ssm_a", s.rank), D: l.vector("ssm_d", s.rank), Bias: l.vector("ssm_dt.bias", s.rank), Heads: s.rank, Groups: 1})
	y = p.Element(kernels.ElActMul, kernels.ActSiLU, gate, y, 1, 0)
	return p.linear(y, l.linear("ssm_out", s.inner, p.c.Dim))
}
