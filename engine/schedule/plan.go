package schedule

import "time"

const (
	// minChunk is what prompts get of a step at least, however long it makes that: they must come to an end. Late in a long prompt one
	// row can cost as much as four decodes do.
	minChunk = 1
	// leastSlowdown is by how much prompts may lengthen a step with online decodes where these alone take the target's time or more.
	leastSlowdown = 1.25
	// unknownChunk is what they get beside decoding online jobs until the step-time model can be trusted.
	unknownChunk = 64
	// prefillSlowdown is by how much prompts may lengthen a step with online decodes where no target is set.
	prefillSlowdown = 1.7
	// chunkMultiple is what chunks of eight times as many are rounded to: kernels compute rows in tiles.
	chunkMultiple = 16
	forever       = time.Duration(1<<63 - 1)
)

// ready is a branch that has tokens to compute.
type ready struct {
	task              *task
	branch            int
	computed, pending int
	prefill           bool
}

// plan is what Plan works with. It is kept for its slices.
type plan struct {
	number uint64 // of plans
	ready  []ready
	queue  []int // indices of ready, being sorted

	have, free []int // pages that can be had; of them, not taken by this step
	need, give []int // pages of one task: that it lacks; that it would give back
	grow       []int // pages that the running jobs will take, probably
	grown      bool  // grow is known

	decodes load // of the lanes before batch, whether or not their samplers have them in hand
	online  bool // some of them are of the online lane
	budget  int  // tokens of prompts that these lanes can have in this step
	load    load // of the rows so far
	left    int  // rows
}

// Plan makes the next step.
func (s *Scheduler) Plan(now time.Time, v View) Step {
	p := &s.plan
	p.number++
	p.ready, p.load, p.left, p.grown = p.ready[:0], load{}, s.c.StepTokens, false
	out := &s.step
	*out = Step{Park: out.Park[:0], Drop: out.Drop[:0], Resume: out.Resume[:0], Start: out.Start[:0], Rows: out.Rows[:0], Waits: out.Waits[:0]}
	if !s.retry.IsZero() && !now.Before(s.retry) {
		s.unblock()
	}
	if s.misled {
		s.gate, s.misled = now.Add(gateTime), false
	}
	s.gather(now)
	for _, t := range s.running {
		s.look(t, v)
	}
	s.release()
	s.promote(now)
	clear(p.have)
	v.Free(p.have)
	copy(p.free, p.have)
	s.estimate()
	s.secure(now, v)
	s.estimate()
	s.admit(now, v)
	s.compose()
	if len(out.Rows) == 0 {
		out.Wake = s.alarm(now)
	}
	return *out
}

// setWait notes why a task waits, and reports a change.
func (s *Scheduler) setWait(t *task, w Wait) {
	if t.wait != w {
		t.wait = w
		s.step.Waits = append(s.step.Waits, Waiting{t.ID, w})
	}
}

// look asks what a job with a sequence can compute now.
func (s *Scheduler) look(t *task, v View) {
	t.decodes, t.pending, t.short, t.starting = 0, 0, false, false
	t.from = len(s.plan.ready)
	t.to = t.from
	first := t.branch()
	for b := first; b < t.Branches; b++ {
		if t.ended != nil && t.ended[b] {
			continue
		}
		computed, pending := v.State(t.ID, b)
		if b == first {
			t.length, t.known = computed, max(computed+pending, t.Prompt)
		}
		t.made = max(t.made, computed+pending-t.Prompt)
		if pending > 0 {
			s.add(ready{t, b, computed, pending, computed < t.Prompt || pending > 1})
		}
	}
}

func (s *Scheduler) add(r ready) {
	s.plan.ready = append(s.plan.ready, r)
	r.task.to++
	if r.prefill {
		r.task.pending += r.pending
	} else {
		r.task.decodes++
	}
}

// counts tells whether a ready branch can be in the step.
func (r *ready) counts() bool { return r.task.phase == phaseRunning && !r.task.short }

// leads tells whether a task is of the lanes that come before the batch lane.
func (t *task) leads() bool { return t.level() <= 1+int(MicroBatch) }

// estimate finds how many tokens of prompts the step has room for beside the decodes.
func (s *Scheduler) estimate() {
	p := &s.plan
	p.decodes, p.online = load{}, false
	for _, t := range s.running {
		if t.leads() && !t.short && t.length >= t.Prompt {
			for range t.live {
				p.decodes = p.decodes.add(t.length, 1)
			}
			p.online = p.online || t.Lane == Online
		}
	}
	most := s.c.StepTokens - int(p.decodes.rows)
	p.budget = max(s.fit(p.decodes, 0, most, s.limit()), min(minChunk, most))
}

