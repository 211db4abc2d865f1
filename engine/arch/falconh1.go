package arch

import "github.com/infer-go/infer/kernels"

// falconH1 records the Falcon-H1 forward pass: each layer adds up attention and a Mamba 2 layer on the same normalised input,
// then a gated network. The model's many factors are in the file's weights.
func falconH1(p *plan, w *weights, c Config) {
	s := readSSM(c, true)
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.mamba2(l, h, s, false, 1, x)
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.bareNorm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
