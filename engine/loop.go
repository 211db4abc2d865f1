package engine

import (
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/kernels"
)

// loop makes an engine's steps. Its goroutine owns the device, the cache and every job's state; others leave it notes under the mutex
// and wake it, or borrow the device between two steps.
type loop struct {
	engine   *Engine
	cache    *cache.Cache // nil for models that give vectors
	kinds    []cache.Kind
	stateful bool           // some of them are recurrent
	done     chan struct{}  // closed when the goroutine has ended
	quit     chan struct{}  // closed when the engine is being closed
	wake     chan struct{}  // has room for one
	samplers sync.WaitGroup // the goroutines of answers that the crew left

	mutex     sync.Mutex
	schedule  *schedule.Scheduler // nil for models that give vectors
	lastID    uint64
	arrived   []*job
	sampled   []*branch
	dropped   []*Stream
	borrowers []*borrower
	closing   bool
	stepping  bool     // the device computes
	step      uint64   // counts steps
	live      int      // jobs in the step that have not been dropped
	counts    counters // some of them
	snapshot  Stats

	jobs    map[uint64]*job
	started []*branch     // with a sequence, the oldest first
	inHand  int           // branches that are being sampled
	crew    crew          // samples them
	took    time.Duration // by the device for the last step
	waited  time.Duration // for its samplers
	timer   *time.Timer
	notes   struct { // what was taken from under the mutex
		sampled []*branch
		dropped []*Stream
	}
	parts       []part
	rows        []schedule.Row // of the schedule's step, as they are computed, one a part
	batch       kernels.Batch
	direct      int // sequences outside of the schedule
	heldScratch []int
	draftCost   float64  // of the step that is being made
	further     *further // nil: the model predicts one token
	tables      []*cache.Sequence
	wakeAt      time.Time // when the schedule wants to be asked again
	check       func()    // tests: called after every step
}

func newLoop(e *Engine) *loop {
	l := &loop{engine: e, done: make(chan struct{}), quit: make(chan struct{}), wake: make(chan struct{}, 1), jobs: map[uint64]*job{},
		timer: time.NewTimer(time.Hour)}
	l.timer.Stop()
	return l
}

// run is the loop's goroutine.
func (l *loop) run() {
	defer close(l.done)
	l.crew.start()
	defer l.crew.stop()
	if fault := l.serve(); fault != nil {
		l.collapse(fault)
		return
	}
	l.shutdown()
}

// serve makes steps until the engine is closed, or something panics: a fault of ours must not take the program down.
func (l *loop) serve() (fault error) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Errorf("%w: %v", ErrInternal, p)
			if log := l.engine.options.Log; log != nil {
				log.Error("the engine has ended", "fault", p, "stack", string(debug.Stack()))
			}
		}
	}()
	for l.receive() {
		lent := l.lend()
		if l.turn() || lent {
			continue
		}
		l.publish()
		l.sleep()
	}
	return nil
}

// tell calls the schedule under the mutex.
func (l *loop) tell(do func(*schedule.Scheduler)) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	do(l.schedule)
}

// poke wakes the loop. The mutex may be held.
func (l *loop) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// sleep waits for a note, or until the schedule wants to be asked again.
func (l *loop) sleep() {
	var alarm <-chan time.Time
	if !l.wakeAt.IsZero() {
		l.timer.Reset(max(time.Until(l.wakeAt), 0))
		alarm = l.timer.C
	}
	select {
	case <-l.wake:
	case <-alarm:
	}
	l.timer.Stop()
}

// receive reads the notes that others left; false when the engine is being closed.
func (l *loop) receive() bool {
	n := &l.notes
	l.mutex.Lock()
	l.sampled, n.sampled = n.sampled[:0], l.sampled
	l.dropped, n.dropped = n.dropped[:0], l.dropped
	closing := l.closing
	l.mutex.Unlock()
	for _, b := range n.sampled {
		l.take(b, time.Now())
	}
	for _, s := range n.dropped {
		for _, j := range s.jobs {
			l.remove(j)
		}
	}
	clear(n.dropped)
	return !closing
}

// report tells the loop that a branch's goroutine is done with what it had in hand.
func (l *loop) report(b *branch) {
	l.mutex.Lock()
	l.sampled = append(l.sampled, b)
	l.mutex.Unlock()
	l.poke()
}

// cancel tells the loop to drop a stream's jobs; a step that computes nothing else is abandoned.
func (l *loop) cancel(s *Stream) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.dropped = append(l.dropped, s)
	for _, j := range s.jobs {
		if l.stepping && j.lastStep == l.step {
			l.live--
			if l.live == 0 {
				l.engine.device.Cancel()
			}
		}
	}
	l.poke()
}

