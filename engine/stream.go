package engine

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"
)

// DefaultBuffer is how many events a [Stream] keeps for its reader.
const DefaultBuffer = 256

// Event is a token of one of the answers that a stream carries.
type Event struct {
	Request int // index among the requests of the call
	Choice  int // index among the request's answers
	Token
}

// Stream carries what one [Engine.Submit] generates, in the order in which it is made. A reader that is slow is waited for once the buffer
// is full, by its own answers alone. It is for one reader; Close may be called from any goroutine.
type Stream struct {
	engine *Engine
	ctx    context.Context

	mutex  sync.Mutex
	change sync.Cond
	events []Event // a ring that grows to the buffer's size
	first  int
	count  int
	limit  int
	open   int   // answers that have not ended
	err    error // what ended all of them early
	jobs   []*job
	until  time.Time     // the earliest deadline of its requests
	stops  []func() bool // end the watching of context and deadline
}

func newStream(ctx context.Context, e *Engine, limit int) *Stream {
	s := &Stream{engine: e, ctx: ctx, limit: limit}
	s.change.L = &s.mutex
	return s
}

// Next waits for an event. After the last one the error is [io.EOF]. Where the context was cancelled or the stream closed, the error is that
// at once; what else ended the answers early comes after the events that were made before: a deadline, [ErrClosed], or a fault in
// computing.
func (s *Stream) Next() (Event, error) {
	if s.ctx.Err() == context.Canceled {
		s.fail(context.Canceled)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.err == context.Canceled {
		return Event{}, s.err
	}
	for s.count == 0 {
		switch {
		case s.err != nil:
			return Event{}, s.err
		case s.open == 0:
			return Event{}, io.EOF
		}
		s.change.Wait()
	}
	e := s.events[s.first]
	s.events[s.first] = Event{}
	s.first = (s.first + 1) % len(s.events)
	s.count--
	s.change.Broadcast()
	return e, nil
}

// All yields the events; an error is the last. Breaking out of the loop closes the stream.
func (s *Stream) All() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer s.Close()
		for {
			e, err := s.Next()
			if err == io.EOF {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Close ends what has not ended yet; the engine drops it within a step. It is idempotent.
func (s *Stream) Close() { s.fail(context.Canceled) }

// fail ends all answers with an error. The first one counts.
func (s *Stream) fail(err error) {
	s.mutex.Lock()
	if s.err != nil || s.open == 0 {
		s.mutex.Unlock()
		return
	}
	s.err = err
	s.unwatch()
	s.change.Broadcast()
	s.mutex.Unlock()
	s.engine.loop.cancel(s)
}

// failed returns what ended the stream early.
func (s *Stream) failed() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.err
}

// hasRoom tells whether the buffer takes n more events, or is empty.
func (s *Stream) hasRoom(n int) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.err != nil || s.count == 0 || s.count+n <= s.limit
}

// awaitRoom waits until the buffer takes n more events or is empty, or the stream has failed.
func (s *Stream) awaitRoom(n int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.err == nil && s.count > 0 && s.count+n > s.limit {
		s.change.Wait()
	}
}

// push adds an event. Several answers that waited for room together may pass the limit by one each.
func (s *Stream) push(e Event) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.err != nil {
		return
	}
	if s.count == len(s.events) {
		grown := make([]Event, max(8, 2*len(s.events)))
		for i := range s.count {
			grown[i] = s.events[(s.first+i)%len(s.events)]
		}
		s.events, s.first = grown, 0
	}
	s.events[(s.first+s.count)%len(s.events)] = e
	s.count++
	if e.Finish != "" {
		s.open--
		if s.open == 0 {
			s.unwatch()
		}
	}
	s.change.Broadcast()
}

// deadline notes a request's deadline.
func (s *Stream) deadline(at time.Time) {
	if s.until.IsZero() || at.Before(s.until) {
		s.until = at
	}
}

// watch makes the stream end when the context ends or the deadline passes.
func (s *Stream) watch() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.err != nil || s.open == 0 {
		return
	}
	s.stops = append(s.stops, context.AfterFunc(s.ctx, func() { s.fail(s.ctx.Err()) }))
	if !s.until.IsZero() {
		s.stops = append(s.stops, time.AfterFunc(time.Until(s.until), func() { s.fail(context.DeadlineExceeded) }).Stop)
	}
}

// unwatch ends the watching; the mutex is held.
func (s *Stream) unwatch() {
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
}
