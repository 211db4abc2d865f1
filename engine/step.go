package engine

import (
	"errors"
	"time"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/kernels"
)

// part is what a step computes of one sequence: ids at its end, and the logits of the last wanted of them.
type part struct {
	branch   *branch // nil outside of the schedule
	sequence *cache.Sequence
	ids      []int32
	wanted   int
}

// turn makes one step of what the schedule says; false where there is nothing to compute now.
func (l *loop) turn() bool {
	if l.schedule == nil {
		return false
	}
	l.restStalled()
	var s schedule.Step
	begin, blocked := time.Now(), false
	for range mostPlans {
		now := time.Now()
		l.tell(func(plan *schedule.Scheduler) {
			l.adopt()
			s = plan.Plan(now, view{l})
		})
		l.prepareStep(&s, now)
		l.draftCost = s.DraftCost
		l.foresee(s.Rows)
		if blocked = !l.gather(s.Rows); !blocked {
			break
		}
	}
	l.wakeAt = s.Wake
	if len(l.parts) == 0 && (!blocked && !s.Wake.IsZero() || !l.force()) {
		return false
	}
	if l.compute(s) {
		l.counted(time.Since(begin))
		if l.check != nil {
			l.check()
		}
	}
	l.parts = l.parts[:0]
	return true
}

// mostPlans bounds how often a step is planned anew because memory was short of what the plan thought.
const mostPlans = 8

// prepareStep does what a step needs before its rows: sequences rest, come back, and begin.
func (l *loop) prepareStep(s *schedule.Step, now time.Time) {
	for _, id := range s.Park {
		for _, b := range l.jobs[id].branches {
			l.park(b, now)
		}
	}
	for _, id := range s.Drop {
		for _, b := range l.jobs[id].branches {
			l.drop(b, now)
		}
	}
	for _, w := range s.Waits {
		if j := l.jobs[w.ID]; j != nil && !j.started && w.Reason != schedule.WaitNone {
			j.branches[0].clock.wait(w.Reason.String(), now)
		}
	}
	for _, id := range s.Start {
		l.start(l.jobs[id])
	}
}

// start opens the sequence of a job, or after a drop those of all its answers.
func (l *loop) start(j *job) {
	for _, b := range j.branches {
		if b.index > 0 && !j.forked {
			break
		}
		if b.ended || b.sequence != nil {
			continue
		}
		if !b.sampling {
			b.clock.enter(phaseLookup, time.Now())
		}
		var hit cache.Hit
		b.sequence, hit = l.cache.Open(j.request.CacheKey, b.known())
		b.follows = hit.Leader != nil
		l.started = append(l.started, b)
		if !j.started {
			b.choose.usage.CachedTokens = hit.Tokens
			b.clock.line.HitTokens, b.clock.line.Miss = hit.Tokens, hit.Miss.String()
			l.counts.prompt += uint64(len(j.prompt))
			l.counts.cached += uint64(hit.Tokens)
		}
		if !b.sampling {
			b.clock.enter(phaseWaiting, time.Now())
		}
	}
	if !j.started {
		j.started = true
	}
}

// gather turns the schedule's rows into parts, with their memory reserved; false where memory was short for one of them.
func (l *loop) gather(rows []schedule.Row) bool {
	for i := range l.parts { // of a plan that was given up
		l.parts[i].branch.forgetDraft()
	}
	l.parts, l.rows = l.parts[:0], l.rows[:0]
	left, wanted, all := l.engine.options.StepRows, l.engine.maxWanted, true
	for _, r := range rows {
		j := l.jobs[r.ID]
		if j == nil || r.Branch >= len(j.branches) || !j.branches[r.Branch].ready() || left == 0 || wanted == 0 {
			continue
		}
		b := j.branches[r.Branch]
		if !l.enlist(b, r, &left, &wanted) {
			all = false
			l.tell(func(s *schedule.Scheduler) { s.Blocked(r.ID) })
		}
	}
	return all
}

