package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/infer-go/infer/kernels"
)

// Errors of requests; use errors.Is.
var (
	ErrClosed       = errors.New("the engine is closed")
	ErrTooLong      = errors.New("too long for the context")
	ErrCacheFull    = errors.New("no cache memory is left")
	ErrNoVocabulary = errors.New("the file has no vocabulary")
)

// session is one sequence in the cache: what has been computed, and the pages that hold it.
type session struct {
	engine *Engine
	length int       // tokens computed
	pages  [][]int32 // page tables by kind; -1 where a page was given back
}

func (e *Engine) newSession() *session {
	return &session{engine: e, pages: make([][]int32, len(e.pools))}
}

// close gives all pages back.
func (s *session) close() {
	s.engine.mutex.Lock()
	defer s.engine.mutex.Unlock()
	s.release()
}

// release is close with the engine's mutex held.
func (s *session) release() {
	for kind := range s.pages {
		for i := range s.pages[kind] {
			s.give(kind, i)
		}
		s.pages[kind] = nil
	}
	s.length = 0
}

// rewind forgets the tokens from n on and returns how many stay: n, or 0 where a window's pages before n are gone.
func (s *session) rewind(n int) int {
	e := s.engine
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for kind, k := range e.model.Plan.PageKinds {
		first := 0
		if k.Window > 0 {
			first = max(0, n-k.Window+1) / kernels.PageTokens
		}
		for i := first; i*kernels.PageTokens < n; i++ {
			if s.pages[kind][i] < 0 {
				n = 0
			}
		}
	}
	keep := (n + kernels.PageTokens - 1) / kernels.PageTokens
	for kind := range s.pages {
		for i := keep; i < len(s.pages[kind]); i++ {
			s.give(kind, i)
		}
		s.pages[kind] = s.pages[kind][:min(keep, len(s.pages[kind]))]
	}
	s.length = n
	return n
}

func (s *session) give(kind, i int) {
	if page := s.pages[kind][i]; page >= 0 {
		s.engine.pools[kind].Release(page)
		s.pages[kind][i] = -1
	}
}

// grow makes sure that positions below end have pages. The engine's mutex is held.
func (s *session) grow(end int) error {
	for kind, pool := range s.engine.pools {
		for len(s.pages[kind])*kernels.PageTokens < end {
			page, ok := pool.Take()
			if !ok {
				return fmt.Errorf("%w: %d tokens need page %d, all %d are held", ErrCacheFull, end, len(s.pages[kind])+1, pool.Size())
			}
			s.pages[kind] = append(s.pages[kind], page)
		}
	}
	return nil
}

// shed gives back the pages that no later position can see. The engine's mutex is held.
func (s *session) shed() {
	for kind, k := range s.engine.model.Plan.PageKinds {
		if k.Window == 0 {
			continue
		}
		behind := (s.length - k.Window + 1) / kernels.PageTokens // pages whose last token is out of the next one's window
		for i := behind - 1; i >= 0 && s.pages[kind][i] >= 0; i-- {
			s.give(kind, i)
		}
	}
}

// work is what a step computes for one session: ids at its end, and the logits of the last wanted of them.
type work struct {
	session *session
	ids     []int32
	wanted  int
}

// step computes ids at the session's end and calls use with the logits of the last wanted rows [wanted][stride], which are
// valid during the call only. Cancelling ctx abandons the step; the session is then as it was before.
func (s *session) step(ctx context.Context, ids []int32, wanted int, use func(logits []float32, stride int) error) error {
	return s.engine.step(ctx, []work{{s, ids, wanted}}, use)
}

// step computes one batch of several sessions' work and calls use with the wanted logits, in the order of the work.
func (e *Engine) step(ctx context.Context, all []work, use func(logits []float32, stride int) error) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, w := range all {
		end := w.session.length + len(w.ids)
		if end > e.context {
			return fmt.Errorf("%w: %d tokens, the context has %d", ErrTooLong, end, e.context)
		}
		if err := w.session.grow(end); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, e.device.Cancel)
	logits, err := e.device.Run(e.fill(all))
	stop()
	if err != nil {
		if errors.Is(err, kernels.ErrCancelled) && ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	for _, w := range all {
		w.session.length += len(w.ids)
		w.session.shed()
	}
	if use == nil {
		return nil
	}
	return use(logits, e.device.LogitsStride())
}

// fill writes the engine's batch; its slices are reused from step to step.
func (e *Engine) fill(all []work) *kernels.Batch {
	b := &e.batch
	b.IDs, b.Positions, b.Sequences, b.Wanted, b.Pages = b.IDs[:0], b.Positions[:0], b.Sequences[:0], b.Wanted[:0], b.Pages[:0]
	b.SequenceCount, b.TablePages = len(all), 0
	for i, w := range all {
		for j, id := range w.ids {
			if j >= len(w.ids)-w.wanted {
				b.Wanted = append(b.Wanted, int32(len(b.IDs)))
			}
			b.IDs = append(b.IDs, id)
			b.Positions = append(b.Positions, int32(w.session.length+j))
			b.Sequences = append(b.Sequences, int32(i))
		}
		for _, table := range w.session.pages {
			b.TablePages = max(b.TablePages, len(table))
		}
	}
	for kind := range e.pools {
		for _, w := range all {
			table := w.session.pages[kind]
			b.Pages = append(b.Pages, table...)
			for range b.TablePages - len(table) {
				b.Pages = append(b.Pages, -1)
			}
		}
	}
	return b
}

// pools' books, for tests.
func (e *Engine) checkPools() error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for kind, p := range e.pools {
		if err := p.Check(); err != nil {
			return fmt.Errorf("pages of kind %d: %w", kind, err)
		}
	}
	return nil
}
