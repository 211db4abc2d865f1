package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// available returns what can be had of every kind.
func (r *runner) available() []int {
	pages := make([]int, len(r.cache.shelves))
	r.cache.AddAvailable(pages)
	return pages
}

func minus(a, b []int) []int {
	out := make([]int, len(a))
	for i := range a {
		out[i] = a[i] - b[i]
	}
	return out
}

// What a sequence is said to need is what Reserve then takes, and what it is said to hold is what Park gives back.
func TestNeeds(t *testing.T) {
	r := newRunner(t, Options{}, everyKind...)
	tokens := text(0, 100)
	s, _ := r.cache.Open("", tokens)
	for _, end := range []int{1, 32, 33, 100} {
		need, before := make([]int, 3), r.available()
		s.AddNeed(end, need)
		require.NoError(t, s.Reserve(end))
		assert.Equal(t, need, minus(before, r.available()), "up to %d", end)
	}
	require.NoError(t, r.prefill(s, tokens, 64))
	for _, away := range []bool{false, true} {
		held, before := make([]int, 3), r.available()
		s.AddHeld(1, held)
		require.NoError(t, s.Park())
		assert.Equal(t, held, minus(r.available(), before))
		if away {
			r.request(t, "", text(5000, 380))
			assert.Positive(t, r.cache.Stats().Spilled)
		}
		none := make([]int, 3)
		s.AddHeld(1, none)
		assert.Equal(t, []int{0, 0, 0}, none, "a parked one holds nothing")
		need := make([]int, 3)
		before = r.available()
		s.AddNeed(s.Len()+30, need)
		require.NoError(t, s.Resume())
		require.NoError(t, s.Reserve(s.Len()+30))
		took := minus(before, r.available())
		for i := range need {
			assert.GreaterOrEqual(t, need[i], took[i], "kind %d", i)
			assert.LessOrEqual(t, need[i], took[i]+1, "kind %d: a copy of the last page may be needed or not", i)
		}
		r.check(t)
	}
	s.Close()
	none := make([]int, 3)
	s.AddNeed(50, none)
	s.AddHeld(1, none)
	assert.Equal(t, []int{0, 0, 0}, none)
}

// What two sequences share is given back by both of them only.
func TestHeldBySharers(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	tokens := text(0, 96)
	s, _ := r.cache.Open("", tokens)
	require.NoError(t, r.prefill(s, tokens, 64))
	f, err := s.Fork()
	require.NoError(t, err)
	require.NoError(t, r.step(f, text(96, 40)))
	one, two, own := []int{0}, []int{0}, []int{0}
	s.AddHeld(1, one)
	s.AddHeld(2, two)
	f.AddHeld(1, own)
	assert.Equal(t, []int{0}, one)
	assert.Equal(t, []int{3}, two)
	assert.Equal(t, []int{2}, own)
	s.Close()
	f.Close()
	r.check(t)
}

func TestParkRoom(t *testing.T) {
	r, s, _ := parkAll(t, Options{ParkBytes: 1 << 20})
	assert.EqualValues(t, 1<<20, r.cache.ParkRoom())
	r.request(t, "", text(5000, 380))
	assert.EqualValues(t, 1<<20-r.cache.Stats().ParkedMemory, r.cache.ParkRoom())
	s.Close()
	r, s, _ = parkAll(t, Options{ParkBytes: 1, ParkDir: t.TempDir(), ParkDiskBytes: 5000})
	assert.EqualValues(t, 5001, r.cache.ParkRoom())
	s.Close()
	r, s, _ = parkAll(t, Options{})
	assert.Greater(t, r.cache.ParkRoom(), int64(1<<60))
	s.Close()
}

func TestForget(t *testing.T) {
	r := newRunner(t, Options{}, Kind{Pages: 20})
	r.request(t, "a", text(0, 70))
	r.request(t, "b", text(0, 70))
	r.cache.Forget("a")
	r.cache.Forget("never seen")
	r.check(t)
	assert.Zero(t, r.cache.Explain("a", text(0, 70)).Tokens)
	assert.Equal(t, 69, r.cache.Explain("b", text(0, 70)).Tokens)
}
