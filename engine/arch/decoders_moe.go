package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

// smallThinker records the SmallThinker forward pass: experts of ReLU, chosen by the row that enters the layer; where there is a sliding
// window, the first of four layers sees everything and is not rotated.
func smallThinker(p *plan, w *weights, c Config) {
	windows := make([]int, c.Layers)
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windowsButFirst(4096, 4) // whatever the file says, as all models have it
	}
	e := experts{act: kernels.ActReLU, gating: c.gating(kernels.GateSigmoid), normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	x := p.embed(w, 1)
	angles := p.angles(local, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.window = kernels.RopeHalves, windows[i]
		if i%4 != 0 || c.countOr("attention.sliding_window", 0, 0) == 0 {
			a.angles = angles
		}
		router := none
		if c.Experts > 0 {
			router = p.linear(x, l.linear("ffn_gate_inp", c.Dim, c.Experts))
		}
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		e.width = c.expertWidth(c.FF[i])
		x = p.routed(l, p.norm(x, l.norm("ffn_norm", c.Dim)), router, e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// afMoE records the Arcee Trinity forward pass: norms before and after each block, a norm on each query and key head, a gate on attention's
// result, a sliding window on three of four layers and rotation on these alone; after the first layers experts and shared ones.
func afMoE(p *plan, w *weights, c Config) {
	windows := make([]int, c.Layers)
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windows(window, 4)
	}
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	leading, shared := c.countOr("leading_dense_block_count", 0, 0), c.countOr("expert_shared_count", 0, 0)
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	x := p.embed(w, float32(math.Sqrt(float64(c.Dim))))
	angles := p.angles(local, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.norm, a.window = kernels.RopeHalves, headNorm, windows[i]
		if (i+1)%4 != 0 {
			a.angles = angles
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		gate := p.linear(h, l.linear("attn_gate", c.Dim, a.heads*a.valueDim))
		h = p.Element(kernels.ElMulAct, kernels.ActSigmoid, p.attend(l, h, a), gate, 1, 0)
		x = p.Add(x, p.norm(p.output(l, h, a, 1, none), l.norm("post_attention_norm", c.Dim)))
		h = p.mixture(l, p.norm(x, l.norm("ffn_norm", c.Dim)), i, leading, e, shared*e.width, none)
		x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// mimo2 records the MiMo V2 forward pass: values narrower than keys, of which a part is rotated; layers with a sliding window have key heads
// and a rope base of their own, and sinks; layers are dense or have experts, as their tensors say.
func mimo2(p *plan, w *weights, c Config) {
	windows := c.windows(c.count("attention.sliding_window"), 0)
	e := experts{act: kernels.ActSiLU, gating: kernels.GateSigmoid, choiceBias: true, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	if c.Experts > 0 {
		e.width = c.count("expert_feed_forward_length")
	}
	local := c.Rope.unscaled(c.numberOr("rope.freq_base_swa", c.Rope.base))
	x := p.embed(w, 1)
	global, near := p.angles(c.Rope, nil), p.angles(local, nil)
	scale := orOne(c.numberOr("attention.value_scale", 1))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.window = global, kernels.RopeHalves, windows[i]
		if windows[i] > 0 {
			a.angles = near
		}
		if l.has("attn_sinks.weight") {
			a.sinks = l.vector("attn_sinks.weight", a.heads)
		}
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, scale, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		if !l.has("ffn_gate_inp.weight") {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		x = p.expertFFN(l, h, e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// graniteSWA records the Granite 4.x forward pass with sliding windows: Granite with sinks; the file says which layers have a window, and
// which rotate.
func graniteSWA(p *plan, w *weights, c Config) {
	windows, rotated := c.windows(c.count("attention.sliding_window"), 0), c.intsOr("attention.rope_pattern")
	p.graniteLayers(w, c, func(l *layer, i int, h kernels.Ref, a attention, residual float32, x kernels.Ref) kernels.Ref {
		a.window, a.sinks = windows[i], l.vector("attn_sinks.weight", a.heads)
		if i < len(rotated) && rotated[i] == 0 {
			a.angles = none
		}
		return p.output(l, p.attend(l, h, a), a, residual, x)
	})
}
