package arch

import "github.com/infer-go/infer/kernels"

// nemotronH records the Nemotron-H forward pass: each layer is one of three. One with a width is a network of squared ReLU,
// one with key heads attention without positions, the rest Mamba 2.
func nemotronH(p *plan, w *weights, c Config) {
	c.has("attention.layer_norm_epsilon") // files carry both forms; the norms are RMS norms
	s := readSSM(c, true)
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		switch {
		case c.FF[i] > 0:
			x = p.plainFFN(l, h, c.FF[i], kernels.ActReLUSquared, false, x)
		case c.KVHeads[i] > 0:
			a := c.attention(i)
			x = p.output(l, p.attend(l, h, a), a, 1, x)
		default:
			x = p.mamba2(l, h, s, true, 1, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
