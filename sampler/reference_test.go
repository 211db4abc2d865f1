package sampler

import (
	"math"
	"slices"
)

// The stages written in the plainest way: everything sorted, package math. Tests compare the real ones with these.

type refToken struct {
	id int32
	x  float64
}

// refSet is in descending order of logit, equal ones in ascending order of id.
type refSet []refToken

func newRefSet(logits []float32) refSet {
	var set refSet
	for id, x := range logits {
		if !math.IsInf(float64(x), -1) {
			set = append(set, refToken{int32(id), float64(x)})
		}
	}
	return set.sorted()
}

func (s refSet) sorted() refSet {
	s = slices.Clone(s)
	slices.SortStableFunc(s, func(a, b refToken) int {
		switch {
		case a.x > b.x || a.x == b.x && a.id < b.id:
			return -1
		default:
			return 1
		}
	})
	return s
}

func (s refSet) probabilities() []float64 {
	p, sum := make([]float64, len(s)), 0.0
	for i, t := range s {
		p[i] = math.Exp(t.x - s[0].x)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func (s refSet) ids() []int32 {
	ids := make([]int32, len(s))
	for i, t := range s {
		ids[i] = t.id
	}
	slices.Sort(ids)
	return ids
}

func (s refSet) topK(k int) refSet { return s[:min(k, len(s))] }

func (s refSet) topP(p float64) refSet {
	sum := 0.0
	for i, q := range s.probabilities() {
		if sum += q; sum >= p {
			return s[:i+1]
		}
	}
	return s
}

func (s refSet) minP(p float64) refSet {
	var kept refSet
	q := s.probabilities()
	for i, t := range s {
		if q[i] >= p*q[0] {
			kept = append(kept, t)
		}
	}
	return kept
}

func (s refSet) entropy() float64 {
	h := 0.0
	for _, q := range s.probabilities() {
		if q > 0 {
			h -= q * math.Log(q)
		}
	}
	return h
}

// surpriseOrder returns the set ordered by the distance of the surprise from the entropy, with these distances.
func (s refSet) surpriseOrder() (refSet, []float64, []float64) {
	q, h := s.probabilities(), s.entropy()
	order := make([]int, len(s))
	distance := make([]float64, len(s))
	logSum := -math.Log(q[0])
	for i := range s {
		order[i] = i
		distance[i] = math.Abs(s[0].x - s[i].x + logSum - h)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case distance[a] < distance[b] || distance[a] == distance[b] && s[a].id < s[b].id:
			return -1
		default:
			return 1
		}
	})
	set, masses, distances := refSet{}, []float64{}, []float64{}
	for _, i := range order {
		set, masses, distances = append(set, s[i]), append(masses, q[i]), append(distances, distance[i])
	}
	return set, masses, distances
}

func (s refSet) typical(p float64) refSet {
	set, masses, _ := s.surpriseOrder()
	sum := 0.0
	for i := range set {
		if sum += masses[i]; sum > p {
			return set[:i+1].sorted()
		}
	}
	return s
}

func (s refSet) topNSigma(n float64) refSet {
	mean, squares := 0.0, 0.0
	for _, t := range s {
		mean += t.x / float64(len(s))
	}
	for _, t := range s {
		squares += (t.x - mean) * (t.x - mean)
	}
	deviation := math.Sqrt(squares / float64(len(s)))
	var kept refSet
	for _, t := range s {
		if t.x >= s[0].x-n*deviation {
			kept = append(kept, t)
		}
	}
	return kept
}

func (s refSet) xtc(threshold float64) refSet {
	last := 0
	for i, q := range s.probabilities() {
		if q >= threshold {
			last = i
		}
	}
	return s[last:]
}

func (s refSet) temperature(t float64) refSet {
	set := slices.Clone(s)
	for i := range set {
		set[i].x /= t
	}
	return set
}

func (s refSet) dynamic(low, high, exponent float64) float64 {
	return low + (high-low)*math.Pow(s.entropy()/math.Log(float64(len(s))), exponent)
}

func (s refSet) mirostat(mu float64) refSet {
	for i, q := range s.probabilities() {
		if -math.Log2(q) > mu {
			return s[:max(i, 1)]
		}
	}
	return s
}

// refPenalties applies the three penalties of the last n tokens (all for -1).
func refPenalties(logits []float32, history []int32, p Params) []float32 {
	if p.PenaltyLastN >= 0 {
		history = history[max(0, len(history)-p.PenaltyLastN):]
	}
	out := slices.Clone(logits)
	for id := range out {
		count := 0
		for _, h := range history {
			if int(h) == id {
				count++
			}
		}
		if count == 0 {
			continue
		}
		x := float64(out[id])
		if x > 0 {
			x /= p.RepeatPenalty
		} else {
			x *= p.RepeatPenalty
		}
		out[id] = float32(x - float64(count)*p.FrequencyPenalty - p.PresencePenalty)
	}
	return out
}

// refDRY finds for each token the longest end of the history that has stood before the token earlier, letter by letter.
func refDRY(logits []float32, history []int32, p Params) []float32 {
	if p.DRYLastN >= 0 {
		history = history[max(0, len(history)-p.DRYLastN):]
	}
	out := slices.Clone(logits)
	limit := refBreakerDistance(history, p.DRYBreakers)
	for id := range out {
		single := slices.ContainsFunc(p.DRYBreakers, func(b []int32) bool { return len(b) == 1 && int(b[0]) == id })
		longest := -1
		for at := 1; at < len(history); at++ { // the token at this place may follow a match
			if int(history[at]) != id {
				continue
			}
			n := 0
			for n < at && n < limit && history[at-1-n] == history[len(history)-1-n] {
				n++
			}
			longest = max(longest, n)
		}
		if longest >= p.DRYAllowedLength && len(history) > p.DRYAllowedLength && !single {
			out[id] = float32(float64(out[id]) - p.DRYMultiplier*math.Pow(p.DRYBase, float64(longest-p.DRYAllowedLength)))
		}
	}
	return out
}

func refBreakerDistance(history []int32, breakers [][]int32) int {
	for start := len(history) - 1; start >= 0; start-- {
		longest := 0
		for _, b := range breakers {
			if start+len(b) <= len(history) && slices.Equal(history[start:start+len(b)], b) {
				longest = max(longest, len(b))
			}
		}
		if longest > 0 {
			return len(history) - start - longest
		}
	}
	return len(history)
}
