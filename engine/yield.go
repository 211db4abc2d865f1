package engine

import (
	"time"

	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/kernels"
)

// restStalled lets requests rest whose readers stall them, so that the others have their sequences and, where they need it, their memory.
func (l *loop) restStalled() {
	if len(l.jobs) < 2 {
		return
	}
	now := time.Now()
	for i := len(l.started) - 1; i >= 0; i-- {
		j := l.started[i].job
		if j.resting || !j.stalled() {
			continue
		}
		l.tell(func(s *schedule.Scheduler) { j.resting = s.Rest(j.id) })
		if j.resting {
			for _, b := range j.branches {
				l.park(b, now)
			}
		}
	}
}

// stalled tells whether none of a job's answers can go on because nobody reads them.
func (j *job) stalled() bool {
	for _, b := range j.branches {
		if !b.ended && !b.stalled.Load() {
			return false
		}
	}
	return true
}

// force makes a step of the sequence that began first where memory is short for everything that the schedule wants: the others rest, those
// whose readers stall them too. Where even that does not suffice its request fails, unless calls outside of the schedule hold memory that
// they will give back.
func (l *loop) force() bool {
	if l.direct > 0 {
		return false
	}
	for _, b := range l.started {
		if b.sampling && !b.stalled.Load() {
			return false // its token will change things
		}
	}
	for _, b := range l.started {
		if !b.ready() || b.job.stream.failed() != nil {
			continue
		}
		for {
			left, wanted := l.engine.options.StepRows, l.engine.maxWanted
			if l.enlist(b, schedule.Row{ID: b.job.id, Branch: b.index, Tokens: kernels.PageTokens, Prefill: b.pending() > 1}, &left, &wanted) {
				return true
			}
			if b.job.stream.failed() != nil {
				return false
			}
			if !l.parkLast(b) {
				err := l.unpark(b)
				if err == nil {
					err = b.sequence.Reserve(b.sequence.Len() + 1)
				}
				if err == nil {
					err = ErrCacheFull
				}
				b.job.stream.fail(err)
				return false
			}
		}
	}
	return false
}

// unpark brings a parked branch's memory back.
func (l *loop) unpark(b *branch) error {
	if !b.parked {
		return nil
	}
	if err := b.sequence.Resume(); err != nil {
		return err
	}
	b.parked = false
	b.clock.enter(phaseWaiting, time.Now())
	return nil
}

// idle is the phase of a branch that is in no step and has nothing to sample.
func (b *branch) idle() phase {
	if b.parked || b.sequence == nil {
		return phaseParked
	}
	return phaseWaiting
}

// park lets a branch's sequence rest.
func (l *loop) park(b *branch, now time.Time) {
	if b.sequence == nil || b.parked {
		return
	}
	if err := b.sequence.Park(); err != nil {
		b.job.stream.fail(err)
		return
	}
	b.parked = true
	if !b.sampling {
		b.clock.enter(phaseParked, now)
	}
	l.counts.parks++
	b.preempted.Add(1)
}

// drop ends a branch's sequence, for its tokens to be computed again.
func (l *loop) drop(b *branch, now time.Time) {
	if b.sequence == nil {
		return
	}
	l.release(b)
	if !b.sampling {
		b.clock.enter(phaseParked, now)
	}
	l.counts.parks++
	b.preempted.Add(1)
}

// parkLast parks the branch that began last, but not the one given; false where no other has pages.
func (l *loop) parkLast(but *branch) bool {
	for i := len(l.started) - 1; i >= 0; i-- {
		if b := l.started[i]; b != but && !b.parked {
			l.park(b, time.Now())
			return b.parked
		}
	}
	return false
}
