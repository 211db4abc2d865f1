package schedule

import "time"

const (
	// maxLooks bounds how many jobs a plan looks up.
	maxLooks = 16
	// maxReaders is how many prompts of a tenant are read at the same time where the first of them takes all the room.
	maxReaders = 4
	// pageTokens is how many tokens are shared at once; less is not worth waiting for.
	pageTokens = 32
	// patience is for how many plans a job that found no memory is not looked up again, unless something ends.
	patience = 16
)

// gather opens the micro-batch lane when its batch is full or has waited long enough. It stays open until nobody waits.
func (s *Scheduler) gather(now time.Time) {
	l := &s.lines[MicroBatch]
	if l.open || l.jobs == 0 {
		l.open = l.open && l.jobs > 0
		return
	}
	if l.jobs < s.c.MicroBatchJobs && l.tokens < s.c.StepTokens && now.Before(l.due) {
		return
	}
	l.open = true
	for t := l.oldest; t != nil; t = t.newer {
		if t.wait == WaitWindow {
			s.setWait(t, WaitTurn)
		}
	}
}

// release lets jobs go on whose leader has come far enough, or will not; the others lend their leaders their urgency.
func (s *Scheduler) release() {
	if len(s.held) == 0 {
		return
	}
	changed := false
	for _, t := range s.running {
		if t.boost != t.Lane {
			t.boost, t.lender, changed = t.Lane, nil, true
		}
	}
	kept := s.held[:0]
	for _, t := range s.held {
		if l := t.leader; l.phase == phaseRunning && l.length < t.target {
			kept = append(kept, t)
			if t.Lane < l.boost {
				l.boost, l.lender, changed = t.Lane, t.share, true
			}
			continue
		}
		t.leader, t.phase = nil, phaseQueued
		s.lines[t.Lane].push(t)
		s.setWait(t, WaitTurn)
	}
	clear(s.held[len(kept):])
	s.held = kept
	if changed {
		reorder(s.running)
	}
}

// hold makes a queued job wait for what a running one computes.
func (s *Scheduler) hold(t, leader *task, target int) {
	s.lines[t.Lane].pull(t)
	t.phase, t.leader, t.target = phaseHeld, leader, target
	s.held = append(s.held, t)
	s.counted.PrefixWaits++
	if t.Lane < leader.boost {
		leader.boost, leader.lender = t.Lane, t.share
		reorder(s.running)
	}
	s.setWait(t, WaitPrefix)
}

// promote lets the job that waited longest go before all others once it has waited for Config.Aging. Of the running ones that is a
// job that no step had room for.
func (s *Scheduler) promote(now time.Time) {
	if s.c.Aging == 0 || s.aged != nil {
		return
	}
	var oldest *task
	for i := range s.lines {
		t := s.lines[i].oldest
		for t != nil && t.phase == phaseHeld {
			t = t.newer
		}
		if t != nil && (oldest == nil || t.since.Before(oldest.since)) {
			oldest = t
		}
	}
	for _, t := range s.running {
		if t.from < t.to && (oldest == nil || t.since.Before(oldest.since)) {
			oldest = t
		}
	}
	if oldest == nil || now.Sub(oldest.since) < s.c.Aging {
		return
	}
	oldest.aged, s.aged = true, oldest
	s.counted.Aged++
	switch oldest.phase {
	case phaseRunning:
		reorder(s.running)
	case phaseParked:
		reorder(s.parked)
	}
}

// candidate returns the job whose turn it is to run: aged ones, then by lane, then by priority, those that yielded first.
func (s *Scheduler) candidate() *task {
	if t := s.aged; t != nil && (t.phase == phaseQueued || t.phase == phaseParked) {
		return t
	}
	for i := range s.lines {
		l := &s.lines[i]
		var t *task
		if Lane(i) != MicroBatch || l.open {
			t = l.head()
		}
		for _, p := range s.parked {
			if p.Lane == Lane(i) {
				if t == nil || p.Priority >= t.Priority {
					t = p
				}
				break
			}
		}
		if t != nil {
			return t
		}
	}
	return nil
}

// admit starts and resumes jobs in their turn. One that lacks something is not overtaken by others, unless it waits for
// what another job computes.
func (s *Scheduler) admit(now time.Time, v View) {
	if now.Before(s.gate) {
		return
	}
	s.gate = time.Time{}
	p := &s.plan
	for range maxLooks {
		t := s.candidate()
		if t == nil || t.yielded == p.number {
			return
		}
		if t == s.poor && p.number < s.poorUntil && len(s.running) > 0 {
			return
		}
		if !s.hasRoom(t) {
			s.behind(t, WaitTurn)
			return
		}
		if !s.canFree(t) {
			s.behind(t, WaitSequences)
			return
		}
		if t.phase == phaseParked {
			if !s.resume(t, now, v) {
				return
			}
			continue
		}
		hit := v.Lookup(t.ID)
		if leader, target := s.follows(t, hit, v); leader != nil {
			s.hold(t, leader, target)
			continue
		}
		if !s.start(t, hit, now, v) {
			return
		}
	}
}

// behind notes why the job whose turn it is does not run.
func (s *Scheduler) behind(t *task, w Wait) {
	if t.phase == phaseParked {
		w = WaitParked
	}
	s.setWait(t, w)
}

