package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

// Predict knows what the cache has, learns what steps take, and counts what is in front.
func TestPredict(t *testing.T) {
	e, err := Open(tiny.write(t), Options{Sequences: 1, Threads: 1, Context: 4096, StepRows: 64})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	ctx := context.Background()
	ask := Request{Tokens: bitsRequest(7, 200, 1).Tokens, MaxTokens: 40, Sampling: greedy(), IgnoreEnd: true}
	before, err := e.Predict(ctx, ask)
	require.NoError(t, err)
	assert.Equal(t, Forecast{PromptTokens: 200}, before, "nothing was seen yet")
	for i := range 3 {
		r := ask
		r.Tokens = append([]int32{int32(i)}, ask.Tokens...)
		collect(t, e, r)
	}
	cold, err := e.Predict(ctx, ask)
	require.NoError(t, err)
	assert.Zero(t, cold.CachedTokens)
	assert.Positive(t, cold.FirstToken)
	assert.Less(t, cold.FirstToken, time.Minute)
	collect(t, e, ask)
	warm, err := e.Predict(ctx, ask)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, warm.CachedTokens, 160)
	assert.Less(t, warm.FirstToken, cold.FirstToken)

	s, err := e.Submit(ctx, Request{Tokens: bitsRequest(9, 1000, 1).Tokens, MaxTokens: 3000, Sampling: greedy(), IgnoreEnd: true})
	require.NoError(t, err)
	behind, err := e.Predict(ctx, ask)
	require.NoError(t, err)
	s.Close()
	assert.Greater(t, behind.FirstToken, warm.FirstToken, "somebody has the only sequence")

	_, err = e.Predict(ctx, Request{Tokens: make([]int32, 5000)})
	assert.ErrorIs(t, err, ErrTooLong)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = e.Predict(gone, ask)
	assert.True(t, err == nil || errors.Is(err, context.Canceled))
}

// The schedule's limits are the engine's options.
func TestScheduleOptions(t *testing.T) {
	path := tiny.write(t)
	for _, o := range []Options{{BatchSlowdown: -1}, {BatchStep: -1}, {MicroBatchJobs: -1}, {QueueTokens: -1}} {
		_, err := Open(path, o)
		assert.ErrorContains(t, err, "schedule: ", "%+v", o)
	}
	e, err := Open(path, Options{Sequences: 1, Threads: 1, Context: 4096, QueueTokens: 100})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	long := Request{Tokens: bitsRequest(1, 80, 1).Tokens, MaxTokens: 4000, Sampling: greedy(), IgnoreEnd: true}
	first, err := e.Submit(context.Background(), long)
	require.NoError(t, err)
	defer first.Close()
	var refused *schedule.Refused
	for range 3 { // one runs, one waits
		var s *Stream
		if s, err = e.Submit(context.Background(), long); err != nil {
			break
		}
		defer s.Close()
	}
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, schedule.RefusedBacklog, refused.Reason)
	assert.Equal(t, int64(100), refused.Limit)
}
