package sampler

// temperature divides the logits by t; below minTemperature it leaves the most probable candidate alone.
func (c *candidates) temperature(t float64) error {
	switch {
	case t < minTemperature:
		return c.keepBest()
	case c.dense:
		c.scale /= t
	default:
		for i := range c.list {
			c.list[i].x /= t
		}
	}
	return nil
}

// dynamicTemperature sets the temperature between low and high by the entropy of the candidates, as a share of the largest
// entropy that so many can have, to the power of exponent.
func (c *candidates) dynamicTemperature(low, high, exponent float64) error {
	var m moments
	if c.dense {
		if err := c.findMax(); err != nil {
			return err
		}
		m = c.denseMoments()
	} else {
		m = c.listMoments()
	}
	if m.count < 2 {
		return nil
	}
	share := min(m.entropy()/log(float64(m.count)), 1)
	return c.temperature(low + float64((high-low)*pow(share, exponent)))
}
