package schedule

import "time"

// Hit is what the cache has of a queued job's tokens.
type Hit struct {
	Cached  int    // tokens that need not be computed
	Pending int    // more than Cached: so many will be there once Leader has gone on; 0: nobody computes more
	Leader  uint64 // the running job that computes them
}

// View is what a plan asks of the engine and its cache. It is called inside of Plan alone and must not call the Scheduler.
// Pages are counted by pool, as many pools as Config.Pools. Estimates may be wrong: what turns out not to fit is reported with Blocked.
type View interface {
	// Lookup looks a job up that has no sequence: one that is queued or was dropped.
	Lookup(id uint64) Hit
	// Common returns how many tokens two jobs share from the start, 0 where they may not share.
	Common(a, b uint64) int
	// State returns how many tokens of a running or parked job's branch are computed, and how many more are known and can be computed
	// now: 0 where its sampler is still at work, its reader stalls it, it has ended, or the prompt is not complete (branches but the first).
	State(id uint64, branch int) (computed, pending int)
	// Free adds the pages that can be had: nobody's, or those of prefixes and parked sequences that would make room.
	Free(pages []int)
	// Need adds the pages that a branch lacks to have room for the tokens before end. Of a job without a sequence: beyond what
	// Lookup found. Of a parked one: those of its return included.
	Need(id uint64, branch, end int, pages []int)
	// Held adds the pages that a running job's branches would give back to Free by yielding.
	Held(id uint64, pages []int)
	// ParkCost returns what moving a running job's memory out and back would take; false where there is no room to move it to.
	ParkCost(id uint64) (time.Duration, bool)
}

// Row is one branch's part of a step.
type Row struct {
	ID      uint64
	Branch  int
	From    int  // tokens computed before
	Tokens  int  // to compute; the engine may compute fewer of a prompt
	Prefill bool // tokens of the prompt, or of an answer that is computed again; else one new token
	Draft   int  // a decode: drafted tokens that may be verified with it, beyond Tokens
}

// Waiting says that a job's reason to wait has changed.
type Waiting struct {
	ID     uint64
	Reason Wait
}

// Step is what to do next, in this order: Park, Drop, Resume, Start, then compute Rows, but for those that are not ready after all, such as that of
// a dropped job whose sampler is still at work. Its slices are valid until the next Plan.
type Step struct {
	Park   []uint64 // let these jobs' sequences rest; they will be resumed
	Drop   []uint64 // close these jobs' sequences: computing them again is cheaper; they will be started again, answers included
	Resume []uint64 // bring these parked jobs back
	Start  []uint64 // open sequences for these
	Rows   []Row
	Waits  []Waiting // jobs that wait for another reason than before; also WaitNone for those in Start and Resume
	Wake   time.Time // without rows: ask again then, or after any call that changes something; zero: only after a call
	// DraftCost is what one more row costs, as the share of accepted tokens that pays for it: a draft token pays where it
	// is accepted more often.
	DraftCost float64
	Predicted time.Duration // by the step-time model
}
