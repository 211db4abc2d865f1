package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// countingDevice counts the rows of its steps.
type countingDevice struct {
	device
	rows int
}

func (d *countingDevice) Run(b *kernels.Batch) ([]float32, error) {
	d.rows += len(b.IDs)
	return d.device.Run(b)
}

// Rounds of a test compute its tokens each time and its depth once, take turns with requests, whose bits they do not touch, and leave nothing.
func TestBenchRounds(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			const rounds = 3
			b := BenchSpec{Prompt: 37, Generate: 5, Depth: 75, Sequences: 4} // the depth ends within a page
			e := openChecked(t, m.write(t), Options{Context: b.BenchContext() + kernels.PageTokens, Sequences: 4, StepRows: 50, Threads: 2})
			beside := bitsRequest(1, 40, 60)
			want, _ := ask(t, e, beside)
			eventuallyIdle(t, e)
			giveBack, err := e.loop.borrow(context.Background())
			require.NoError(t, err)
			count := &countingDevice{device: e.device}
			e.device = count
			giveBack()
			measure := func() {
				n := 0
				for took, err := range e.BenchRounds(context.Background(), b) {
					require.NoError(t, err)
					assert.Greater(t, took, time.Duration(0))
					if n++; n == rounds {
						break
					}
				}
				assert.Equal(t, rounds, n)
			}
			measure()
			eventuallyIdle(t, e)
			assert.Equal(t, b.Sequences*(b.Depth+rounds*(b.Prompt+b.Generate)), count.rows)

			s, err := e.Submit(context.Background(), beside)
			require.NoError(t, err)
			measure()
			events, err := drain(s)
			require.NoError(t, err)
			for i, event := range events {
				assert.Equal(t, want[0].ids[i], event.ID)
			}
			eventuallyIdle(t, e)
		})
	}
	e := openTiny(t, tiny, Options{})
	for _, bad := range []BenchSpec{{}, {Prompt: -1, Generate: 3}, {Prompt: 1, Depth: -1}} {
		_, err := e.Bench(context.Background(), bad)
		assert.ErrorContains(t, err, "expected 0 or more of each, and a token to time")
	}
	_, err := e.Bench(context.Background(), BenchSpec{Prompt: 1 << 20})
	assert.ErrorIs(t, err, ErrTooLong)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = e.Bench(cancelled, BenchSpec{Prompt: 1})
	assert.ErrorIs(t, err, context.Canceled)
	eventuallyIdle(t, e)
}

// An engine that is closed in the middle of a round waits for a step of it at most.
func TestBenchClosed(t *testing.T) {
	e, err := Open(tiny.write(t), Options{Context: 1 << 14, Threads: 1})
	require.NoError(t, err)
	began := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for _, err := range e.BenchRounds(context.Background(), BenchSpec{Generate: 500}) {
			if err != nil {
				done <- err
				return
			}
			select {
			case <-began:
			default:
				close(began)
			}
		}
	}()
	<-began
	require.NoError(t, e.Close())
	assert.ErrorIs(t, <-done, ErrClosed)
}
