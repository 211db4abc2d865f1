package arch

import "github.com/infer-go/infer/kernels"

// olmo2 records the OLMo 2 and OLMo 3 forward pass: norms stand after each block instead of before it, and one norm
// spans all query heads, another all key heads. OLMo 3 has a sliding window on three of four layers, which rotate without the
// stretching that the others have.
func olmo2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles, windows := p.angles(c.Rope, nil), make([]int, c.Layers)
	local := angles
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windows(window, 4)
		local = p.angles(c.Rope.unscaled(c.Rope.base), nil)
	}
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.norm, a.window = kernels.RopeHalves, rowNorm, windows[i]
		if a.angles = angles; a.window > 0 {
			a.angles = local
		}
		h := p.output(l, p.attend(l, x, a), a, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_attention_norm", c.Dim)))
		h = p.gatedFFN(l, x, ffnDense, c.FF[i], kernels.ActSiLU, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// olmoe records the OLMoE forward pass: experts, and norms over all query heads and all key heads.
func olmoe(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, rowNorm
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		e := experts{width: c.expertWidth(c.FF[i]), act: kernels.ActSiLU, scale: c.numberOr("expert_weights_scale", 0)}
		x = p.expertFFN(l, h, e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
