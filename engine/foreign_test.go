package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBackendNames(t *testing.T) {
	path := tiny.write(t)
	_, err := Open(path, Options{Backend: "fast"})
	require.Error(t, err)
	assert.Contains(t, err.Error(), `"fast"`)
	assert.Contains(t, err.Error(), BackendLlamaCPP)
	for _, name := range []string{"", BackendNative} {
		e, err := Open(path, Options{Backend: name})
		require.NoError(t, err)
		assert.Equal(t, BackendNative, e.Backend())
		require.NoError(t, e.Close())
	}
}

// TestTrace: every op's activation is there after the step, and the last one is the logits'.
func TestTrace(t *testing.T) {
	for _, m := range []tinyModel{tiny, {layers: 2, dim: 64, heads: 4, kvHeads: 2, ff: 96, window: 16}, {layers: 2, dim: 64, heads: 4, kvHeads: 2, ff: 96, experts: 4, used: 2}} {
		path, tokens := m.write(t), []int32{1, 5, 9, 2}
		e, err := Open(path, Options{AllLogits: true, Trace: true, Threads: 2})
		require.NoError(t, err)
		var want []float32
		require.NoError(t, e.Logits(context.Background(), tokens, 0, func(_ int, logits []float32) error {
			want = append(want, logits...)
			return nil
		}))
		seen := map[string]int{}
		layers := map[int]bool{}
		var last Activation
		require.NoError(t, e.Trace(context.Background(), tokens, func(a Activation) error {
			assert.Len(t, a.Values, a.Rows*a.Cols)
			assert.Equal(t, len(tokens), a.Rows)
			seen[a.Name]++
			layers[a.Layer] = true
			last = a
			return nil
		}))
		assert.Equal(t, want, last.Values, "the last op computes the logits")
		assert.Equal(t, 1, seen["embed token_embd.weight"])
		assert.Equal(t, int(m.layers), seen["norm attn_norm.weight"])
		assert.Equal(t, map[int]bool{-1: true, 0: true, 1: true}, layers)
		plain, err := allLogits(path, tokens, 0, Options{})
		require.NoError(t, err)
		requireSameBits(t, plain, want, "with and without activations kept")
		require.NoError(t, e.checkCache())
		require.NoError(t, e.Close())
	}
}

func TestTraceRefusals(t *testing.T) {
	e := openTiny(t, tiny, Options{})
	none := func(Activation) error { return nil }
	assert.Error(t, e.Trace(context.Background(), []int32{1}, none), "opened without Trace")
	e = openTiny(t, tiny, Options{Trace: true, AllLogits: true, StepRows: 4})
	assert.ErrorIs(t, e.Trace(context.Background(), make([]int32, 5), none), ErrTooLong)
	assert.Error(t, e.Trace(context.Background(), nil, none))
	assert.ErrorIs(t, e.Trace(context.Background(), []int32{1}, func(Activation) error { return assert.AnError }), assert.AnError)
}
