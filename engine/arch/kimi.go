package arch

import (
	"math"

	"github.com/infer-go/infer/kernels"
)

// kimiLinear records the Kimi Linear forward pass (https://arxiv.org/abs/2510.26692): most layers are the delta rule with a decay for each element of
// a key, the others latent attention without positions; after the first layers experts chosen by sigmoids, and shared ones.
func kimiLinear(p *plan, w *weights, c Config) {
	m := readMLA(c)
	e := experts{width: c.count("expert_feed_forward_length"), act: kernels.ActSiLU, gating: c.gating(kernels.GateSigmoid), choiceBias: true,
		normalise: true, scale: c.numberOr("expert_weights_scale", 0)}
	leading, shared := c.countOr("leading_dense_block_count", 0, 0), c.count("expert_shared_count")
	width, taps := c.count("kda.head_dim"), c.count("ssm.conv_kernel")
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		h := p.norm(x, l.norm("attn_norm", c.Dim))
		if c.KVHeads[i] == 0 {
			x = p.keyDecay(l, h, c.Heads[i], width, taps, x)
		} else {
			mixed := p.attendLatent(l, h, m, c.Heads[i], none)
			x = p.project(mixed, l.linear("attn_output", c.Heads[i]*m.value, c.Dim), 1, x)
		}
		x = p.mixture(l, p.norm(x, l.norm("ffn_norm", c.Dim)), i, leading, e, shared*e.width, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// keyDecay is a layer of the delta rule with a decay for each element of a key: S' = diag(e^w) S; S = S' + beta k (v - S'^T k)^T.
func (p *plan) keyDecay(l *layer, h kernels.Ref, heads, width, taps int, residual kernels.Ref) kernels.Ref {
	dim, inner := p.c.Dim, heads*width
	if heads == 0 {
		p.c.fault("attention.head_count", "0", "at least 1")
		return none
	}
	convolved := func(name string) kernels.Ref {
		return p.Conv(p.linear(h, l.linear("attn_"+name, dim, inner)), l.transposed("ssm_conv1d_"+name+".weight", taps, inner), none, kernels.ActSiLU)
	}
	unit := kernels.NormSpec{Kind: kernels.L2Norm, Weight: none, Bias: none, Eps: p.c.Eps, Groups: heads}
	q, k, v := p.Norm(convolved("q"), unit), p.Norm(convolved("k"), unit), convolved("v")
	rates := p.lowRankOf(h, l.linear("ssm_f_a", dim, width), l.linear("ssm_f_b", width, inner), l.vector("ssm_dt.bias", inner), kernels.ActNone, kernels.ActSoftplus)
	decay := p.multiply(rates, l.eachHead("ssm_a", heads, width))
	s := kernels.NoEpilogue
	s.Act = kernels.ActSigmoid
	strength := p.eachElement(p.MatMul(h, l.linear("ssm_beta", dim, heads).weight, s), heads, width)
	written := p.multiply(k, strength)
	y := p.WKV(p.Scale(q, float32(1/math.Sqrt(float64(width)))), written, v,
		kernels.WKVSpec{Decay: decay, A: p.Element(kernels.ElActMul, kernels.ActExp, decay, k, 1, 0), B: written, Heads: heads})
	gate := p.lowRankOf(h, l.linear("ssm_g_a", dim, width), l.linear("ssm_g_b", width, inner), none, kernels.ActNone, kernels.ActNone)
	y = p.Element(kernels.ElMulAct, kernels.ActSigmoid, p.headNorm(y, l.vector("ssm_norm.weight", width), heads), gate, 1, 0)
	return p.project(y, l.linear("attn_output", inner, dim), 1, residual)
}

// eachHead makes a vector of one value a head one of width equal values a head.
func (l *layer) eachHead(name string, heads, width int) kernels.Ref {
	values := l.numbers(name, 1, heads)
	if values == nil {
		return none
	}
	var all []float32
	for _, v := range values {
		all = append(all, repeated(v, width)...)
	}
	return l.plan.Constant(l.prefix+name+" of each element", all)
}

// eachElement gives each head's value in x, [tokens, heads], to all elements of the head: a product with columns of ones.
func (p *plan) eachElement(x kernels.Ref, heads, width int) kernels.Ref {
	size := [2]int{heads, width}
	ones, ok := p.columns[size]
	if !ok {
		var data []byte
		for range heads * width {
			data = appendFloat(data, 1)
		}
		ones = p.ConstantStack("columns of ones", kernels.F32, 1, int64(width), int64(heads), data)
		if p.columns == nil {
			p.columns = map[[2]int]kernels.Ref{}
		}
		p.columns[size] = ones
	}
	return p.HeadsMatMul(x, ones, heads, 1, 0)
}
