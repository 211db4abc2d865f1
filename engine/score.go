package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/kernels"
)

// scoreRows is how many rows of logits every engine has room for: with fewer, the labels of a classification would take a
// step each.
const scoreRows = 32

// ScoreOptions say how a prefix and its continuations are read. The zero value takes the texts as they are.
type ScoreOptions struct {
	// Chat makes the prefix a user's message in the model's chat template, and each continuation the beginning of the answer.
	Chat   bool
	System string // with Chat: the system message, where not empty
}

// Scored is how likely a continuation is after its prefix.
type Scored struct {
	LogProb float64   // natural logarithm of the continuation's probability: the sum of Tokens
	Tokens  []float64 // log-probability of each of its tokens
}

// Score returns the log-probability of each continuation of a prefix, without generating anything. The prefix is computed
// once, its cache pages are shared, and all continuations are computed together: classifying a text with many labels costs
// little more than reading it. Where a token spans the border of prefix and continuation, it counts as the continuation's.
func (e *Engine) Score(ctx context.Context, prefix string, continuations []string, o ScoreOptions) ([]Scored, error) {
	if o.Chat {
		messages := []Message{{Role: "user", Content: prefix}}
		if o.System != "" {
			messages = append([]Message{{Role: "system", Content: o.System}}, messages...)
		}
		var err error
		if prefix, err = e.Render(messages, nil); err != nil {
			return nil, err
		}
	}
	if prefix == "" {
		return nil, fmt.Errorf("score: the prefix is empty")
	}
	shared, err := e.encode(&Request{Prompt: prefix})
	if err != nil {
		return nil, err
	}
	whole := make([][]int32, len(continuations))
	for i, c := range continuations {
		if c == "" {
			return nil, fmt.Errorf("score: continuation %d is empty", i)
		}
		if whole[i], err = e.encode(&Request{Prompt: prefix + c}); err != nil {
			return nil, fmt.Errorf("continuation %d: %w", i, err)
		}
		n := 0
		for n < len(shared) && n < len(whole[i])-1 && shared[n] == whole[i][n] {
			n++
		}
		shared = shared[:n]
	}
	for i := range whole {
		whole[i] = whole[i][len(shared):]
	}
	return e.ScoreTokens(ctx, shared, whole)
}

// ScoreTokens is [Engine.Score] on token ids.
func (e *Engine) ScoreTokens(ctx context.Context, prefix []int32, continuations [][]int32) ([]Scored, error) {
	if err := e.checkTokens(prefix); err != nil {
		return nil, fmt.Errorf("prefix: %w", err)
	}
	for i, c := range continuations {
		if err := e.checkTokens(c); err != nil {
			return nil, fmt.Errorf("continuation %d: %w", i, err)
		}
		if n := len(prefix) + len(c); n > e.context {
			return nil, fmt.Errorf("continuation %d: %w: %d tokens with the prefix, the context has %d", i, ErrTooLong, n, e.context)
		}
	}
	d, err := e.newDirect(ctx)
	if err != nil {
		return nil, err
	}
	defer d.close()
	s := &scoring{engine: e, direct: d, out: make([]Scored, len(continuations))}
	if s.prefix, err = d.sequence(ctx, "", prefix); err != nil {
		return nil, err
	}
	if err := s.readPrefix(ctx, prefix, continuations); err != nil {
		return nil, err
	}
	for i, c := range continuations {
		if len(c) > 1 {
			s.waiting = append(s.waiting, &continuation{index: i, ids: c})
		}
	}
	for len(s.waiting)+len(s.running) > 0 {
		if err := s.step(ctx); err != nil {
			return nil, err
		}
	}
	for i := range s.out {
		for _, p := range s.out[i].Tokens {
			s.out[i].LogProb += p
		}
	}
	return s.out, nil
}

