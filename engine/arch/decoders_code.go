package arch

import "github.com/infer-go/infer/kernels"

// mellum records the Mellum 2 forward pass: Qwen3 with experts; three of four layers have a sliding window where there is one, and rotate
// unstretched.
func mellum(p *plan, w *weights, c Config) {
	windows, global := make([]int, c.Layers), p.angles(c.Rope, nil)
	local := global
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windows(window, 4)
		c.numberOr("rope.freq_base_swa", c.Rope.base) // the same where a file has it
		local = p.angles(c.Rope.unscaled(c.Rope.base), nil)
	}
	e := experts{width: c.expertWidth(c.FF[0] / max(1, c.ExpertsUsed)), act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm, a.window = global, kernels.RopeHalves, headNorm, windows[i]
		if a.window > 0 {
			a.angles = local
		}
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		x = p.expertFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// laguna records the Laguna forward pass: a norm on each query and key head, a gate on each head's result or each of its elements; the first of
// four layers sees everything, the others a window; after the first layers experts and shared ones.
func laguna(p *plan, w *weights, c Config) {
	windows, global := make([]int, c.Layers), p.angles(c.Rope, nil)
	local := global
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windowsButFirst(window, 4)
		local = p.anglesOf(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", c.Rope.base)), c.rotatedWithin("rope.dimension_count_swa", c.KeyDim, c.Rotated), nil)
	}
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	leading := c.count("leading_dense_block_count")
	shared := c.countOr("expert_shared_feed_forward_length", 1, e.width*c.countOr("expert_shared_count", 1, 1))
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm, a.window = global, kernels.RopeHalves, headNorm, windows[i]
		if a.window > 0 {
			a.angles = local
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		mixed := p.multiply(p.attend(l, h, a), p.outputGate(l, h, a, kernels.ActSoftplus))
		x = p.output(l, mixed, a, 1, x)
		x = p.mixture(l, p.norm(x, l.norm("ffn_norm", c.Dim)), i, leading, e, shared, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// outputGate is act(attn_gate h): a number for each element of attention's result, or one for each head.
func (p *plan) outputGate(l *layer, h kernels.Ref, a attention, act kernels.Act) kernels.Ref {
	s := kernels.NoEpilogue
	s.Act = act
	if l.rows("attn_gate.weight") == int64(a.heads*a.valueDim) {
		return p.MatMul(h, l.linear("attn_gate", p.c.Dim, a.heads*a.valueDim).weight, s)
	}
	return p.eachElement(p.MatMul(h, l.linear("attn_gate", p.c.Dim, a.heads).weight, s), a.heads, a.valueDim)
}

// cohere2MoE records the forward pass of Command A with experts: attention and network read the same norm; the first of four layers sees
// everything and is not rotated, unless it is one of the leading ones without experts; shared experts count half.
func cohere2MoE(p *plan, w *weights, c Config) {
	windows := c.windowsButFirst(c.count("attention.sliding_window"), 4)
	leading, scale := c.countOr("leading_dense_block_count", 0, 0), orOne(c.numberOr("expert_weights_scale", 0))
	e := experts{width: c.expertWidth(c.FF[0]), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), normalise: c.boolOr("expert_weights_norm", false), scale: scale}
	shared := 0
	if n := c.countOr("expert_shared_count", 0, 0); n > 0 {
		shared, e.scale = c.countOr("expert_shared_feed_forward_length", 1, n*e.width), scale/2
	}
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	x := p.embed(w, 1)
	global, near := p.angles(c.Rope, w.ropeFactors(c)), p.angles(local, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.window = kernels.RopePairs, windows[i]
		if a.window > 0 {
			a.angles = near
		} else if i < leading {
			a.angles = global
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		if i < leading {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		x = p.expertFFN(l, h, e, x)
		if shared > 0 {
			x = p.gatedFFN(l, h, ffnShared, shared, kernels.ActSiLU, 0.5, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), orOne(c.number("logit_scale")), 0)
}
