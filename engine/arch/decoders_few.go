package arch

import (
	"fmt"

	"github.com/infer-go/infer/kernels"
)

// dbrx records the DBRX forward pass: layer norms, clamped queries, keys and values, experts.
func dbrx(p *plan, w *weights, c Config) {
	e := experts{width: c.FF[0], act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.clamp = angles, kernels.RopeHalves, c.number("attention.clamp_kqv")
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		x = p.expertFFN(l, p.norm(x, l.norm("attn_output_norm", c.Dim)), e, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// openELM records the OpenELM forward pass: Qwen3's, with heads and networks that grow from layer to layer.
func openELM(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, norm: headNorm, scales: none})
}

// paddleOCR records the text half of PaddleOCR-VL: ERNIE 4.5, whose rotations' sections all count the same positions over text.
func paddleOCR(p *plan, w *weights, c Config) {
	c.intsOr("rope.dimension_sections")
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, scales: none})
}

// bitnet records the BitNet b1.58 forward pass: Llama with norms before the output matrices of attention and network. Weights are ternary
// with a scale each; the embedding table is the output matrix.
func bitnet(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a)
		x = p.output(l, p.norm(h, l.norm("attn_sub_norm", a.heads*a.valueDim)), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		gate, up := l.linear("ffn_gate", c.Dim, c.FF[i]), l.linear("ffn_up", c.Dim, c.FF[i])
		h = p.Element(kernels.ElActMul, kernels.ActSiLU, p.linear(h, gate), p.linear(h, up), 1, 0)
		x = p.project(p.norm(h, l.norm("ffn_sub_norm", c.FF[i])), l.linear("ffn_down", c.FF[i], c.Dim), 1, x)
	}
	w.touch("output.weight")
	p.tied = true
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// arctic records the Snowflake Arctic forward pass: after attention a network of the model's width, and beside both experts that read the row
// that enters the layer.
func arctic(p *plan, w *weights, c Config) {
	e := experts{width: c.FF[0], act: kernels.ActSiLU, normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopePairs
		y := p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		y = p.gatedFFN(l, p.norm(y, l.norm("ffn_norm", c.Dim)), ffnDense, c.Dim, kernels.ActSiLU, 1, y)
		x = p.expertFFN(l, p.norm(x, l.norm("ffn_norm_exps", c.Dim)), e, y)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// step35 records the Step 3.5 forward pass: heads that differ between layers with and without a window, a gate on each head's result; the
// former rotate whole heads at a base of their own, the latter half of each.
func step35(p *plan, w *weights, c Config) {
	for _, key := range []string{"swiglu_clamp_exp", "swiglu_clamp_shexp"} {
		if all, _, err := c.meta.Floats(c.name(key)); err == nil {
			for i, v := range all {
				if v != 0 {
					c.fault(key, fmt.Sprintf("%v for layer %d", v, i), "0: clamped gates are not supported")
				}
			}
		}
	}
	windows := c.windows(c.count("attention.sliding_window"), 0)
	e := experts{act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	shared := 0
	if c.Experts > 0 {
		e.width, shared = c.count("expert_feed_forward_length"), c.count("expert_shared_feed_forward_length")
	}
	x := p.embed(w, 1)
	global := p.anglesOf(c.Rope, c.Rotated/4*2, w.ropeFactors(c))
	local := p.angles(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", c.Rope.base)), nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.norm, a.window = global, kernels.RopeHalves, headNormIfPresent, windows[i]
		if windows[i] > 0 {
			a.angles = local
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		mixed := p.attend(l, h, a)
		if l.has("attn_gate.weight") {
			mixed = p.multiply(mixed, p.outputGate(l, h, a, kernels.ActSigmoid))
		}
		x = p.output(l, mixed, a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		leading := 0
		if !l.has("ffn_gate_inp.weight") {
			leading = c.Layers
		}
		x = p.mixture(l, h, i, leading, e, shared, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
