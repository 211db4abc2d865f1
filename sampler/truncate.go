package sampler

import "math"

// The truncating stages. Each leaves at least one candidate.

// topK keeps the k candidates with the largest logits.
func (c *candidates) topK(k int) error {
	if c.dense {
		if k < len(c.logits) {
			return c.denseTopK(k)
		}
		return c.findMax()
	}
	if k >= len(c.list) {
		return nil
	}
	c.masses = c.masses[:0]
	for _, t := range c.list {
		c.masses = append(c.masses, weighted{value: t.x, mass: 1})
	}
	c.keepMass(float64(k), false)
	return nil
}

// denseTopK makes the k tokens with the largest logits the list.
func (c *candidates) denseTopK(k int) error {
	var err error
	if c.found, c.floats, err = scanTopK(c.logits, k, c.found, c.floats); err != nil {
		return err
	}
	if len(c.found) == 0 {
		return ErrNoCandidates
	}
	c.toList(c.found)
	return nil
}

// scanTopK finds the k largest logits above -Inf, in ascending order of id, in one pass: tokens above a floor are
// collected, and whenever there are many the best k stay and the floor rises to the smallest of them. It checks every
// logit. found and floats are scratch.
func scanTopK(logits []float32, k int, list []found, floats []float32) ([]found, []float32, error) {
	list = list[:0]
	full := 2*k + 256
	floor := negInf
	for i := firstAbove(logits, 0, floor); i < len(logits); i = firstAbove(logits, i+1, floor) {
		x := logits[i]
		if x-x != 0 {
			return list, floats, &LogitError{Index: i, Value: x}
		}
		// Of equal logits the first ids stay, so one that equals the floor need not come in.
		if list = append(list, found{x, int32(i)}); len(list) == full {
			list, floats, floor = shrinkTopK(list, k, floats)
		}
	}
	if len(list) > k {
		list, floats, _ = shrinkTopK(list, k, floats)
	}
	return list, floats, nil
}

// shrinkTopK keeps the k best of more than k tokens and returns the smallest logit kept.
func shrinkTopK(list []found, k int, floats []float32) ([]found, []float32, float32) {
	floats = floats[:0]
	for _, t := range list {
		floats = append(floats, t.x)
	}
	cut := kthLargest(floats, k)
	ties := k
	for _, t := range list {
		if t.x > cut {
			ties--
		}
	}
	kept := list[:0]
	for _, t := range list {
		switch {
		case t.x > cut:
			kept = append(kept, t)
		case t.x == cut && ties > 0:
			kept = append(kept, t)
			ties--
		}
	}
	return kept, floats, cut
}

// keepMass keeps the candidates whose items in masses, one for each candidate, have the largest values and together reach
// the mass, or with strict exceed it.
func (c *candidates) keepMass(mass float64, strict bool) {
	cut, sum := c.findCut(mass, strict)
	items := c.masses
	kept, tied := c.list[:0], false
	for i := range c.list {
		keep := items[i].value > cut
		if items[i].value == cut && (!tied || !reached(sum, mass, strict)) {
			keep, tied = true, true
			sum += items[i].mass
		}
		if keep {
			kept = append(kept, c.list[i])
		}
	}
	c.list = kept
}

// nearTop is the distance from the largest logit, in nats, within which top-p first looks for its mass.
const nearTop = 10

// topP keeps the fewest most probable candidates whose probabilities add up to p or more.
func (c *candidates) topP(p float64) error {
	var total float64
	if c.dense {
		if err := c.findMax(); err != nil {
			return err
		}
		total = c.sumMass()
		c.gather(float64(c.max) - nearTop/c.scale)
		if near := c.weigh(); near < p*total { // flat distribution: all tokens are needed
			c.gatherAll()
			total = c.weigh()
		}
	} else {
		total = c.weigh()
	}
	c.masses = c.masses[:0]
	for _, t := range c.list {
		c.masses = append(c.masses, weighted{t.x, t.w})
	}
	c.keepMass(p*total, false)
	return nil
}

// minP keeps the candidates with at least p times the largest probability.
func (c *candidates) minP(p float64) error {
	low := expFloor * 2.0 // p is a denormal number
	if p >= 0x1p-1022 {
		low = log(p)
	}
	if c.dense {
		if err := c.findMax(); err != nil {
			return err
		}
		c.gather(float64(c.max) + low/c.scale)
		return nil
	}
	low += c.listMax()
	c.filter(func(t *candidate) bool { return t.x >= low })
	return nil
}

