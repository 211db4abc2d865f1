package cuda

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// predicting is a model that looks tokens up, and a predictor with a layer of attention over them and the states before.
func predicting(r *recording) {
	const dim = 64
	rms := kernels.NormSpec{Kind: kernels.RMSNorm, Weight: r.vector(dim), Bias: none, Eps: 1e-5}
	table, output := r.weight(kernels.F32, dim, trialVocab, 1), r.weight(kernels.Q8_0, dim, 90, 1)
	states := r.Norm(r.Embed(table, 1), rms)
	r.SetHidden(states)
	r.SetLogits(r.MatMul(r.Wanted(states), output, kernels.NoEpilogue))
	x := r.Add(r.Previous(), r.Embed(table, 1))
	layer := r.AddCacheLayer(2, 32, 32, 32, 0)
	q, k := r.MatMul(x, r.weight(kernels.Q8_0, dim, dim, 1), kernels.NoEpilogue), r.MatMul(x, r.weight(kernels.F16, dim, dim, 1), kernels.NoEpilogue)
	r.Store(layer, k, k)
	x = r.Norm(r.Add(x, r.Attention(q, kernels.AttentionSpec{Layer: layer, Heads: 2, Scale: 0.25, Sinks: none, Bias: none})), rms)
	r.SetPredictor(r.MatMul(r.Wanted(x), output, kernels.NoEpilogue), x)
}

// predict feeds a sequence in pieces, and returns what is predicted behind its end, and from what.
func predict(t *testing.T, d *kernels.Device, r *recording, n, piece int) []float32 {
	require.NoError(t, d.Prepare(r.Plan, [][]byte{r.data}))
	b := r.batches([]int{n + 1}, cutTurns([]int{n + 1}, func() int { return n + 1 }))[0]
	var carry []float32
	for at := 0; at < n; at += piece {
		end := min(at+piece, n)
		now := &kernels.Batch{IDs: b.IDs[at:end], Positions: b.Positions[at:end], Sequences: make([]int32, end-at), Pages: b.Pages, TablePages: b.TablePages, SequenceCount: 1,
			Wanted: []int32{int32(end - at - 1)}}
		plain, err := d.Run(now)
		require.NoError(t, err)
		plain = slices.Clone(plain)
		now.Part, now.Carry = kernels.PartFeed, carry
		fed, err := d.Run(now)
		require.NoError(t, err)
		require.Equal(t, plain, fed, "the model's own result is the same with the feed")
		carry = slices.Clone(d.Hidden(end - at - 1))
	}
	last := &kernels.Batch{IDs: b.IDs[n:], Positions: b.Positions[n:], Sequences: []int32{0}, Pages: b.Pages, TablePages: b.TablePages, SequenceCount: 1, Wanted: []int32{0},
		Part: kernels.PartPredict, Carry: carry}
	var got []float32
	for range 3 { // launched, captured, replayed
		logits, err := d.Run(last)
		require.NoError(t, err)
		again := append(slices.Clone(logits), d.Hidden(0)...)
		if got != nil {
			require.Equal(t, got, again)
		}
		got = again
	}
	return got
}

// A predictor's guess is the same bits in whatever pieces its cache was filled, and near the CPU's.
func TestPredictor(t *testing.T) {
	c := trial{record: predicting, cache: kernels.F16}
	cpu, err := kernels.OpenCPU(kernels.DeviceOptions{Threads: 1, Variant: "ref"})
	require.NoError(t, err)
	defer cpu.Close()
	want := predict(t, cpu, c.recorded(t, 5, 1, false), 40, 40)
	var first []float32
	for _, piece := range []int{40, 7, 1} {
		card := openCard(t, kernels.DeviceOptions{})
		got := predict(t, card, c.recorded(t, 5, 1, false), 40, piece)
		card.Close()
		if first == nil {
			first = got
			require.LessOrEqual(t, distance(got, want), 2e-2)
		}
		require.Equal(t, first, got, "pieces of %d", piece)
	}
}
