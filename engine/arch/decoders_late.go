package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

// hyV3 records the Hunyuan 3 forward pass: a norm on each query and key head; layers are dense, or have experts and a shared one, as their
// tensors say.
func hyV3(p *plan, w *weights, c Config) {
	e := experts{width: c.expertWidth(c.FF[0] / max(1, c.ExpertsUsed)), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	shared := c.countOr("expert_shared_feed_forward_length", 1, e.width)
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm = angles, kernels.RopeHalves, headNorm
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		leading := 0
		if !l.has("ffn_gate_inp.weight") {
			leading = c.Layers
		}
		x = p.mixture(l, p.norm(x, l.norm("ffn_norm", c.Dim)), i, leading, e, shared, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// llamaEmbed records the forward pass of Llamas that were trained to give vectors of texts: Llama both ways.
func llamaEmbed(p *plan, w *weights, c Config) {
	p.c.causal, c.causal = false, false
	if c.Pooling == NoPooling {
		p.encoded(w, none) // reports it
		return
	}
	llama(p, w, c)
}

// grok records the Grok 1 and 2 forward pass: norms before and after each block, capped scores, experts of GELU, and in Grok 2 a network
// beside them.
func grok(p *plan, w *weights, c Config) {
	c.Rope.fast = c.numberOr("rope.scaling.yarn_beta_fast", 8)
	c.numberOr("router_logit_softcapping", 30) // which the models' own code has, and does not apply
	c.countOr("attention.temperature_length", 0, 0)
	e := experts{width: c.expertWidth(c.FF[0]), act: kernels.ActGELU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	x := p.embed(w, c.numberOr("embedding_scale", 78.38367176906169))
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		a.scale, a.softcap = c.numberOr("attention.output_scale", 0.08838834764831845), c.numberOr("attn_logit_softcapping", 30)
		h := p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, none)
		x = p.Add(x, p.norm(h, l.norm("attn_output_norm", c.Dim)))
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		y := p.expertFFN(l, h, e, none)
		if l.has("ffn_up.weight") {
			beside := p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActGELU, 1, none)
			y = p.Element(kernels.ElAdd, kernels.ActNone, y, beside, float32(math.Sqrt2/2), float32(math.Sqrt2/2))
		}
		after := "post_ffw_norm"
		if l.has("layer_output_norm.weight") {
			after = "layer_output_norm"
		}
		x = p.Add(x, p.norm(y, l.norm(after, c.Dim)))
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), orOne(c.numberOr("logit_scale", 0.5773502691896257)), c.numberOr("final_logit_softcapping", 0))
}
