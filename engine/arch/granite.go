package arch

import "github.com/infer-go/infer/kernels"

// granite records the Granite 3 and 4 forward pass, dense or with experts: Llama with factors on the embeddings, the
// scores, each block's result and the logits.
func granite(p *plan, w *weights, c Config) {
	p.graniteLayers(w, c, func(l *layer, _ int, h kernels.Ref, a attention, residual float32, x kernels.Ref) kernels.Ref {
		return p.output(l, p.attend(l, h, a), a, residual, x)
	})
}

// graniteHybrid is granite with Mamba 2 in place of attention in the layers without key heads.
func graniteHybrid(p *plan, w *weights, c Config) {
	s := readSSM(c, true)
	p.graniteLayers(w, c, func(l *layer, i int, h kernels.Ref, a attention, residual float32, x kernels.Ref) kernels.Ref {
		if c.KVHeads[i] == 0 {
			return p.mamba2(l, h, s, true, residual, x)
		}
		return p.output(l, p.attend(l, h, a), a, residual, x)
	})
}

// graniteLayers records the model; mix is what a layer does before its network.
func (p *plan) graniteLayers(w *weights, c Config, mix func(l *layer, i int, h kernels.Ref, a attention, residual float32, x kernels.Ref) kernels.Ref) {
	x := p.embed(w, orOne(c.numberOr("embedding_scale", 1)))
	residual := orOne(c.numberOr("residual_scale", 1))
	scale := c.number("logit_scale")
	if scale == 0 {
		c.fault("logit_scale", "0", "another number: logits are divided by it")
		scale = 1
	}
	p.scaledLayers(w, c, x, residual, 1/scale, mix)
}

// scaledLayers records the layers from the embeddings x on, with a factor on each block's result, and the logits, with another.
func (p *plan) scaledLayers(w *weights, c Config, x kernels.Ref, residual, logits float32, mix func(l *layer, i int, h kernels.Ref, a attention, residual float32, x kernels.Ref) kernels.Ref) {
	angles := none
	if c.boolOr("rope.scaling.finetuned", true) { // Granite files switch rope off with this key
		angles = p.angles(c.Rope, w.ropeFactors(c))
	}
	shared := c.countOr("expert_shared_feed_forward_length", 0, 0)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopePairs
		if s := c.numberOr("attention.scale", 0); s != 0 {
			a.scale = s
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = mix(l, i, h, a, residual, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		if c.Experts == 0 {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActSiLU, residual, x)
			continue
		}
		e := experts{width: c.expertWidth(c.FF[i]), act: kernels.ActSiLU, normalise: true, scale: residual * orOne(c.numberOr("expert_weights_scale", 0))}
		x = p.expertFFN(l, h, e, x)
		if shared > 0 {
			x = p.gatedFFN(l, h, ffnShared, shared, kernels.ActSiLU, residual, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), logits, 0)
}

// orOne takes a factor of 0 for none.
func orOne(f float32) float32 {
	if f == 0 {
		return 1
	}
	return f
}
