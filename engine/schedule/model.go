package schedule

import (
	"math"
	"time"
)

// load is what a step's time depends on.
type load struct {
	rows      float64 // tokens computed
	attended  float64 // positions that they see, summed
	sequences float64 // branches with rows
}

// add puts n tokens behind position from into the load.
func (l load) add(from, n int) load {
	f, m := float64(from), float64(n)
	return load{l.rows + m, l.attended + m*f + m*(m+1)/2, l.sequences + 1}
}

const terms = 4

// features scales a load so that its terms are of the order of one.
func (l load) features() [terms]float64 {
	return [terms]float64{1, l.rows / 64, l.attended / (1 << 16), l.sequences / 16}
}

const (
	fitNoise    = 0.03 // of a step's time, that nothing here explains
	fitDrift    = 0.01 // of a coefficient, by which it may change from step to step
	fitPrior    = 3.0  // of a coefficient's first guess: how far off that may be
	fitOutlier  = 3.0  // times the usual deviation: beyond it an observation loses weight
	fitSpread   = 0.05 // of the newest observation in the usual deviation
	fitTrusted  = 4    // observations after which predictions are used
	shapeRow    = 1.0  // first guess: 64 rows cost as much as a step's fixed part,
	shapeAttend = 0.2  // 65,536 attended positions a fifth,
	shapeOne    = 0.1  // 16 sequences a tenth
)

// model predicts a step's time: a linear function of its load, whose coefficients are followed by a Kalman filter over relative errors.
// Coefficients drift slowly, as machines do; an observation far from its prediction (another process had the processor)
// weighs less, unless such observations become the rule. None is negative.
type model struct {
	theta    [terms]float64        // seconds per feature
	first    [terms]float64        // the first guess
	p        [terms][terms]float64 // their covariance
	spread   float64               // usual relative deviation
	observed int
	bias     [regimes]float64 // by which predictions for such steps are usually wrong, as a factor
}

// Kernels have several speeds: for a few rows, for tiles of them, for many. Each regime keeps a factor of its own over the linear model.
const (
	regimes    = 3
	fewRows    = 64      // of prompts: beyond it a step is one of many rows
	biasSpread = 1.0 / 8 // of the newest observation in a bias
	biasLimit  = 1.5     // an observation counts as no further off
)

func (l load) regime() int {
	switch extra := l.rows - l.sequences; {
	case extra < 1:
		return 0
	case extra <= fewRows:
		return 1
	}
	return 2
}

func dot(a, b *[terms]float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// seconds predicts a step's time.
func (m *model) seconds(l load) float64 { return m.linear(l) * m.bias[l.regime()] }

// linear is the prediction without regard to regimes: for differences.
func (m *model) linear(l load) float64 {
	x := l.features()
	return dot(&m.theta, &x)
}

func (m *model) predict(l load) time.Duration { return duration(m.seconds(l)) }

// trusted tells whether there were enough observations to act on.
func (m *model) trusted() bool { return m.observed >= fitTrusted }

// observe learns that a step of this load took so long.
func (m *model) observe(l load, took time.Duration) {
	y := took.Seconds()
	if y <= 0 || l.rows <= 0 {
		return
	}
	x := l.features()
	m.observed++
	if m.observed == 1 {
		m.begin(x, y)
		return
	}
	if linear := dot(&m.theta, &x); linear > 0 {
		b := &m.bias[l.regime()]
		*b += biasSpread * (min(max(y/linear, *b/biasLimit), *b*biasLimit) - *b)
	}
	// Relative to the observed time, or the predicted one where that is greater: short steps count as much as long ones.
	unit := max(y, dot(&m.theta, &x))
	for i := range x {
		x[i] /= unit
	}
	miss := y/unit - dot(&m.theta, &x)
	noise := fitNoise * fitNoise
	if limit := fitOutlier * m.spread; math.Abs(miss) > limit {
		noise *= math.Abs(miss) / limit * math.Abs(miss) / limit
	}
	m.spread = max(fitNoise, m.spread+fitSpread*(math.Abs(miss)-m.spread))
	m.update(&x, miss, noise)
}

// begin takes a first guess: an ordinary shape, scaled to the first observation.
func (m *model) begin(x [terms]float64, y float64) {
	shape := [terms]float64{1, shapeRow, shapeAttend, shapeOne}
	scale := y / dot(&shape, &x)
	for i := range shape {
		m.theta[i] = shape[i] * scale
		m.first[i] = m.theta[i]
		m.p[i][i] = square(fitPrior * m.theta[i])
	}
	m.spread = 1 // nothing is an outlier yet
	for i := range m.bias {
		m.bias[i] = 1
	}
}

// update moves the coefficients so that a prediction for x changes towards one that would not have missed.
func (m *model) update(x *[terms]float64, miss, noise float64) {
	for i := range m.p { // drift
		if most := square(fitPrior * max(m.first[i], m.theta[i])); m.p[i][i] < most {
			m.p[i][i] += square(fitDrift * max(m.theta[i], m.first[i]/8))
		}
	}
	var px [terms]float64
	for i := range px {
		px[i] = dot(&m.p[i], x)
	}
	total := noise + dot(&px, x)
	for i := range m.theta {
		m.theta[i] = max(0, m.theta[i]+px[i]/total*miss)
		for j := range m.p[i] {
			m.p[i][j] -= px[i] * px[j] / total
		}
	}
	for i := range m.p { // rounding must not make a variance negative, nor the matrix lopsided
		m.p[i][i] = max(m.p[i][i], 1e-30)
		for j := range i {
			m.p[i][j] = (m.p[i][j] + m.p[j][i]) / 2
			m.p[j][i] = m.p[i][j]
		}
	}
}

func square(x float64) float64 { return x * x }

func duration(seconds float64) time.Duration {
	if seconds > math.MaxInt64/2e9 {
		return math.MaxInt64 / 2
	}
	return time.Duration(seconds * 1e9)
}

// chunk returns how many tokens behind position from can join a load so that the step stays within a time; at most most.
func (m *model) chunk(l load, from, most int, within time.Duration) int {
	if m.predict(l.add(from, most)) <= within {
		return most
	}
	low, high := 0, most // low fits, high does not
	for low+1 < high {
		if middle := (low + high) / 2; m.predict(l.add(from, middle)) <= within {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
