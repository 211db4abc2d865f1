// Package schedule decides what each step computes.
package schedule

import (
	"fmt"
	"time"
)

// Lane is a class of requests.
type Lane uint8

// The lanes.
const (
	Online Lane = iota
	MicroBatch
	Batch
)

// Job is a request as the schedule sees it.
type Job struct {
	ID                       uint64
	Lane                     Lane
	Priority                 int
	Deadline                 time.Time
	Tenant                   string
	Prompt, MaxNew, Branches int
	Arrived                  time.Time
}

// Config sizes a schedule.
type Config struct {
	StepTokens, Sequences       int
	TargetITL, MicroBatchWindow time.Duration
	QueueJobs                   int
	Tenants                     map[string]float64
}

// Refused says why a job is not taken.
type Refused struct {
	Reason     string
	RetryAfter time.Duration
	Queued     int
}

func (r *Refused) Error() string {
	return fmt.Sprintf("refused: %s (%d in the queue); try again in %v", r.Reason, r.Queued, r.RetryAfter)
}

// View is what a plan asks.
type View interface {
	Ready(id uint64, branch int) (pending int)
	Branches(id uint64) int
}

// Row is a part of a step.
type Row struct {
	ID            uint64
	Branch        int
	Tokens, Draft int
	Prefill       bool
}

// Step is what is to be computed.
type Step struct {
	Start, Park, Resume []uint64
	Rows                []Row
	Wake                time.Time
}

// Scheduler is first come, first served.
type Scheduler struct {
	c       Config
	queue   []Job
	running []Job
	step    Step
}

// New makes a schedule.
func New(c Config) (*Scheduler, error) { return &Scheduler{c: c}, nil }

// Submit adds a job.
func (s *Scheduler) Submit(_ time.Time, j Job) error {
	if s.c.QueueJobs > 0 && len(s.queue) >= s.c.QueueJobs {
		return &Refused{"the queue is full", time.Second, len(s.queue)}
	}
	s.queue = append(s.queue, j)
	return nil
}

// Plan makes a step.
func (s *Scheduler) Plan(_ time.Time, v View) Step {
	p := &s.step
	*p = Step{Start: p.Start[:0], Rows: p.Rows[:0]}
	used := 0
	for _, j := range s.running {
		used += j.Branches
	}
	for len(s.queue) > 0 && (used == 0 || used+s.queue[0].Branches <= s.c.Sequences) {
		used += s.queue[0].Branches
		p.Start = append(p.Start, s.queue[0].ID)
		s.running = append(s.running, s.queue[0])
		s.queue = s.queue[1:]
	}
	left := s.c.StepTokens
	for pass := range 2 {
		for _, j := range s.running {
			for b := range v.Branches(j.ID) {
				n := v.Ready(j.ID, b)
				if n == 0 || left == 0 || (n > 1) != (pass == 1) {
					continue
				}
				n = min(n, left)
				left -= n
				p.Rows = append(p.Rows, Row{ID: j.ID, Branch: b, Tokens: n, Prefill: pass == 1})
			}
		}
	}
	return *p
}

// Done tells what was computed.
func (s *Scheduler) Done(time.Time, Step, time.Duration) {}

// Finish ends a job.
func (s *Scheduler) Finish(id uint64) {
	for i := range s.queue {
		if s.queue[i].ID == id {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return
		}
	}
	for i := range s.running {
		if s.running[i].ID == id {
			s.running = append(s.running[:i], s.running[i+1:]...)
			return
		}
	}
}
