package arch

import "github.com/infer-go/infer/kernels"

// arcee records the forward pass of Arcee's AFM: Llama, with a plain network whose activation is the square of ReLU.
func arcee(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopePairs
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.plainFFN(l, h, c.FF[i], kernels.ActReLUSquared, false, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
