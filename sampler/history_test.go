package sampler

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// adjusted runs the chain of a sampler that only penalises and returns the logits it draws from.
func adjusted(t require.TestingT, p Params, vocab int, history []int32, logits []float32) []float32 {
	s, err := New(p, vocab)
	require.NoError(t, err)
	require.NoError(t, s.Accept(history...))
	_, err = s.Sample(logits)
	require.NoError(t, err)
	return s.set.logits
}

// TestPenaltiesMatchTheReference feeds histories longer and shorter than the window, with few distinct tokens.
func TestPenaltiesMatchTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const vocab = 12
		p := NeutralParams()
		p.PenaltyLastN = rapid.IntRange(-1, 20).Draw(t, "window")
		p.RepeatPenalty = rapid.SampledFrom([]float64{1, 1.3, 0.5}).Draw(t, "repeat")
		p.FrequencyPenalty = rapid.SampledFrom([]float64{0, 0.4, -0.5}).Draw(t, "frequency")
		p.PresencePenalty = rapid.SampledFrom([]float64{0, 0.7}).Draw(t, "presence")
		history := rapid.SliceOfN(rapid.Int32Range(0, vocab-1), 0, 70).Draw(t, "history")
		logits := rapid.SliceOfN(rapid.Float32Range(-5, 5), vocab, vocab).Draw(t, "logits")
		logits[3] = negInf
		want := refPenalties(logits, history, p)
		got := adjusted(t, p, vocab, history, logits)
		require.Equal(t, negInf, got[3])
		for id := range want {
			if id != 3 {
				require.InDelta(t, want[id], got[id], 1e-5, "token %d", id)
			}
		}
	})
}

func TestPenaltiesForgetWhatLeavesTheWindow(t *testing.T) {
	p := neutral(func(p *Params) { p.PenaltyLastN, p.FrequencyPenalty = 3, 1 })
	got := adjusted(t, p, 4, []int32{0, 0, 0, 0, 1, 2, 1}, make([]float32, 4))
	assert.Equal(t, []float32{0, -2, -1, 0}, got)
}

// TestDRYMatchesTheReference uses few tokens, so that repetitions are everywhere and nested.
func TestDRYMatchesTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const vocab = 5
		p := NeutralParams()
		p.DRYMultiplier = 0.8
		p.DRYBase = rapid.SampledFrom([]float64{1, 1.2, 1.75}).Draw(t, "base")
		p.DRYAllowedLength = rapid.IntRange(0, 4).Draw(t, "allowed length")
		p.DRYLastN = rapid.IntRange(-1, 40).Draw(t, "window")
		p.DRYBreakers = rapid.SliceOfN(rapid.SliceOfN(rapid.Int32Range(0, vocab-1), 1, 3), 0, 3).Draw(t, "breakers")
		history := rapid.SliceOfN(rapid.Int32Range(0, vocab-1), 0, 60).Draw(t, "history")
		logits := rapid.SliceOfN(rapid.Float32Range(-5, 5), vocab, vocab).Draw(t, "logits")
		want := refDRY(logits, history, p)
		got := adjusted(t, p, vocab, history, logits)
		for id := range want {
			require.InEpsilon(t, float64(want[id])+1e6, float64(got[id])+1e6, 1e-6, "token %d", id)
		}
	})
}

func TestDRYByHand(t *testing.T) {
	// a b c . a b: "a b" was followed by c, "b" too; c loses 0.5·2^(2-1).
	p := neutral(func(p *Params) { p.DRYMultiplier, p.DRYBase, p.DRYAllowedLength = 0.5, 2, 1 })
	history := []int32{0, 1, 2, 3, 0, 1}
	assert.Equal(t, []float32{0, 0, -1, 0}, adjusted(t, p, 4, history, make([]float32, 4)))
	p.DRYBreakers = [][]int32{{0}}
	assert.Equal(t, []float32{0, 0, -0.5, 0}, adjusted(t, p, 4, history, make([]float32, 4)), "the match ends at the breaker")
	p.DRYBreakers = [][]int32{{2}}
	assert.Equal(t, make([]float32, 4), adjusted(t, p, 4, history, make([]float32, 4)), "a breaker is not penalised")
	p.DRYBreakers = [][]int32{{0, 1}}
	assert.Equal(t, make([]float32, 4), adjusted(t, p, 4, history, make([]float32, 4)), "nothing since the breaker")
}

func TestDRYStopsGrowing(t *testing.T) {
	p := neutral(func(p *Params) { p.DRYMultiplier, p.DRYAllowedLength = 0.8, 2 })
	got := adjusted(t, p, 2, make([]int32, 5000), make([]float32, 2))
	limit := math.Floor(88.7228391 / math.Log(1.75))
	assert.InEpsilon(t, -0.8*math.Pow(1.75, limit), float64(got[0]), 1e-6)
	assert.Zero(t, got[1])
}

// TestDRYIsLinear would take minutes if each place were matched anew.
func TestDRYIsLinear(t *testing.T) {
	p := neutral(func(p *Params) { p.DRYMultiplier, p.DRYBase = 0.8, 1 })
	adjusted(t, p, 2, make([]int32, 1_000_000), make([]float32, 2))
}

func TestHistoryKeepsItsWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(-1, 9).Draw(t, "window")
		h := history{window: window}
		var all []int32
		for _, id := range rapid.SliceOf(rapid.Int32()).Draw(t, "tokens") {
			h.push(id)
			all = append(all, id)
			want := all
			if window >= 0 {
				want = all[max(0, len(all)-window):]
				require.LessOrEqual(t, len(h.tokens), max(2*window, 1))
			}
			require.True(t, slices.Equal(want, h.last()))
		}
	})
}

// letters is a vocabulary of a few pieces; it encodes by the longest piece.
type letters []string

func (l letters) Size() int             { return len(l) }
func (l letters) Piece(id int32) string { return l[id] }
func (l letters) Encode(text string) (ids []int32) {
	for text != "" {
		best := 0
		for id, piece := range l {
			if len(piece) > len(l[best]) && len(piece) <= len(text) && text[:len(piece)] == piece {
				best = id
			}
		}
		ids, text = append(ids, int32(best)), text[max(1, len(l[best])):]
	}
	return ids
}

func TestBreakerSequences(t *testing.T) {
	vocabulary := letters{"", "a", "b", "xa", "ab", "abc", "\n", ".\n", "bb", "c"}
	assert.Equal(t, [][]int32{{6}, {7}}, BreakerSequences([]string{"\n", ""}, vocabulary))
	assert.Equal(t, [][]int32{{1, 2}, {3, 2}, {4}, {5}}, BreakerSequences([]string{"ab"}, vocabulary),
		"tokens that hold the breaker, and those that end with its beginning")
	assert.Equal(t, [][]int32{{1, 8}, {3, 8}, {4, 2}}, BreakerSequences([]string{"abb", "abb"}, vocabulary))
	long := make([]byte, 100)
	for i := range long {
		long[i] = 'a'
	}
	for _, sequence := range BreakerSequences([]string{string(long)}, vocabulary) {
		assert.Len(t, sequence, 1+maxBreakerRest)
	}
	assert.Empty(t, BreakerSequences(nil, vocabulary))
}
