package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/kernels"
)

// t5Farthest is the distance from which on all positions of a side share a bucket.
const t5Farthest = 128

// t5Encoder records the encoder of T5 (https://arxiv.org/abs/1910.10683): attention both ways without scale or rotation, with a learned bias by
// distance that the first layer has for all; plain networks of ReLU, or gated ones of GELU.
func t5Encoder(p *plan, w *weights, c Config) {
	p.c.causal, c.causal = false, false
	buckets := c.count("attention.relative_buckets_count")
	if buckets < 4 || buckets%4 != 0 || buckets > 1<<12 {
		c.fault("attention.relative_buckets_count", fmt.Sprint(buckets), "a multiple of 4 up to 4096: half of them for each side, half of these for one distance")
		return
	}
	x := p.embed(w, 1)
	bias := none
	for i := range c.Layers {
		l := w.layer(i)
		l.prefix = "enc." + l.prefix
		a := c.attention(i)
		a.scale, a.bothWays = 1, true
		if i == 0 || l.has("attn_rel_b.weight") {
			bias = l.distanceBias(c.Heads[i], buckets)
		}
		a.bias = bias
		mixed := p.attend(l, p.norm(x, l.norm("attn_norm", c.Dim)), a)
		x = p.project(mixed, l.linear("attn_o", a.heads*a.valueDim, c.Dim), 1, x)
		h := p.norm(x, l.norm("ffn_norm", c.Dim))
		if l.has("ffn_gate.weight") {
			x = p.gatedFFN(l, h, ffnDense, c.FF[i], kernels.ActGELU, 1, x)
		} else {
			x = p.plainFFN(l, h, c.FF[i], kernels.ActReLU, false, x)
		}
	}
	w.touch("output.weight")
	p.encoded(w, p.norm(x, w.norm("enc.output_norm", c.Dim)))
}

// distanceBias makes a layer's table of buckets [buckets, heads] one of distances, own position less the other: [heads, 2*t5Farthest+1].
func (l *layer) distanceBias(heads, buckets int) kernels.Ref {
	table := l.numbers("attn_rel_b.weight", heads, buckets)
	if table == nil {
		return none
	}
	out := make([]float32, 0, heads*(2*t5Farthest+1))
	for h := range heads {
		for d := -t5Farthest; d <= t5Farthest; d++ {
			out = append(out, table[t5Bucket(d, buckets)*heads+h])
		}
	}
	return l.plan.ConstantRows(l.prefix+"attn_rel_b by distance", 2*t5Farthest+1, out)
}

// t5Bucket is the bucket of a distance: of each side half of the buckets are for one distance, the others for ranges that grow by a
// constant factor. Logarithms are of floats, as the models were trained with.
func t5Bucket(distance, buckets int) int {
	side, first := buckets/2, 0
	if distance < 0 { // the other one comes later
		distance, first = -distance, side
	}
	exact := side / 2
	if distance < exact {
		return first + distance
	}
	log := float32(math.Log(float64(float32(distance)/float32(exact)))) * float32(side-exact)
	far := float32(float64(log)/math.Log(t5Farthest/float64(exact)) + float64(exact))
	return first + min(int(far), side-1)
}
