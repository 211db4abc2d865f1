package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attentionCase is attention with what few models have: a bias by distance, a window that is a chunk, factors on elements.
type attentionCase struct {
	heads, kvHeads, width, reach, window int
	chunks, bothWays                     bool
}

const attentionTokens = 150

// record makes the plan, its weights, and the rows that ids look up: queries, keys and values side by side.
func (c attentionCase) record() (*Plan, [][]byte, [][]float32, []float32, []float32) {
	r := rand.New(rand.NewPCG(5, 6))
	cols := (c.heads + 2*c.kvHeads) * c.width
	rows := make([][]float32, attentionTokens)
	var data []byte
	for i := range rows {
		rows[i] = make([]float32, cols)
		for j := range rows[i] {
			rows[i][j] = float32(r.NormFloat64())
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(rows[i][j]))
		}
	}
	p := NewPlan()
	x := p.Embed(p.Weight("table", F32, int64(cols), attentionTokens, 1, 0, 0), 1)
	nq, nk := int64(c.heads*c.width), int64(c.kvHeads*c.width)
	factors, bias := make([]float32, nq), make([]float32, c.heads*(2*c.reach+1))
	for i := range factors {
		factors[i] = float32(r.NormFloat64())
	}
	for i := range bias {
		bias[i] = float32(r.NormFloat64())
	}
	q := p.Element(ElMul, ActNone, p.Columns(x, 0, nq), p.Constant("factors", factors), 1, 0)
	window := c.window
	if c.bothWays {
		window = 0
	}
	layer := p.AddCacheLayer(c.kvHeads, c.width, c.width, c.width, window)
	p.Store(layer, p.Columns(x, nq, nk), p.Columns(x, nq+nk, nk))
	s := AttentionSpec{Layer: layer, Heads: c.heads, Scale: 0.5, Sinks: None, Bias: None, Chunks: c.chunks, BothWays: c.bothWays}
	if c.reach > 0 {
		s.Bias = p.ConstantRows("bias", int64(2*c.reach+1), bias)
	}
	p.SetLogits(p.Wanted(p.Attention(q, s)))
	return p, [][]byte{data}, rows, factors, bias
}

// run computes all tokens in steps of so many rows.
func (c attentionCase) run(t *testing.T, o DeviceOptions, step int, cache DType) [][]float32 {
	p, weights, _, _, _ := c.record()
	pages := (attentionTokens + PageTokens - 1) / PageTokens
	require.NoError(t, p.Finish(Limits{MaxRows: attentionTokens, MaxWanted: attentionTokens, CacheDType: cache, Pages: []int{pages}}))
	d, err := OpenCPU(o)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Prepare(p, weights))
	table := make([]int32, pages)
	for i := range table {
		table[i] = int32(i)
	}
	var out [][]float32
	for from := 0; from < attentionTokens; from += step {
		b := Batch{Pages: table, TablePages: pages, SequenceCount: 1}
		for i := from; i < min(from+step, attentionTokens); i++ {
			b.IDs, b.Positions, b.Sequences = append(b.IDs, int32(i)), append(b.Positions, int32(i)), append(b.Sequences, 0)
			b.Wanted = append(b.Wanted, int32(i-from))
		}
		got, err := d.Run(&b)
		require.NoError(t, err)
		for i := range b.IDs {
			out = append(out, append([]float32(nil), got[i*d.LogitsStride():][:c.heads*c.width]...))
		}
	}
	return out
}

// exact computes the same in float64.
func (c attentionCase) exact() [][]float64 {
	_, _, rows, factors, bias := c.record()
	out := make([][]float64, len(rows))
	for own := range rows {
		out[own] = make([]float64, c.heads*c.width)
		first, last := 0, own
		if c.bothWays {
			last = len(rows) - 1
		}
		if c.window > 0 && c.chunks {
			first = own - own%c.window
		}
		for h := range c.heads {
			kv, total := h/(c.heads/c.kvHeads), 0.0
			for j := first; j <= last; j++ {
				score := 0.0
				for d := range c.width {
					score += float64(rows[own][h*c.width+d]) * float64(factors[h*c.width+d]) * float64(rows[j][(c.heads+kv)*c.width+d])
				}
				score *= 0.5
				if c.reach > 0 {
					score += float64(bias[h*(2*c.reach+1)+c.reach+max(-c.reach, min(own-j, c.reach))])
				}
				e := math.Exp(score)
				total += e
				for d := range c.width {
					out[own][h*c.width+d] += e * float64(rows[j][(c.heads+c.kvHeads+kv)*c.width+d])
				}
			}
			for d := range c.width {
				out[own][h*c.width+d] /= total
			}
		}
	}
	return out
}

// A bias by distance, chunks and factors on elements: what the definition says, the same bits in every variant and for any cut into steps.
func TestAttentionForms(t *testing.T) {
	for name, c := range map[string]attentionCase{
		"bias":            {heads: 4, kvHeads: 2, width: 20, reach: 40},
		"bias both ways":  {heads: 3, kvHeads: 3, width: 16, reach: 70, bothWays: true},
		"chunks":          {heads: 4, kvHeads: 1, width: 24, window: 50, chunks: true},
		"chunks and bias": {heads: 2, kvHeads: 2, width: 33, window: 64, chunks: true, reach: 3},
		"neither":         {heads: 2, kvHeads: 1, width: 16},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cache := range []DType{F32, F16} {
				want := c.run(t, DeviceOptions{Threads: 1, Variant: "ref"}, attentionTokens, cache)
				if cache == F32 {
					for i, row := range c.exact() {
						for j, x := range row {
							require.InDelta(t, x, want[i][j], 2e-5*math.Max(1, math.Abs(x)), "token %d, element %d", i, j)
						}
					}
				}
				for _, variant := range Variants() {
					for _, step := range []int{1, 37, attentionTokens} {
						if c.bothWays && step < attentionTokens {
							continue
						}
						assert.Equal(t, want, c.run(t, DeviceOptions{Threads: 2, Variant: variant}, step, cache), "%s, %d rows a step", variant, step)
					}
				}
			}
		})
	}
}

// A bias of another shape, or of none, is a fault.
func TestAttentionFaults(t *testing.T) {
	for what, bias := range map[string]func(p *Plan) Ref{
		"an even width":  func(p *Plan) Ref { return p.ConstantRows("bias", 4, make([]float32, 8)) },
		"too few heads":  func(p *Plan) Ref { return p.ConstantRows("bias", 5, make([]float32, 5)) },
		"an activation":  func(p *Plan) Ref { return p.Buffer(5) },
		"another factor": func(p *Plan) Ref { return p.Constant("v", make([]float32, 3)) },
	} {
		p := NewPlan()
		x := p.Embed(p.Weight("table", F32, 8, 4, 1, 0, 0), 1)
		b := bias(p)
		if what == "another factor" {
			p.Element(ElMul, ActNone, x, b, 1, 0)
			assert.ErrorContains(t, p.Err(), "elementwise input", what)
			continue
		}
		layer := p.AddCacheLayer(2, 4, 4, 4, 0)
		p.Store(layer, x, x)
		p.Attention(x, AttentionSpec{Layer: layer, Heads: 2, Scale: 1, Sinks: None, Bias: b})
		assert.ErrorContains(t, p.Err(), "attention's bias", what)
	}
}
