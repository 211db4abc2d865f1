package cache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// decoder makes a cache that is full, with sequences that decode in it.
func decoder(t testing.TB, sequences int, kinds ...Kind) (*Cache, []*Sequence) {
	c, err := New(kinds, noDevice{}, Options{Context: 4096, CheckpointTokens: 256})
	require.NoError(t, err)
	for i := range 20 { // fills the cache with what nobody holds
		compute(t, c, text(10_000*i, 3000)).Close()
	}
	require.Positive(t, c.Stats().Evicted+c.Stats().Dropped)
	var all []*Sequence
	for i := range sequences {
		all = append(all, compute(t, c, text(1_000_000+1000*i, 500)))
	}
	return c, all
}

func compute(t testing.TB, c *Cache, tokens []int32) *Sequence {
	s, _ := c.Open("", tokens)
	for s.Len() < len(tokens) {
		end := s.ChunkEnd(min(len(tokens), s.Len()+512))
		require.NoError(t, s.Reserve(end))
		require.NoError(t, s.Commit(tokens[s.Len():end]))
	}
	return s
}

// decode computes one token of each.
func decode(all []*Sequence, kinds int, id int32) (sum int) {
	ids := [1]int32{id}
	for i, s := range all {
		if s.Reserve(s.Len()+1) != nil {
			return -1
		}
		for kind := range kinds {
			sum += len(s.Table(kind))
		}
		ids[0] = id*64 + int32(i)
		if s.Commit(ids[:]) != nil {
			return -1
		}
	}
	return sum
}

var (
	denseKinds  = []Kind{{Pages: 1500}, {Pages: 600, Window: 128}}
	hybridKinds = []Kind{{Pages: 1500}, {Pages: 200, State: true}}
)

// A decode allocates nothing in its steps, while pages fill up, windows shed, states are kept and prefixes are evicted.
func TestDecodeAllocatesNothing(t *testing.T) {
	for _, kinds := range [][]Kind{denseKinds, hybridKinds} {
		c, all := decoder(t, 8, kinds...)
		before, id, failed := c.Stats(), int32(0), false
		allocations := testing.AllocsPerRun(1, func() { // one run of 1500 steps, after one to warm up
			for range 1500 {
				id++
				failed = failed || decode(all, len(kinds), id) < 0
			}
		})
		assert.False(t, failed)
		after := c.Stats()
		assert.Greater(t, after.Evicted+after.Dropped, before.Evicted+before.Dropped+50)
		// The runtime and the test framework allocate now and then in the meantime; anything that a step allocates comes 1500 times.
		assert.Less(t, allocations, 15.0)
		require.NoError(t, c.Check())
	}
}

// The lookup of a long prompt that nothing is known of takes next to no time, and so does one that is known. The bound is a
// hundred times what it takes on an idle machine, for the best of several attempts.
func TestLookupIsFast(t *testing.T) {
	const n = 100_000
	kinds := []Kind{{Pages: 2 * n / PageTokens}}
	c, err := New(kinds, noDevice{}, Options{})
	require.NoError(t, err)
	best := func(found int) time.Duration {
		least := time.Hour
		for range 20 {
			start := time.Now()
			s, hit := c.Open("", text(0, n))
			least = min(least, time.Since(start))
			assert.Equal(t, found, hit.Tokens)
			s.Close()
		}
		return least
	}
	assert.Less(t, best(0), 50*time.Millisecond)
	compute(t, c, text(0, n)).Close()
	assert.Less(t, best(n-1), 50*time.Millisecond)
}

func BenchmarkOpenUnknown100k(b *testing.B) { benchmarkOpen(b, false) }
func BenchmarkOpenKnown100k(b *testing.B)   { benchmarkOpen(b, true) }

func benchmarkOpen(b *testing.B, known bool) {
	const n = 100_000
	kinds := []Kind{{Pages: 2 * n / PageTokens}, {Pages: 1000, Window: 1024}}
	c, err := New(kinds, noDevice{}, Options{})
	require.NoError(b, err)
	tokens := text(0, n)
	if known {
		compute(b, c, tokens).Close()
	}
	b.ReportAllocs()
	for b.Loop() {
		s, _ := c.Open("", tokens)
		s.Close()
	}
}

// One step of 64 decoding sequences in a cache that is full.
func BenchmarkDecode64(b *testing.B) {
	_, all := decoder(b, 64, Kind{Pages: 2500}, Kind{Pages: 600, Window: 128})
	id := int32(0)
	b.ReportAllocs()
	for b.Loop() {
		if id++; id%500 == 0 {
			for _, s := range all {
				s.Rewind(500)
			}
		}
		if decode(all, 2, id) < 0 {
			b.Fatal("full")
		}
	}
}

// A prompt of 16,384 tokens committed in steps of 512.
func BenchmarkPrefill16k(b *testing.B) {
	kinds := []Kind{{Pages: 2000}, {Pages: 200, Window: 1024}}
	c, err := New(kinds, noDevice{}, Options{})
	require.NoError(b, err)
	first := 0
	for b.Loop() {
		tokens := text(first, 16384)
		first += 16384
		s, _ := c.Open("", tokens)
		for s.Len() < len(tokens) {
			require.NoError(b, s.Reserve(s.Len()+512))
			require.NoError(b, s.Commit(tokens[s.Len():s.Len()+512]))
		}
		s.Close()
	}
}

// One of many that wait for a prompt of 100,000 tokens looks how far it has come.
func BenchmarkExtendWaiting(b *testing.B) {
	const n = 100_000
	kinds := []Kind{{Pages: 2 * n / PageTokens}}
	c, err := New(kinds, noDevice{}, Options{})
	require.NoError(b, err)
	tokens := text(0, n)
	leader, _ := c.Open("", tokens)
	require.NoError(b, leader.Reserve(n/2))
	require.NoError(b, leader.Commit(tokens[:n/2]))
	waiting, _ := c.Open("", tokens)
	b.ReportAllocs()
	for b.Loop() {
		if hit, err := waiting.Extend(tokens); err != nil || hit.Pending != n-1 {
			b.Fatal(hit, err)
		}
	}
}
