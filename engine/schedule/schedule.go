package schedule

import (
	"fmt"
	"time"
)

// Config sizes a schedule.
type Config struct {
	StepTokens int // most rows of a step; at least Sequences
	Sequences  int // most branches that run at the same time
	Pools      int // kinds of cache pages that View counts; 0 means 1

	// TargetITL is the time that a step with decoding online jobs should take at most; prompts are read in chunks that keep to
	// it. 0: a prompt may lengthen such a step to less than twice what the decodes alone take.
	TargetITL time.Duration
	// BatchSlowdown is by how much the batch lane may lengthen a step with rows of other lanes; 0 means 0.2.
	BatchSlowdown float64
	// BatchStep is the time that a step of the batch lane alone should take at most, so that an arrival does not wait long. 0: TargetITL,
	// or 100 ms.
	BatchStep time.Duration
	// MicroBatchWindow is how long a micro-batch job waits for others, MicroBatchJobs how many fill a batch sooner; 0: as many as run.
	MicroBatchWindow time.Duration
	MicroBatchJobs   int
	// Aging is the time after which the longest waiting job goes before all others, whatever its lane and priority, one such job at a
	// time. 0: never.
	Aging time.Duration

	QueueJobs   int           // most jobs that wait; 0: no limit
	QueueTokens int           // most prompt tokens that wait; 0: no limit
	CacheTokens int           // tokens that the whole cache has room for; 0: unknown
	MaxWait     time.Duration // refuse jobs whose first token is predicted to come later; 0: no limit

	Tenants map[string]float64 // weights; 1 for those that are not in it
	Draft   int                // most tokens of a draft; 0: no speculation
}

// Scheduler holds the jobs and decides.
type Scheduler struct {
	c       Config
	queue   []*Job
	running []*Job
	byID    map[uint64]*Job
	step    Step
}

// New makes an empty schedule.
func New(c Config) (*Scheduler, error) {
	if c.Sequences < 1 || c.StepTokens < c.Sequences {
		return nil, fmt.Errorf("schedule: %d sequences and %d tokens a step, expected at least 1 sequence and as many tokens", c.Sequences, c.StepTokens)
	}
	return &Scheduler{c: c, byID: map[uint64]*Job{}}, nil
}

// Submit takes a job, or returns a *Refused.
func (s *Scheduler) Submit(now time.Time, j Job) error {
	if s.byID[j.ID] != nil {
		return &Refused{Reason: RefusedInvalid, Detail: fmt.Sprintf("ID %d is taken", j.ID)}
	}
	if s.c.QueueJobs > 0 && len(s.queue) >= s.c.QueueJobs {
		return &Refused{Reason: RefusedQueue, RetryAfter: time.Second, Need: 1, Limit: int64(s.c.QueueJobs), Used: int64(len(s.queue))}
	}
	j.Branches = max(1, j.Branches)
	if j.Branches > s.c.Sequences {
		return &Refused{Reason: RefusedSequences, Need: int64(j.Branches), Limit: int64(s.c.Sequences)}
	}
	s.byID[j.ID] = &j
	s.queue = append(s.queue, &j)
	return nil
}

// Plan makes the next step.
func (s *Scheduler) Plan(now time.Time, v View) Step {
	p := &s.step
	*p = Step{Start: p.Start[:0], Rows: p.Rows[:0], Waits: p.Waits[:0]}
	used := 0
	for _, j := range s.running {
		used += j.Branches
	}
	left := s.c.StepTokens
	for pass := range 2 {
		for _, j := range s.running {
			for b := range j.Branches {
				computed, pending := v.State(j.ID, b)
				prefill := computed < j.Prompt
				if n := min(pending, left); n > 0 && prefill == (pass == 1) {
					left -= n
					p.Rows = append(p.Rows, Row{ID: j.ID, Branch: b, From: computed, Tokens: n, Prefill: prefill})
				}
			}
		}
	}
	for len(s.queue) > 0 && left > 0 && used+s.queue[0].Branches <= s.c.Sequences {
		j := s.queue[0]
		s.queue = s.queue[1:]
		hit := v.Lookup(j.ID)
		used += j.Branches
		n := min(left, j.Prompt-hit.Cached)
		left -= n
		s.running = append(s.running, j)
		p.Start = append(p.Start, j.ID)
		p.Waits = append(p.Waits, Waiting{j.ID, WaitNone})
		p.Rows = append(p.Rows, Row{ID: j.ID, From: hit.Cached, Tokens: n, Prefill: true})
	}
	return *p
}

// Done tells what a step computed and how long it took.
func (s *Scheduler) Done(now time.Time, step Step, took time.Duration) {}

// Blocked tells that memory for a row of the last plan could not be reserved: plan again.
func (s *Scheduler) Blocked(id uint64) {}

// FinishBranch ends one branch of a job; the last one ends the job.
func (s *Scheduler) FinishBranch(id uint64, branch int) {}

// Finish ends a job whose answers are complete.
func (s *Scheduler) Finish(id uint64) { s.Cancel(id) }

// Cancel forgets a job, whatever its state. Unknown ones are ignored.
func (s *Scheduler) Cancel(id uint64) {
	delete(s.byID, id)
	for _, list := range []*[]*Job{&s.queue, &s.running} {
		for i, j := range *list {
			if j.ID == id {
				*list = append((*list)[:i:i], (*list)[i+1:]...)
				return
			}
		}
	}
}

// PredictTTFT estimates when a job's first token would come if it were submitted now and cached of its tokens were found.
func (s *Scheduler) PredictTTFT(j Job, cached int) time.Duration { return 0 }
