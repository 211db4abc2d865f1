package engine

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/kernels"
)

// architectures are one small model of each kind that schedules could treat differently.
func architectures() map[string]tinyModel {
	window, experts, tied := tiny, tiny, tiny
	window.window = 40
	experts.experts, experts.used = 4, 2
	tied.tied = true
	recurrent, hybrid := tiny, tiny
	recurrent.recurrent, hybrid.recurrent = "mamba2", "qwen35"
	further := hybrid
	further.further = true
	return map[string]tinyModel{"dense": tiny, "window": window, "experts": experts, "tied": tied, "recurrent": recurrent, "hybrid": hybrid, "further": further}
}

// answer is all that a request gives: tokens, text, and every bit of the logits before each token.
type answer struct {
	ids    []int32
	text   string
	logits []uint32 // a checksum a token
}

// openChecked opens a model whose cache is checked after every step.
func openChecked(t testing.TB, path string, o Options) *Engine {
	t.Helper()
	e, err := Open(path, o)
	require.NoError(t, err)
	giveBack, err := e.loop.borrow(context.Background())
	require.NoError(t, err)
	e.loop.check = func() { assert.NoError(t, e.loop.cache.Check()) }
	giveBack()
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return e
}

// observed lets a request note its logits.
func observed(r Request, answers []answer) Request {
	var mutex sync.Mutex
	r.observe = func(choice int, logits []float32) {
		sum := uint32(2166136261)
		for _, v := range logits {
			sum = (sum ^ math.Float32bits(v)) * 16777619
		}
		mutex.Lock()
		defer mutex.Unlock()
		answers[choice].logits = append(answers[choice].logits, sum)
	}
	return r
}

// ask runs one request with all of its choices.
func ask(t testing.TB, e *Engine, r Request) ([]answer, *Usage) {
	t.Helper()
	answers := make([]answer, max(1, r.Choices))
	s, err := e.Submit(context.Background(), observed(r, answers))
	require.NoError(t, err)
	var usage *Usage
	for event, err := range s.All() {
		require.NoError(t, err)
		a := &answers[event.Choice]
		a.ids, a.text = append(a.ids, event.ID), a.text+event.Text
		if event.Usage != nil {
			usage = event.Usage
			sum := usage.Timeline.Sum()
			assert.InDelta(t, usage.Timeline.Total, sum, float64(time.Millisecond), "%+v", usage.Timeline)
		}
	}
	require.NotNil(t, usage)
	return answers, usage
}

func bitsRequest(seed uint64, prompt, tokens int) Request {
	return Request{Tokens: randomTokens(rand.New(rand.NewPCG(seed, 5)), prompt), MaxTokens: tokens, Sampling: seeded(seed), IgnoreEnd: true}
}

// cachedOfPrompt is how much of a prompt that was computed before is found: states are kept at ends of pages alone.
func cachedOfPrompt(m tinyModel, tokens int) int {
	if m.recurrent != "" {
		return (tokens - 1) / kernels.PageTokens * kernels.PageTokens
	}
	return tokens - 1
}

// others submits requests at random moments until stop is closed.
func others(t testing.TB, e *Engine, n int, longest int) (wait func()) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			random := rand.New(rand.NewPCG(uint64(i), 9))
			for range 3 {
				time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
				r := bitsRequest(random.Uint64(), 1+random.IntN(longest), 1+random.IntN(20))
				r.Choices = random.IntN(3)
				s, err := e.Submit(context.Background(), r)
				if !assert.NoError(t, err) {
					return
				}
				gone := random.IntN(3) == 0
				for _, err := range s.All() {
					if !assert.NoError(t, err) || gone && random.IntN(4) == 0 {
						break
					}
				}
			}
		}()
	}
	return all.Wait
}

