package sampler

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawLogits makes rows of every kind that matters: few values and so many ties, all equal, single tokens, -Inf among
// them, and vocabularies large enough for the ways that only large sets take. One token at least is finite.
func drawLogits(t *rapid.T) []float32 {
	n := rapid.OneOf(rapid.IntRange(1, 6), rapid.IntRange(7, 80), rapid.Just(5000)).Draw(t, "vocabulary")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	levels := rapid.SampledFrom([]int{0, 1, 3, 20}).Draw(t, "levels") // 0: continuous
	spread := rapid.SampledFrom([]float64{0.1, 1, 4, 60}).Draw(t, "spread")
	masked := rapid.SampledFrom([]float64{0, 0.3, 0.9}).Draw(t, "share of -Inf")
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * spread)
		if levels > 0 {
			logits[i] = float32(float64(r.IntN(levels)) * spread)
		}
		if r.Float64() < masked {
			logits[i] = negInf
		}
	}
	if i := r.IntN(n); logits[i] == negInf {
		logits[i] = 1
	}
	return logits
}

// start returns the candidates of a row, dense or as a list.
func start(logits []float32, dense bool) *candidates {
	c := &candidates{}
	c.reset(logits, nil)
	if !dense {
		c.gatherAll()
	}
	return c
}

func (c *candidates) ids() []int32 {
	var ids []int32
	if c.dense {
		for id, x := range c.logits {
			if x != negInf {
				ids = append(ids, int32(id))
			}
		}
		return ids
	}
	for _, t := range c.list {
		ids = append(ids, t.id)
	}
	return ids
}

// requireBetween checks that got lies between the reference's sets for the parameter moved by a rounding error either way.
func requireBetween(t require.TestingT, small, large refSet, got []int32) {
	require.True(t, slices.IsSorted(got), "ids are in order")
	low, high := small.ids(), large.ids()
	if slices.Equal(got, low) || slices.Equal(got, high) {
		return
	}
	for _, id := range low {
		require.Contains(t, got, id)
	}
	for _, id := range got {
		require.Contains(t, high, id)
	}
}

const rounding = 1e-9

// TestStagesKeepWhatTheReferenceKeeps compares each truncating stage with its plain definition, from dense logits and from a
// list, with and without a temperature before it.
func TestStagesKeepWhatTheReferenceKeeps(t *testing.T) {
	share := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 1e-300, 0.25, 0.5, 0.95, 0.999999, 1}))
	stages := map[string]func(t *rapid.T, c *candidates, set refSet) (small, large refSet, err error){
		"top_k": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			k := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 6000)).Draw(t, "k")
			return set.topK(k), set.topK(k), c.topK(k)
		},
		"top_p": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			p := share.Draw(t, "p")
			return set.topP(p - rounding), set.topP(p + rounding), c.topP(p)
		},
		"min_p": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			p := share.Draw(t, "p")
			return set.minP(min(1, p*(1+rounding))), set.minP(p * (1 - rounding)), c.minP(p)
		},
		"typ_p": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			p := share.Draw(t, "p")
			return set.typical(p - rounding), set.typical(p + rounding), c.typical(p)
		},
		"top_n_sigma": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			n := rapid.Float64Range(0, 5).Draw(t, "n")
			return set.topNSigma(n - rounding), set.topNSigma(n + rounding), c.topNSigma(n)
		},
		"xtc": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			p := rapid.OneOf(rapid.Float64Range(0, 0.5), rapid.SampledFrom([]float64{0, 1e-305, 1e-9, 0.1, 0.5})).Draw(t, "threshold")
			return set.xtc(p * (1 - rounding)), set.xtc(p * (1 + rounding)), c.xtc(p)
		},
		"mirostat": func(t *rapid.T, c *candidates, set refSet) (refSet, refSet, error) {
			mu := rapid.Float64Range(-1, 14).Draw(t, "mu")
			m := mirostat{mu: mu}
			return set.mirostat(mu - rounding), set.mirostat(mu + rounding), m.truncate(c)
		},
	}
	for name, stage := range stages {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				logits := drawLogits(t)
				original := slices.Clone(logits)
				c, set := start(logits, rapid.Bool().Draw(t, "dense")), newRefSet(logits)
				if rapid.Bool().Draw(t, "hot") {
					require.NoError(t, c.temperature(1.7))
					set = set.temperature(1.7)
				}
				small, large, err := stage(t, c, set)
				require.NoError(t, err)
				got := c.ids()
				require.NotEmpty(t, got)
				if name == "typ_p" && ambiguousTypical(set) {
					return
				}
				requireBetween(t, small, large, got)
				require.Equal(t, original, logits, "the caller's logits are only read")
			})
		})
	}
}

// ambiguousTypical reports whether two different logits are so nearly at the same distance from the mean that rounding
// decides which comes first.
func ambiguousTypical(set refSet) bool {
	order, _, distances := set.surpriseOrder()
	for i := 1; i < len(order); i++ {
		if order[i].x != order[i-1].x && distances[i]-distances[i-1] < rounding*max(1, distances[i]) {
			return true
		}
	}
	return false
}

