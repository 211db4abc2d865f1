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
		case c.FF[i] > 0 && c.Experts > 0:
			x = p.nemotronExperts(l, h, c.expertWidth(c.FF[i]), x)
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

// nemotronExperts is a mixture of experts without gates and a shared one; in some models the experts work in a narrower space.
func (p *plan) nemotronExperts(l *layer, h kernels.Ref, width int, residual kernels.Ref) kernels.Ref {
	c := p.c
	e := experts{width: width, act: kernels.ActReLUSquared, plain: true, gating: kernels.GateSigmoid, choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	c.countOr("expert_shared_count", 0, 0)
	shared := c.count("expert_shared_feed_forward_length")
	latent := c.countOr("moe_latent_size", 0, 0)
	router := p.linear(h, l.linear("ffn_gate_inp", c.Dim, c.Experts))
	if latent == 0 {
		residual = p.routed(l, h, router, e, residual)
	} else {
		y := p.routed(l, p.linear(h, l.linear("ffn_latent_down", c.Dim, latent)), router, e, none)
		residual = p.project(y, l.linear("ffn_latent_up", latent, c.Dim), 1, residual)
	}
	return p.project(p.squared(h, l.linear("ffn_up_shexp", c.Dim, shared)), l.linear("ffn_down_shexp", shared, c.Dim), 1, residual)
}
