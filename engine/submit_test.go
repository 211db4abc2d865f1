package engine

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/infer-go/infer/engine/schedule"
)

// drain reads a stream to its end.
func drain(s *Stream) (events []Event, err error) {
	for {
		e, err := s.Next()
		if err == io.EOF {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

// eventuallyIdle waits until nothing holds a page: what was cancelled is dropped at the next step.
func eventuallyIdle(t testing.TB, e *Engine) {
	t.Helper()
	require.Eventually(t, func() bool {
		giveBack, err := e.loop.borrow(context.Background())
		require.NoError(t, err)
		defer giveBack()
		return len(e.loop.jobs) == 0 && e.loop.inHand == 0
	}, 5*time.Second, time.Millisecond)
	requireIdle(t, e)
}

func TestSubmitSeveral(t *testing.T) {
	e := openTiny(t, tiny, Options{Sequences: 8})
	requests := []Request{{Prompt: "ab ab", MaxTokens: 9, Sampling: seeded(1), IgnoreEnd: true, Choices: 3}, {Prompt: "b", MaxTokens: 5, Sampling: seeded(7), IgnoreEnd: true}}
	s, err := e.Submit(context.Background(), requests...)
	require.NoError(t, err)
	events, err := drain(s)
	require.NoError(t, err)
	got, usage := map[[2]int][]int32{}, map[[2]int]*Usage{}
	for _, event := range events {
		at := [2]int{event.Request, event.Choice}
		got[at] = append(got[at], event.ID)
		if event.Usage != nil {
			usage[at] = event.Usage
		}
	}
	assert.Len(t, got, 4)
	for choice := range 3 {
		alone := requests[0]
		alone.Choices, alone.Sampling = 0, seeded(1+uint64(choice))
		want, _, _ := collect(t, e, alone)
		assert.Equal(t, want, got[[2]int{0, choice}], "choice %d is the answer to its seed", choice)
		assert.Equal(t, 9, usage[[2]int{0, choice}].GeneratedTokens)
	}
	want, _, _ := collect(t, e, requests[1])
	assert.Equal(t, want, got[[2]int{1, 0}])
	for _, u := range usage {
		assert.Positive(t, u.Timeline.Steps)
		assert.InDelta(t, u.Timeline.Total, u.Timeline.Sum(), float64(time.Millisecond))
		assert.LessOrEqual(t, u.FirstToken, u.Timeline.Total)
	}
	stats := e.Stats()
	assert.EqualValues(t, 6, stats.Submitted)
	assert.EqualValues(t, 6, stats.Schedule.Submitted)
	assert.Positive(t, stats.Schedule.DecodeTokens)
	eventuallyIdle(t, e)
}

func TestSubmitRefusals(t *testing.T) {
	e := openTiny(t, tiny, Options{Context: 64, Queue: 2, Sequences: 1})
	ctx := context.Background()
	_, err := e.Submit(ctx)
	assert.ErrorContains(t, err, "no request")
	_, err = e.Submit(ctx, Request{Prompt: "a"}, Request{Tokens: make([]int32, 70)})
	require.ErrorIs(t, err, ErrTooLong)
	assert.ErrorContains(t, err, "request 1: prompt")
	for _, r := range []Request{{Prompt: "a", Choices: -1}, {Prompt: "a", Choices: 1000}, {Prompt: "a", Buffer: -1}} {
		_, err = e.Submit(ctx, r)
		assert.ErrorContains(t, err, "expected")
	}
	var refused *schedule.Refused
	_, err = e.Submit(ctx, Request{Prompt: "a", Choices: 2})
	require.ErrorAs(t, err, &refused)
	assert.Zero(t, refused.RetryAfter, "two answers never fit one sequence")
	for _, err := range e.Generate(ctx, Request{Prompt: "a", Choices: 2}) {
		assert.ErrorContains(t, err, "Submit")
	}
	// One that runs and never ends, two that wait, and no room for more.
	e = openTiny(t, tiny, Options{Context: 1 << 14, Queue: 2, Sequences: 1})
	busy, end := keepBusy(t, e)
	defer end()
	for range 2 {
		s, err := e.Submit(ctx, Request{Prompt: "a", MaxTokens: 2, IgnoreEnd: true})
		require.NoError(t, err)
		defer s.Close()
	}
	_, err = e.Submit(ctx, Request{Prompt: "a"})
	require.ErrorAs(t, err, &refused)
	assert.Positive(t, refused.RetryAfter)
	assert.EqualValues(t, 1, e.Stats().Refused)
	busy.Close()
	_, err = busy.Next()
	assert.ErrorIs(t, err, context.Canceled)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = e.Submit(cancelled, Request{Prompt: "a"})
	assert.ErrorIs(t, err, context.Canceled)
}

// keepBusy starts a request that takes long, and reads its answer; it has begun when keepBusy returns.
func keepBusy(t *testing.T, e *Engine) (s *Stream, end func()) {
	s, err := e.Submit(context.Background(), Request{Prompt: "ab", IgnoreEnd: true, NoSpeculation: true})
	require.NoError(t, err)
	_, err = s.Next()
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := drain(s)
		assert.ErrorIs(t, err, context.Canceled)
	}()
	return s, func() {
		s.Close()
		<-done
	}
}

// TestNeverFits: what the cache could not hold even if it held nothing else is refused with the numbers.
func TestNeverFits(t *testing.T) {
	e := openTiny(t, tiny, Options{Context: 256})
	e.loop.kinds[0].Pages = 4
	_, err := e.Submit(context.Background(), Request{Tokens: make([]int32, 100), MaxTokens: 60})
	require.ErrorIs(t, err, ErrCacheFull)
	assert.ErrorContains(t, err, "160 tokens need 5 pages of kind 0, the cache has 4")
	e.loop.kinds[0].Pages = 32
}

func TestDeadline(t *testing.T) {
	e := openTiny(t, tiny, Options{})
	s, err := e.Submit(context.Background(), Request{Prompt: "ab", IgnoreEnd: true, Buffer: 4, Deadline: time.Now().Add(20 * time.Millisecond)})
	require.NoError(t, err)
	time.Sleep(30 * time.Millisecond)
	events, err := drain(s)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.LessOrEqual(t, len(events), 4, "events made before come first")
	eventuallyIdle(t, e)
}

// TestSlowReader: who does not read stalls itself alone, and gets everything in the end.
func TestSlowReader(t *testing.T) {
	e := openTiny(t, tiny, Options{Sequences: 2})
	r := Request{Prompt: "ab", MaxTokens: 60, Sampling: seeded(3), IgnoreEnd: true}
	want, _, _ := collect(t, e, r)
	slow := r
	slow.Buffer = 3
	s, err := e.Submit(context.Background(), slow)
	require.NoError(t, err)
	for range 5 {
		got, _, _ := collect(t, e, r)
		require.Equal(t, want, got)
	}
	s.mutex.Lock()
	assert.LessOrEqual(t, s.count, 3)
	s.mutex.Unlock()
	time.Sleep(10 * time.Millisecond)
	events, err := drain(s)
	require.NoError(t, err)
	require.Len(t, events, 60)
	for i, event := range events {
		assert.Equal(t, want[i], event.ID)
	}
	line := events[59].Usage.Timeline
	assert.GreaterOrEqual(t, line.Delivery, 10*time.Millisecond)
	assert.InDelta(t, line.Total, line.Sum(), float64(time.Millisecond))
}

// TestCancelEverywhere cancels requests wherever they are; nothing of them stays, and others give what they would alone.
func TestCancelEverywhere(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			e := openChecked(t, m.write(t), Options{Sequences: 3, StepRows: 16, Threads: 1, Context: 256})
			keep := bitsRequest(4, 60, 60)
			want, _ := ask(t, e, keep)
			var all sync.WaitGroup
			for i := range 40 {
				all.Add(1)
				go func() {
					defer all.Done()
					random := rand.New(rand.NewPCG(uint64(i), 3))
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					r := bitsRequest(uint64(i), 1+random.IntN(120), 100)
					r.Choices, r.Buffer = 1+i%3, 8
					s, err := e.Submit(ctx, r)
					if !assert.NoError(t, err) {
						return
					}
					switch i % 4 {
					case 0: // wherever the time finds it
						time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
						cancel()
					case 1: // at once
						s.Close()
						s.Close()
					case 2: // in the middle of its answer
						for range random.IntN(30) {
							if _, err := s.Next(); err != nil {
								return
							}
						}
						cancel()
					default: // breaking out
						for range s.All() {
							break
						}
					}
					if _, err = drain(s); i%4 != 0 { // which may have ended in time
						assert.ErrorIs(t, err, context.Canceled)
					}
				}()
			}
			got, _ := ask(t, e, keep)
			assert.Equal(t, want, got)
			all.Wait()
			eventuallyIdle(t, e)
		})
	}
}

