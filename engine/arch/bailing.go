package arch

import "github.com/infer-go/infer/kernels"

// bailingMoE2 records the forward pass of Ling 2 and Ring 2: a norm on each query and key head, a part of it rotated; after the first
// layers experts, chosen within the best groups by sigmoids with a bias, and shared ones.
func bailingMoE2(p *plan, w *weights, c Config) {
	leading := c.countOr("leading_dense_block_count", 0, 0)
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0),
		groups: c.countOr("expert_group_count", 0, 0), groupsUsed: c.countOr("expert_group_used_count", 0, 0)}
	shared := c.countOr("expert_shared_count", 0, 0) * c.countOr("expert_shared_feed_forward_length", 1, e.width)
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNorm
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.mixture(l, h, i, leading, e, shared, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
