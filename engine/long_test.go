package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLongContextBits computes more tokens than one thread's span of attention: spans shared among threads, pages of halves read as
// they lie and pages unpacked for many queries must all give the same bits. 700 tokens are three spans, the last one partial.
func TestLongContextBits(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]tinyModel{
		"one KV head": {layers: 2, dim: 64, heads: 4, kvHeads: 1, ff: 96},
		"window":      {layers: 2, dim: 64, heads: 4, kvHeads: 1, ff: 96, window: 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := make([]int32, 700)
			for i := range tokens {
				tokens[i] = int32(3 + i*i%251)
			}
			path := m.write(t)
			last := func(o Options, chunk int) []float32 {
				o.Context, o.AllLogits = 1024, true
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
