package engine

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// crew samples the answers of a step: the loop's goroutine and a few others take them one by one. Waking a goroutine for each answer
// would cost a step of many more than everything else that is done between two runs of the device.
type crew struct {
	hands []hand
	left  atomic.Int64 // hands that nobody has taken; below 0 there are none
	open  sync.WaitGroup
	wake  chan struct{}
	gone  sync.WaitGroup
	size  int // goroutines besides the loop's

	mutex sync.Mutex
	fault any // what a hand panicked with
}

// hand is an answer whose logits have been computed.
type hand struct {
	branch *branch
	handover
	done bool // its token has been chosen and written; else it goes on in a goroutine of its own
}

// mostCrew bounds the crew: sampling 64 answers keeps no more cores busy for long.
const mostCrew = 16

func (c *crew) start() {
	c.size = min(runtime.GOMAXPROCS(0), mostCrew) - 1
	c.wake = make(chan struct{}, c.size)
	for range c.size {
		c.gone.Go(func() {
			for range c.wake {
				c.work()
			}
		})
	}
}

// stop ends the crew's goroutines.
func (c *crew) stop() {
	close(c.wake)
	c.gone.Wait()
}

// run sees to all hands and returns when none is left. A panic in one of them goes on here.
func (c *crew) run() {
	n := len(c.hands)
	c.open.Add(n)
	c.left.Store(int64(n)) // publishes the hands
	for range min(n-1, c.size) {
		select {
		case c.wake <- struct{}{}:
		default: // enough have been woken that did not come yet
		}
	}
	c.work()
	c.open.Wait()
	if c.fault != nil {
		panic(c.fault)
	}
}

// work takes hands until there are none. Who comes late, even in a later step, takes of what there is then.
func (c *crew) work() {
	for {
		i := c.left.Add(-1)
		if i < 0 {
			return
		}
		c.see(&c.hands[len(c.hands)-1-int(i)])
	}
}

func (c *crew) see(h *hand) {
	defer c.open.Done()
	defer func() {
		if p := recover(); p != nil {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			c.fault = p
		}
	}()
	h.done = h.branch.follow(h.handover)
}

// follow chooses and writes what comes after a step's rows. Where the sampler is slow, or the reader's buffer has no room, the rest is left to
// a goroutine that reports to the loop, and the result is false.
func (b *branch) follow(h handover) bool {
	c := &b.choose
	if h.copy && h.kept == nil { // few logits are chosen from at once
		c.logits = append(c.logits[:0], h.logits...)
		h.logits = c.logits
		b.apart(func() {
			b.sample(h)
			b.deliver()
		})
		return false
	}
	b.sample(h)
	if !b.job.stream.hasRoom(len(c.events)) {
		b.apart(b.deliver)
		return false
	}
	b.deliver()
	return true
}

// apart does the rest of a hand in a goroutine of its own, which reports to the loop.
func (b *branch) apart(rest func()) {
	l := b.job.loop
	l.samplers.Go(func() {
		defer l.report(b)
		defer func() {
			if p := recover(); p != nil {
				b.job.stream.fail(fmt.Errorf("%w: sampling: %v", ErrInternal, p))
			}
		}()
		rest()
	})
}
