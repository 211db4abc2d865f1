package arch

import "github.com/infer-go/infer/kernels"

// phi2 records the Phi-1.5 and Phi-2 forward pass: attention and a plain network read the same norm and are added to
// the residual together; part of each head is rotated.
func phi2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.biased = angles, kernels.RopeHalves, true
		h := p.norm(x, l.biasedNorm("attn_norm", c.Dim))
		x = p.biasedOutput(l, p.attend(l, h, a), a, x)
		x = p.plainFFN(l, h, c.FF[i], kernels.ActGELU, true, x)
	}
	w.vector("output.bias", c.Vocab)
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// phi3 records the Phi-3, 3.5 and 4 forward pass: Llama with stacked projections and two sets of rope frequencies. The
// sliding window that some files announce is not used: the models were trained to see everything, and files disagree on it.
func phi3(p *plan, w *weights, c Config) {
	c.name("attention.sliding_window")
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
