package schedule

import "time"

const (
	// gateTime is how long nobody starts after memory could not be reserved.
	gateTime = 100 * time.Millisecond
	// retryTime is how long a job whose memory could not be reserved waits in a step without others.
	retryTime = 20 * time.Millisecond
	// growth is what an answer that is longer than usual is expected to have still: a page.
	growth = 32
)

// secure makes sure that running jobs have memory for this step, in the order of their rank; those of the lowest rank yield where it is
// short. The first of them thus always goes on.
func (s *Scheduler) secure(now time.Time, v View) {
	left := s.plan.budget
	for i := 0; i < len(s.running); i++ { // yielding shortens the list behind i
		t := s.running[i]
		if t.from == t.to || s.secured(i, &left, now, v) {
			continue
		}
		t.short = true
		if t.fresh && len(s.running) > 1 { // not even its first tokens: it started too soon
			s.yield(t, !t.back, v, now)
			s.gate = now.Add(gateTime)
			i--
			continue
		}
		s.setWait(t, WaitMemory)
		s.retry = now.Add(retryTime)
	}
}

// secured takes the memory that a running job's rows need; false where there is not enough.
func (s *Scheduler) secured(i int, left *int, now time.Time, v View) bool {
	p := &s.plan
	t := s.running[i]
	if t.blocked { // what the view says of it is wrong
		if !s.yieldLowest(i, v, now) {
			return false
		}
		t.blocked = false
		return true
	}
	clear(p.need)
	for _, r := range p.ready[t.from:t.to] {
		n := 1
		if r.prefill {
			n = max(1, min(r.pending, *left))
			*left = max(0, *left-n)
		}
		v.Need(t.ID, r.branch, r.computed+n, p.need)
	}
	for !within(p.need, p.free) {
		if !s.yieldLowest(i, v, now) {
			return false
		}
	}
	for k := range p.free {
		p.free[k] -= p.need[k]
	}
	return true
}

// within tells whether pages suffice in all pools.
func within(need, free []int) bool {
	for k := range need {
		if need[k] > free[k] {
			return false
		}
	}
	return true
}

// yieldLowest makes the running job of the lowest rank behind i yield that gives something back.
func (s *Scheduler) yieldLowest(i int, v View, now time.Time) bool {
	p := &s.plan
	for j := len(s.running) - 1; j > i; j-- {
		t := s.running[j]
		if t.starting {
			continue
		}
		clear(p.give)
		v.Held(t.ID, p.give)
		for _, n := range p.give {
			if n > 0 {
				s.yield(t, false, v, now)
				return true
			}
		}
	}
	return false
}

// yield makes a running job give up its sequence for now: it is parked, or dropped where computing it again costs less.
func (s *Scheduler) yield(t *task, drop bool, v View, now time.Time) {
	p := &s.plan
	clear(p.give)
	v.Held(t.ID, p.give)
	for k := range p.free {
		p.free[k] += p.give[k]
		p.have[k] += p.give[k]
	}
	p.grown, s.poor = false, nil
	if !drop {
		cost, ok := v.ParkCost(t.ID)
		drop = !ok || s.model.trusted() && cost > s.again(t)
	}
	s.leave(t)
	t.since, t.yielded, t.blocked = now, p.number, false
	t.promise(0)
	if drop {
		s.counted.Drops++
		s.enqueue(t)
		s.step.Drop = append(s.step.Drop, t.ID)
		s.setWait(t, WaitMemory)
		return
	}
	s.counted.Parks++
	t.phase = phaseParked
	s.lines[t.Lane].link(t)
	s.parked = insert(s.parked, t)
	s.step.Park = append(s.step.Park, t.ID)
	s.setWait(t, WaitParked)
}

// again predicts how long it takes to compute all of a job again: its prompt, and each of its answers.
func (s *Scheduler) again(t *task) time.Duration {
	total := s.reading(min(t.length, t.Prompt), 0)
	if t.length > t.Prompt {
		total += time.Duration(t.live) * s.reading(t.length-t.Prompt, t.Prompt)
	}
	return total
}

// reading predicts how long n tokens of a prompt behind position from take in steps of their own.
func (s *Scheduler) reading(n, from int) time.Duration {
	var total time.Duration
	whole, rest := n/s.c.StepTokens, n%s.c.StepTokens
	if whole > 0 { // attended positions grow linearly: the middle one stands for all
		middle := from + (whole-1)*s.c.StepTokens/2
		total = duration(float64(whole) * s.model.seconds(load{}.add(middle, s.c.StepTokens)))
	}
	if rest > 0 {
		total += s.model.predict(load{}.add(from+whole*s.c.StepTokens, rest))
	}
	return total
}

// remaining is how many tokens an answer of a job is expected to have still.
func (s *Scheduler) remaining(t *task) int {
	most := t.MaxNew - t.made
	usual := int(s.lines[t.Lane].made) - t.made
	return max(0, min(most, max(usual, growth)))
}

// grows adds the memory that a job with a sequence will need, probably.
func (s *Scheduler) grows(t *task, v View, pages []int) {
	if t.length < t.Prompt { // its answers come from one sequence still
		v.Need(t.ID, 0, t.Prompt+t.live*s.remaining(t), pages)
		return
	}
	n := s.remaining(t)
	for b := range t.Branches {
		if t.ended == nil || !t.ended[b] {
			v.Need(t.ID, b, t.Prompt+t.made+n, pages)
		}
	}
}

// roomFor tells whether a job that is to run has memory beside those that run, with what all of them will probably need. Where it
// has not, jobs without its precedence yield, if that suffices.
func (s *Scheduler) roomFor(t *task, v View, now time.Time) bool {
	p := &s.plan
	clear(p.need)
	if t.phase == phaseParked {
		s.grows(t, v, p.need)
	} else {
		v.Need(t.ID, t.branch(), t.known+t.live*s.remaining(t), p.need)
	}
	if len(s.running) == 0 || s.fits(v) { // where nobody runs there will never be more
		return true
	}
	for k := range p.need { // would it suffice?
		p.give[k] = p.have[k] - p.need[k]
	}
	victims := 0
	for i := len(s.running) - 1; i >= 0 && t.before(s.running[i]); i-- {
		if !s.running[i].starting {
			v.Held(s.running[i].ID, p.give)
			victims++
		}
	}
	if victims == 0 || !s.staysWithin(t, v) {
		return false
	}
	for !s.fits(v) {
		i := len(s.running) - 1
		for i >= 0 && s.running[i].starting {
			i--
		}
		if i < 0 || !t.before(s.running[i]) {
			break
		}
		s.yield(s.running[i], false, v, now)
	}
	return true
}

// fits tells whether plan.need and what running jobs will need is free.
func (s *Scheduler) fits(v View) bool {
	p := &s.plan
	if !p.grown {
		clear(p.grow)
		for _, t := range s.running {
			s.grows(t, v, p.grow)
		}
		p.grown = true
	}
	for k := range p.need {
		if p.need[k]+p.grow[k] > p.have[k] {
			return false
		}
	}
	return true
}

// staysWithin tells whether plan.give suffices for the growth of the jobs over which t has no precedence.
func (s *Scheduler) staysWithin(t *task, v View) bool {
	p := &s.plan
	clear(p.grow)
	for _, r := range s.running {
		if r.starting || !t.before(r) {
			s.grows(r, v, p.grow)
		}
	}
	p.grown = false
	return within(p.grow, p.give)
}
