package arch

import "github.com/infer-go/infer/kernels"

// commandR records the Command R forward pass: attention and a gated network read the same norm and are added to the
// residual together. Command R+ has a norm on each query and key head, with weights of its own for each head.
func commandR(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopePairs, headsNorm
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), orOne(c.numberOr("logit_scale", 0)), 0)
}

// cohere2 records the Command R7B and Command A forward pass: as Command R, with a sliding window on three of four layers;
// only these are rotated.
func cohere2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	windows := c.windows(c.count("attention.sliding_window"), 4)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.window = kernels.RopePairs, windows[i]
		if a.window > 0 {
			a.angles = angles
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), orOne(c.number("logit_scale")), 0)
}

// plamo records the forward pass of the first PLaMo: Command R's, with RMS norms and rotated by halves of a head.
func plamo(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
