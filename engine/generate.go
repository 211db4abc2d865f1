package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/sampler"
	"github.com/infer-go/infer/tokenizer"
)

// Generate computes the request's prompt and yields its tokens one by one as they are made. The last one carries the reason for
// the end and the usage. An error ends the sequence: [ErrTooLong] for a prompt that does not fit (nothing is ever
// truncated), the context's error where it was cancelled, which takes effect within a step. Breaking out of the loop
// ends the request too. Several goroutines may generate at once: each request waits for a free sequence of the cache.
func (e *Engine) Generate(ctx context.Context, r Request) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		begin := time.Now()
		s, err := e.Session(ctx)
		if err != nil {
			yield(Token{}, err)
			return
		}
		defer s.Close()
		s.generate(ctx, r, begin, yield)
	}
}

// Session is a conversation whose tokens stay in the cache between requests: what a request's prompt shares with them from the
// start is not computed again. It holds one of the engine's sequences until Close, and is for one goroutine at a time.
type Session struct {
	inner  *session
	tokens []int32 // computed, in the cache
}

// Session waits for a free sequence and opens a session on it.
func (e *Engine) Session(ctx context.Context) (*Session, error) {
	if e.model.Pooling != arch.NoPooling {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNotGenerating)
	}
	if err := e.enter(); err != nil {
		return nil, err
	}
	select {
	case e.slots <- struct{}{}:
		return &Session{inner: e.newSession()}, nil
	case <-ctx.Done():
		e.leave()
		return nil, ctx.Err()
	}
}

// Close gives the sequence back. It is idempotent.
func (s *Session) Close() {
	if s.inner == nil {
		return
	}
	s.inner.close()
	<-s.inner.engine.slots
	s.inner.engine.leave()
	s.inner = nil
}

// Generate is [Engine.Generate] on this session.
func (s *Session) Generate(ctx context.Context, r Request) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) { s.generate(ctx, r, time.Now(), yield) }
}

// generation is the state of one request.
type generation struct {
	session *Session
	request *Request
	sampler *sampler.Sampler
	stream  *tokenizer.Stream // nil without a vocabulary
	stops   *sampler.StopMatcher
	begin   time.Time
	first   time.Time
	limit   int
	usage   Usage
}

func (s *Session) generate(ctx context.Context, r Request, begin time.Time, yield func(Token, error) bool) {
	if s.inner == nil {
		yield(Token{}, ErrClosed)
		return
	}
	g := &generation{session: s, request: &r, begin: begin}
	g.usage.Queue = time.Since(begin)
	prompt, err := g.prepare()
	if err != nil {
		yield(Token{}, err)
		return
	}
	token, err := g.prefill(ctx, prompt)
	for {
		if err != nil {
			yield(Token{}, err)
			return
		}
		out, done := g.accept(token)
		if !yield(out, nil) || done {
			return
		}
		token, err = g.next(ctx, []int32{token.ID}, true)
	}
}

// prepare checks the request and encodes its prompt.
func (g *generation) prepare() ([]int32, error) {
	e := g.session.inner.engine
	prompt, err := e.encode(g.request)
	if err != nil {
		return nil, err
	}
	if err := e.checkTokens(prompt); err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if len(prompt) == e.context {
		return nil, fmt.Errorf("prompt: %w: %d tokens leave no room for an answer, the context has %d", ErrTooLong, len(prompt), e.context)
	}
	if g.request.MaxTokens < 0 {
		return nil, fmt.Errorf("request: MaxTokens is %d, expected 0 or more", g.request.MaxTokens)
	}
	g.limit = e.context - len(prompt)
	if g.request.MaxTokens > 0 {
		g.limit = min(g.limit, g.request.MaxTokens)
	}
	params := sampler.DefaultParams()
	if g.request.Sampling != nil {
		params = *g.request.Sampling
	}
	if g.sampler, err = sampler.New(params, e.model.Vocab); err != nil {
		return nil, err
	}
	if g.stops, err = sampler.NewStopMatcher(g.request.Stop); err != nil {
		return nil, err
	}
	if e.text != nil {
		g.stream = e.text.tokens.NewStream(tokenizer.DecodeOptions{Continued: true})
	}
	if err := g.sampler.Accept(prompt...); err != nil {
		return nil, err
	}
	g.usage.PromptTokens = len(prompt)
	return prompt, nil
}