// hasRoom tells whether the step has rows left for a job: what its tenant and others before it read may fill it.
func (s *Scheduler) hasRoom(t *task) bool {
	p := &s.plan
	if t.phase == phaseParked && t.leads() && t.length >= t.Prompt {
		return true
	}
	budget := p.budget
	if !t.leads() {
		budget = s.leftForBatch()
	}
	if budget <= 0 {
		return false
	}
	ahead, readers := 0, 0
	for i := range p.ready {
		r := &p.ready[i]
		if !r.prefill || !r.counts() || r.task.leads() != t.leads() {
			continue
		}
		if o := r.task; o.before(t) || !t.before(o) && (o.reads() == t.share || o.reads().work <= t.share.work) {
			ahead += r.pending
			readers++
		}
	}
	return ahead < budget || readers < maxReaders
}

// leftForBatch is how many tokens of prompts the batch lane can have in this step.
func (s *Scheduler) leftForBatch() int {
	p := &s.plan
	l, reading := p.decodes, 0
	for i := range p.ready {
		if r := &p.ready[i]; r.prefill && r.counts() && r.task.leads() {
			reading += r.pending
		}
	}
	if reading = min(reading, p.budget); reading > 0 {
		l = l.add(0, reading)
	}
	within, least := s.batchLimit(l), 0
	if l.rows == 0 {
		least = minChunk
	}
	for i := range p.ready { // its decodes come first
		if r := &p.ready[i]; !r.prefill && r.counts() && !r.task.leads() {
			l = l.add(r.computed, 1)
		}
	}
	most := s.c.StepTokens - int(l.rows)
	return max(s.fit(l, 0, most, within), min(least, most))
}

// follows decides whether a job should wait for what a running one computes of its prompt; until that has so many tokens.
func (s *Scheduler) follows(t *task, hit Hit, v View) (*task, int) {
	leader, pending := s.jobs[hit.Leader], hit.Pending
	if leader == nil || leader.phase != phaseRunning {
		leader, pending = nil, 0
	}
	for _, id := range s.step.Start { // the cache does not know of them yet
		if common := min(v.Common(t.ID, id), t.known-1) / pageTokens * pageTokens; common > pending {
			leader, pending = s.jobs[id], common
		}
	}
	if leader == nil || leader == t || leader.phase != phaseRunning || leader.short {
		return nil, 0
	}
	gain := pending - hit.Cached
	if gain < pageTokens || pending-leader.length > gain || leader.length >= pending { // it would be sooner there itself
		return nil, 0
	}
	return leader, pending
}

// canFree tells whether there are sequences for a job, or will be if jobs without its precedence yield.
func (s *Scheduler) canFree(t *task) bool {
	over := s.used + t.live - s.c.Sequences
	for i := len(s.running) - 1; i >= 0 && over > 0 && t.before(s.running[i]); i-- {
		if !s.running[i].starting {
			over -= s.running[i].live
		}
	}
	return over <= 0
}

// free makes sequences free for a job, where canFree says that this is possible.
func (s *Scheduler) free(t *task, v View, now time.Time) {
	for i := len(s.running) - 1; i >= 0 && s.used+t.live > s.c.Sequences; i-- {
		if !s.running[i].starting {
			s.yield(s.running[i], false, v, now)
		}
	}
}

// start runs a queued job; false where it lacks something.
func (s *Scheduler) start(t *task, hit Hit, now time.Time, v View) bool {
	if !s.roomFor(t, v, now) {
		s.behind(t, WaitMemory)
		s.poor, s.poorUntil = t, s.plan.number+patience
		return false
	}
	s.free(t, v, now)
	cached := max(0, min(hit.Cached, t.known-1))
	s.run(t, now)
	t.fresh, t.back, t.starting, t.short = true, false, true, false
	t.decodes, t.pending, t.length = 0, 0, cached
	t.from = len(s.plan.ready)
	t.to = t.from
	s.add(ready{t, t.branch(), cached, t.known - cached, true})
	t.promise(max(0, t.Prompt-max(cached, t.peak)))
	s.missed += (float64(t.known-cached)/float64(t.known) - s.missed) / 16
	s.step.Start = append(s.step.Start, t.ID)
	return true
}

// resume brings a parked job back; false where it lacks something.
func (s *Scheduler) resume(t *task, now time.Time, v View) bool {
	if !s.roomFor(t, v, now) {
		s.behind(t, WaitParked)
		s.poor, s.poorUntil = t, s.plan.number+patience
		return false
	}
	s.free(t, v, now)
	s.run(t, now)
	t.fresh, t.back = true, true
	s.look(t, v)
	t.starting = true
	s.counted.Resumes++
	s.step.Resume = append(s.step.Resume, t.ID)
	return true
}

// run puts a job among the running ones.
func (s *Scheduler) run(t *task, now time.Time) {
	p := &s.plan
	s.leave(t)
	t.phase, t.since, t.blocked = phaseRunning, now, false
	s.running = insert(s.running, t)
	s.used += t.live
	if p.grown {
		for k := range p.grow {
			p.grow[k] += p.need[k]
		}
	}
	s.setWait(t, WaitNone)
}
