package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/infer-go/infer/kernels"
)

// shape is a model's, without its weights: a llama.
type shape struct {
	Name                                             string
	layers, dim, heads, kvHeads, width, inner, vocab int
}

var shapes = []shape{
	{"1B", 16, 2048, 32, 8, 64, 8192, 128256},
	{"8B", 32, 4096, 32, 8, 128, 14336, 128256},
	{"tiny", 2, 256, 4, 2, 64, 512, 1024}, // for tests in the emulator
}

// mix is the types of a file: most matrices, those that files of the mix keep finer, and the output matrix.
type mix struct {
	Name                string
	most, finer, output kernels.DType
}

func dtype(name string) kernels.DType {
	t, err := kernels.ParseDType(name)
	if err != nil {
		panic(err) // a name of the tables below
	}
	return t
}

var mixes = []mix{
	{"Q4_0", dtype("Q4_0"), dtype("Q4_0"), dtype("Q6_K")},
	{"Q4_K_M", dtype("Q4_K"), dtype("Q6_K"), dtype("Q6_K")},
	{"Q6_K", dtype("Q6_K"), dtype("Q6_K"), dtype("Q6_K")},
	{"Q8_0", dtype("Q8_0"), dtype("Q8_0"), dtype("Q8_0")},
	{"F16", dtype("F16"), dtype("F16"), dtype("F16")},
	{"MXFP4", dtype("MXFP4"), dtype("MXFP4"), dtype("Q8_0")},
}

// model is a plan over random weights. All of its matrices lie in one small buffer, one over the other: what they hold does not matter for the
// time they take, and on the card each has memory of its own.
type model struct {
	plan *kernels.Plan

	weightBytes, multiplyAdds int64 // that a token reads, and takes
	at                        int64
}

// randomBytes are blocks of a type with moderate scales, whatever they hold else.
func randomBytes(t kernels.DType, n int64) []byte {
	r := rand.New(rand.NewPCG(uint64(t), 5))
	data := make([]byte, n/t.BlockBytes()*t.BlockBytes())
	for i := 0; i+8 <= len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], r.Uint64())
	}
	half := kernels.F32ToF16(0.002)
	for at := int64(0); at < int64(len(data)); at += t.BlockBytes() {
		b := data[at : at+t.BlockBytes()]
		switch t.String() {
		case "F16":
			binary.LittleEndian.PutUint16(b, kernels.F32ToF16(float32(r.NormFloat64()/64)))
		case "MXFP4":
			b[0] = 118
		case "Q6_K":
			binary.LittleEndian.PutUint16(b[len(b)-2:], half)
		case "Q4_K":
			binary.LittleEndian.PutUint32(b, uint32(half)<<16|uint32(half))
		default:
			binary.LittleEndian.PutUint16(b, half)
		}
	}
	return data
}

// weight places a matrix a little behind the last one's place, so that no two are the same bytes.
func (m *model) weight(buffers map[kernels.DType]int32, t kernels.DType, cols, rows int) kernels.Ref {
	const apart = 4096
	size, err := t.RowBytes(int64(cols))
	if err != nil {
		panic(err) // the shapes' widths are whole blocks
	}
	m.at++
	offset := m.at * apart / t.BlockBytes() * t.BlockBytes()
	m.weightBytes += size * int64(rows)
	m.multiplyAdds += int64(cols) * int64(rows)
	return m.plan.Weight(fmt.Sprintf("w%d", m.at), t, int64(cols), int64(rows), 1, buffers[t], offset)
}

// record makes the plan of a shape for so many rows a step, of which so many are wanted.
func record(s shape, x mix, rows, wanted, pages int) (*model, [][]byte, error) {
	m := &model{plan: kernels.NewPlan()}
	buffers, data := map[kernels.DType]int32{}, [][]byte(nil)
	for _, t := range []kernels.DType{x.most, x.finer, x.output} {
		if _, made := buffers[t]; made {
			continue
		}
		size, err := t.RowBytes(int64(s.dim))
		if err != nil {
			return nil, nil, err
		}
		biggest := size * int64(s.inner) // the same in the other direction
		if t == x.output {
			biggest = max(biggest, size*int64(s.vocab))
		}
		buffers[t] = int32(len(data))
		data = append(data, randomBytes(t, biggest+int64(16*s.layers+8)*4096))
	}
	m.layers(s, x, buffers)
	err := m.plan.Finish(kernels.Limits{MaxRows: rows, MaxWanted: wanted, CacheDType: kernels.F16, Pages: []int{pages}})
	return m, data, err
}

func (m *model) layers(s shape, x mix, buffers map[kernels.DType]int32) {
	p := m.plan
	ones := make([]float32, s.dim)
	for i := range ones {
		ones[i] = 1
	}
	norm := kernels.NormSpec{Kind: kernels.RMSNorm, Weight: p.Constant("norm", ones), Bias: kernels.None, Eps: 1e-5}
	freqs := make([]float32, s.width/2)
	for i := range freqs {
		freqs[i] = 1 / float32(i+1)
	}
	table := m.weight(buffers, x.output, s.dim, s.vocab)
	h := p.Embed(table, 1)
	angles := p.Angles(p.Constant("frequencies", freqs), 1)
	for i := range s.layers {
		p.Layer(i)
		y := p.Norm(h, norm)
		q, k := p.MatMul(y, m.weight(buffers, x.most, s.dim, s.heads*s.width), kernels.NoEpilogue), p.MatMul(y, m.weight(buffers, x.most, s.dim, s.kvHeads*s.width), kernels.NoEpilogue)
		finer := x.most
		if i < s.layers/8 || i >= 7*s.layers/8 || i%3 == 2 { // as files of the mix have them
			finer = x.finer
		}
		v := p.MatMul(y, m.weight(buffers, finer, s.dim, s.kvHeads*s.width), kernels.NoEpilogue)
		p.Rope(q, angles, s.heads, s.width, 0, kernels.RopePairs)
		p.Rope(k, angles, s.kvHeads, s.width, 0, kernels.RopePairs)
		layer := p.AddCacheLayer(s.kvHeads, s.width, s.width, s.width, 0)
		p.Store(layer, k, v)
		add := kernels.NoEpilogue
		add.Residual = h
		h = p.MatMul(p.Attention(q, kernels.AttentionSpec{Layer: layer, Heads: s.heads, Scale: 0.1, Sinks: kernels.None, Bias: kernels.None}), m.weight(buffers, x.most, s.heads*s.width, s.dim), add)
		gate := kernels.NoEpilogue
		gate.Act, gate.Up = kernels.ActSiLU, m.weight(buffers, x.most, s.dim, s.inner)
		add.Residual = h
		h = p.MatMul(p.MatMul(p.Norm(h, norm), m.weight(buffers, x.most, s.dim, s.inner), gate), m.weight(buffers, finer, s.inner, s.dim), add)
	}
	p.Layer(-1)
	p.SetLogits(p.MatMul(p.Wanted(p.Norm(h, norm)), table, kernels.NoEpilogue))
}