// enlist reserves the memory of a branch's row and makes it a part of the step.
func (l *loop) enlist(b *branch, r schedule.Row, left, wanted *int) bool {
	err := l.unpark(b)
	if err == nil && b.follows {
		err = l.follow(b)
	}
	from := b.sequence.Len()
	end := b.sequence.ChunkEnd(from + min(max(r.Tokens, 1), b.pending(), *left))
	if err == nil && end == len(b.tokens) {
		end += b.guess(min(r.Draft, *left-(end-from), *wanted-1))
	}
	if err == nil {
		err = b.sequence.ReserveGuesses(end, b.drafted)
	}
	if err != nil && b.drafted > 0 { // without the guesses it may fit
		end -= b.drafted
		b.forgetDraft()
		err = b.sequence.Reserve(end)
	}
	if err != nil {
		if !errors.Is(err, cache.ErrFull) {
			b.job.stream.fail(err)
		}
		return false
	}
	p := part{branch: b, sequence: b.sequence, ids: b.tokens[from:end]}
	if end == len(b.tokens) {
		p.wanted = 1 + b.drafted
	}
	*left -= len(p.ids)
	*wanted -= p.wanted
	l.parts = append(l.parts, p)
	r.From, r.Tokens, r.Draft = from, len(p.ids)-b.drafted, b.drafted
	l.rows = append(l.rows, r)
	return true
}

// follow takes over what another sequence has computed of a branch's prompt in the meantime.
func (l *loop) follow(b *branch) error {
	before := b.sequence.Len()
	hit, err := b.sequence.Extend(b.known())
	if err != nil {
		return err
	}
	b.follows = hit.Leader != nil
	if !b.job.forked {
		b.choose.usage.CachedTokens += hit.Tokens - before
		b.clock.line.HitTokens += hit.Tokens - before
		l.counts.cached += uint64(hit.Tokens - before)
	}
	return nil
}

// compute runs the parts as one step and hands the logits out; false where it failed.
func (l *loop) compute(s schedule.Step) bool {
	start := time.Now()
	l.mutex.Lock()
	l.step++
	l.live = 0
	for i := range l.parts {
		if j := l.parts[i].branch.job; j.lastStep != l.step {
			j.lastStep = l.step
			l.live++
		}
	}
	l.stepping = true
	l.mutex.Unlock()
	for i := range l.parts {
		p := &l.parts[i]
		if b := p.branch; b.job.forked {
			b.clock.enter(phaseDecode, start)
			b.clock.line.Steps++
		} else {
			b.clock.chunk(len(p.ids), start)
		}
	}
	b := l.fill(l.parts)
	l.askKept(b)
	before := time.Now()
	logits, err := l.engine.device.Run(b)
	now := time.Now()
	l.mutex.Lock()
	l.stepping = false
	l.mutex.Unlock()
	l.took = now.Sub(before)
	if err == nil {
		l.further.decoded(l.parts, l.took)
		err = l.commit(now)
	}
	if err != nil {
		l.abandon(err, now)
		return false
	}
	l.deliver(logits)
	s.Rows = l.rows
	l.tell(func(plan *schedule.Scheduler) { plan.Done(now, s, l.took) })
	l.counts.computed += uint64(len(b.IDs))
	return true
}

// commit tells the cache what was computed, and forks the sequences of prompts that are complete.
func (l *loop) commit(now time.Time) error {
	for i := range l.parts {
		p := &l.parts[i]
		b := p.branch
		if err := p.sequence.Commit(p.ids[:len(p.ids)-b.drafted]); err != nil {
			return err
		}
		if p.wanted == 0 {
			b.clock.enter(phaseWaiting, now)
			continue
		}
		b.clock.enter(phaseSampling, now)
		if !b.job.forked {
			if err := b.job.fork(now); err != nil {
				return err
			}
			l.insert(b)
		}
	}
	return nil
}

