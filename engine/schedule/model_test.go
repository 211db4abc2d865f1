package schedule

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mixed is a load as a busy engine has them: decodes with or without a chunk of a prompt.
func mixed(r *rand.Rand) load {
	var l load
	for range 1 + r.IntN(16) {
		l = l.add(r.IntN(4000), 1)
	}
	if r.IntN(2) == 0 {
		l = l.add(r.IntN(4000), 1+r.IntN(400))
	}
	return l
}

func seconds(l load, fixed, row, attended, sequence float64) float64 {
	return fixed + row*l.rows + attended*l.attended + sequence*l.sequences
}

func observe(m *model, l load, s float64) { m.observe(l, duration(s)) }

// worst is the greatest relative error over typical loads.
func worst(m *model, r *rand.Rand, truth func(load) float64) float64 {
	most := 0.0
	for range 200 {
		l := mixed(r)
		most = max(most, math.Abs(m.seconds(l)/truth(l)-1))
	}
	return most
}

func TestModelLearnsLinearTimes(t *testing.T) {
	for name, c := range map[string][4]float64{
		"processor":   {15e-3, 2e-3, 50e-9, 100e-6},
		"accelerator": {6e-3, 10e-6, 0.2e-9, 5e-6},
		"no fixed":    {0, 1e-3, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			truth := func(l load) float64 { return seconds(l, c[0], c[1], c[2], c[3]) }
			var m model
			for range 300 {
				l := mixed(r)
				observe(&m, l, truth(l)*(1+0.03*r.NormFloat64()))
			}
			assert.Less(t, worst(&m, r, truth), 0.15)
		})
	}
}

func TestModelIgnoresOutliers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	truth := func(l load) float64 { return seconds(l, 15e-3, 2e-3, 50e-9, 0) }
	var m model
	for i := range 600 {
		l := mixed(r)
		s := truth(l) * (1 + 0.02*r.NormFloat64())
		if i%15 == 14 {
			s *= 10
		}
		observe(&m, l, s)
	}
	assert.Less(t, worst(&m, r, truth), 0.3)
}

func TestModelFollowsAMachineThatBecomesSlower(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	factor := 1.0
	truth := func(l load) float64 { return factor * seconds(l, 15e-3, 2e-3, 50e-9, 0) }
	var m model
	learn := func(n int) {
		for range n {
			l := mixed(r)
			observe(&m, l, truth(l)*(1+0.02*r.NormFloat64()))
		}
	}
	learn(300)
	for _, factor = range []float64{3, 1} {
		learn(400)
		assert.Less(t, worst(&m, r, truth), 0.25, "factor %v", factor)
	}
}

// A long time with decodes alone must neither forget what prompts cost nor keep the model from learning it.
func TestModelAfterMonotony(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	truth := func(l load) float64 { return seconds(l, 15e-3, 2e-3, 50e-9, 0) }
	var m model
	for range 200 {
		l := mixed(r)
		observe(&m, l, truth(l)*(1+0.02*r.NormFloat64()))
	}
	var decodes load
	for range 4 {
		decodes = decodes.add(1000, 1)
	}
	for range 20000 {
		observe(&m, decodes, truth(decodes)*(1+0.02*r.NormFloat64()))
	}
	assert.InEpsilon(t, truth(decodes), m.seconds(decodes), 0.05)
	prompt := decodes.add(0, 256)
	assert.InEpsilon(t, truth(prompt), m.seconds(prompt), 0.5)
	for range 10 {
		observe(&m, prompt, truth(prompt))
	}
	assert.InEpsilon(t, truth(prompt), m.seconds(prompt), 0.1)
	assert.InEpsilon(t, truth(decodes), m.seconds(decodes), 0.15)
}

func TestModelStaysFinite(t *testing.T) {
	var m model
	m.observe(load{}, time.Second)
	m.observe(load{1, 1, 1}, 0)
	m.observe(load{1, 1, 1}, -time.Second)
	require.Zero(t, m.observed)
	r := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		l := load{}.add(r.IntN(1<<20), 1+r.IntN(1<<20))
		m.observe(l, time.Duration(r.Int64N(1<<uint(1+r.IntN(55))))+1)
		for i := range m.theta {
			require.False(t, math.IsNaN(m.theta[i]) || math.IsInf(m.theta[i], 0) || m.theta[i] < 0, "%v", m.theta)
			require.Greater(t, m.p[i][i], 0.0)
		}
		require.GreaterOrEqual(t, m.predict(l), time.Duration(0))
	}
}

func TestChunkIsTheMostThatFits(t *testing.T) {
	var m model
	r := rand.New(rand.NewPCG(11, 12))
	for range 100 {
		l := mixed(r)
		observe(&m, l, seconds(l, 15e-3, 2e-3, 50e-9, 0))
	}
	for range 500 {
		l, from, most, within := mixed(r), r.IntN(5000), 1+r.IntN(500), time.Duration(r.IntN(1000))*time.Millisecond
		n := m.chunk(l, from, most, within)
		assert.True(t, n == 0 || m.predict(l.add(from, n)) <= within)
		assert.True(t, n == most || m.predict(l.add(from, n+1)) > within, "%d of %d", n, most)
	}
}
