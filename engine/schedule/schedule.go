package schedule

import (
	"fmt"
	"math"
	"time"
)

// Config sizes a schedule.
type Config struct {
	StepTokens int // most rows of a step; at least Sequences
	Sequences  int // most branches that run at the same time
	Pools      int // kinds of cache pages that View counts; 0 means 1

	// TargetITL is the time that a step with decoding online jobs should take at most; prompts are read in chunks that keep to
	// it, or lengthen the step by a quarter where the decodes alone take so long. 0: a prompt may lengthen such a step to less than
	// twice what the decodes alone take.
	TargetITL time.Duration
	// BatchSlowdown is by how much the batch lane may lengthen a step with rows of other lanes; 0 means 0.2.
	BatchSlowdown float64
	// BatchStep is the time that a step without online jobs should take at most, so that an arrival does not wait long. 0: TargetITL,
	// or 100 ms.
	BatchStep time.Duration
	// MicroBatchWindow is how long a micro-batch job waits for others, MicroBatchJobs how many fill a batch sooner; 0: as many as run.
	MicroBatchWindow time.Duration
	MicroBatchJobs   int
	// Aging is the time after which the job that waited longest goes before all others, whatever its lane and priority, one such job
	// at a time. 0: never.
	Aging time.Duration

	QueueJobs   int           // most jobs that wait; 0: no limit
	QueueTokens int           // most prompt tokens that wait; 0: no limit
	CacheTokens int           // tokens that the whole cache has room for; 0: unknown
	MaxWait     time.Duration // refuse jobs whose first token is predicted to come later; 0: no limit

	Tenants map[string]float64 // weights; 1 for those that are not in it
	Draft   int                // most tokens of a draft; 0: no speculation
}

const (
	defaultSlowdown  = 0.2
	defaultBatchStep = 100 * time.Millisecond
	maxBranches      = 1 << 16
	maxTokens        = 1 << 40 // of a job: sums stay in range
)

func (c *Config) check() error {
	switch {
	case c.Sequences < 1 || c.StepTokens < c.Sequences:
		return fmt.Errorf("schedule: %d sequences and %d tokens a step, expected at least 1 sequence and as many tokens", c.Sequences, c.StepTokens)
	case c.Pools < 0 || c.QueueJobs < 0 || c.QueueTokens < 0 || c.CacheTokens < 0 || c.Draft < 0 || c.MicroBatchJobs < 0:
		return fmt.Errorf("schedule: a number is negative: pools %d, queue %d jobs and %d tokens, cache %d tokens, drafts %d, micro-batch %d",
			c.Pools, c.QueueJobs, c.QueueTokens, c.CacheTokens, c.Draft, c.MicroBatchJobs)
	case min(c.TargetITL, c.BatchStep, c.MicroBatchWindow, c.Aging, c.MaxWait) < 0:
		return fmt.Errorf("schedule: a time is negative: target %v, batch step %v, window %v, aging %v, longest wait %v", c.TargetITL, c.BatchStep,
			c.MicroBatchWindow, c.Aging, c.MaxWait)
	case !(c.BatchSlowdown >= 0 && c.BatchSlowdown <= 1e6):
		return fmt.Errorf("schedule: the batch lane's slowdown is %v, expected 0 to 1e6", c.BatchSlowdown)
	}
	for name, w := range c.Tenants {
		if !(w > 0 && w <= 1e9) || w < 1e-9 {
			return fmt.Errorf("schedule: tenant %q has the weight %v, expected 1e-9 to 1e9", name, w)
		}
	}
	return nil
}

// Scheduler holds the jobs and decides.
type Scheduler struct {
	c     Config
	model model
	jobs  map[uint64]*task
	lines [lanes]line
	order uint64

	running   []*task   // by rank
	parked    []*task   // by rank
	held      []*task   // for what another job computes
	aged      *task     // the one job that goes before all others
	used      int       // branches that run
	gate      time.Time // nobody starts before it, unless memory becomes free
	poor      *task     // found no memory to run
	poorUntil uint64    // and is asked again in this plan
	misled    bool      // the view told of memory that was not there
	retry     time.Time // when blocked jobs are tried again
	missed    float64   // share of prompt tokens that had to be computed, usually

	step    Step
	steps   uint64
	plan    plan
	counted Stats
}

