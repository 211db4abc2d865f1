package engine

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/infer-go/infer/engine/schedule"
)

// oracle knows how an answer goes on, and is wrong now and then.
type oracle struct {
	answer   []int32 // the prompt included
	random   *rand.Rand
	drafted  int
	accepted int
}

func (o *oracle) Draft(dst, tokens []int32, most int) []int32 {
	n := len(tokens)
	for i := range o.random.IntN(most + 1) {
		if n+i >= len(o.answer) {
			break
		}
		id := o.answer[n+i]
		if o.random.IntN(6) == 0 {
			id = o.random.Int32N(tinyVocab)
		}
		dst = append(dst, id)
	}
	return dst
}

func (o *oracle) SetCost(float64) {}

func (o *oracle) Likely() float64 { return 1 }

func (o *oracle) Verified(drafted, accepted int) {
	o.drafted, o.accepted = o.drafted+drafted, o.accepted+accepted
}

// TestSpeculationBits: with guesses, right and wrong ones, an answer has the text and the logits that it has without.
func TestSpeculationBits(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			path := m.write(t)
			e := openChecked(t, path, Options{Context: 320, Threads: 1, StepRows: 64, Sequences: 6})
			small := openChecked(t, path, Options{Context: 320, StepRows: 32, Threads: 1, Sequences: 8, Cache: tinyCache(t, path)})
			preemptAtRandom(t, small)
			for i, sampling := range []uint64{0, 1, 2} {
				r := bitsRequest(9+uint64(i), 20+40*i, 180-40*i)
				if sampling == 0 {
					r.Sampling = greedy()
				}
				r.Choices = 1 + i
				r.NoSpeculation = true
				want, _ := ask(t, e, r)
				r.NoSpeculation = false
				for _, engine := range []*Engine{e, small} {
					oracles := make([]*oracle, r.Choices)
					r.draft = func(choice int) drafter {
						oracles[choice] = &oracle{answer: append(append([]int32(nil), r.Tokens...), want[choice].ids...), random: rand.New(rand.NewPCG(1, uint64(choice)))}
						return oracles[choice]
					}
					wait := func() {}
					if engine == small {
						wait = others(t, engine, 4, 100)
					}
					got, usage := ask(t, engine, r)
					assert.Equal(t, want, got)
					wait()
					eventuallyIdle(t, engine)
					drafted, accepted := 0, 0
					for _, o := range oracles {
						drafted, accepted = drafted+o.drafted, accepted+o.accepted
					}
					if engine == e {
						assert.Greater(t, drafted, 40)
						assert.Greater(t, accepted, drafted/4)
						assert.Less(t, accepted, drafted)
						assert.Less(t, usage.Timeline.Steps, r.MaxTokens-10)
					}
				}
			}
		})
	}
}

// TestTightMemory: requests in all lanes for a cache that holds few of them wait, yield and come back, and all get what they would alone.
func TestTightMemory(t *testing.T) {
	for name, m := range architectures() {
		t.Run(name, func(t *testing.T) {
			path := m.write(t)
			alone := openChecked(t, path, Options{Context: 320, Threads: 1})
			e := openChecked(t, path, Options{Context: 320, StepRows: 48, Threads: 1, Sequences: 8, Cache: tinyCache(t, path)})
			var all sync.WaitGroup
			for i := range 14 {
				r := bitsRequest(uint64(i), 10+17*i, 60)
				r.Lane, r.Priority, r.Tenant = schedule.Lane(i%3), i%2, string(rune('a'+i%4))
				r.Choices = 1 + i%2
				want, _ := ask(t, alone, r)
				all.Add(1)
				go func() {
					defer all.Done()
					time.Sleep(time.Duration(i) * time.Millisecond)
					got, usage := ask(t, e, r)
					assert.Equal(t, want, got, "request %d", i)
					assert.Positive(t, usage.Timeline.Steps)
				}()
			}
			all.Wait()
			eventuallyIdle(t, e)
			t.Logf("%d preemptions", e.Stats().Preemptions)
		})
	}
}

// TestSpeculationPays: an answer that repeats itself takes fewer steps than it has tokens, and is the same.
func TestSpeculationPays(t *testing.T) {
	path := tiny.write(t)
	plain := openChecked(t, path, Options{Threads: 1, NoSpeculation: true})
	e := openChecked(t, path, Options{Threads: 1})
	r := bitsRequest(3, 30, 400)
	r.Sampling = greedy()
	r.Sampling.LogitBias = map[int32]float32{70: 100} // which it then says again and again
	want, usage := ask(t, plain, r)
	assert.Zero(t, usage.Timeline.Drafted)
	got, usage := ask(t, e, r)
	assert.Equal(t, want, got)
	line := usage.Timeline
	t.Logf("%d tokens in %d steps: %d guessed, %d came true", 400, line.Steps, line.Drafted, line.Accepted)
	assert.Equal(t, 400, 1+line.Steps+line.Accepted)
	assert.Positive(t, line.Accepted)
	r.NoSpeculation = true
	_, usage = ask(t, e, r)
	assert.Zero(t, usage.Timeline.Drafted)
}

// silent guesses nothing.
type silent struct{}

func (silent) Draft(dst, _ []int32, _ int) []int32 { return dst }
func (silent) Likely() float64                     { return 0 }
func (silent) SetCost(float64)                     {}
func (silent) Verified(int, int)                   {}

// TestFurther: guesses of the model's own predictor, many of them right, change neither text nor logits, save steps, are counted, and
// give back what they took.
func TestFurther(t *testing.T) {
	path := architectures()["further"].write(t)
	plain := openChecked(t, path, Options{Context: 320, Threads: 1, NoSpeculation: true})
	assert.False(t, plain.model.Plan.HasPredictor(), "nothing of it is recorded where it is not wanted")
	for _, sequences := range []int{2, 6} {
		e := openChecked(t, path, Options{Context: 320, Threads: 1, StepRows: 64, Sequences: sequences})
		var all sync.WaitGroup
		for i := range 4 {
			r := bitsRequest(20+uint64(i), 20+30*i, 150)
			r.Choices = 1 + i%2
			r.draft = func(int) drafter { return silent{} }
			if i%2 == 0 {
				r.Sampling = greedy()
			}
			want, usage := ask(t, plain, r)
			assert.Zero(t, usage.Timeline.Drafted)
			all.Go(func() {
				got, usage := ask(t, e, r)
				assert.Equal(t, want, got, "request %d", i)
				if i%2 == 0 {
					line := usage.Timeline // how many are guessed is a matter of time
					assert.Greater(t, line.Accepted, 4, "request %d: of %d guesses", i, line.Drafted)
					assert.Equal(t, r.MaxTokens, 1+line.Steps+line.Accepted)
				}
			})
		}
		all.Wait()
		eventuallyIdle(t, e)
		s := e.Stats()
		t.Logf("%d sequences: %d tokens in %d steps, %d guessed, %d came true", sequences, s.GeneratedTokens, s.Steps, s.Further, s.FurtherTrue)
		assert.Equal(t, s.Drafted, s.Further)
		assert.Equal(t, s.Accepted, s.FurtherTrue)
		assert.Greater(t, s.FurtherTrue, s.Further/3)
	}
}
