package arch

import (
	"github.com/infer-go/infer/kernels"
)

// deepseek2 records the DeepSeek V2, V3 and R1 forward pass: keys and values come from a narrow latent that the heads share
// (MLA, https://arxiv.org/abs/2405.04434), and most layers have many small experts beside some that every token uses.
func deepseek2(p *plan, w *weights, c Config) {
	m := readMLA(c)
	if t := c.numberOr("attention.temperature_scale", 0); t != 0 { // Mistral Large 3
		m.scales = p.temperature(t, 0, c.countOr("attention.temperature_length", 1, c.Rope.original))
	}
	angles := p.angles(c.Rope, nil)
	dense := c.countOr("leading_dense_block_count", 0, 0)
	e := experts{
		act: kernels.ActSiLU, gating: m.gating(c), normalise: c.boolOr("expert_weights_norm", false),
		scale: c.numberOr("expert_weights_scale", 0), choiceBias: true,
		groups: c.countOr("expert_group_count", 0, 0), groupsUsed: c.countOr("expert_group_used_count", 0, 0),
	}
	shared := c.countOr("expert_shared_count", 0, 0)
	if dense < c.Layers {
		e.width = c.count("expert_feed_forward_length")
	}
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		mixed := p.attendLatent(l, h, m, c.Heads[i], angles)
		x = p.project(mixed, l.linear("attn_output", c.Heads[i]*m.value, c.Dim), 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		if i < dense {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		x = p.expertFFN(l, h, e, x)
		if shared > 0 {
			x = p.gatedFFN(l, h, ffnShared, e.width*shared, kernels.ActSiLU, 1, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// gating returns the router's function. Files from before V3 do not name it; nor do some of GLM-4.7-Flash, which are known by
// their shape.
func (mla) gating(c Config) kernels.Gating {
	if (c.Layers == 47 || c.Layers == 48) && c.Vocab == 154880 {
		return c.gating(kernels.GateSigmoid)
	}
	return c.gating(kernels.GateSoftmax)
}
