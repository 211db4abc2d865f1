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
	now := time.Now()
	l.mutex.Lock()
	s := l.schedule.Plan(now, view{l})
	l.mutex.Unlock()
	l.wakeAt = s.Wake
	for _, id := range s.Start {
		l.start(l.jobs[id])
	}
	l.parts = l.parts[:0]
	l.gather(&s)
	if len(l.parts) == 0 {
		return len(s.Start) > 0
	}
	l.compute()
	return true
}

// view is the schedule's view of the loop.
type view struct{ l *loop }

func (v view) Branches(id uint64) int {
	j := v.l.jobs[id]
	if j == nil || !j.started {
		return 0
	}
	return len(j.branches)
}

func (v view) Ready(id uint64, branch int) int {
	b := v.l.jobs[id].branches[branch]
	if !b.ready() {
		return 0
	}
	return b.pending()
}

// start opens a job's sequence.
func (l *loop) start(j *job) {
	if j == nil || j.started {
		return
	}
	j.started = true
	first, now := j.branches[0], time.Now()
	first.clock.enter(phaseLookup, now)
	var hit cache.Hit
	first.sequence, hit = l.cache.Open(j.request.CacheKey, j.prompt)
	first.choose.usage.CachedTokens = hit.Tokens
	first.clock.line.HitTokens, first.clock.line.Miss = hit.Tokens, hit.Miss.String()
	first.clock.enter(phaseWaiting, time.Now())
	for _, b := range j.branches {
		l.samplers.Add(1)
		go b.run()
	}
	l.started = append(l.started, first)
}

// gather turns the schedule's rows into parts, with their memory reserved.
func (l *loop) gather(s *schedule.Step) {
	rows, wanted := l.engine.options.StepRows, l.engine.maxWanted
	for _, r := range s.Rows {
		j := l.jobs[r.ID]
		if j == nil || r.Branch >= len(j.branches) || !j.branches[r.Branch].ready() {
			continue
		}
		b := j.branches[r.Branch]
		n := min(r.Tokens, b.pending(), rows)
		if n <= 0 || wanted == 0 {
			continue
		}
		from := b.sequence.Len()
		p := part{branch: b, sequence: b.sequence, ids: b.tokens[from:b.sequence.ChunkEnd(from+n)]}
		if from+len(p.ids) == len(b.tokens) {
			p.wanted = 1
		}
		if !l.reserve(b, from+len(p.ids)) {
			continue
		}
		rows -= len(p.ids)
		wanted -= p.wanted
		l.parts = append(l.parts, p)
	}
	for _, b := range l.started {
		b.missing = false
	}
}

// reserve gets the memory for a branch's next tokens; sequences that began later give theirs up where it is short.
func (l *loop) reserve(b *branch, end int) bool {
	for {
		err := l.unpark(b)
		if err == nil {
			err = b.sequence.Reserve(end)
		}
		if err == nil {
			return true
		}
		if !errors.Is(err, cache.ErrFull) {
			b.job.stream.fail(err)
			return false
		}
		if !l.parkYounger(b) {
			if l.started[0] == b && l.direct == 0 {
				b.job.stream.fail(err)
			}
			b.missing = true
			return false
		}
	}
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
	return nil
}

// parkYounger parks the branch that began last, and after b, and is not in the step.
func (l *loop) parkYounger(b *branch) bool {
	for i := len(l.started) - 1; i >= 0 && l.started[i] != b; i-- {
		v := l.started[i]
		if v.parked || l.inStep(v) {
			continue
		}
		return l.park(v)
	}
	return false
}

func (l *loop) park(b *branch) bool {
	if err := b.sequence.Park(); err != nil {
		b.job.stream.fail(err)
		return false
	}
	b.parked = true
	if !b.sampling {
		b.clock.enter(phaseParked, time.Now())
	}
	l.counts.parks++
	return true
}

func (l *loop) inStep(b *branch) bool {
	for i := range l.parts {
		if l.parts[i].branch == b {
			return true
		}
	}
	return false
}

// compute runs the parts as one step and hands the logits out.
func (l *loop) compute() {
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
	tokens := 0
	for i := range l.parts {
		p := &l.parts[i]
		tokens += len(p.ids)
		if b := p.branch; b.job.forked {
			b.clock.enter(phaseDecode, start)
			b.clock.line.Steps++
		} else {
			b.clock.chunk(len(p.ids), start)
		}
	}
	b := l.fill(l.parts)
	before := time.Now()
	logits, err := l.engine.device.Run(b)
	now := time.Now()
	l.mutex.Lock()
	l.stepping = false
	l.mutex.Unlock()
	l.took = now.Sub(before)
	if err == nil {
		err = l.commit(now)
	}
	if err != nil {
		l.abandon(err, now)
		return
	}
	l.deliver(logits, now)
	l.counted(tokens, now.Sub(start))
	if l.check != nil {
		l.check()
	}
	l.await()
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
		b.clock.enter(phaseWaiting, now)
		if !errors.Is(err, kernels.ErrCancelled) {
			b.job.stream.fail(err)
		}
	}
}

// deliver hands every branch its logits; it returns when they are copied, so that the next step may begin.
func (l *loop) deliver(logits []float32, now time.Time) {
	stride, at := l.engine.device.LogitsStride(), 0
	l.fresh = 0
	for i := range l.parts {
		p := &l.parts[i]
		if p.wanted == 0 {
			continue
		}
		rows := logits[at*stride : (at+p.wanted-1)*stride+l.engine.model.Vocab]
		at += p.wanted
		b := p.branch
		h := handover{logits: rows, stride: stride, drafts: b.tokens[len(b.tokens)-b.drafted:], copied: &l.copied}
		l.hand(b, h)
		if j := b.job; !j.fanned { // the prompt is complete: every answer begins with this row
			j.fanned = true
			for _, other := range j.branches[1:] {
				l.hand(other, h)
			}
		}
	}
	l.copied.Wait()
}

func (l *loop) hand(b *branch, h handover) {
	b.sampling, b.handed = true, l.step
	l.inHand++
	l.fresh++
	l.copied.Add(1)
	b.hand <- h
}

// await waits for the tokens of the last step: not long, since a token that is late joins a later step.
func (l *loop) await() {
	patience := min(max(l.took/16, 200*time.Microsecond), 2*time.Millisecond)
	l.timer.Reset(patience)
	defer l.timer.Stop()
	for l.fresh > 0 {
		select {
		case <-l.wake:
			if !l.receive() {
				l.poke()
				return
			}
		case <-l.timer.C:
			return
		}
	}
}

// fill writes the batch; its slices are reused from step to step.
func (l *loop) fill(parts []part) *kernels.Batch {
	b := &l.batch
	b.IDs, b.Positions, b.Sequences, b.Wanted, b.Pages = b.IDs[:0], b.Positions[:0], b.Sequences[:0], b.Wanted[:0], b.Pages[:0]
	b.SequenceCount, b.TablePages = len(parts), 0
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
		for kind := range l.kinds {
			b.TablePages = max(b.TablePages, len(p.sequence.Table(kind)))
		}
	}
	for kind := range l.kinds {
		for i := range parts {
			table := parts[i].sequence.Table(kind)
			b.Pages = append(b.Pages, table...)
			for range b.TablePages - len(table) {
				b.Pages = append(b.Pages, -1)
			}
		}
	}
	return b
}