// TestSameBits: a request's tokens, text and logits are those that it has alone, wherever and beside whatever it is computed.
func TestSameBits(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			path := m.write(t)
			alone := openChecked(t, path, Options{Context: 320, Threads: 1})
			requests := []Request{bitsRequest(1, 150, 40), bitsRequest(2, 33, 70), bitsRequest(3, 1, 20)}
			requests[1].Choices = 3
			var want [][]answer
			for _, r := range requests {
				answers, usage := ask(t, alone, r)
				require.Zero(t, usage.CachedTokens)
				want = append(want, answers)
			}
			compare := func(t *testing.T, e *Engine) {
				var all sync.WaitGroup
				for i, r := range requests {
					all.Add(1)
					go func() {
						defer all.Done()
						got, _ := ask(t, e, r)
						assert.Equal(t, want[i], got, "request %d", i)
					}()
				}
				all.Wait()
			}
			t.Run("a prefix that was found", func(t *testing.T) {
				for i, r := range requests {
					got, usage := ask(t, alone, r)
					assert.Equal(t, want[i], got)
					assert.Equal(t, cachedOfPrompt(m, len(r.Tokens)), usage.CachedTokens)
					r.Tokens = append(r.Tokens[:len(r.Tokens)*2/3:len(r.Tokens)*2/3], 9, 8, 7)
					other, _ := ask(t, alone, r)
					r.CacheKey = "fresh"
					fresh, usage := ask(t, alone, r)
					require.Zero(t, usage.CachedTokens)
					assert.Equal(t, fresh, other)
				}
			})
			for _, chunk := range []int{1, 7, 64, 512} {
				for _, threads := range []int{1, 2} {
					t.Run(fmt.Sprintf("steps of %d, %d threads", chunk, threads), func(t *testing.T) {
						e := openChecked(t, path, Options{Context: 320, StepRows: chunk, Threads: threads, Sequences: 8})
						compare(t, e)
						eventuallyIdle(t, e)
					})
				}
			}
			t.Run("among others", func(t *testing.T) {
				e := openChecked(t, path, Options{Context: 320, StepRows: 64, Threads: 2, Sequences: 12})
				wait := others(t, e, 16, 200)
				compare(t, e)
				wait()
				eventuallyIdle(t, e)
			})
			t.Run("preempted", func(t *testing.T) { samePreempted(t, path, compare) })
			t.Run("saved", func(t *testing.T) { sameSaved(t, path, requests, want) })
		})
	}
}

// samePreempted computes in a cache that is too small for all.
func samePreempted(t *testing.T, path string, compare func(*testing.T, *Engine)) {
	for _, o := range []Options{{}, {ParkBytes: 1, ParkDir: t.TempDir()}} {
		o.Context, o.StepRows, o.Threads, o.Sequences, o.Cache = 320, 32, 1, 8, tinyCache(t, path)
		e := openChecked(t, path, o)
		preemptAtRandom(t, e)
		wait := others(t, e, 8, 150)
		compare(t, e)
		wait()
		eventuallyIdle(t, e)
		giveBack, err := e.loop.borrow(context.Background())
		require.NoError(t, err)
		assert.Greater(t, e.loop.cache.Stats().Restored, uint64(10), "pages that were away")
		giveBack()
	}
}

// preemptAtRandom lets sequences rest or drops them, between steps.
func preemptAtRandom(t testing.TB, e *Engine) {
	giveBack, err := e.loop.borrow(context.Background())
	require.NoError(t, err)
	defer giveBack()
	l, random := e.loop, rand.New(rand.NewPCG(1, 1))
	l.check = func() {
		if n := len(l.started); n > 0 && random.IntN(4) == 0 {
			l.park(l.started[random.IntN(n)], time.Now())
			pages := make([]int, len(l.kinds)) // scratch sequences take what parked pages lie in
			l.cache.AddAvailable(pages)
			length, count := slices.Min(pages)*kernels.PageTokens, 1
			if len(l.kinds) == 1 && l.kinds[0].State { // a slot each
				length, count = 1, pages[0]
			}
			for range count {
				scratch, _ := l.cache.Open("scratch", nil)
				defer scratch.Close()
				assert.NoError(t, scratch.Reserve(length))
			}
		}
		assert.NoError(t, l.cache.Check())
	}
}

// tinyCache is a size with room for a sequence of full length and little more.
func tinyCache(t testing.TB, path string) string {
	for kib := 16; ; kib += 16 {
		size := fmt.Sprintf("%dKiB", kib)
		if e, err := Open(path, Options{Context: 320, StepRows: 32, Sequences: 8, Cache: size}); err == nil {
			require.NoError(t, e.Close())
			return size
		}
		require.Less(t, kib, 1<<14)
	}
}

// sameSaved computes from a prefix that another engine saved.
func sameSaved(t *testing.T, path string, requests []Request, want [][]answer) {
	from := openChecked(t, path, Options{Context: 320, Threads: 1})
	to := openChecked(t, path, Options{Context: 320, Threads: 2})
	for i, r := range requests {
		var file bytes.Buffer
		prefix := r
		prefix.Tokens = r.Tokens[:1+len(r.Tokens)/2]
		n, err := from.SaveCache(context.Background(), &file, prefix)
		require.NoError(t, err)
		assert.Equal(t, len(prefix.Tokens), n)
		tokens, err := to.LoadCache(context.Background(), &file, "")
		require.NoError(t, err)
		assert.Equal(t, prefix.Tokens, tokens)
		got, usage := ask(t, to, r)
		assert.Equal(t, want[i], got)
		assert.Equal(t, min(len(prefix.Tokens), len(r.Tokens)-1), usage.CachedTokens)
	}
}
