package arch

import "github.com/infer-go/infer/kernels"

// gpt2 records the GPT-2 forward pass: learned positions, layer norms and plain GELU networks, biases everywhere.
func gpt2(p *plan, w *weights, c Config) {
	x := p.Add(p.embed(w, 1), p.EmbedPosition(w.matrix("position_embd.weight", c.Dim, c.Context)))
	for i := range c.Layers {
		x = p.gptLayer(w.layer(i), x, i, c.attention(i))
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// codeShell records the CodeShell forward pass, which is StarCoder2's.
func codeShell(p *plan, w *weights, c Config) {
	starcoder2(p, w, c)
}

// mpt records the MPT forward pass: GPT-2 with ALiBi in place of positions, mostly without biases; some models clamp queries, keys and
// values.
func mpt(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	if w.has("position_embd.weight") {
		x = p.Add(x, p.EmbedPosition(w.matrix("position_embd.weight", c.Dim, c.Context)))
	}
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.alibi, a.clamp = c.numberOr("attention.max_alibi_bias", 0), c.numberOr("attention.clamp_kqv", 0)
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		x = p.plainFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), c.FF[i], kernels.ActGELU, false, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// bloom records the BLOOM forward pass: GPT-2 with a norm on the embeddings, and ALiBi in place of positions.
func bloom(p *plan, w *weights, c Config) {
	x := p.norm(p.embed(w, 1), w.biasedNorm("token_embd_norm", c.Dim))
	for i := range c.Layers {
		a := c.attention(i)
		a.alibi = 8
		x = p.gptLayer(w.layer(i), x, i, a)
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// starcoder2 records the StarCoder2 forward pass: GPT-2 with rotated positions.
func starcoder2(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		x = p.gptLayer(w.layer(i), x, i, a)
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// gptneox records the GPT-NeoX forward pass (Pythia): attention and network read norms of the same residual and are added
// to it together, or, where the file says so, follow each other as in GPT-2.
func gptneox(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	parallel := c.boolOr("use_parallel_residual", true)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.biased = angles, kernels.RopeHalves, true
		if !parallel {
			x = p.gptLayer(l, x, i, a)
			continue
		}
		h, g := p.norm(x, l.biasedNorm("attn_norm", c.Dim)), p.norm(x, l.biasedNorm("ffn_norm", c.Dim))
		x = p.biasedOutput(l, p.attend(l, h, a), a, x)
		x = p.plainFFN(l, g, c.FF[i], kernels.ActGELU, true, x)
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// gptLayer is a layer of GPT-2: norm, attention, residual; norm, plain network, residual; biases everywhere.
func (p *plan) gptLayer(l *layer, x kernels.Ref, i int, a attention) kernels.Ref {
	a.biased = true
	h := p.norm(x, l.biasedNorm("attn_norm", p.c.Dim))
	x = p.biasedOutput(l, p.attend(l, h, a), a, x)
	h = p.norm(x, l.biasedNorm("ffn_norm", p.c.Dim))
	return p.plainFFN(l, h, p.c.FF[i], kernels.ActGELU, true, x)
}
