package arch

import "github.com/infer-go/infer/kernels"

// deepseek records the forward pass of DeepSeek MoE, the first version: Llama; after the first layers experts and shared ones.
func deepseek(p *plan, w *weights, c Config) { p.deepseekLayers(w, c, kernels.RopePairs) }

// deepseekOCR records the text half of DeepSeek-OCR: the same, rotated by halves of a head.
func deepseekOCR(p *plan, w *weights, c Config) { p.deepseekLayers(w, c, kernels.RopeHalves) }

func (p *plan) deepseekLayers(w *weights, c Config, style kernels.RopeStyle) {
	leading, shared := c.countOr("leading_dense_block_count", 0, 0), c.countOr("expert_shared_count", 0, 0)
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSoftmax), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, style
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.mixture(l, h, i, leading, e, shared*e.width, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
