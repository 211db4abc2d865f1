package arch

import (
	"github.com/infer-go/infer/kernels"
)

// Encoders of the decoders' build: norms before each block, rotated positions, gated networks; every token sees the whole text.

// modernBERT records the ModernBERT forward pass: the first of three layers sees everything, the others a window to both sides, at a rope base
// of their own. Its networks' gate is the exact GELU; llama.cpp takes the tanh form.
func modernBERT(p *plan, w *weights, c Config) {
	p.c.causal, c.causal = false, false
	windows, global := make([]int, c.Layers), p.angles(c.Rope, nil)
	local := global
	if window := c.countOr("attention.sliding_window", 0, 0); window > 0 {
		windows = c.windowsButFirst(window, 3)
		local = p.angles(c.Rope.unscaled(c.numberOr("rope.freq_base_swa", 10000)), nil)
	}
	act := kernels.ActGELUErf
	if name := c.textOr("hidden_activation", "gelu"); name == "silu" {
		act = kernels.ActSiLU
	} else if name != "gelu" {
		c.fault("hidden_activation", name, "gelu or silu")
	}
	x := p.norm(p.embed(w, 1), w.norm("token_embd_norm", c.Dim))
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.bothWays, a.window = global, kernels.RopeHalves, true, windows[i]
		if a.window > 0 {
			a.angles = local
		}
		h := x
		if i > 0 || l.has("attn_norm.weight") { // the embeddings are normalised already
			h = p.norm(x, l.norm("attn_norm", c.Dim))
		}
		x = p.output(l, p.attend(l, h, a), a, 1, x)
		x = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], act, 1, x)
	}
	p.encoded(w, p.norm(x, w.norm("output_norm", c.Dim)))
}

// neoBERT records the NeoBERT forward pass.
func neoBERT(p *plan, w *weights, c Config) {
	p.preNormEncoder(w, kernels.RopePairs, "enc.output_norm")
}

// euroBERT records the EuroBERT forward pass.
func euroBERT(p *plan, w *weights, c Config) {
	p.preNormEncoder(w, kernels.RopeHalves, "output_norm")
}

func (p *plan) preNormEncoder(w *weights, style kernels.RopeStyle, last string) {
	p.c.causal = false
	c := p.c
	x := p.embed(w, 1)
	angles := p.angles(c.Rope, nil)
	for i := range c.Layers {
		l := w.layer(i)
		a := c.attention(i)
		a.angles, a.style, a.bothWays = angles, style, true
		x = p.output(l, p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a), a, 1, x)
		x = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.encoded(w, p.norm(x, w.norm(last, c.Dim)))
}
