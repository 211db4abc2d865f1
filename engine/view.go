package engine

import (
	"time"

	"github.com/infer-go/infer/engine/schedule"
	"github.com/infer-go/infer/kernels"
)

// view answers what the schedule asks when it plans; the loop's goroutine is in it, and holds the mutex.
type view struct{ l *loop }

var _ schedule.View = view{}

// Lookup looks the tokens of a job without a sequence up in the cache, and among those that run.
func (v view) Lookup(id uint64) schedule.Hit {
	j := v.l.jobs[id]
	tokens := j.longest().known()
	found := v.l.cache.Explain(j.request.CacheKey, tokens)
	hit := schedule.Hit{Cached: found.Tokens}
	most := found.Tokens
	for _, b := range v.l.started {
		if b.job == j || b.parked || b.job.forked || b.job.request.CacheKey != j.request.CacheKey {
			continue
		}
		same := min(common(tokens, b.tokens), len(tokens)-1)
		if same > most && same > b.sequence.Len() {
			most, hit.Pending, hit.Leader = same, same, b.job.id
		}
	}
	return hit
}

// Common counts the tokens that two jobs share from the start.
func (v view) Common(a, b uint64) int {
	x, y := v.l.jobs[a], v.l.jobs[b]
	if x.request.CacheKey != y.request.CacheKey {
		return 0
	}
	return common(x.prompt, y.prompt)
}

func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// State says how far a branch is.
func (v view) State(id uint64, branch int) (computed, pending int) {
	b := v.l.jobs[id].branches[branch]
	if b.sequence == nil {
		return 0, 0
	}
	if b.sampling || b.ended {
		return b.sequence.Len(), 0
	}
	return b.sequence.Len(), b.pending()
}

// Free counts the pages that can be had.
func (v view) Free(pages []int) { v.l.cache.AddAvailable(pages) }

// Need counts the pages that a branch lacks.
func (v view) Need(id uint64, branch, end int, pages []int) {
	b := v.l.jobs[id].branches[branch]
	if b.sequence != nil {
		b.sequence.AddNeed(end, pages)
		return
	}
	found := v.l.cache.Explain(b.job.request.CacheKey, b.known()).Tokens
	for i, k := range v.l.kinds {
		switch n := (end+kernels.PageTokens-1)/kernels.PageTokens - found/kernels.PageTokens; {
		case k.State:
			pages[i] += 2
		case k.Window > 0:
			pages[i] += min(n, (k.Window+v.l.engine.options.StepRows)/kernels.PageTokens+2)
		default:
			pages[i] += n
		}
	}
}

// Held counts the pages that a job would give back.
func (v view) Held(id uint64, pages []int) {
	sharers := 0
	branches := v.l.jobs[id].branches
	for _, b := range branches {
		if b.sequence != nil && !b.parked {
			sharers++
		}
	}
	for _, b := range branches {
		if b.sequence != nil && !b.parked {
			b.sequence.AddHeld(sharers, pages)
			sharers = 1 // what all share counts once
		}
	}
}

// parkRate is how fast pages are moved out of the device or back, in bytes a second.
const parkRate = 2 << 30

// ParkCost estimates what parking a job and bringing it back takes.
func (v view) ParkCost(id uint64) (time.Duration, bool) {
	l := v.l
	held := l.heldScratch[:len(l.kinds)]
	clear(held)
	v.Held(id, held)
	var bytes int64
	for i, n := range held {
		bytes += int64(n) * l.engine.device.PageBytes(i)
	}
	return time.Duration(2 * float64(bytes) / parkRate * float64(time.Second)), bytes <= l.cache.ParkRoom()
}