// New makes an empty schedule.
func New(c Config) (*Scheduler, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Pools = max(1, c.Pools)
	if c.BatchSlowdown == 0 {
		c.BatchSlowdown = defaultSlowdown
	}
	if c.BatchStep == 0 {
		c.BatchStep = defaultBatchStep
		if c.TargetITL > 0 {
			c.BatchStep = c.TargetITL
		}
	}
	if c.MicroBatchJobs == 0 {
		c.MicroBatchJobs = c.Sequences
	}
	weights := make(map[string]float64, len(c.Tenants))
	for name, w := range c.Tenants {
		weights[name] = w
	}
	c.Tenants = weights
	s := &Scheduler{c: c, jobs: map[uint64]*task{}, missed: 1}
	for i := range s.lines {
		s.lines[i].shares, s.lines[i].made = map[string]*share{}, firstAnswer
	}
	for _, pages := range []*[]int{&s.plan.have, &s.plan.free, &s.plan.need, &s.plan.give, &s.plan.grow} {
		*pages = make([]int, c.Pools)
	}
	return s, nil
}

// firstAnswer is how many tokens an answer is taken to have until some have ended.
const firstAnswer = 64

// Submit takes a job, or returns a *Refused.
func (s *Scheduler) Submit(now time.Time, j Job) error {
	if j.Branches == 0 {
		j.Branches = 1
	}
	if j.Arrived.IsZero() {
		j.Arrived = now
	}
	if r := s.refuse(now, &j); r != nil {
		s.counted.Refused++
		return r
	}
	s.order++
	t := &task{Job: j, order: s.order, live: j.Branches, since: j.Arrived, known: j.Prompt, boost: j.Lane, wait: WaitTurn}
	l := &s.lines[j.Lane]
	if l.jobs == 0 {
		l.open, l.due = false, time.Time{}
	}
	weight, ok := s.c.Tenants[j.Tenant]
	if !ok {
		weight = 1
	}
	l.join(t, weight)
	if j.Lane == MicroBatch {
		wait := s.c.MicroBatchWindow
		if !j.Deadline.IsZero() { // never more than half of the time that is left
			wait = max(0, min(wait, j.Deadline.Sub(now)/2))
		}
		t.due = now.Add(wait)
		if l.due.IsZero() || t.due.Before(l.due) {
			l.due = t.due
		}
		if !l.open {
			t.wait = WaitWindow
		}
	}
	s.jobs[j.ID] = t
	s.enqueue(t)
	s.counted.Submitted++
	return nil
}

