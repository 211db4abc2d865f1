package verify

import "math"

// distance adds up a relative L2 distance: |a - b| / |b|.
type distance struct{ diff, norm float64 }

func (d *distance) add(a, b []float32) {
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		d.diff += (x - y) * (x - y)
		d.norm += y * y
	}
}

func (d *distance) relative() float64 {
	if d.diff == 0 {
		return 0
	}
	return math.Sqrt(d.diff / d.norm) // infinite where b is all zeros
}

func relative(a, b []float32) float64 {
	var d distance
	d.add(a, b)
	return d.relative()
}

// comparePosition compares two rows of logits; reference is llama.cpp's.
func comparePosition(token int32, native, reference []float32) Position {
	p := Position{Token: token, RelativeL2: relative(native, reference), KL: divergence(reference, native)}
	p.Native, _ = highest(native)
	p.LlamaCPP, p.Margin = highest(reference)
	return p
}

// highest returns the id of the highest logit, and how far the next one is below it.
func highest(logits []float32) (id int32, margin float64) {
	first, second := math.Inf(-1), math.Inf(-1)
	for i, l := range logits {
		switch v := float64(l); {
		case v > first:
			first, second, id = v, first, int32(i)
		case v > second:
			second = v
		}
	}
	return id, first - second
}

// divergence is the Kullback-Leibler divergence of softmax(q) from softmax(p), in nats.
func divergence(p, q []float32) float64 {
	sumP, sumQ := logSum(p), logSum(q)
	var kl float64
	for i := range p {
		logP, logQ := float64(p[i])-sumP, float64(q[i])-sumQ
		if prob := math.Exp(logP); prob > 0 {
			kl += prob * (logP - logQ)
		}
	}
	return max(kl, 0) // rounding may leave a little below it
}

// logSum is the logarithm of the sum of exponentials.
func logSum(logits []float32) float64 {
	top := math.Inf(-1)
	for _, l := range logits {
		top = max(top, float64(l))
	}
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return top + math.Log(sum)
}

// summarize fills in what is said of all positions together.
func (r *Report) summarize(all distance) {
	r.RelativeL2 = all.relative()
	same := 0
	for _, p := range r.Positions {
		r.KL += p.KL / float64(len(r.Positions))
		r.MaxKL = max(r.MaxKL, p.KL)
		if p.Native == p.LlamaCPP {
			same++
		}
	}
	r.Agreement = float64(same) / float64(len(r.Positions))
}
