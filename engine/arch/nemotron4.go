package arch

import "github.com/infer-go/infer/kernels"

// nemotron records the forward pass of Nemotron 4 and Minitron: layer norms with biases, a part of each head rotated, and a plain network
// whose activation is the square of ReLU. Files store norm weights with 1 added.
func nemotron(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.plainFFN(l, h, c.FF[i], kernels.ActReLUSquared, false, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
