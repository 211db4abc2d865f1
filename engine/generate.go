package engine

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/infer-go/infer/engine/arch"
)

// Generate computes the request's prompt and yields its tokens one by one as they are made. The last one carries the reason for
// the end and the usage. An error ends the sequence: [ErrTooLong] for a prompt that does not fit (nothing is ever
// truncated), the context's error where it was cancelled, which takes effect within a step. Breaking out of the loop
// ends the request too. Several goroutines may generate at once: their requests are computed together. It is [Engine.Submit] for one
// request with one answer.
func (e *Engine) Generate(ctx context.Context, r Request) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if r.Choices > 1 {
			yield(Token{}, fmt.Errorf("generate: %d choices: Submit gives several", r.Choices))
			return
		}
		s, err := e.Submit(ctx, r)
		if err != nil {
			yield(Token{}, err)
			return
		}
		for event, err := range s.All() {
			if !yield(event.Token, err) {
				return
			}
		}
	}
}

// Session is a conversation. Its tokens stay in the cache between requests while there is room: what a request's prompt shares with
// them, or with any other prompt, is not computed again.
type Session struct {
	engine *Engine
	closed atomic.Bool
}

// Session opens a session.
func (e *Engine) Session(ctx context.Context) (*Session, error) {
	if e.model.Pooling != arch.NoPooling {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNotGenerating)
	}
	select {
	case <-e.loop.quit:
		return nil, ErrClosed
	default:
	}
	return &Session{engine: e}, ctx.Err()
}

// Close ends the session. It is idempotent.
func (s *Session) Close() { s.closed.Store(true) }

// Generate is [Engine.Generate] in this session.
func (s *Session) Generate(ctx context.Context, r Request) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if s.closed.Load() {
			yield(Token{}, ErrClosed)
			return
		}
		s.engine.Generate(ctx, r)(yield)
	}
}

// Piece returns the text of one token; empty without a vocabulary.
func (s *Session) Piece(id int32) string { return s.engine.Piece(id) }

// Piece returns the text of one token; empty without a vocabulary.
func (e *Engine) Piece(id int32) string {
	if e.text == nil {
		return ""
	}
	return e.text.tokens.Piece(id)
}
