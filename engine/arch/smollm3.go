package arch

import "github.com/infer-go/infer/kernels"

// smollm3 records the SmolLM3 forward pass: Llama, where every fourth layer is not rotated.
func smollm3(p *plan, w *weights, c Config) {
	const unrotated = 4
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		if a.style = kernels.RopePairs; (i+1)%unrotated != 0 {
			a.angles = angles
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
