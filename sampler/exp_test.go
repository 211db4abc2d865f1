package sampler

import (
	"hash/fnv"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestExpTable computes 2^(j/256) as the j-th power of 2 after eight square roots, in 200 bits.
func TestExpTable(t *testing.T) {
	step := big.NewFloat(2).SetPrec(200)
	for range 8 {
		step.Sqrt(step)
	}
	power := big.NewFloat(1).SetPrec(200)
	for j, bits := range expTable {
		want, _ := power.Float64()
		require.Equal(t, want, math.Float64frombits(bits), "entry %d", j)
		power.Mul(power, step)
	}
}

func TestExpAndLogAreAccurate(t *testing.T) {
	for x := -700.0; x <= 700; x += 0.137 {
		require.InEpsilon(t, math.Exp(x), exp(x), 1e-12, "exp(%g)", x)
	}
	require.Equal(t, 1.0, exp(0))
	for x := -700.0; x <= 700; x += 0.137 {
		y := math.Exp(x)
		require.InDelta(t, math.Log(y), log(y), 4e-16*max(1, math.Abs(x)), "log(%g)", y)
	}
	for _, x := range []float64{1, math.Nextafter(1, 2), math.Nextafter(1, 0), 1.5, 0.75, math.Sqrt2, 0x1p-1022, math.MaxFloat64} {
		require.InDelta(t, math.Log(x), log(x), 4e-16*max(math.Abs(math.Log(x)), 1e-16), "log(%g)", x)
	}
}

func TestPow(t *testing.T) {
	for _, y := range []float64{0, 0.3, 1, 1.7, 40} {
		for x := 0.0; x <= 1; x += 1. / 512 {
			require.InDelta(t, math.Pow(x, y), pow(x, y), 1e-12, "%g^%g", x, y)
		}
	}
	assert.Zero(t, pow(0.5, 1e6))
	assert.Equal(t, 1.0, pow(1, 1e300))
}

// TestNumbersAreTheSameOnEveryMachine pins every bit of a sweep: a fused multiply-add or a function of package math that
// differs on some architecture shows here.
func TestNumbersAreTheSameOnEveryMachine(t *testing.T) {
	hash := fnv.New64a()
	add := func(x float64) {
		bits := math.Float64bits(x)
		for shift := 0; shift < 64; shift += 8 {
			hash.Write([]byte{byte(bits >> shift)})
		}
	}
	for i := range 20000 {
		x := float64(i) * -0.0349
		add(exp(x))
		add(log(float64(float64(i)*1.375) + 0.5))
		add(pow(float64(i)/20000, 1.37))
	}
	assert.Equal(t, uint64(0xb27196a581a4b90e), hash.Sum64())
}