// TestCloseInFlight closes an engine under requests in all states and calls outside of the schedule.
func TestCloseInFlight(t *testing.T) {
	for round := range 8 {
		e, err := Open(tiny.write(t), Options{Sequences: 2, Threads: 1, AllLogits: true, StepRows: 16})
		require.NoError(t, err)
		var all sync.WaitGroup
		for i := range 12 {
			s, err := e.Submit(context.Background(), Request{Prompt: strings.Repeat("ab ", 1+i*4), IgnoreEnd: true, Buffer: 1 + i%7*20, Choices: 1 + i%2})
			require.NoError(t, err)
			all.Add(1)
			go func() {
				defer all.Done()
				if i%3 == 0 { // nobody reads: the answer cannot have ended
					<-e.loop.done
				}
				_, err := drain(s)
				if i%3 == 0 || err != nil {
					assert.ErrorIs(t, err, ErrClosed)
				}
			}()
		}
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				if err := e.Logits(context.Background(), make([]int32, 100), 7, func(int, []float32) error { return nil }); err != nil {
					assert.ErrorIs(t, err, ErrClosed)
					return
				}
				_ = e.OpTimes()
			}
		}()
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		require.NoError(t, e.Close())
		all.Wait()
		_, err = e.Submit(context.Background(), Request{Prompt: "a"})
		assert.ErrorIs(t, err, ErrClosed)
		_, err = e.Session(context.Background())
		assert.ErrorIs(t, err, ErrClosed)
		_, err = e.Fingerprint()
		assert.ErrorIs(t, err, ErrClosed)
	}
}

