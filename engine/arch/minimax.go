package arch

import "github.com/infer-go/infer/kernels"

// minimaxM2 records the MiniMax M2 forward pass: norms over all query heads and all key heads, half of each head rotated, and experts on
// every layer, whose router has a bias for the choice alone.
func minimaxM2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, rowNorm
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		c.expertWidth(c.FF[i]) // the tensors have the other width, which is the same in real files
		e := experts{width: c.FF[i], act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), normalise: true, scale: c.numberOr("expert_weights_scale", 0),
			choiceBias: true}
		x = p.expertFFN(l, h, e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
