package arch

import "github.com/infer-go/infer/kernels"

// modernBERT records the ModernBERT forward pass: norms without biases before each block, gated networks, rotated positions;
// of each few layers the first sees the whole text and the others what is near, at a rotation of their own.
func modernBERT(p *plan, w *weights, c Config) {
	p.c.causal, p.c.rankAct = false, kernels.ActGELUErf
	act := kernels.ActGELUErf
	switch name := c.textOr("hidden_act", "gelu"); name {
	case "gelu":
	case "silu":
		act = kernels.ActSiLU
	default:
		c.fault("hidden_act", name, "gelu or silu")
	}
	windows := c.windowsAfterFirst(c.countOr("attention.sliding_window", 0, 0), 3)
	global := p.angles(c.Rope, nil)
	near := c.Rope
	near.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	local := global
	if near.base != c.Rope.base {
		local = p.angles(near, nil)
	}
	x := p.norm(p.embed(w, 1), w.norm("token_embd_norm", c.Dim))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.bothWays, a.window, a.style = true, windows[i], kernels.RopeHalves
		if a.angles = global; a.window > 0 {
			a.angles = local
		}
		h := x
		if i > 0 || l.has("attn_norm.weight") { // the first layer has the embeddings' norm
			h = p.norm(x, l.norm("attn_norm", c.Dim))
		}
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		x = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], act, 1, x)
	}
	p.encoded(w, p.norm(x, w.norm("output_norm", c.Dim)))
}

// windowsAfterFirst is windows for models whose first layer of each period sees everything.
func (c Config) windowsAfterFirst(window, period int) []int {
	out := c.windows(window, period)
	const key = "attention.sliding_window_pattern"
	if info, ok := c.meta.Info(c.name(key)); ok && info.Count > 0 {
		return out // flags
	}
	period = c.countOr(key, 0, period)
	for i := range out {
		if out[i] = window; period > 0 && i%period == 0 {
			out[i] = 0
		}
	}
	return out
}