// take puts what was chosen for a branch behind its tokens.
func (l *loop) take(b *branch, now time.Time) {
	l.inHand--
	b.slow = b.choose.took > max(slowSampler, l.took/8)
	b.sampling = false
	if j := b.job; j.resting {
		j.resting = false
		l.tell(func(s *schedule.Scheduler) { s.Wake(now, j.id) })
	}
	if b.ended { // meanwhile
		return
	}
	b.clock.enter(b.idle(), now)
	c := &b.choose
	drafted, accepted := b.drafted, max(0, len(c.chosen)-1)
	b.forgetDraft()
	if drafted > 0 {
		l.verified(b, drafted, accepted)
	}
	if drafted > 0 && b.sequence != nil && !b.parked && b.sequence.Len() == len(b.tokens) {
		for i := range accepted { // their keys and values were computed with the step, and a state after each
			if err := b.sequence.Commit(c.chosen[i : i+1]); err != nil {
				b.job.stream.fail(err)
				break
			}
		}
		b.sequence.ForgetGuesses()
	}
	b.tokens = append(b.tokens, c.chosen...)
	l.counts.generated += uint64(len(c.chosen))
	if c.done {
		l.end(b)
	}
}

// end ends a branch, and its job after the last one.
func (l *loop) end(b *branch) {
	if b.ended {
		return
	}
	b.ended = true
	l.release(b)
	j := b.job
	l.tell(func(s *schedule.Scheduler) { s.FinishBranch(j.id, b.index) })
	if j.ended++; j.ended == len(j.branches) {
		l.remove(j)
	}
}

// release closes a branch's sequence.
func (l *loop) release(b *branch) {
	if b.sequence == nil {
		return
	}
	b.sequence.Close()
	b.sequence, b.parked = nil, false
	for i, other := range l.started {
		if other == b {
			l.started = append(l.started[:i], l.started[i+1:]...)
			break
		}
	}
}

// remove forgets a job, whatever its state.
func (l *loop) remove(j *job) {
	if j.removed {
		return
	}
	j.removed = true
	l.tell(func(s *schedule.Scheduler) {
		s.Cancel(j.id)
		if j.stream.failed() == nil {
			l.counts.Finished++
		} else {
			l.counts.Failed++
		}
	})
	for _, b := range j.branches {
		l.end(b)
	}
	delete(l.jobs, j.id)
}

// shutdown ends everything that the loop holds.
func (l *loop) shutdown() {
	l.mutex.Lock()
	l.adopt()
	l.mutex.Unlock()
	for _, j := range l.jobs {
		j.stream.fail(ErrClosed)
	}
	l.receive()
	for _, j := range l.jobs { // of streams that had failed already
		l.remove(j)
	}
	l.samplers.Wait()
	if l.cache != nil {
		_ = l.cache.Close()
	}
}

// collapse ends everything after a fault, and relies on nothing that it may have spoiled.
func (l *loop) collapse(fault error) {
	l.refuse()
	l.mutex.Lock()
	l.stepping = false
	l.adopt()
	l.mutex.Unlock()
	for _, j := range l.jobs {
		j.stream.fail(fault)
		for _, b := range j.branches {
			b.ended = true
		}
	}
	l.samplers.Wait()
	defer func() { _ = recover() }()
	_ = l.cache.Close()
}

// refuse lets nothing more in.
func (l *loop) refuse() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.closing {
		l.closing = true
		close(l.quit)
	}
}

// close ends the loop's goroutine.
func (l *loop) close() {
	l.refuse()
	l.poke()
	<-l.done
}

// adopt takes in the jobs that arrived; the mutex is held.
func (l *loop) adopt() {
	for _, j := range l.arrived {
		if !j.removed {
			l.jobs[j.id] = j
		}
	}
	clear(l.arrived)
	l.arrived = l.arrived[:0]
}

// fits refuses a sequence that could never be computed, however little else there is.
func (l *loop) fits(tokens int) error {
	for i, k := range l.kinds {
		if need := (tokens + kernels.PageTokens - 1) / kernels.PageTokens; !k.State && k.Window == 0 && need > k.Pages {
			return fmt.Errorf("%w: prompt and answer of %d tokens need %d pages of kind %d, the cache has %d", ErrCacheFull, tokens, need, i, k.Pages)
		}
	}
	return nil
}
