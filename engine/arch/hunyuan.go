package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

// hunyuan records the Hunyuan forward pass: Llama, with a norm on each query and key head after its rotation. The mixture of experts has a
// shared one beside those chosen.
func hunyuan(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNormRotated
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		if c.Experts == 0 {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
			continue
		}
		c.expertWidth(c.FF[i]) // the tensors have the other width, which is the same in real files
		e := experts{width: c.FF[i], act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
		x = p.expertFFN(l, h, e, x)
		x = p.gatedFFN(l, h, ffnShared, c.countOr("expert_shared_feed_forward_length", 1, c.FF[i]), kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// hunyuanVL records the text half of Hunyuan-VL and -OCR: the dense model, whose rotations' sections all count the same positions over text.
func hunyuanVL(p *plan, w *weights, c Config) {
	c.intsOr("rope.dimension_sections")
	if alpha := c.numberOr("rope.scaling.alpha", 0); alpha > 0 && c.KeyDim > 2 { // stretches the slow pairs
		c.Rope.base *= float32(math.Pow(float64(alpha), float64(c.KeyDim)/float64(c.KeyDim-2)))
	}
	hunyuan(p, w, c)
}
