package arch

import "github.com/infer-go/infer/kernels"

// stablelm records the StableLM forward pass: Llama with layer norms. StableLM 2 12B has no norm before its network, which
// then reads attention's, and a norm on each query and key head with weights of its own.
func stablelm(p *plan, w *weights, c Config) {
	c.name("use_parallel_residual") // the tensors tell
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headsNorm
		h := p.norm(x, l.biasedNorm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		if l.has("ffn_norm.weight") {
			h = p.norm(x, l.norm("ffn_norm", c.Dim))
		}
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}
