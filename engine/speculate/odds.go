package speculate

import "math"

// levels tell apart how many tokens agree: the more, the likelier a guess.
const levels = 4

func levelOf(agrees, n int) int {
	switch {
	case agrees >= 4*n:
		return 3
	case agrees >= 2*n:
		return 2
	case agrees > n:
		return 1
	}
	return 0
}

// odds is how often a token of a guess comes true when those before it have, counted over the last few dozens.
type odds struct {
	hits, misses float64
	rest         int // occasions until a guess is made again that does not pay by what is known
	pause        int // how many of them the next time
}

// prior is what is taken for known at first, as counts: the worth of a few guesses.
var prior = [levels]odds{{hits: 1, misses: 1}, {hits: 1.4, misses: 0.9}, {hits: 2, misses: 0.8}, {hits: 3, misses: 0.5}}

const (
	memory   = 48 // counts beyond which old ones fade
	minPause = 4
	maxPause = 256
)

// likely is the probability that one more token comes true.
func (o *odds) likely() float64 { return o.hits / (o.hits + o.misses) }

// length returns how many tokens are worth guessing where each must come true with the probability of its cost: the last of k
// does with likely^k. Where not even one is, it is tried from time to time, ever less often, since a text can change.
func (o *odds) length(cost float64, most int) int {
	p := o.likely()
	if p > cost {
		if cost <= 0 || p >= 1 {
			return most
		}
		return min(most, max(1, int(math.Log(cost)/math.Log(p))))
	}
	if o.rest > 0 {
		o.rest--
		return 0
	}
	o.rest = o.pause
	o.pause = min(2*o.pause, maxPause)
	return 1
}

// observe counts a verified guess: each token that came true, and the first that did not.
func (o *odds) observe(drafted, accepted int) {
	o.hits += float64(accepted)
	if accepted < drafted {
		o.misses++
	}
	if accepted > 0 {
		o.pause = minPause
	}
	if sum := o.hits + o.misses; sum > memory {
		o.hits *= memory / sum
		o.misses *= memory / sum
	}
}
