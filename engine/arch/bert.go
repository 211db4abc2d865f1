package arch

import "github.com/infer-go/infer/kernels"

// BERT and its kin: every token sees the whole text, norms follow the residuals, and there is no output matrix. They were
// trained with the exact GELU; llama.cpp takes the tanh form, which is some 2e-4 away.

// bert records the BERT forward pass, that of RoBERTa and XLM-RoBERTa too: learned positions, biases everywhere.
func bert(p *plan, w *weights, c Config) {
	x := p.Add(p.embedTypes(w), p.EmbedPosition(w.matrix("position_embd.weight", c.Dim, c.Context)))
	p.encoder(w, x, encoderLayers{})
}

// nomicBERT records the Nomic BERT forward pass: rotated positions, gated networks.
func nomicBERT(p *plan, w *weights, c Config) {
	p.encoder(w, p.embedTypes(w), encoderLayers{angles: true, gate: kernels.ActSiLU})
}

// embedTypes looks tokens and, where the model has some, token types up.
func (p *plan) embedTypes(w *weights) kernels.Ref {
	x := p.embed(w, 1)
	if w.has("token_types.weight") {
		p.tokenTypes = int(w.rows("token_types.weight"))
		x = p.Add(x, p.EmbedType(w.matrix("token_types.weight", p.c.Dim, p.tokenTypes)))
	}
	return x
}

// encoderLayers is what the layers of the BERT family differ in.
type encoderLayers struct {
	angles bool        // positions are rotated into queries and keys
	gate   kernels.Act // of a gated network; none: a plain one with the exact GELU
}

// encoder records the layers and the pooling: h = norm(x + attention(x)); x = norm(h + network(h)).
func (p *plan) encoder(w *weights, x kernels.Ref, e encoderLayers) {
	c := p.c
	p.c.causal = false
	x = p.norm(x, w.biasedNorm("token_embd_norm", c.Dim))
	angles := none
	if e.angles {
		angles = p.angles(c.Rope, nil)
	}
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.bothWays, a.angles, a.style, a.norm = true, angles, kernels.RopeHalves, rowNormIfPresent
		h := p.norm(p.output(l, p.attend(l, x, a), a, 1, x), l.biasedNorm("attn_output_norm", c.Dim))
		if l.has("attn_norm_2.weight") { // the layer's input is added once more
			h = p.norm(p.Add(h, x), l.biasedNorm("attn_norm_2", c.Dim))
		}
		x = p.norm(p.encoderFFN(l, h, i, e), l.biasedNorm("layer_output_norm", c.Dim))
	}
	p.encoded(w, x)
}

// encoderFFN is network(h) + h.
func (p *plan) encoderFFN(l *layer, h kernels.Ref, i int, e encoderLayers) kernels.Ref {
	if e.gate != kernels.ActNone {
		return p.gatedFFN(l, h, ffnDense, p.c.FF[i], e.gate, 1, h)
	}
	return p.plainFFN(l, h, p.c.FF[i], kernels.ActGELUErf, false, h)
}
