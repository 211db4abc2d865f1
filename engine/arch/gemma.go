package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

// Gemma's embeddings are scaled by the root of their width; its norm weights are stored with 1 added.

// gemma records the Gemma forward pass: Llama with a GELU gate.
func gemma(p *plan, w *weights, c Config) {
	x := p.embed(w, float32(math.Sqrt(float64(c.Dim))))
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style = angles, kernels.RopeHalves
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActGELU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// gemma2 records the Gemma 2 forward pass: norms before and after each block, every second layer with a sliding window,
// and soft caps on scores and logits.
func gemma2(p *plan, w *weights, c Config) {
	windows := c.windows(c.countOr("attention.sliding_window", 0, 4096), 2)
	local := c.Rope
	local.base = c.numberOr("rope.freq_base_swa", c.Rope.base)
	g := gemmaLayers{
		windows: windows, global: p.angles(c.Rope, nil), local: p.angles(local, nil),
		softcap: c.numberOr("attn_logit_softcapping", 50), scale: gemmaScale(c, 46),
	}
	x := g.record(p, w, c)
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, c.numberOr("final_logit_softcapping", 30))
}

// gemma3 records the Gemma 3 forward pass: as Gemma 2 without soft caps, with a norm on each query and key head; layers
// with a sliding window, five of six, rotate at a base of their own and are never stretched.
func gemma3(p *plan, w *weights, c Config) {
	g := gemmaLayers{windows: make([]int, c.Layers), global: p.angles(c.Rope, nil), norm: headNorm, scale: gemmaScale(c, 62)}
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		g.windows = c.windows(window, 6)
		g.local = p.angles(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", 10000)), nil)
	}
	x := g.record(p, w, c)
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, c.numberOr("final_logit_softcapping", 0))
}

// gemmaEmbedding records the EmbeddingGemma forward pass: Gemma 3 with attention both ways.
func gemmaEmbedding(p *plan, w *weights, c Config) {
	p.c.causal, c.causal = false, false
	local := c.Rope.unscaled(c.numberOr("rope.freq_base_swa", 10000))
	g := gemmaLayers{windows: c.windows(c.countOr("attention.sliding_window", 0, 0), 6), global: p.angles(c.Rope, nil), local: p.angles(local, nil),
		norm: headNorm, scale: float32(1 / math.Sqrt(float64(c.KeyDim)))}
	x := g.record(p, w, c)
	p.encoded(w, p.norm(x, w.norm("output_norm", c.Dim)))
}

// gemmaScale is the factor on the scores. The 27B models, known by their number of layers, divide the width by the heads
// although their heads have another width.
func gemmaScale(c Config, layersOf27B int) float32 {
	width := c.KeyDim
	if c.Layers == layersOf27B {
		width = c.Dim / c.Heads[0]
	}
	return float32(1 / math.Sqrt(float64(width)))
}

// gemmaLayers is what the layers of Gemma 2 and 3 differ in.
type gemmaLayers struct {
	windows       []int
	global, local kernels.Ref // angles of layers without and with a window
	norm          qkNorm
	softcap       float32
	scale         float32
}

func (g gemmaLayers) record(p *plan, w *weights, c Config) kernels.Ref {
	x := p.embed(w, float32(math.Sqrt(float64(c.Dim))))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.style, a.norm, a.softcap, a.scale, a.window = kernels.RopeHalves, g.norm, g.softcap, g.scale, g.windows[i]
		if a.angles = g.global; a.window > 0 {
			a.angles = g.local
		}
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		h = p.output(l, p.attend(l, h, a), a, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_attention_norm", c.Dim)))
		h = p.norm(x, l.norm("ffn_norm", c.Dim))
		h = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActGELU, 1, none)
		x = p.Add(x, p.norm(h, l.norm("post_ffw_norm", c.Dim)))
	}
	return x
}
