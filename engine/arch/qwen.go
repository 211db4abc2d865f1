package arch

import "github.com/infer-go/infer/kernels"

// qwen2 records the Qwen2 forward pass: Llama with biases on queries, keys and values.
func qwen2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// qwen3 records the Qwen3 forward pass: Llama, plus a norm on each query and key head.
func qwen3(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNorm
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// qwen2moe records the Qwen 1.5 and 2 mixture of experts: Qwen2 with experts, and one that every token shares, gated by a
// sigmoid of its own.
func qwen2moe(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.qwenExperts(l, h, i, false, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// qwenExperts is a mixture of experts with one that every token shares, gated by a sigmoid of its own.
func (p *plan) qwenExperts(l *layer, h kernels.Ref, i int, normalise bool, residual kernels.Ref) kernels.Ref {
	c := p.c
	e := experts{width: c.expertWidth(c.FF[i] / max(1, c.ExpertsUsed)), act: kernels.ActSiLU, normalise: normalise, scale: c.numberOr("expert_weights_scale", 0)}
	x := p.expertFFN(l, h, e, residual)
	s := p.gatedFFN(l, h, ffnShared, c.countOr("expert_shared_feed_forward_length", 1, c.FF[0]), kernels.ActSiLU, 1, none)
	gate := p.linear(h, l.linear("ffn_gate_inp_shexp", c.Dim, 1))
	return p.Add(x, p.Element(kernels.ElMulAct, kernels.ActSigmoid, s, gate, 1, 0))
}

// qwen3moe records the Qwen3 mixture of experts: Qwen3 with experts in place of the gated network.
func qwen3moe(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNorm
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		e := experts{width: c.expertWidth(c.FF[i] / max(1, c.ExpertsUsed)), act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
		x = p.expertFFN(l, h, e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