// TestDirectBesideRequests: calls for the logits of given tokens take turns with requests, and may take their memory.
func TestDirectBesideRequests(t *testing.T) {
	path := tiny.write(t)
	e := openChecked(t, path, Options{Context: 320, StepRows: 32, Sequences: 8, Threads: 1, AllLogits: true, Cache: tinyCache(t, path)})
	tokens := randomTokens(rand.New(rand.NewPCG(1, 2)), 300)
	want, err := allLogits(path, tokens, 0, Options{Threads: 1, Context: 320})
	require.NoError(t, err)
	keep := bitsRequest(4, 100, 60)
	answers, _ := ask(t, e, keep)
	wait := others(t, e, 6, 150)
	var got []float32
	require.NoError(t, e.Logits(context.Background(), tokens, 16, func(_ int, logits []float32) error {
		got = append(got, logits...)
		return nil
	}))
	requireSameBits(t, want, got, "beside others")
	again, _ := ask(t, e, keep)
	assert.Equal(t, answers, again)
	wait()
	eventuallyIdle(t, e)
}

// TestDropped: sequences that are given up are computed again, and nothing shows.
func TestDropped(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			e := openChecked(t, m.write(t), Options{Context: 320, StepRows: 32, Threads: 1})
			r := bitsRequest(6, 100, 80)
			r.Choices = 2
			want, _ := ask(t, e, r)
			giveBack, err := e.loop.borrow(context.Background())
			require.NoError(t, err)
			l, steps, next := e.loop, 0, 3
			l.check = func() {
				assert.NoError(t, l.cache.Check())
				if steps++; steps >= next && len(l.started) > 0 {
					next = 2*next + 4
					j := l.started[0].job
					for _, b := range j.branches {
						l.drop(b, time.Now())
					}
					if steps%4 != 0 {
						l.cache.Clear()
					}
					l.start(j)
				}
			}
			giveBack()
			got, usage := ask(t, e, r)
			assert.Equal(t, want, got)
			assert.Positive(t, usage.Timeline.Lookup)
			eventuallyIdle(t, e)
		})
	}
}

