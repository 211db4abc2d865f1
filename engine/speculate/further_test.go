package speculate_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/infer-go/infer/engine/speculate"
)

// guessed is the mean number of guesses of a predictor that is right with such a probability at each distance, once it is known.
func guessed(likely []float64, verify, guess float64) float64 {
	f, r := speculate.NewFurther(), rand.New(rand.NewPCG(1, 2))
	total := 0
	for i := range 2000 {
		n := f.Length(verify, guess, len(likely))
		accepted := 0
		for accepted < n && r.Float64() < likely[accepted] {
			accepted++
		}
		f.Verified(n, accepted)
		if i >= 1000 {
			total += n
		}
	}
	return float64(total) / 1000
}

// As many are guessed as are likelier than they cost: the third of guesses that are each right four times out of five is right
// every second time.
func TestFurtherLength(t *testing.T) {
	even := []float64{0.8, 0.8, 0.8, 0.8, 0.8, 0.8}
	assert.InDelta(t, 6, guessed(even, 0.1, 0.05), 0.8)
	assert.InDelta(t, 3, guessed(even, 0.4, 0.05), 1)
	assert.InDelta(t, 1, guessed(even, 0.5, 0.25), 0.4)
	assert.Less(t, guessed(even, 0.7, 0.3), 0.2, "it would cost more than it brings, and is tried rarely")
	assert.InDelta(t, 1, guessed([]float64{0.9, 0.1, 0.9}, 0.2, 0.1), 0.3, "what follows a wrong guess is worth nothing")
	assert.Less(t, guessed([]float64{0.05, 0.9}, 0.2, 0.1), 0.1)
	assert.InDelta(t, 2, guessed([]float64{1, 1}, 0, 0), 0.01)
}

// A predictor that was wrong for long and becomes right is found out.
func TestFurtherComesBack(t *testing.T) {
	f := speculate.NewFurther()
	for range 500 {
		f.Verified(f.Length(0.3, 0.1, 4), 0)
	}
	total := 0
	for range 3000 {
		n := f.Length(0.3, 0.1, 4)
		total += n
		f.Verified(n, n)
	}
	assert.Greater(t, total, 3000)
	drafted, accepted := f.Stats()
	assert.EqualValues(t, total, accepted)
	assert.Greater(t, drafted, accepted)
}

func TestFurtherBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := speculate.NewFurther()
		for range 50 {
			most := rapid.IntRange(-1, 20).Draw(t, "most")
			n := f.Length(rapid.Float64Range(0, 2).Draw(t, "verify"), rapid.Float64Range(0, 1).Draw(t, "guess"), most)
			assert.True(t, n >= 0 && n <= max(most, 0))
			f.Verified(rapid.IntRange(-1, 20).Draw(t, "drafted"), rapid.IntRange(-1, 20).Draw(t, "accepted"))
			assert.True(t, f.Likely() >= 0 && f.Likely() <= 1)
		}
	})
}
