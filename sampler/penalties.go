package sampler

// penalties lowers the logits of the tokens in a window of the history.
type penalties struct {
	repeat, frequency, presence float64

	recent history
	counts idCounts // how often each token is in the window
}

func newPenalties(p *Params, vocab int) *penalties {
	return &penalties{
		repeat: p.RepeatPenalty, frequency: p.FrequencyPenalty, presence: p.PresencePenalty,
		recent: history{window: p.PenaltyLastN},
		counts: newIDCounts(vocab),
	}
}

func (p *penalties) accept(id int32) {
	if full := p.recent.last(); len(full) == p.recent.window {
		if n := p.counts.at(full[0]); *n > 1 {
			*n--
		} else {
			p.counts.remove(full[0])
		}
	}
	p.recent.push(id)
	*p.counts.at(id)++
}

func (p *penalties) clear() {
	p.recent.clear()
	p.counts.clear()
}

func (p *penalties) apply(c *candidates) {
	if len(p.counts.ids) == 0 {
		return
	}
	if !c.dense {
		for i := range c.list {
			if n := p.counts.get(c.list[i].id); n > 0 {
				c.list[i].x = p.lower(c.list[i].x, n)
			}
		}
		return
	}
	c.own()
	for i, id := range p.counts.ids {
		c.set(id, p.lower(float64(float64(c.logits[id])*c.scale), p.counts.counts[i]))
	}
}

func (p *penalties) lower(x float64, count int32) float64 {
	if x <= 0 {
		x = float64(x * p.repeat)
	} else {
		x /= p.repeat
	}
	return x - (float64(float64(count)*p.frequency) + p.presence)
}
