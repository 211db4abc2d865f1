package arch

import "github.com/infer-go/infer/kernels"

// llama records the Llama forward pass, the form that most later models vary: norm, attention, residual; norm, gated
// network or experts, residual.
func llama(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopePairs
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		if c.Experts == 0 {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		x = p.expertFFN(l, h, experts{width: c.expertWidth(c.FF[i]), act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
