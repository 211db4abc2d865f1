package arch

import "github.com/infer-go/infer/kernels"

// glm4MoE records the forward pass of GLM 4.5 and 4.6: norms before each block, on each query and key head where the file has them; after
// the first layers experts chosen by sigmoids, and shared ones.
func glm4MoE(p *plan, w *weights, c Config) {
	leading, shared := c.countOr("leading_dense_block_count", 0, 0), c.countOr("expert_shared_count", 0, 0)
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	x := p.embed(w, 1)
	c.intsOr("rope.dimension_sections") // over text all sections count the same positions
	angles := p.angles(c.Rope, nil)
	block := func(l *layer, i int, x, angles kernels.Ref) kernels.Ref {
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNormIfPresent
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("post_attention_norm", c.Dim))
		return p.mixture(l, h, i, leading, e, shared*e.width, x)
	}
	for i := range c.Layers {
		x = block(w.layer(i), i, x, angles)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
	p.predictFurther(w, block)
}
