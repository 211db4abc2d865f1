package sampler

import "slices"

// dry lowers the logits of tokens that would lengthen a repetition of the latest tokens.
type dry struct {
	multiplier, base float64
	allowed          int
	breakers         map[int32][][]int32 // first token to the rests of the sequences that begin with it, longest first
	powers           []float64           // penalty of a match of allowed+i tokens; longer ones pay the last

	recent  history
	matches []int32  // scratch: z of match
	longest idCounts // scratch: token to the length of the longest match that it would lengthen
}

// maxPenaltyLog is ln of the largest float32: the exponent of the penalty stops growing there.
const maxPenaltyLog = 88.7228391

func newDRY(p *Params, vocab int) *dry {
	d := &dry{
		multiplier: p.DRYMultiplier, base: p.DRYBase, allowed: p.DRYAllowedLength,
		breakers: make(map[int32][][]int32, len(p.DRYBreakers)),
		recent:   history{window: p.DRYLastN},
		longest:  newIDCounts(vocab),
	}
	for _, breaker := range p.DRYBreakers {
		d.breakers[breaker[0]] = append(d.breakers[breaker[0]], slices.Clone(breaker[1:]))
	}
	for _, rests := range d.breakers {
		slices.SortStableFunc(rests, func(a, b []int32) int { return len(b) - len(a) })
	}
	d.powers = []float64{d.multiplier}
	if p.DRYBase > 1.000001 {
		for range min(int(maxPenaltyLog/log(p.DRYBase)), maxPowers) {
			d.powers = append(d.powers, float64(d.powers[len(d.powers)-1]*d.base))
		}
	}
	return d
}

// maxPowers bounds the table for a base next to 1.
const maxPowers = 1 << 16

func (d *dry) accept(id int32) { d.recent.push(id) }

func (d *dry) clear() { d.recent.clear() }

func (d *dry) apply(c *candidates) {
	tokens := d.recent.last()
	if len(tokens) <= d.allowed {
		return
	}
	limit := d.sinceBreaker(tokens)
	if limit < d.allowed {
		return
	}
	d.match(tokens, limit)
	if len(d.longest.ids) == 0 {
		return
	}
	if !c.dense {
		for i := range c.list {
			if slot := d.longest.slot[c.list[i].id]; slot != 0 {
				c.list[i].x -= d.penalty(d.longest.counts[slot-1])
			}
		}
		return
	}
	c.own()
	for i, id := range d.longest.ids {
		c.set(id, float64(float64(c.logits[id])*c.scale)-d.penalty(d.longest.counts[i]))
	}
}

func (d *dry) penalty(length int32) float64 {
	return d.powers[min(int(length)-d.allowed, len(d.powers)-1)]
}

// sinceBreaker returns the number of tokens after the latest breaker, all where there is none. Of breakers that begin at
// the same token the longest counts.
func (d *dry) sinceBreaker(tokens []int32) int {
	if len(d.breakers) == 0 {
		return len(tokens)
	}
	for i := len(tokens) - 1; i >= 0; i-- {
		for _, rest := range d.breakers[tokens[i]] {
			if tail := tokens[i+1:]; len(rest) <= len(tail) && slices.Equal(rest, tail[:len(rest)]) {
				return len(tail) - len(rest)
			}
		}
	}
	return len(tokens)
}

// isBreaker reports whether the token alone is a breaker: such tokens are never penalised.
func (d *dry) isBreaker(id int32) bool {
	rests := d.breakers[id]
	return len(rests) > 0 && len(rests[len(rests)-1]) == 0
}

// match fills longest. It is the Z-algorithm on the history read backwards, r[i] = tokens[n-1-i]: z[k] is the length of the
// longest common prefix of r and r[k:], that is of the match which ends k tokens before the end, and the token that
// followed it is r[k-1]. Linear in the length of the history.
func (d *dry) match(tokens []int32, limit int) {
	d.longest.clear()
	n := len(tokens)
	if cap(d.matches) < n {
		d.matches = make([]int32, n, 2*n)
	}
	z := d.matches[:n]
	left, right := 0, 0 // the match that reaches furthest covers r[left:right]
	for k := 1; k < n; k++ {
		length := 0
		if k < right {
			length = min(right-k, int(z[k-left]))
		}
		for k+length < n && tokens[n-1-length] == tokens[n-1-k-length] {
			length++
		}
		if k+length > right {
			left, right = k, k+length
		}
		z[k] = int32(length)
		if length = min(length, limit); length < d.allowed {
			continue
		}
		if next := tokens[n-k]; !d.isBreaker(next) {
			longest := d.longest.at(next)
			*longest = max(*longest, int32(length))
		}
	}
}
