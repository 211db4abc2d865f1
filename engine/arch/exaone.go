package arch

import "github.com/infer-go/infer/kernels"

// exaone records the forward pass of EXAONE 3.0 and 3.5: Llama, rotated by halves of a head.
func exaone(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// exaone4 records the EXAONE 4.0 forward pass: norms after each block instead of before it, and on each query and key head. The 32B, known
// by its 64 layers, has a sliding window on three of four layers, and rotates on these alone.
func exaone4(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles, windows := p.angles(c.Rope, w.ropeFactors(c)), make([]int, c.Layers)
	window := c.countOr("attention.sliding_window", 0, 4096)
	mixed := c.Layers == 64 && window > 0
	if mixed {
		windows = c.windows(window, 4)
	}
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.norm, a.window = kernels.RopeHalves, headNorm, windows[i]
		if !mixed || a.window > 0 {
			a.angles = angles
		}
		h := p.output(l, p.attend(l, x, a), a, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_attention_norm", c.Dim)))
		h = p.gatedFFN(l, x, ffnDense, c.FF[i], kernels.ActSiLU, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
