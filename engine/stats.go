package engine

import (
	"slices"
	"time"

	"github.com/infer-go/infer/engine/cache"
	"github.com/infer-go/infer/engine/schedule"
)

// Stats is a snapshot of what an engine does; its counters are since Open. While steps are being computed it may be
// a twentieth of a second old.
type Stats struct {
	Submitted, Refused, Finished, Failed uint64 // requests; failed are cancelled ones too
	Queued, Running                      int    // requests
	Sequences                            int    // answers that are being generated
	Parked                               int    // of them, those without pages
	Preemptions                          uint64 // times that a sequence was parked

	PromptTokens    uint64 // of prompts that were started
	CachedTokens    uint64 // of them, found in the cache
	ComputedTokens  uint64 // in steps, prompts and answers
	GeneratedTokens uint64
	Drafted         uint64 // tokens that were guessed and computed ahead
	Accepted        uint64 // of them, those that came true
	Further         uint64 // of Drafted, those that the model's own predictor guessed (multi-token prediction)
	FurtherTrue     uint64 // of them, those that came true

	Steps      uint64
	StepTime   time.Duration // all steps together
	DeviceTime time.Duration // of it, in which the device computed
	SampleTime time.Duration // of it, in which the step's samplers were waited for
	HostTime   time.Duration // of it, the rest: planning, page tables, taking tokens in
	StepP50    time.Duration // of the last 512 steps
	StepP99    time.Duration

	Cache    cache.Stats
	Schedule schedule.Stats // its own counters, and what it has learned of the time a step takes
}

// HitRate is the share of prompt tokens that were found in the cache.
func (s Stats) HitRate() float64 {
	if s.PromptTokens == 0 {
		return 0
	}
	return float64(s.CachedTokens) / float64(s.PromptTokens)
}

// counters are what the loop counts. Submitted to Failed belong to the loop's mutex, the others to its goroutine.
type counters struct {
	Submitted, Refused, Finished, Failed                          uint64
	prompt, cached, generated, computed, parks, drafted, accepted uint64
	further, furtherTrue                                          uint64
	steps                                                         uint64
	stepTime, device, sample                                      time.Duration
	last                                                          [512]time.Duration
	published                                                     time.Time
}

// publishEvery is how old a snapshot may become while steps are computed.
const publishEvery = 50 * time.Millisecond

// counted notes a step.
func (l *loop) counted(took time.Duration) {
	c := &l.counts
	c.last[c.steps%uint64(len(c.last))] = took
	c.steps++
	c.stepTime += took
	c.device += l.took
	if l.further != nil {
		c.device += l.further.took
	}
	c.sample += l.waited
	if time.Since(c.published) >= publishEvery {
		l.publish()
	}
}

// publish makes a snapshot for Stats.
func (l *loop) publish() {
	if l.cache == nil {
		return
	}
	c := &l.counts
	c.published = time.Now()
	s := Stats{GeneratedTokens: c.generated, ComputedTokens: c.computed, Preemptions: c.parks, Drafted: c.drafted, Accepted: c.accepted,
		Further: c.further, FurtherTrue: c.furtherTrue,
		Steps: c.steps, StepTime: c.stepTime, DeviceTime: c.device, SampleTime: c.sample, HostTime: c.stepTime - c.device - c.sample, Cache: l.cache.Stats(), Sequences: len(l.started)}
	for _, j := range l.jobs {
		if j.started {
			s.Running++
		} else {
			s.Queued++
		}
	}
	for _, b := range l.started {
		if b.parked {
			s.Parked++
		}
	}
	s.PromptTokens, s.CachedTokens = c.prompt, c.cached
	recent := slices.Clone(c.last[:min(c.steps, uint64(len(c.last)))])
	if slices.Sort(recent); len(recent) > 0 {
		s.StepP50, s.StepP99 = recent[len(recent)/2], recent[len(recent)*99/100]
	}
	l.mutex.Lock()
	l.snapshot = s
	l.mutex.Unlock()
}

// Stats returns a snapshot.
func (e *Engine) Stats() Stats {
	l := e.loop
	l.mutex.Lock()
	defer l.mutex.Unlock()
	s := l.snapshot
	s.Submitted, s.Refused, s.Finished, s.Failed = l.counts.Submitted, l.counts.Refused, l.counts.Finished, l.counts.Failed
	s.Queued += len(l.arrived)
	if l.schedule != nil {
		s.Schedule = l.schedule.Stats()
	}
	return s
}
