package engine

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/speculate"
	"github.com/infer-go/infer/sampler"
	"github.com/infer-go/infer/tokenizer"
)

// job is one request on its way. What is computed for it belongs to the loop.
type job struct {
	id       uint64
	loop     *loop
	stream   *Stream
	index    int // among the requests of the call
	request  *Request
	prompt   []int32
	limit    int       // tokens that an answer may have
	branches []*branch // one an answer; the first one computes the prompt

	started  bool // once, since it may be dropped and started again
	forked   bool // the prompt is computed, every branch has a sequence
	fanned   bool // and its logits
	ended    int  // branches
	resting  bool // nobody reads its answers
	removed  bool
	lastStep uint64 // the last step that it was in; the loop's mutex guards it
}

// branch is one answer.
type branch struct {
	job       *job
	index     int
	sequence  *cache.Sequence // nil until the prompt is computed, but for the first branch
	tokens    []int32         // the prompt and what was generated; the last drafted ones are guesses
	drafted   int
	parked    bool
	follows   bool // another sequence computes a part of its prompt
	sampling  bool // its logits are in hand
	slow      bool // its sampler took long the last time
	ended     bool
	stalled   atomic.Bool  // its reader's buffer is full
	preempted atomic.Int32 // times; whoever has the branch in hand may read it

	draft   drafter // nil: nothing is guessed
	further *speculate.Further
	guesses guesses
	hidden  hiddenStates
	choose  chooser
	clock   clock
}

// newJob checks a request and prepares everything that needs no device.
func (e *Engine) newJob(s *Stream, index int, r *Request, begin time.Time) (*job, error) {
	prompt, err := e.encode(r)
	if err != nil {
		return nil, err
	}
	if err := e.checkTokens(prompt); err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if len(prompt) == e.context {
		return nil, fmt.Errorf("prompt: %w: %d tokens leave no room for an answer, the context has %d", ErrTooLong, len(prompt), e.context)
	}
	if r.MaxTokens < 0 || r.Choices < 0 || r.Choices > maxChoices || r.Buffer < 0 {
		return nil, fmt.Errorf("request: MaxTokens is %d, Choices %d, Buffer %d: expected 0 or more, at most %d choices", r.MaxTokens, r.Choices, r.Buffer, maxChoices)
	}
	j := &job{loop: e.loop, stream: s, index: index, request: r, prompt: prompt, limit: e.context - len(prompt)}
	if r.MaxTokens > 0 {
		j.limit = min(j.limit, r.MaxTokens)
	}
	if err := e.loop.fits(len(prompt) + j.limit); err != nil {
		return nil, err
	}
	for i := range max(1, r.Choices) {
		b := &branch{job: j, index: i, clock: newClock(begin, "arriving")}
		b.draft, b.further = e.newDrafter(r, prompt, i, j.limit), e.newFurtherOdds(r)
		if err := b.choose.prepare(e, r, prompt, i); err != nil {
			return nil, err
		}
		b.choose.begin, b.choose.limit = begin, j.limit
		j.branches = append(j.branches, b)
	}
	j.branches[0].tokens = append(make([]int32, 0, len(prompt)+min(j.limit, 1<<10)+maxDraft), prompt...)
	return j, nil
}

const (
	maxChoices = 128
	maxDraft   = 16
)

// prepare makes what chooses the tokens of an answer.
func (c *chooser) prepare(e *Engine, r *Request, prompt []int32, choice int) error {
	params := sampler.DefaultParams()
	if r.Sampling != nil {
		params = *r.Sampling
	}
	params.Seed += uint64(choice)
	var err error
	if c.sampler, err = sampler.New(params, e.model.Vocab); err != nil {
		return err
	}
	if c.stops, err = sampler.NewStopMatcher(r.Stop); err != nil {
		return err
	}
	if e.text != nil {
		c.text = e.text.tokens.NewStream(tokenizer.DecodeOptions{Continued: true})
		c.vocabulary = e.text.tokens
	}
	c.vocab, c.endless, c.observe = e.model.Vocab, r.IgnoreEnd, r.observe
	c.usage.PromptTokens = len(prompt)
	return c.sampler.Accept(prompt...)
}

// fork gives every other branch a sequence, once the first one has computed the prompt.
func (j *job) fork(now time.Time) error {
	first := j.branches[0]
	for _, b := range j.branches[1:] {
		var err error
		if b.sequence, err = first.sequence.Fork(); err != nil {
			return err
		}
		b.tokens = append(make([]int32, 0, cap(first.tokens)), first.tokens...)
		b.clock = first.clock.fork()
		b.choose.usage.CachedTokens = first.choose.usage.CachedTokens
	}
	j.forked = true
	return nil
}

// longest returns the branch of which most tokens are known.
func (j *job) longest() *branch {
	best := j.branches[0]
	for _, b := range j.branches[1:] {
		if !b.ended && (best.ended || len(b.tokens) > len(best.tokens)) {
			best = b
		}
	}
	return best
}

// known returns the tokens that are certain: the prompt, and what was chosen.
func (b *branch) known() []int32 { return b.tokens[:len(b.tokens)-b.drafted] }

// pending is how many tokens are known and not computed.
func (b *branch) pending() int { return len(b.tokens) - b.sequence.Len() }

// ready tells whether a step can compute something of the branch.
func (b *branch) ready() bool { return b.sequence != nil && !b.sampling && !b.ended }
