package arch

import "github.com/infer-go/infer/kernels"

// jamba records the Jamba forward pass: layers with key heads attend without positions, the others are Mamba 1 with norms on steps and
// projections; networks are dense or experts, as their tensors say.
func jamba(p *plan, w *weights, c Config) {
	s := readSSM(c, false)
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		if c.KVHeads[i] == 0 {
			x = p.mamba1(l, h, s, weightedNorms, x)
		} else {
			a := c.attention(i)
			x = p.output(l, p.attend(l, h, a), a, 1, x)
		}
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		if l.has("ffn_gate_inp.weight") {
			x = p.expertFFN(l, h, experts{width: c.FF[i], act: kernels.ActSiLU, scale: c.numberOr("expert_weights_scale", 0)}, x)
		} else {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