// typical keeps the candidates whose surprise -ln p is nearest to the entropy, the nearest first, until their
// probabilities exceed p. With d the distance of a logit from the largest, -ln p minus the entropy is the mean of d minus d.
func (c *candidates) typical(p float64) error {
	if c.dense {
		if err := c.findMax(); err != nil {
			return err
		}
		c.gatherAll()
	}
	m := c.listMoments()
	top, mean := c.top, m.first/m.mass
	c.masses = c.masses[:0]
	for _, t := range c.list {
		c.masses = append(c.masses, weighted{-math.Abs(t.x - top - mean), t.w})
	}
	c.keepMass(p*m.mass, true)
	return nil
}

// topNSigma keeps the candidates at most n standard deviations (of all candidates' logits) below the largest logit.
func (c *candidates) topNSigma(n float64) error {
	if !c.dense {
		top, deviation := c.listMax(), c.listDeviation()
		c.filter(func(t *candidate) bool { return t.x >= top-float64(n*deviation) })
		return nil
	}
	if err := c.findMax(); err != nil {
		return err
	}
	c.gather(float64(c.max) - float64(n*c.denseDeviation()))
	return nil
}

// denseDeviation is the standard deviation of the unscaled dense logits, whose maximum must be known. One pass over the
// distances d from the largest is enough: the largest is one of the n logits, so the mean of d² is at most about n times
// the variance, and cancellation cannot eat more than log2(n) of float64's 53 bits.
func (c *candidates) denseDeviation() float64 {
	var sumA, sumB, sumC, sumD, squareA, squareB, squareC, squareD float64 // lanes, by index modulo 4
	top, count := float64(c.max), 0
	add := func(x float32, sum, square *float64) {
		if x >= -math.MaxFloat32 {
			d := float64(x) - top
			*sum += d
			*square += float64(d * d)
			count++
		}
	}
	i := 0
	for ; i+4 <= len(c.logits); i += 4 {
		v := (*[4]float32)(c.logits[i:])
		add(v[0], &sumA, &squareA)
		add(v[1], &sumB, &squareB)
		add(v[2], &sumC, &squareC)
		add(v[3], &sumD, &squareD)
	}
	for _, x := range c.logits[i:] {
		add(x, &sumA, &squareA)
	}
	mean := ((sumA + sumB) + (sumC + sumD)) / float64(count)
	squares := (squareA + squareB) + (squareC + squareD)
	return math.Sqrt(max(0, squares/float64(count)-float64(mean*mean)))
}

func (c *candidates) listDeviation() float64 {
	sum := 0.0
	for _, t := range c.list {
		sum += t.x
	}
	mean, squares := sum/float64(len(c.list)), 0.0
	for _, t := range c.list {
		d := t.x - mean
		squares += float64(d * d)
	}
	return math.Sqrt(squares / float64(len(c.list)))
}

// xtc ("exclude top choices") removes, where two candidates or more have at least the threshold's probability, all of those
// but the least probable.
func (c *candidates) xtc(threshold float64) error {
	if c.dense {
		return c.denseXTC(threshold)
	}
	mass := threshold * c.weigh()
	least, count := c.leastAbove(mass)
	if count < 2 {
		return nil
	}
	spared := c.list[least].id
	c.filter(func(t *candidate) bool { return t.w < mass || t.id == spared })
	return nil
}

// leastAbove counts the candidates of the weighed list with at least the mass and returns the index of the least probable.
func (c *candidates) leastAbove(mass float64) (least, count int) {
	for i, t := range c.list {
		if t.w >= mass {
			if count == 0 || t.x <= c.list[least].x { // of equal ones the last id ranks last
				least = i
			}
			count++
		}
	}
	return least, count
}

func (c *candidates) denseXTC(threshold float64) error {
	if err := c.findMax(); err != nil {
		return err
	}
	mass := threshold * c.sumMass()
	if mass < 1e-300 { // all tokens are above
		c.gatherAll()
		return c.xtc(threshold)
	}
	c.gather(float64(c.max) + (log(mass)-1)/c.scale) // -1: more than enough
	c.weigh()
	least, count := c.leastAbove(mass)
	c.dense = true // the tokens below the threshold are still candidates
	if count < 2 {
		return nil
	}
	c.own()
	for i, t := range c.list {
		if t.w >= mass && i != least {
			c.logits[t.id] = negInf
		}
	}
	return nil
}