// limit is the time that a step may take in which prompts of the lanes before batch are read.
func (s *Scheduler) limit() time.Duration {
	switch {
	case !s.plan.online && s.waits(Online):
		return forever
	case !s.plan.online:
		return s.c.BatchStep
	}
	return s.onlineLimit(s.plan.decodes)
}

// onlineLimit is the time that a step with online decodes of this load may take with prompts beside them.
func (s *Scheduler) onlineLimit(decodes load) time.Duration {
	alone := s.model.seconds(decodes)
	if s.c.TargetITL > 0 {
		return max(s.c.TargetITL, duration(leastSlowdown*alone))
	}
	return duration(prefillSlowdown * alone)
}

// batchLimit is the time that a step may take with rows of the batch lane, beside a load of other lanes.
func (s *Scheduler) batchLimit(lead load) time.Duration {
	p := &s.plan
	if p.online && lead.rows < p.decodes.rows { // some are with their samplers, and will want the next step
		lead = p.decodes
	}
	if lead.rows == 0 {
		return s.c.BatchStep
	}
	limit := duration((1 + s.c.BatchSlowdown) * s.model.seconds(lead))
	switch {
	case p.online && s.c.TargetITL > 0:
		limit = min(limit, s.c.TargetITL)
	case !p.online && !s.waits(Online):
		limit = max(limit, s.c.BatchStep)
	}
	return limit
}

// waits tells whether a job of a lane has a prompt to be read, or waits to.
func (s *Scheduler) waits(lane Lane) bool {
	for _, t := range s.running {
		if t.level() <= 1+int(lane) && t.pending > 0 {
			return true
		}
	}
	return len(s.lines[lane].waiting) > 0
}

// fit returns how many more tokens from a position on fit into a step of a load.
func (s *Scheduler) fit(l load, from, most int, within time.Duration) int {
	switch {
	case most <= 0:
		return 0
	case within == forever:
		return most
	case !s.model.trusted():
		if l.rows > 0 {
			return max(0, min(most, unknownChunk-int(l.rows)))
		}
		return min(most, max(unknownChunk, s.c.StepTokens/4))
	}
	return s.model.chunk(l, from, most, within)
}

// compose fills the step's rows.
func (s *Scheduler) compose() {
	p := &s.plan
	for i := range p.ready {
		if r := &p.ready[i]; !r.prefill && r.counts() && r.task.leads() {
			s.row(r, 1)
		}
	}
	s.read(true, s.limit(), true)
	within := s.batchLimit(p.load)
	if s.decodeBatch(within) {
		s.read(false, within, len(s.step.Rows) == 0)
	}
	s.draft()
	s.step.Predicted = s.model.predict(p.load)
}

// row puts tokens of a ready branch into the step.
func (s *Scheduler) row(r *ready, tokens int) {
	p := &s.plan
	s.step.Rows = append(s.step.Rows, Row{ID: r.task.ID, Branch: r.branch, From: r.computed, Tokens: tokens, Prefill: r.prefill})
	p.load = p.load.add(r.computed, tokens)
	p.left -= tokens
	s.setWait(r.task, WaitNone)
}

// decodeBatch puts the batch lane's decodes into the step, those first that were computed longest ago; false where not all fit. Where
// nothing else is in the step one of them is, however long it takes.
func (s *Scheduler) decodeBatch(within time.Duration) bool {
	p := &s.plan
	p.queue = p.queue[:0]
	for i := range p.ready {
		if r := &p.ready[i]; !r.prefill && r.counts() && !r.task.leads() {
			at := len(p.queue)
			p.queue = append(p.queue, i)
			for ; at > 0 && r.task.served < p.ready[p.queue[at-1]].task.served; at-- {
				p.queue[at] = p.queue[at-1]
			}
			p.queue[at] = i
		}
	}
	for _, i := range p.queue {
		r := &p.ready[i]
		if p.left == 0 || len(s.step.Rows) > 0 && s.fit(p.load, r.computed, 1, within) == 0 {
			return false
		}
		s.row(r, 1)
	}
	return true
}

