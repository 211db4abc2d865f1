package engine

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/infer-go/infer/engine/cache"
)

// BenchSpec is one speed test: tokens read as a prompt, generated, or first one and then the other, after depth tokens that are not
// timed, for several sequences at once.
type BenchSpec struct {
	Prompt    int // tokens of the prompt, a sequence
	Generate  int // tokens generated, a sequence; one of the two is positive, or both are
	Depth     int
	Sequences int
}

// Bench runs a test once and returns the time of its steps: no tokenizing, no sampling, random tokens. The engine needs a
// context of Depth plus the tested tokens and room for the sequences.
func (e *Engine) Bench(ctx context.Context, b BenchSpec) (time.Duration, error) {
	for took, err := range e.BenchRounds(ctx, b) {
		return took, err
	}
	return 0, ErrClosed // not reached: there is always a first round
}

// BenchRounds runs a test until the caller has enough, and yields the time of each round. What lies before the tested tokens is computed
// once. A round has the device to itself; requests' steps go on between rounds. The cache needs room for the sequences with Depth and
// for what a round computes beside that.
func (e *Engine) BenchRounds(ctx context.Context, b BenchSpec) iter.Seq2[time.Duration, error] {
	return func(yield func(time.Duration, error) bool) {
		if b.Depth < 0 || b.Prompt < 0 || b.Generate < 0 || b.Prompt+b.Generate == 0 {
			yield(0, fmt.Errorf("bench: found %d prompt tokens, %d generated and a depth of %d, expected 0 or more of each, and a token to time", b.Prompt, b.Generate, b.Depth))
			return
		}
		d, err := e.newDirect(ctx)
		if err != nil {
			yield(0, err)
			return
		}
		defer d.close()
		random := rand.New(rand.NewPCG(1, 2))
		before := make([]*cache.Sequence, max(b.Sequences, 1))
		for i := range before {
			if before[i], err = d.sequence(ctx, directKey, nil); err == nil {
				err = d.feed(ctx, before[i], b.Depth, random, d.step)
			}
			if err != nil {
				yield(0, err)
				return
			}
		}
		for {
			took, err := d.round(ctx, before, b, random)
			if !yield(took, err) || err != nil {
				return
			}
		}
	}
}

// round times a test's steps behind some sequences, which stay as they are.
func (d *direct) round(ctx context.Context, before []*cache.Sequence, b BenchSpec, random *rand.Rand) (time.Duration, error) {
	giveBack, err := d.engine.loop.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer giveBack()
	parts := make([]part, len(before))
	for i, s := range before {
		f, err := d.forkNow(s)
		if err != nil {
			return 0, err
		}
		defer d.endNow(f)
		parts[i].sequence = f
	}
	start := time.Now()
	for _, p := range parts {
		if err := d.feed(ctx, p.sequence, b.Prompt, random, d.stepNow); err != nil {
			return 0, err
		}
	}
	for range b.Generate {
		for i := range parts {
			parts[i].ids, parts[i].wanted = []int32{random.Int32N(int32(d.engine.model.Vocab))}, 1
		}
		if err := d.stepNow(ctx, parts, nil); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// directStep is direct.step or direct.stepNow.
type directStep func(context.Context, []part, func([]float32, int) error) error

// feed reads n random tokens in full steps, with the last one's logits.
func (d *direct) feed(ctx context.Context, s *cache.Sequence, n int, random *rand.Rand, step directStep) error {
	for n > 0 {
		ids := make([]int32, min(n, d.engine.options.StepRows))
		for i := range ids {
			ids[i] = random.Int32N(int32(d.engine.model.Vocab))
		}
		n -= len(ids)
		wanted := 0
		if n == 0 {
			wanted = 1
		}
		if err := step(ctx, []part{{sequence: s, ids: ids, wanted: wanted}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// BenchContext is the context a test needs.
func (b BenchSpec) BenchContext() int { return b.Depth + b.Prompt + b.Generate }

// BenchBytes is how many bytes one generated step reads at least: every weight that it uses once. For several sequences, experts
// are counted as for one.
func (e *Engine) BenchBytes() int64 { return e.model.WeightBytesPerToken }
