package sampler

import "slices"

// Needs says how few logits of a row choose the same token as all of them: the `keep` largest, and those of the ids in also, whose logits the chain
// changes before it cuts; upcoming are ids that may be accepted before the choice. ok is false where the chain looks at all logits: without a
// top-k before everything that weighs candidates, with DRY, Mirostat, or log-probabilities. also is valid until the next call.
func (s *Sampler) Needs(upcoming []int32) (keep int, also []int32, ok bool) {
	if s.mirostat != nil || s.dry != nil || s.params.LogProbs {
		return 0, nil, false
	}
	k := s.params.TopK
	if s.greedy {
		k = 1
	} else if first := slices.IndexFunc(s.chain, func(stage Stage) bool { return stage != StagePenalties }); first < 0 || s.chain[first] != StageTopK {
		return 0, nil, false
	}
	c := &s.set
	c.touched = c.touched[:0]
	for _, b := range s.bias {
		c.touched = append(c.touched, b.id)
	}
	if s.penalties != nil {
		c.touched = append(append(c.touched, s.penalties.counts.ids...), upcoming...)
	}
	// What the chain changes may fall: as many others can come into the cut.
	keep = k + len(c.touched)
	return keep, c.touched, keep < s.vocab
}

// SampleKept is [Sampler.Sample] of a row of which only what Needs asked for is known: n logits by number. It picks the token that Sample would. An
// id may come twice, with the same logit.
func (s *Sampler) SampleKept(n int, kept func(i int) (id int32, logit float32)) (Token, error) {
	c := &s.set
	defer c.leaveKept()
	if err := c.enterKept(s.vocab, n, kept); err != nil {
		return Token{}, err
	}
	s.addBias(c)
	for _, stage := range s.chain {
		if stage != StagePenalties && c.dense {
			if err := c.listKept(); err != nil {
				return Token{}, err
			}
		}
		if err := s.run(stage, c); err != nil {
			return Token{}, err
		}
	}
	if c.dense {
		if err := c.listKept(); err != nil {
			return Token{}, err
		}
	}
	id, err := s.pick(c)
	return Token{ID: id}, err
}

// enterKept makes the known logits the set, in a row of which all others are -Inf. That row takes work's place meanwhile: to the stages it is a copy
// that they may change.
func (c *candidates) enterKept(vocab, n int, kept func(i int) (int32, float32)) error {
	if c.sparse == nil {
		c.sparse = make([]float32, vocab)
		for i := range c.sparse {
			c.sparse[i] = negInf
		}
	}
	c.work, c.sparse = c.sparse, c.work
	c.dense, c.scale, c.maxKnown, c.logits, c.list, c.known = true, 1, false, c.work, c.list[:0], c.known[:0]
	for i := range n {
		id, x := kept(i)
		if x-x != 0 && x != negInf {
			return &LogitError{Index: int(id), Value: x}
		}
		c.known = append(c.known, id)
		c.logits[id] = x
	}
	slices.Sort(c.known)
	c.known = slices.Compact(c.known)
	return nil
}

// leaveKept takes the known logits out again.
func (c *candidates) leaveKept() {
	for _, id := range c.known {
		c.work[id] = negInf
	}
	c.known = c.known[:0]
	c.work, c.sparse = c.sparse, c.work
	c.logits = nil
}

// listKept makes the known tokens the list, in ascending order of id.
func (c *candidates) listKept() error {
	c.found = c.found[:0]
	for _, id := range c.known {
		if x := c.logits[id]; x > negInf {
			c.found = append(c.found, found{x, id})
		}
	}
	if len(c.found) == 0 {
		return ErrNoCandidates
	}
	c.toList(c.found)
	return nil
}
