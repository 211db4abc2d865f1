package arch

import "github.com/infer-go/infer/kernels"

// ernie4_5 is recorded as llama.

// ernieMoE records the ERNIE 4.5 mixture of experts: Llama, with experts on every so many layers after the first ones; their router
// has a bias for the choice alone, and a shared expert stands beside them where the file has one.
func ernieMoE(p *plan, w *weights, c Config) {
	leading, step := c.countOr("leading_dense_block_count", 0, 0), c.countOr("interleave_moe_layer_step", 1, 1)
	shared := c.countOr("expert_shared_feed_forward_length", 0, 0)
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopePairs
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		if i < leading || (i+1)%step != 0 {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		e := experts{width: c.expertWidth(c.FF[i]), act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0), choiceBias: true}
		x = p.expertFFN(l, h, e, x)
		if shared > 0 {
			x = p.gatedFFN(l, h, ffnShared, shared, kernels.ActSiLU, 1, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
