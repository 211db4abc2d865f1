package engine

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLongContextBits computes more tokens than one thread's span of attention: spans shared among threads, pages of halves read as
// they lie and pages unpacked for many queries must all give the same bits. 700 tokens are three spans, the last one partial.
func TestLongContextBits(t *testing.T) {
	t.Parallel()
	oneHead := tinyModel{layers: 2, dim: 64, heads: 4, kvHeads: 1, ff: 96}
	window := oneHead
	window.window = 300
	odd := tinyModel{layers: 2, dim: 96, heads: 2, kvHeads: 1, ff: 96} // heads of 48: a short block of 8-bit values
	for name, c := range map[string]struct {
		model     tinyModel
		cacheType string
	}{
		"one KV head, f16": {oneHead, "f16"}, "window, f16": {window, "f16"}, "one KV head, q8_0": {oneHead, "q8_0"}, "window, q8_0": {window, "q8_0"},
		"heads of 48, q8_0": {odd, "q8_0"}, "heads of 48, f32": {odd, "f32"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := c.model
			tokens := make([]int32, 700)
			for i := range tokens {
				tokens[i] = int32(3 + i*i%251)
			}
			path := m.write(t)
			last := func(o Options, chunk int) []float32 {
				o.Context, o.AllLogits, o.CacheType = 1024, true, c.cacheType
				e, err := Open(path, o)
				require.NoError(t, err)
				defer func() { require.NoError(t, e.Close()) }()
				var rows []float32
				require.NoError(t, e.Logits(t.Context(), tokens, chunk, func(position int, logits []float32) error {
					if position%70 == 69 {
						rows = append(rows, slices.Clone(logits)...)
					}
					return nil
				}))
				return rows
			}
			want := last(Options{Threads: 1}, 512)
			for _, threads := range []int{2, 5} {
				for _, chunk := range []int{1, 3, 512} {
					require.Equal(t, want, last(Options{Threads: threads}, chunk), "%d threads, chunks of %d", threads, chunk)
				}
			}
			require.Equal(t, want, last(Options{Threads: 3, Variant: "ref"}, 2), "reference kernels")
		})
	}
}

// TestCacheTypes holds the error of rounded keys and values against what the types can hold: 11 bits, and 8 bits a block of 32.
func TestCacheTypes(t *testing.T) {
	t.Parallel()
	path := tiny.write(t)
	tokens := make([]int32, 200)
	for i := range tokens {
		tokens[i] = int32(3 + i*i%251)
	}
	exact, err := allLogits(path, tokens, 0, Options{Context: 256, CacheType: "f32"})
	require.NoError(t, err)
	for cacheType, most := range map[string]float64{"f16": 1e-3, "q8_0": 2e-2} {
		got, err := allLogits(path, tokens, 0, Options{Context: 256, CacheType: cacheType})
		require.NoError(t, err)
		var distance, length float64
		for i := range exact {
			d := float64(got[i] - exact[i])
			distance, length = distance+d*d, length+float64(exact[i])*float64(exact[i])
		}
		relative := math.Sqrt(distance / length)
		require.Less(t, relative, most, cacheType)
		require.Greater(t, relative, most/100, "%s: not rounded at all?", cacheType)
	}
	_, err = Open(path, Options{CacheType: "q4"})
	require.ErrorContains(t, err, "expected f16, q8_0 or f32")
}
