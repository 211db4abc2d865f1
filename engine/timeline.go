package engine

import "time"

// phase is what a request is doing; it is always in exactly one.
type phase uint8

const (
	phaseQueue    phase = iota
	phaseLookup         // prefix cache
	phasePrefill        // in a step that computes tokens of the prompt
	phaseDecode         // in a step that computes generated tokens
	phaseSampling       // from the end of a step to the token
	phaseWaiting        // ready, while a step computes others
	phaseParked         // waiting, without pages
	phaseDelivery       // the reader's buffer is full
	phaseCount
)

// Wait is a reason for waiting in the queue, and for how long it held.
type Wait struct {
	Reason   string
	Duration time.Duration
}

// Chunk is a part of a prompt that was computed in one step.
type Chunk struct {
	Tokens   int
	Duration time.Duration
}

// Timeline says where a request's time went. Its parts add up to Total: at every moment a request is in one of them.
type Timeline struct {
	Total     time.Duration // from Submit to the end
	Queue     []Wait        // before it was started
	Lookup    time.Duration // in the prefix cache
	HitTokens int           // found there
	Miss      string        // why not more were
	Prefill   []Chunk
	Decode    time.Duration // in steps that computed its generated tokens
	Steps     int           // such steps
	Drafted   int           // tokens that were guessed and computed ahead
	Accepted  int           // of them, those that came true
	Sampling  time.Duration // from a step's end until the token was chosen and written
	Waiting   time.Duration // for steps of others
	Parked    time.Duration // for memory
	Preempted int           // times that it had to yield its memory or its turn
	Delivery  time.Duration // for the reader
}

// Sum adds up the parts.
func (t *Timeline) Sum() time.Duration {
	sum := t.Lookup + t.Decode + t.Sampling + t.Waiting + t.Parked + t.Delivery
	for _, w := range t.Queue {
		sum += w.Duration
	}
	for _, c := range t.Prefill {
		sum += c.Duration
	}
	return sum
}

// clock measures a timeline. It belongs to whoever has the request in hand: the loop, or the goroutine that samples.
type clock struct {
	begin time.Time
	since time.Time
	phase phase
	spent [phaseCount]time.Duration
	line  Timeline
}

func newClock(begin time.Time, reason string) clock {
	return clock{begin: begin, since: begin, line: Timeline{Queue: []Wait{{Reason: reason}}}}
}

// enter ends the phase that lasts and begins another one.
func (c *clock) enter(p phase, now time.Time) {
	d := now.Sub(c.since)
	c.spent[c.phase] += d
	switch c.phase {
	case phaseQueue:
		c.line.Queue[len(c.line.Queue)-1].Duration += d
	case phasePrefill:
		c.line.Prefill[len(c.line.Prefill)-1].Duration += d
	}
	c.phase, c.since = p, now
}

// wait notes why the request is in the queue now.
func (c *clock) wait(reason string, now time.Time) {
	if last := &c.line.Queue[len(c.line.Queue)-1]; c.phase != phaseQueue || last.Reason == reason {
		return
	}
	c.enter(phaseQueue, now)
	for i, w := range c.line.Queue {
		if w.Reason == reason { // reasons come and go: each has one entry, the current one is the last
			copy(c.line.Queue[i:], c.line.Queue[i+1:])
			c.line.Queue[len(c.line.Queue)-1] = w
			return
		}
	}
	c.line.Queue = append(c.line.Queue, Wait{Reason: reason})
}

// chunk begins the computing of a part of the prompt.
func (c *clock) chunk(tokens int, now time.Time) {
	c.enter(phasePrefill, now)
	c.line.Prefill = append(c.line.Prefill, Chunk{Tokens: tokens})
}

// fork copies a clock for another answer of the same request.
func (c *clock) fork() clock {
	f := *c
	f.line.Queue = append([]Wait(nil), c.line.Queue...)
	f.line.Prefill = append([]Chunk(nil), c.line.Prefill...)
	return f
}

// close ends the timeline.
func (c *clock) close(now time.Time) Timeline {
	c.enter(c.phase, now)
	t := c.line
	t.Total = now.Sub(c.begin)
	t.Lookup, t.Decode, t.Sampling = c.spent[phaseLookup], c.spent[phaseDecode], c.spent[phaseSampling]
	t.Waiting, t.Parked, t.Delivery = c.spent[phaseWaiting], c.spent[phaseParked], c.spent[phaseDelivery]
	return t
}
