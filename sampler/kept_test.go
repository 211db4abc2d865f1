package sampler

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// keep is what a device returns of a row: the largest logits, equal ones by id, then those of also.
func keep(logits []float32, n int, also []int32) (ids []int32) {
	for i := range logits {
		ids = append(ids, int32(i))
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	return append(ids[:n:n], also...)
}

// From the logits that it asked for a sampler chooses what it would choose from all of them, whatever the chain, with ties, bans and a history.
func TestKept(t *testing.T) {
	const vocab = 700
	r := rand.New(rand.NewPCG(4, 2))
	used := 0
	for round := range 400 {
		p := NeutralParams()
		p.Seed, p.TopK = uint64(round), 1+r.IntN(60)
		if r.IntN(4) == 0 {
			p.Temperature = 0
		}
		p.TopP, p.MinP = []float64{1, 0.9, 0.5}[r.IntN(3)], []float64{0, 0.05}[r.IntN(2)]
		p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = []float64{1, 1.3}[r.IntN(2)], []float64{0, 0.4}[r.IntN(2)], []float64{0, 0.7}[r.IntN(2)]
		p.PenaltyLastN = 1 + r.IntN(40)
		if r.IntN(2) == 0 {
			p.LogitBias = map[int32]float32{int32(r.IntN(vocab)): 6, int32(r.IntN(vocab)): negInf, int32(r.IntN(vocab)): -3}
		}
		if r.IntN(4) == 0 {
			p.Order = []Stage{StageTopK, StagePenalties, StageTemperature, StageTopP}
		}
		whole, err := New(p, vocab)
		require.NoError(t, err)
		part, err := New(p, vocab)
		require.NoError(t, err)
		for range 12 {
			logits := make([]float32, vocab)
			for i := range logits {
				logits[i] = float32(math.Round(r.NormFloat64()*6) / 2) // many ties
				if r.IntN(50) == 0 {
					logits[i] = negInf
				}
			}
			want, err := whole.Sample(logits)
			require.NoError(t, err)
			n, also, ok := part.Needs(nil)
			require.True(t, ok)
			ids := keep(logits, n, also)
			got, err := part.SampleKept(len(ids), func(i int) (int32, float32) { return ids[i], logits[ids[i]] })
			require.NoError(t, err)
			require.Equal(t, want, got, "round %d: %+v", round, p)
			require.NoError(t, whole.Accept(want.ID))
			require.NoError(t, part.Accept(got.ID))
			used++
			if r.IntN(5) == 0 { // rows may come whole in between
				want, err = whole.Sample(logits)
				require.NoError(t, err)
				got, err = part.Sample(logits)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	}
	require.Equal(t, 4800, used)
}

func TestKeptFaults(t *testing.T) {
	p := NeutralParams()
	p.TopK = 3
	s, err := New(p, 100)
	require.NoError(t, err)
	of := func(ids []int32, x ...float32) error {
		_, err := s.SampleKept(len(x), func(i int) (int32, float32) { return ids[i], x[i] })
		return err
	}
	require.ErrorIs(t, of([]int32{1, 2}, negInf, negInf), ErrNoCandidates)
	var bad *LogitError
	require.ErrorAs(t, of([]int32{7, 2}, float32(math.NaN()), 1), &bad)
	require.Equal(t, 7, bad.Index)
	require.ErrorAs(t, of([]int32{2, 9}, 1, float32(math.Inf(1))), &bad)
	require.NoError(t, of([]int32{5, 2}, 1, 0.5), "after an error")
	for what, change := range map[string]func(p *Params){
		"no cut":        func(p *Params) { p.TopK = 0 },
		"mirostat":      func(p *Params) { p.Mirostat = 2 },
		"dry":           func(p *Params) { p.DRYMultiplier = 1 },
		"probabilities": func(p *Params) { p.LogProbs = true },
		"a cut behind":  func(p *Params) { p.TopP, p.Order = 0.5, []Stage{StageTopP, StageTopK} },
		"all":           func(p *Params) { p.TopK = 100 },
	} {
		p := NeutralParams()
		p.TopK = 3
		change(&p)
		s, err := New(p, 100)
		require.NoError(t, err)
		_, _, ok := s.Needs(nil)
		require.False(t, ok, what)
	}
}