// A token that cannot be sampled ends its stream with the reason, and no other.
func TestSamplerFault(t *testing.T) {
	e := openTiny(t, tiny, Options{})
	bad := *greedy()
	bad.LogitBias = map[int32]float32{}
	for i := range tinyVocab {
		bad.LogitBias[int32(i)] = float32(math.Inf(-1))
	}
	s, err := e.Submit(context.Background(), Request{Prompt: "a", Sampling: &bad})
	require.NoError(t, err)
	_, err = drain(s)
	assert.ErrorContains(t, err, "no candidate")
	collect(t, e, Request{Prompt: "a", MaxTokens: 3, IgnoreEnd: true})
	eventuallyIdle(t, e)
}

// TestInternalFault: a panic of the engine's own ends the engine and no more; one in a sampler ends its stream.
func TestInternalFault(t *testing.T) {
	e, err := Open(tiny.write(t), Options{Threads: 1})
	require.NoError(t, err)
	r := Request{Prompt: "ab", MaxTokens: 300, IgnoreEnd: true}
	bad := r
	bad.observe = func(int, []float32) { panic("in the sampler") }
	s, err := e.Submit(context.Background(), bad)
	require.NoError(t, err)
	_, err = drain(s)
	require.ErrorIs(t, err, ErrInternal)
	collect(t, e, r)
	giveBack, err := e.loop.borrow(context.Background())
	require.NoError(t, err)
	e.loop.check = func() { panic("in the loop") }
	giveBack()
	s, err = e.Submit(context.Background(), r)
	require.NoError(t, err)
	_, err = drain(s)
	require.ErrorIs(t, err, ErrInternal)
	assert.ErrorContains(t, err, "in the loop")
	<-e.loop.done
	_, err = e.Submit(context.Background(), r)
	assert.ErrorIs(t, err, ErrClosed)
	require.NoError(t, e.Close())
}

// TestPrefixOnce: the same new prefix arriving many times at once is computed once.
func TestPrefixOnce(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			e := openChecked(t, m.write(t), Options{Context: 400, Sequences: 8, StepRows: 64, Threads: 1})
			base := bitsRequest(1, 320, 10)
			var all sync.WaitGroup
			for i := range 8 {
				r := base
				r.Tokens = append(append([]int32(nil), base.Tokens...), int32(20+i), int32(30+i))
				all.Add(1)
				go func() {
					defer all.Done()
					ask(t, e, r)
				}()
			}
			all.Wait()
			eventuallyIdle(t, e)
			giveBack, err := e.loop.borrow(context.Background())
			require.NoError(t, err)
			defer giveBack()
			computed := int(e.loop.counts.computed)
			assert.Less(t, computed, 322+8*(32+10), "of %d tokens", 8*(322+10))
		})
	}
}

// TestStalledReadersYield: requests whose readers do not read keep no memory from the others, and go on with the same bits.
func TestStalledReadersYield(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			path := m.write(t)
			alone := openChecked(t, path, Options{Context: 320, Threads: 1})
			e := openChecked(t, path, Options{Context: 320, StepRows: 32, Threads: 1, Sequences: 4, Cache: tinyCache(t, path)})
			long := bitsRequest(1, 150, 100)
			want, _ := ask(t, alone, long)
			long.Buffer = 2
			var stalled []*Stream
			for i := range 3 {
				r := long
				r.CacheKey = string(rune('a' + i))
				s, err := e.Submit(context.Background(), r)
				require.NoError(t, err)
				stalled = append(stalled, s)
				_, err = s.Next()
				require.NoError(t, err)
			}
			other := bitsRequest(2, 200, 100)
			answer, _ := ask(t, alone, other)
			got, _ := ask(t, e, other)
			assert.Equal(t, answer, got)
			for _, s := range stalled {
				events, err := drain(s)
				require.NoError(t, err)
				require.Len(t, events, 99)
				for i, event := range events {
					assert.Equal(t, want[0].ids[i+1], event.ID)
				}
			}
			eventuallyIdle(t, e)
		})
	}
}

