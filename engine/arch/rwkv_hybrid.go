package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// Transformers whose attention was replaced by RWKV's states, their networks kept.

// arwkv7 records the ARWKV 7 forward pass (https://arxiv.org/abs/2501.15570): Qwen 2.5 with the recurrent half of RWKV 7.
func arwkv7(p *plan, w *weights, c Config) {
	r := readRWKV(c)
	r.hybrid = true
	c.countOr("attention.gate_lora_rank", 0, 0)
	first := none
	p.hybridLayers(w, c, func(l *layer, _ int, h, x kernels.Ref) kernels.Ref {
		x, first = p.timeMix7(l, h, r, first, x)
		return x
	})
}

// rwkv6qwen2 records the QRWKV 6 forward pass: Qwen 2.5 with the recurrent half of RWKV 6, whose keys are scaled by what the state forgets, and
// whose key heads serve several receptances.
func rwkv6qwen2(p *plan, w *weights, c Config) {
	r := readRWKV(c)
	p.hybridLayers(w, c, func(l *layer, i int, h, x kernels.Ref) kernels.Ref {
		kv := c.KVHeads[i]
		if kv == 0 {
			kv = r.heads
		}
		if r.heads%kv != 0 {
			c.fault("attention.head_count_kv", fmt.Sprint(kv), fmt.Sprintf("a divisor of the %d heads", r.heads))
			return none
		}
		return p.timeMixQwen(l, h, r, kv, x)
	})
}

// hybridLayers records the model; mix is a layer's recurrent half on h, with the residual.
func (p *plan) hybridLayers(w *weights, c Config, mix func(l *layer, i int, h, residual kernels.Ref) kernels.Ref) {
	x := p.embed(w, 1)
	for i := range c.Layers {
		l := w.layer(i)
		x = mix(l, i, p.norm(x, l.norm("attn_norm", c.Dim)), x)
		x = p.gatedFFN(l, p.norm(x, l.norm("ffn_norm", c.Dim)), ffnDense, c.FF[i], kernels.ActSiLU, 1, x)
	}
	p.logits(w, x, w.norm("output_norm", c.Dim), 1, 0)
}

// timeMixQwen is the recurrent half of a QRWKV 6 layer on h, with the residual.
func (p *plan) timeMixQwen(l *layer, h kernels.Ref, r rwkv, kv int, residual kernels.Ref) kernels.Ref {
	c, dim := p.c, int64(p.c.Dim)
	all := p.mixedByToken(l, h)
	mixed := func(n int64) kernels.Ref { return p.Columns(all, n*dim, dim) } // of decay, key, value, receptance, gate
	rank := c.count("time_decay_extra_dim")
	decay := p.Scale(p.lowRankOf(mixed(0), l.linear("time_mix_decay_w1", c.Dim, rank), l.linear("time_mix_decay_w2", rank, c.Dim),
		l.vector("time_mix_decay.weight", c.Dim), kernels.ActTanh, kernels.ActExp), -1)
	k := p.eachGroup(p.linear(mixed(1), l.linear("time_mix_key", c.Dim, kv*r.width)), kv, r)
	v := p.eachGroup(p.linear(mixed(2), l.linear("time_mix_value", c.Dim, kv*r.width)), kv, r)
	receptance := p.project(mixed(3), l.linear("time_mix_receptance", c.Dim, c.Dim), float32(1/math.Sqrt(float64(r.width))), none)
	gate := p.linear(mixed(4), l.linear("time_mix_gate", c.Dim, c.Dim))
	kept := p.Element(kernels.ElActMul, kernels.ActExp, decay, k, 1, 0)
	k = p.Element(kernels.ElAdd, kernels.ActNone, k, kept, 1, -1)
	y := p.WKV(receptance, k, v, kernels.WKVSpec{Decay: decay, A: none, B: none, Heads: r.heads})
	return p.project(p.Element(kernels.ElMulAct, kernels.ActSigmoid, y, gate, 1, 0), l.linear("time_mix_output", c.Dim, c.Dim), 1, residual)
}

// eachGroup repeats each of kv heads for all heads that share it.
func (p *plan) eachGroup(x kernels.Ref, kv int, r rwkv) kernels.Ref {
	if kv == r.heads || x == none {
		return x
	}
	group, out := r.heads/kv, p.Buffer(r.heads*r.width)
	for i := range kv {
		span := int64(group * r.width)
		p.Copy(p.Columns(out, int64(i)*span, span), p.Columns(x, int64(i*r.width), int64(r.width)), group, r.width, 0, r.width)
	}
	return out
}
