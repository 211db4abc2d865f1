package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/infer-go/infer/kernels"
	"github.com/infer-go/infer/sampler"
	"github.com/infer-go/infer/tokenizer"
)

// handover is what a step computed for one answer.
type handover struct {
	logits []float32 // [len(drafts)+1] rows, stride apart, valid until the next step
	stride int
	drafts []int32 // the tokens that were guessed to follow; row i+1 holds if drafts[i] is chosen after row i
	kept   []row   // of each row the logits that decide it, in place of logits; nil: all logits are there
	copy   bool    // the sampler is slow: the logits are to be copied, so that the next step need not wait for it
}

// row is what a device that selects returns of a row of logits.
type row []kernels.Kept

func (r row) at(i int) (id int32, logit float32) { return r[i].ID, r[i].Logit }

// chooser turns logits into tokens and their text. It belongs to whoever has the branch in hand.
type chooser struct {
	sampler    *sampler.Sampler
	stops      *sampler.StopMatcher
	text       *tokenizer.Stream // nil without a vocabulary
	vocabulary *tokenizer.Tokenizer
	vocab      int
	limit      int
	endless    bool
	observe    func(choice int, logits []float32)

	logits []float32     // copied ones
	kept   []row         // room for a handover's
	took   time.Duration // by the sampler, the last time
	chosen []int32       // of the last handover
	events []Token
	begin  time.Time
	first  time.Time
	usage  Usage
	done   bool
}

// sample chooses the tokens of a handover.
func (b *branch) sample(h handover) {
	c := &b.choose
	begin := time.Now()
	if err := c.tryFollow(b.index, h); err != nil {
		b.job.stream.fail(err)
	}
	c.took = time.Since(begin)
	b.clock.line.Drafted += len(h.drafts)
	b.clock.line.Accepted += max(0, len(c.chosen)-1)
}

// tryFollow is follow; a panic in a sampler ends its stream alone.
func (c *chooser) tryFollow(choice int, h handover) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: sampling: %v", ErrInternal, p)
		}
	}()
	return c.follow(choice, h)
}

// follow chooses a token after each row as long as the drafts come true.
func (c *chooser) follow(choice int, h handover) error {
	c.chosen, c.events = c.chosen[:0], c.events[:0]
	for i := range len(h.drafts) + 1 {
		t, err := c.choose(choice, h, i)
		if err != nil {
			return err
		}
		c.chosen = append(c.chosen, t.ID)
		c.accept(t)
		if c.done || i < len(h.drafts) && h.drafts[i] != t.ID {
			break
		}
	}
	return nil
}

// choose samples from a row of a handover.
func (c *chooser) choose(choice int, h handover, i int) (sampler.Token, error) {
	if h.kept != nil {
		return c.sampler.SampleKept(len(h.kept[i]), h.kept[i].at)
	}
	row := h.logits[i*h.stride:][:c.vocab]
	if c.observe != nil {
		c.observe(choice, row)
	}
	return c.sampler.Sample(row)
}

// accept turns a chosen token into what the caller gets.
func (c *chooser) accept(t sampler.Token) {
	now := time.Now()
	if c.usage.GeneratedTokens == 0 {
		c.first = now
		c.usage.FirstToken = now.Sub(c.begin)
	}
	c.usage.GeneratedTokens++
	out := Token{ID: t.ID, LogProb: t.LogProb, Top: slices.Clone(t.Top), At: now.Sub(c.begin)}
	_ = c.sampler.Accept(t.ID) // an id that the sampler itself chose
	if c.vocabulary != nil && c.vocabulary.IsEnd(t.ID) && !c.endless {
		c.usage.Stopped = c.vocabulary.Text(t.ID)
		out.Text, out.Finish = c.flush(), FinishEnd
	} else {
		stopped := false
		if c.text != nil {
			out.Text, stopped = c.stops.Push(c.text.Push(t.ID))
		}
		switch {
		case stopped:
			out.Finish = FinishEnd
			c.usage.Stopped = c.stops.Matched()
		case c.usage.GeneratedTokens >= c.limit:
			out.Text, out.Finish = out.Text+c.flush(), FinishLength
		}
	}
	c.done = out.Finish != ""
	c.events = append(c.events, out)
}

// flush returns what the text and the stops still hold back.
func (c *chooser) flush() string {
	if c.text == nil {
		return ""
	}
	text, stopped := c.stops.Push(c.text.Flush())
	if stopped {
		return text
	}
	return text + c.stops.Flush()
}

// deliver writes the events to the stream, and waits for its reader where the buffer is full.
func (b *branch) deliver() {
	c, s := &b.choose, b.job.stream
	if len(c.events) == 0 {
		return
	}
	if !s.hasRoom(len(c.events)) {
		b.clock.enter(phaseDelivery, time.Now())
		b.stalled.Store(true)
		b.job.loop.poke() // its memory may be wanted
		s.awaitRoom(len(c.events))
		b.stalled.Store(false)
		b.clock.enter(phaseSampling, time.Now())
	}
	for i := range c.events {
		if c.done && i == len(c.events)-1 {
			c.events[i].Usage = b.finalUsage(time.Now())
		}
		s.push(Event{Request: b.job.index, Choice: b.index, Token: c.events[i]})
	}
}

func (b *branch) finalUsage(now time.Time) *Usage {
	u := b.choose.usage
	u.Timeline = b.clock.close(now)
	u.Timeline.Preempted = int(b.preempted.Load())
	for _, w := range u.Timeline.Queue {
		u.Queue += w.Duration
	}
	for _, c := range u.Timeline.Prefill {
		u.Prefill += c.Duration
	}
	u.Decode = now.Sub(b.choose.first)
	return &u
}
