package schedule

import (
	"fmt"
	"time"
)

// Lane is a class of jobs. Lanes of lower numbers come first.
type Lane uint8

// The lanes.
const (
	Online     Lane = iota // somebody waits for each token
	MicroBatch             // waits up to a stated window for others, so that they share their steps
	Batch                  // takes what the others leave, and is the first to yield

	lanes = 3
)

func (l Lane) String() string {
	switch l {
	case Online:
		return "online"
	case MicroBatch:
		return "micro-batch"
	case Batch:
		return "batch"
	}
	return fmt.Sprintf("lane %d", uint8(l))
}

// Job is a request as the schedule sees it.
type Job struct {
	ID       uint64 // the caller's; not used by another job that has not ended
	Lane     Lane
	Priority int       // within the lane, higher first
	Deadline time.Time // when the answer is needed; orders jobs of equal priority of a tenant. Zero: no hurry
	Tenant   string    // whose share it counts against
	Prompt   int       // tokens; at least 1
	MaxNew   int       // tokens that an answer may have; at least 1
	Branches int       // answers to make from the prompt; 0 means 1
	Arrived  time.Time // zero: when it is submitted
}

// Reason says why a job was refused.
type Reason uint8

// The reasons. Only RefusedQueue, RefusedBacklog and RefusedWait pass with time.
const (
	RefusedQueue     Reason = iota + 1 // as many jobs wait as may
	RefusedBacklog                     // as many prompt tokens wait as may
	RefusedWait                        // the first token would come later than Config.MaxWait allows
	RefusedLate                        // the deadline has passed
	RefusedSequences                   // more answers than sequences may run
	RefusedMemory                      // prompt and answers are more than the cache holds
	RefusedInvalid                     // a field of the job is out of range, or its ID is taken
)

func (r Reason) String() string {
	switch r {
	case RefusedQueue:
		return "the queue is full"
	case RefusedBacklog:
		return "too many prompt tokens wait"
	case RefusedWait:
		return "the first token would come too late"
	case RefusedLate:
		return "the deadline has passed"
	case RefusedSequences:
		return "more answers than sequences can run"
	case RefusedMemory:
		return "more tokens than the cache holds"
	case RefusedInvalid:
		return "the job is not valid"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Refused is the error of a job that was not taken.
type Refused struct {
	Reason     Reason
	RetryAfter time.Duration // an estimate of when it would be taken; 0: never, as it is
	Need       int64         // what the job asked for, in the unit of the reason: jobs, tokens, sequences, or milliseconds
	Limit      int64         // what there is in all
	Used       int64         // of it, taken by others
	Detail     string        // RefusedInvalid: what was found and what was expected
}

func (r *Refused) Error() string {
	switch {
	case r.Detail != "":
		return fmt.Sprintf("refused: %s: %s", r.Reason, r.Detail)
	case r.RetryAfter > 0:
		return fmt.Sprintf("refused: %s: needs %d, %d of %d are taken; try again in %s", r.Reason, r.Need, r.Used, r.Limit, r.RetryAfter.Round(time.Millisecond))
	}
	return fmt.Sprintf("refused: %s: needs %d, the limit is %d", r.Reason, r.Need, r.Limit)
}

// Wait says why a job does not run.
type Wait uint8

// The reasons to wait.
const (
	WaitNone      Wait = iota // it runs
	WaitTurn                  // others come first
	WaitWindow                // a micro-batch is being filled
	WaitSequences             // no sequence is free
	WaitMemory                // cache memory is short
	WaitPrefix                // a running job computes a part of its prompt
	WaitParked                // it yielded to others
)

func (w Wait) String() string {
	switch w {
	case WaitNone:
		return "running"
	case WaitTurn:
		return "others come first"
	case WaitWindow:
		return "a micro-batch is being filled"
	case WaitSequences:
		return "no sequence is free"
	case WaitMemory:
		return "cache memory is short"
	case WaitPrefix:
		return "another request computes its prefix"
	case WaitParked:
		return "yielded to others"
	}
	return fmt.Sprintf("wait %d", uint8(w))
}
