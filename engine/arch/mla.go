package arch

import (
	"fmt"
	"math"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// mla is the widths of latent attention: a head's key is a plain part, made from the latent, and a rotated part, which
// all heads share.
type mla struct {
	queryRank, rank int // of the queries' latent (0: none) and of the keys' and values'
	plain, rotated  int
	value           int
	scale           float32
	scales          kernels.Ref // on each token's queries beside it, [tokens, 1]; none: 1
}

func readMLA(c Config) mla {
	key := c.countOr("attention.key_length_mla", 1, c.KeyDim)
	m := mla{
		queryRank: c.countOr("attention.q_lora_rank", 0, 0), rank: c.count("attention.kv_lora_rank"),
		scales: none, plain: key - c.Rotated, rotated: c.Rotated, value: c.countOr("attention.value_length_mla", 1, c.ValueDim),
	}
	if m.plain < 1 || m.rotated < 1 {
		c.fault("rope.dimension_count", fmt.Sprint(c.Rotated), fmt.Sprintf("1 to %d, less than the width of a key", key-1))
		m.plain, m.rotated = 1, 2
	}
	scale := float32(1)
	if r := c.Rope; r.logScale != 0 { // converters store a tenth of the factor
		scale = r.attention * yarnMagnitude(r.factor, r.logScale/0.1)
	} else {
		scale = r.magnitude()
	}
	m.scale = float32(float64(scale*scale) / math.Sqrt(float64(key)))
	return m
}

// attendLatent is attention over the latent. Result: [tokens, heads*value].
func (p *plan) attendLatent(l *layer, h kernels.Ref, m mla, heads int, angles kernels.Ref) kernels.Ref {
	return p.attendTurned(l, h, m, heads, angles, kernels.RopePairs)
}

// attendTurned is attendLatent with another style of rotation.
func (p *plan) attendTurned(l *layer, h kernels.Ref, m mla, heads int, angles kernels.Ref, style kernels.RopeStyle) kernels.Ref {
	key := m.plain + m.rotated
	var q kernels.Ref
	if m.queryRank == 0 || l.has("attn_q.weight") { // the lite models
		q = p.linear(h, l.linear("attn_q", p.c.Dim, heads*key))
	} else {
		a := p.norm(p.linear(h, l.linear("attn_q_a", p.c.Dim, m.queryRank)), l.norm("attn_q_a_norm", m.queryRank))
		q = p.linear(a, l.linear("attn_q_b", m.queryRank, heads*key))
	}
	kv := p.linear(h, l.linear("attn_kv_a_mqa", p.c.Dim, m.rank+m.rotated))
	if q == none || kv == none {
		return none
	}
	rotated := p.Columns(kv, int64(m.rank), int64(m.rotated))
	if angles != none {
		q = p.Rope(q, angles, heads, key, m.plain, style)
		rotated = p.Rope(rotated, angles, 1, m.rotated, 0, style)
	}
	if m.scales != none {
		q = p.multiply(q, m.scales)
	}
	latent := p.norm(p.Columns(kv, 0, int64(m.rank)), l.norm("attn_kv_a_norm", m.rank))
	switch {
	case l.has("attn_k_b.weight"):
		toLatent := l.matrices(l.prefix+"attn_k_b.weight", m.plain, m.rank, heads)
		toValue := l.matrices(l.prefix+"attn_v_b.weight", m.rank, m.value, heads)
		return p.attendAbsorbed(q, latent, rotated, toLatent, toValue, m, heads)
	case l.has("attn_kv_b.bias") || l.has("attn_kv_b.scale"):
		return p.attendExpanded(l, q, latent, rotated, m, heads)
	default:
		both := l.matrix(l.prefix+"attn_kv_b.weight", m.rank, heads*(m.plain+m.value))
		toValue := p.WeightGroups(both, int64(heads), int64(m.plain), int64(m.value))
		return p.attendAbsorbed(q, latent, rotated, l.transposedKeys(both, m, heads), toValue, m, heads)
	}
}

// transposedKeys makes attn_k_b from the older files' attn_kv_b [heads*(plain+value), rank]: of each head the rows that make
// plain keys, transposed to [rank, plain]. Floats keep their type; quantized blocks lie along the other dimension and
// become halves.
func (l *layer) transposedKeys(both kernels.Ref, m mla, heads int) kernels.Ref {
	name := l.prefix + "attn_kv_b.weight"
	t, ok := l.file.Tensor(name)
	if !ok || both == none {
		return none
	}
	values := l.decode(t)
	if values == nil {
		return none
	}
	kind, pack := kernels.F16, appendHalf
	if t.Type == gguf.F32 || t.Type == gguf.BF16 { // a half has fewer exponents
		kind, pack = kernels.F32, appendFloat
	}
	data := make([]byte, 0, 4*heads*m.rank*m.plain)
	for h := range heads {
		rows := values[h*(m.plain+m.value)*m.rank:]
		for r := range m.rank {
			for i := range m.plain {
				data = pack(data, rows[i*m.rank+r])
			}
		}
	}
	return l.plan.ConstantStack(name+" keys transposed", kind, int64(m.plain), int64(m.rank), int64(heads), data)
}

// attendAbsorbed keeps only the latent and the rotated part in the cache, shared by all heads: the matrix that would make
// plain keys is applied to the queries instead, the one that would make values to the result.
func (p *plan) attendAbsorbed(q, latent, rotated, toLatent, toValue kernels.Ref, m mla, heads int) kernels.Ref {
	key, wide := m.plain+m.rotated, m.rank+m.rotated
	queries := p.HeadsMatMul(q, toLatent, heads, key, wide)
	keys := p.Buffer(wide)
	if queries == none || toValue == none {
		return none
	}
	p.Copy(p.Columns(queries, int64(m.rank), int64(heads*wide-m.rank)), p.Columns(q, int64(m.plain), int64(heads*key-m.plain)), heads, m.rotated, key, wide)
	p.Copy(keys, latent, 1, m.rank, 0, 0)
	p.Copy(p.Columns(keys, int64(m.rank), int64(m.rotated)), rotated, 1, m.rotated, 0, 0)
	cache := p.AddCacheLayer(1, wide, 0, m.rank, 0)
	p.Store(cache, keys, none)
	mixed := p.Attention(queries, kernels.AttentionSpec{Layer: cache, Heads: heads, Scale: m.scale, Sinks: none, Bias: none})
	return p.HeadsMatMul(mixed, toValue, heads, m.rank, 0)
}

// attendExpanded makes each head's keys and values from the latent and keeps those: what an older file asks for whose matrix
// has a bias or a scale.
func (p *plan) attendExpanded(l *layer, q, latent, rotated kernels.Ref, m mla, heads int) kernels.Ref {
	key, both := m.plain+m.rotated, m.plain+m.value
	kv := p.linear(latent, l.linear("attn_kv_b", m.rank, heads*both))
	if kv == none {
		return none
	}
	keys, values := p.Buffer(heads*key), p.Buffer(heads*m.value)
	p.Copy(keys, kv, heads, m.plain, both, key)
	p.Copy(p.Columns(keys, int64(m.plain), int64(heads*key-m.plain)), rotated, heads, m.rotated, 0, key)
	p.Copy(values, p.Columns(kv, int64(m.plain), int64(heads*both-m.plain)), heads, m.value, both, m.value)
	cache := p.AddCacheLayer(heads, key, m.value, m.value, 0)
	p.Store(cache, keys, values)
	return p.Attention(q, kernels.AttentionSpec{Layer: cache, Heads: heads, Scale: m.scale, Sinks: none, Bias: none})
}
