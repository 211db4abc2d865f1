package engine

import (
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// idleDevice computes nothing, so that what remains is the host's work.
type idleDevice struct {
	device
	logits []float32
}

func (d *idleDevice) Run(b *kernels.Batch) ([]float32, error) {
	return d.logits[:len(b.Wanted)*d.LogitsStride()], nil
}

// decoding starts n endless greedy requests on a device that computes nothing, and somebody who reads them.
func decoding(t testing.TB, n int) *Engine {
	e, err := Open(tiny.write(t), Options{Sequences: n, Threads: 1, Context: 1 << 14})
	require.NoError(t, err)
	giveBack, err := e.loop.borrow(context.Background())
	require.NoError(t, err)
	e.device = &idleDevice{e.device, make([]float32, (n+scoreRows)*e.device.LogitsStride())}
	giveBack()
	for i := range n {
		s, err := e.Submit(context.Background(), Request{Tokens: bitsRequest(uint64(i), 40, 1).Tokens, Sampling: greedy(), IgnoreEnd: true})
		require.NoError(t, err)
		go func() {
			for {
				if _, err := s.Next(); err != nil {
					assert.True(t, err == io.EOF || err == ErrClosed, "%v", err)
					return
				}
			}
		}()
	}
	return e
}

// hostWork waits for steps of all n sequences and returns their mean cost on the host, and what they allocated.
func hostWork(t testing.TB, e *Engine, steps uint64) (each time.Duration, bytes float64) {
	read := func() (uint64, time.Duration) {
		giveBack, err := e.loop.borrow(context.Background())
		require.NoError(t, err)
		defer giveBack()
		c := &e.loop.counts
		return c.steps, c.stepTime - c.device - c.sample
	}
	var before, after runtime.MemStats
	first, host := read()
	runtime.ReadMemStats(&before)
	for {
		time.Sleep(5 * time.Millisecond)
		if at, all := read(); at >= first+steps {
			runtime.ReadMemStats(&after)
			return (all - host) / time.Duration(at-first), float64(after.TotalAlloc-before.TotalAlloc) / float64(at-first)
		}
	}
}

// BenchmarkHostWork is the cost of a step of 64 sequences outside of the device.
func BenchmarkHostWork(b *testing.B) {
	e := decoding(b, 64)
	hostWork(b, e, 100)
	each, bytes := hostWork(b, e, uint64(max(b.N, 200)))
	b.ReportMetric(float64(each.Nanoseconds())/1e3, "host-µs/step")
	b.ReportMetric(bytes, "alloc-B/step")
	b.ReportMetric(0, "ns/op")
	require.NoError(b, e.Close())
}

// TestHostAllocations: what a step allocates does not grow with the steps, nor with the length of the sequences.
func TestHostAllocations(t *testing.T) {
	e := decoding(t, 16)
	hostWork(t, e, 300) // buffers take their sizes
	_, early := hostWork(t, e, 1000)
	_, late := hostWork(t, e, 1000)
	require.NoError(t, e.Close())
	t.Logf("%.0f and %.0f bytes a step of 16 tokens", early, late)
	assert.Less(t, late, early+16*64, "bytes a step")
}
