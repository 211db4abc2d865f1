// Package speculate guesses how a sequence goes on from what it has said before: where its last few tokens occurred earlier, what
// followed there may follow again. Texts that quote, edit, enumerate or repeat are guessed well, others hardly at all; a
// [Drafter] measures which, and offers guesses only where a step that verifies them pays. A [Further] does the same for models that carry
// a predictor of further tokens, which makes the guesses itself.
//
// The idea is known as prompt lookup or n-gram speculation; it needs no second model. Guesses change no result: who verifies them keeps
// what the model itself would have chosen.
package speculate

// Options tune a drafter. The zero value is a good default.
type Options struct {
	// N is how many tokens must agree before a guess is made; 0 means 3, 32 is the most. Fewer find more, and are wrong more often.
	N int
	// Capacity is how many tokens the sequence may come to have, to reserve memory for once; 0: it grows.
	Capacity int
}

const defaultN = 3

// Drafter guesses for one sequence. It keeps two indices of the sequence's tokens, of about 20 bytes a token, and not the tokens
// themselves. It is not safe for several goroutines.
type Drafter struct {
	n           int
	short, long index // of n tokens and of twice as many: places of long agreement among many of short agreement

	cost              float64
	known             [levels]odds
	level             int // of the last draft
	drafted, accepted uint64
}

// New makes a drafter for a sequence without tokens.
func New(o Options) *Drafter {
	n := o.N
	if n <= 0 {
		n = defaultN
	}
	n = min(n, longest)
	d := &Drafter{n: n, short: newIndex(n, o.Capacity), long: newIndex(min(2*n, longest), o.Capacity), known: prior, level: none}
	for i := range d.known {
		d.known[i].pause = minPause
	}
	return d
}

// Index takes in the tokens that are new since the last call. tokens are all tokens of the sequence; those seen before must be the same,
// but there may be fewer: the rest is forgotten. Draft does the same; for a long prompt Index can be called before, elsewhere.
func (d *Drafter) Index(tokens []int32) {
	d.short.update(tokens)
	d.long.update(tokens)
}

// SetCost says what verifying one more token costs, as the share of guesses that must come true for it to pay: 0.1 means that ten
// such tokens take as long as one step spends on a token that it is sure to keep. From then on guesses that are less
// likely to come true are not made. It is 0 at first: everything pays.
func (d *Drafter) SetCost(cost float64) {
	if cost >= 0 {
		d.cost = cost
	}
}

// Draft appends at most `most` tokens to dst that may follow tokens, and returns it; none where no earlier place agrees or it would not
// pay. tokens are all tokens of the sequence; dst may be the same slice.
func (d *Drafter) Draft(dst, tokens []int32, most int) []int32 {
	d.Index(tokens)
	d.level = none
	if most <= 0 {
		return dst
	}
	place, agrees := d.long.find(tokens)
	if place < 0 {
		place, agrees = d.short.find(tokens)
	}
	if place < 0 {
		return dst
	}
	level := levelOf(agrees, d.n)
	most = d.known[level].length(d.cost, most)
	if most == 0 {
		return dst
	}
	d.level = level
	period := len(tokens) - place // behind the end the guess repeats itself
	for i := range most {
		dst = append(dst, tokens[place+i%period])
	}
	return dst
}

// Likely is the probability that the first token of the last draft comes true, 0 where there was none.
func (d *Drafter) Likely() float64 {
	if d.level == none {
		return 0
	}
	return d.known[d.level].likely()
}

// Verified tells how many tokens of the last draft were computed, and of these how many came true.
func (d *Drafter) Verified(drafted, accepted int) {
	if d.level == none || drafted <= 0 || accepted < 0 {
		return
	}
	accepted = min(accepted, drafted)
	d.known[d.level].observe(drafted, accepted)
	d.drafted += uint64(drafted)
	d.accepted += uint64(accepted)
	d.level = none
}

// Stats counts the tokens that were verified, and of these those that came true.
func (d *Drafter) Stats() (drafted, accepted uint64) { return d.drafted, d.accepted }