// read puts chunks of prompts into the step, of the batch lane or of those before it. least: some come in even where the time is short.
func (s *Scheduler) read(leads bool, within time.Duration, least bool) {
	p := &s.plan
	p.queue = p.queue[:0]
	for i := range p.ready {
		if r := &p.ready[i]; r.prefill && r.counts() && r.task.leads() == leads {
			at := len(p.queue)
			p.queue = append(p.queue, i)
			for ; at > 0 && r.readsBefore(&p.ready[p.queue[at-1]]); at-- {
				p.queue[at] = p.queue[at-1]
			}
			p.queue[at] = i
		}
	}
	reserve := 0
	if least {
		reserve = minChunk
	}
	for from := 0; from < len(p.queue); {
		to := from + 1
		for to < len(p.queue) && p.ready[p.queue[to]].sameShare(&p.ready[p.queue[from]]) {
			to++
		}
		reserve -= s.readShare(p.queue[from:to], within, reserve)
		from = to
	}
}

// readsBefore orders prompts: by level and priority, then by what their tenants had, then as they started.
func (r *ready) readsBefore(o *ready) bool {
	a, b := r.task, o.task
	switch {
	case a.before(b):
		return true
	case b.before(a):
		return false
	}
	x, y := a.reads(), b.reads()
	switch {
	case x == y:
		return a.urgent(b)
	case x.work != y.work:
		return x.work < y.work
	case a.Lane != b.Lane:
		return a.Lane < b.Lane
	}
	return x.order < y.order
}

func (r *ready) sameShare(o *ready) bool {
	return r.task.reads() == o.task.reads() && !r.task.before(o.task) && !o.task.before(r.task)
}

// readShare divides what the step has left among one tenant's prompts: half goes to the first one, so that it comes to its end however
// many follow, and the rest to the shortest, so that they need not wait for a long one. It returns how many tokens it took.
func (s *Scheduler) readShare(queue []int, within time.Duration, least int) int {
	p := &s.plan
	total := 0
	for _, i := range queue {
		total += p.ready[i].pending
	}
	head := &p.ready[queue[0]]
	room := max(s.fit(p.load, head.computed, min(total, p.left), within), min(least, total, p.left))
	if room == 0 {
		return 0
	}
	if room < total && room >= 8*chunkMultiple {
		room -= room % chunkMultiple
	}
	rest := queue[1:]
	first := min(head.pending, room)
	if others := total - head.pending; others > 0 {
		first = min(head.pending, max((room+1)/2, room-others))
	}
	for i := 1; i < len(rest); i++ { // the shortest first
		r, at := rest[i], i
		for ; at > 0 && p.ready[r].pending < p.ready[rest[at-1]].pending; at-- {
			rest[at] = rest[at-1]
		}
		rest[at] = r
	}
	given := first
	if first > 0 {
		s.row(head, first)
	}
	for _, i := range rest {
		if n := min(p.ready[i].pending, room-given); n > 0 {
			s.row(&p.ready[i], n)
			given += n
		}
	}
	return given
}

// draft lets decodes verify drafted tokens with what the step has left, where no prompt could use it.
func (s *Scheduler) draft() {
	p := &s.plan
	rows := s.step.Rows
	if s.c.Draft == 0 || len(rows) == 0 || !s.model.trusted() {
		return
	}
	now := s.model.linear(p.load)
	if now <= 0 {
		return
	}
	more := p.load
	more.rows++
	s.step.DraftCost = (s.model.linear(more) - now) * float64(len(rows)) / now
	room := p.left
	if p.online && s.c.TargetITL > 0 {
		room = s.fit(p.load, 0, p.left, s.c.TargetITL)
	}
	for i := range rows {
		if rows[i].Prefill {
			return
		}
	}
	each := min(s.c.Draft, room/len(rows))
	for i := range rows {
		r := &rows[i]
		t := s.jobs[r.ID]
		r.Draft = max(0, min(each, t.Prompt+t.MaxNew-r.From-2)) // the row's own token is one of the answer, and gives one more
	}
}

// alarm returns when an empty step should be tried again.
func (s *Scheduler) alarm(now time.Time) time.Time {
	var at time.Time
	sooner := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if l := &s.lines[MicroBatch]; !l.open && l.jobs > 0 {
		sooner(l.due)
	}
	sooner(s.gate)
	sooner(s.retry)
	if s.c.Aging > 0 && s.aged == nil {
		for i := range s.lines {
			if t := s.lines[i].oldest; t != nil {
				sooner(t.since.Add(s.c.Aging))
			}
		}
	}
	return at
}
