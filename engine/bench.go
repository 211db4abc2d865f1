package engine

import (
	"context"
	"fmt"
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
	n := max(b.Sequences, 1)
	if b.Depth < 0 || b.Prompt < 0 || b.Generate < 0 || b.Prompt+b.Generate == 0 {
		return 0, fmt.Errorf("bench: found %d prompt tokens, %d generated and a depth of %d, expected 0 or more of each, and a token to time", b.Prompt, b.Generate, b.Depth)
	}
	random := rand.New(rand.NewPCG(1, 2))
	d, err := e.newDirect(ctx)
	if err != nil {
		return 0, err
	}
	defer d.close()
	parts := make([]part, n)
	for i := range parts {
		if parts[i].sequence, err = d.sequence(ctx, directKey, nil); err != nil {
			return 0, err
		}
		if err := d.feed(ctx, parts[i].sequence, b.Depth, random); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for _, p := range parts {
		if err := d.feed(ctx, p.sequence, b.Prompt, random); err != nil {
			return 0, err
		}
	}
	for range b.Generate {
		for i := range parts {
			parts[i].ids, parts[i].wanted = []int32{random.Int32N(int32(e.model.Vocab))}, 1
		}
		if err := d.step(ctx, parts, nil); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// feed reads n random tokens in full steps, with the last one's logits.
func (d *direct) feed(ctx context.Context, s *cache.Sequence, n int, random *rand.Rand) error {
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
		if err := d.step(ctx, []part{{sequence: s, ids: ids, wanted: wanted}}, nil); err != nil {
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
