package arch

import "github.com/infer-go/infer/kernels"

// falcon records the Falcon forward pass: attention and a plain network are added to the residual together. They read the
// same norm (7B), or each its own (40B and 180B): attn_norm_2 is then attention's, attn_norm the network's.
func falcon(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		g := p.norm(x, l.biasedNorm("attn_norm", c.Dim))
		h := g
		if l.has("attn_norm_2.weight") {
			h = p.norm(x, l.norm("attn_norm_2", c.Dim))
		}
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		x = p.plainFFN(l, g, c.FF[i], kernels.ActGELU, false, x)
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}
