package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/infer-go/infer/engine/arch"
	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/kernels"
)

// direct computes sequences outside of the schedule, for calls that want the logits of given tokens: one such call at a time, whose
// steps take turns with the schedule's. Where memory is short the schedule's requests are parked for it.
type direct struct {
	engine *Engine
	open   []*cache.Sequence
}

// directKey is for calls that want everything computed; the cache forgets it when they end.
const directKey = "\x00direct"

// newDirect waits for its turn among such calls.
func (e *Engine) newDirect(ctx context.Context) (*direct, error) {
	if e.model.Pooling != arch.NoPooling {
		return nil, fmt.Errorf("%s: %w", e.path, ErrNotGenerating)
	}
	select {
	case <-e.loop.quit:
		return nil, ErrClosed
	default:
	}
	select {
	case e.directs <- struct{}{}:
		return &direct{engine: e}, nil
	case <-e.loop.quit:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close gives everything back.
func (d *direct) close() {
	if giveBack, err := d.engine.loop.borrow(context.Background()); err == nil {
		for _, s := range d.open {
			s.Close()
		}
		d.engine.loop.direct -= len(d.open)
		d.engine.loop.cache.Forget(directKey)
		giveBack()
	}
	<-d.engine.directs
}

// sequence opens a sequence for tokens, whose prefix in the cache it takes over; without tokens nothing is computed yet.
func (d *direct) sequence(ctx context.Context, key string, tokens []int32) (*cache.Sequence, error) {
	giveBack, err := d.engine.loop.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer giveBack()
	s, _ := d.engine.loop.cache.Open(key, tokens)
	d.add(s)
	return s, nil
}

// fork opens a sequence that goes on where s is.
func (d *direct) fork(ctx context.Context, s *cache.Sequence) (*cache.Sequence, error) {
	giveBack, err := d.engine.loop.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer giveBack()
	return d.forkNow(s)
}

// forkNow is fork for who has borrowed the device already.
func (d *direct) forkNow(s *cache.Sequence) (*cache.Sequence, error) {
	f, err := s.Fork()
	if err != nil {
		return nil, err
	}
	d.add(f)
	return f, nil
}

func (d *direct) add(s *cache.Sequence) {
	d.open = append(d.open, s)
	d.engine.loop.direct++
}

// end closes one of its sequences.
func (d *direct) end(ctx context.Context, s *cache.Sequence) error {
	giveBack, err := d.engine.loop.borrow(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	d.endNow(s)
	return nil
}

// endNow is end for who has borrowed the device already.
func (d *direct) endNow(s *cache.Sequence) {
	for i, other := range d.open {
		if other == s {
			s.Close()
			d.open = append(d.open[:i], d.open[i+1:]...)
			d.engine.loop.direct--
			return
		}
	}
}

// step computes one batch and calls use, where not nil, with the wanted logits in the parts' order, valid during the call. Cancelling ctx
// abandons the step; the sequences are then as they were before.
func (d *direct) step(ctx context.Context, parts []part, use func(logits []float32, stride int) error) error {
	giveBack, err := d.engine.loop.borrow(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	return d.stepNow(ctx, parts, use)
}

// stepNow is step for who has borrowed the device already.
func (d *direct) stepNow(ctx context.Context, parts []part, use func(logits []float32, stride int) error) error {
	e, l := d.engine, d.engine.loop
	select {
	case <-l.quit:
		return ErrClosed
	default:
	}
	for i := range parts {
		end := parts[i].sequence.Len() + len(parts[i].ids)
		if end > e.context {
			return fmt.Errorf("%w: %d tokens, the context has %d", ErrTooLong, end, e.context)
		}
		if err := l.reserveDirect(parts[i].sequence, end); err != nil {
			return err
		}
	}
	logits, err := e.runFor(ctx, l.fill(parts))
	if err != nil {
		return err
	}
	for i := range parts {
		if err := parts[i].sequence.Commit(parts[i].ids); err != nil {
			return err
		}
	}
	if use == nil {
		return nil
	}
	return use(logits, e.device.LogitsStride())
}

// reserveDirect gets memory for a direct call, of which the schedule's requests make room.
func (l *loop) reserveDirect(s *cache.Sequence, end int) error {
	for {
		err := s.Reserve(end)
		if !errors.Is(err, cache.ErrFull) || !l.parkLast(nil) {
			return err
		}
	}
}

// runFor computes a batch, which ctx may abandon.
func (e *Engine) runFor(ctx context.Context, b *kernels.Batch) ([]float32, error) {
	stop := context.AfterFunc(ctx, e.device.Cancel)
	logits, err := e.device.Run(b)
	stop()
	if errors.Is(err, kernels.ErrCancelled) && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return logits, err
}
