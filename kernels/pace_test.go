package kernels

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// pacedMachine runs steps of one row for a while: what a step takes depends on the threads and on whether a core is taken.
func pacedMachine(p *pace, clock *time.Duration, duration time.Duration, step func(threads int) (run, wait time.Duration)) map[int]int {
	runs := map[int]int{}
	for end := *clock + duration; *clock < end; {
		threads := p.threads(1)
		run, wait := step(threads)
		*clock += run
		runs[threads]++
		p.report(1, run, wait, *clock)
	}
	return runs
}

func TestPaceLeavesBusyCores(t *testing.T) {
	const threads = 4
	quiet := func(n int) (time.Duration, time.Duration) {
		return 24 * time.Millisecond / time.Duration(n), 300 * time.Microsecond
	}
	busy := func(n int) (time.Duration, time.Duration) { // the fourth thread is off its core half of the time
		if n == threads {
			return 20 * time.Millisecond, 14 * time.Millisecond
		}
		return quiet(n)
	}
	p := newPace(threads)
	var clock time.Duration
	runs := pacedMachine(p, &clock, time.Second, quiet)
	assert.Len(t, runs, 1, "all threads while nothing disturbs")
	assert.Contains(t, runs, threads)

	pacedMachine(p, &clock, time.Second, busy)
	assert.Equal(t, threads-1, p.threads(1))
	runs = pacedMachine(p, &clock, 10*time.Second, busy)
	assert.Less(t, runs[threads]*20, runs[threads-1], "trials cost little: %v", runs)
	assert.Equal(t, threads, p.threads(512), "large steps share their work out anyway")

	pacedMachine(p, &clock, 7*time.Second, quiet) // the longest patience and the trials
	assert.Equal(t, threads, p.threads(1), "back on all cores")
}

func TestPaceKeepsThreadsThatHelp(t *testing.T) {
	// Work that cannot be shared evenly: waiting is long, but fewer threads are slower still.
	uneven := func(n int) (time.Duration, time.Duration) {
		if n == 2 {
			return 10 * time.Millisecond, 4 * time.Millisecond
		}
		return 16 * time.Millisecond, 0
	}
	p := newPace(2)
	var clock time.Duration
	runs := pacedMachine(p, &clock, 20*time.Second, uneven)
	assert.Equal(t, 2, p.threads(1))
	assert.Less(t, runs[1]*15, runs[2], "trials cost little: %v", runs)
	assert.Equal(t, 1, newPace(1).threads(1))
}
