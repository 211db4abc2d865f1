package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Products by the best variant, activations' quantization and the weights' interleaving included.
func BenchmarkProduct(b *testing.B) {
	const rows, cols, columns = 256, 1024, 64
	x := make([]float32, cols*columns)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for _, t := range DTypes() {
		if t.Family() == FamilyNone {
			continue
		}
		raw := randomWeights(r, t, rows, cols)
		b.Run(t.String(), func(b *testing.B) {
			for b.Loop() {
				_, err := product(Variants()[0], t, true, raw, rows, cols, x, columns)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.N)*rows*cols*columns/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
