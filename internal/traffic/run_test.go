package traffic

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/infer-go/infer/engine"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/internal/tinymodel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	o.Threads = 1
	e, err := engine.Open(tinymodel.WriteLlama(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return e
}

// Every arrival is accounted for, tokens are as many as were asked for, and what is measured fits together.
func TestRun(t *testing.T) {
	e := open(t, engine.Options{Sequences: 4, Context: 160})
	arrivals, err := Poisson(Load{Rate: 400, Requests: 40, Prompt: Range{40, 90}, Output: Range{2, 9}, Prefix: 38, Groups: 1, Seed: 1,
		Lanes: []LaneShare{{schedule.Online, 1}, {schedule.Batch, 1}}})
	require.NoError(t, err)
	arrivals = append(arrivals, Arrival{At: arrivals[39].At, Prompt: own(1, 170), Output: 3}) // longer than the context
	r, err := Run(context.Background(), e, arrivals, Options{})
	require.NoError(t, err)
	generated := 0
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if i == 40 {
			assert.Equal(t, engine.ErrTooLong.Error(), o.Refused)
			continue
		}
		require.True(t, o.Finished, "%d: %v %s", i, o.Err, o.Refused)
		assert.Equal(t, arrivals[i].Output, o.Generated)
		assert.Equal(t, arrivals[i].PromptTokens(), o.Prompt)
		require.Len(t, o.Gaps, o.Generated-1)
		sum := o.First
		for _, g := range o.Gaps {
			assert.GreaterOrEqual(t, g, time.Duration(0))
			sum += g
		}
		assert.Equal(t, o.Total, sum)
		assert.GreaterOrEqual(t, o.Ended, arrivals[i].At)
		generated += o.Generated
	}
	report := Summarize(r, Targets{First: time.Hour})
	assert.True(t, report.Complete)
	require.Len(t, report.Lanes, 3)
	all, online, batch := report.Lanes[0], report.Lanes[1], report.Lanes[2]
	assert.Equal(t, 41, all.Requests)
	assert.Equal(t, 40, all.Finished)
	assert.Equal(t, map[string]int{engine.ErrTooLong.Error(): 1}, all.Refused)
	assert.Equal(t, all.Requests, all.Finished+all.Cancelled+all.Failed+1)
	assert.Equal(t, all.Requests, online.Requests+batch.Requests)
	assert.Equal(t, all.Finished, online.Finished+batch.Finished)
	assert.Equal(t, generated, all.GeneratedTokens)
	assert.Equal(t, 40, all.Good)
	assert.Equal(t, 40, all.TTFT.Count)
	assert.Equal(t, generated-40, all.ITL.Count)
	assert.Positive(t, all.CachedTokens, "a prefix of 38 tokens is a page and more")
	assert.Equal(t, 0, Summarize(r, Targets{First: 1}).Lanes[0].Good)
	var text strings.Builder
	report.Print(&text)
	assert.Contains(t, text.String(), "refused: 1, "+engine.ErrTooLong.Error())

	r, err = Run(context.Background(), e, arrivals[:40], Options{NoReuse: true})
	require.NoError(t, err)
	assert.Zero(t, Summarize(r, Targets{}).Lanes[0].CachedTokens)
}

// The clock goes on whatever becomes of earlier requests: all are sent although only one can be computed at a time.
func TestOpenLoop(t *testing.T) {
	e := open(t, engine.Options{Sequences: 1, Context: 4096})
	arrivals := []Arrival{{Prompt: own(1, 8), Output: 3000}, {At: 5 * time.Millisecond, Prompt: own(2, 8), Output: 2}, {At: 10 * time.Millisecond, Prompt: own(3, 8), Output: 2}}
	r, err := Run(context.Background(), e, arrivals, Options{})
	require.NoError(t, err)
	first := &r.Outcomes[0]
	for i := 1; i < 3; i++ {
		assert.Less(t, arrivals[i].At+r.Outcomes[i].Late, first.Ended)
		assert.True(t, r.Outcomes[i].Finished)
	}
}

// When the context ends, what was measured stays; what runs is cancelled, or waited for.
func TestRunEnds(t *testing.T) {
	for _, drain := range []bool{false, true} {
		e := open(t, engine.Options{Sequences: 2, Context: 4096})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		arrivals := []Arrival{{Prompt: own(1, 8), Output: 2000}, {Prompt: own(2, 8), Output: 1}, {At: time.Hour, Prompt: own(3, 8), Output: 1}}
		r, err := Run(ctx, e, arrivals, Options{Drain: drain, Started: func(i int) {
			if i == 0 {
				cancel()
			}
		}})
		require.NoError(t, err)
		report := Summarize(r, Targets{})
		assert.False(t, report.Complete)
		assert.Equal(t, 2, r.Sent)
		assert.Equal(t, 2, report.Lanes[0].Requests)
		assert.Equal(t, drain, r.Outcomes[0].Finished)
		assert.Equal(t, !drain, r.Outcomes[0].Cancelled)
		assert.Zero(t, report.Lanes[0].Failed)
		assert.Less(t, r.Took, time.Minute)
	}
}

