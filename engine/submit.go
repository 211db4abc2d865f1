package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/infer-go/infer/engine/arch"
)

// Submit takes requests in and returns the stream of their answers. It returns as soon as they are in the queue. All of them are
// taken or none: what can never be computed is refused with the numbers ([ErrTooLong], [ErrCacheFull]), and where the queue is full
// the error is a [schedule.Refused], which says when to try again. A fault or the end of the context ends the whole stream; the
// context's end takes effect within a step, wherever the requests are. A stream must be read to its end, or closed.
func (e *Engine) Submit(ctx context.Context, requests ...Request) (*Stream, error) {
	begin := time.Now()
	if e.model.Pooling != arch.NoPooling {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNotGenerating)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(requests) == 0 {
		return nil, fmt.Errorf("submit: no request given")
	}
	limit := 0
	for _, r := range requests {
		limit = max(limit, r.Buffer)
	}
	if limit == 0 {
		limit = DefaultBuffer
	}
	s := newStream(ctx, e, limit)
	for i := range requests {
		r := requests[i]
		j, err := e.newJob(s, i, &r, begin)
		if err != nil {
			if len(requests) > 1 {
				return nil, fmt.Errorf("request %d: %w", i, err)
			}
			return nil, err
		}
		s.jobs = append(s.jobs, j)
		s.open += len(j.branches)
		if d := r.Deadline; !d.IsZero() {
			s.deadline(d)
		}
	}
	if err := e.loop.submit(s); err != nil {
		return nil, err
	}
	s.watch()
	return s, nil
}

// submit puts a stream's jobs into the queue.
func (l *loop) submit(s *Stream) error {
	now := time.Now()
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.closing {
		return ErrClosed
	}
	for i, j := range s.jobs {
		l.lastID++
		j.id = l.lastID
		job := j.scheduled()
		job.Arrived = now
		if err := l.schedule.Submit(now, job); err != nil {
			for _, taken := range s.jobs[:i] {
				l.schedule.Cancel(taken.id)
			}
			l.counts.Refused++
			return err
		}
	}
	l.arrived = append(l.arrived, s.jobs...)
	l.counts.Submitted += uint64(len(s.jobs))
	l.poke()
	return nil
}