// prefill computes what of the prompt the session does not have yet, and samples the first token.
func (g *generation) prefill(ctx context.Context, prompt []int32) (sampler.Token, error) {
	s := g.session
	shared := 0
	for shared < len(s.tokens) && shared < len(prompt)-1 && s.tokens[shared] == prompt[shared] {
		shared++
	}
	shared = s.inner.rewind(shared)
	s.tokens = s.tokens[:shared]
	g.usage.CachedTokens = shared
	start := time.Now()
	rows := s.inner.engine.options.StepRows
	rest := prompt[shared:]
	for len(rest) > rows {
		if _, err := g.next(ctx, rest[:rows], false); err != nil {
			return sampler.Token{}, err
		}
		rest = rest[rows:]
	}
	token, err := g.next(ctx, rest, true)
	g.first = time.Now()
	g.usage.Prefill, g.usage.FirstToken = g.first.Sub(start), g.first.Sub(g.begin)
	return token, err
}

// next computes ids at the session's end, and samples after the last of them where asked to.
func (g *generation) next(ctx context.Context, ids []int32, sample bool) (sampler.Token, error) {
	var token sampler.Token
	e, wanted := g.session.inner.engine, 0
	if sample {
		wanted = 1
	}
	err := g.session.inner.step(ctx, ids, wanted, func(logits []float32, _ int) error {
		if !sample {
			return nil
		}
		var err error
		token, err = g.sampler.Sample(logits[:e.model.Vocab])
		return err
	})
	if err == nil || g.session.inner.length == len(g.session.tokens)+len(ids) {
		g.session.tokens = append(g.session.tokens, ids...)
	}
	return token, err
}

// accept turns a sampled token into what the caller gets, and says whether it is the last.
func (g *generation) accept(t sampler.Token) (Token, bool) {
	g.usage.GeneratedTokens++
	out := Token{ID: t.ID, LogProb: t.LogProb, Top: slices.Clone(t.Top), At: time.Since(g.begin)}
	_ = g.sampler.Accept(t.ID) // an id that the sampler itself chose
	vocabulary := g.session.inner.engine.Tokenizer()
	if vocabulary != nil && vocabulary.IsEnd(t.ID) && !g.request.IgnoreEnd {
		g.usage.Stopped = vocabulary.Text(t.ID)
		out.Text, out.Finish = g.flush(), FinishEnd
	} else {
		stopped := false
		if g.stream != nil {
			out.Text, stopped = g.stops.Push(g.stream.Push(t.ID))
		}
		switch {
		case stopped:
			out.Finish = FinishEnd
			g.usage.Stopped = g.stops.Matched()
		case g.usage.GeneratedTokens >= g.limit:
			out.Text, out.Finish = out.Text+g.flush(), FinishLength
		}
	}
	if out.Finish == "" {
		return out, false
	}
	g.usage.Decode = time.Since(g.first)
	usage := g.usage
	out.Usage = &usage
	return out, true
}

// flush returns what stream and stops still hold back.
func (g *generation) flush() string {
	if g.stream == nil {
		return ""
	}
	text, stopped := g.stops.Push(g.stream.Flush())
	if stopped {
		return text
	}
	return text + g.stops.Flush()
}

// Piece returns the text of one token; empty without a vocabulary.
func (s *Session) Piece(id int32) string {
	if s.inner == nil || s.inner.engine.text == nil {
		return ""
	}
	return s.inner.engine.text.tokens.Piece(id)
}
