package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// minicpm records the MiniCPM 1 and 2 forward pass: Granite's, with factors that files may leave out.
func minicpm(p *plan, w *weights, c Config) {
	c.has("rope.scaling.finetuned")
	residual := c.numberOr("residual_scale", float32(1.4/math.Sqrt(float64(c.Layers))))
	scale := c.numberOr("logit_scale", 256/float32(c.Dim))
	if scale == 0 {
		c.fault("logit_scale", "0", "another number: logits are divided by it")
		scale = 1
	}
	p.scaledLayers(w, c, p.embed(w, orOne(c.numberOr("embedding_scale", 12))), orOne(residual), 1/scale,
		func(l *layer, _ int, h kernels.Ref, a attention, residual float32, x kernels.Ref) kernels.Ref {
			return p.output(l, p.attend(l, h, a), a, residual, x)
		})
}

// minicpm3 records the MiniCPM 3 forward pass: latent attention (MLA) and gated networks, with fixed factors on the embeddings, each block's
// result and the logits.
func minicpm3(p *plan, w *weights, c Config) {
	m := readMLA(c)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	residual := float32(1.4 / math.Sqrt(float64(c.Layers)))
	x := p.embed(w, 12)
	for i := range c.Layers {
		l := w.layer(i)
		mixed := p.attendTurned(l, p.norm(x, l.norm("attn_norm", c.Dim)), m, c.Heads[i], angles, kernels.RopeHalves)
		x = p.project(mixed, l.linear("attn_output", c.Heads[i]*m.value, c.Dim), residual, x)
		x = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], kernels.ActSiLU, residual, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 256/float32(c.Dim), 0)
}

// deci records the DeciLM and Nemotron Super and Ultra forward pass: Llama, of whose layers some have one matrix in place of attention, or no
// attention, or no network.
func deci(p *plan, w *weights, c Config) {
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		if c.Heads[i] > 0 {
			h := p.norm(x, l.norm("attn_norm", c.Dim))
			if c.KVHeads[i] == 0 {
				x = p.project(h, l.linear("attn_output", c.Dim, c.Dim), 1, x)
			} else {
				a := c.attention(i)
				a.angles, a.style = angles, kernels.RopePairs
				x = p.output(l, p.attend(l, h, a), a, 1, x)
			}
		}
		if c.FF[i] > 0 {
			x = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
		}
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// olmo records the OLMo forward pass: Llama with layer norms that have no weights; some models clamp queries, keys and values.
func olmo(p *plan, w *weights, c Config) {
	free := norm{none, none}
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.clamp = angles, kernels.RopePairs, c.numberOr("attention.clamp_kqv", 0)
		x = p.output(l, p.attend(l, p.norm(x, free), a), a, 1, x)
		x = p.gatedFFN(l, p.norm(x, free), ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, free, 1, 0)
}

// qwen records the Qwen 1 forward pass: Qwen2 with stacked projections; files count both halves of the gated network.
func qwen(p *plan, w *weights, c Config) {
	for i, n := range c.FF {
		if n%2 != 0 {
			c.fault("feed_forward_length", fmt.Sprint(n), "an even number: the gate's and the network's width together")
			return
		}
		c.FF[i] = n / 2
	}
	p.c = c
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopeHalves, biased: true, scales: none})
}

// maincoder records the Maincoder forward pass: Qwen3 with norms after the rotation of queries and keys.
func maincoder(p *plan, w *weights, c Config) {
	p.layers(w, p.embed(w, 1), decoder{style: kernels.RopePairs, norm: headNormRotated, scales: none})
}

// bailingMoE records the first Ling's forward pass: Llama with experts and shared ones.
func bailingMoE(p *plan, w *weights, c Config) {
	c.countOr("leading_dense_block_count", 0, 0) // files name it, but all layers have experts
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, normalise: c.boolOr("expert_weights_norm", false),
		scale: c.numberOr("expert_weights_scale", 0)}
	shared := c.count("expert_shared_count")
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopePairs
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		x = p.mixture(l, p.norm(x, l.norm("ffn_norm", c.Dim)), i, 0, e, shared*e.width, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// exaoneMoE records the K-EXAONE forward pass: a norm on each query and key head, a sliding window on three of four layers, rotation on these
// alone; after the first layers experts and a shared one.
func exaoneMoE(p *plan, w *weights, c Config) {
	windows := c.windows(c.countOr("attention.sliding_window", 1, 128), 4)
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: c.boolOr("expert_weights_norm", false), scale: c.numberOr("expert_weights_scale", 0)}
	c.countOr("expert_shared_count", 0, 0)
	shared := c.countOr("expert_shared_feed_forward_length", 0, e.width)
	leading := c.countOr("leading_dense_block_count", 0, 0)
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	x := p.embed(w, 1)
	angles := p.angles(local, w.ropeFactors(c))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.norm, a.window = kernels.RopeHalves, headNorm, windows[i]
		if a.window > 0 {
			a.angles = angles
		}
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		x = p.mixture(l, p.norm(x, l.norm("ffn_norm", c.Dim)), i, leading, e, shared, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}
