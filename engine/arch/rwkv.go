package arch

import (
	"fmt"

	"github.com/infer-go/infer/kernels"
)

// RWKV has no attention: a state for each head, whose rows decay each at a rate of its own, is written with keys and values and read with
// receptances. What a layer reads is mixed with the same of the token before ("token shift").

// rwkv are the sizes of a model.
type rwkv struct {
	heads, width int  // width: of a head
	hybrid       bool // a transformer of which attention alone was replaced: some parts may be missing
}

func readRWKV(c Config) rwkv {
	c.countOr("token_shift_count", 0, 2)
	width := c.count("wkv.head_size")
	if c.Dim%width != 0 {
		c.fault("wkv.head_size", fmt.Sprint(width), fmt.Sprintf("a divisor of embedding_length, %d", c.Dim))
		width = c.Dim
	}
	return rwkv{heads: c.Dim / width, width: width}
}

// rwkv7 records the RWKV 7 forward pass (https://arxiv.org/abs/2503.14456): the state is corrected by a rank-one term, and every layer's values
// are mixed with the first layer's.
func rwkv7(p *plan, w *weights, c Config) {
	r := readRWKV(c)
	x := p.norm(p.embed(w, 1), w.biasedNorm("token_embd_norm", c.Dim))
	first := none
	for i := range c.Layers {
		l := w.layer(i)
		x, first = p.timeMix7(l, p.norm(x, l.biasedNorm("attn_norm", c.Dim)), r, first, x)
		h := p.norm(x, l.biasedNorm("attn_norm_2", c.Dim))
		mixed := p.shifted(h, l.shares("channel_mix_lerp_k.weight", c.Dim, 1), 1)
		x = p.project(p.squared(mixed, l.linear("channel_mix_key", c.Dim, c.FF[i])), l.linear("channel_mix_value", c.FF[i], c.Dim), 1, x)
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// timeMix7 is the recurrent half of a layer on h. Results: its output with the residual, and the first layer's values.
func (p *plan) timeMix7(l *layer, h kernels.Ref, r rwkv, first, residual kernels.Ref) (out, values kernels.Ref) {
	c, dim := p.c, int64(p.c.Dim)
	parts, gated := 6, l.has("time_mix_g1.weight") || !r.hybrid
	if !gated {
		parts = 5
	}
	all := p.shifted(h, l.shares("time_mix_lerp_fused.weight", c.Dim, parts), parts)
	mixed := func(n int64) kernels.Ref { return p.Columns(all, n*dim, dim) } // of receptance, decay, key, value, rate, gate
	rates := func(name, key string, x kernels.Ref, inner, outer kernels.Act) kernels.Ref {
		return p.lowRank(l, "time_mix_"+name, c.count("attention."+key+"_lora_rank"), x, inner, outer)
	}
	receptance := p.linear(mixed(0), l.linear("time_mix_receptance", c.Dim, c.Dim))
	decay := p.Scale(rates("w", "decay", mixed(1), kernels.ActTanh, kernels.ActSigmoid), -0.606531) // e^-0.5
	k := p.linear(mixed(2), l.linear("time_mix_key", c.Dim, c.Dim))
	v := p.linear(mixed(3), l.linear("time_mix_value", c.Dim, c.Dim))
	if first == none {
		first = v
		for _, name := range []string{"v0", "v1", "v2"} { // files have them for the first layer too
			l.touch(l.prefix + "time_mix_" + name + ".weight")
		}
	} else {
		share := rates("v", "value_residual_mix", mixed(3), kernels.ActNone, kernels.ActSigmoid)
		v = p.Add(v, p.multiply(p.Element(kernels.ElAdd, kernels.ActNone, first, v, 1, -1), share))
	}
	rate := rates("a", "iclr", mixed(4), kernels.ActNone, kernels.ActSigmoid)
	removed := p.Norm(p.multiply(k, l.vector("time_mix_k_k.weight", c.Dim)), kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Eps: 1e-12, Groups: r.heads})
	scaled := p.multiply(k, l.vector("time_mix_k_a.weight", c.Dim))
	k = p.Add(p.Element(kernels.ElAdd, kernels.ActNone, k, scaled, 1, -1), p.multiply(scaled, rate))
	y := p.WKV(receptance, k, v, kernels.WKVSpec{Decay: decay, A: removed, B: p.multiply(removed, rate), Heads: r.heads})
	y = p.Add(p.headsNormed(l, y, r), p.bonus(receptance, k, v, l.vector("time_mix_r_k.weight", c.Dim), r))
	if gated {
		y = p.multiply(y, p.lowRankPlain(l, "time_mix_g", c.count("attention.gate_lora_rank"), mixed(5), kernels.ActSigmoid))
	}
	return p.project(y, l.linear("time_mix_output", c.Dim, c.Dim), 1, residual), first
}

// rwkv6 records the RWKV 6 forward pass (https://arxiv.org/abs/2404.05892): how much of the token before is mixed in depends on the token.
func rwkv6(p *plan, w *weights, c Config) {
	r := readRWKV(c)
	halve := c.countOr("rescale_every_n_layers", 0, 0)
	x := p.norm(p.embed(w, 1), w.biasedNorm("token_embd_norm", c.Dim))
	for i := range c.Layers {
		l := w.layer(i)
		x = p.timeMix6(l, p.norm(x, l.biasedNorm("attn_norm", c.Dim)), r, x)
		h := p.norm(x, l.biasedNorm("attn_norm_2", c.Dim))
		forKey := p.shifted(h, l.shares("channel_mix_lerp_k.weight", c.Dim, 1), 1)
		forGate := p.shifted(h, l.shares("channel_mix_lerp_r.weight", c.Dim, 1), 1)
		gate := p.linear(forGate, l.linear("channel_mix_receptance", c.Dim, c.Dim))
		y := p.linear(p.squared(forKey, l.linear("channel_mix_key", c.Dim, c.FF[i])), l.linear("channel_mix_value", c.FF[i], c.Dim))
		x = p.Add(x, p.Element(kernels.ElMulAct, kernels.ActSigmoid, y, gate, 1, 0))
		if halve > 0 && (i+1)%halve == 0 {
			x = p.Scale(x, 0.5)
		}
	}
	p.logits(w, x, w.biasedNorm("output_norm", c.Dim), 1, 0)
}

// timeMix6 is the recurrent half of a layer on h, with the residual.
func (p *plan) timeMix6(l *layer, h kernels.Ref, r rwkv, residual kernels.Ref) kernels.Ref {
	c, dim := p.c, int64(p.c.Dim)
	all := p.mixedByToken(l, h)
	mixed := func(n int64) kernels.Ref { return p.Columns(all, n*dim, dim) } // of decay, key, value, receptance, gate
	decay := p.lowRankOf(mixed(0), l.linear("time_mix_decay_w1", c.Dim, c.count("time_decay_extra_dim")), l.linear("time_mix_decay_w2", c.count("time_decay_extra_dim"), c.Dim),
		l.vector("time_mix_decay.weight", c.Dim), kernels.ActTanh, kernels.ActExp)
	k := p.linear(mixed(1), l.linear("time_mix_key", c.Dim, c.Dim))
	v := p.linear(mixed(2), l.linear("time_mix_value", c.Dim, c.Dim))
	receptance := p.linear(mixed(3), l.linear("time_mix_receptance", c.Dim, c.Dim))
	gate := p.linear(mixed(4), l.linear("time_mix_gate", c.Dim, c.Dim))
	y := p.WKV(receptance, k, v, kernels.WKVSpec{Decay: p.Scale(decay, -1), A: none, B: none, Heads: r.heads, Before: true})
	y = p.headsNormed(l, p.Add(y, p.bonus(receptance, k, v, l.row("time_mix_first.weight", r.width, r.heads), r)), r)
	return p.project(p.Element(kernels.ElActMul, kernels.ActSiLU, gate, y, 1, 0), l.linear("time_mix_output", c.Dim, c.Dim), 1, residual)
}

// mixedByToken mixes h with the token before five times, each by shares that a network of low rank computes. Result: [tokens, 5*dim].
func (p *plan) mixedByToken(l *layer, h kernels.Ref) kernels.Ref {
	c, rank := p.c, p.c.count("time_mix_extra_dim")
	before := p.Element(kernels.ElAdd, kernels.ActNone, p.shifted(h, repeated(1, c.Dim), 1), h, 1, -1) // less this one
	start := p.Add(h, p.multiply(before, l.row("time_mix_lerp_x.weight", c.Dim)))
	s := kernels.NoEpilogue
	s.Act = kernels.ActTanh
	low := p.MatMul(start, l.linear("time_mix_w1", c.Dim, 5*rank).weight, s)
	shares := p.HeadsMatMul(low, l.matrices(l.prefix+"time_mix_w2.weight", rank, c.Dim, 5), 5, rank, 0)
	shares = p.Element(kernels.ElAdd, kernels.ActNone, shares, l.fiveShares(c.Dim), 1, 1)
	return p.Add(p.times(h, 5), p.multiply(shares, p.times(before, 5)))
}

// fiveShares are the shares that every token has: one tensor, or five in older files.
func (l *layer) fiveShares(dim int) kernels.Ref {
	if l.has("time_mix_lerp_fused.weight") {
		return l.row("time_mix_lerp_fused.weight", dim, 1, 1, 5)
	}
	var all []float32
	for _, part := range []string{"w", "k", "v", "r", "g"} {
		all = append(all, l.shares("time_mix_lerp_"+part+".weight", dim, 1)...)
	}
	if len(all) != 5*dim { // reported
		return none
	}
	return l.plan.Constant(l.prefix+"time_mix_lerp", all)
}
