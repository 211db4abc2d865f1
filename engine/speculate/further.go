package speculate

// furthest is how many tokens ahead a predictor's guesses are told apart, and made.
const furthest = 8

// Further decides how many tokens a model's own predictor (multi-token prediction) guesses for one sequence. Each guess follows from the
// one before it, so that they become less likely: it counts for each distance how often a guess came true when those before it had.
// It is not safe for several goroutines.
type Further struct {
	known             [furthest]odds
	drafted, accepted uint64
}

// NewFurther makes one that knows nothing of its sequence yet.
func NewFurther() *Further {
	f := &Further{}
	for i := range f.known {
		f.known[i] = odds{hits: 2, misses: 1, pause: minPause}
	}
	return f
}

// Likely is the probability that a first guess comes true.
func (f *Further) Likely() float64 { return f.known[0].likely() }

// Length returns how many tokens, at most most, are worth guessing: those that come true more often than they cost. verify is what
// verifying one costs and guess what making it costs, as the share of a step's work for one token that it is sure to keep. Where not even
// the first is worth it, it is tried from time to time.
func (f *Further) Length(verify, guess float64, most int) int {
	most = min(most, furthest)
	if most <= 0 {
		return 0
	}
	n, all := 0, 1.0
	for n < most {
		if all *= f.known[n].likely(); all <= verify+guess {
			break
		}
		n++
	}
	if n == 0 {
		return f.known[0].length(1, 1)
	}
	return n
}

// Verified tells how many guesses were verified, and of these how many came true.
func (f *Further) Verified(drafted, accepted int) {
	if drafted <= 0 || accepted < 0 {
		return
	}
	drafted = min(drafted, furthest)
	accepted = min(accepted, drafted)
	for i := range accepted {
		f.known[i].observe(1, 1)
	}
	if accepted < drafted {
		f.known[accepted].observe(1, 0)
	}
	f.drafted += uint64(drafted)
	f.accepted += uint64(accepted)
}

// Stats counts the tokens that were verified, and of these those that came true.
func (f *Further) Stats() (drafted, accepted uint64) { return f.drafted, f.accepted }