// Probabilities turns scores into the share of each among all, as for labels that exclude each other.
func Probabilities(scores []Scored) []float64 {
	out := make([]float64, len(scores))
	highest, sum := math.Inf(-1), 0.0
	for _, s := range scores {
		highest = max(highest, s.LogProb)
	}
	for i, s := range scores {
		out[i] = math.Exp(s.LogProb - highest)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// scoring is the state of one call.
type scoring struct {
	engine  *Engine
	direct  *direct
	prefix  *cache.Sequence
	waiting []*continuation
	running []*continuation // they hold pages
	out     []Scored
}

// continuation is one that has more than its first token, which the prefix's own logits score.
type continuation struct {
	index    int
	ids      []int32
	sequence *cache.Sequence
	done     int // ids computed
}

// readPrefix computes the prefix and scores the first token of each continuation.
func (s *scoring) readPrefix(ctx context.Context, prefix []int32, continuations [][]int32) error {
	rows, computed := s.engine.options.StepRows, s.prefix.Len()
	for prefix = prefix[computed:]; len(prefix) > rows; prefix = prefix[rows:] {
		if err := s.direct.step(ctx, []part{{sequence: s.prefix, ids: prefix[:rows]}}, nil); err != nil {
			return err
		}
	}
	return s.direct.step(ctx, []part{{sequence: s.prefix, ids: prefix, wanted: 1}}, func(logits []float32, _ int) error {
		total := logSum(logits[:s.engine.model.Vocab])
		for i, c := range continuations {
			s.out[i].Tokens = append(s.out[i].Tokens, float64(logits[c[0]])-total)
		}
		return nil
	})
}

// step admits continuations while there is room for their pages, computes some tokens of each, and scores what they predict.
func (s *scoring) step(ctx context.Context) error {
	e := s.engine
	for len(s.waiting) > 0 && len(s.running) < e.model.Plan.MaxWanted && s.fits(s.waiting[0]) {
		c := s.waiting[0]
		var err error
		if c.sequence, err = s.direct.fork(ctx, s.prefix); err != nil {
			return err
		}
		s.running, s.waiting = append(s.running, c), s.waiting[1:]
	}
	left := min(e.options.StepRows, e.model.Plan.MaxWanted)
	var all []part
	for _, c := range s.running {
		if n := min(left, len(c.ids)-1-c.done); n > 0 {
			all = append(all, part{sequence: c.sequence, ids: c.ids[c.done:][:n], wanted: n})
			left -= n
		}
	}
	err := s.direct.step(ctx, all, func(logits []float32, stride int) error {
		row := 0
		for i, w := range all {
			c := s.running[i]
			for j := range w.ids {
				next := c.ids[c.done+j+1]
				s.out[c.index].Tokens = append(s.out[c.index].Tokens, logProb(logits[row*stride:][:e.model.Vocab], next))
				row++
			}
			c.done += len(w.ids)
		}
		return nil
	})
	if err != nil {
		return err
	}
	kept := s.running[:0]
	for _, c := range s.running {
		if c.done < len(c.ids)-1 {
			kept = append(kept, c)
			continue
		}
		if err := s.direct.end(ctx, c.sequence); err != nil {
			return err
		}
	}
	s.running = kept
	return nil
}

// fits says whether a continuation's pages are within what one sequence may hold, beside the prefix and those that run. One
// alone always may: the prefix and it are no longer than a sequence.
func (s *scoring) fits(c *continuation) bool {
	if len(s.running) == 0 {
		return true
	}
	for i, k := range s.engine.loop.kinds {
		if k.State { // each reads one slot and writes another
			if 2*(len(s.running)+2) > k.Pages {
				return false
			}
			continue
		}
		held := s.ownPages(c)
		for _, r := range s.running {
			held += s.ownPages(r)
		}
		for _, page := range s.prefix.Table(i) {
			if page >= 0 {
				held++
			}
		}
		if held > k.Pages/s.engine.options.Sequences {
			return false
		}
	}
	return true
}

// ownPages is how many pages a continuation needs that it does not share.
func (s *scoring) ownPages(c *continuation) int {
	end := s.prefix.Len() + len(c.ids) - 1
	return (end+kernels.PageTokens-1)/kernels.PageTokens - s.prefix.Len()/kernels.PageTokens
}

// logSum is the logarithm of the sum of e^l over all logits.
func logSum(logits []float32) float64 {
	highest := math.Inf(-1)
	for _, l := range logits {
		highest = max(highest, float64(l))
	}
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l) - highest)
	}
	return highest + math.Log(sum)
}
