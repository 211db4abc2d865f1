package arch

import "github.com/infer-go/infer/kernels"

// lfm2 records the LFM2 forward pass: attention in layers with key heads, else a short convolution; both before a gated network, or in
// the mixture of experts after its first layers before experts, whose router has a bias for the choice alone.
func lfm2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	taps, leading := c.count("shortconv.l_cache"), c.countOr("leading_dense_block_count", 0, 0)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		if c.KVHeads[i] == 0 {
			x = p.shortConv(l, h, taps, x)
		} else {
			a := c.attention(i)
			a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNorm
			x = p.output(l, p.attend(l, h, a), a, 1, x)
		}
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		if c.Experts == 0 {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), normalise: true, choiceBias: true,
			scale: c.numberOr("expert_weights_scale", 0)}
		x = p.mixture(l, h, i, leading, e, 0, x)
	}
	last := "token_embd_norm" // the output's norm, by the name that these files give it
	if w.has("output_norm.weight") {
		last = "output_norm"
	}
	p.logits(w, x, w.norm(last, c.Dim), 1, 0)
}

// shortConv projects h to three parts, convolves the product of the first and the third, and multiplies by the second.
func (p *plan) shortConv(l *layer, h kernels.Ref, taps int, residual kernels.Ref) kernels.Ref {
	dim := int64(p.c.Dim)
	all := p.linear(h, l.linear("shortconv.in_proj", p.c.Dim, 3*p.c.Dim))
	part := func(i int64) kernels.Ref { return p.Columns(all, i*dim, dim) }
	y := p.Element(kernels.ElMul, kernels.ActNone, part(0), part(2), 1, 0)
	y = p.Conv(y, l.transposed("shortconv.conv.weight", taps, p.c.Dim), none, kernels.ActNone)
	y = p.Element(kernels.ElMul, kernels.ActNone, part(1), y, 1, 0)
	return p.project(y, l.linear("shortconv.out_proj", p.c.Dim, p.c.Dim), 1, residual)
}
