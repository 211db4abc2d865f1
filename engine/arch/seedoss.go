package arch

import "github.com/infer-go/infer/kernels"

// seedOSS records the Seed-OSS forward pass: Qwen2, with the second norm under another name.
func seedOSS(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("post_attention_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