func TestSpread(t *testing.T) {
	var values []float64
	for i := range 200 {
		values = append(values, float64(200-i))
	}
	assert.Equal(t, Spread{Count: 200, Mean: 100.5, P50: 100, P95: 190, P99: 198, Max: 200}, spread(values))
	assert.Equal(t, Spread{}, spread(nil))
	assert.Equal(t, Spread{Count: 1, Mean: 3, P50: 3, P95: 3, P99: 3, Max: 3}, spread([]float64{3}))
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		f    Figure
		kept bool
	}{{Figure{Value: 1}, true}, {Figure{Value: 1, Bound: 2}, false}, {Figure{Value: 2, Bound: 2}, true}, {Figure{Value: 1, Bound: 2, AtMost: true}, true}, {Figure{Value: 3, Bound: 2, AtMost: true}, false}} {
		assert.Equal(t, c.kept, c.f.Kept(), "%+v", c.f)
	}
	var text strings.Builder
	PrintFigures(&text, []Figure{{Name: "a", Value: 4899.6, Unit: "ms"}, {Name: "b", Value: 0.123456, Bound: 0.1, AtMost: true}, {Name: "c", Value: 0}})
	assert.Contains(t, text.String(), "4900 ms")
	assert.Contains(t, text.String(), "0.123")
	assert.Contains(t, text.String(), "<= 0.100 MISSED")
}

// The experiments run to their end on a tiny model; what they find there says nothing.
func TestExperiments(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	path := tinymodel.WriteLlama(t)
	trace := filepath.Join(t.TempDir(), "trace.jsonl")
	writeTrace(t, trace)
	b := &Bench{Repeats: 1, Trace: trace, Scale: Scale{Lengths: 1.0 / 16, Requests: 6}, Log: &strings.Builder{},
		Open: func(o engine.Options) (*engine.Engine, error) {
			o.Threads = 1
			return engine.Open(path, o)
		}}
	for _, x := range Experiments {
		figures, err := x.Run(context.Background(), b)
		require.NoError(t, err, x.Name)
		bounds := 0
		for _, f := range figures {
			assert.True(t, f.Value >= 0 && f.Value < 1e9, "%+v", f)
			if f.Bound > 0 {
				bounds++
			}
			if f.Name == "  found while the other request runs" {
				assert.GreaterOrEqual(t, f.Value, 0.85, "whole pages of 900 tokens in 1000")
			}
			if f.Name == "prompt tokens found" {
				assert.InDelta(t, float64(5*64)/(6*96), f.Value, 1e-9)
			}
		}
		assert.Positive(t, bounds, x.Name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Experiments[0].Run(ctx, b)
	assert.ErrorIs(t, err, context.Canceled)
}

// writeTrace writes requests of three blocks, the first two of which they share; each comes when the one before has ended.
func writeTrace(t *testing.T, path string) {
	t.Helper()
	var b strings.Builder
	for i := range 6 {
		fmt.Fprintf(&b, "{\"timestamp\": %d, \"input_length\": 1536, \"output_length\": 8, \"hash_ids\": [1, 2, %d]}\n", 300*i, 10+i)
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
}

// A queue of one refuses what comes meanwhile, with advice; memory for one answer makes the batch lane yield to an online request.
func TestReportOfRefusalsAndPreemptions(t *testing.T) {
	e := open(t, engine.Options{Sequences: 1, Context: 2048, Queue: 1})
	arrivals := []Arrival{{Prompt: own(1, 8), Output: 400, Lane: schedule.Batch}}
	for i := range 8 {
		arrivals = append(arrivals, Arrival{Prompt: own(uint64(10+i), 8), Output: 300})
	}
	r, err := Run(context.Background(), e, arrivals, afterFirst(1))
	require.NoError(t, err)
	report := Summarize(r, Targets{})
	require.Len(t, report.Lanes, 3)
	online, batch := report.Lanes[1], report.Lanes[2]
	require.NotNil(t, online.RetryIn)
	assert.Positive(t, online.Refused[schedule.RefusedQueue.String()])
	assert.Equal(t, online.RetryIn.Count, online.Refused[schedule.RefusedQueue.String()])
	assert.Positive(t, online.RetryIn.P50)
	assert.Positive(t, batch.Preempted)
	assert.Zero(t, online.Preempted)
	assert.Nil(t, batch.RetryIn)
	var text strings.Builder
	report.Print(&text)
	assert.Contains(t, text.String(), "refusals advised to come again in ")
}