// refuse says why a job cannot be taken; nil where it can.
func (s *Scheduler) refuse(now time.Time, j *Job) *Refused {
	invalid := func(format string, args ...any) *Refused {
		return &Refused{Reason: RefusedInvalid, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case s.jobs[j.ID] != nil:
		return invalid("ID %d is another job's that has not ended", j.ID)
	case j.Lane >= lanes:
		return invalid("lane %d, expected %d to %d", j.Lane, Online, Batch)
	case j.Prompt < 1 || j.Prompt > maxTokens || j.MaxNew < 1 || j.MaxNew > maxTokens || j.Branches < 1 || j.Branches > maxBranches:
		return invalid("prompt of %d tokens, answers of %d, %d branches: expected at least 1 of each, %d tokens and %d branches at most",
			j.Prompt, j.MaxNew, j.Branches, maxTokens, maxBranches)
	case !j.Deadline.IsZero() && !j.Deadline.After(now):
		return &Refused{Reason: RefusedLate, Need: now.Sub(j.Deadline).Milliseconds()}
	case j.Branches > s.c.Sequences:
		return &Refused{Reason: RefusedSequences, Need: int64(j.Branches), Limit: int64(s.c.Sequences)}
	}
	if need := j.Prompt + j.Branches*j.MaxNew; s.c.CacheTokens > 0 && need > s.c.CacheTokens {
		return &Refused{Reason: RefusedMemory, Need: int64(need), Limit: int64(s.c.CacheTokens)}
	}
	jobs, tokens := s.backlog()
	if s.c.QueueJobs > 0 && jobs >= s.c.QueueJobs {
		return &Refused{Reason: RefusedQueue, RetryAfter: s.retryAfter(1, 0), Need: 1, Limit: int64(s.c.QueueJobs), Used: int64(jobs)}
	}
	if s.c.QueueTokens > 0 && jobs > 0 && tokens+j.Prompt > s.c.QueueTokens {
		over := min(tokens, tokens+j.Prompt-s.c.QueueTokens)
		return &Refused{Reason: RefusedBacklog, RetryAfter: s.retryAfter(0, over), Need: int64(j.Prompt), Limit: int64(s.c.QueueTokens), Used: int64(tokens)}
	}
	if s.c.MaxWait > 0 && s.model.trusted() {
		cached := int(float64(j.Prompt) * (1 - s.missed))
		if wait := s.PredictTTFT(*j, cached); wait > s.c.MaxWait {
			return &Refused{Reason: RefusedWait, RetryAfter: wait - s.c.MaxWait, Need: wait.Milliseconds(), Limit: s.c.MaxWait.Milliseconds()}
		}
	}
	return nil
}

// backlog counts the jobs without a sequence, and their prompts' tokens.
func (s *Scheduler) backlog() (jobs, tokens int) {
	for i := range s.lines {
		jobs += s.lines[i].jobs
		tokens += s.lines[i].tokens
	}
	return jobs, tokens
}

// enqueue makes a task wait for its turn.
func (s *Scheduler) enqueue(t *task) {
	t.phase = phaseQueued
	l := &s.lines[t.Lane]
	l.link(t)
	l.push(t)
}

// leave takes a task out of wherever it is.
func (s *Scheduler) leave(t *task) {
	l := &s.lines[t.Lane]
	switch t.phase {
	case phaseQueued:
		l.pull(t)
		l.unlink(t)
	case phaseHeld:
		s.held = without(s.held, t)
		t.leader = nil
		l.unlink(t)
	case phaseRunning:
		s.running = without(s.running, t)
		s.used -= t.live
	case phaseParked:
		s.parked = without(s.parked, t)
		l.unlink(t)
	}
	if t.Lane == MicroBatch && t.phase != phaseRunning && !l.due.IsZero() && !t.due.After(l.due) {
		l.earliest()
	}
}

// without removes a task from a list and keeps the order.
func without(list []*task, t *task) []*task {
	for i, other := range list {
		if other == t {
			copy(list[i:], list[i+1:])
			list[len(list)-1] = nil
			return list[:len(list)-1]
		}
	}
	return list
}

// insert puts a task into a list by rank.
func insert(list []*task, t *task) []*task {
	list = append(list, t)
	i := len(list) - 1
	for ; i > 0 && t.ranks(list[i-1]); i-- {
		list[i] = list[i-1]
	}
	list[i] = t
	return list
}

// reorder sorts a list that nearly is; precedence has changed.
func reorder(list []*task) {
	for i := 1; i < len(list); i++ {
		t, at := list[i], i
		for ; at > 0 && t.ranks(list[at-1]); at-- {
			list[at] = list[at-1]
		}
		list[at] = t
	}
}

// Done tells what a step computed and how long that took. step.Rows may differ from what was planned: fewer tokens of a prompt, rows
// left out; Draft is how many drafted tokens were computed with a decode.
func (s *Scheduler) Done(now time.Time, step Step, took time.Duration) {
	var l load
	s.steps++
	for _, r := range step.Rows {
		if r.Tokens <= 0 || r.From < 0 || r.Draft < 0 {
			continue
		}
		l = l.add(r.From, r.Tokens+r.Draft)
		if t := s.jobs[r.ID]; t != nil {
			s.charge(t, r)
			if t.served = s.steps; t.phase == phaseRunning {
				t.since = now
			}
		}
		if r.Prefill {
			s.counted.PrefillTokens += uint64(r.Tokens)
		} else {
			s.counted.DecodeTokens += uint64(r.Tokens + r.Draft)
		}
	}
	s.counted.Steps++
	s.counted.StepTime += took
	s.model.observe(l, took)
	s.unblock()
}

// charge counts a row's tokens against the share of its tenant.
func (s *Scheduler) charge(t *task, r Row) {
	tokens := r.Tokens + r.Draft
	if r.Prefill {
		tokens = max(0, min(tokens, r.From+tokens-t.peak))
		kept := min(t.promised, tokens)
		t.promised -= kept
		t.share.promised -= float64(kept) / t.share.weight
	}
	t.fresh = false
	if r.Branch == 0 {
		t.peak = max(t.peak, r.From+r.Tokens)
		t.length = max(t.length, r.From+r.Tokens)
	}
	t.share.work += float64(tokens) / t.share.weight
}

// promise tells a share how many prompt tokens of a job are to be computed; 0 takes the rest back.
func (t *task) promise(tokens int) {
	t.share.promised = max(0, t.share.promised+float64(tokens-t.promised)/t.share.weight)
	t.promised = tokens
}

// Blocked tells that memory for a row of the last plan could not be reserved. The next plan makes room for it, or leaves it out.
func (s *Scheduler) Blocked(id uint64) {
	if t := s.jobs[id]; t != nil && t.phase == phaseRunning {
		t.blocked, s.misled = true, true
		s.counted.Blocked++
	}
}

// unblock lets blocked jobs be tried again.
func (s *Scheduler) unblock() {
	for _, t := range s.running {
		t.blocked = false
	}
	s.retry = time.Time{}
}

// FinishBranch ends one answer of a job; the last one finishes the job.
func (s *Scheduler) FinishBranch(id uint64, branch int) {
	t := s.jobs[id]
	if t == nil || branch < 0 || branch >= t.Branches {
		return
	}
	if t.ended == nil {
		t.ended = make([]bool, t.Branches)
	}
	if t.ended[branch] {
		return
	}
	if t.live == 1 {
		s.Finish(id)
		return
	}
	if branch == t.branch() {
		t.known = t.Prompt // at least, of the next one; Plan asks
	}
	t.ended[branch] = true
	t.live--
	if t.phase == phaseRunning {
		s.used--
	}
	s.freed()
}

// Finish ends a job whose answers are complete.
func (s *Scheduler) Finish(id uint64) {
	t := s.jobs[id]
	if t == nil {
		return
	}
	l := &s.lines[t.Lane]
	l.made += (float64(t.made) - l.made) / 16
	s.counted.Finished++
	s.end(t)
}

// Cancel forgets a job, whatever its state. Unknown ones are ignored.
func (s *Scheduler) Cancel(id uint64) {
	if t := s.jobs[id]; t != nil {
		s.counted.Cancelled++
		s.end(t)
	}
}

func (s *Scheduler) end(t *task) {
	s.leave(t)
	t.promise(0)
	s.lines[t.Lane].part(t)
	delete(s.jobs, t.ID)
	if s.aged == t {
		s.aged = nil
	}
	t.phase = phaseEnded
	s.freed()
}

// freed notes that memory or a sequence has become free.
func (s *Scheduler) freed() {
	s.gate, s.poor = time.Time{}, nil
	s.unblock()
}

// Waiting returns why a job waits; WaitNone for those that run or are unknown.
func (s *Scheduler) Waiting(id uint64) Wait {
	if t := s.jobs[id]; t != nil {
		return t.wait
	}
	return WaitNone
}

// Stats is a snapshot of a schedule; the counters are since it was made.
type Stats struct {
	Queued        [lanes]int // by lane; jobs without a sequence
	QueuedTokens  int        // of their prompts
	Running       int        // jobs
	Branches      int        // that run
	Parked        int        // jobs
	Submitted     uint64
	Refused       uint64
	Finished      uint64
	Cancelled     uint64
	Steps         uint64
	StepTime      time.Duration
	PrefillTokens uint64 // computed
	DecodeTokens  uint64 // drafts that were verified included
	Parks         uint64
	Drops         uint64
	Resumes       uint64
	PrefixWaits   uint64 // jobs that waited for what another one computed
	Blocked       uint64
	Aged          uint64 // jobs that went first for having waited long
	// The step-time model: a fixed part, and what a row, a thousand attended positions and a sequence add.
	StepFixed, StepRow, StepAttended, StepSequence time.Duration
}

// Stats returns a snapshot.
func (s *Scheduler) Stats() Stats {
	out := s.counted
	for i := range s.lines {
		out.Queued[i] = s.lines[i].jobs
		out.QueuedTokens += s.lines[i].tokens
	}
	out.Running, out.Branches, out.Parked = len(s.running), s.used, len(s.parked)
	theta := &s.model.theta
	one := load{1, 1000, 1}.features()
	out.StepFixed = duration(theta[0])
	out.StepRow, out.StepAttended, out.StepSequence = duration(theta[1]*one[1]), duration(theta[2]*one[2]), duration(theta[3]*one[3])
	return out
}

// clampWait keeps an estimate within what is worth telling: a millisecond to ten minutes.
func clampWait(seconds float64) time.Duration {
	if math.IsNaN(seconds) {
		return time.Second
	}
	d := min(max(duration(min(seconds, 600)), time.Millisecond), 10*time.Minute)
	return d.Round(time.Millisecond)
}
