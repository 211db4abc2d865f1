package arch

import (
	"fmt"

	"github.com/infer-go/infer/kernels"
)

// llama4 records the text half of Llama 4: three of four layers attend within chunks, rotated and with a norm on each query and key head; the
// fourth sees everything, unrotated, with queries that grow with the position. Every second layer, or all, has experts and a shared one.
func llama4(p *plan, w *weights, c Config) {
	const chunk = 8192
	windows, every := make([]int, c.Layers), 4
	if c.has("attention.sliding_window") && c.countOr("attention.sliding_window", 0, 0) == 0 { // all layers rotate
		every = c.Layers
	} else {
		windows = c.windows(chunk, every)
	}
	// With 128 experts the model has no norms on its heads, which files do not say.
	normed := c.Experts != 128
	step := c.countOr("interleave_moe_layer_step", 0, 1)
	x := p.embed(w, 1)
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	angles, scales := p.angles(local, w.ropeFactors(c)), p.temperature(0.1, 1, chunk)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.window, a.chunks = kernels.RopePairs, windows[i], windows[i] > 0
		if (i+1)%every != 0 {
			a.angles = angles
			if normed {
				a.norm = unitNormRotated
			}
		} else {
			a.scales = scales
		}
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		if step == 0 || (i+1)%step != 0 {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		x = p.llama4Experts(l, h, c.count("expert_feed_forward_length"), x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// llama4Experts sends each token, multiplied by its router's sigmoid, through the one expert that was chosen, and through the shared one.
func (p *plan) llama4Experts(l *layer, h kernels.Ref, width int, residual kernels.Ref) kernels.Ref {
	c := p.c
	if c.ExpertsUsed != 1 {
		c.fault("expert_used_count", fmt.Sprint(c.ExpertsUsed), "1: a token enters its expert multiplied by its weight")
		return none
	}
	router := p.linear(h, l.linear("ffn_gate_inp", c.Dim, c.Experts))
	gate, up, down := l.stack("ffn_gate_exps", c.Dim, width), l.stack("ffn_up_exps", c.Dim, width), l.stack("ffn_down_exps", width, c.Dim)
	if router == none || gate.weight == none || up.weight == none {
		return none
	}
	ids, weights := p.Route(router, kernels.RouteSpec{Gating: kernels.GateSigmoid, Used: 1, Bias: none})
	scaled := p.multiply(h, weights)
	plain := kernels.NoEpilogue
	plain.Bias = down.bias
	inner := p.expertGate(scaled, ids, gate, up, experts{act: kernels.ActSiLU})
	ones := p.Element(kernels.ElClamp, kernels.ActNone, weights, none, 1, 1)
	x := p.ExpertSum(p.scaled(p.Experts(inner, down.weight, ids, plain), h, ids, down), ones, residual)
	return p.gatedFFN(l, h, ffnShared, width, kernels.ActSiLU, 1, x)
}
