package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// predictorPlan is a model that looks tokens up, and a predictor with a layer of attention over them and the states before.
func predictorPlan() (*Plan, [][]byte) {
	const dim, vocab = 32, 50
	random := rand.New(rand.NewPCG(5, 6))
	var data []byte
	matrix := func(p *Plan, name string, rows int64) Ref {
		at := int64(len(data))
		for range rows * dim {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(random.NormFloat64()/4)))
		}
		return p.Weight(name, F32, dim, rows, 1, 0, at)
	}
	p := NewPlan()
	table, query, key, output := matrix(p, "table", vocab), matrix(p, "query", dim), matrix(p, "key", dim), matrix(p, "output", vocab)
	rms := NormSpec{Kind: RMSNorm, Weight: None, Bias: None, Eps: 1e-5}
	states := p.Norm(p.Embed(table, 1), rms)
	p.SetHidden(states)
	p.SetLogits(p.MatMul(p.Wanted(states), output, NoEpilogue))
	x := p.Add(p.Previous(), p.Embed(table, 1))
	layer := p.AddCacheLayer(2, 16, 16, 16, 0)
	q, k := p.MatMul(x, query, NoEpilogue), p.MatMul(x, key, NoEpilogue)
	p.Store(layer, k, k)
	x = p.Norm(p.Add(x, p.Attention(q, AttentionSpec{Layer: layer, Heads: 2, Scale: 0.25, Sinks: None, Bias: None})), rms)
	p.SetPredictor(p.MatMul(p.Wanted(x), output, NoEpilogue), x)
	return p, [][]byte{data}
}

func predictorDevice(t *testing.T, o DeviceOptions) *Device {
	t.Helper()
	p, weights := predictorPlan()
	require.NoError(t, p.Finish(Limits{MaxRows: 70, MaxWanted: 70, CacheDType: F16, Pages: []int{4}}))
	d, err := OpenCPU(o)
	require.NoError(t, err)
	t.Cleanup(d.Close)
	require.NoError(t, d.Prepare(p, weights))
	return d
}

// What the predictor reads is filled by runs of the model, in whatever pieces, and its guesses are the same bits then.
func TestPredictorBits(t *testing.T) {
	ids := make([]int32, 60)
	for i := range ids {
		ids[i] = int32(i * 7 % 50)
	}
	var want []float32
	for _, variant := range Variants() {
		for _, piece := range []int{60, 7, 1} {
			d := predictorDevice(t, DeviceOptions{Threads: 2, Variant: variant})
			var carry, plain []float32
			for at := 0; at < len(ids); at += piece {
				b := rowsFrom(at, ids[at:min(at+piece, len(ids))], 2, 1)
				logits, err := d.Run(b)
				require.NoError(t, err)
				plain = append(plain[:0], logits...)
				b.Part, b.Carry = PartFeed, carry
				logits, err = d.Run(b)
				require.NoError(t, err)
				require.Equal(t, plain, logits, "the model's own result is the same with the feed")
				carry = append([]float32(nil), d.Hidden(len(b.IDs)-1)...)
			}
			b := rowsFrom(60, []int32{3}, 2, 1)
			b.Part, b.Carry = PartPredict, carry
			logits, err := d.Run(b)
			require.NoError(t, err)
			got := append(append([]float32(nil), logits...), d.Hidden(0)...)
			if want == nil {
				want = got
			}
			require.Equal(t, want, got, "%s, pieces of %d", variant, piece)
			b.Carry = nil
			logits, err = d.Run(b)
			require.NoError(t, err)
			require.NotEqual(t, want[:len(logits)], logits, "zeros in place of the state")
		}
	}
}

func TestPredictorBatches(t *testing.T) {
	d := predictorDevice(t, DeviceOptions{Threads: 1})
	batch := func(part Part, rows int, carry int) *Batch {
		b := rowsFrom(0, make([]int32, rows), 0, 1)
		b.Part, b.Carry = part, make([]float32, carry)
		return b
	}
	for what, b := range map[string]*Batch{
		"a part that is not there":        batch(3, 1, 32),
		"two rows of a sequence":          batch(PartPredict, 2, 32),
		"too little that is carried":      batch(PartFeed, 2, 31),
		"too much that is carried":        batch(PartPredict, 1, 64),
		"the model alone carries nothing": batch(PartModel, 1, 32),
	} {
		_, err := d.Run(b)
		assert.ErrorIs(t, err, ErrInvalid, what)
	}
	other := pagedDevice(t)
	b := rowsFrom(0, []int32{0}, 0, 0)
	b.Part = PartFeed
	_, err := other.Run(b)
	assert.ErrorIs(t, err, ErrInvalid, "no predictor")
}

func TestPredictorFaults(t *testing.T) {
	record := func(change func(p *Plan, x Ref)) error {
		p := NewPlan()
		x := p.Embed(p.Weight("table", F32, 16, 4, 1, 0, 0), 1)
		change(p, x)
		return p.Err()
	}
	assert.ErrorContains(t, record(func(p *Plan, x Ref) { p.Previous() }), "is missing")
	assert.ErrorContains(t, record(func(p *Plan, x Ref) {
		p.SetHidden(p.Wanted(x))
		p.Previous()
	}), "hidden state of each row")
	assert.ErrorContains(t, record(func(p *Plan, x Ref) {
		p.SetHidden(x)
		p.SetLogits(p.Wanted(x))
		p.Previous()
		p.Previous()
	}), "one predictor at most")
	assert.ErrorContains(t, record(func(p *Plan, x Ref) {
		p.SetHidden(x)
		p.SetLogits(p.Wanted(x))
		y := p.Previous()
		p.SetPredictor(p.Wanted(p.Columns(y, 0, 8)), y)
	}), "the model has 16 and 16")
	assert.ErrorContains(t, record(func(p *Plan, x Ref) {
		p.SetHidden(x)
		p.SetLogits(p.Wanted(x))
		y := p.Previous()
		p.SetPredictor(p.Wanted(y), y)
	}), "without a cache layer")
}
