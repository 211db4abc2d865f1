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

// nomicBERTMoE records the Nomic Embed 2 forward pass: rotated positions, plain networks, and experts without gates in every n-th layer.
func nomicBERTMoE(p *plan, w *weights, c Config) {
	p.encoder(w, p.embedTypes(w), encoderLayers{angles: true, expertsEvery: c.countOr("moe_every_n_layers", 0, 0)})
}

// jinaBERT2 records the Jina Embeddings 2 forward pass: ALiBi to both sides, gated networks where the file has gates.
func jinaBERT2(p *plan, w *weights, c Config) {
	p.encoder(w, p.embedTypes(w), encoderLayers{alibi: 8, gate: kernels.ActGELUErf, gateIfPresent: true})
}

// jinaBERT3 records the Jina Embeddings 3 forward pass: rotated positions, plain networks.
func jinaBERT3(p *plan, w *weights, c Config) {
	p.encoder(w, p.embedTypes(w), encoderLayers{angles: true})
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
	angles bool // positions are rotated into queries and keys
	alibi  float32
	gate   kernels.Act // of a gated network; none: a plain one with the exact GELU

	gateIfPresent bool // a layer without a gate has a plain network
	expertsEvery  int  // of so many layers the second has experts; 0: none has
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
		a.bothWays, a.angles, a.style, a.norm, a.alibi = true, angles, kernels.RopeHalves, rowNormIfPresent, e.alibi
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
	if e.expertsEvery > 0 && i%e.expertsEvery == 1 {
		return p.expertFFN(l, h, experts{width: p.c.FF[i], act: kernels.ActGELUErf, plain: true, scale: p.c.numberOr("expert_weights_scale", 0)}, h)
	}
	if e.gateIfPresent && !l.has("ffn_gate.weight") && l.rows("ffn_up.weight") != int64(2*p.c.FF[i]) {
		e.gate = kernels.ActNone
	}
	if e.gate != kernels.ActNone {
		return p.gatedFFN(l, h, ffnDense, p.c.FF[i], e.gate, 1, h)
	}
	return p.plainFFN(l, h, p.c.FF[i], kernels.ActGELUErf, false, h)
}