// TestTypicalWithTwoSides has tokens on both sides of the mean whose order no rounding can change.
func TestTypicalWithTwoSides(t *testing.T) {
	logits := []float32{3, 2.5, 0.25, -1, -4}
	set := newRefSet(logits)
	require.False(t, ambiguousTypical(set))
	for p := 0.01; p < 1; p += 0.01 {
		for _, dense := range []bool{true, false} {
			c := start(logits, dense)
			require.NoError(t, c.typical(p))
			assert.Equal(t, set.typical(p).ids(), c.ids(), "p = %g", p)
		}
	}
	c := start(logits, true)
	require.NoError(t, c.typical(0.01))
	assert.Equal(t, []int32{1}, c.ids(), "the most typical token is not the most probable one")
}

func TestTiesKeepTheLowerIDs(t *testing.T) {
	logits := []float32{1, 2, 1, 2, 1, 2, 1, 0}
	for _, dense := range []bool{true, false} {
		c := start(logits, dense)
		require.NoError(t, c.topK(5))
		assert.Equal(t, []int32{0, 1, 2, 3, 5}, c.ids())

		c = start([]float32{0, 0, 0, 0}, dense)
		require.NoError(t, c.topP(0.5))
		assert.Equal(t, []int32{0, 1}, c.ids(), "mass 0.5 is reached exactly")

		c = start([]float32{0, 0, 0, 0}, dense)
		require.NoError(t, c.typical(0.5))
		assert.Equal(t, []int32{0, 1, 2}, c.ids(), "typical asks for more than the mass")

		c = start([]float32{1, 1, 1, 0}, dense)
		require.NoError(t, c.xtc(0.2))
		assert.Equal(t, []int32{2, 3}, c.ids(), "XTC spares the last of equal ones")
	}
}

// TestSelectionOrders feeds orders that are bad for naive pivots and for a rising floor.
func TestSelectionOrders(t *testing.T) {
	const n = 20_000
	ascending, organ := make([]float32, n), make([]float32, n)
	for i := range n {
		ascending[i] = float32(i) / n
		organ[i] = float32(min(i, n-i)) / n
	}
	descending := slices.Clone(ascending)
	slices.Reverse(descending)
	for _, logits := range [][]float32{ascending, descending, organ, make([]float32, n)} {
		set := newRefSet(logits)
		for _, k := range []int{1, 40, 700, n - 1, n, n + 1} {
			c := start(logits, true)
			require.NoError(t, c.topK(k))
			require.Equal(t, set.topK(k).ids(), c.ids())
		}
		for _, dense := range []bool{true, false} {
			c := start(logits, dense)
			require.NoError(t, c.topP(0.6))
			requireBetween(t, set.topP(0.6-rounding), set.topP(0.6+rounding), c.ids())
		}
	}
}

// TestMassThatIsNeverReached asks for more mass than rounding leaves: everything stays.
func TestMassThatIsNeverReached(t *testing.T) {
	for _, n := range []int{3, 5000} {
		for _, value := range []float32{0, 0.3} {
			logits := make([]float32, n)
			for i := range logits {
				logits[i] = float32(i%3) * value
			}
			c := start(logits, false)
			require.NoError(t, c.typical(1))
			require.Len(t, c.list, n)
		}
	}
}

func TestMassCutFarTail(t *testing.T) {
	// Nearly all values lie in one bucket, far below a lonely one at each end.
	logits := make([]float32, 4000)
	for i := range logits {
		logits[i] = float32(i%7) * 1e-3
	}
	logits[5], logits[9] = 1e30, -3e38
	for _, p := range []float64{0, 0.5, 1} {
		c := start(logits, false)
		require.NoError(t, c.topP(p))
		require.Equal(t, []int32{5}, c.ids(), "it has all the mass")
	}
	logits[5] = 1
	set := newRefSet(logits)
	c := start(logits, false)
	require.NoError(t, c.topP(0.7))
	requireBetween(t, set.topP(0.7-rounding), set.topP(0.7+rounding), c.ids())
}

func TestDynamicTemperatureFollowsEntropy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		logits := drawLogits(t)
		c, set := start(logits, rapid.Bool().Draw(t, "dense")), newRefSet(logits)
		exponent := rapid.SampledFrom([]float64{0.4, 1, 2.5}).Draw(t, "exponent")
		require.NoError(t, c.dynamicTemperature(0.5, 1.5, exponent))
		if len(set) < 2 {
			return
		}
		want := set.temperature(set.dynamic(0.5, 1.5, exponent))
		if c.dense {
			require.InEpsilon(t, 1/set.dynamic(0.5, 1.5, exponent), c.scale, 1e-6)
			return
		}
		byID := map[int32]float64{}
		for _, w := range want {
			byID[w.id] = w.x
		}
		for _, got := range c.list {
			require.InDelta(t, byID[got.id], got.x, 1e-6*max(1, math.Abs(got.x)))
		}
	})
}

func TestDynamicTemperatureReachesZero(t *testing.T) {
	for _, dense := range []bool{true, false} {
		c := start([]float32{0, 900, 1, 2}, dense)
		require.NoError(t, c.dynamicTemperature(0, 2, 1))
		assert.Equal(t, []int32{1}, c.ids(), "without entropy the temperature is the low one, 0")
	}
}