// insert puts a job's other branches behind its first one.
func (l *loop) insert(first *branch) {
	rest := first.job.branches[1:]
	if len(rest) == 0 {
		return
	}
	for i, b := range l.started {
		if b == first {
			l.started = append(l.started[:i+1], append(append([]*branch(nil), rest...), l.started[i+1:]...)...)
			return
		}
	}
}

// abandon deals with a step that failed. Nothing of it was committed; where its requests were cancelled there is nothing more to do.
func (l *loop) abandon(err error, now time.Time) {
	for i := range l.parts {
		b := l.parts[i].branch
		b.forgetDraft()
		b.clock.enter(phaseWaiting, now)
		if !errors.Is(err, kernels.ErrCancelled) {
			b.job.stream.fail(err)
		}
	}
}

// deliver has the crew sample every branch's logits, and takes the tokens in. A sampler that took long the last time copies its logits and
// is not waited for.
func (l *loop) deliver(logits []float32) {
	stride, at := l.engine.device.LogitsStride(), 0
	l.further.keep(l.parts)
	l.crew.hands = l.crew.hands[:0]
	for i := range l.parts {
		p := &l.parts[i]
		if p.wanted == 0 {
			continue
		}
		rows := logits[at*stride : (at+p.wanted-1)*stride+l.engine.model.Vocab]
		b := p.branch
		h := handover{logits: rows, stride: stride, drafts: b.tokens[len(b.tokens)-b.drafted:], kept: l.keptRows(b, at, p.wanted)}
		at += p.wanted
		l.hand(b, h)
		if j := b.job; !j.fanned { // the prompt is complete: every answer begins with this row
			j.fanned = true
			for _, other := range j.branches[1:] {
				other.hidden.share(&b.hidden)
				l.hand(other, h)
			}
		}
	}
	begin := time.Now()
	l.crew.run()
	now := time.Now()
	l.waited = now.Sub(begin)
	for i := range l.crew.hands {
		if h := &l.crew.hands[i]; h.done {
			l.take(h.branch, now)
		}
	}
}

func (l *loop) hand(b *branch, h handover) {
	b.sampling = true
	l.inHand++
	h.copy = b.slow
	l.crew.hands = append(l.crew.hands, hand{branch: b, handover: h})
}

// slowSampler is when a sampler counts as slow: longer than this, and than an eighth of a step.
const slowSampler = 2 * time.Millisecond

// fill writes the batch; its slices are reused from step to step.
func (l *loop) fill(parts []part) *kernels.Batch {
	b := &l.batch
	b.IDs, b.Positions, b.Sequences, b.Wanted = b.IDs[:0], b.Positions[:0], b.Sequences[:0], b.Wanted[:0]
	b.Keep, b.AlsoFirst, b.Also = b.Keep[:0], b.AlsoFirst[:0], b.Also[:0]
	b.SequenceCount = len(parts)
	l.tables = l.tables[:0]
	for i := range parts {
		p := &parts[i]
		length := p.sequence.Len()
		for j, id := range p.ids {
			if j >= len(p.ids)-p.wanted {
				b.Wanted = append(b.Wanted, int32(len(b.IDs)))
			}
			b.IDs = append(b.IDs, id)
			b.Positions = append(b.Positions, int32(length+j))
			b.Sequences = append(b.Sequences, int32(i))
		}
		l.tables = append(l.tables, p.sequence)
	}
	l.fillTables(b)
	l.further.feed(b, parts)
	return b
}

// fillTables writes the page tables of the sequences of a batch, l.tables.
func (l *loop) fillTables(b *kernels.Batch) {
	b.Pages, b.TablePages = b.Pages[:0], 0
	for _, s := range l.tables {
		for kind := range l.kinds {
			b.TablePages = max(b.TablePages, len(s.Table(kind)))
		}
	}
	for kind := range l.kinds {
		for _, s := range l.tables {
			table := s.Table(kind)
			b.Pages = append(b.Pages, table...)
			for range b.TablePages - len(table) {
				b.Pages = append(b.Pages, -1)
			}
		}
	}
}
