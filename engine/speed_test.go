package engine

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchModel is the file in INFER_BENCH_MODEL, or the tests' tiny random model, whose figures say something of the host alone.
func benchModel(b *testing.B) string {
	if path := os.Getenv("INFER_BENCH_MODEL"); path != "" {
		return path
	}
	return tiny.write(b)
}

func benchmarkSpec(b *testing.B, s BenchSpec) {
	e, err := Open(benchModel(b), Options{Context: s.BenchContext(), Sequences: max(1, s.Sequences)})
	require.NoError(b, err)
	defer func() { require.NoError(b, e.Close()) }()
	tokens := 0
	for b.Loop() {
		_, err := e.Bench(context.Background(), s)
		require.NoError(b, err)
		tokens += (s.Prompt + s.Generate) * max(1, s.Sequences)
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
}

func BenchmarkPrefill(b *testing.B) {
	for _, n := range []int{32, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkSpec(b, BenchSpec{Prompt: n}) })
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("x%d", n), func(b *testing.B) { benchmarkSpec(b, BenchSpec{Generate: 32, Sequences: n}) })
	}
}
