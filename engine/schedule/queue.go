package schedule

import "time"

// phase is where a task stands.
type phase uint8

const (
	phaseQueued  phase = iota // without a sequence
	phaseHeld                 // queued, and waits for what another job computes
	phaseRunning              // with a sequence
	phaseParked               // with a sequence that rests
	phaseEnded
)

// task is a job and where it stands.
type task struct {
	Job
	phase  phase
	share  *share
	order  uint64 // of submission
	live   int    // branches that have not ended
	ended  []bool // by branch; nil: none
	wait   Wait
	since  time.Time // when it began to wait, or was last computed
	due    time.Time // micro-batch: when it will wait no longer
	aged   bool      // goes before everything
	boost  Lane      // of the most urgent job that waits for what it computes
	lender *share    // and that job's share, in whose turn it reads its prompt
	heapAt int       // in its share's heap
	older  *task     // in its lane's list
	newer  *task

	leader *task // held: goes on when leader has computed target tokens
	target int

	known    int  // tokens that are known, prompt and answer; of the first branch that has not ended
	length   int  // of them, computed
	peak     int  // the most that were ever computed: what is computed again is not charged
	promised int  // prompt tokens that its share was told of and that are not computed yet
	made     int  // tokens of its longest answer
	fresh    bool // nothing was computed for it since it started or came back
	back     bool // it came back
	blocked  bool // memory for it could not be reserved

	// What the plan in the making knows of it.
	decodes  int    // branches ready to decode
	pending  int    // tokens to prefill, of all branches
	short    bool   // no memory in this step
	starting bool   // in this plan
	from, to int    // its branches among the plan's ready ones
	served   uint64 // the last step that it was in
	yielded  uint64 // the last plan in which it had to yield
}

// branch returns the first branch that has not ended.
func (t *task) branch() int {
	for b, ended := range t.ended {
		if !ended {
			return b
		}
	}
	return 0
}

// level orders tasks by urgency: aged ones are 0, then by lane.
func (t *task) level() int {
	if t.aged {
		return 0
	}
	return 1 + int(min(t.Lane, t.boost))
}

// reads returns the share in whose turn a task's prompt is read.
func (t *task) reads() *share {
	if t.lender != nil {
		return t.lender
	}
	return t.share
}

// before tells whether a task has precedence over another of the same or another lane, whatever their age.
func (t *task) before(o *task) bool {
	if a, b := t.level(), o.level(); a != b {
		return a < b
	}
	return t.Priority > o.Priority
}

// ranks tells whether a task comes before another one; of two different ones exactly one does.
func (t *task) ranks(o *task) bool {
	switch {
	case t.before(o):
		return true
	case o.before(t):
		return false
	case !t.Arrived.Equal(o.Arrived):
		return t.Arrived.Before(o.Arrived)
	}
	return t.order < o.order
}

// urgent orders the tasks of one tenant in one lane: by priority, deadline, arrival.
func (t *task) urgent(o *task) bool {
	switch {
	case t.Priority != o.Priority:
		return t.Priority > o.Priority
	case !t.Deadline.Equal(o.Deadline):
		return o.Deadline.IsZero() || !t.Deadline.IsZero() && t.Deadline.Before(o.Deadline)
	case !t.Arrived.Equal(o.Arrived):
		return t.Arrived.Before(o.Arrived)
	}
	return t.order < o.order
}

// share is a tenant's part of a lane. Tenants with work to do are served so that their tokens, divided by their weights, keep together.
type share struct {
	tenant   string
	order    int     // of creation
	weight   float64 // tokens for each token of a share of weight 1
	work     float64 // computed tokens ÷ weight; virtual time
	promised float64 // prompt tokens ÷ weight of started jobs, not computed yet
	active   int     // jobs that have not ended
	heap     []*task // that wait, the most urgent first
	listAt   int     // in lane.waiting; -1: none waits
}

func (h *share) push(t *task) {
	h.heap = append(h.heap, t)
	h.up(len(h.heap) - 1)
}

func (h *share) remove(t *task) {
	i, last := t.heapAt, len(h.heap)-1
	h.heap[i] = h.heap[last]
	h.heap[last] = nil
	h.heap = h.heap[:last]
	if i < last {
		h.heap[i].heapAt = i
		h.down(i)
		h.up(i)
	}
}

func (h *share) up(i int) {
	t := h.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !t.urgent(h.heap[parent]) {
			break
		}
		h.heap[i] = h.heap[parent]
		h.heap[i].heapAt = i
		i = parent
	}
	h.heap[i], t.heapAt = t, i
}