// TestSlowSampler: while one answer's sampler does not come back at all, the steps of the others go on to their end.
func TestSlowSampler(t *testing.T) {
	e := openTiny(t, tiny, Options{Sequences: 4, Threads: 1})
	fast := Request{Prompt: "ab ab", MaxTokens: 200, Sampling: seeded(3), IgnoreEnd: true, NoSpeculation: true}
	want, _, _ := collect(t, e, fast)
	slow := fast
	release, calls := make(chan struct{}), 0
	slow.observe = func(int, []float32) {
		if calls++; calls < 3 {
			time.Sleep(40 * time.Millisecond) // it is known to be slow by now, and nobody waits for it any more
			return
		}
		<-release
	}
	s, err := e.Submit(context.Background(), slow)
	require.NoError(t, err)
	for range 2 {
		_, err = s.Next()
		require.NoError(t, err)
	}
	got, _, _ := collect(t, e, fast)
	assert.Equal(t, want, got, "200 steps beside a sampler that is still at work")
	close(release)
	events, err := drain(s)
	require.NoError(t, err)
	require.Len(t, events, 198)
	for i, event := range events {
		assert.Equal(t, want[2+i], event.ID, "the slow one has its own bits")
	}
	eventuallyIdle(t, e)
}

func TestStats(t *testing.T) {
	e := openTiny(t, tiny, Options{})
	assert.Zero(t, e.Stats().HitRate())
	r := bitsRequest(1, 64, 10)
	ask(t, e, r)
	ask(t, e, r)
	eventuallyIdle(t, e)
	require.Eventually(t, func() bool { return e.Stats().GeneratedTokens == 20 }, 5*time.Second, time.Millisecond)
	stats := e.Stats()
	assert.EqualValues(t, 2, stats.Submitted)
	assert.EqualValues(t, 2, stats.Finished)
	assert.EqualValues(t, 128, stats.PromptTokens)
	assert.EqualValues(t, 63, stats.CachedTokens)
	assert.InDelta(t, 63.0/128, stats.HitRate(), 1e-9)
	assert.GreaterOrEqual(t, stats.ComputedTokens, uint64(64+1+9+9))
	assert.Positive(t, stats.StepP50)
	assert.GreaterOrEqual(t, stats.StepP99, stats.StepP50)
	assert.Less(t, stats.HostTime, stats.StepTime)
	assert.Zero(t, stats.Queued+stats.Running+stats.Parked+stats.Sequences)
	assert.NotEmpty(t, stats.Cache.Kinds)
}

// TestAging has a batch request behind online ones that never end: it is computed when it has waited long enough, and not before.
func TestAging(t *testing.T) {
	for name, c := range map[string]struct {
		aging time.Duration
		aged  uint64
	}{"aging": {time.Millisecond, 1}, "none": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			e := openTiny(t, tiny, Options{Sequences: 1, Aging: c.aging})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			online := func() {
				for ctx.Err() == nil {
					for range e.Generate(ctx, Request{Prompt: "ab", MaxTokens: 40, IgnoreEnd: true, Sampling: greedy()}) {
					}
				}
			}
			var readers sync.WaitGroup
			for range 30 { // so many that some wait at any time, whatever a busy machine makes the readers wait for
				readers.Go(online)
			}
			require.Eventually(t, func() bool { return e.Stats().Schedule.Queued[schedule.Online] > 20 }, 10*time.Second, time.Millisecond)
			patience, stop := context.WithTimeout(ctx, 20*time.Second)
			if c.aging == 0 {
				stop()
				patience, stop = context.WithTimeout(ctx, 100*time.Millisecond)
			}
			defer stop()
			var last error
			for _, err := range e.Generate(patience, Request{Prompt: "ba", MaxTokens: 2, IgnoreEnd: true, Lane: schedule.Batch, Sampling: greedy()}) {
				last = err
			}
			if c.aging > 0 {
				require.NoError(t, last)
			} else {
				require.ErrorIs(t, last, context.DeadlineExceeded)
			}
			assert.GreaterOrEqual(t, e.Stats().Schedule.Aged, c.aged)
			cancel()
			readers.Wait()
		})
	}
}
