package sampler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchLogits looks like a model's: a normal bulk with a few tens of tokens that stand out.
func benchLogits(vocab int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 2.5)
	}
	for range 60 {
		logits[r.IntN(vocab)] = float32(14 + 8*r.Float64())
	}
	return logits
}

func BenchmarkSample(b *testing.B) {
	settings := []struct {
		name   string
		params Params
	}{
		{"top_k_top_p", neutral(func(p *Params) { p.TopK, p.TopP = 40, 0.95 })},
		{"default", DefaultParams()},
		{"greedy", neutral(func(p *Params) { p.Temperature = 0 })},
		{"top_p", neutral(func(p *Params) { p.TopP = 0.95 })},
		{"min_p", neutral(func(p *Params) { p.MinP = 0.05 })},
		{"top_n_sigma", neutral(func(p *Params) { p.TopNSigma = 1 })},
		{"typical", neutral(func(p *Params) { p.TypicalP = 0.95 })},
		{"mirostat", neutral(func(p *Params) { p.Mirostat = 2 })},
		{"none", NeutralParams()},
		{"flat_top_p", neutral(func(p *Params) {
			p.Temperature, p.TopP, p.Order = 5, 0.95, []Stage{StageTemperature, StageTopP}
		})},
		{"penalties", neutral(func(p *Params) { p.TopK, p.TopP, p.RepeatPenalty = 40, 0.95, 1.1 })},
		{"dry_4096", neutral(func(p *Params) { p.TopK, p.TopP, p.DRYMultiplier = 40, 0.95, 0.8 })},
		{"logprobs_20", neutral(func(p *Params) { p.TopK, p.TopP, p.LogProbs, p.TopLogProbs = 40, 0.95, true, 20 })},
	}
	for _, vocab := range []int{32_000, 128_256, 262_144} {
		logits := benchLogits(vocab)
		for _, setting := range settings {
			b.Run(fmt.Sprintf("%s/%dk", setting.name, vocab/1000), func(b *testing.B) {
				s, err := New(setting.params, vocab)
				require.NoError(b, err)
				r := rand.New(rand.NewPCG(3, 4))
				for range 4096 {
					require.NoError(b, s.Accept(int32(r.IntN(2000))))
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Sample(logits); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