func (h *share) down(i int) {
	t := h.heap[i]
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			break
		}
		if child+1 < len(h.heap) && h.heap[child+1].urgent(h.heap[child]) {
			child++
		}
		if !h.heap[child].urgent(t) {
			break
		}
		h.heap[i] = h.heap[child]
		h.heap[i].heapAt = i
		i = child
	}
	h.heap[i], t.heapAt = t, i
}

// line is one lane's waiting jobs.
type line struct {
	shares  map[string]*share
	waiting []*share // with jobs in their heaps
	active  []*share // with jobs that have not ended
	created int
	virtual float64 // the least that a share starts with
	oldest  *task   // all jobs without a running sequence, by the time they began to wait
	newest  *task
	jobs    int       // in that list, parked ones excepted
	tokens  int       // their prompts
	made    float64   // tokens that an answer has, usually
	open    bool      // micro-batch: its jobs may start
	due     time.Time // micro-batch: when it opens
}

// maxIdleShares bounds how many tenants without jobs are remembered.
const maxIdleShares = 1024

// join counts a new job of a tenant.
func (l *line) join(t *task, weight float64) {
	h := l.shares[t.Tenant]
	if h == nil {
		l.forget()
		h = &share{tenant: t.Tenant, order: l.created, weight: weight, listAt: -1}
		l.created++
		l.shares[t.Tenant] = h
	}
	if h.active == 0 { // no credit for the time away
		h.work = max(h.work, l.floor())
		l.active = append(l.active, h)
	}
	h.active++
	t.share = h
}

// floor is the least virtual time of those who have work, or had it last.
func (l *line) floor() float64 {
	if len(l.active) == 0 {
		return l.virtual
	}
	least := l.active[0].work
	for _, h := range l.active[1:] {
		least = min(least, h.work)
	}
	return least
}

// part counts the end of a job.
func (l *line) part(t *task) {
	h := t.share
	h.active--
	if h.active > 0 {
		return
	}
	l.virtual = max(l.virtual, l.floor())
	for i, other := range l.active {
		if other == h {
			l.active = append(l.active[:i], l.active[i+1:]...)
			break
		}
	}
}

// forget drops idle tenants where there are many.
func (l *line) forget() {
	if len(l.shares)-len(l.active) < maxIdleShares {
		return
	}
	floor := l.floor()
	for name, h := range l.shares {
		if h.active == 0 && h.work <= floor {
			delete(l.shares, name)
		}
	}
}

// push puts a task into its share's heap.
func (l *line) push(t *task) {
	h := t.share
	h.push(t)
	if h.listAt < 0 {
		h.listAt = len(l.waiting)
		l.waiting = append(l.waiting, h)
	}
}

// pull takes a task out of its share's heap.
func (l *line) pull(t *task) {
	h := t.share
	h.remove(t)
	if len(h.heap) > 0 {
		return
	}
	last := len(l.waiting) - 1
	l.waiting[h.listAt] = l.waiting[last]
	l.waiting[h.listAt].listAt = h.listAt
	l.waiting[last] = nil
	l.waiting = l.waiting[:last]
	h.listAt = -1
}

// head returns the job whose turn it is: of the highest priority, of the tenant that had the least, the most urgent.
func (l *line) head() *task {
	var best *task
	for _, h := range l.waiting {
		t := h.heap[0]
		if best == nil || l.sooner(t, best) {
			best = t
		}
	}
	return best
}

func (l *line) sooner(t, o *task) bool {
	if t.Priority != o.Priority {
		return t.Priority > o.Priority
	}
	if a, b := t.share.work+t.share.promised, o.share.work+o.share.promised; a != b {
		return a < b
	}
	return t.urgent(o)
}

// link puts a task into the list of those that wait, by the time since it does.
func (l *line) link(t *task) {
	at := l.newest
	for at != nil && at.since.After(t.since) {
		at = at.older
	}
	t.older = at
	if at == nil {
		t.newer, l.oldest = l.oldest, t
	} else {
		t.newer, at.newer = at.newer, t
	}
	if t.newer == nil {
		l.newest = t
	} else {
		t.newer.older = t
	}
	if t.phase != phaseParked {
		l.jobs++
		l.tokens += t.Prompt
	}
}

func (l *line) unlink(t *task) {
	if t.older == nil {
		l.oldest = t.newer
	} else {
		t.older.newer = t.newer
	}
	if t.newer == nil {
		l.newest = t.older
	} else {
		t.newer.older = t.older
	}
	t.older, t.newer = nil, nil
	if t.phase != phaseParked {
		l.jobs--
		l.tokens -= t.Prompt
	}
}

// earliest finds when a micro-batch has to open.
func (l *line) earliest() {
	l.due = time.Time{}
	for t := l.oldest; t != nil; t = t.newer {
		if t.phase != phaseParked && (l.due.IsZero() || t.due.Before(l.due)) {
			l.due = t.due
		}
	}
}
