package sampler

import "math"

// mirostat is version 2: it cuts off the tokens more surprising than mu bits and moves mu towards the target.
type mirostat struct {
	tau, eta float64
	mu       float64
}

func newMirostat(tau, eta float64) mirostat { return mirostat{tau: tau, eta: eta, mu: 2 * tau} }

// truncate keeps the candidates with a surprise of at most mu bits, or else the most probable one.
func (m *mirostat) truncate(c *candidates) error {
	if !c.dense {
		// -log2(w/total) ≤ mu means ln w ≥ ln total - mu·ln 2, and ln w is the distance from the largest logit.
		low := log(c.weigh()) - float64(m.mu*math.Ln2)
		if low > 0 {
			return c.keepBest()
		}
		low += c.top
		c.filter(func(t *candidate) bool { return t.x >= low })
		return nil
	}
	if err := c.findMax(); err != nil {
		return err
	}
	low := log(c.sumMass()) - float64(m.mu*math.Ln2)
	if low > 0 {
		return c.keepBest()
	}
	c.gather(float64(c.max) + low/c.scale)
	return nil
}

// observe learns from the drawn token's probability among the candidates that truncate left.
func (m *mirostat) observe(probability float64) {
	surprise := -log(probability) / math.Ln2
	m.mu -= float64(m.eta * (surprise - m.tau))
}
