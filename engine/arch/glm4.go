package arch

import "github.com/infer-go/infer/kernels"

// glm4 records the GLM-4-0414 forward pass: norms before and after each block, gate and up stacked in one tensor, and half
// of each head rotated.
func glm4(p *plan, w *weights, c Config) {
	style := kernels.RopePairs
	if sections := c.intsOr("rope.dimension_sections"); len(sections) > 1 && sections[0] > 0 && sections[1] > 0 {
		style = kernels.RopeHalves // for images as well; over text all sections count the same positions
	}
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, style
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		h = p.output(l, p.attend(l, h, a), a, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_attention_norm", c.Dim)))
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		h = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
