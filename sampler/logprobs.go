package sampler

import "slices"

// Candidate is a token with the natural logarithm of its probability.
type Candidate struct {
	ID      int32
	LogProb float32
}

// logProbs computes log-probabilities of a row of logits.
type logProbs struct {
	whole candidates // never changed by stages; its scratch stays its own
	top   []Candidate
}

// fill sets the log-probabilities of the token: of itself and of the n most probable tokens, the most probable first.
func (l *logProbs) fill(token *Token, logits []float32, n int) error {
	c := &l.whole
	c.reset(logits, nil)
	if err := c.findMax(); err != nil {
		return err
	}
	logMass := log(c.sumMass())
	logProb := func(x float32) float32 { return float32(float64(x) - float64(c.max) - logMass) }
	token.LogProb = logProb(logits[token.ID])
	if n == 0 {
		return nil
	}
	var err error
	if c.found, c.floats, err = scanTopK(logits, n, c.found, c.floats); err != nil {
		return err
	}
	slices.SortStableFunc(c.found, func(a, b found) int {
		switch {
		case a.x > b.x:
			return -1
		case a.x < b.x:
			return 1
		}
		return 0
	})
	l.top = l.top[:0]
	for _, t := range c.found {
		l.top = append(l.top, Candidate{t.id, logProb(t.x)})
	}
	token.Top = l.top
	return nil
}
